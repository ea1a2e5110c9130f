//! Figures of `aql` against one `asd`: a short run from start to end, and a long SELECT, whose memory must not grow with its
//! rows.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use tests::asd::{Asd, RunningAsd};
use tests::error::{Error, Result};
use tests::usage::{self, Usage};

/// Measure aql.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/aql")]
    aql: PathBuf,
    /// The server that it asks.
    #[arg(long, default_value = "target/dist/asd")]
    asd: PathBuf,
    /// Runs of the short case; the median counts.
    #[arg(long, default_value_t = 51)]
    runs: usize,
    /// Records of the long case.
    #[arg(long, default_value_t = 1_000_000)]
    records: usize,
}

/// A run of `aql`, whose output nobody reads.
fn run(arguments: &Arguments, node: &RunningAsd, words: &[&str]) -> Result<Usage> {
    let mut command = Command::new(&arguments.aql);
    command
        .args(["-N", "-T", "600000", "-h", &node.address().to_string()])
        .args(words)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    usage::run(&mut command, 0)
}

/// Inserts the records from `from` to below `to`.
fn fill(arguments: &Arguments, node: &RunningAsd, (from, to): (usize, usize)) -> Result<()> {
    let path = node.directory().join("fill.aql");
    let mut file = std::io::BufWriter::new(File::create(&path).map_err(Error::io("fill.aql"))?);
    for number in from..to {
        writeln!(
            file,
            "insert into test.many (PK, n, text) values ({number}, {number}, 'record {number}')"
        )
        .map_err(Error::io("fill.aql"))?;
    }
    file.flush().map_err(Error::io("fill.aql"))?;
    run(arguments, node, &["-f", &path.display().to_string()])?;
    Ok(())
}

fn figures(arguments: &Arguments) -> Result<()> {
    let directory = std::env::temp_dir().join(format!("aql-figures-{}", std::process::id()));
    let node = Asd::new(&arguments.asd, &directory).start()?;
    println!("| figure | measured | goal |\n|---|---|---|");
    let mut times = Vec::with_capacity(arguments.runs);
    let mut memory = 0.0_f64;
    for _ in 0..arguments.runs {
        let usage = run(arguments, &node, &["-c", "show modules"])?;
        times.push(usage.elapsed.as_secs_f64() * 1000.0);
        memory = memory.max(usage.memory);
    }
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied();
    let median = median.ok_or_else(|| Error::Unexpected("no run".to_owned()))?;
    println!("| `aql -c \"show modules\"`, start to end | {median:.1} ms | ≤ 6 |");
    println!("| the same, peak memory | {memory:.1} MB | ≤ 8 |");
    let mut filled = 0;
    for records in [
        arguments.records / 100,
        arguments.records / 10,
        arguments.records,
    ] {
        fill(arguments, &node, (filled, records))?;
        filled = records;
        for (name, words) in [
            ("table", &[][..]),
            ("JSON", &["-o", "json"]),
            ("one document", &["--format", "json"]),
        ] {
            let words = [words, &["-c", "select * from test.many"]].concat();
            let Usage { elapsed, memory } = run(arguments, &node, &words)?;
            println!(
                "| SELECT of {records} records, {name} | {:.2} s, {memory:.1} MB | memory is flat |",
                elapsed.as_secs_f64()
            );
        }
    }
    drop(node);
    std::fs::remove_dir_all(&directory).map_err(Error::io("the server's directory"))
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
