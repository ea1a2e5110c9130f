//! `asudf test`: files `*_test.lua`, run by the server's own engine in this process.
//!
//! ```text
//! prelude.lua  the library `t` of test files, in Lua
//! session      what the library asks: records, calls, comparisons, clock, log
//! file         a test file: loaded, its tests run one after the other
//! suite        all files of a project, on several threads
//! answer       what it answers with
//! compare      the same tests on a cluster
//! report       what is printed: pretty, TAP, JUnit, JSON
//! ```

mod answer;
mod compare;
pub(crate) mod file;
mod report;
pub(crate) mod session;
pub(crate) mod suite;
mod words;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use protocol::bounds::Fit as _;

use crate::coverage::Coverage;
use crate::engine::Watcher;
use crate::profile::Profile;
use crate::project::Project;
use crate::random::seed_of;
use crate::status::{Failure, Status};
use suite::Suite;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: what failed, and why.
    Pretty,
    /// Test Anything Protocol, version 14.
    Tap,
    /// JUnit's XML, for CI.
    Junit,
    /// One JSON document.
    Json,
}

/// What `asudf test` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The project, or a folder in it, or one test file
    #[arg(value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Run only tests in whose "FILE: NAME" this text occurs
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Threads [default: as many as processors]
    #[arg(long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
    /// What random choices follow from; a failure prints it [default: another one each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How results are printed
    #[arg(long, value_name = "FORMAT", default_value = "pretty")]
    format: Format,
    /// Write which lines have run, as lcov.info and index.html, into this folder
    #[arg(long, value_name = "DIR")]
    cover: Option<PathBuf>,
    /// Write which lines took time and memory, as folded stacks and flame graphs, into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "cover")]
    profile: Option<PathBuf>,
    /// Run the same tests on a cluster too, a name of asudf.toml or HOST[:PORT], and compare
    #[arg(long, value_name = "HOST")]
    against: Option<String>,
    /// With --against: the namespace
    #[arg(long, value_name = "NAME", default_value = "test")]
    namespace: String,
}

/// Runs the tests and prints what came of them.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    let begun = Instant::now();
    let project = Project::of(&options.directory).map_err(Failure::of)?;
    let suite = Suite::find(&project, &options.directory)?;
    let running = file::Running {
        seed: options.seed.unwrap_or_else(new_seed),
        filter: options.filter.clone(),
        terms: project.settings.test.terms(),
        time: Duration::from_millis(project.settings.test.whole_time_limit_ms),
        set: match options.against {
            Some(_) => compare::own_set(),
            None => session::DEFAULT_SET.to_owned(),
        },
        without: std::collections::BTreeSet::new(),
    };
    let jobs = options.jobs.map_or_else(processors, usize::from);
    let (coverage, profile) = (
        Arc::new(Coverage::default()),
        Arc::new(Profile::new(&suite.folders())),
    );
    let watcher: Option<Arc<dyn Watcher>> = match (&options.cover, &options.profile) {
        (Some(_), _) => Some(Arc::clone(&coverage) as Arc<dyn Watcher>),
        (_, Some(_)) => Some(Arc::clone(&profile) as Arc<dyn Watcher>),
        _ => None,
    };
    let files = suite.run(&running, jobs, watcher.as_ref());
    let count: usize = files.iter().map(|file| file.tests.len()).sum();
    if count == 0 && files.iter().all(|file| file.broken.is_none()) {
        return Err(Failure(match &options.filter {
            Some(filter) => format!("no test has `{filter}` in its file and name"),
            None => {
                "the test files register no test: t.test(\"name\", function() … end)".to_owned()
            }
        }));
    }
    let results = report::Results {
        files: &files,
        seed: running.seed,
        took: begun.elapsed(),
    };
    let colour = io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = match options.format {
        Format::Pretty => report::pretty::text(&results, colour),
        Format::Tap => report::tap::text(&results),
        Format::Junit => report::junit::text(&results),
        Format::Json => report::json::text(&results),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(Failure::of(error)),
        // A reader that has seen enough is no failure.
        _ => {}
    }
    let mut told = String::new();
    if let Some(into) = &options.cover {
        told += &coverage.write(into, &suite.folders())?;
    }
    if let Some(into) = &options.profile {
        told += &profile.write(into)?;
    }
    if !told.is_empty() {
        // Machines read the results from stdout.
        io::stderr()
            .write_all(told.as_bytes())
            .map_err(Failure::of)?;
    }
    let mut failed = results.failed();
    if let Some(name) = &options.against {
        let against = compare::Against {
            name,
            namespace: &options.namespace,
        };
        let compared = compare::compare(&project, &against, &suite, &running, &files)?;
        failed += compared.differences.len();
        let text = compare::text(&compared, name);
        // Machines read the results from stdout.
        let told = match options.format {
            Format::Pretty => io::stdout().write_all(text.as_bytes()),
            _ => io::stderr().write_all(text.as_bytes()),
        };
        told.map_err(Failure::of)?;
    }
    Ok(match failed {
        0 => Status::Fine,
        _ => Status::Something,
    })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A seed that is easily typed.
pub(crate) fn new_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    seed_of(now.fit::<u64>(), "") % 1_000_000_000
}
