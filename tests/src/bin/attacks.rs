//! What others notice of an attack: latencies of a client beside each kind of costly input, and what the server holds.
//!
//! A server is started, and a client that gets a record, calls a function and asks an info command, one after the other. It is
//! measured alone, beside four processes that only spin, and beside four connections that send one kind of input over
//! and over. What is to hold on two cores: no percentile beside an attack is more than three times that beside the
//! processes, and no answer takes longer than 300 ms.

use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use clap::Parser;
use protocol::compress;
use protocol::header::{Header, MessageType};
use protocol::particle::{Particle, ParticleType};
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
    /// Only attacks whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Connections that attack, and processes that spin.
const ATTACKERS: usize = 4;

/// What the client calls.
const VICTIM: &str = "function answer(rec) return 42 end";

/// A module whose functions take what they can get.
const MODULE: &str = "
function spin(rec) while true do end end
function memory(rec) local t = {} for i = 1, 110 do t[i] = string.rep('x', 1000000) .. i end while true do end end
function zeros(rec) local a, b = string.rep('\\0', 15000000), string.rep('\\0', 15000000) while true do local _ = a < b end end
function weak(rec)
  local keys = {} for i = 1, 80001 do keys[i] = {} end
  local t = setmetatable({}, { __mode = 'k' }) for i = 1, 80000 do t[keys[i]] = keys[i + 1] end
  keys = nil collectgarbage()
end
";

fn frame(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let header = Header::new(kind, body.len() as u64).to_bytes();
    [&header[..], body].concat()
}

fn put_frame(chunk: &str) -> Vec<u8> {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(chunk);
    let line = format!(
        "udf-put:filename=body.lua;content={content};content-len={};udf-type=LUA;\n",
        content.len()
    );
    frame(MessageType::Info, line.as_bytes())
}

/// The kinds: a name, and the frame that is sent over and over.
fn attacks() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let call = |function: &str, timeout_ms| {
        let options = CallOptions {
            timeout_ms,
            ..CallOptions::default()
        };
        RecordKey::new("test", "attack", function)
            .apply(b"attack", function.as_bytes(), &[0x90], options)
            .map(|frame| frame.to_vec())
    };
    let mut bomb = BytesMut::new();
    compress::encode(&mut bomb, &vec![0; (128 << 20) - 64])
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    let text = Particle::new(ParticleType::STRING, vec![b'x'; 1_000]);
    let bins: Vec<String> = (0..800).map(|number| format!("b{number}")).collect();
    let wide = RecordKey::new("test", "attack", "wide").put(
        bins.iter().map(|name| (name.as_str(), &text)),
        WriteOptions::default(),
    )?;
    Ok(vec![
        ("frames that inflate", bomb.to_vec()),
        ("wide writes", wide.to_vec()),
        (
            "info names",
            frame(MessageType::Info, &b"x\n".repeat(10_000_000)),
        ),
        ("spinning calls", call("spin", 1_000)?),
        ("memory of calls", call("memory", 2_000)?),
        ("long comparisons", call("zeros", 500)?),
        ("weak keys", call("weak", 500)?),
        ("endless bodies", put_frame("while true do end")),
        (
            "compile time",
            put_frame(&format!("if a then {}end", "elseif a then ".repeat(70_000))),
        ),
        (
            "large bodies",
            put_frame("local t = {} for i = 1, 115 do t[i] = string.rep('x', 1000000) .. i end"),
        ),
    ])
}

/// Latencies of one kind of request, µs.
struct Latencies(Vec<u64>);

impl Latencies {
    fn text(mut self) -> String {
        self.0.sort_unstable();
        let at = |share: f64| {
            let place = (self.0.len() as f64 * share) as usize;
            self.0
                .get(place.min(self.0.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default() as f64
                / 1_000.0
        };
        format!("{:7.2} {:7.2} {:7.2}", at(0.5), at(0.99), at(1.0))
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

fn attack(server: &RunningAsd, frame: &[u8], stop: &AtomicBool, sent: &AtomicU64) -> Result<()> {
    let open = || -> Result<Connection> {
        let connection = server.connect()?;
        connection.set_deadline(Duration::from_secs(60))?;
        Ok(connection)
    };
    let mut connection = open()?;
    while !stop.load(Ordering::Relaxed) {
        let answered = connection
            .send(frame)
            .and_then(|()| connection.receive().map(drop));
        match answered {
            Ok(()) => drop(sent.fetch_add(1, Ordering::Relaxed)),
            // It was closed, as those are who want too much.
            Err(_) => connection = open()?,
        }
    }
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

fn run(arguments: &Arguments) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("asd-attacks-{}", std::process::id()));
    let server = Asd::new(&arguments.asd, &directory).start()?;
    let mut connection = server.connect()?;
    put_module(&mut connection, "attack.lua", MODULE.as_bytes())?;
    put_module(&mut connection, "victim.lua", VICTIM.as_bytes())?;
    let bin = Particle::integer(7);
    let put = RecordKey::new("test", "victim", "v").put([("a", &bin)], WriteOptions::default())?;
    connection.message(&put)?;
    let time = Duration::from_secs(arguments.seconds);
    println!(
        "ms: p50, p99, most       | get                     | call                    | info                    | requests, MiB"
    );
    row("alone", measure(&server, time)?, "");
    {
        let _spinners = Spinners::start()?;
        row("beside four processes", measure(&server, time)?, "");
    }
    for (name, frame) in attacks()? {
        if !name.contains(&arguments.only) {
            continue;
        }
        let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let found = std::thread::scope(|scope| {
            let attackers: Vec<_> = (0..ATTACKERS)
                .map(|_| scope.spawn(|| attack(&server, &frame, &stop, &sent)))
                .collect();
            let found = measure(&server, time);
            let held = resident(&server);
            stop.store(true, Ordering::Relaxed);
            for attacker in attackers {
                match attacker.join() {
                    Ok(done) => done?,
                    Err(_) => return Err(Error::Unexpected("an attacker has failed".to_owned())),
                }
            }
            Ok((found?, held))
        });
        let (found, held) = found?;
        row(
            name,
            found,
            &format!("{} {held}", sent.load(Ordering::Relaxed)),
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
