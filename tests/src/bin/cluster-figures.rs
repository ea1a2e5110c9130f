//! Figures of clusters: how long a registration takes, how soon a dead node is out, how soon one that comes back has
//! everything, and what the nodes say to each other when nothing happens.
//!
//! All nodes run on this machine, each a process with its own loopback address. A registration is one sync on each node and
//! two round trips, so the disk under the directory of temporary files counts.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Parser;
use hdrhistogram::Histogram;
use tests::asd::RunningAsd;
use tests::cluster::ClusterPlan;
use tests::directory::Directory;
use tests::error::{Error, Result};
use tests::process::wait_until;
use tests::records::{CallOptions, RecordKey, module_names, put_module};

/// Whatever is waited for takes far less.
const DEADLINE: Duration = Duration::from_secs(60);

/// Heartbeats as the server has them by default, milliseconds and count.
const INTERVAL_MS: u32 = 150;
const TIMEOUT: u32 = 10;

/// What a registration may take at the median beyond the bare program's syncs and round trips. At the 99th percentile it may take
/// three times the sum.
const ALLOWED_MS: f64 = 1.0;

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
    /// Seconds of each of ten stretches of calls.
    #[arg(long, default_value_t = 3)]
    calls: u64,
    /// Nothing but registrations and calls beside them.
    #[arg(long)]
    only_modules: bool,
    /// Modules that a node misses while it is away.
    #[arg(long, default_value_t = 1000)]
    missed: u32,
    /// Seconds of silence that are listened to.
    #[arg(long, default_value_t = 10)]
    idle: u64,
    /// Be one of the bare processes, with this file.
    #[arg(long, hide = true)]
    bare_node: Option<PathBuf>,
    /// The others, that it passes on to.
    #[arg(long, hide = true)]
    bare_peer: Vec<String>,
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
    if let Some(file) = &arguments.bare_node {
        return bare_node(file, &arguments.bare_peer).map_err(Error::io("be a bare process"));
    }
    for size in [1, 3, 7] {
        puts(arguments, size)?;
    }
    calls(arguments)?;
    if arguments.only_modules {
        return Ok(());
    }
    death_and_return(arguments)?;
    for size in [3, 10] {
        idle(arguments, size)?;
    }
    Ok(())
}

fn plan(arguments: &Arguments, size: u8) -> Result<(Directory, ClusterPlan)> {
    let directory = Directory::new("cluster-figures")?;
    let plan =
        ClusterPlan::new(&arguments.asd, directory.path(), size).heartbeat(INTERVAL_MS, TIMEOUT);
    Ok((directory, plan))
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

/// What no registration can do without: as many syncs at once as there are nodes, each of bytes that were appended to a
/// file of its own.
struct Disks {
    orders: Vec<mpsc::Sender<()>>,
    done: mpsc::Receiver<std::io::Result<()>>,
}

impl Disks {
    fn new(directory: &Path, count: u8) -> Result<Self> {
        let (ended, done) = mpsc::channel();
        let mut orders = Vec::new();
        for number in 0..count {
            let path = directory.join(format!("bare-{number}"));
            let mut file = std::fs::File::create(path).map_err(Error::io("make a file"))?;
            let (order, next) = mpsc::channel();
            let ended = ended.clone();
            std::thread::spawn(move || {
                while next.recv().is_ok() {
                    let synced = file
                        .write_all(&[b'x'; MESSAGE])
                        .and_then(|()| file.sync_data());
                    if ended.send(synced).is_err() {
                        break;
                    }
                }
            });
            orders.push(order);
        }
        Ok(Self { orders, done })
    }

    fn sync(&self) -> Result<()> {
        for order in &self.orders {
            order.send(()).map_err(|_| gone())?;
        }
        for _ in &self.orders {
            let synced = self.done.recv().map_err(|_| gone())?;
            synced.map_err(Error::io("sync a file"))?;
        }
        Ok(())
    }
}

/// Bytes of a message between bare processes, and of what they sync: about as long as a small module is.
const MESSAGE: usize = 300;

/// A process that passes each message on to its peers, appends it to its file and syncs that, and answers a byte when its
/// peers have.
fn bare_node(file: &Path, peers: &[String]) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let mut file = std::fs::File::create(file)?;
    let connect = |peer: &String| {
        let stream = TcpStream::connect(peer)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    };
    let peers: std::io::Result<Vec<TcpStream>> = peers.iter().map(connect).collect();
    let mut peers = peers?;
    let (mut asker, _) = listener.accept()?;
    asker.set_nodelay(true)?;
    let (mut message, mut answer) = ([0; MESSAGE], [0]);
    while asker.read_exact(&mut message).is_ok() {
        for peer in &mut peers {
            peer.write_all(&message)?;
        }
        file.write_all(&message).and_then(|()| file.sync_data())?;
        for peer in &mut peers {
            peer.read_exact(&mut answer)?;
        }
        asker.write_all(&answer)?;
    }
    Ok(())
}

/// What as many processes need for the same messages and syncs, if they do nothing else.
struct Processes {
    children: Vec<Child>,
    first: TcpStream,
}

impl Processes {
    fn new(directory: &Path, count: u8) -> Result<Self> {
        let program = std::env::current_exe().map_err(Error::io("find this program"))?;
        let (mut children, mut addresses) = (Vec::new(), Vec::<String>::new());
        for number in (0..count).rev() {
            let mut command = Command::new(&program);
            command
                .arg("--bare-node")
                .arg(directory.join(format!("process-{number}")));
            // The last one that is started is the one that is asked.
            for peer in addresses.iter().filter(|_| number == 0) {
                command.arg("--bare-peer").arg(peer);
            }
            let mut child = command
                .stdout(Stdio::piped())
                .spawn()
                .map_err(Error::io("start a process"))?;
            let mut line = String::new();
            if let Some(said) = child.stdout.as_mut() {
                let read = BufReader::new(said).read_line(&mut line);
                read.map_err(Error::io("read where it listens"))?;
            }
            children.push(child);
            addresses.push(line.trim().to_owned());
        }
        let first = addresses.last().map_or("", String::as_str);
        let first = TcpStream::connect(first).map_err(Error::io("connect"))?;
        first.set_nodelay(true).map_err(Error::io("connect"))?;
        Ok(Self { children, first })
    }

    fn ask(&mut self) -> Result<()> {
        let asked = self.first.write_all(&[b'x'; MESSAGE]);
        let answered = asked.and_then(|()| self.first.read_exact(&mut [0]));
        answered.map_err(Error::io("ask a process"))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended already is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn gone() -> Error {
    Error::Unexpected("a thread that syncs has ended".to_owned())
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new(3).map_err(|error| Error::Unexpected(error.to_string()))
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
    println!("{what:46}{median:10.3} ms   p99 {p99:.3} ms");
}

/// Registrations, each beside the bare program's syncs and two round trips, and beside bare processes: the disk is not the
/// same a minute later.
fn puts(arguments: &Arguments, size: u8) -> Result<()> {
    let (directory, plan) = plan(arguments, size)?;
    let nodes = plan.start()?;
    wait_for_size(&nodes)?;
    let first = nodes
        .first()
        .ok_or_else(|| Error::Unexpected("no node".to_owned()))?;
    let mut connection = first.connect()?;
    let disks = Disks::new(directory.path(), size)?;
    let mut processes = Processes::new(directory.path(), size)?;
    let (mut times, mut bare, mut shape) = (histogram()?, histogram()?, histogram()?);
    let pause = Duration::from_millis(arguments.pause);
    for number in 0..arguments.puts {
        let source = format!("function number() return {number} end\n");
        std::thread::sleep(pause);
        let begun = Instant::now();
        disks.sync()?;
        connection.info("build")?;
        connection.info("build")?;
        record(&mut bare, begun)?;
        std::thread::sleep(pause);
        let begun = Instant::now();
        processes.ask()?;
        record(&mut shape, begun)?;
        std::thread::sleep(pause);
        let begun = Instant::now();
        let answer = put_module(&mut connection, "m.lua", source.as_bytes())?;
        if answer != "ok" {
            return Err(Error::Unexpected(format!("m.lua: {answer}")));
        }
        record(&mut times, begun)?;
    }
    print(
        &bare,
        format!("{size} syncs at once and two round trips, bare"),
    );
    print(
        &shape,
        format!("{size} bare processes, a message and a sync each"),
    );
    print(&times, format!("registration acknowledged, {size:2} nodes"));
    let allowed = bare.value_at_quantile(0.5) as f64 / 1e3 + ALLOWED_MS;
    let what = format!("{size} nodes, wanted");
    println!("{what:46}{allowed:10.2} ms   p99 {:.2} ms", 3.0 * allowed);
    Ok(())
}

/// Calls of one module, without and while others are put, twenty a second; and with much registered.
fn calls(arguments: &Arguments) -> Result<()> {
    let (_directory, plan) = plan(arguments, 1)?;
    let nodes = plan.start()?;
    let node = nodes
        .first()
        .ok_or_else(|| Error::Unexpected("no node".to_owned()))?;
    let mut connection = node.connect()?;
    put_module(
        &mut connection,
        "called.lua",
        b"function f(rec) return 1 end\n",
    )?;
    let key = RecordKey::new("test", "figures", "called");
    let call = key.apply(b"called", b"f", &[0x90], CallOptions::default())?;
    let mut alone = histogram()?;
    let mut beside = histogram()?;
    // In turns: the machine is not the same a minute later.
    for turn in 0..10 {
        let times = if turn % 2 == 0 {
            &mut alone
        } else {
            &mut beside
        };
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| -> Result<()> {
            let puts = (turn % 2 == 1).then(|| {
                let ends = &ends;
                scope.spawn(move || -> Result<u32> {
                    let mut connection = node.connect()?;
                    let mut number = 0;
                    while !ends.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        let source = format!("function number() return {turn} + {number} end\n");
                        let file = format!("other{}.lua", number % 20);
                        put_module(&mut connection, &file, source.as_bytes())?;
                        number += 1;
                        std::thread::sleep(
                            Duration::from_millis(50).saturating_sub(begun.elapsed()),
                        );
                    }
                    Ok(number)
                })
            });
            let until = Instant::now() + Duration::from_secs(arguments.calls);
            while Instant::now() < until {
                let begun = Instant::now();
                connection.message(&call)?;
                record(times, begun)?;
                std::thread::sleep(Duration::from_micros(200));
            }
            ends.store(true, Ordering::Relaxed);
            if let Some(puts) = puts {
                let ended = puts.join();
                ended.map_err(|_| Error::Unexpected("the thread that puts ended".to_owned()))??;
            }
            Ok(())
        })?;
    }
    print(&alone, "call of a module, nothing is put".to_owned());
    print(
        &beside,
        "the same, 20 other modules a second are put".to_owned(),
    );

    let mut times = histogram()?;
    let large = "-- padding\n".repeat(60_000);
    for number in 0..40 {
        put_module(
            &mut connection,
            &format!("large{number}.lua"),
            large.as_bytes(),
        )?;
    }
    for number in 0..arguments.puts {
        std::thread::sleep(Duration::from_millis(arguments.pause));
        let source = format!("function number() return {number} end\n");
        let begun = Instant::now();
        put_module(&mut connection, "m.lua", source.as_bytes())?;
        record(&mut times, begun)?;
    }
    print(
        &times,
        "registration beside 40 modules of 660 KB".to_owned(),
    );
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
