//! A test file: loaded into a state, its tests run one after the other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use protocol::particle::Particle;
use protocol::value::Value;
use runtime::call::{Call, RecordView, Reply};
use runtime::context::Retirement::Aborted;
use runtime::context::{Context, Limits, LuaFactory};
use runtime::host::{Host, Oracle};
use runtime::machine::shared::BodyTime;
use runtime::module::{Bytecode, Modules};

use super::session::{Registered, Session, Traces};
use crate::engine::code::Code;
use crate::engine::desk::Desk;
use crate::place::{Place, Terms};

/// Name of the function that tests ask by; the library takes it away from them.
const ASK: &str = "asudf_ask";

/// The function of the library that runs a test.
const RUN: &[u8] = b"asudf_run_test";

/// In the text of a call that ran out of time.
const TIMEOUT: &[u8] = b"UDF Execution Timeout";

/// Memory of a test file and its tests, bytes.
const TEST_MEMORY: usize = 1 << 30;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// A test that was run.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// Its place among the tests of the file, from 1.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) verdict: Verdict,
    pub(crate) took: Duration,
    /// Why it failed or was skipped.
    pub(crate) message: String,
    /// Line of the file at which it failed.
    pub(crate) failed_at: Option<u32>,
    pub(crate) traces: Traces,
    /// Lines that the test itself has printed.
    pub(crate) printed: Vec<String>,
}

/// What came of a file.
#[derive(Clone, Debug)]
pub(crate) struct FileReport {
    pub(crate) path: PathBuf,
    /// Why its tests could not be run.
    pub(crate) broken: Option<String>,
    pub(crate) tests: Vec<Ran>,
}

/// How tests are run.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) seed: u64,
    /// Only tests in whose `FILE: NAME` this occurs.
    pub(crate) filter: Option<String>,
    pub(crate) terms: Terms,
    /// Processor time that a test may take in all, property tests and their shrinking included; so may a file to register.
    pub(crate) time: Duration,
    /// Set of records for which tests name none.
    pub(crate) set: String,
    /// Tests by file and name that are left alone.
    pub(crate) without: BTreeSet<(PathBuf, String)>,
}

/// The library, compiled once.
fn library(factory: &LuaFactory) -> Result<Bytecode, String> {
    static LIBRARY: OnceLock<Result<Bytecode, String>> = OnceLock::new();
    LIBRARY
        .get_or_init(|| {
            let source = include_bytes!("prelude.lua");
            factory.compile("(asudf)", source).map_err(|failure| {
                let message = String::from_utf8_lossy(&failure.message);
                format!("the library of tests: line {}: {message}", failure.line)
            })
        })
        .clone()
}

/// A loaded file.
struct Loaded {
    session: Arc<Session>,
    desk: Arc<Desk>,
    factory: LuaFactory,
    code: Arc<Code>,
    context: Context,
}

impl Loaded {
    fn new(
        name: &str,
        code: &Arc<Code>,
        place: Box<dyn Place>,
        running: &Running,
    ) -> Result<Self, String> {
        let session = Session::new(place, name, &running.set, running.terms);
        let session = Arc::new(session);
        let desk = Arc::new(Desk::default());
        let limits = Limits {
            load_time: BodyTime::of_processor(running.time),
            load_memory: TEST_MEMORY,
            call_memory: TEST_MEMORY,
            context_memory: TEST_MEMORY,
            ..Limits::default()
        };
        let host: Arc<dyn Host> = Arc::clone(&desk) as _;
        let oracle: Arc<dyn Oracle> = Arc::clone(&session) as _;
        let factory = LuaFactory::new("", false, true, limits, host).with_oracle(ASK, oracle);
        let context = build(&factory, code)?;
        Ok(Self {
            session,
            desk,
            factory,
            code: Arc::clone(code),
            context,
        })
    }

    fn run(&mut self, number: usize, test: &Registered, file_name: &str, running: &Running) -> Ran {
        let begun = Instant::now();
        let mut ran = Ran {
            number,
            name: test.name.clone(),
            line: test.line,
            verdict: Verdict::Passed,
            took: Duration::ZERO,
            message: String::new(),
            failed_at: None,
            traces: Traces::default(),
            printed: Vec::new(),
        };
        drop(self.desk.take_lines());
        if let Err(trouble) = self
            .session
            .begin(&format!("{file_name}: {}", test.name), running.seed)
        {
            ran.verdict = Verdict::Failed;
            ran.message = trouble.0;
            return ran;
        }
        let text = self.call(number, running.time);
        ran.took = begun.elapsed();
        ran.traces = self.session.take_traces();
        ran.printed = self.desk.take_lines();
        if let Some(text) = text {
            ran.verdict = Verdict::Failed;
            let text = String::from_utf8_lossy(&text).into_owned();
            (ran.message, ran.failed_at) = taken_apart(&text, file_name);
        }
        if let Some(reason) = &ran.traces.skipped {
            ran.verdict = Verdict::Skipped;
            ran.message = reason.clone();
        }
        if self.context.retirement().is_some() {
            // The tests register again, which are known already.
            match build(&self.factory, &self.code) {
                Ok(context) => self.context = context,
                Err(text) if ran.verdict == Verdict::Passed => {
                    ran.verdict = Verdict::Failed;
                    ran.message = text;
                }
                Err(_) => {}
            }
        }
        ran
    }

    /// Calls a test, from 1; the text of its error, if it fails.
    fn call(&mut self, number: usize, time: Duration) -> Option<Vec<u8>> {
        let number = Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let arguments = match Value::list([number]).to_particle() {
            Ok(arguments) => arguments,
            Err(error) => return Some(error.to_string().into_bytes()),
        };
        let (outcome, _) = self.context.run(Call {
            function: RUN,
            arguments: &arguments.data,
            record: no_record(),
            deadline: Instant::now() + time,
            now: 0,
        });
        match outcome.reply {
            Reply::Success(_) => None,
            Reply::Failure(text)
                if text.windows(TIMEOUT.len()).any(|part| part == TIMEOUT)
                    && self.context.retirement() == Some(Aborted) =>
            {
                let took = format!(
                    "the test takes more than {} ms (whole-time-limit-ms of asudf.toml)",
                    time.as_millis()
                );
                Some(took.into_bytes())
            }
            Reply::Failure(text) => Some(text),
        }
    }
}

fn build(factory: &LuaFactory, code: &Arc<Code>) -> Result<Context, String> {
    let bytecode = library(factory)?;
    let modules: Arc<dyn Modules> = Arc::clone(code) as _;
    factory
        .create("(asudf)", &bytecode, modules)
        .map_err(|failure| about_the_file(&failure.reason))
}

/// What is wrong with a file, without what was on the way to it.
fn about_the_file(reason: &str) -> String {
    let own = match reason.strip_prefix("(asudf):") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, own)| own),
        None => reason,
    };
    match own.split_once(":\n\t") {
        Some((before, own)) if before.starts_with("error loading module") => own.to_owned(),
        _ => own.to_owned(),
    }
}

/// Tests are called as functions of a record that is not there.
fn no_record() -> RecordView {
    RecordView {
        digest: crate::place::Address::new("", Particle::NIL).digest,
        set: None,
        key: None,
        stored: None,
        in_memory: true,
        persisted: false,
        write_refusal: None,
    }
}

/// The message without its traceback, and the line of the file that failed.
fn taken_apart(text: &str, file_name: &str) -> (String, Option<u32>) {
    let (message, traceback) = text
        .split_once("\nstack traceback:\n")
        .unwrap_or((text, ""));
    let line_in = |text: &str| {
        let (_, after) = text.split_once(&format!("{file_name}:"))?;
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    // An error of the test itself begins with its place, which is said once.
    let own = format!("{file_name}:");
    // What the library raises for an answer has a place in the library, which is no place for people.
    let message = match message.strip_prefix("(asudf):") {
        Some(rest) => rest.split_once(": ").map_or(rest, |(_, message)| message),
        None => message,
    };
    let message = match message.strip_prefix(&own) {
        Some(rest) => rest
            .split_once(": ")
            .map_or(message, |(_, message)| message)
            .to_owned(),
        None => message.to_owned(),
    };
    let place = line_in(
        text.lines()
            .next()
            .unwrap_or("")
            .get(..own.len() + 8)
            .unwrap_or(""),
    )
    .or_else(|| traceback.lines().find_map(line_in));
    (message, place)
}

/// Runs the tests of a file: every `parts`-th, from number `part` on.
pub(crate) fn run(
    path: &Path,
    code: &Arc<Code>,
    place: Box<dyn Place>,
    running: &Running,
    (part, parts): (usize, usize),
) -> FileReport {
    let mut report = FileReport {
        path: path.to_owned(),
        broken: None,
        tests: Vec::new(),
    };
    let file_name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = file_name.strip_suffix(".lua").unwrap_or(&file_name);
    let mut loaded = match Loaded::new(name, code, place, running) {
        Ok(loaded) => loaded,
        Err(text) => {
            report.broken = Some(text);
            return report;
        }
    };
    let registered = loaded.session.registered();
    for (number, test) in registered.iter().enumerate() {
        let whole = format!("{file_name}: {}", test.name);
        if number % parts != part {
            continue;
        }
        if running
            .without
            .contains(&(path.to_owned(), test.name.clone()))
        {
            continue;
        }
        if running
            .filter
            .as_ref()
            .is_some_and(|filter| !whole.contains(filter))
        {
            continue;
        }
        let ran = loaded.run(number + 1, test, &file_name, running);
        report.tests.push(ran);
    }
    if let Err(trouble) = loaded.session.finish() {
        report.broken = Some(trouble.0);
    }
    report
}
