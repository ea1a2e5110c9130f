//! The command line of `asd`: flags → config → node → run, and the signals that end it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::Config;
use crate::launch::parent::Parent;
use crate::launch::ready::PortFile;
use crate::launch::throw_away::ThrowAway;
use crate::launch::{
    Launched, Pidfile, Prepared, StartError, credentials, provision, ready, throw_away,
};
use crate::log::Log;
use crate::{allocator, priority};

/// How long the end waits for the last lines of the log.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(1);

/// Aerospike-compatible server for Lua UDFs.
///
/// Without --config-file it serves 127.0.0.1:3000 with one in-memory namespace `test`, and keeps registered modules in
/// a directory of the user ($XDG_STATE_HOME/asd, usually ~/.local/state/asd).
#[derive(Debug, Parser)]
#[command(
    name = "asd",
    disable_version_flag = true,
    disable_help_subcommand = true,
    infer_long_args = true
)]
struct Options {
    /// Configuration file, in the grammar of aerospike.conf
    #[arg(short = 'f', long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Print the built-in configuration, commented, to start one's own from
    #[arg(long)]
    print_default_config: bool,

    /// Listen for clients on this port instead of the configured one (0: a free port, printed)
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Start a cluster of so many nodes in this process, on free ports (printed), with state that is removed at the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: Option<u8>,

    /// Register the .lua files of this directory before saying ready; a module that does not load refuses the start
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,

    /// Write addresses and process id as JSON to this file when clients are served; it is removed at the end
    #[arg(long, value_name = "FILE")]
    port_file: Option<PathBuf>,

    /// Print that JSON as one line on stdout, instead of the lines for people
    #[arg(long)]
    ready_json: bool,

    /// End, as after SIGTERM, when the process ends that has started this one
    #[arg(long)]
    end_with_parent: bool,

    /// Copy what is whole of a damaged file of records to the file of --into, and leave
    #[arg(long, value_name = "FILE", requires = "into")]
    salvage: Option<PathBuf>,

    /// The new file of --salvage
    #[arg(long, value_name = "FILE", requires = "salvage")]
    into: Option<PathBuf>,

    /// The namespace of the file of --salvage, where its header is lost
    #[arg(long, value_name = "NAME", requires = "salvage")]
    namespace: Option<String>,

    /// Print a script that completes this program's options in a shell, and leave
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,

    /// Print the manual page, and leave
    #[arg(long)]
    manual: bool,

    /// Print the edition and release that this server behaves like, and its own version
    #[arg(long)]
    version: bool,

    #[command(flatten)]
    compatible: CompatibleOptions,
}

/// What unit files and container images pass to the reference. Accepted, so that these start unchanged; each says what
/// becomes of it.
#[derive(Debug, Args)]
struct CompatibleOptions {
    /// Stay in the foreground: asd always does
    #[arg(long)]
    foreground: bool,

    /// Run as a daemon in the foreground: asd always does
    #[arg(long)]
    fgdaemon: bool,

    /// Start with empty indexes: asd always builds them anew
    #[arg(long)]
    cold_start: bool,

    /// Log while the configuration is read: mistakes in it are always told
    #[arg(long)]
    early_verbose: bool,

    /// Number of this instance among those of the machine; each needs a work-directory of its own
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=15))]
    instance: Option<u8>,
}

/// What `--version` prints: the line of the reference, by which scripts tell editions, then ours.
fn version() -> String {
    format!(
        "Aerospike Community Edition build {}\nasd {}\n",
        crate::info::identity::BUILD,
        env!("CARGO_PKG_VERSION")
    )
}

/// Texts that need no configuration.
fn asked_for(options: &Options) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    if options.print_default_config {
        text.extend(crate::config::DEFAULT.bytes());
    } else if let Some(shell) = options.completions {
        clap_complete::generate(shell, &mut Options::command(), "asd", &mut text);
    } else if options.manual {
        let page = clap_mangen::Man::new(Options::command());
        // Writing to memory does not fail.
        let _ = page.render(&mut text);
    } else if options.version {
        text.extend(version().bytes());
    } else {
        return None;
    }
    Some(text)
}

/// All of `asd`. A start that fails is one line on stderr and exit status 1; a wrong flag is status 2.
#[must_use]
pub fn run() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // A reader that is gone is no failure of its own: the status tells.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(text) = asked_for(&options) {
        // A reader that goes away early is no error.
        let _ = io::stdout().write_all(&text);
        return ExitCode::SUCCESS;
    }
    let done = match (&options.salvage, &options.into) {
        (Some(from), Some(to)) => salvage(from, to, options.namespace.as_deref()),
        _ => start(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "asd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Saves what is whole of a file of records, and says what is not.
fn salvage(from: &Path, to: &Path, namespace: Option<&str>) -> Result<(), StartError> {
    let saved = crate::storage::file::salvage(from, to, namespace)?;
    let mut out = io::stdout();
    for damage in &saved.damage {
        writeln!(out, "damaged at byte {}: {}", damage.at, damage.what)?;
    }
    writeln!(
        out,
        "{} records are saved in {}",
        saved.records,
        to.display()
    )?;
    Ok(())
}

fn start(options: &Options) -> Result<(), StartError> {
    let throw_away = options.nodes.map(ThrowAway::new).transpose()?;
    let configs = match &throw_away {
        Some(throw_away) => throw_away.configs(options.config_file.as_deref())?,
        None => vec![match &options.config_file {
            Some(file) => Config::load(file)?,
            None => Config::embedded()?,
        }],
    };
    let first = configs.first().ok_or("no node to start")?;
    if let Some(port) = options.port {
        first.network.set("service.port", &port.to_string())?;
    }
    credentials::assume(first)?;
    let parent = options
        .end_with_parent
        .then(Parent::of_this_process)
        .transpose()?;
    let threads = usize::try_from(first.service.service_threads())?.max(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("asd")
        .on_thread_park(|| {
            allocator::part();
            priority::answers_all();
        })
        .build()?;
    let result = runtime.block_on(serve(configs, options, parent));
    // Threads that still run an abandoned script must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(
    configs: Vec<Config>,
    options: &Options,
    parent: Option<Parent>,
) -> Result<(), StartError> {
    // Handlers first: a signal that comes while modules load must not kill the process half-way.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let first = configs.first().ok_or("no node to start")?;
    let log = Log::open(&first.logging, first.service.log_millis())?;
    log.install()?;
    log_panics();
    let telling = {
        let log = log.clone();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(Duration::from_secs(1));
            loop {
                interval.tick().await;
                log.tell();
            }
        })
    };
    for line in &first.ineffective {
        warn!(target: "config", "{line}");
    }
    let edition = version();
    info!(target: "as", "<><><><><><><><><><>  {}  <><><><><><><><><><>", edition.trim().replace('\n', ", "));
    let file = &first.file;
    info!(target: "as", "process {} starts with {file}", std::process::id());
    let pidfile = first.service.pidfile();
    let starting = async {
        let launched = match configs.len() {
            1 => launch_alone(configs, &log).await?,
            _ => throw_away::launch(configs, &log).await?,
        };
        if let (Some(folder), Some(first)) = (options.modules.clone(), launched.first()) {
            let node = Arc::clone(&first.node);
            let registering =
                tokio::task::spawn_blocking(move || provision::register_folder(&node, &folder));
            let count = registering.await??;
            info!(target: "udf", "{count} modules registered from the directory of --modules");
        }
        Ok::<_, StartError>(launched)
    };
    let parent_ends = async {
        match parent {
            Some(parent) => parent.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(parent_ends);
    let launched = tokio::select! {
        launched = starting => launched?,
        // A node that waits for its cluster can be told to end.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
        () = &mut parent_ends => return Ok(()),
    };
    let _pidfile = pidfile.map(Pidfile::write).transpose()?;
    for address in launched.iter().flat_map(|node| &node.addresses) {
        info!(target: "as", "clients are served on {address}");
    }
    info!(target: "as", "{}", ready::READY);
    let document = ready::document(&launched);
    let port_file = options.port_file.as_deref();
    let _port_file = port_file
        .map(|path| PortFile::write(path, &document))
        .transpose()?;
    match options.ready_json {
        true => ready::announce_document(&document),
        false => ready::announce(&launched),
    }

    let reason = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM received",
            _ = interrupt.recv() => break "SIGINT received",
            () = &mut parent_ends => break "the parent process has ended",
            _ = hangup.recv() => {
                if let Err(error) = log.reopen() {
                    warn!(target: "as", "{error}");
                }
            }
        }
    };
    info!(target: "as", "{reason}, finishing calls in flight");
    let at_once = launched.len() > 1;
    let mut stopping = JoinSet::new();
    for node in launched {
        stopping.spawn(node.stop(at_once));
    }
    let all_stopped = async { while stopping.join_next().await.is_some() {} };
    let again = tokio::select! {
        () = all_stopped => None,
        _ = terminate.recv() => Some("SIGTERM"),
        _ = interrupt.recv() => Some("SIGINT"),
    };
    match again {
        None => info!(target: "as", "finished clean shutdown - exiting"),
        Some(signal) => warn!(
            target: "as",
            "{signal} received again: what is not handed over and not finished by now is lost"
        ),
    }
    telling.abort();
    // A sink that takes nothing does not keep the process.
    log.flush(LAST_LINES_LIMIT);
    Ok(())
}

/// A bug's message goes where all lines go: printed, it would wait for whoever reads stderr.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(target: "as", "{panic}");
    }));
}

async fn launch_alone(configs: Vec<Config>, log: &Log) -> Result<Vec<Launched>, StartError> {
    let mut launched = Vec::new();
    for config in configs {
        let prepared = Prepared::bind(config).await?;
        launched.push(prepared.start(log.clone()).await?);
    }
    Ok(launched)
}
