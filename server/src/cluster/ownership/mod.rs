//! Which node runs commands on which partition, and when: the rule, without sockets, threads or clock.
//!
//! Every partition has one *holder*, whose copy is whole. A *view* is the set of live nodes as one node sees it; its key is
//! made from the runs of these nodes and from the epoch that each has given its own set, so that a node never has the same
//! key twice. What a node says in a [`Beat`] counts under the key that stands in it.
//!
//! ```text
//! serve     a node runs commands on a partition while it owns it in its view, holds it, knows that nobody took it since,
//!           and has a lease: every other member has said the same key in answer to a beat that is younger than the lease
//! take      an owner that does not hold asks every member of its view what it holds, waits until nobody is missing, takes
//!           the newest copy whole, and holds it as a newer one. Only then do the others drop theirs
//! keep      where records outlive the process, so does what is said here of copies: a partition is served, and others are
//!           told to drop theirs, once the copy is noted beside its records. Nobody drops his own before that either, to
//!           take the newer one in its place: what is not noted may go with a crash. A node that is back shows what it has kept
//!           under the name that it had, so that copies which were taken from it replace it; before it goes on from it
//!           itself, it gives it a new one
//! missing   a member that fell silent may hold what nobody else has: nobody takes or founds a partition until it is back,
//!           has left, or counts as dead
//! ```
//!
//! Time is what the caller says: a [`Duration`] since any moment, by a clock that does not go back. The same code runs in
//! the server (`cluster/records`) and in the `simulation` beside this file.

mod bent;
mod hand_over;
mod hearing;
mod holding;
mod serving;
mod view;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use holding::{Holding, Holdings, Report};
pub use view::View;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

#[cfg(test)]
use self::bent::Bent;
use super::NodeId;

/// One run of a node: its identity, and when its process started in milliseconds since 1970.
pub type Run = (NodeId, u64);

/// What a node does in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It fetches the modules and owns no partition. Modules are pushed to it.
    Joining,
    /// It serves.
    Ready,
    /// It hands over its records and owns no partition any more; it still passes commands on.
    Leaving,
    /// It has left; the others forget it at once.
    Left,
}

/// After which silence what is done.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// A node that was silent for so long is no member of the view any more.
    pub silent: Duration,
    /// What it held counts as lost after so much silence. Longer than `silent`.
    pub dead: Duration,
}

impl Times {
    /// Time during which a node may rely on what a peer said, from the moment when it sent what the peer answered. Four
    /// fifths of the time after which that peer goes on without it: clocks of two nodes may differ by a fifth in speed.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.silent / 5 * 4
    }
}

/// What one node says to another about ownership, again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Who says it.
    pub run: Run,
    /// Grows with every beat of a run.
    pub sequence: u64,
    /// The latest beat of the asked node that had arrived; 0 for none.
    pub heard: u64,
    /// What the node does.
    pub state: MemberState,
    /// Grows with every change of what the node does and of whom it counts.
    pub epoch: u64,
    /// Key of its view.
    pub key: u64,
    /// It holds no partition of another.
    pub settled: bool,
    /// It waits for an answer that confirms what it says here.
    pub asks: bool,
    /// What it holds outlives its process.
    pub keeps: bool,
    /// Runs that it misses, and for how long they are silent.
    pub missing: Vec<(Run, Duration)>,
}

/// Another live node.
#[derive(Debug)]
struct Peer {
    run: Run,
    state: MemberState,
    epoch: u64,
    key: u64,
    sequence: u64,
    last_heard: Duration,
    /// When the beat was sent that this peer has confirmed under the present key.
    confirmed: Option<Duration>,
    /// The latest beat that it confirmed at all.
    confirmed_sequence: u64,
    settled: bool,
    keeps: bool,
    /// What it said that it holds, under the present key.
    report: Option<Report>,
}

/// A partition as this node has it.
#[derive(Debug, Default)]
struct Place {
    holding: Option<Holding>,
    /// Those that may have taken it since.
    given: BTreeSet<Run>,
    /// Under the present key it is known that no newer copy is anywhere.
    verified: bool,
    /// The copy is another than what would be found after a crash.
    unnoted: bool,
    /// The copy is from an earlier run: somebody may have taken it in the meantime.
    is_of_earlier_run: bool,
}

impl Place {
    /// Holds another copy, or none. `keeps` says that records outlive the process.
    fn hold(&mut self, holding: Option<Holding>, keeps: bool) {
        self.holding = holding;
        self.unnoted = keeps;
        self.is_of_earlier_run = false;
    }
}

/// Something to do for a partition that this node owns and cannot serve yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The partition.
    pub partition: u16,
    /// Key of the view in which this holds.
    pub key: u64,
    /// Whom to take it from. Nobody: it is founded, empty.
    pub sources: Vec<NodeId>,
    /// The own copy is one of those to be merged; else it has to be cleared first.
    pub keep_own: bool,
    result: Holding,
}

impl Take {
    /// Copies that do not follow from each other are put together: some of what was written may have to be thrown away.
    #[must_use]
    pub fn is_merge(&self) -> bool {
        self.sources.len() + usize::from(self.keep_own) > 1
    }
}

/// A right to run a command, and to acknowledge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Key of the view in which the command began.
    pub key: u64,
    /// Until when it can be acknowledged without a further look.
    pub until: Duration,
}

/// Why another node does not get what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The nodes do not have the same view at this moment.
    #[error("this node has another view of the cluster")]
    OtherView,
    /// The asking node does not own the partition.
    #[error("the partition is not the asking node's")]
    NotOwner,
    /// There is nothing to give.
    #[error("this node does not hold the partition")]
    NotHeld,
    /// The copy here is not older than the one that is said to replace it.
    #[error("the copy here is not replaced by that one")]
    NotReplaced,
}

/// Runs that are remembered as dead or gone, most of each.
const REMEMBERED: usize = 1_000;

/// Ownership as one node knows it.
#[derive(Debug)]
pub struct Ownership {
    me: Run,
    times: Times,
    state: MemberState,
    /// Records outlive the process.
    keeps: bool,
    epoch: u64,
    sequence: u64,
    /// When beats were sent.
    sent: VecDeque<(u64, Duration)>,
    /// When time passed last.
    ticked: Duration,
    peers: BTreeMap<NodeId, Peer>,
    /// Runs that may hold records and are silent; since when.
    missing: BTreeMap<Run, Duration>,
    /// Those of them of which it is known that what they hold ends with their processes.
    fleeting: BTreeSet<Run>,
    /// The latest beats of runs that are no peers any more: earlier ones may still be on their way.
    past: BTreeMap<Run, u64>,
    /// Runs that have left: they do not come back.
    left: BTreeSet<Run>,
    /// Runs that count as dead: should one come back, it may hold anything.
    dead: BTreeSet<Run>,
    view: View,
    /// Beats from this one on were sent in this view.
    view_sequence: u64,
    /// The first beat in this view that said that nothing is left to hand over.
    settled_sequence: Option<u64>,
    places: Vec<Place>,
    lineages: u64,
    deaths: u64,
    /// Changes with what this node may serve.
    revision: u64,
    #[cfg(test)]
    bend: Option<Bent>,
}

impl Ownership {
    /// A node that is joining, and holds nothing of so many partitions. `keeps` says that records outlive the process.
    #[must_use]
    pub fn new(me: Run, times: Times, partitions: u16, keeps: bool) -> Self {
        let mut ownership = Self {
            me,
            times,
            state: MemberState::Joining,
            keeps,
            epoch: 1,
            sequence: 0,
            sent: VecDeque::new(),
            ticked: Duration::ZERO,
            peers: BTreeMap::new(),
            missing: BTreeMap::new(),
            fleeting: BTreeSet::new(),
            past: BTreeMap::new(),
            left: BTreeSet::new(),
            dead: BTreeSet::new(),
            view: View::empty(partitions),
            view_sequence: 1,
            settled_sequence: None,
            places: (0..partitions).map(|_| Place::default()).collect(),
            lineages: 0,
            deaths: 0,
            revision: 0,
            #[cfg(test)]
            bend: None,
        };
        ownership.look();
        ownership
    }

    /// This run.
    #[must_use]
    pub fn me(&self) -> Run {
        self.me
    }

    /// What this node does.
    #[must_use]
    pub fn state(&self) -> MemberState {
        self.state
    }

    /// Changes what this node does.
    pub fn set_state(&mut self, state: MemberState) {
        if self.state != state {
            self.state = state;
            self.epoch += 1;
            self.look();
        }
    }

    /// The view as of now.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The live nodes other than this one, and what each does.
    pub fn peers(&self) -> impl Iterator<Item = (Run, MemberState)> + '_ {
        self.peers.values().map(|peer| (peer.run, peer.state))
    }

    /// Runs that may hold records and are silent.
    pub fn missing(&self) -> impl Iterator<Item = Run> + '_ {
        self.missing.keys().copied()
    }

    /// Changes with what this node may serve.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether all members have confirmed this view.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.lease().is_some()
    }

    /// How often a run was given up with what it may have held.
    #[must_use]
    pub fn deaths(&self) -> u64 {
        self.deaths
    }
}
