//! A live node, and what it has published of itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Bound;
use std::sync::Arc;

use tracing::{info, warn};

use super::ownership::{MemberState, Run};
use crate::config::node_id::NodeId;

/// Names of the texts that a node publishes.
pub(super) mod name {
    pub(in super::super) const FABRIC: &str = "fabric";
    pub(in super::super) const SERVICE: &str = "service";
    pub(in super::super) const ALTERNATE: &str = "alternate";
    /// Anything: clients are to be told of this node no more.
    pub(in super::super) const UNLISTED: &str = "unlisted";
}

impl MemberState {
    fn text(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Ready => "ready",
            Self::Leaving => "leaving",
            Self::Left => "left",
        }
    }
}

/// A live node other than this one.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its identity.
    pub id: NodeId,
    /// When its process started, milliseconds since 1970: tells a node from the one it was before a restart.
    pub incarnation: u64,
    /// What it does.
    pub state: MemberState,
    /// Where it answers other nodes.
    pub fabric: SocketAddr,
    /// The word that it has sent to this node's address, and that its fabric asks for.
    pub word: u64,
    /// Where it answers clients: `host:port`.
    pub service: Vec<String>,
    /// Where it answers clients that ask for alternate addresses.
    pub alternate: Vec<String>,
    texts: Arc<BTreeMap<String, String>>,
    version: u64,
}

impl Member {
    /// A node whose texts have not arrived yet is not known well enough to be one.
    pub(super) fn of(
        (id, incarnation): Run,
        state: MemberState,
        word: u64,
        texts: &Arc<BTreeMap<String, String>>,
        version: u64,
    ) -> Option<Self> {
        let list = |name| -> Vec<String> {
            let text = texts.get(name).map(String::as_str).unwrap_or_default();
            text.split_terminator(',').map(str::to_owned).collect()
        };
        Some(Self {
            id,
            incarnation,
            state,
            fabric: texts.get(name::FABRIC)?.parse().ok()?,
            word,
            service: list(name::SERVICE),
            alternate: list(name::ALTERNATE),
            texts: Arc::clone(texts),
            version,
        })
    }

    /// What it published under names that begin so, without that beginning.
    pub fn texts<'m>(&'m self, prefix: &'m str) -> impl Iterator<Item = (&'m str, &'m str)> {
        self.texts
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Whether clients are to be told of it.
    pub(super) fn is_listed(&self) -> bool {
        !self.texts.contains_key(name::UNLISTED)
    }

    /// The same run in the same state at the same places, whatever else it publishes.
    fn is_as(&self, other: &Self) -> bool {
        let places = |member: &Self| (member.fabric, member.word, member.state);
        (self.id, self.incarnation) == (other.id, other.incarnation)
            && places(self) == places(other)
            && self.service == other.service
            && self.alternate == other.alternate
    }

    /// Grows with every text that changes.
    #[must_use]
    pub fn texts_version(&self) -> u64 {
        self.version
    }
}

/// The live nodes other than this one, by their identity.
pub type Members = BTreeMap<NodeId, Member>;

/// Nothing differs but what members publish.
pub(super) fn are_as(old: &Members, new: &Members) -> bool {
    old.len() == new.len()
        && old
            .values()
            .zip(new.values())
            .all(|(old, new)| old.is_as(new))
}

pub(super) fn log_changes(old: &Members, new: &Members) {
    for (id, member) in new {
        match old.get(id) {
            None => info!(target: "clustering", "{id} at {} is here", member.fabric),
            Some(before) if before.incarnation != member.incarnation => {
                info!(target: "clustering", "{id} at {} has started again", member.fabric);
            }
            Some(before) if before.state != member.state => {
                info!(target: "clustering", "{id} is {}", member.state.text());
            }
            Some(_) => {}
        }
    }
    for (id, member) in old {
        if !new.contains_key(id) {
            warn!(target: "clustering", "{id} at {} is gone", member.fabric);
        }
    }
}
