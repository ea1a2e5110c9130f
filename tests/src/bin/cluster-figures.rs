//! Figures of clusters: how long a registration takes, how soon a dead node is out, how soon one that comes back has
//! everything, and what the nodes say to each other when nothing happens.
//!
//! All nodes run on this machine, each a process with its own loopback address. A registration is one sync of a disk and
//! two round trips, so the disk under the directory of temporary files counts.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use tests::asd::RunningAsd;
use tests::cluster::ClusterPlan;
use tests::error::{Error, Result};
use tests::process::wait_until;
use tests::records::{module_names, put_module};

/// Whatever is waited for takes far less.
const DEADLINE: Duration = Duration::from_secs(60);

/// Heartbeats as the server has them by default, milliseconds and count.
const INTERVAL_MS: u32 = 150;
const TIMEOUT: u32 = 10;

/// Measure clusters of asd.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/asd")]
    asd: PathBuf,
    /// Registrations of each cluster.
    #[arg(long, default_value_t = 500)]
    puts: u32,
    /// Milliseconds between two registrations, so that each finds idle nodes: after the answer a node still makes contexts.
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Modules that a node misses while it is away.
    #[arg(long, default_value_t = 1000)]
    missed: u32,
    /// Seconds of silence that are listened to.
    #[arg(long, default_value_t = 10)]
    idle: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cluster-figures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    least(arguments)?;
    for size in [1, 3, 7] {
        puts(arguments, size)?;
    }
    death_and_return(arguments)?;
    for size in [3, 10] {
        idle(arguments, size)?;
    }
    Ok(())
}

fn plan(arguments: &Arguments, size: u8) -> Result<(Directory, ClusterPlan)> {
    let directory = Directory::new()?;
    let plan = ClusterPlan::new(&arguments.asd, &directory.0, size).heartbeat(INTERVAL_MS, TIMEOUT);
    Ok((directory, plan))
}

/// A directory that goes with the figure.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Result<Self> {
        let name = format!("asd-cluster-figures-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What an earlier figure left.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(Error::io("make a directory"))?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wait_for_size(nodes: &[RunningAsd]) -> Result<()> {
    let command = format!("cluster-stable:size={}", nodes.len());
    wait_until("the nodes form one cluster", DEADLINE, || {
        for node in nodes {
            if node.connect()?.info(&command)?.starts_with("ERROR") {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

fn register(node: &RunningAsd, number: u32) -> Result<()> {
    let source = format!("function number() return {number} end\n");
    let file = format!("m{number}.lua");
    match put_module(&mut node.connect()?, &file, source.as_bytes())?.as_str() {
        "ok" => Ok(()),
        answer => Err(Error::Unexpected(format!("{file}: {answer}"))),
    }
}

/// What no registration can do without: one sync of a new file, and two round trips.
fn least(arguments: &Arguments) -> Result<()> {
    let (directory, plan) = plan(arguments, 1)?;
    let nodes = plan.start()?;
    let mut connection = match nodes.first() {
        Some(node) => node.connect()?,
        None => return Err(Error::Unexpected("no node".to_owned())),
    };
    let mut times =
        Histogram::<u64>::new(3).map_err(|error| Error::Unexpected(error.to_string()))?;
    for number in 0..arguments.puts {
        std::thread::sleep(Duration::from_millis(arguments.pause));
        let begun = Instant::now();
        let path = directory.0.join(format!("least-{number}"));
        std::fs::File::create(path)
            .and_then(|mut file| {
                file.write_all(&[b'x'; 64])?;
                file.sync_all()
            })
            .map_err(Error::io("write a file"))?;
        connection.info("build")?;
        connection.info("build")?;
        record(&mut times, begun)?;
    }
    print(&times, "one sync and two round trips".to_owned());
    Ok(())
}

fn record(times: &mut Histogram<u64>, begun: Instant) -> Result<()> {
    let time = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
    times
        .record(time)
        .map_err(|error| Error::Unexpected(error.to_string()))
}

fn print(times: &Histogram<u64>, what: String) {
    let ms = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let (median, p99) = (ms(0.5), ms(0.99));
    println!("{what:46}{median:10.2} ms   p99 {p99:.2} ms");
}

fn puts(arguments: &Arguments, size: u8) -> Result<()> {
    let (_directory, plan) = plan(arguments, size)?;
    let nodes = plan.start()?;
    wait_for_size(&nodes)?;
    let first = nodes
        .first()
        .ok_or_else(|| Error::Unexpected("no node".to_owned()))?;
    let mut connection = first.connect()?;
    let mut times =
        Histogram::<u64>::new(3).map_err(|error| Error::Unexpected(error.to_string()))?;
    for number in 0..arguments.puts {
        let source = format!("function number() return {number} end\n");
        std::thread::sleep(Duration::from_millis(arguments.pause));
        let begun = Instant::now();
        let answer = put_module(&mut connection, "m.lua", source.as_bytes())?;
        if answer != "ok" {
            return Err(Error::Unexpected(format!("m.lua: {answer}")));
        }
        record(&mut times, begun)?;
    }
    print(&times, format!("registration acknowledged, {size:2} nodes"));
    Ok(())
}

fn death_and_return(arguments: &Arguments) -> Result<()> {
    let (_directory, plan) = plan(arguments, 3)?;
    let mut nodes = plan.start()?;
    wait_for_size(&nodes)?;
    let mut gone = nodes
        .pop()
        .ok_or_else(|| Error::Unexpected("no node".to_owned()))?;
    gone.kill()?;
    let begun = Instant::now();
    let address = plan.address(2).to_string();
    wait_until("the dead node is out of all lists", DEADLINE, || {
        for node in &nodes {
            if node.connect()?.info("peers-clear-std")?.contains(&address) {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    let out = begun.elapsed().as_secs_f64();
    println!(
        "dead node is out of the lists of peers          {out:8.2} s    ({INTERVAL_MS} ms x {TIMEOUT})"
    );
    for number in 0..arguments.missed {
        let Some(node) = nodes.first() else { break };
        register(node, number)?;
    }
    let begun = Instant::now();
    let back = plan.node(2).start()?;
    let names = module_names(&mut back.connect()?)?;
    let caught_up = begun.elapsed().as_secs_f64();
    if names.len() != usize::try_from(arguments.missed).unwrap_or(0) {
        return Err(Error::Unexpected(format!("{} modules came", names.len())));
    }
    println!(
        "start to ready with {} missed modules          {caught_up:8.2} s",
        arguments.missed
    );
    Ok(())
}

fn idle(arguments: &Arguments, size: u8) -> Result<()> {
    let (_directory, plan) = plan(arguments, size)?;
    let plan = plan.linked();
    let links = (0..size)
        .map(|node| plan.link(node).map_err(Error::io("open a link")))
        .collect::<Result<Vec<_>>>()?;
    let nodes = plan.start()?;
    wait_for_size(&nodes)?;
    std::thread::sleep(Duration::from_secs(2));
    let traffic = || {
        links.iter().fold((0, 0), |sum, link| {
            let (datagrams, bytes) = link.traffic();
            (sum.0 + datagrams, sum.1 + bytes)
        })
    };
    let (begun, before) = (Instant::now(), traffic());
    std::thread::sleep(Duration::from_secs(arguments.idle));
    let after = traffic();
    let each = begun.elapsed().as_secs_f64() * f64::from(size);
    let messages = (after.0 - before.0) as f64 / each;
    let bytes = (after.1 - before.1) as f64 / each;
    println!(
        "idle, {size:4} nodes: sent by each in a second      {messages:8.1} messages  {bytes:.0} bytes"
    );
    Ok(())
}
