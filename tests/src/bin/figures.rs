//! Measures what the README states: `cargo build --profile dist --workspace --features tests/figures && target/dist/figures`.
//!
//! `asd` and the bare server run in turns in one run, so that both meet the same machine.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;
use tests::asd::{Asd, RunningAsd};
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::load::{Load, Row, Window, Workload, resident_bytes, table};
use tests::process::{Process, run_to_end};

const NAMESPACE: &str = "test";

/// Load before each measurement.
const WARM_UP: Duration = Duration::from_secs(1);

/// Repetitions of what is over in milliseconds; the median is printed.
const REPETITIONS: usize = 21;

/// Workloads that are compared with the bare server, and how many times its processor time each may take.
const RATIOS: [(Workload, f64); 5] = [
    (Workload::Build, 1.6),
    (Workload::Get, 1.5),
    (Workload::Put, 1.6),
    (Workload::UdfEcho, 1.8),
    (Workload::UdfRmw, 2.0),
];

/// Measure the server against its goals.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// How many times both servers take their turn for a workload.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=20))]
    rounds: u64,
    /// Seconds before and after clearing the cache.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    clear_seconds: u64,
    /// Servers whose cache is cleared; the median counts.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..=50))]
    clear_rounds: u64,
    /// Connections; may be given several times.
    #[arg(long, default_values_t = [16, 64])]
    connections: Vec<usize>,
    /// Where `asd`, `asinfo` and `bare` are; by default beside this program.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// A directory for the servers' files; by default one in the system's directory for such.
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// The programs, and where servers keep their files.
struct Bench {
    arguments: Arguments,
    programs: PathBuf,
    directory: PathBuf,
}

/// One line of the last table.
struct Figure {
    name: String,
    measured: f64,
    unit: &'static str,
    goal: f64,
    /// Whether more is better.
    at_least: bool,
}

impl Figure {
    fn reached(&self) -> bool {
        if self.at_least {
            self.measured >= self.goal
        } else {
            self.measured <= self.goal
        }
    }
}

impl Bench {
    fn start(&self, name: &str) -> Result<RunningAsd> {
        let directory = self.directory.join(name);
        std::fs::create_dir_all(&directory)
            .map_err(Error::io(format!("create {}", directory.display())))?;
        Asd::new(self.programs.join("asd"), directory).start()
    }

    /// A bare server that gives the answer which `asd` gives to the first frame.
    fn start_bare(&self, asd: &RunningAsd, workload: Workload) -> Result<Process> {
        let frames = workload.frames(NAMESPACE)?;
        let reply = match frames.first() {
            Some(frame) => raw_answer(&mut asd.connect()?, frame)?,
            None => return Err(Error::Unexpected(format!("{workload} sends nothing"))),
        };
        let mut command = Command::new(self.programs.join("bare"));
        command.arg("--reply").arg(hex(&reply));
        Process::start(command)
    }

    async fn measure(
        &self,
        server: &Process,
        workload: Workload,
        connections: usize,
    ) -> Result<Window> {
        let load = Load::start(server.address(), workload.frames(NAMESPACE)?, connections).await?;
        tokio::time::sleep(WARM_UP).await;
        let seconds = Duration::from_secs(self.arguments.seconds);
        let window = load.window(seconds, Some(server.pid())).await?;
        load.stop().await;
        checked(workload, window)
    }

    /// Processor time of `asd` for each workload, in multiples of the bare server's; prints all measurements.
    async fn ratios(&self) -> Result<Vec<Figure>> {
        let asd = self.start("ratios")?;
        let mut figures = Vec::new();
        for (workload, goal) in RATIOS {
            workload.prepare(asd.address(), NAMESPACE)?;
            let bare = self.start_bare(&asd, workload)?;
            for connections in self.arguments.connections.iter().copied() {
                let mut rows = Vec::new();
                let mut spent = [0.0, 0.0];
                for _ in 0..self.arguments.rounds {
                    let turns: [(&str, &Process); 2] = [("bare", &bare), ("asd", &asd)];
                    for ((who, server), sum) in turns.into_iter().zip(&mut spent) {
                        let window = self.measure(server, workload, connections).await?;
                        *sum += window.cpu_us_per_operation().unwrap_or_default();
                        rows.push(Row {
                            name: format!("{workload} {who}"),
                            connections,
                            window,
                        });
                    }
                }
                println!("{}", table(&rows));
                let [bare_us, asd_us] = spent;
                figures.push(Figure {
                    name: format!("{workload}, {connections} connections"),
                    measured: asd_us / bare_us,
                    unit: "x bare",
                    goal,
                    at_least: false,
                });
            }
        }
        Ok(figures)
    }

    /// Throughput after `udf-clear-cache:` in percent of that before, under load: the median of some servers, because what
    /// else the machine does changes single ones by a tenth and more.
    async fn clear_cache(&self, workload: Workload) -> Result<Figure> {
        let mut rows = Vec::new();
        let mut kept = Vec::new();
        for round in 1..=self.arguments.clear_rounds {
            let [before, after] = self.around_clear_cache(workload, round).await?;
            kept.push(100.0 * after.throughput() / before.throughput());
            rows.extend(
                [("before", before), ("after", after)].map(|(when, window)| Row {
                    name: format!("{workload} {when}"),
                    connections: 16,
                    window,
                }),
            );
        }
        println!("{}", table(&rows));
        kept.sort_by(f64::total_cmp);
        let measured = kept.get(kept.len() / 2).copied().unwrap_or_default();
        Ok(Figure {
            name: format!("throughput kept by udf-clear-cache:, {workload}"),
            measured,
            unit: "%",
            goal: 95.0,
            at_least: true,
        })
    }

    /// Load on a fresh server before and after its cache is cleared.
    async fn around_clear_cache(&self, workload: Workload, round: u64) -> Result<[Window; 2]> {
        let asd = self.start(&format!("clear-cache-{workload}-{round}"))?;
        workload.prepare(asd.address(), NAMESPACE)?;
        let seconds = Duration::from_secs(self.arguments.clear_seconds);
        let load = Load::start(asd.address(), workload.frames(NAMESPACE)?, 16).await?;
        tokio::time::sleep(WARM_UP).await;
        let before = checked(workload, load.window(seconds, Some(asd.pid())).await?)?;
        let answer = tokio::task::block_in_place(|| asd.connect()?.info("udf-clear-cache:"))?;
        if answer != "ok" {
            return Err(Error::Unexpected(format!(
                "udf-clear-cache: was answered by {answer}"
            )));
        }
        let after = checked(workload, load.window(seconds, Some(asd.pid())).await?)?;
        load.stop().await;
        Ok([before, after])
    }

    /// From starting the process to the first answer.
    fn start_to_answer(&self) -> Result<Figure> {
        let measured = median(REPETITIONS, || {
            let started = Instant::now();
            let asd = self.start("start")?;
            asd.connect()?.info("build")?;
            Ok(started.elapsed())
        })?;
        Ok(Figure {
            name: "start to first answer".to_owned(),
            measured: measured.as_secs_f64() * 1e3,
            unit: "ms",
            goal: 50.0,
            at_least: false,
        })
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "sizes of a process are far below 2^52"
    )]
    fn idle_memory(&self) -> Result<Figure> {
        let asd = self.start("idle")?;
        asd.connect()?.info("build")?;
        Ok(Figure {
            name: "resident memory, idle".to_owned(),
            measured: resident_bytes(asd.pid())? as f64 / (1024.0 * 1024.0),
            unit: "MB",
            goal: 20.0,
            at_least: false,
        })
    }

    /// `asinfo -v build` from start to end.
    fn asinfo(&self) -> Result<Figure> {
        let asd = self.start("asinfo")?;
        let measured = median(REPETITIONS, || {
            let mut command = Command::new(self.programs.join("asinfo"));
            command
                .args(["-h", "127.0.0.1", "-p"])
                .arg(asd.address().port().to_string())
                .args(["-v", "build"]);
            let started = Instant::now();
            let output = command.output().map_err(Error::io("run asinfo"))?;
            let elapsed = started.elapsed();
            if output.status.success() {
                Ok(elapsed)
            } else {
                Err(Error::Unexpected(format!(
                    "asinfo -v build: {}",
                    String::from_utf8_lossy(&output.stderr)
                )))
            }
        })?;
        Ok(Figure {
            name: "asinfo -v build, start to end".to_owned(),
            measured: measured.as_secs_f64() * 1e3,
            unit: "ms",
            goal: 5.0,
            at_least: false,
        })
    }
}

/// A measurement in which something failed says nothing.
fn checked(workload: Workload, window: Window) -> Result<Window> {
    if window.errors == 0 && window.lost == 0 {
        return Ok(window);
    }
    Err(Error::Unexpected(format!(
        "{workload}: {} errors, {} connections lost, first: {}",
        window.errors,
        window.lost,
        window.first_error.unwrap_or_default()
    )))
}

/// The whole frame that answers this one.
fn raw_answer(connection: &mut Connection, frame: &[u8]) -> Result<Vec<u8>> {
    connection.send(frame)?;
    let (kind, body) = connection.receive()?;
    let header = protocol::header::Header::new(kind, body.len() as u64);
    Ok([&header.to_bytes(), body.as_slice()].concat())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn median(times: usize, mut measure: impl FnMut() -> Result<Duration>) -> Result<Duration> {
    let mut measured = (0..times)
        .map(|_| measure())
        .collect::<Result<Vec<Duration>>>()?;
    measured.sort_unstable();
    measured
        .get(times / 2)
        .copied()
        .ok_or_else(|| Error::Unexpected("nothing was measured".to_owned()))
}

/// The directory of this program, where cargo puts the others as well.
fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(Error::io("find this program"))?;
    Ok(program.parent().unwrap_or(Path::new(".")).to_path_buf())
}

fn print_figures(figures: &[Figure]) {
    println!(
        "{:<48} {:>9} {:<7} {:>9}",
        "figure", "measured", "unit", "goal"
    );
    for figure in figures {
        let relation = if figure.at_least { ">=" } else { "<=" };
        let missed = if figure.reached() { "" } else { "  missed" };
        println!(
            "{:<48} {:>9.2} {:<7} {relation} {:>6}{missed}",
            figure.name, figure.measured, figure.unit, figure.goal
        );
    }
}

/// Says what was measured, where.
fn print_machine(bench: &Bench) -> Result<()> {
    let mut command = Command::new(bench.programs.join("asd"));
    command.arg("--version");
    let version = run_to_end(command)?.stdout;
    let cpus = std::thread::available_parallelism().map_err(Error::io("count processors"))?;
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    println!("{} on {cpus} processors, {model}\n", version.trim());
    Ok(())
}

async fn run(bench: &Bench) -> Result<Vec<Figure>> {
    print_machine(bench)?;
    let mut figures = bench.ratios().await?;
    for workload in [Workload::UdfEcho, Workload::UdfLarge] {
        figures.push(bench.clear_cache(workload).await?);
    }
    figures.push(bench.start_to_answer()?);
    figures.push(bench.idle_memory()?);
    figures.push(bench.asinfo()?);
    Ok(figures)
}

fn prepare(arguments: Arguments) -> Result<Bench> {
    let programs = match &arguments.programs {
        Some(programs) => programs.clone(),
        None => beside_this_program()?,
    };
    let directory = match &arguments.directory {
        Some(directory) => directory.clone(),
        None => std::env::temp_dir().join(format!("asd-figures-{}", std::process::id())),
    };
    Ok(Bench {
        arguments,
        programs,
        directory,
    })
}

#[tokio::main]
async fn main() -> ExitCode {
    let bench = match prepare(Arguments::parse()) {
        Ok(bench) => bench,
        Err(error) => {
            eprintln!("figures: {error}");
            return ExitCode::FAILURE;
        }
    };
    let figures = run(&bench).await;
    if bench.arguments.directory.is_none() {
        // Made by this run; when it cannot be removed the system will do so.
        std::fs::remove_dir_all(&bench.directory).ok();
    }
    match figures {
        Ok(figures) => {
            print_figures(&figures);
            ExitCode::from(u8::from(!figures.iter().all(Figure::reached)))
        }
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}
