//! The command line of `asd`: flags → config → node → run, and the signals that end it.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::config::Config;
use crate::info::{ModuleCommands, run_ticker};
use crate::log::Log;
use crate::node::{Node, udf_settings};
use crate::record::run_nsup;
use crate::running::{LuaFunctions, Running, run_keep_alive};
use crate::server::{self, Listener, PortKind, Shutdown};
use crate::udf::{Limits, LuaFactory, Service};

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
    if options.print_default_config {
        // A reader that goes away early is no error.
        let _ = io::stdout().write_all(crate::config::DEFAULT.as_bytes());
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

fn start(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let config = match &options.config_file {
        Some(file) => Config::load(file)?,
        None => Config::embedded()?,
    };
    if let Some(port) = options.port {
        config.network.set("service.port", &port.to_string())?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(config.service.service_threads())?.max(2))
        .enable_all()
        .thread_name("asd")
        .build()?;
    let result = runtime.block_on(serve(config));
    // Threads that still run an abandoned script must not hold up the end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Handlers first: a signal that comes while modules load must not kill the process half-way.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;

    let log = Log::open(&config.logging, config.service.log_millis())?;
    log.install()?;
    if let Some(warning) = &config.warning {
        warn!(target: "config", "{warning}");
    }
    let mut listeners = Vec::new();
    for address in config.network.service_sockets()? {
        listeners.push(Listener::bind(address, PortKind::Service)?);
    }
    if config.network.service_port() == 0
        && let Some(first) = listeners.first()
    {
        // Clients are told the port that was taken.
        config
            .network
            .set("service.port", &first.address().port().to_string())?;
    }
    let service_sockets: Vec<_> = listeners.iter().map(Listener::address).collect();
    for address in config.network.admin_sockets()? {
        listeners.push(Listener::bind(address, PortKind::Admin)?);
    }
    let user_path = config.mod_lua.user_path().unwrap_or_default();
    let functions = Arc::new(Service::open(
        udf_settings(&config),
        lua_factory(&config, &user_path),
    )?);
    let node = Arc::new(Node::new(
        config,
        log.clone(),
        Arc::clone(&functions) as Arc<dyn ModuleCommands>,
    ));
    let running = Arc::new(Running {
        node: Arc::clone(&node),
        functions: LuaFunctions(functions),
    });

    let mut background = JoinSet::new();
    background.spawn(run_ticker(Arc::clone(&node)));
    background.spawn(run_keep_alive(running.functions.clone()));
    for namespace in &node.namespaces {
        background.spawn(run_nsup(Arc::clone(namespace)));
    }
    let _pidfile = node
        .config
        .service
        .pidfile()
        .map(Pidfile::write)
        .transpose()?;
    announce(&service_sockets, &user_path);

    let (stop, shutdown) = Shutdown::pair();
    let serving = tokio::spawn(server::serve(running, listeners, shutdown));
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
    let _ = stop.send(true);
    serving.await?;
    background.shutdown().await;
    info!(target: "as", "finished clean shutdown - exiting");
    Ok(())
}

/// The builder of contexts, with the budgets that the configuration sets.
fn lua_factory(config: &Config, user_path: &str) -> LuaFactory {
    let mod_lua = &config.mod_lua;
    let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let limits = Limits {
        load_time: Duration::from_millis(mod_lua.body_time_limit_ms().into()),
        load_memory: bytes(mod_lua.body_memory_limit()),
        call_memory: bytes(mod_lua.call_memory_limit()),
        context_memory: bytes(mod_lua.context_memory_limit()),
    };
    LuaFactory::new(
        user_path,
        mod_lua.allow_unsafe_lua(),
        mod_lua.error_traceback(),
        limits,
    )
}

/// A file with the process id, removed when the server ends.
struct Pidfile(String);

impl Pidfile {
    fn write(path: String) -> Result<Self, io::Error> {
        let id = std::process::id();
        std::fs::write(&path, format!("{id}\n")).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("cannot write the pidfile `{path}`: {error}"),
            )
        })?;
        Ok(Self(path))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Someone may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Where it listens, where modules are kept, what to type next.
fn announce(bound: &[SocketAddr], user_path: &str) {
    let Some(first) = bound.first() else { return };
    let addresses = bound
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let mut out = io::stdout().lock();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(
        out,
        "asd {version}: listening on {addresses}; modules in {user_path}"
    );
    let _ = writeln!(out, "try: asinfo -p {} -v udf-list", first.port());
    let _ = out.flush();
}
