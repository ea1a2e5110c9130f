//! A node with its records, and what nodes say to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::{Beat, Holding, Ownership, Report, Run, Take, Ticket, Times};
use crate::cluster::NodeId;

/// Partitions of the simulated cluster.
pub(super) const PARTITIONS: u16 = 6;

/// Silence after which a node is no member any more, and after which it counts as dead.
pub(super) const TIMES: Times = Times {
    silent: Duration::from_millis(500),
    dead: Duration::from_millis(3_000),
};

/// Time between two beats, ms.
pub(super) const INTERVAL: u64 = 50;

/// A record: when it was written last, on the clock of the world, and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) stamp: u64,
    pub(super) generation: u32,
}

pub(super) type Records = BTreeMap<u64, Version>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActionKind {
    Add,
    Delete,
    Read,
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    Beat(Beat),
    AskReport(u64),
    Report(u64, Report),
    AskGive(u64, u16),
    Given(u64, u16, Records),
    AskDrop(u64, Vec<(u16, Holding)>),
    Dropped(u64, Vec<u16>),
    Command(u64),
}

/// A command, wherever it stands.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) key: u64,
    pub(super) kind: ActionKind,
    pub(super) begun: u64,
    pub(super) ticket: Option<Ticket>,
    /// What was found, and what was written.
    pub(super) found: Option<Version>,
    pub(super) stamp: u64,
}

pub(super) struct Taking {
    pub(super) take: Take,
    pub(super) lacking: BTreeSet<NodeId>,
    pub(super) asked: Duration,
}

pub(super) struct Up {
    pub(super) ownership: Ownership,
    pub(super) started: u64,
    pub(super) records: Vec<Records>,
    /// Keys of commands at work, by partition.
    pub(super) busy: Vec<BTreeSet<u64>>,
    pub(super) taking: BTreeMap<u16, Taking>,
    /// What was written of copies, and is to be synced next.
    pub(super) noting: Vec<(u16, Option<Holding>)>,
}

impl Up {
    pub(super) fn new(run: Run, started: u64, disk: Option<&Disk>) -> Self {
        let mut ownership = Ownership::new(run, TIMES, PARTITIONS, disk.is_some());
        let mut records = vec![Records::new(); usize::from(PARTITIONS)];
        if let Some(disk) = disk {
            let copies;
            (records, copies) = disk.found();
            ownership.hold_stored(copies, true);
        }
        Self {
            ownership,
            started,
            records,
            busy: vec![BTreeSet::new(); usize::from(PARTITIONS)],
            taking: BTreeMap::new(),
            noting: Vec::new(),
        }
    }
}

/// A change that a disk remembers.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Put(u64, Version),
    Remove(u64),
    Note(u16, Option<Holding>),
}

/// What outlives a node: changes in their order. Of what was not synced a crash leaves the beginning.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    entries: Vec<Entry>,
    synced: usize,
}

impl Disk {
    pub(super) fn write(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn clear(&mut self, records: &mut Records) {
        let keys = std::mem::take(records).into_keys();
        self.entries.extend(keys.map(Entry::Remove));
    }

    pub(super) fn sync(&mut self) {
        self.synced = self.entries.len();
    }

    /// Bytes, as it were, that a crash may take.
    pub(super) fn unsynced(&self) -> u64 {
        (self.entries.len() - self.synced) as u64
    }

    /// Power goes: so many of the changes that were not synced are there still.
    pub(super) fn crash(&mut self, kept: u64) -> Vec<Entry> {
        let lost = self.entries.split_off(self.synced + kept as usize);
        self.sync();
        lost
    }

    /// Records by partition, those that are left over of copies that went among them, and the copies that were noted.
    fn found(&self) -> (Vec<Records>, Vec<(u16, Option<Holding>)>) {
        let mut records = vec![Records::new(); usize::from(PARTITIONS)];
        let mut copies = BTreeMap::new();
        for entry in &self.entries {
            match entry {
                Entry::Put(key, version) => {
                    records[usize::from(partition_of(*key))].insert(*key, *version);
                }
                Entry::Remove(key) => {
                    records[usize::from(partition_of(*key))].remove(key);
                }
                Entry::Note(partition, None) => {
                    copies.remove(partition);
                }
                Entry::Note(partition, Some(copy)) => {
                    copies.insert(*partition, Some(copy.clone()));
                }
            }
        }
        (records, copies.into_iter().collect())
    }
}

pub(super) struct Node {
    pub(super) id: NodeId,
    /// Thousandths of its clock in one of the world.
    pub(super) speed: u64,
    pub(super) starts: u64,
    pub(super) paused_until: u64,
    pub(super) up: Option<Up>,
    /// What outlives it, where records do.
    pub(super) disk: Option<Disk>,
    /// Until when it was killed, or paused, last.
    pub(super) away_until: u64,
    /// It was told to leave.
    pub(super) leaving: bool,
}

/// The partition of a key.
pub(super) fn partition_of(key: u64) -> u16 {
    (key % u64::from(PARTITIONS)) as u16
}
