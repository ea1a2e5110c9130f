//! The fabric: what nodes say to each other over TCP, one question and one answer at a time on each connection.
//!
//! ```text
//! question:  length u32 BE │ kind u8   │ body          length counts what follows it
//! answer:    length u32 BE │ status u8 │ body          status 0: done; 1: refused, the body says why
//! ```
//!
//! The first question of a connection is [`Kind::Hello`]: it names the protocol, the cluster and the node that asks. A
//! node of another cluster is refused. The caller keeps connections for later questions, as many as it once needed at
//! the same time.

mod client;
mod frame;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Fabric, FabricError};
pub use server::{FabricHandler, serve};

use serde::{Deserialize, Serialize};

use crate::config::node_id::NodeId;

/// Longest question or answer, bytes: more than the largest record or list of modules needs.
pub const MAX_FRAME: usize = 256 << 20;

/// Version of what is said on the fabric; nodes of different versions refuse each other.
const PROTOCOL: &str = "asd fabric 1";

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Who asks: the first question of every connection.
    Hello = 0,
    /// Which versions of modules the node has, and whether it counts the asking node among the live ones.
    ModuleVersions = 1,
    /// The contents of some modules.
    ModuleFetch = 2,
    /// Modules to store and serve; answered when they are on disk and served.
    ModulePush = 3,
    /// A client's command on a record, for the owner of its partition.
    Forward = 4,
    /// Records of partitions that the asked node owns now.
    RecordPush = 5,
    /// Copies of records whose partition the asking node owns now.
    RecordPull = 6,
    /// The asking node has handed over every record that others own under a cluster key.
    Settled = 7,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    const ALL: [Self; 8] = [
        Self::Hello,
        Self::ModuleVersions,
        Self::ModuleFetch,
        Self::ModulePush,
        Self::Forward,
        Self::RecordPush,
        Self::RecordPull,
        Self::Settled,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Body of [`Kind::Hello`], as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: String,
    cluster_name: String,
    node: NodeId,
}
