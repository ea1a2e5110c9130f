//! Figures of `asadm` on clusters of many nodes: time from start to end, and memory, against goals.
//!
//! The nodes are ports of 127.0.0.1 that one process serves with frozen answers, so what is measured is `asadm` together
//! with a server that costs next to nothing. Nodes of 500 need 1,100 open files (`ulimit -n`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use clap::Parser;
use tests::error::{Error, Result};
use tests::usage::{self, Usage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Measure asadm on simulated clusters.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/asadm")]
    asadm: PathBuf,
    /// Runs of each case; the median counts.
    #[arg(long, default_value_t = 15)]
    runs: usize,
}

/// The command of the fan-out cases.
const CLEAR: &str = "enable; asinfo -v 'udf-clear-cache:'";
/// The limit of each step where nodes do not answer.
const LIMIT_MS: u32 = 1000;
/// Bytes of a request that are read at once; requests of `asadm` are short.
const REQUEST_MAX: usize = 1 << 16;

/// What all nodes of a cluster know.
struct Cluster {
    ports: Vec<u16>,
    /// For each node what it tells about its peers.
    peers: Vec<String>,
}

/// Simulated nodes, which end with this.
struct Nodes {
    port: u16,
    _runtime: Runtime,
}

impl Nodes {
    /// So many nodes; the last `holes` of them accept connections and never answer.
    fn start(count: usize, holes: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(Error::io("start a runtime"))?;
        let port = runtime.block_on(async {
            let mut listeners = Vec::with_capacity(count);
            let mut ports = Vec::with_capacity(count);
            for _ in 0..count {
                let listener = TcpListener::bind(("127.0.0.1", 0))
                    .await
                    .map_err(Error::io("listen, perhaps `ulimit -n` is too low"))?;
                let address = listener.local_addr().map_err(Error::io("ask for a port"))?;
                ports.push(address.port());
                listeners.push(listener);
            }
            let cluster = Arc::new(Cluster {
                peers: (0..count).map(|index| peers(index, &ports)).collect(),
                ports,
            });
            for (index, listener) in listeners.into_iter().enumerate() {
                let cluster = Arc::clone(&cluster);
                let answers = index < count - holes;
                tokio::spawn(serve(listener, index, cluster, answers));
            }
            cluster
                .ports
                .first()
                .copied()
                .ok_or_else(|| Error::Unexpected("a cluster has nodes".to_owned()))
        })?;
        Ok(Self {
            port,
            _runtime: runtime,
        })
    }
}

async fn serve(listener: TcpListener, index: usize, cluster: Arc<Cluster>, answers: bool) {
    while let Ok((stream, _)) = listener.accept().await {
        let cluster = Arc::clone(&cluster);
        tokio::spawn(async move {
            if answers {
                // A connection that ends in whatever way is over.
                converse(stream, index, &cluster).await.ok();
            } else {
                let _held = stream;
                std::future::pending::<()>().await;
            }
        });
    }
}

async fn converse(mut stream: TcpStream, index: usize, cluster: &Cluster) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = BytesMut::with_capacity(REQUEST_MAX);
    while stream.read_buf(&mut received).await? > 0 {
        while received.len() >= 8 {
            let header = received.as_ref().get_u64();
            let size = usize::try_from(header & 0xffff_ffff_ffff).unwrap_or(usize::MAX);
            if size > REQUEST_MAX || received.len() - 8 < size {
                break;
            }
            received.advance(8);
            let body = received.split_to(size);
            let mut reply = String::new();
            for command in String::from_utf8_lossy(&body).lines() {
                reply.push_str(command);
                reply.push('\t');
                answer(&mut reply, command, index, cluster);
                reply.push('\n');
            }
            let length = u64::try_from(reply.len()).unwrap_or_default();
            let mut out = (length | 0x0201_u64 << 48).to_be_bytes().to_vec();
            out.extend(reply.bytes());
            stream.write_all(&out).await?;
        }
    }
    Ok(())
}

fn answer(reply: &mut String, command: &str, index: usize, cluster: &Cluster) {
    let port = cluster.ports.get(index).copied().unwrap_or_default();
    // Writing to memory does not fail.
    let _ = match command {
        "node" => write!(reply, "BB9{index:012X}"),
        "build" => write!(reply, "8.1.2.0"),
        "connection" => write!(reply, "admin=false"),
        "edition" => write!(reply, "Aerospike Community Edition"),
        "service-clear-std" => write!(reply, "127.0.0.1:{port}"),
        "peers-clear-std" => write!(
            reply,
            "{}",
            cluster.peers.get(index).map_or("", |peers| peers.as_str())
        ),
        "statistics" => write!(
            reply,
            "cluster_size={};cluster_key=9E0123456789;cluster_principal=BB9000000000001;cluster_integrity=true;cluster_is_member=true;migrate_partitions_remaining=0;client_connections=3;uptime=1234",
            cluster.ports.len()
        ),
        "namespaces" => write!(reply, "test"),
        "udf-clear-cache:" => write!(reply, "ok"),
        _ if command.starts_with("user-agent-set:") => write!(reply, "ok"),
        _ => write!(reply, "ERROR:4:unrecognized command"),
    };
}

/// The answer of a node that names all others.
fn peers(index: usize, ports: &[u16]) -> String {
    let others: Vec<_> = ports
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .map(|(other, port)| format!("[BB9{other:012X},,[127.0.0.1:{port}]]"))
        .collect();
    format!("1,3000,[{}]", others.join(","))
}

/// Runs the program once; `code` is the exit status that it must have.
fn run(arguments: &Arguments, nodes: &Nodes, text: &str, code: i32) -> Result<Usage> {
    let mut command = Command::new(&arguments.asadm);
    command
        .args(["--no-config-file", "--enable", "--timeout"])
        .arg((f64::from(LIMIT_MS) / 1000.0).to_string())
        .args(["-h", &format!("127.0.0.1:{}", nodes.port), "-e", text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    usage::run(&mut command, code)
}

/// Median time in milliseconds, and the largest memory in megabytes.
fn measure(
    arguments: &Arguments,
    nodes: &Nodes,
    text: &str,
    (runs, code): (usize, i32),
) -> Result<(f64, f64)> {
    let mut times = Vec::with_capacity(runs);
    let mut memory = 0.0_f64;
    for _ in 0..runs {
        let run = run(arguments, nodes, text, code)?;
        times.push(run.elapsed.as_secs_f64() * 1000.0);
        memory = memory.max(run.memory);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok((median, memory))
}

fn row(figure: &str, measured: &str, goal: &str) {
    println!("| {figure} | {measured} | {goal} |");
}

fn figures(arguments: &Arguments) -> Result<()> {
    let runs = (arguments.runs, 0);
    println!("| figure | measured | goal |\n|---|---|---|");
    // Memory first: a process that was just started counts what its parent held.
    let nodes = Nodes::start(3, 0)?;
    let (time, memory) = measure(arguments, &nodes, CLEAR, runs)?;
    row(
        "clear the cache, 3 nodes, start to end",
        &format!("{time:.1} ms"),
        "≤ 10",
    );
    row("the same, peak memory", &format!("{memory:.1} MB"), "≤ 12");
    drop(nodes);
    for count in [100, 200, 400] {
        let nodes = Nodes::start(count, 0)?;
        let (time, _) = measure(arguments, &nodes, CLEAR, runs)?;
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let each = time / count as f64;
        row(
            &format!("clear the cache, {count} nodes"),
            &format!("{time:.1} ms, {each:.3} a node"),
            "linear",
        );
    }
    let nodes = Nodes::start(500, 0)?;
    let (time, _) = measure(arguments, &nodes, CLEAR, runs)?;
    row(
        "clear the cache, 500 nodes",
        &format!("{time:.1} ms"),
        "≤ 150",
    );
    let (time, _) = measure(arguments, &nodes, "info network", runs)?;
    row("info network, 500 nodes", &format!("{time:.1} ms"), "≤ 300");
    drop(nodes);
    let nodes = Nodes::start(500, 20)?;
    let (time, _) = measure(arguments, &nodes, CLEAR, (3, 2))?;
    row(
        "clear the cache, 20 of 500 nodes silent, limit 1 s",
        &format!("{time:.0} ms"),
        "≤ 1100",
    );
    Ok(())
}

fn main() -> ExitCode {
    match figures(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
