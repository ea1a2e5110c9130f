//! What others notice of an attack: latencies of a client beside each kind of costly input, and what the server holds.
//!
//! A server is started, and a client that gets a record, calls a function and asks an info command, one after the other. It is
//! measured alone, beside four processes that only spin, and beside four connections that send one kind of input over
//! and over. What is to hold on two cores: no percentile beside an attack is more than three times that beside the
//! processes, and no answer takes longer than 300 ms.

mod kinds;

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use kinds::{Answer, Kind, MODULE};
use protocol::message::{Info3, MESSAGE_HEADER_SIZE};
use protocol::particle::Particle;
use tests::asd::{Asd, RunningAsd};
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::records::{CallOptions, RecordKey, WriteOptions, put_module};

/// Measure what a client notices of attacks on its server.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's program.
    #[arg(long, default_value = "target/release/asd")]
    asd: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Only attacks whose name holds this, or one of these with commas between.
    #[arg(long, default_value = "")]
    only: String,
    /// The server's `service-threads`.
    #[arg(long)]
    service_threads: Option<u32>,
}

/// Connections that attack, and processes that spin.
const ATTACKERS: usize = 4;

/// Kinds after which it is measured anew what the client notices of four processes.
const BASE_EVERY: usize = 4;

/// What the client calls.
const VICTIM: &str = "function answer(rec) return 42 end";

/// Latencies of one kind of request, µs.
struct Latencies(Vec<u64>);

impl Latencies {
    /// What so many of a thousand take at most, µs.
    fn at(&mut self, thousandth: usize) -> u64 {
        self.0.sort_unstable();
        let place = self.0.len() * thousandth / 1_000;
        let place = place.min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default()
    }

    fn p99(&mut self) -> u64 {
        self.at(990)
    }

    fn text(mut self) -> String {
        let [half, most, all] = [500, 990, 1_000].map(|share| self.at(share) as f64 / 1_000.0);
        format!("{half:7.2} {most:7.2} {all:7.2}")
    }
}

/// Latencies of the client for so long: get, call, info.
fn measure(server: &RunningAsd, time: Duration) -> Result<[Latencies; 3]> {
    let key = RecordKey::new("test", "victim", "v");
    let get = key.get()?;
    let call = key.apply(b"victim", b"answer", &[0x90], CallOptions::default())?;
    let mut connections = [server.connect()?, server.connect()?, server.connect()?];
    for connection in &mut connections {
        connection.set_deadline(Duration::from_secs(60))?;
    }
    let [gets, calls, infos] = &mut connections;
    let mut found = [
        Latencies(Vec::new()),
        Latencies(Vec::new()),
        Latencies(Vec::new()),
    ];
    let end = Instant::now() + time;
    while Instant::now() < end {
        let mut took = [0; 3];
        let mut timed = |place: usize, work: &mut dyn FnMut() -> Result<()>| {
            let begun = Instant::now();
            let done = work();
            if let Some(took) = took.get_mut(place) {
                *took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            }
            done
        };
        timed(0, &mut || gets.message(&get).map(drop))?;
        timed(1, &mut || calls.message(&call).map(drop))?;
        timed(2, &mut || infos.info("build").map(drop))?;
        for (latencies, took) in found.iter_mut().zip(took) {
            latencies.0.push(took);
        }
        std::thread::sleep(Duration::from_millis(3));
    }
    Ok(found)
}

/// Processes that only spin, while it is there.
struct Spinners(Vec<Child>);

impl Spinners {
    fn start() -> Result<Self> {
        let spinning = (0..ATTACKERS).map(|_| {
            Command::new("sh")
                .args(["-c", "while :; do :; done"])
                .spawn()
        });
        let spinning = spinning.collect::<std::io::Result<_>>();
        spinning
            .map(Self)
            .map_err(|error| Error::Unexpected(format!("cannot start `sh`: {error}")))
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// MiB that the server holds.
fn resident(server: &RunningAsd) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or_default() / 1_024
}

fn attack(server: &RunningAsd, kind: &Kind, stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let open = || -> Result<Connection> {
        let connection = server.connect()?;
        connection.set_deadline(Duration::from_secs(10))?;
        Ok(connection)
    };
    if kind.answer == Answer::Pumped {
        return pump(open()?, kind, stop, sent);
    }
    let mut connection = open()?;
    while !stop.load(Ordering::Relaxed) {
        match once(&mut connection, kind) {
            Ok(()) => drop(sent.fetch_add(1, Ordering::Relaxed)),
            // It was closed, as those are who want too much.
            Err(_) => connection = open()?,
        }
        if kind.answer == Answer::Left {
            connection = open()?;
        }
    }
    Ok(())
}

/// Sends once, and waits until it is answered.
fn once(connection: &mut Connection, kind: &Kind) -> Result<()> {
    if kind.answer == Answer::Dribbled {
        kind.sent
            .chunks(1)
            .try_for_each(|byte| connection.send(byte))?;
        return connection.receive().map(drop);
    }
    connection.send(&kind.sent)?;
    match kind.answer {
        Answer::Frames(count) => (0..count).try_for_each(|_| connection.receive().map(drop)),
        Answer::Last => loop {
            let (_, body) = connection.receive()?;
            if has_last(&body) {
                return Ok(());
            }
        },
        Answer::Pumped | Answer::Left | Answer::Dribbled => Ok(()),
    }
}

/// Whether a frame holds the message that ends a reply, which has a header and nothing else, or one that refuses.
fn has_last(body: &[u8]) -> bool {
    let header = body.last_chunk::<{ MESSAGE_HEADER_SIZE }>();
    header.is_some_and(|header| {
        usize::from(header[0]) == MESSAGE_HEADER_SIZE
            && (header[3] & Info3::LAST.bits() != 0 || header[5] != 0)
    })
}

/// Writes as fast as it may; another thread reads what comes.
fn pump(connection: Connection, kind: &Kind, stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let mut reader = connection.second()?;
    let mut writer = connection;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Until the other end is closed.
            while reader.skip().is_ok_and(|bytes| bytes > 0) {}
        });
        while !stop.load(Ordering::Relaxed) {
            if writer.send(&kind.sent).is_err() {
                break;
            }
            sent.fetch_add(1, Ordering::Relaxed);
        }
        writer.close();
    });
    Ok(())
}

fn row(name: &str, [get, call, info]: [Latencies; 3], more: &str) {
    println!(
        "{name:22} | {} | {} | {} | {more}",
        get.text(),
        call.text(),
        info.text()
    );
}

/// The client beside one kind, and what the server holds.
fn beside(server: &RunningAsd, kind: &Kind, time: Duration) -> Result<([Latencies; 3], u64, u64)> {
    let mut connection = server.connect()?;
    for frame in &kind.before {
        connection.send(frame)?;
        connection.receive()?;
    }
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|_| scope.spawn(|| attack(server, kind, &stop, &sent)))
            .collect();
        let found = measure(server, time);
        let held = resident(server);
        stop.store(true, Ordering::Relaxed);
        for attacker in attackers {
            match attacker.join() {
                Ok(done) => done?,
                Err(_) => return Err(Error::Unexpected("an attacker has failed".to_owned())),
            }
        }
        Ok((found?, sent.load(Ordering::Relaxed), held))
    })
}

fn run(arguments: &Arguments) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("asd-attacks-{}", std::process::id()));
    let mut server = Asd::new(&arguments.asd, &directory);
    if let Some(threads) = arguments.service_threads {
        server = server.service(&format!("service-threads {threads}"));
    }
    let server = server.start()?;
    let mut connection = server.connect()?;
    put_module(&mut connection, "attack.lua", MODULE.as_bytes())?;
    put_module(&mut connection, "victim.lua", VICTIM.as_bytes())?;
    let bin = Particle::integer(7);
    let put = RecordKey::new("test", "victim", "v").put([("a", &bin)], WriteOptions::default())?;
    connection.message(&put)?;
    let time = Duration::from_secs(arguments.seconds);
    println!(
        "ms: p50, p99, most       | get                     | call                    | info                    | most of the three p99 / that beside four processes; requests; MiB"
    );
    row("alone", measure(&server, time)?, "");
    let mut base = [1; 3];
    let chosen = |kind: &&Kind| {
        let mut only = arguments.only.split(',');
        only.any(|part| kind.name.contains(part))
    };
    for (number, kind) in kinds::all()?.iter().filter(chosen).enumerate() {
        if number % BASE_EVERY == 0 {
            let _spinners = Spinners::start()?;
            let mut found = measure(&server, time)?;
            base = found.each_mut().map(Latencies::p99);
            row("beside four processes", found, "");
        }
        let (mut found, sent, held) = beside(&server, kind, time)?;
        let ratios = found.each_mut().map(Latencies::p99).into_iter().zip(base);
        let most = ratios
            .map(|(p99, base)| p99 as f64 / base.max(1) as f64)
            .fold(0.0, f64::max);
        let judged = match most > 3.0 {
            true => "  <<<",
            false => "",
        };
        row(
            kind.name,
            found,
            &format!("{most:5.1}; {sent}; {held}{judged}"),
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("attacks: {error}");
            ExitCode::FAILURE
        }
    }
}
