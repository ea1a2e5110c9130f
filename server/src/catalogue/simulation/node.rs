//! One node: what is on its disk, and what is lost when it is killed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::super::item::Item;
use super::super::joining::{Joining, Standing};
use super::super::kind::PLAIN;
use super::super::persistence::{StoredItem, followed_by};
use super::super::rollout::Rollout;
use super::super::state::Catalogue;
use super::super::version::{DAY_MS, LONGEST_OUTAGE_MS, Summaries, Summary, missing};

/// A node without a sign of life for this long is dead to the others, ms.
pub(crate) const DEAD_AFTER: u64 = 1_000;

/// One run of a node, from a start to the kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Run {
    pub(crate) node: usize,
    pub(crate) incarnation: u64,
}

/// What nodes send each other.
#[derive(Clone)]
pub(crate) enum Message {
    Gossip(Arc<Summaries>),
    Push(Arc<Item>),
    /// A node has this, after it was offered that.
    Pushed {
        name: Arc<str>,
        offered: Summary,
        has: Summary,
    },
    Ask,
    Answer {
        standing: Standing,
        summaries: Arc<Summaries>,
        /// When it was taken down, if the peer listed the asking node then.
        listed_at: Option<u64>,
    },
    Fetch {
        names: Vec<Arc<str>>,
        joining: bool,
    },
    Fetched {
        joining: bool,
        names: Vec<Arc<str>>,
        items: Vec<Arc<Item>>,
    },
}

/// What is written next, and who waits for it.
pub(crate) struct Write {
    pub(crate) items: Vec<Item>,
    pub(crate) then: Then,
}

pub(crate) enum Then {
    /// Another node pushed it.
    Answer(Run),
    /// A client of this node did.
    Own,
    /// It was fetched from another node under these names, in order to join.
    Joined(Run, Vec<Arc<str>>),
    /// It was fetched from another node.
    Nothing,
}

/// A change that a client of this node waits for.
pub(crate) struct Waited {
    pub(crate) item: Arc<Item>,
    pub(crate) rollout: Rollout<Run>,
    pub(crate) since: u64,
    pub(crate) sent: u64,
}

/// What survives a kill: a snapshot, and the changes since.
#[derive(Default)]
pub(crate) struct Disk {
    snapshot: Vec<StoredItem>,
    /// Each with its number.
    log: Vec<(u64, StoredItem)>,
    /// Up to which change the snapshot goes.
    snapshot_at: u64,
    changes: u64,
    pub(crate) alive_ms: Option<u64>,
}

/// So many changes lead to a snapshot.
const LOG: usize = 3;

impl Disk {
    /// What a start finds.
    pub(crate) fn items(&self) -> Vec<StoredItem> {
        let log = self.log.iter();
        let later = log
            .filter(|(number, _)| *number > self.snapshot_at)
            .map(|(_, item)| item.clone());
        followed_by(self.snapshot.clone(), later)
    }

    pub(crate) fn append(&mut self, taken: &[StoredItem]) {
        self.changes += 1;
        let taken = taken.iter().cloned();
        self.log.extend(taken.map(|item| (self.changes, item)));
    }

    /// Like the service, when the log is long: a snapshot of what is known, and then, unless the node dies between the
    /// two, the log is emptied.
    pub(crate) fn tidy(&mut self, known: &[StoredItem], dies_between: bool) {
        if self.log.len() >= LOG {
            self.snapshot = known.to_vec();
            self.snapshot_at = self.changes;
            if !dies_between {
                self.log.clear();
            }
        }
    }

    /// All that is known, at once.
    pub(crate) fn replace(&mut self, known: &[StoredItem]) {
        self.changes += 1;
        self.snapshot = known.to_vec();
        self.snapshot_at = self.changes;
    }
}

/// What does not.
pub(crate) struct Up {
    pub(crate) run: Run,
    pub(crate) started: u64,
    pub(crate) ticks: u64,
    pub(crate) catalogue: Catalogue,
    /// What is served, and shown to other nodes.
    pub(crate) served: Arc<Summaries>,
    pub(crate) opened_ms: u64,
    pub(crate) alive_until_ms: u64,
    pub(crate) settled: bool,
    pub(crate) ready: bool,
    pub(crate) joining: Joining<Run>,
    /// When peers took down the answer that they were compared by, listing this node.
    pub(crate) compared: BTreeMap<Run, Option<u64>>,
    /// Last sign of life of every other node.
    pub(crate) heard: BTreeMap<usize, (u64, u64)>,
    pub(crate) writes: VecDeque<Write>,
    pub(crate) waited: Vec<Waited>,
}

impl Up {
    pub(crate) fn new(run: Run, now: u64, clock_ms: u64, disk: &Disk) -> Self {
        let alive_ms = disk.alive_ms;
        let outdated =
            alive_ms.is_some_and(|alive_ms| clock_ms.saturating_sub(alive_ms) > LONGEST_OUTAGE_MS);
        let mut up = Self {
            run,
            started: now,
            ticks: 0,
            catalogue: Catalogue::new(&PLAIN, run.node as u64 + 1, disk.items()),
            served: Arc::default(),
            opened_ms: clock_ms,
            alive_until_ms: alive_ms.unwrap_or(0),
            settled: !outdated,
            ready: false,
            joining: Joining::default(),
            compared: BTreeMap::new(),
            heard: BTreeMap::new(),
            writes: VecDeque::new(),
            waited: Vec::new(),
        };
        if clock_ms.saturating_sub(up.alive_until_ms) > LONGEST_OUTAGE_MS {
            up.catalogue.forget_nothing_before(clock_ms + DAY_MS);
        }
        up.publish();
        up
    }

    /// Like the service.
    pub(crate) fn alive_until_ms(&self, clock_ms: u64) -> u64 {
        if clock_ms.saturating_sub(self.opened_ms) > DAY_MS {
            clock_ms
        } else {
            self.alive_until_ms
        }
    }

    /// Like the service: what counts is shown once it is on disk.
    pub(crate) fn publish(&mut self) {
        let counting = self.settled.then(|| self.catalogue.items());
        let counting = counting.into_iter().flatten();
        self.served = Arc::new(
            counting
                .map(|item| (Arc::clone(item.name()), *item.summary()))
                .collect(),
        );
    }

    /// Like the service.
    pub(crate) fn missing(&self, theirs: &Summaries, clock_ms: u64) -> Vec<Arc<str>> {
        let forgets = Some(clock_ms).filter(|now_ms| *now_ms >= self.catalogue.forgets_from_ms());
        missing(&self.served, theirs, forgets)
    }

    pub(crate) fn hear(&mut self, from: Run, now: u64) {
        let last = self.heard.entry(from.node).or_insert((0, 0));
        if from.incarnation >= last.0 {
            *last = (from.incarnation, now);
        }
    }

    pub(crate) fn peers(&self, now: u64) -> BTreeSet<Run> {
        self.heard
            .iter()
            .filter(|(_, (_, at))| now - at <= DEAD_AFTER)
            .map(|(node, (incarnation, _))| Run {
                node: *node,
                incarnation: *incarnation,
            })
            .collect()
    }

    /// The member list: itself and the others that show life.
    pub(crate) fn members(&self, now: u64) -> BTreeSet<Run> {
        let mut members = self.peers(now);
        members.insert(self.run);
        members
    }
}

#[derive(Default)]
pub(crate) struct Node {
    pub(crate) incarnation: u64,
    /// Its clock stands so much later than the earliest one, ms.
    pub(crate) skew_ms: u64,
    pub(crate) disk: Disk,
    pub(crate) up: Option<Up>,
    /// The last that it served by name, over all its runs.
    pub(crate) showed: BTreeMap<Arc<str>, Summary>,
}
