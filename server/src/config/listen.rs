//! From addresses in words to addresses of sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use super::NetworkSettings;

/// What the kernel knows about IPv4 addresses; each local one stands before a line `/32 host LOCAL`.
const FIB_TRIE: &str = "/proc/net/fib_trie";

/// The machine's own addresses that others may reach; the loopback address if it has no other.
#[must_use]
pub fn local_addresses() -> Vec<String> {
    let mut found = local_in(&std::fs::read_to_string(FIB_TRIE).unwrap_or_default());
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST);
    }
    found.iter().map(Ipv4Addr::to_string).collect()
}

fn local_in(trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line
            .strip_prefix("|-- ")
            .and_then(|address| address.parse::<Ipv4Addr>().ok())
        {
            last = Some(address);
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found.sort();
    found
}

/// Resolves `any`, IP addresses and host names, in order and without repetitions.
///
/// # Errors
/// A name that the system cannot resolve; the error names it.
pub fn resolve(hosts: &[String], port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for host in hosts {
        let addresses: Vec<SocketAddr> = match (host.as_str(), host.parse::<IpAddr>()) {
            ("any", _) => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
            (_, Ok(address)) => vec![(address, port).into()],
            (name, Err(_)) => (name, port)
                .to_socket_addrs()
                .map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("cannot resolve the address `{name}`: {error}"),
                    )
                })?
                .collect(),
        };
        for address in addresses {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Ok(found)
}

impl NetworkSettings {
    /// The addresses to listen on for clients.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn service_sockets(&self) -> io::Result<Vec<SocketAddr>> {
        resolve(&self.service_addresses(), self.service_port())
    }

    /// The addresses of the admin port; none when it is off.
    ///
    /// # Errors
    /// As [`resolve`].
    pub fn admin_sockets(&self) -> io::Result<Vec<SocketAddr>> {
        match self.admin_port() {
            0 => Ok(Vec::new()),
            port => resolve(&self.admin_addresses(), port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{local_in, resolve};

    #[test]
    fn finds_local_addresses_in_the_kernel_table() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n     |-- 192.0.2.2\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\nLocal:\n     |-- 192.0.2.2\n        /32 host LOCAL\n";
        let found: Vec<String> = local_in(trie).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.2"]);
        assert!(local_in("nonsense").is_empty());
    }

    #[test]
    fn resolves_words() {
        let found = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            resolve(&hosts, 3_000)
                .map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            found(&["any", "127.0.0.1", "::1", "127.0.0.1"]).unwrap(),
            ["0.0.0.0:3000", "127.0.0.1:3000", "[::1]:3000"]
        );
        assert!(found(&[]).unwrap().is_empty());
        let error = found(&["no-such-host.invalid"]).unwrap_err().to_string();
        assert!(
            error.starts_with("cannot resolve the address `no-such-host.invalid`: "),
            "{error}"
        );
    }
}
