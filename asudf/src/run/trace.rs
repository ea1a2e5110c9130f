//! What a call does, line by line, on stderr.

use std::collections::BTreeMap;
use std::io::Write;

use protocol::bounds::Fit as _;
use protocol::particle::Particle;
use runtime::host::{BinAccess, LineSeen, Observer, Wants};

use crate::engine::Watcher;
use crate::engine::code::Code;
use crate::show;

/// Shows lines with their locals, and all that is done with the record: bins, its metadata, what stores it.
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
        let index = line.line.fit::<usize>().saturating_sub(1);
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
        tell(&format!("aerospike:{name} = {status}"));
    }

    fn looked_at(&self, function: &str, value: Option<&Particle>) {
        tell(&match function {
            "set_ttl" => format!("record.set_ttl({})", shown(value)),
            "drop_key" => "record.drop_key()".to_owned(),
            // A table of names, which is no value of a record.
            "bin_names" => "record.bin_names".to_owned(),
            _ => format!("record.{function} = {}", shown(value)),
        });
    }

    fn bin(&self, name: &[u8], access: BinAccess, value: Option<&Particle>) {
        let name = String::from_utf8_lossy(name);
        let value = shown(value);
        tell(&match access {
            BinAccess::Read => format!("bin {name} is {value}"),
            BinAccess::Written => format!("bin {name} := {value}"),
        });
    }
}

fn shown(value: Option<&Particle>) -> String {
    value.map_or_else(|| "nil".to_owned(), |value| show::particle(value.as_ref()))
}

/// What was done with the record.
fn tell(what: &str) {
    // Nobody is left to be told of a closed stderr.
    let _ = writeln!(std::io::stderr(), "{:<20} → {what}", "");
}

impl Watcher for Trace {
    fn rest(&self) {}
}
