//! `asudf run`: one call, here or on a cluster.

mod document;
mod trace;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use protocol::particle::Particle;

use crate::cluster::{self, Cluster};
use crate::engine::Watcher;
use crate::engine::code::Code;
use crate::engine::offline::Offline;
use crate::place::{Address, Did, Function, Place, Policy};
use crate::project::Project;
use crate::show;
use crate::status::{Failure, Status};
use document::RecordFile;

/// What `asudf run` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Name of the module, without `.lua`
    #[arg(value_name = "MODULE")]
    module: String,
    /// Name of a global function of it
    #[arg(value_name = "FUNCTION")]
    function: String,
    /// The record's key: an integer, or a text
    #[arg(long, value_name = "KEY", default_value = "1")]
    key: String,
    /// The record's set
    #[arg(long, value_name = "SET", default_value = "")]
    set: String,
    /// The arguments, a JSON list
    #[arg(long, value_name = "JSON", default_value = "[]")]
    args: String,
    /// A file with the record, {"bins": {…}, "ttl": …, "generation": …}: read if it is there, and written back
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Write nothing back
    #[arg(long)]
    dry_run: bool,
    /// Show each line with its locals, and what is done to the record
    #[arg(long)]
    trace: bool,
    /// Call the registered module on a cluster: a name of asudf.toml or HOST[:PORT]
    #[arg(long, value_name = "HOST", conflicts_with_all = ["record", "dry_run", "trace"])]
    host: Option<String>,
    /// With --host: the namespace
    #[arg(long, value_name = "NAME", default_value = "test")]
    namespace: String,
    /// The project
    #[arg(long, value_name = "DIR", default_value = ".")]
    project: PathBuf,
}

/// Makes the call and prints what came of it.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    let project = Project::of(&options.project).map_err(Failure::of)?;
    let arguments =
        document::arguments(&options.args).map_err(|error| Failure(format!("--args: {error}")))?;
    let key = match options.key.parse::<i64>() {
        Ok(number) => Particle::integer(number),
        Err(_) => Particle::string(options.key.clone()),
    };
    let address = Address::new(&options.set, key);
    let function = Function {
        module: &options.module,
        name: options.function.as_bytes(),
        arguments: &arguments,
    };
    let code = crate::engine::code::of_folder(&project.modules_folder()).map_err(Failure)?;
    let terms = project.settings.test.terms();
    match &options.host {
        Some(host) => {
            let connection = cluster::named(&project, host)?;
            let cluster = Cluster::open(connection.0, connection.1, &options.namespace)?;
            let mut place = cluster.place(&code, terms);
            call(&mut place, &address, function)
        }
        None => offline(options, &code, &address, function, &project),
    }
}

fn offline(
    options: &Options,
    code: &Arc<Code>,
    address: &Address,
    function: Function<'_>,
    project: &Project,
) -> Result<Status, Failure> {
    let watcher: Option<Arc<dyn Watcher>> = match options.trace {
        true => Some(Arc::new(trace::Trace::new(code))),
        false => None,
    };
    let mut place = Offline::new(Arc::clone(code), project.settings.test.terms(), watcher);
    // It stands still: a slow machine takes nothing off the time that the record has to live.
    let now = place.unix_ms();
    place.set_clock(now).map_err(Failure::of)?;
    let before = match &options.record {
        Some(path) => RecordFile::read(path)?,
        None => None,
    };
    if let Some(record) = &before {
        place.put(address, record).map_err(Failure::of)?;
    }
    let status = call(&mut place, address, function)?;
    if let (Some(path), false) = (&options.record, options.dry_run) {
        let seen = place.look(address).map_err(Failure::of)?;
        RecordFile::write(path, seen.as_ref())?;
    }
    Ok(status)
}

fn call(
    place: &mut dyn Place,
    address: &Address,
    function: Function<'_>,
) -> Result<Status, Failure> {
    let called = place
        .apply(address, function, &Policy::default())
        .map_err(Failure::of)?;
    let mut told = String::new();
    for line in place.take_lines().into_iter().flatten() {
        told += &format!("{line}\n");
    }
    let status = match called.code.0 {
        0 => {
            told += &format!("{}\n", show::particle(called.value.as_ref()));
            Status::Fine
        }
        code => {
            let text = String::from_utf8_lossy(&called.failure);
            told += &format!("result {code}: {text}\n");
            if let Some(why) = &called.cause.text {
                told += &format!("  {why}\n");
            }
            Status::Something
        }
    };
    let did = match called.did {
        Did::Nothing => "unchanged",
        Did::Created => "created",
        Did::Updated => "updated",
        Did::Deleted => "deleted",
    };
    let seen = place.look(address).map_err(Failure::of)?;
    told += &match &seen {
        None => format!("record {did}: there is none\n"),
        Some(seen) => format!(
            "record {did}: {} generation {} ttl {}\n",
            show::value(&seen.bins_as_map()),
            seen.generation,
            seen.ttl.map_or("never".to_owned(), |ttl| ttl.to_string())
        ),
    };
    match io::stdout().write_all(told.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::of(error)),
        _ => Ok(status),
    }
}
