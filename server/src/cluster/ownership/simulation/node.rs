//! A node with its records, and what nodes say to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::{Beat, Holding, Holdings, Ownership, Run, Take, Ticket, Times};
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
    Report(u64, Holdings),
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
}

impl Up {
    pub(super) fn new(run: Run, started: u64) -> Self {
        Self {
            ownership: Ownership::new(run, TIMES, PARTITIONS),
            started,
            records: vec![Records::new(); usize::from(PARTITIONS)],
            busy: vec![BTreeSet::new(); usize::from(PARTITIONS)],
            taking: BTreeMap::new(),
        }
    }
}

pub(super) struct Node {
    pub(super) id: NodeId,
    /// Thousandths of its clock in one of the world.
    pub(super) speed: u64,
    pub(super) starts: u64,
    pub(super) paused_until: u64,
    pub(super) up: Option<Up>,
    /// It was told to leave.
    pub(super) leaving: bool,
}

/// The partition of a key.
pub(super) fn partition_of(key: u64) -> u16 {
    (key % u64::from(PARTITIONS)) as u16
}
