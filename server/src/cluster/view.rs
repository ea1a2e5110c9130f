//! How the view of the cluster follows from who is alive.

use std::collections::BTreeMap;

use sha1::{Digest, Sha1};

use super::membership::{Member, MemberState, Members};
use super::partitions::Partitions;
use super::{Cluster, ClusterView, Peer};
use crate::config::node_id::NodeId;

/// Name under which a node publishes the key of its view.
pub(super) const KEY: &str = "key";

/// The view after `old`, as a node that serves has it.
pub(super) fn next(cluster: &Cluster, members: &Members, old: &ClusterView) -> ClusterView {
    let serving: Vec<&Member> = members
        .values()
        .filter(|member| member.state == MemberState::Ready)
        .collect();
    // One that is leaving still answers, but clients shall turn to the others.
    let me = (cluster.state() == MemberState::Ready).then_some((cluster.me, cluster.incarnation));
    let all: BTreeMap<NodeId, u64> = serving
        .iter()
        .map(|member| (member.id, member.incarnation))
        .chain(me)
        .collect();
    let key = key(&cluster.name, &all);
    let peers: Vec<Peer> = serving.iter().map(|member| peer(member)).collect();
    let owners: Vec<NodeId> = all.keys().copied().collect();
    let partitions = Partitions::new(&owners);
    let replicas = vec![partitions.owned_by(cluster.me)];
    let integrity = serving
        .iter()
        .all(|member| member.text(KEY) == Some(text_of(key).as_str()));
    ClusterView {
        key,
        peers_generation: old.peers_generation + u64::from(peers != old.peers),
        partition_generation: old.partition_generation + u64::from(replicas != old.replicas),
        rebalance_generation: old.rebalance_generation + u64::from(key != old.key),
        principal: all.keys().next_back().copied().unwrap_or(cluster.me),
        alumni: alumni(&old.alumni, &peers),
        peers,
        integrity,
        partitions: partitions.into(),
        replicas,
    }
}

/// A key as it is published.
pub(super) fn text_of(key: u64) -> String {
    format!("{key:X}")
}

fn peer(member: &Member) -> Peer {
    Peer {
        id: member.id,
        addresses: member.service.clone(),
        alternate_addresses: member.alternate.clone(),
    }
}

/// 48 bits, not 0, that only these runs of these members have.
fn key(cluster_name: &str, members: &BTreeMap<NodeId, u64>) -> u64 {
    let mut hash = Sha1::new();
    hash.update(cluster_name);
    for (id, incarnation) in members {
        hash.update(id.number().to_be_bytes());
        hash.update(incarnation.to_be_bytes());
    }
    let key = hash
        .finalize()
        .iter()
        .take(6)
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    key.max(1)
}

/// Every node that ever was a peer, as it was last.
fn alumni(old: &[Peer], peers: &[Peer]) -> Vec<Peer> {
    let mut all: BTreeMap<NodeId, Peer> = old.iter().map(|peer| (peer.id, peer.clone())).collect();
    all.extend(peers.iter().map(|peer| (peer.id, peer.clone())));
    all.into_values().collect()
}
