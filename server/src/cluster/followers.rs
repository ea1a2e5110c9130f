//! Clients that follow the cluster, and whether they have seen that this node leaves.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time for clients to turn to other nodes, at least: they ask for the owners of partitions about every second.
const NOTICE: Duration = Duration::from_millis(1_500);

/// Time for the other nodes to show clients what they have agreed on.
const SHOWN: Duration = Duration::from_millis(500);

/// Questions by which a client has seen the new owners. With the first it begins to read them of all nodes. One that has
/// just started again it may reach only with the second, whose answers it has read when it asks for the third time.
const QUESTIONS: u64 = 3;

/// One that has not asked for so long follows no more.
const SILENT: Duration = Duration::from_secs(5);

/// Time to wait for those that are slow, at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection on which a client asks for the number that changes with the owners of partitions.
#[derive(Debug)]
pub struct Follower(Mutex<(u64, Instant)>);

impl Follower {
    /// It has asked once more.
    pub fn ask(&self) {
        let mut asked = self.0.lock();
        *asked = (asked.0 + 1, Instant::now());
    }
}

/// The connections on which clients follow the cluster.
#[derive(Debug, Default)]
pub struct Followers(Mutex<Vec<Weak<Follower>>>);

impl Followers {
    /// One that has asked for the first time. It no longer counts when it is dropped.
    #[must_use]
    pub fn come(&self) -> Arc<Follower> {
        let follower = Arc::new(Follower(Mutex::new((1, Instant::now()))));
        let mut all = self.0.lock();
        all.retain(|follower| follower.strong_count() > 0);
        all.push(Arc::downgrade(&follower));
        follower
    }

    /// Those that follow now, and how often each has asked.
    fn now(&self) -> Vec<(Weak<Follower>, u64)> {
        let all = self.0.lock();
        let asked = all.iter().filter_map(|follower| {
            let (asked, last) = *follower.upgrade()?.0.lock();
            (last.elapsed() < SILENT).then(|| (Weak::clone(follower), asked))
        });
        asked.collect()
    }
}

/// The time that clients have to see that this node has no partitions any more.
#[derive(Debug)]
pub(super) struct Notice<'f> {
    followers: &'f Followers,
    /// When all nodes had agreed.
    begun: Option<Instant>,
    /// Who followed when the others showed it, and how often each had asked.
    asked: Option<Vec<(Weak<Follower>, u64)>>,
}

impl<'f> Notice<'f> {
    pub(super) fn new(followers: &'f Followers) -> Self {
        Self {
            followers,
            begun: None,
            asked: None,
        }
    }

    /// Whether all clients that follow the cluster know the new owners. `agreed` says that all nodes do.
    pub(super) fn is_over(&mut self, agreed: bool) -> bool {
        let since = match self.begun {
            Some(begun) => begun.elapsed(),
            None => {
                self.begun = agreed.then(Instant::now);
                return false;
            }
        };
        if since < SHOWN {
            return false;
        }
        let asked = self.asked.get_or_insert_with(|| self.followers.now());
        since >= PATIENCE || (since >= NOTICE && asked.iter().all(has_asked_since))
    }
}

/// The time that clients have to turn away from this node, which the others do not list any more: one that does closes its
/// connections. What it asked a node that has just ended would fail.
#[derive(Debug)]
pub(super) struct Farewell {
    begun: Instant,
    /// Who followed then, and how often each had asked.
    asked: Vec<(Weak<Follower>, u64)>,
}

impl Farewell {
    pub(super) fn to(followers: &Followers) -> Self {
        Self {
            begun: Instant::now(),
            asked: followers.now(),
        }
    }

    /// Whether all have gone, or had the time to.
    pub(super) fn is_over(&self) -> bool {
        self.begun.elapsed() >= PATIENCE || self.asked.iter().all(has_asked_since)
    }
}

/// Whether it has asked often enough since it had asked so often, or is gone.
fn has_asked_since((follower, before): &(Weak<Follower>, u64)) -> bool {
    let follower = follower.upgrade();
    follower.is_none_or(|follower| follower.0.lock().0 >= before + QUESTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notice_is_over_when_every_follower_has_asked_often_enough_or_is_gone() {
        let followers = Followers::default();
        let (one, two) = (followers.come(), followers.come());
        let mut notice = Notice::new(&followers);
        assert!(!notice.is_over(false));
        assert_eq!(notice.begun, None);
        assert!(!notice.is_over(true));
        let ago = |time: Duration| Instant::now().checked_sub(time);
        notice.begun = ago(NOTICE);
        one.ask();
        assert!(
            !notice.is_over(true),
            "what was asked before does not count"
        );
        (0..QUESTIONS).for_each(|_| one.ask());
        two.ask();
        assert!(!notice.is_over(true));
        drop(two);
        assert!(notice.is_over(true));
        // Whoever comes later knows it from the beginning.
        let _late = followers.come();
        assert!(notice.is_over(true));
        notice.begun = ago(SHOWN);
        assert!(!notice.is_over(true), "others need time, too");
        let _slow = followers.come();
        let mut patient = Notice::new(&followers);
        patient.begun = ago(NOTICE);
        assert!(!patient.is_over(true));
        patient.begun = ago(PATIENCE);
        assert!(patient.is_over(true));
    }

    #[test]
    fn a_farewell_is_over_when_every_follower_is_gone_or_has_not_gone_for_long() {
        let followers = Followers::default();
        assert!(Farewell::to(&followers).is_over(), "there is nobody");
        let (one, two) = (followers.come(), followers.come());
        let mut farewell = Farewell::to(&followers);
        drop(one);
        two.ask();
        assert!(!farewell.is_over());
        drop(two);
        assert!(farewell.is_over());
        // One that stays all the same.
        let stays = followers.come();
        farewell.asked = followers.now();
        (0..QUESTIONS).for_each(|_| stays.ask());
        assert!(farewell.is_over());
        farewell.asked = followers.now();
        assert!(!farewell.is_over());
        farewell.begun = Instant::now().checked_sub(PATIENCE).unwrap();
        assert!(farewell.is_over());
    }
}
