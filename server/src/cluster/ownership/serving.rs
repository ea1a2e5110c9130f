//! Who runs commands.

use std::time::Duration;

use super::bent::Bent;
use super::{MemberState, Ownership, Ticket};

impl Ownership {
    /// Whether a node that is joining may serve from now on: all that live count it, and one of them knows what the cluster
    /// holds. Where nobody does, `all_seeds_known` has to be true: every other node is here, does not run, or was silent
    /// for as long as the dead are; else a slow one may hold what these would found anew.
    #[must_use]
    pub fn may_serve(&self, now: Duration, all_seeds_known: bool) -> bool {
        let established = |state| {
            matches!(state, MemberState::Ready | MemberState::Leaving)
                || self.is_bent(Bent::FoundsAtOnce)
        };
        self.lease().is_some_and(|until| now < until)
            && (all_seeds_known || self.peers().any(|(_, state)| established(state)))
    }

    /// Until when this node may rely on its view; `None` when not all members have confirmed it.
    #[must_use]
    pub fn lease(&self) -> Option<Duration> {
        if self.is_bent(Bent::NoLease) {
            return Some(Duration::MAX);
        }
        let mut confirmed = self.peers.values().map(|peer| peer.confirmed);
        confirmed.try_fold(Duration::MAX, |least, confirmed| {
            Some(least.min(confirmed? + self.times.lease()))
        })
    }

    /// Whether this node runs commands on a partition as long as it has a lease.
    #[must_use]
    pub fn serves(&self, partition: u16) -> bool {
        self.has_newest(partition)
            && self
                .places
                .get(usize::from(partition))
                .is_some_and(|place| !place.unnoted)
    }

    /// Whether a partition is this node's, and its copy is the one to go on from.
    pub(super) fn has_newest(&self, partition: u16) -> bool {
        self.view.is_owner(self.me.0, partition)
            && self
                .places
                .get(usize::from(partition))
                .is_some_and(|place| {
                    place.holding.is_some() && (place.verified || place.given.is_empty())
                })
    }

    /// The right to run a command now.
    #[must_use]
    pub fn ticket(&self, now: Duration, partition: u16) -> Option<Ticket> {
        let until = self.lease().filter(|until| now < *until)?;
        self.serves(partition).then_some(Ticket {
            key: self.view.key,
            until,
        })
    }

    /// Whether what a command did may be acknowledged: nobody can have gone on without it.
    #[must_use]
    pub fn stands(&self, now: Duration, ticket: Ticket) -> bool {
        let renewed =
            || ticket.key == self.view.key && self.lease().is_some_and(|until| now < until);
        now < ticket.until || renewed() || self.is_bent(Bent::NoSecondLook)
    }
}
