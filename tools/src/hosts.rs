//! Seeds as they are written with `-h` and in configuration files.
//!
//! ```text
//! list = item *( "," item )
//! item = host [ ":" [ tls-name ":" ] port ]
//! host = name | IPv4 address | "[" IPv6 address "]"
//! ```

use std::fmt;

use thiserror::Error;

/// One host to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The name that the host's certificate must carry.
    pub tls_name: Option<String>,
}

/// A host item that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Something else than a port number.
    #[error("host parse error: `{port}` in `{item}` is no port, expected a number up to 65535")]
    Port {
        /// What stands in its place.
        port: String,
        /// The whole item.
        item: String,
    },
    /// Brackets that do not match, or too many parts.
    #[error("host parse error: `{0}`, expected host, host:port, host:tls-name:port or [ipv6]:port")]
    Form(String),
}

impl Seed {
    /// Reads a comma-separated list; `port` is for items without one.
    pub fn parse_list(list: &str, port: u16) -> Result<Vec<Self>, HostError> {
        list.split(',')
            .map(|item| Self::parse(item.trim(), port))
            .collect()
    }

    fn parse(item: &str, default_port: u16) -> Result<Self, HostError> {
        let form = || HostError::Form(item.to_owned());
        let (host, rest) = match item.strip_prefix('[') {
            Some(inner) => inner.split_once(']').ok_or_else(form)?,
            None => item.split_at(item.find(':').unwrap_or(item.len())),
        };
        if host.is_empty() {
            return Err(form());
        }
        let (tls_name, port) = match rest.strip_prefix(':') {
            None if rest.is_empty() => (None, None),
            None => return Err(form()),
            Some(rest) => match rest.split_once(':') {
                None => (None, Some(rest)),
                Some((tls_name, port)) => (Some(tls_name), Some(port)),
            },
        };
        let port = match port {
            None => default_port,
            Some(port) if port.contains(':') => return Err(form()),
            Some(port) => port.parse().map_err(|_| HostError::Port {
                port: port.to_owned(),
                item: item.to_owned(),
            })?,
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            tls_name: tls_name.filter(|name| !name.is_empty()).map(str::to_owned),
        })
    }
}

/// `('127.0.0.1', 3000, None)`, the form in which the tools have always named a seed.
impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "('{}', {}, ", self.host, self.port)?;
        match &self.tls_name {
            Some(name) => write!(f, "'{name}')"),
            None => f.write_str("None)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_host() {
        for (list, expected) in [
            ("127.0.0.1", "('127.0.0.1', 3000, None)"),
            ("db:4333", "('db', 4333, None)"),
            ("db:tls:4333", "('db', 4333, 'tls')"),
            ("[::1]", "('::1', 3000, None)"),
            ("[::1]:4333", "('::1', 4333, None)"),
            ("[::1]:tls:4333", "('::1', 4333, 'tls')"),
            ("a,b:1", "('a', 3000, None) ('b', 1, None)"),
            ("a, b", "('a', 3000, None) ('b', 3000, None)"),
        ] {
            let seeds = Seed::parse_list(list, 3000).unwrap();
            let shown: Vec<_> = seeds.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), expected, "{list}");
        }
    }

    #[test]
    fn refuses_what_is_no_host() {
        for list in [
            "",
            "a,,b",
            "a:b",
            "a:99999",
            "a:t:x",
            "a:b:c:1",
            "::1",
            "[::1",
            "[::1]3000",
        ] {
            assert!(Seed::parse_list(list, 3000).is_err(), "{list}");
        }
    }
}
