//! What a call does, line by line, on stderr.

use std::collections::BTreeMap;
use std::io::Write;

use runtime::host::{LineSeen, Observer, Wants};

use crate::engine::Watcher;
use crate::engine::code::Code;
use crate::show;

/// Shows lines with their locals, and calls on the record.
#[derive(Debug)]
pub(super) struct Trace {
    /// Lines by file.
    sources: BTreeMap<String, Vec<String>>,
}

impl Trace {
    pub(super) fn new(code: &Code) -> Self {
        let sources = code.sources().values().map(|source| {
            let text = String::from_utf8_lossy(&source.text);
            let lines = text.lines().map(|line| line.trim_start().to_owned());
            (source.file_name.clone(), lines.collect())
        });
        Self {
            sources: sources.collect(),
        }
    }
}

impl Observer for Trace {
    fn wants(&self) -> Wants {
        Wants {
            stack: false,
            locals: true,
        }
    }

    fn line(&self, line: &LineSeen<'_>) {
        let index = usize::try_from(line.line)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let source = self
            .sources
            .get(line.file)
            .and_then(|lines| lines.get(index));
        let locals: Vec<String> = line
            .locals
            .iter()
            .map(|local| {
                let value = match &local.value {
                    Some(value) => show::particle(value.as_ref()),
                    None => format!("({})", local.kind),
                };
                format!("{} = {value}", local.name)
            })
            .collect();
        let place = format!("{}:{}", line.file, line.line);
        let source = source.map_or("", String::as_str);
        // Nobody is left to be told of a closed stderr.
        let _ = writeln!(
            std::io::stderr(),
            "{place:<20} {source:<50} {}",
            locals.join(", ")
        );
    }

    fn operation(&self, name: &str, status: i64) {
        // Nobody is left to be told of a closed stderr.
        let _ = writeln!(
            std::io::stderr(),
            "{:<20} → aerospike:{name} = {status}",
            ""
        );
    }
}

impl Watcher for Trace {
    fn rest(&self) {}
}
