//! Answers that name addresses.
//!
//! ```text
//! service: addr:port,addr:port
//! peers:   <generation>,<default port>,[[<node id>,<tls name>,[<addr>[:port],…]],…]
//! ```

/// A node that another one names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) id: String,
    /// False where only an address was told, which then stands for the id.
    pub(crate) id_known: bool,
    /// Name in its certificate.
    pub(crate) tls_name: Option<String>,
    pub(crate) addresses: Vec<(String, u16)>,
}

/// Addresses of a `service-…` answer; none if it is an error.
pub(crate) fn services(answer: &str) -> Vec<(String, u16)> {
    answer
        .split([',', ';'])
        .filter_map(|item| address(item, None))
        .collect()
}

/// Peers of a `peers-…` answer that are not known yet, and whether all of it could be read; those before a damaged
/// place are kept. Every node names all others, so what is known is passed over without a copy.
pub(crate) fn peers(answer: &str, known: impl Fn(&str) -> bool) -> (Vec<Peer>, bool) {
    let mut peers = Vec::new();
    let complete = answer.is_empty() || read(answer, &mut peers, known).is_some();
    let reachable = peers.iter().all(|peer| !peer.addresses.is_empty());
    (peers, complete && reachable)
}

fn read(answer: &str, peers: &mut Vec<Peer>, known: impl Fn(&str) -> bool) -> Option<()> {
    let (_, rest) = answer.split_once(',')?;
    let (port, list) = rest.split_once(',')?;
    let port = port.parse().ok();
    let mut rest = list.strip_prefix('[')?;
    while let Some(peer) = rest.trim_start_matches(',').strip_prefix('[') {
        let (id, after) = peer.split_once(',')?;
        let (tls_name, after) = after.split_once(',')?;
        let after = after.strip_prefix('[')?;
        // IPv6 addresses have brackets too, but no `]]` ends one before the list does.
        let end = after.find("]]").map(|end| {
            let v6 = after
                .get(end + 2..)
                .is_some_and(|next| next.starts_with(']'));
            let open = after
                .get(..end)
                .is_some_and(|inner| inner.matches('[').count() > inner.matches(']').count());
            if v6 && open { end + 1 } else { end }
        })?;
        let addresses = after.get(..end)?;
        rest = after.get(end + 2..)?;
        if known(id) {
            continue;
        }
        peers.push(Peer {
            id: id.to_owned(),
            id_known: true,
            tls_name: (!tls_name.is_empty()).then(|| tls_name.to_owned()),
            addresses: addresses
                .split(',')
                .filter_map(|item| address(item, port))
                .collect(),
        });
    }
    (rest.trim() == "]").then_some(())
}

fn address(item: &str, port: Option<u16>) -> Option<(String, u16)> {
    let item = item.trim();
    if let Some(inner) = item.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(text) => text.parse().ok(),
            None => port,
        }?;
        return Some((host.to_owned(), port));
    }
    match item.split_once(':') {
        Some((host, text)) => Some((host.to_owned(), text.parse().ok()?)),
        None if item.is_empty() => None,
        None => Some((item.to_owned(), port?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_peers_of_every_form() {
        for (answer, expected, complete) in [
            ("0,3000,[]", "", true),
            (
                "4,3000,[[BB1,,[127.0.0.12]],[BB2,tls,[10.0.0.1:3100,[::1]:4]]]",
                "BB1 127.0.0.12:3000 | BB2 10.0.0.1:3100 ::1:4",
                true,
            ),
            ("4,3000,[[BB1,,[[fe80::1]]]]", "BB1 fe80::1:3000", true),
            ("4,,[[BB1,,[10.0.0.1:5]]]", "BB1 10.0.0.1:5", true),
            ("ERROR:4:unrecognized command", "", false),
            ("4,3000,[[BB1", "", false),
            ("4,3000,[[BB1,,[10.0.0.1]],[BB", "BB1 10.0.0.1:3000", false),
            ("4,3000,[[BB1,,[a:b]]]", "BB1", false),
            ("", "", true),
        ] {
            let (peers, whole) = peers(answer, |_| false);
            assert_eq!(whole, complete, "{answer}");
            let shown: Vec<_> = peers
                .iter()
                .map(|peer| {
                    let addresses: Vec<_> = peer
                        .addresses
                        .iter()
                        .map(|(host, port)| format!(" {host}:{port}"))
                        .collect();
                    peer.id.clone() + &addresses.concat()
                })
                .collect();
            assert_eq!(shown.join(" | "), expected, "{answer}");
        }
    }

    #[test]
    fn reads_services() {
        assert_eq!(
            services("10.0.0.1:3000,[::1]:4"),
            [("10.0.0.1".to_owned(), 3000), ("::1".to_owned(), 4)]
        );
        assert_eq!(services("ERROR:4:unrecognized command"), []);
    }
}
