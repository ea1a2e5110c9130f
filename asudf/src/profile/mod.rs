//! Where functions spend time and memory: by lines, as folded stacks and as a flame graph.

mod flame;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::thread::ThreadId;
use std::time::Instant;

use protocol::bounds::Fit as _;
use runtime::host::{LineSeen, Observer, StackSeen, Wants};

use crate::engine::Watcher;
use crate::engine::code::{Code, name_at};
use crate::status::Failure;

/// What a line has taken, from when it began to when the next one did.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    nanoseconds: u128,
    /// Bytes by which the state has grown.
    bytes: u64,
}

/// The line that runs on a thread.
#[derive(Debug)]
struct Running {
    stack: String,
    begun: Instant,
    held: usize,
}

#[derive(Debug, Default)]
struct Costs {
    running: HashMap<ThreadId, Running>,
    by_stack: BTreeMap<String, Cost>,
}

/// Measures lines.
#[derive(Debug)]
pub(crate) struct Profile {
    costs: Mutex<Costs>,
    /// Texts of the modules by file name, for names of functions.
    texts: BTreeMap<String, String>,
}

impl Costs {
    /// The line that ran is over.
    fn end(&mut self, now: Instant, held: Option<usize>) {
        let Some(ran) = self.running.remove(&std::thread::current().id()) else {
            return;
        };
        let cost = self.by_stack.entry(ran.stack).or_default();
        cost.nanoseconds += now.duration_since(ran.begun).as_nanos();
        let grown = held.map_or(0, |held| held.saturating_sub(ran.held));
        cost.bytes += grown.fit::<u64>();
    }
}

impl Profile {
    /// For modules of these folders.
    pub(crate) fn new(folders: &[(&Path, &Code)]) -> Self {
        let sources = folders.iter().flat_map(|(_, code)| code.sources().values());
        let texts = sources.map(|source| {
            let text = String::from_utf8_lossy(&source.text).into_owned();
            (source.file_name.clone(), text)
        });
        Self {
            costs: Mutex::default(),
            texts: texts.collect(),
        }
    }

    /// A function as it is named where it begins: what it was called by is not always known.
    fn frame(&self, seen: &StackSeen) -> String {
        let name = match (seen.defined, self.texts.get(&seen.file)) {
            (0, _) => "(body)".to_owned(),
            (line, Some(text)) => name_at(text, line),
            (line, None) => format!("(line {line})"),
        };
        format!("{}:{name}:{}", seen.file, seen.line).replace([';', ' '], "_")
    }
}

impl Observer for Profile {
    fn wants(&self) -> Wants {
        Wants {
            stack: true,
            locals: false,
        }
    }

    fn line(&self, line: &LineSeen<'_>) {
        let Ok(mut costs) = self.costs.lock() else {
            return;
        };
        costs.end(Instant::now(), Some(line.held));
        let stack: Vec<String> = line.stack.iter().map(|seen| self.frame(seen)).collect();
        let running = Running {
            stack: stack.join(";"),
            // What the observer itself takes does not count.
            begun: Instant::now(),
            held: line.held,
        };
        costs.running.insert(std::thread::current().id(), running);
    }

    fn operation(&self, _name: &str, _status: i64) {}
}

impl Watcher for Profile {
    fn rest(&self) {
        if let Ok(mut costs) = self.costs.lock() {
            costs.end(Instant::now(), None);
        }
    }
}

impl Profile {
    /// Writes `time.folded` (nanoseconds), `allocations.folded` (bytes) and a flame graph of each into a folder; gives a line
    /// for people.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, into: &Path) -> Result<String, Failure> {
        let by_stack = match self.costs.lock() {
            Ok(costs) => costs.by_stack.clone(),
            Err(_) => BTreeMap::new(),
        };
        let failed = |error| Failure(format!("{}: {error}", into.display()));
        fs::create_dir_all(into).map_err(failed)?;
        type Of = fn(&Cost) -> u128;
        let kinds: [(&str, &str, Of); 2] = [
            ("time", "ns", |cost| cost.nanoseconds),
            ("allocations", "bytes", |cost| cost.bytes.into()),
        ];
        for (name, unit, of) in kinds {
            let mut folded = String::new();
            for (stack, cost) in by_stack.iter().filter(|(_, cost)| of(cost) > 0) {
                // Writing to a string does not fail.
                let _ = writeln!(folded, "{stack} {}", of(cost));
            }
            let graph = flame::graph(&folded, &format!("{name} by lines, {unit}"), unit);
            fs::write(into.join(format!("{name}.folded")), folded).map_err(failed)?;
            fs::write(into.join(format!("{name}.svg")), graph).map_err(failed)?;
        }
        let whole: u128 = by_stack.values().map(|cost| cost.nanoseconds).sum();
        Ok(format!(
            "{:.1} ms in functions: {}\n",
            whole as f64 / 1e6,
            into.join("time.svg").display()
        ))
    }
}
