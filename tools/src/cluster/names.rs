//! Keys and display names of nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Member;

/// How long a name may take.
const LOOKUP_LIMIT: Duration = Duration::from_millis(500);

/// `ip:port`, `[v6]:port`.
pub(super) fn key(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// Host and port of a key, the host without brackets.
pub fn split_key(key: &str) -> (&str, &str) {
    let (host, port) = key.rsplit_once(':').unwrap_or((key, ""));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// Whether a key has an address and not a name.
pub(super) fn is_address(key: &str) -> bool {
    key.parse::<SocketAddr>().is_ok()
}

/// The full names by which a node can be selected.
pub(super) fn of(member: &Member) -> impl Iterator<Item = &str> {
    [
        member.node.key.as_str(),
        member.node.name.as_str(),
        member.node.id.as_str(),
    ]
    .into_iter()
}

/// Looks all names up, at the same time, and gives every node its display name.
pub(super) async fn give(members: &mut [Member]) {
    // Nodes may share an address, and a look-up takes a thread.
    let addresses: BTreeSet<IpAddr> = members
        .iter()
        .filter(|member| member.node.alive)
        .filter_map(|member| member.ip.parse().ok())
        .collect();
    let mut lookups = JoinSet::new();
    for ip in addresses {
        lookups.spawn(async move {
            let name = tokio::task::spawn_blocking(move || dns_lookup::lookup_addr(&ip));
            (ip, timeout(LOOKUP_LIMIT, name).await)
        });
    }
    let mut found = BTreeMap::new();
    while let Some(done) = lookups.join_next().await {
        if let Ok((ip, Ok(Ok(Ok(name))))) = done {
            found.insert(ip, name);
        }
    }
    for member in members.iter_mut() {
        // Without a name the lookup gives the address back.
        let ip = member.ip.parse::<IpAddr>().ok();
        let name = ip
            .filter(|_| member.node.alive)
            .and_then(|ip| found.get(&ip).cloned())
            .filter(|name| name.parse::<IpAddr>().is_err());
        member.node.name = match &name {
            Some(name) => format!("{name}:{}", member.port),
            None => member.node.key.clone(),
        };
        member.fqdn = name;
    }
    let mut counts = BTreeMap::new();
    for member in members.iter() {
        *counts.entry(member.node.name.clone()).or_insert(0) += 1;
    }
    if counts.values().any(|count| *count > 1) {
        for member in members {
            member.node.name = member.node.key.clone();
        }
    }
}
