//! What histories come to too seldom.

use std::time::Duration;

use super::bent::Bent;
use super::{Holding, MemberState, Ownership, Times};
use crate::cluster::NodeId;

const PARTITIONS: u16 = 16;

const TIMES: Times = Times {
    silent: Duration::from_millis(500),
    dead: Duration::from_millis(3_000),
};

/// Two nodes whose records outlive them, which say to each other what they do.
struct Pair {
    nodes: [Ownership; 2],
    now: Duration,
}

impl Pair {
    fn new() -> Self {
        let node = |number: u64| {
            let id = NodeId::new(0xA0 + number).unwrap();
            Ownership::new((id, 1), TIMES, PARTITIONS, true)
        };
        Self {
            nodes: [node(0), node(1)],
            now: Duration::from_millis(1),
        }
    }

    fn id(&self, node: usize) -> NodeId {
        self.nodes[node].me().0
    }

    /// Until both know what the other does.
    fn talk(&mut self) {
        for turn in 0..8 {
            let (from, to) = (turn % 2, (turn + 1) % 2);
            self.now += Duration::from_millis(5);
            let beat = {
                let run = self.nodes[to].me();
                self.nodes[from].beat(self.now, run)
            };
            self.nodes[to].heard(self.now, &beat);
            self.nodes[from].tick(self.now);
        }
        assert!(self.nodes.iter().all(Ownership::is_agreed));
    }

    /// One asks the other what it holds.
    fn ask(&mut self, node: usize, other: usize) {
        let key = self.nodes[node].view().key;
        let report = self.nodes[other].report(key).unwrap();
        let other = self.id(other);
        self.nodes[node].reported(key, other, report);
    }
}

/// A node takes what another holds, and before it has noted that, the other owns it again. Whether that one has given up its
/// own copies then; at last it has in any case.
fn gives_up_before_it_is_noted(bend: Option<Bent>) -> bool {
    let mut pair = Pair::new();
    let copy = |partition| (partition, Some(Holding::from_parts(7, 1, Vec::new())));
    pair.nodes[0].hold_stored((0..PARTITIONS).map(copy).collect(), true);
    pair.nodes[0].bend = bend;
    pair.talk();
    for node in &mut pair.nodes {
        node.set_state(MemberState::Ready);
    }
    pair.talk();
    pair.ask(1, 0);
    let takes = pair.nodes[1].plan();
    assert!(!takes.is_empty() && takes.len() < usize::from(PARTITIONS));
    assert!(takes.iter().all(|take| pair.nodes[1].took(take)));
    let notes = pair.nodes[1].unnoted();
    assert_eq!(notes.len(), takes.len());
    pair.nodes[1].set_state(MemberState::Leaving);
    pair.talk();
    pair.ask(0, 1);
    let held = |pair: &Pair| takes.iter().all(|take| pair.nodes[0].holds(take.partition));
    let begun = pair.nodes[0].plan().len();
    let gave_up = !held(&pair);
    assert_eq!(begun != 0, gave_up);
    // It asks until the other has noted it.
    assert_eq!(pair.nodes[0].unreported(), [pair.id(1)]);
    pair.nodes[1].noted(&notes);
    pair.ask(0, 1);
    assert_eq!(pair.nodes[0].unreported(), []);
    let back = pair.nodes[0].plan();
    assert_eq!(back.len(), takes.len());
    assert!(back.iter().all(|take| take.sources == [pair.id(1)]));
    assert!(!held(&pair));
    gave_up
}

#[test]
fn no_copy_is_given_up_for_one_that_a_crash_may_take_back() {
    assert!(!gives_up_before_it_is_noted(None));
    assert!(gives_up_before_it_is_noted(Some(Bent::UnnotedCounts)));
}
