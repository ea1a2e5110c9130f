//! Copies of a partition, and which of them follows from which.

use std::collections::BTreeSet;

/// Ancestors that a copy remembers. Each start of a node with lasting records adds one.
const ANCESTORS: usize = 32;

/// A copy of a partition. Copies of one lineage follow from each other in the order of their numbers; the first of a
/// lineage was founded empty, or put together from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    pub(super) lineage: u64,
    pub(super) number: u32,
    /// Copies of other lineages that are in it.
    pub(super) ancestors: Vec<(u64, u32)>,
}

/// What a node holds: the partitions in their order, with the copy.
pub type Holdings = Vec<(u16, Holding)>;

/// What a node tells another of what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// All of it.
    pub holdings: Holdings,
    /// Partitions whose copy a crash would still take back: nobody else gives up what it replaces.
    pub unnoted: BTreeSet<u16>,
}

impl Holding {
    /// The first copy of a lineage, which replaces these.
    pub(super) fn first<'h>(lineage: u64, replaced: impl IntoIterator<Item = &'h Self>) -> Self {
        let mut ancestors: Vec<(u64, u32)> = Vec::new();
        for holding in replaced {
            ancestors.extend(&holding.ancestors);
            ancestors.push((holding.lineage, holding.number));
        }
        // The highest number of each lineage; the latest lineages last.
        let mut kept: Vec<(u64, u32)> = Vec::new();
        for (lineage, number) in ancestors.into_iter().rev() {
            match kept.iter_mut().find(|(known, _)| *known == lineage) {
                Some((_, highest)) => *highest = number.max(*highest),
                None => kept.push((lineage, number)),
            }
        }
        kept.truncate(ANCESTORS);
        kept.reverse();
        Self {
            lineage,
            number: 1,
            ancestors: kept,
        }
    }

    /// The copy that a new holder makes of this one.
    pub(super) fn next(&self) -> Self {
        Self {
            number: self.number.saturating_add(1),
            ..self.clone()
        }
    }

    /// Whether everything in the other copy is in this one, or was changed since.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        let known = (other.lineage, other.number);
        std::iter::once(&(self.lineage, self.number))
            .chain(&self.ancestors)
            .any(|(lineage, number)| *lineage == known.0 && *number >= known.1)
    }

    /// A copy from what another node said.
    #[must_use]
    pub fn from_parts(lineage: u64, number: u32, mut ancestors: Vec<(u64, u32)>) -> Self {
        ancestors.truncate(ANCESTORS);
        Self {
            lineage,
            number,
            ancestors,
        }
    }

    /// Lineage, number and ancestors, to be told to another node.
    #[must_use]
    pub fn parts(&self) -> (u64, u32, &[(u64, u32)]) {
        (self.lineage, self.number, &self.ancestors)
    }
}
