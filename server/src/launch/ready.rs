//! What is told once clients are served: on stdout for people or programs, in the log, in a file.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Launched;

/// The line that scripts wait for; it is the reference's.
pub(crate) const READY: &str = "service ready: soon there will be cake!";

/// What a program needs to know of a server that it has started:
///
/// ```json
/// {"version": "0.1.0", "pid": 4711, "addresses": ["127.0.0.1:3000"],
///  "nodes": [{"node-id": "BB9…", "addresses": ["127.0.0.1:3000"], "user-path": "/…/usr/udf/lua"}]}
/// ```
///
/// `addresses` has one address of each node. Members are added, never changed.
pub(crate) fn document(launched: &[Launched]) -> Value {
    let texts = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let nodes: Vec<Value> = launched
        .iter()
        .map(|node| {
            json!({
                "node-id": node.node.id.to_string(),
                "addresses": texts(&node.addresses),
                "user-path": node.user_path,
            })
        })
        .collect();
    let first: Vec<SocketAddr> = launched
        .iter()
        .filter_map(|node| node.addresses.first().copied())
        .collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "addresses": texts(&first),
        "nodes": nodes,
    })
}

/// Where it listens, where modules are kept, what to type next: for people.
pub(crate) fn announce(launched: &[Launched]) {
    let Some(first) = launched.first() else {
        return;
    };
    let addresses = launched
        .iter()
        .flat_map(|node| &node.addresses)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let options = first.addresses.first().map(tool_options);
    let options = options.unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let hint = match launched.len() {
        1 => format!("try: asinfo {options} -v udf-list"),
        nodes => format!(
            "one cluster of {nodes} nodes, gone with this process; try: asadm {options} -e info"
        ),
    };
    print(&format!(
        "asd {version}: listening on {addresses}; modules in {}\n{hint}\n",
        first.user_path
    ));
}

/// The options that make a tool on this machine reach an address, whatever a file of defaults names.
fn tool_options(address: &SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    let ip = match ip {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("-h {}", SocketAddr::new(ip, port))
}

/// The document on one line of stdout: for programs.
pub(crate) fn announce_document(document: &Value) {
    print(&format!("{document}\n"));
}

/// Writes to stdout. Nobody reading it is no reason to end.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::debug!(target: "as", "nobody reads stdout: {error}");
    }
}

/// A file with the document, there whole or not at all, removed when the server ends.
pub(crate) struct PortFile(PathBuf);

impl PortFile {
    /// Writes the file beside its place, then moves it there.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(path: &Path, document: &Value) -> io::Result<Self> {
        let written = (|| {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            writeln!(file, "{document}")?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(Self(path.to_owned()))
        })();
        written.map_err(|error: io::Error| {
            io::Error::new(
                error.kind(),
                format!("cannot write the port file {}: {error}", path.display()),
            )
        })
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(target: "as", "the port file {} stays: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_address_that_is_listened_on() {
        for (address, options) in [
            ("127.0.0.1:3000", "-h 127.0.0.1:3000"),
            ("0.0.0.0:3000", "-h 127.0.0.1:3000"),
            ("127.0.0.2:3000", "-h 127.0.0.2:3000"),
            ("10.1.2.3:4000", "-h 10.1.2.3:4000"),
            ("[::1]:3000", "-h [::1]:3000"),
        ] {
            assert_eq!(tool_options(&address.parse().unwrap()), options);
        }
    }

    #[test]
    fn a_port_file_is_written_whole_and_goes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ports");
        let file = PortFile::write(&path, &json!({"pid": 1})).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"pid\":1}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(file);
        assert!(!path.exists());
        let error = PortFile::write(&folder.path().join("no/such"), &json!({}))
            .err()
            .unwrap();
        assert!(
            error.to_string().starts_with("cannot write the port file "),
            "{error}"
        );
    }
}
