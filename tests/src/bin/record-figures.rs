//! What keeping records costs: bytes of memory and processor time of the server for a put, a get and a call of a UDF, how
//! long one takes, and what a start takes, in memory, in memory with a file, on a device, and on a device whose records are
//! mostly not in the page cache.

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use clap::{Parser, ValueEnum};
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;
use rustix::fs::Advice;
use tests::asd::{Asd, RunningAsd};
use tests::connection::Connection;
use tests::directory::Directory;
use tests::error::{Error, Result};
use tests::load::{cpu_time, resident_bytes};
use tests::records::{CallOptions, RecordKey, WriteOptions, put_module};

/// Requests that are under way while records are loaded.
const WINDOW: usize = 64;

const MODULE: &str = "function add(r)
  r.n = (r.n or 0) + 1
  aerospike:update(r)
  return r.n
end
function item(r)
  local l = r.l
  return l[#l]
end";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// In memory only.
    Memory,
    /// Read from memory, kept in a file.
    File,
    /// Read from the file.
    Device,
    /// The same, and before each operation the file is thrown out of the page cache.
    Cold,
}

/// Measure what keeping records costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/asd")]
    asd: PathBuf,
    /// How records are kept; may be given several times.
    #[arg(long, value_enum, default_values_t = [Kind::Memory, Kind::File, Kind::Device, Kind::Cold])]
    kind: Vec<Kind>,
    /// Records, each of an integer, a string of 20 bytes and a list.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Integers in that list.
    #[arg(long, default_value_t = 5)]
    items: u16,
    /// Operations of each sort, one after the other, each on a record that looks random.
    #[arg(long, default_value_t = 20_000)]
    operations: u64,
    /// Changes are acknowledged when they are synced.
    #[arg(long)]
    commit: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!(
        "| kept | bytes a record | operation | processor, us | p50, us | p99, us | from the disk | start, s of processor time |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for kind in &arguments.kind {
        if let Err(error) = measure(&arguments, *kind) {
            eprintln!("record-figures: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// What is done to a record.
const OPERATIONS: [&str; 4] = [
    "get",
    "put",
    "udf: add to a bin",
    "udf: an item of the list",
];

fn key(number: u64) -> RecordKey {
    RecordKey::new("test", "demo", &number.to_string())
}

fn put(arguments: &Arguments, number: u64) -> Result<BytesMut> {
    let mut list = vec![0xdc];
    list.extend(arguments.items.to_be_bytes());
    list.extend((0..arguments.items).map(|item| u8::try_from(item % 100).unwrap_or(0)));
    let bins = [
        ("n", Particle::integer(i64::try_from(number).unwrap_or(0))),
        ("s", Particle::string("x".repeat(20))),
        ("l", Particle::new(ParticleType::LIST, list)),
    ];
    let bins = bins.iter().map(|(name, value)| (*name, value));
    key(number).put(bins, WriteOptions::default())
}

fn load(arguments: &Arguments, connection: &mut Connection) -> Result<()> {
    let mut frames = Vec::new();
    let mut under_way = 0;
    for number in 0..arguments.records {
        frames.extend_from_slice(&put(arguments, number)?);
        under_way += 1;
        if under_way == WINDOW || number + 1 == arguments.records {
            connection.send(&frames)?;
            frames.clear();
            for _ in 0..std::mem::take(&mut under_way) {
                expect_ok(connection.reply()?.code())?;
            }
        }
    }
    Ok(())
}

fn expect_ok(code: ResultCode) -> Result<()> {
    (code == ResultCode::OK)
        .then_some(())
        .ok_or_else(|| Error::Unexpected(format!("it was answered by {code:?}")))
}

/// Bytes that a process has read from disks.
fn read_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/io");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read what was read"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok())
        .ok_or_else(|| Error::Unexpected(format!("{path} does not say it")))
}

fn measure(arguments: &Arguments, kind: Kind) -> Result<()> {
    let directory = Directory::new("record-figures")?;
    let file = directory.path().join("records.dat");
    let (engine, name) = match kind {
        Kind::Memory => ("memory", "memory"),
        Kind::File => ("memory", "memory, with a file"),
        Kind::Device => ("device", "device"),
        Kind::Cold => ("device", "device, thrown out of the page cache"),
    };
    let keys = match kind {
        Kind::Memory => "data-size 8G".to_owned(),
        _ => format!(
            "file {}\n        filesize 8G\n        commit-to-device {}",
            file.display(),
            arguments.commit
        ),
    };
    let block = format!("storage-engine {engine} {{\n        {keys}\n    }}");
    let asd = Asd::new(&arguments.asd, directory.path()).storage(&block);
    let server = asd.start()?;
    let empty = resident_bytes(server.pid())?;
    let mut connection = server.connect()?;
    connection.set_deadline(Duration::from_secs(60))?;
    let put_module = put_module(&mut connection, "figures.lua", MODULE.as_bytes())?;
    if put_module != "ok" {
        return Err(Error::Unexpected(put_module));
    }
    load(arguments, &mut connection)?;
    // What waits to be written has been.
    thread::sleep(Duration::from_secs(2));
    let bytes = resident_bytes(server.pid())?.saturating_sub(empty) / arguments.records.max(1);
    let cold = (kind == Kind::Cold).then(|| std::fs::File::open(&file));
    let cold = cold.transpose().map_err(Error::io("open the file"))?;
    for (at, operation) in OPERATIONS.iter().enumerate() {
        let row = operate(arguments, &server, &mut connection, at, cold.as_ref())?;
        println!("| {name} | {bytes} | {operation} | {row} | |");
    }
    drop(connection);
    let begun = Instant::now();
    end(server)?;
    let ended = begun.elapsed().as_millis();
    let again = asd.start()?;
    let start = cpu_time(again.pid())?.as_secs_f64();
    println!("| {name} | | SIGTERM to the end: {ended} ms | | | | | {start:.2} |");
    end(again)
}

fn end(mut server: RunningAsd) -> Result<()> {
    server.terminate()?;
    server.wait().map(drop)
}

/// Columns of one operation.
fn operate(
    arguments: &Arguments,
    server: &RunningAsd,
    connection: &mut Connection,
    operation: usize,
    cold: Option<&std::fs::File>,
) -> Result<String> {
    let mut dice = 1_u64;
    let mut times = Vec::new();
    let (cpu, read) = (cpu_time(server.pid())?, read_bytes(server.pid())?);
    for _ in 0..arguments.operations {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = (dice >> 33) % arguments.records.max(1);
        let call = |function: &[u8]| {
            key(number).apply(b"figures", function, &[0x90], CallOptions::default())
        };
        let frame = match operation {
            0 => key(number).get(),
            1 => put(arguments, number),
            2 => call(b"add"),
            _ => call(b"item"),
        }?;
        if let Some(file) = cold {
            // The system drops what it holds of the file.
            rustix::fs::fadvise(file, 0, None, Advice::DontNeed)
                .map_err(|error| Error::Unexpected(error.to_string()))?;
        }
        let begun = Instant::now();
        expect_ok(connection.message(&frame)?.code())?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let cpu = (cpu_time(server.pid())? - cpu).as_secs_f64() * 1e6;
    let read = read_bytes(server.pid())? - read;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times
            .get(place.min(times.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0.0)
    };
    let count = arguments.operations.max(1) as f64;
    Ok(format!(
        "{:.1} | {:.0} | {:.0} | {:.1} kB",
        cpu / count,
        at(0.5),
        at(0.99),
        read as f64 / 1e3 / count
    ))
}
