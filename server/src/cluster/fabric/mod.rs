//! The fabric: what nodes say to each other over TCP, one question and one answer at a time on each connection.
//!
//! ```text
//! question:  length u32 BE │ kind u8   │ body          length counts what follows it
//! answer:    length u32 BE │ status u8 │ body          status 0: done; 1: refused, the body says why
//! ```
//!
//! The first question of a connection is [`QuestionKind::Hello`]: it names the protocol, the cluster and the run that asks, and shows
//! the word that the asked node has sent to that run's heartbeat address: only live members are let in, each under its own
//! name. Where the cluster has a secret, both ends prove that they know it. The caller keeps connections for later questions,
//! as many as it once needed at the same time. Those on which something was pushed are kept apart, as somebody waits for what
//! comes next on them: at one end by a thread that has pushed to others too (`direct`), at the other by a thread that stores
//! what comes (`threads`), both without the runtime.

mod client;
mod direct;
mod door;
mod frame;
mod link;
mod open;
mod server;
mod threads;

#[cfg(test)]
mod tests;

pub use client::{Fabric, FabricError};
pub use direct::{Asked, Ready};
pub use door::{FabricHandler, Gatekeeper};
pub use open::ConnectionCounts;
pub use server::serve;

use serde::{Deserialize, Serialize};

use crate::config::node_id::NodeId;

/// Longest question or answer, bytes: more than the largest record or list of modules needs.
pub const MAX_FRAME: usize = 256 << 20;

/// Version of what is said on the fabric; nodes of different versions refuse each other.
const PROTOCOL: &str = "asd fabric 5";

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum QuestionKind {
    /// Who asks: the first question of every connection.
    Hello = 0,
    /// Which versions of named things the node has, and whether it counts the asking node among the live ones.
    Versions = 1,
    /// The contents of some of them.
    Fetch = 2,
    /// Things to store; answered when they are on disk and in force.
    Push = 3,
    /// A client's command on a record, for the owner of its partition.
    Forward = 4,
    /// Which partitions the asked node holds under a view.
    Holdings = 5,
    /// The records of partitions that the asking node owns under a view.
    Take = 6,
    /// The asking node holds partitions: the asked node is to drop its copies.
    Drop = 7,
    /// The second question of a connection where the cluster has a secret.
    Proof = 8,
    /// Records to remove: all of a set or a namespace that were last written before a time.
    Truncate = 9,
}

impl QuestionKind {
    /// All kinds, in the order of their numbers.
    const ALL: [Self; 10] = [
        Self::Hello,
        Self::Versions,
        Self::Fetch,
        Self::Push,
        Self::Forward,
        Self::Holdings,
        Self::Take,
        Self::Drop,
        Self::Proof,
        Self::Truncate,
    ];

    /// It is about named things: modules, definitions of indexes.
    pub(super) fn is_of_catalogues(self) -> bool {
        matches!(self, Self::Versions | Self::Fetch | Self::Push)
    }

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

/// Body of [`QuestionKind::Hello`], as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: String,
    cluster_name: String,
    node: NodeId,
    incarnation: u64,
    /// What the asked node has sent to the heartbeat address of the asking one.
    word: u64,
    /// Makes the proofs of this connection differ from those of others.
    nonce: u64,
}

/// The answer to it, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Welcome {
    node: NodeId,
    nonce: u64,
    /// Where the cluster has a secret: that this node knows it.
    tag: Option<Vec<u8>>,
}

/// A number that nobody can guess.
fn nonce() -> u64 {
    use std::hash::BuildHasher;
    std::hash::RandomState::new().hash_one(std::time::Instant::now())
}

/// Proofs that an end of a connection knows the secret.
mod tags {
    use super::super::secret::{Secret, TAG_BYTES};
    use super::{Hello, NodeId};

    fn parts(hello: &Hello, nonce: u64) -> [[u8; 8]; 4] {
        [
            hello.node.number().to_be_bytes(),
            hello.incarnation.to_be_bytes(),
            hello.nonce.to_be_bytes(),
            nonce.to_be_bytes(),
        ]
    }

    pub(super) fn of_server(
        secret: &Secret,
        hello: &Hello,
        me: NodeId,
        nonce: u64,
    ) -> [u8; TAG_BYTES] {
        let [node, run, theirs, ours] = parts(hello, nonce);
        let me = me.number().to_be_bytes();
        secret.tag(&[b"fabric server", &node, &run, &theirs, &ours, &me])
    }

    pub(super) fn is_of_server(
        secret: &Secret,
        hello: &Hello,
        server: NodeId,
        nonce: u64,
        tag: &[u8],
    ) -> bool {
        let [node, run, theirs, ours] = parts(hello, nonce);
        let server = server.number().to_be_bytes();
        secret.is_tag(
            &[b"fabric server", &node, &run, &theirs, &ours, &server],
            tag,
        )
    }

    pub(super) fn of_client(secret: &Secret, hello: &Hello, nonce: u64) -> [u8; TAG_BYTES] {
        let [node, run, theirs, ours] = parts(hello, nonce);
        secret.tag(&[b"fabric client", &node, &run, &theirs, &ours])
    }

    pub(super) fn is_of_client(secret: &Secret, hello: &Hello, nonce: u64, tag: &[u8]) -> bool {
        let [node, run, theirs, ours] = parts(hello, nonce);
        secret.is_tag(&[b"fabric client", &node, &run, &theirs, &ours], tag)
    }
}
