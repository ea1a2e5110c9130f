//! Mistakes that the simulation makes on purpose.

use super::Ownership;

/// Ways in which the simulation bends the rule, to see that it finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bent {
    /// Nodes that know nothing serve as soon as they have found each other.
    FoundsAtOnce,
    /// The key of a view tells only who is in it.
    KeyOfMembers,
    /// What others miss is not missed.
    HearsayIgnored,
    /// A node that fell silent holds nothing.
    AbsenceSettles,
    /// Partitions are taken and founded although somebody is missing.
    MissingIgnored,
    /// Commands run without a lease.
    NoLease,
    /// What was done is acknowledged without a second look.
    NoSecondLook,
    /// What was said or asked in one view counts in the next.
    NoFence,
    /// A node leaves although it has something to hand over.
    LeavesEarly,
    /// What a node held before it began anew is no copy that others have taken.
    KeptIsForgotten,
    /// A copy is given up for one that a crash may take back. Histories come to that once in a hundred thousand; see `tests`.
    UnnotedCounts,
    /// Others are told to drop their copies before what was taken outlives a crash.
    #[cfg(test)]
    DroppedBeforeKept,
    /// A change is acknowledged before it outlives a crash.
    #[cfg(test)]
    AcknowledgedBeforeSync,
}

impl Ownership {
    #[cfg(test)]
    pub(super) fn is_bent(&self, bend: Bent) -> bool {
        self.bend == Some(bend)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "it looks at the node in tests")]
    pub(super) fn is_bent(&self, _bend: Bent) -> bool {
        false
    }
}
