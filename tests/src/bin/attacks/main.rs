//! What others notice of an attack: latencies of a client beside each kind of costly input, and what the server holds.
//!
//! A server is started, and a client that gets a record, calls a function and asks an info command, one after the other. It is
//! measured alone, beside four processes that only spin, and beside four connections that send one kind of input over
//! and over. What is to hold on two cores: no percentile beside an attack is more than three times that beside the
//! processes, and no answer takes longer than 300 ms.

mod attackers;
mod kinds;

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attackers::{ATTACKERS, Tally, attack, end, prepare};
use clap::Parser;
use kinds::{Kind, MODULE};
use protocol::particle::Particle;
use tests::asd::{Asd, RunningAsd};
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

/// Processes that spin, as many as there are attackers.
const SPINNERS: usize = ATTACKERS;

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
        let spinning = (0..SPINNERS).map(|_| {
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

fn row(name: &str, [get, call, info]: [Latencies; 3], more: &str) {
    println!(
        "{name:22} | {} | {} | {} | {more}",
        get.text(),
        call.text(),
        info.text()
    );
}

/// What was found beside one kind.
struct Found {
    latencies: [Latencies; 3],
    /// Requests of the attackers, and how many of them were refused.
    requests: (u64, u64),
    /// MiB that the server held.
    held: u64,
}

/// The client beside one kind, and what the server holds.
fn beside(server: &RunningAsd, kind: &Kind, time: Duration) -> Result<Found> {
    let mut connection = server.connect()?;
    prepare(&mut connection, kind)?;
    let (stop, tally) = (AtomicBool::new(false), Tally::default());
    let (latencies, held) = std::thread::scope(|scope| {
        let attackers: Vec<_> = (0..ATTACKERS)
            .map(|_| scope.spawn(|| attack(server, kind, &stop, &tally)))
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
        Ok((found?, held))
    })?;
    // The one that waited may have been closed as idle.
    end(&mut server.connect()?, kind)?;
    Ok(Found {
        latencies,
        requests: tally.requests(kind)?,
        held,
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
    let (mut base, mut unmeasured) = ([1; 3], Vec::new());
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
        let found = match beside(&server, kind, time) {
            Ok(found) => found,
            Err(error) => {
                println!("{:22} | NOT MEASURED: {error}", kind.name);
                unmeasured.push(kind.name);
                continue;
            }
        };
        let (mut latencies, (answered, refused)) = (found.latencies, found.requests);
        let ratios = latencies
            .each_mut()
            .map(Latencies::p99)
            .into_iter()
            .zip(base);
        let most = ratios
            .map(|(p99, base)| p99 as f64 / base.max(1) as f64)
            .fold(0.0, f64::max);
        let judged = match most > 3.0 {
            true => "  <<<",
            false => "",
        };
        let more = format!(
            "{most:5.1}; {answered} ({refused} refused); {}{judged}",
            found.held
        );
        row(kind.name, latencies, &more);
    }
    drop(server);
    // What is left over is in the way of nobody.
    let _ = std::fs::remove_dir_all(&directory);
    match unmeasured.as_slice() {
        [] => Ok(()),
        names => Err(Error::Unexpected(format!("not measured: {names:?}"))),
    }
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
