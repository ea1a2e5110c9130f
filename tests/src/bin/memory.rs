//! What records take in memory, and what is given back: bytes of resident memory a record after a load, after passes of
//! updates that change sizes, and after two thirds went by truncation, when the sets were loaded one after the other and
//! when they were loaded interleaved.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;
use tests::asd::{Asd, RunningAsd};
use tests::connection::Connection;
use tests::directory::Directory;
use tests::error::{Error, Result};
use tests::load::{cpu_time, resident_bytes};
use tests::records::{RecordKey, WriteOptions};

/// Requests that are under way on the one connection.
const WINDOW: usize = 64;
const SETS: u64 = 3;

/// Measure what records take in memory.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/asd")]
    asd: PathBuf,
    /// Records, each of an integer, a string of 20 bytes and a list of five integers.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// Passes of updates that change sizes.
    #[arg(long, default_value_t = 5)]
    passes: u64,
    /// Seconds that are waited for memory to be given back.
    #[arg(long, default_value_t = 60)]
    wait: u64,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    println!(
        "| sets loaded | after load | after {} passes | after two thirds went | put, us of processor time |",
        arguments.passes
    );
    println!("|---|---|---|---|---|");
    for interleaved in [false, true] {
        measure(arguments, interleaved)?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, interleaved: bool) -> Result<()> {
    let directory = Directory::new("memory")?;
    let server = Asd::new(&arguments.asd, directory.path())
        .storage("storage-engine memory {\n        data-size 8G\n    }")
        .start()?;
    let empty = resident_bytes(server.pid())?;
    let mut connection = server.connect()?;
    let count = arguments.records;
    let a_record = |server: &RunningAsd| -> Result<f64> {
        let taken = resident_bytes(server.pid())?.saturating_sub(empty);
        Ok(taken as f64 / count as f64)
    };
    let before = cpu_time(server.pid())?;
    for pass in 0..=arguments.passes {
        if pass == 1 {
            print!(
                "| {} | {:.0} ",
                if interleaved {
                    "interleaved"
                } else {
                    "one after the other"
                },
                a_record(&server)?
            );
        }
        put_all(&mut connection, count, interleaved, pass)?;
    }
    let puts = count * (arguments.passes + 1);
    let put_us = (cpu_time(server.pid())? - before).as_secs_f64() * 1e6 / puts as f64;
    print!("| {:.0} ", a_record(&server)?);
    for set in 0..SETS - 1 {
        connection.info(&format!("truncate:namespace=test;set=s{set}"))?;
    }
    let until = Instant::now() + Duration::from_secs(arguments.wait);
    let mut least = f64::MAX;
    while Instant::now() < until {
        least = least.min(a_record(&server)?);
        std::thread::sleep(Duration::from_millis(500));
    }
    println!("| {least:.0} | {put_us:.2} |");
    Ok(())
}

/// Writes every record; a pass other than the first changes its size.
fn put_all(connection: &mut Connection, count: u64, interleaved: bool, pass: u64) -> Result<()> {
    let mut under_way = 0;
    let mut frames = Vec::new();
    for number in 0..count {
        let set = if interleaved {
            number % SETS
        } else {
            number * SETS / count
        };
        let key = RecordKey::new("test", &format!("s{set}"), &format!("{number}"));
        // 20 bytes at first, 4 to 52 later.
        let length = if pass == 0 {
            20
        } else {
            4 + (number + pass * 7) % 49
        };
        let text = "x".repeat(usize::try_from(length).unwrap_or(20));
        let bins = [
            ("n", Particle::integer(i64::try_from(number).unwrap_or(0))),
            ("s", Particle::string(text)),
            (
                "l",
                Particle::new(ParticleType::LIST, vec![0x95, 1, 2, 3, 4, 5]),
            ),
        ];
        let bins = bins.iter().map(|(name, value)| (*name, value));
        frames.extend_from_slice(&key.put(bins, WriteOptions::default())?);
        under_way += 1;
        if under_way == WINDOW || number + 1 == count {
            connection.send(&frames)?;
            frames.clear();
            for _ in 0..std::mem::take(&mut under_way) {
                let code = connection.reply()?.code();
                if code != ResultCode::OK {
                    return Err(Error::Unexpected(format!("a put was answered by {code:?}")));
                }
            }
        }
    }
    Ok(())
}
