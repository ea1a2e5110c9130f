//! Several servers that form one cluster, each with a loopback address of its own, so that ports never clash and a node
//! that starts again is where it was.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use crate::asd::{Asd, RunningAsd};
use crate::error::{Error, Result};
use crate::link::Link;

/// The first port of the range from which a cluster takes three; ports that the kernel gives away begin above the last.
const FIRST_PORT: u16 = 20_000;

/// So many times three ports are in that range.
const PORT_TRIPLES: u32 = 4_000;

/// Milliseconds between two heartbeats.
const INTERVAL_MS: u32 = 50;

/// Intervals after which a silent node counts as dead.
const PATIENCE: u32 = 1_000;

/// The last byte of a node's link follows that of the node itself at this distance.
const LINK_OFFSET: u8 = 100;

/// Clusters of this process so far.
static CLUSTERS: AtomicU32 = AtomicU32::new(0);

/// A cluster to be started node by node.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    program: PathBuf,
    directory: PathBuf,
    network: [u8; 2],
    /// The same on every node: clients', and after it fabric's and heartbeat's.
    port: u16,
    size: u8,
    interval_ms: u32,
    timeout: u32,
    linked: bool,
    storage: Option<String>,
}

impl ClusterPlan {
    /// A cluster of so many servers of this program, with directories in this one. Silent nodes count as dead after
    /// `PATIENCE` intervals only: a busy machine keeps a living one silent for seconds, and what it owns is refused then.
    pub fn new(program: impl Into<PathBuf>, directory: impl Into<PathBuf>, size: u8) -> Self {
        // Processes that run at the same time have other numbers.
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed) % 64;
        let place = (std::process::id() % 1_000) * 64 + number;
        let high = u8::try_from(1 + place / 256).unwrap_or(u8::MAX);
        let low = u8::try_from(place % 256).unwrap_or(u8::MAX);
        let network = [high, low];
        Self {
            program: program.into(),
            directory: directory.into(),
            network,
            port: free_port(network, std::process::id() / 1_000),
            size,
            interval_ms: INTERVAL_MS,
            timeout: PATIENCE,
            linked: false,
            storage: None,
        }
    }

    /// Keeps the records of namespace `test` in [`ClusterPlan::file`] of each node, with an engine of this name and such keys.
    pub fn lasting(mut self, engine: &str, keys: &str) -> Self {
        self.storage = Some(format!(
            "storage-engine {engine} {{\n        file FILE\n        filesize 64M\n        {keys}\n    }}"
        ));
        self
    }

    /// Where a node keeps its records, if it keeps them.
    pub fn file(&self, node: u8) -> PathBuf {
        self.node_directory(node).join("records.dat")
    }

    fn node_directory(&self, node: u8) -> PathBuf {
        self.directory.join(format!("node-{node}"))
    }

    /// Silent nodes count as dead after half a second: for nodes that are killed, cut off, or start while others do not run.
    pub fn mortal(self) -> Self {
        self.heartbeat(INTERVAL_MS, 10)
    }

    /// Silent nodes count as dead after so many intervals.
    pub fn heartbeat(mut self, interval_ms: u32, timeout: u32) -> Self {
        (self.interval_ms, self.timeout) = (interval_ms, timeout);
        self
    }

    /// Has the nodes reach each other through [`ClusterPlan::link`]s only, which can be cut.
    pub fn linked(mut self) -> Self {
        self.linked = true;
        self
    }

    /// Address of a node; the first is number 0.
    pub fn address(&self, node: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network[0], self.network[1], node + 1)
    }

    /// Where clients reach a node.
    pub fn service(&self, node: u8) -> SocketAddr {
        (self.address(node), self.port).into()
    }

    /// Where the others reach a node.
    fn outside(&self, node: u8) -> Ipv4Addr {
        let offset = if self.linked { LINK_OFFSET } else { 0 };
        Ipv4Addr::new(127, self.network[0], self.network[1], node + 1 + offset)
    }

    fn fabric_port(&self) -> u16 {
        self.port + 1
    }

    /// Where every node hears heartbeats, on its address.
    pub fn heartbeat_port(&self) -> u16 {
        self.port + 2
    }

    /// What lies between a node and the others.
    pub fn link(&self, node: u8) -> std::io::Result<Link> {
        let (outside, inside) = (self.outside(node), self.address(node));
        Link::open(outside, inside, self.heartbeat_port(), self.fabric_port())
    }

    /// Starts all nodes at the same time, and waits until each serves.
    pub fn start(&self) -> Result<Vec<RunningAsd>> {
        thread::scope(|scope| {
            let starting: Vec<_> = (0..self.size)
                .map(|node| scope.spawn(move || self.node(node).start()))
                .collect();
            starting
                .into_iter()
                .map(|node| {
                    let died = |_| Err(Error::Unexpected("the thread of a start died".to_owned()));
                    node.join().unwrap_or_else(died)
                })
                .collect()
        })
    }

    /// A node, in a directory that stays the same.
    pub fn node(&self, node: u8) -> Asd {
        let seeds: String = (0..self.size)
            .filter(|other| *other != node)
            .map(|other| {
                let (seed, port) = (self.outside(other), self.heartbeat_port());
                format!("        mesh-seed-address-port {seed} {port}\n")
            })
            .collect();
        let (address, outside) = (self.address(node), self.outside(node));
        let (heartbeat_port, fabric_port) = (self.heartbeat_port(), self.fabric_port());
        let (interval, timeout) = (self.interval_ms, self.timeout);
        let network = format!(
            "    heartbeat {{\n        mode mesh\n        address {address}\n        port {heartbeat_port}\n        \
             access-address {outside}\n{seeds}        interval {interval}\n        timeout {timeout}\n    }}\n    \
             fabric {{\n        address {address}\n        port {fabric_port}\n        access-address {outside}\n    }}\n"
        );
        let asd = Asd::new(&self.program, self.node_directory(node))
            .address(address)
            .port(self.port)
            .service(&format!("node-id A{node}"))
            .network(&network);
        match &self.storage {
            Some(block) => {
                let file = self.file(node).display().to_string();
                asd.storage(&block.replace("FILE", &file))
            }
            None => asd,
        }
    }
}

/// The first of three ports that nobody listens on, neither on the nodes' addresses nor on all. `start` differs between
/// processes whose clusters have the same addresses.
fn free_port([high, low]: [u8; 2], start: u32) -> u16 {
    let triples = (0..PORT_TRIPLES).map(|step| (start + step) % PORT_TRIPLES);
    let ports = triples.filter_map(|triple| Some(FIRST_PORT + 3 * u16::try_from(triple).ok()?));
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::new(127, high, low, 1), port)).is_ok();
    // Where none is free, starting a node says so.
    ports
        .into_iter()
        .find(|port| (*port..*port + 3).all(is_free))
        .unwrap_or(FIRST_PORT)
}
