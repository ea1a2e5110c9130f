//! How the view of the cluster, as clients are told of it, follows from who is alive.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::membership::{Member, MemberState, Members};
use super::{Cluster, ClusterView, Peer};
use crate::config::node_id::NodeId;

/// The view after `old`, as a node that serves has it.
pub(super) fn next(cluster: &Cluster, members: &Members, old: &ClusterView) -> ClusterView {
    let of_state = |state| members.values().filter(move |member| member.state == state);
    let (view, is_agreed) = cluster
        .rule
        .with(|ownership, _| (ownership.view().clone(), ownership.is_agreed()));
    // One that is leaving has no partitions any more and still answers: clients are told of the new owners first, and that
    // it goes when they know them.
    let leaving = of_state(MemberState::Leaving).filter(|member| member.is_listed());
    let mut peers: Vec<Peer> = of_state(MemberState::Ready)
        .chain(leaving)
        .map(peer)
        .collect();
    peers.sort_unstable_by_key(|peer| peer.id);
    let partitions = Arc::clone(&view.partitions);
    let replicas = vec![partitions.owned_by(cluster.me)];
    let serves_here = cluster.state() == MemberState::Ready;
    let serving = of_state(MemberState::Ready).count() + usize::from(serves_here);
    let listed = serving == view.owners.len();
    ClusterView {
        key: view.key,
        peers_generation: old.peers_generation + u64::from(peers != old.peers),
        partition_generation: old.partition_generation + u64::from(replicas != old.replicas),
        rebalance_generation: old.rebalance_generation + u64::from(view.key != old.key),
        principal: view.owners.last().copied().unwrap_or(cluster.me),
        alumni: alumni(&old.alumni, &peers),
        peers,
        integrity: is_agreed && listed,
        partitions,
        clock_skew_ms: cluster.membership.skew_ms(),
        replicas,
    }
}

/// A key as it is printed.
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

/// Every node that ever was a peer, as it was last.
fn alumni(old: &[Peer], peers: &[Peer]) -> Vec<Peer> {
    let mut all: BTreeMap<NodeId, Peer> = old.iter().map(|peer| (peer.id, peer.clone())).collect();
    all.extend(peers.iter().map(|peer| (peer.id, peer.clone())));
    all.into_values().collect()
}
