//! From addresses in words to addresses of sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use super::NetworkSettings;

/// The machine's own addresses that others may reach; the loopback address if it has no other.
///
/// IPv4 only, ascending. A machine that does not tell has the loopback address.
#[must_use]
pub fn local_addresses() -> Vec<String> {
    let mut found: Vec<Ipv4Addr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().filter_map(reachable).collect(),
        Err(error) => {
            tracing::warn!(target: "as", "the machine does not tell its addresses: {error}");
            Vec::new()
        }
    };
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        found.push(Ipv4Addr::LOCALHOST);
    }
    found.iter().map(Ipv4Addr::to_string).collect()
}

fn reachable(interface: &if_addrs::Interface) -> Option<Ipv4Addr> {
    match interface.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

/// Resolves `any`, `local`, IP addresses, names of interfaces and of hosts, in order and without repetitions.
///
/// # Errors
/// A name that is no interface and that the system cannot resolve; the error names it.
pub fn resolve(hosts: &[String], port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for host in hosts {
        let addresses: Vec<SocketAddr> = match (host.as_str(), host.parse::<IpAddr>()) {
            ("any", _) => vec![(Ipv4Addr::UNSPECIFIED, port).into()],
            ("local", _) => vec![(Ipv4Addr::LOCALHOST, port).into()],
            (_, Ok(address)) => vec![(address, port).into()],
            (name, Err(_)) => named(name, port)?,
        };
        for address in addresses {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    Ok(found)
}

/// The addresses of an interface of this name, else those of the host.
fn named(name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let interfaces = if_addrs::get_if_addrs().map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot look for an interface `{name}`: {error}"),
        )
    })?;
    let of_interface: Vec<SocketAddr> = interfaces
        .iter()
        .filter(|interface| interface.name == name && !interface.is_link_local())
        .map(|interface| (interface.ip(), port).into())
        .collect();
    if !of_interface.is_empty() {
        return Ok(of_interface);
    }
    (name, port)
        .to_socket_addrs()
        .map(Iterator::collect)
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("`{name}` is no interface of this machine and cannot be resolved: {error}"),
            )
        })
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
    use super::{local_addresses, resolve};

    #[test]
    fn resolves_words() {
        let found = |hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            resolve(&hosts, 3_000)
                .map(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            found(&["any", "local", "127.0.0.1", "::1", "127.0.0.1"]).unwrap(),
            ["0.0.0.0:3000", "127.0.0.1:3000", "[::1]:3000"]
        );
        assert!(found(&[]).unwrap().is_empty());
        // The loopback interface, by its name, on machines of every kind.
        let loopback = if_addrs::get_if_addrs().unwrap();
        let loopback = loopback
            .iter()
            .find(|interface| interface.is_loopback())
            .unwrap();
        assert!(
            found(&[&loopback.name])
                .unwrap()
                .contains(&"127.0.0.1:3000".to_owned())
        );
        assert!(!local_addresses().is_empty());
        let error = found(&["no-such-host.invalid"]).unwrap_err().to_string();
        assert!(
            error.starts_with(
                "`no-such-host.invalid` is no interface of this machine and cannot be resolved: "
            ),
            "{error}"
        );
    }
}
