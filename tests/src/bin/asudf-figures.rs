//! Figures of `asudf`: tests and checks from a cold start to the verdict, modules to three nodes of `asd`, and the time from
//! a save to the first call that runs the new source, as a client sees it.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::asd::Asd;
use tests::cluster::ClusterPlan;
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::process::wait_until;
use tests::records::{CallOptions, RecordKey, remove_all_modules};
use tests::usage;

/// Measure asudf.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, default_value = "target/dist/asudf")]
    asudf: PathBuf,
    /// The server that modules are put to.
    #[arg(long, default_value = "target/dist/asd")]
    asd: PathBuf,
    /// Runs of each case; the median counts.
    #[arg(long, default_value_t = 9)]
    runs: usize,
    /// Saves.
    #[arg(long, default_value_t = 30)]
    saves: i64,
}

/// Modules of the apply, one in ten of which the others require.
const MODULES: usize = 100;
/// Modules of the check.
const CHECKED: usize = 1_000;
const DEADLINE: Duration = Duration::from_secs(60);
/// An empty list, in msgpack.
const NO_ARGUMENTS: &[u8] = &[0x90];

const COUNTER: &str = "function add(rec, bin, amount)
    local sum = (rec[bin] or 0) + amount
    rec[bin] = sum
    if aerospike:exists(rec) then
        aerospike:update(rec)
    else
        aerospike:create(rec)
    end
    return sum
end
";

/// A directory that goes with this.
struct Place(PathBuf);

impl Place {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("asudf-figures-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(Error::io("a directory"))?;
        Ok(Self(path))
    }

    fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path).map_err(Error::io("a folder"))?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left is in the system's temporary directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A process that ends with this.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::write(folder.join(name), text).map_err(Error::io(name))
}

fn asudf(arguments: &Arguments, folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(&arguments.asudf);
    command
        .args(words)
        .current_dir(folder)
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The median and the worst.
fn summary(mut times: Vec<f64>) -> Result<(f64, f64)> {
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied();
    let worst = times.last().copied();
    median
        .zip(worst)
        .ok_or_else(|| Error::Unexpected("no run".to_owned()))
}

/// Milliseconds from start to end, the median of all runs.
fn measured(
    arguments: &Arguments,
    folder: &Path,
    (words, status): (&[&str], i32),
    mut between: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let mut times = Vec::with_capacity(arguments.runs);
    for _ in 0..arguments.runs {
        between()?;
        let usage = usage::run(&mut asudf(arguments, folder, words), status)?;
        times.push(milliseconds(usage.elapsed));
    }
    Ok(summary(times)?.0)
}

fn tests_in_process(arguments: &Arguments, place: &Place) -> Result<()> {
    for count in [1, 200, 5_000] {
        let folder = place.folder(&format!("tests-{count}"))?;
        write(&folder, "asudf.toml", "")?;
        write(&folder, "counter.lua", COUNTER)?;
        let mut text = String::new();
        for number in 0..count {
            // Writing to memory does not fail.
            let _ = writeln!(
                text,
                "t.test('adds {number}', function()\n\
                     local rec = t.record{{ key = 'k', bins = {{ n = {number} }} }}\n\
                     t.equal(t.apply(rec, 'counter', 'add', 'n', 4), {number} + 4)\n\
                     t.equal(rec.bins.n, {number} + 4)\n\
                 end)"
            );
        }
        write(&folder, "counter_test.lua", &text)?;
        let time = measured(arguments, &folder, (&["test"], 0), || Ok(()))?;
        println!("| {count} tests, from start to verdict | {time:.1} ms | |");
    }
    Ok(())
}

fn checks(arguments: &Arguments, place: &Place) -> Result<()> {
    let folder = place.folder("check")?;
    write(&folder, "asudf.toml", "")?;
    let mut size = 0;
    for number in 0..CHECKED {
        let (name, text) = module(number);
        size += text.len();
        write(&folder, &name, &text)?;
    }
    let time = measured(arguments, &folder, (&["check"], 0), || Ok(()))?;
    println!("| check of {CHECKED} modules, {size} bytes | {time:.0} ms | |");
    Ok(())
}

/// The name of a module, and its source of about two kilobytes. One in ten is required by the nine after it.
fn module(number: usize) -> (String, String) {
    let base = number / 10 * 10;
    let mut text = if number == base {
        "local base = nil\n".to_owned()
    } else {
        format!("local base = require(\"m{base:04}\")\n")
    };
    for part in 0..8 {
        // Writing to memory does not fail.
        let _ = writeln!(text, "function part_{part}(rec, bin, amount)");
        text += COUNTER.split_once('\n').map_or("", |(_, body)| body);
    }
    text += "return { base = base }\n";
    (format!("m{number:04}.lua"), text)
}

fn applies(arguments: &Arguments, place: &Place) -> Result<()> {
    let plan = ClusterPlan::new(&arguments.asd, place.folder("cluster")?, 3);
    let nodes = plan.start()?;
    let stable = format!("cluster-stable:size={};ignore-migrations=true", nodes.len());
    wait_until("the nodes form one cluster", DEADLINE, || {
        nodes.iter().try_fold(true, |formed, node| {
            let key = node.connect()?.info(&stable)?;
            Ok(formed && !key.starts_with("ERROR"))
        })
    })?;
    let first = nodes
        .first()
        .ok_or_else(|| Error::Unexpected("a cluster has nodes".to_owned()))?;
    let folder = place.folder("apply")?;
    let text = format!(
        "[ship]\nproject = \"figures\"\n[cluster.near]\nhost = \"{}\"\n",
        first.address()
    );
    write(&folder, "asudf.toml", &text)?;
    for number in 0..MODULES {
        let (name, text) = module(number);
        write(&folder, &name, &text)?;
    }
    let again = || {
        let mut connection = first.connect()?;
        remove_all_modules(&mut connection)?;
        wait_until("every node is without modules", DEADLINE, || {
            nodes.iter().try_fold(true, |empty, node| {
                Ok(empty && node.connect()?.info("udf-list")?.is_empty())
            })
        })
    };
    let keep = place.folder("kept")?;
    let keep = keep.display().to_string();
    let words = ["apply", "--keep", &keep];
    let time = measured(arguments, &folder, (&words, 1), again)?;
    println!("| apply of {MODULES} modules to three nodes | {time:.0} ms | |");
    let time = measured(arguments, &folder, (&["apply"], 0), || Ok(()))?;
    println!("| the same again: contents are read, nothing is written | {time:.1} ms | |");
    Ok(())
}

/// What a call of the module gives, nothing while it is not there.
fn answer(connection: &mut Connection, record: &RecordKey) -> Result<Option<i64>> {
    let call = record.apply(b"saved", b"number", NO_ARGUMENTS, CallOptions::default())?;
    let reply = connection.message(&call)?;
    Ok(reply
        .bin("SUCCESS")
        .and_then(|value| value.as_ref().as_integer()))
}

fn saves(arguments: &Arguments, place: &Place) -> Result<()> {
    let node = Asd::new(&arguments.asd, place.folder("node")?).start()?;
    let folder = place.folder("watch")?;
    let source = |number: i64| format!("function number(rec)\n    return {number}\nend\n");
    write(&folder, "asudf.toml", "")?;
    write(&folder, "saved.lua", &source(0))?;
    let test = "t.test('gives a number', function()\n\
                t.equal(type(t.apply(t.record{}, 'saved', 'number')), 'number')\nend)\n";
    write(&folder, "saved_test.lua", test)?;
    let to = node.address().to_string();
    let mut command = asudf(arguments, &folder, &["watch", "--to", &to]);
    let child = command.stdout(Stdio::piped()).spawn();
    let mut watching = Watching(child.map_err(Error::io("start asudf watch"))?);
    let printed = watching.0.stdout.take();
    let printed = printed.ok_or_else(|| Error::Unexpected("no output".to_owned()))?;
    let mut lines = BufReader::new(printed).lines();
    // Its first line: from now on it sees saves.
    lines.next();
    let reader = std::thread::spawn(move || lines.count());
    let record = RecordKey::new("test", "figures", "one");
    let mut connection = node.connect()?;
    let mut times = Vec::new();
    for number in 1..=arguments.saves {
        let begun = Instant::now();
        write(&folder, "saved.lua", &source(number))?;
        while answer(&mut connection, &record)? != Some(number) {
            if begun.elapsed() > DEADLINE {
                return Err(Error::Unexpected("a save is not served".to_owned()));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        times.push(milliseconds(begun.elapsed()));
    }
    drop(watching);
    // It only kept the pipe empty.
    reader.join().ok();
    let (median, worst) = summary(times)?;
    println!("| a save until a client is answered by it | {median:.0} ms | < 150 |");
    println!("| the longest of {} | {worst:.0} ms | |", arguments.saves);
    Ok(())
}

fn figures(mut arguments: Arguments) -> Result<()> {
    for program in [&mut arguments.asudf, &mut arguments.asd] {
        *program = program
            .canonicalize()
            .map_err(Error::io(program.display().to_string()))?;
    }
    let place = Place::new()?;
    println!("| figure | measured | goal |\n|---|---|---|");
    tests_in_process(&arguments, &place)?;
    checks(&arguments, &place)?;
    applies(&arguments, &place)?;
    saves(&arguments, &place)
}

fn main() -> ExitCode {
    match figures(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
