//! The command line of `asd`: flags → config → node → run, and the signals that end it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::Config;
use crate::launch::throw_away;
use crate::launch::throw_away::ThrowAway;
use crate::launch::{Launched, Pidfile, Prepared, StartError};
use crate::log::Log;

/// How long the end waits for the last lines of the log.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(1);

/// Aerospike-compatible server for Lua UDFs.
///
/// Without --config-file it serves 127.0.0.1:3000 with one in-memory namespace `test`, and keeps registered modules in
/// a directory of the user ($XDG_STATE_HOME/asd, usually ~/.local/state/asd).
#[derive(Debug, Parser)]
#[command(name = "asd", version, disable_help_subcommand = true)]
struct Options {
    /// Configuration file, in the grammar of aerospike.conf
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Print the built-in configuration, commented, to start one's own from
    #[arg(long)]
    print_default_config: bool,

    /// Stay in the foreground. Accepted for compatibility: asd always does
    #[arg(long)]
    foreground: bool,

    /// Listen for clients on this port instead of the configured one (0: a free port, printed)
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// Start a cluster of so many nodes in this process, on free ports (printed), with state that is removed at the end
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    nodes: Option<u8>,

    /// Print a script that completes this program's options in a shell, and leave
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,

    /// Print the manual page, and leave
    #[arg(long)]
    manual: bool,
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
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(text) = asked_for(&options) {
        // A reader that goes away early is no error.
        let _ = io::stdout().write_all(&text);
        return ExitCode::SUCCESS;
    }
    match start(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "asd: {error}");
            ExitCode::FAILURE
        }
    }
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
    let threads = usize::try_from(first.service.service_threads())?.max(2);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("asd")
        .build()?;
    let result = runtime.block_on(serve(configs));
    // Threads that still run an abandoned script must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(configs: Vec<Config>) -> Result<(), StartError> {
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
    if let Some(warning) = &first.warning {
        warn!(target: "config", "{warning}");
    }
    let pidfile = first.service.pidfile();
    let starting = async {
        match configs.len() {
            1 => launch_alone(configs, &log).await,
            _ => throw_away::launch(configs, &log).await,
        }
    };
    let launched = tokio::select! {
        launched = starting => launched?,
        // A node that waits for its cluster can be told to end.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let _pidfile = pidfile.map(Pidfile::write).transpose()?;
    announce(&launched);

    let signal_name = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => {
                if let Err(error) = log.reopen() {
                    warn!(target: "as", "{error}");
                }
            }
        }
    };
    info!(target: "as", "{signal_name} received, finishing calls in flight");
    let at_once = launched.len() > 1;
    let mut stopping = JoinSet::new();
    for node in launched {
        stopping.spawn(node.stop(at_once));
    }
    while stopping.join_next().await.is_some() {}
    info!(target: "as", "finished clean shutdown - exiting");
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

/// Where it listens, where modules are kept, what to type next.
fn announce(launched: &[Launched]) {
    let Some(first) = launched.first() else {
        return;
    };
    let addresses = launched
        .iter()
        .flat_map(|node| &node.addresses)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let port = first.addresses.first().map_or(0, SocketAddr::port);
    let mut out = io::stdout().lock();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(
        out,
        "asd {version}: listening on {addresses}; modules in {}",
        first.user_path
    );
    let _ = match launched.len() {
        1 => writeln!(out, "try: asinfo -p {port} -v udf-list"),
        nodes => writeln!(
            out,
            "one cluster of {nodes} nodes, gone with this process; try: asadm -p {port} -e info"
        ),
    };
    let _ = out.flush();
}
