use protocol::particle::Particle;

use crate::bin::BinName;

/// A named value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Name.
    pub name: BinName,
    /// Value in the form in which it is stored; never nil.
    pub particle: Particle,
}
