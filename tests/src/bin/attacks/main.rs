//! What others notice of an attack: latencies of a client beside each kind of costly input, and what the server holds.
//!
//! A server is started, and a client that gets a record, calls a function and asks an info command, one after the other. It is
//! measured beside four processes that only spin, and beside four connections that send one kind of input over and over,
//! in turns of a second: what else the machine does is in both, and turns in which it does much do not count. What is to
//! hold on two cores: no 99th percentile beside an attack is more than three times that beside the processes, or above
//! a floor (see [`FLOOR_MS`]), and no answer takes longer than 300 ms.

mod attackers;
mod kinds;
mod machine;

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use attackers::{ATTACKERS, Tally, attack, end, prepare};
use bytes::BytesMut;
use clap::Parser;
use kinds::{Kind, MODULE};
use machine::Used;
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
    /// Seconds beside each kind, and as many beside the processes.
    #[arg(long, default_value_t = 5)]
    seconds: usize,
    /// Only attacks whose name holds this, or one of these with commas between.
    #[arg(long, default_value = "")]
    only: String,
    /// The server's `service-threads`.
    #[arg(long)]
    service_threads: Option<u32>,
}

/// Processes that spin, as many as there are attackers.
const SPINNERS: usize = ATTACKERS;

/// One turn: beside processes, or beside attackers.
const TURN: Duration = Duration::from_secs(1);

/// A turn in which others had more of a processor than this does not count.
const OTHERS_MOST: f64 = 0.1;

/// So many turns are tried for one that is to count; then those count in which others had least.
const TRIES: usize = 4;

/// What the rows measure, in this order.
const REQUESTS: [&str; 3] = ["get", "call", "info"];

/// What is to hold of percentiles: so many times that beside the processes.
const RATIO_MOST: f64 = 3.0;

/// Where half of the answers beside the processes take some hundredths of a millisecond, and fewer than one in a hundred
/// waits for a processor, a percentile of theirs is below this, ms, and says nothing of waiting: then that beside attackers
/// is to be below the next. Rows that hold only so are marked.
const FLOOR_BASE_MS: f64 = 0.3;
const FLOOR_MS: f64 = 1.0;

/// What is to hold of every answer, ms.
const LONGEST_MS: f64 = 300.0;

/// What the client calls.
const VICTIM: &str = "function answer(rec) return 42 end";

/// Latencies of one kind of request, µs.
#[derive(Default)]
struct Latencies(Vec<u64>);

impl Latencies {
    /// What so many of a thousand take at most, ms.
    fn at(&mut self, thousandth: usize) -> f64 {
        self.0.sort_unstable();
        let place = self.0.len() * thousandth / 1_000;
        let place = place.min(self.0.len().saturating_sub(1));
        self.0
            .get(place)
            .map_or(f64::NAN, |took| *took as f64 / 1_000.0)
    }

    fn p99(&mut self) -> f64 {
        self.at(990)
    }

    fn add(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Those of several turns.
    fn of(turns: &[Turn], request: usize) -> Self {
        let all = turns.iter().filter_map(|turn| turn.noticed.get(request));
        Self(all.flat_map(|latencies| &latencies.0).copied().collect())
    }

    fn text(&mut self) -> String {
        let [half, most, all] = [500, 990, 1_000].map(|share| self.at(share));
        format!("{half:7.2} {most:7.2} {all:7.2}")
    }
}

/// The latencies of a client: see [`REQUESTS`].
type Noticed = [Latencies; REQUESTS.len()];

/// One that asks now and then.
struct Client {
    connections: [Connection; REQUESTS.len()],
    get: BytesMut,
    call: BytesMut,
}

impl Client {
    fn new(server: &RunningAsd) -> Result<Self> {
        let key = RecordKey::new("test", "victim", "v");
        let mut connections = [server.connect()?, server.connect()?, server.connect()?];
        for connection in &mut connections {
            connection.set_deadline(Duration::from_secs(60))?;
        }
        Ok(Self {
            connections,
            get: key.get()?,
            call: key.apply(b"victim", b"answer", &[0x90], CallOptions::default())?,
        })
    }

    /// Asks for so long, and adds what each request takes.
    fn ask(&mut self, time: Duration, found: &mut Noticed) -> Result<()> {
        let Self {
            connections: [gets, calls, infos],
            get,
            call,
        } = self;
        let end = Instant::now() + time;
        while Instant::now() < end {
            let mut timed = |place: usize, work: &mut dyn FnMut() -> Result<()>| {
                let begun = Instant::now();
                let done = work();
                let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                if let Some(latencies) = found.get_mut(place) {
                    latencies.0.push(took);
                }
                done
            };
            timed(0, &mut || gets.message(get).map(drop))?;
            timed(1, &mut || calls.message(call).map(drop))?;
            timed(2, &mut || infos.info("build").map(drop))?;
            std::thread::sleep(Duration::from_millis(3));
        }
        Ok(())
    }
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

fn row(name: &str, noticed: &mut Noticed, more: &str) {
    let [get, call, info] = noticed.each_mut().map(Latencies::text);
    println!("{name:26} | {get} | {call} | {info} | {more}");
}

/// What the client noticed in one turn.
struct Turn {
    /// Processors that others had.
    others: f64,
    noticed: Noticed,
}

impl Turn {
    /// One during which `work` is done.
    fn during(server: &RunningAsd, work: impl FnOnce(&mut Noticed) -> Result<()>) -> Result<Self> {
        let (begun, mut noticed) = (Used::now(server.pid())?, Noticed::default());
        work(&mut noticed)?;
        let others = Used::now(server.pid())?.others_since(begun);
        Ok(Self { others, noticed })
    }
}

/// Turns of one sort, those first in which others had least.
#[derive(Default)]
struct Turns(Vec<Turn>);

impl Turns {
    fn add(&mut self, turn: Turn) {
        self.0.push(turn);
        self.0.sort_by(|a, b| a.others.total_cmp(&b.others));
    }

    /// Whether there are so many in which others had little.
    fn are(&self, wanted: usize) -> bool {
        let mut others = self.0.iter().map(|turn| turn.others);
        others.nth(wanted - 1).is_some_and(|had| had <= OTHERS_MOST)
    }

    /// What was noticed in so many of them, and what others had in those at most.
    fn noticed(&self, wanted: usize) -> (Noticed, f64) {
        let counted = self.0.get(..wanted).unwrap_or(&self.0);
        let noticed = std::array::from_fn(|request| Latencies::of(counted, request));
        (noticed, counted.last().map_or(f64::NAN, |turn| turn.others))
    }
}

/// Whether a row is as it is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// All percentiles are.
    Holds,
    /// Some only are below the floor.
    BelowFloor,
    Fails,
}

impl Verdict {
    /// What is written behind the row.
    fn mark(self) -> &'static str {
        match self {
            Self::Holds => "",
            Self::BelowFloor => "  < floor",
            Self::Fails => "  <<<",
        }
    }
}

/// What was found beside one kind.
#[derive(Default)]
struct Found {
    beside_processes: Turns,
    beside_attackers: Turns,
    /// Requests of the attackers, and how many of them were refused.
    requests: (u64, u64),
    /// MiB that the server held at most.
    held: u64,
}

/// The client beside one kind, for so many turns, and what the server holds.
fn beside(server: &RunningAsd, client: &mut Client, kind: &Kind, turns: usize) -> Result<Found> {
    let mut connection = server.connect()?;
    prepare(&mut connection, kind)?;
    let (mut found, tally) = (Found::default(), Tally::default());
    for _ in 0..turns * TRIES {
        if found.beside_processes.are(turns) && found.beside_attackers.are(turns) {
            break;
        }
        found.beside_processes.add(Turn::during(server, |noticed| {
            let _spinners = Spinners::start()?;
            client.ask(TURN, noticed)
        })?);
        let stop = AtomicBool::new(false);
        found.beside_attackers.add(Turn::during(server, |noticed| {
            std::thread::scope(|scope| {
                let attackers: Vec<_> = (0..ATTACKERS)
                    .map(|_| scope.spawn(|| attack(server, kind, &stop, &tally)))
                    .collect();
                let asked = client.ask(TURN, noticed);
                found.held = found.held.max(resident(server));
                stop.store(true, Ordering::Relaxed);
                for attacker in attackers {
                    match attacker.join() {
                        Ok(done) => done?,
                        Err(_) => {
                            return Err(Error::Unexpected("an attacker has failed".to_owned()));
                        }
                    }
                }
                asked
            })
        })?);
        // The one that waited may have been closed as idle.
        end(&mut server.connect()?, kind)?;
    }
    found.requests = tally.requests(kind)?;
    Ok(found)
}

/// Whether what was noticed beside an attack is as it is to be, and the ratios of percentiles to those beside processes.
fn judge(noticed: &mut Noticed, base: &mut Noticed) -> (Verdict, Vec<f64>) {
    let p99s = noticed.iter_mut().zip(base).map(|(noticed, base)| {
        let (found, beside_processes) = (noticed.p99(), base.p99());
        (found, beside_processes, found / beside_processes)
    });
    let p99s: Vec<_> = p99s.collect();
    // One that is no number is no less.
    let over = p99s
        .iter()
        .filter(|(.., ratio)| ratio.is_nan() || *ratio > RATIO_MOST);
    let over: Vec<_> = over.collect();
    let are_below = over
        .iter()
        .all(|(found, base, _)| *found < FLOOR_MS && *base < FLOOR_BASE_MS);
    let verdict = match are_below && longest(noticed) <= LONGEST_MS {
        true if over.is_empty() => Verdict::Holds,
        true => Verdict::BelowFloor,
        false => Verdict::Fails,
    };
    (verdict, p99s.iter().map(|(.., ratio)| *ratio).collect())
}

/// What the slowest answer took, ms.
fn longest(noticed: &mut Noticed) -> f64 {
    let longest = noticed.iter_mut().map(|all| all.at(1_000));
    longest.fold(0.0, f64::max)
}

/// The verdicts on all rows: name, that against its own turns, what was noticed.
fn tell(rows: &mut [(&str, Verdict, Noticed)], all_base: &mut Noticed) {
    let told = |verdicts: &[Verdict]| {
        let count = |wanted| verdicts.iter().filter(|is| **is == wanted).count();
        format!(
            "{} hold, {} more by the floor (below {FLOOR_MS} ms where that beside the processes is below {FLOOR_BASE_MS}), {} fail",
            count(Verdict::Holds),
            count(Verdict::BelowFloor),
            count(Verdict::Fails)
        )
    };
    let own: Vec<_> = rows.iter().map(|(_, verdict, _)| *verdict).collect();
    let slowest = rows.iter_mut().map(|(.., noticed)| longest(noticed));
    let slowest = slowest.fold(0.0, f64::max);
    println!(
        "{} rows, each against its own turns: {}; the longest answer took {slowest:.0} ms",
        rows.len(),
        told(&own)
    );
    row("beside processes, all turns", all_base, "");
    let mut all = Noticed::default();
    let mut against_all = Vec::new();
    for (name, _, noticed) in rows.iter_mut() {
        let (verdict, ratios) = judge(noticed, all_base);
        if verdict == Verdict::Fails {
            let ratios: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.1}")).collect();
            row(name, noticed, &ratios.join(" "));
        }
        against_all.push(verdict);
        for (all, noticed) in all.iter_mut().zip(noticed.iter()) {
            all.add(noticed);
        }
    }
    row("beside attackers, all turns", &mut all, "");
    println!("against all turns: {}", told(&against_all));
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
    println!(
        "ms: p50, p99, most           | {:23} | {:23} | {:23} | p99 / that beside four processes; requests; MiB; processors that others had",
        REQUESTS[0], REQUESTS[1], REQUESTS[2]
    );
    let mut client = Client::new(&server)?;
    let mut alone = Noticed::default();
    client.ask(TURN, &mut alone)?;
    row("alone", &mut alone, "");
    let (mut unmeasured, mut rows, mut all_base) = (Vec::new(), Vec::new(), Noticed::default());
    let chosen = |kind: &&Kind| {
        let mut only = arguments.only.split(',');
        only.any(|part| kind.name.contains(part))
    };
    for kind in kinds::all()?.iter().filter(chosen) {
        let found = match beside(&server, &mut client, kind, arguments.seconds) {
            Ok(found) => found,
            Err(error) => {
                println!("{:26} | NOT MEASURED: {error}", kind.name);
                unmeasured.push(kind.name);
                continue;
            }
        };
        let (mut base, others) = found.beside_processes.noticed(arguments.seconds);
        row(
            "beside four processes",
            &mut base,
            &format!("others {others:.2}"),
        );
        let (mut noticed, others) = found.beside_attackers.noticed(arguments.seconds);
        for (all, base) in all_base.iter_mut().zip(&base) {
            all.add(base);
        }
        let (verdict, ratios) = judge(&mut noticed, &mut base);
        let ratios: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:.1}")).collect();
        let (answered, refused) = found.requests;
        let more = format!(
            "{}; {answered} ({refused} refused); {}; others {others:.2}{}",
            ratios.join(" "),
            found.held,
            verdict.mark()
        );
        row(kind.name, &mut noticed, &more);
        rows.push((kind.name, verdict, noticed));
    }
    tell(&mut rows, &mut all_base);
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
