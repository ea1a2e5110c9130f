//! Which lines and functions of modules the tests have run, as Lua's line hook sees them.
//!
//! ```text
//! lines  the lines and functions that there are to run, from the compiled chunk
//! lcov   the report for machines
//! page   the report for people: one HTML file
//! ```

mod lcov;
mod lines;
mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use runtime::host::{LineSeen, Observer, Wants};
use runtime::module::Modules;

use crate::engine::Watcher;
use crate::engine::code::{Code, name_at};
use crate::project::TEST_SUFFIX;
use crate::status::Failure;

/// Counts how often lines run.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// By file name, then line.
    hits: Mutex<BTreeMap<String, BTreeMap<u32, u64>>>,
}

impl Observer for Coverage {
    fn wants(&self) -> Wants {
        Wants::default()
    }

    fn line(&self, line: &LineSeen<'_>) {
        let Ok(mut hits) = self.hits.lock() else {
            return;
        };
        if !hits.contains_key(line.file) {
            hits.insert(line.file.to_owned(), BTreeMap::new());
        }
        if let Some(lines) = hits.get_mut(line.file) {
            *lines.entry(line.line).or_default() += 1;
        }
    }

    fn operation(&self, _name: &str, _status: i64) {}
}

impl Watcher for Coverage {
    fn rest(&self) {}
}

/// A function and whether it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FunctionCover {
    name: String,
    line: u32,
    hits: u64,
}

/// A module and what of it has run.
#[derive(Clone, Debug)]
struct FileCover {
    path: String,
    text: String,
    /// Lines that can run, and how often they have.
    lines: BTreeMap<u32, u64>,
    functions: Vec<FunctionCover>,
}

impl FileCover {
    fn covered(&self) -> usize {
        self.lines.values().filter(|hits| **hits > 0).count()
    }
}

/// Percent of a whole, for people.
fn percent(part: usize, whole: usize) -> String {
    match whole {
        0 => "-".to_owned(),
        whole => format!("{:.1}", part as f64 * 100.0 / whole as f64),
    }
}

impl Coverage {
    fn of(&self, folder: &Path, code: &Code) -> Vec<FileCover> {
        let hits = match self.hits.lock() {
            Ok(hits) => hits.clone(),
            Err(_) => BTreeMap::new(),
        };
        let mut files = Vec::new();
        for (name, source) in code.sources() {
            if source.file_name.ends_with(TEST_SUFFIX) {
                continue;
            }
            let text = String::from_utf8_lossy(&source.text).into_owned();
            let chunk = code.find(name.as_bytes());
            let compiled = chunk.and_then(|chunk| chunk.compiled.ok());
            let functions = compiled.and_then(|bytecode| lines::read(&bytecode.0));
            // A file that does not compile has no lines that run.
            let functions = functions.into_iter().flatten();
            let seen = hits.get(&source.file_name);
            let hits_of = |line: u32| seen.and_then(|seen| seen.get(&line)).copied().unwrap_or(0);
            let mut cover = FileCover {
                path: folder.join(&source.file_name).display().to_string(),
                lines: BTreeMap::new(),
                functions: Vec::new(),
                text: String::new(),
            };
            for function in functions {
                if function.defined > 0 {
                    let first = function.lines.iter().find(|line| **line > function.defined);
                    let first = first.or(function.lines.first());
                    cover.functions.push(FunctionCover {
                        name: name_at(&text, function.defined),
                        line: function.defined,
                        hits: first.map_or(0, |line| hits_of(*line)),
                    });
                }
                for line in function.lines {
                    cover.lines.insert(line, hits_of(line));
                }
            }
            cover.text = text;
            files.push(cover);
        }
        files
    }

    /// Writes `lcov.info` and `index.html` into a folder; gives a line for people.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, into: &Path, modules: &[(&Path, &Code)]) -> Result<String, Failure> {
        let mut files = Vec::new();
        for (folder, code) in modules {
            files.extend(self.of(folder, code));
        }
        let failed = |error| Failure(format!("{}: {error}", into.display()));
        fs::create_dir_all(into).map_err(failed)?;
        fs::write(into.join("lcov.info"), lcov::text(&files)).map_err(failed)?;
        fs::write(into.join("index.html"), page::text(&files)).map_err(failed)?;
        let covered: usize = files.iter().map(FileCover::covered).sum();
        let whole: usize = files.iter().map(|file| file.lines.len()).sum();
        Ok(format!(
            "{} % of {whole} lines have run: {}\n",
            percent(covered, whole),
            into.join("index.html").display()
        ))
    }
}
