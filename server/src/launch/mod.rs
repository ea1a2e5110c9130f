//! One node, from its configuration to its last answer.

pub(crate) mod credentials;
pub(crate) mod parent;
pub(crate) mod provision;
pub(crate) mod ready;
pub(crate) mod storage;
pub(crate) mod throw_away;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::bounds::Fit as _;
use tokio::task::{JoinHandle, JoinSet};
use tracing::warn;

use crate::catalogue::{Catalogued, KEEP_ALIVE_MS};
use crate::cluster::Mesh;
use crate::cluster::catalogue::{Catalogues, converge, publish};
use crate::cluster::incarnation;
use crate::cluster::records::{ClusterPlacement, Records, forget_copies, hand_over};
use crate::cluster::{
    Answers, Cluster, ClusterIndexes, ClusterSockets, LocalNode, fabric, form, modules,
};
use crate::config::Config;
use crate::contexts::ServerHost;
use crate::contexts::commands::ModuleCommands;
use crate::contexts::service::Service;
use crate::index::{Definitions, IndexCommands};
use crate::info::{alternate_addresses, run_ticker, standard_addresses};
use crate::log::Log;
use crate::modules::library::Library;
use crate::modules::settings::UdfSettings;
use crate::net::running::Running;
use crate::net::server;
use crate::net::server::Listener;
use crate::net::shutdown::{PortKind, Shutdown, Stop};
use crate::node::{Node, identity, memory, udf_settings};
use crate::record::{IndexBuilder, run_nsup};
use crate::transaction::functions::LuaFunctions;
use crate::transaction::limit_memory;
use runtime::call::stream::StreamNil;
use runtime::context::{Limits, LuaFactory};
use runtime::machine::common::ScriptMemory;
use runtime::machine::shared::BodyTime;

/// Pause between two looks whether the indexes are built.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What goes on for as long as a node runs.
type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future as a task of the one type: what tokio makes for each type of task is there once.
fn task(work: impl Future<Output = ()> + Send + 'static) -> Task {
    Box::pin(work)
}

/// Whatever keeps a node from starting.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

/// A node that does not serve yet: its ports are bound.
pub struct Prepared {
    config: Config,
    listeners: Vec<Listener>,
    /// The sockets between nodes, if it is to be in a cluster.
    pub cluster: Option<ClusterSockets>,
}

impl Prepared {
    /// Binds the ports of the clients, and those between nodes if the configuration asks for a cluster.
    ///
    /// # Errors
    /// An address is in use, unknown, or not of this machine.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let mut listeners = Vec::new();
        let at = |key: &str| {
            let place = config.place_of(key);
            move |error: io::Error| StartError::from(format!("{place}: {error}"))
        };
        let addresses = config.network.service_sockets();
        for address in addresses.map_err(at("network: service.address"))? {
            listeners.push(Listener::bind(address, PortKind::Service)?);
        }
        if config.network.service_port() == 0
            && let Some(first) = listeners.first()
        {
            // Clients are told the port that was taken.
            let port = first.address().port().to_string();
            config.network.set("service.port", &port)?;
        }
        let addresses = config.network.admin_sockets();
        for address in addresses.map_err(at("network: admin.address"))? {
            listeners.push(Listener::bind(address, PortKind::Admin)?);
        }
        let name = config.service.cluster_name();
        let cluster = ClusterSockets::configured(&config.network, name).await?;
        Ok(Self {
            config,
            listeners,
            cluster,
        })
    }

    /// Opens the modules, joins the cluster, and serves.
    ///
    /// # Errors
    /// The state cannot be opened, or the heartbeat cannot be started.
    pub async fn start(self, log: Log) -> Result<Launched, StartError> {
        let Self {
            config,
            listeners,
            cluster,
        } = self;
        let addresses = listeners
            .iter()
            .filter(|listener| listener.kind() == PortKind::Service)
            .map(Listener::address)
            .collect();
        let user_path = config.user_path();
        let id = identity(&config);
        let settings = UdfSettings {
            clustered: cluster.is_some(),
            ..udf_settings(&config)
        };
        let factory = lua_factory(&config, &user_path);
        let functions = Arc::new(Service::open(settings, factory)?);
        let functions = LuaFunctions(functions);
        let cluster = match cluster {
            Some(sockets) => {
                let service = standard_addresses(&config.network);
                let alternate = alternate_addresses(&config.network);
                let mut namespaces = config.namespaces.iter();
                let keeps = namespaces.any(|namespace| !namespace.files().is_empty());
                let run = (id, incarnation::begin(Path::new(&config.work_directory())));
                Some(Cluster::start(run, sockets, service, alternate, keeps)?)
            }
            None => None,
        };
        let modules: Arc<dyn ModuleCommands> = match &cluster {
            Some((cluster, _)) => Arc::new(modules::ClusterModules::new(cluster, &functions)),
            None => Arc::clone(&functions.0) as Arc<dyn ModuleCommands>,
        };
        let namespaces = storage::open(&config).await?;
        let definitions = Arc::new(Definitions::open(
            Path::new(&config.work_directory()),
            id.number(),
            cluster.is_some(),
            Arc::new(IndexBuilder::new(&namespaces)),
        )?);
        let indexes: Arc<dyn IndexCommands> = match &cluster {
            Some((cluster, _)) => Arc::new(ClusterIndexes::new(cluster, &definitions)),
            None => Arc::clone(&definitions) as Arc<dyn IndexCommands>,
        };
        let catalogues: Catalogues = Arc::new([
            Arc::clone(&functions.0) as Arc<dyn Catalogued>,
            Arc::clone(&definitions) as Arc<dyn Catalogued>,
        ]);
        let mut node = Node {
            indexes,
            ..Node::with_namespaces(config, log, modules, namespaces)
        };
        node.mesh = cluster
            .as_ref()
            .map(|(cluster, _)| Mesh::new(cluster, &node.cluster));
        let node = Arc::new(node);
        let local = Arc::new(LocalNode {
            namespaces: node.namespaces.clone(),
            cluster: Arc::clone(&node.cluster),
        });
        let records = match &cluster {
            Some((cluster, _)) => Some(Records::open(&local, cluster)),
            None => {
                forget_copies(&node.namespaces).await?;
                None
            }
        };
        limit_memory(node.buffers.limit());
        let running = Arc::new(Running {
            node: Arc::clone(&node),
            functions: functions.clone(),
            placement: ClusterPlacement(records.clone()),
        });
        let mut background = JoinSet::new();
        let cluster = match cluster.zip(records) {
            Some(((cluster, listener), records)) => {
                warn!(
                    target: "clustering",
                    "records have no copies: those of a node that dies are lost"
                );
                let handler = Arc::new(Answers::new(&cluster, &catalogues, &running, &records));
                background.spawn(task(fabric::serve(listener, Arc::clone(&cluster), handler)));
                for catalogue in catalogues.iter() {
                    background.spawn(task(publish(Arc::clone(&cluster), Arc::clone(catalogue))));
                }
                form::join(&cluster, &catalogues).await?;
                let following = form::follow(
                    Arc::clone(&cluster),
                    Arc::clone(&local),
                    Arc::clone(&records),
                );
                background.spawn(task(following));
                background.spawn(task(hand_over(Arc::clone(&records))));
                for catalogue in catalogues.iter() {
                    background.spawn(task(converge(Arc::clone(&cluster), Arc::clone(catalogue))));
                }
                Some((cluster, records))
            }
            None => None,
        };
        while !definitions.is_usable() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        background.spawn(task(run_keep_alive(catalogues)));
        background.spawn(task(run_tidying(functions.clone())));
        background.spawn(task(run_ticker(Arc::clone(&node))));
        for namespace in &node.namespaces {
            background.spawn(task(run_nsup(Arc::clone(namespace))));
        }
        let (stop, shutdown) = Shutdown::pair();
        let serving = tokio::spawn(server::serve(running, listeners, shutdown));
        Ok(Launched {
            addresses,
            user_path,
            node,
            functions,
            cluster,
            background,
            stop,
            serving,
        })
    }
}

/// A node that serves.
pub struct Launched {
    /// Where clients reach it, as bound.
    pub addresses: Vec<SocketAddr>,
    /// The directory of its modules.
    pub user_path: String,
    /// The node.
    pub node: Arc<Node>,
    functions: LuaFunctions,
    cluster: Option<(Arc<Cluster>, Arc<Records>)>,
    background: JoinSet<()>,
    stop: Stop,
    serving: JoinHandle<()>,
}

impl Launched {
    /// Leaves the cluster, finishes the calls in flight, and ends. With `at_once`, the cluster ends too: nothing is
    /// handed over.
    pub async fn stop(mut self, at_once: bool) {
        if let Some((cluster, _)) = &self.cluster
            && !at_once
        {
            let stats = &self.node.stats;
            let clients =
                stats.client_connections_opened.get() != stats.client_connections_closed.get();
            form::leave(cluster, clients, &self.node.followers).await;
        }
        // Nobody to be told means that the tasks have ended.
        let _ = self.stop.send(true);
        if let Err(error) = self.serving.await {
            warn!(target: "as", "serving ended early: {error}");
        }
        self.background.shutdown().await;
        for namespace in &self.node.namespaces {
            if let Err(error) = namespace.close().await {
                tracing::error!(target: "drv", "{{{}}} {error}", namespace.name());
            }
        }
        self.functions.0.close();
        // The process ends: to free millions of records one by one would only keep it from that.
        std::mem::forget(Arc::clone(&self.node));
    }
}

/// The builder of contexts, with the budgets that the configuration sets.
fn lua_factory(config: &Config, user_path: &str) -> LuaFactory {
    let mod_lua = &config.mod_lua;
    let bytes = |number: u64| number.fit::<usize>();
    let limits = Limits {
        load_time: BodyTime::of_processor(Duration::from_millis(
            mod_lua.body_time_limit_ms().into(),
        )),
        load_memory: bytes(mod_lua.body_memory_limit()),
        call_memory: bytes(mod_lua.call_memory_limit()),
        context_memory: bytes(mod_lua.context_memory_limit()),
        all_memory: ScriptMemory::new(memory::for_scripts(
            mod_lua.script_memory_limit(),
            memory::available(),
        )),
    };
    LuaFactory::new(
        user_path,
        mod_lua.allow_unsafe_lua(),
        mod_lua.error_traceback(),
        limits,
        Arc::new(ServerHost),
    )
    .with_stream_nil(match mod_lua.stream_nil() {
        "skip" => StreamNil::Skip,
        "error" => StreamNil::Error,
        // The table of settings takes no other.
        _ => StreamNil::End,
    })
}

/// Has the registries note every hour that they are alive, and forget what was removed long ago.
async fn run_keep_alive(catalogues: Catalogues) {
    let mut interval = tokio::time::interval(Duration::from_millis(KEEP_ALIVE_MS));
    interval.tick().await;
    loop {
        interval.tick().await;
        for catalogue in catalogues.iter() {
            let (kind, catalogue) = (catalogue.kind(), Arc::clone(catalogue));
            let kept = tokio::task::spawn_blocking(move || catalogue.keep_alive()).await;
            if let Ok(Err(error)) = kept {
                tracing::error!(target: "as", "the registry of {} cannot be kept: {error}", kind.plural);
            }
        }
    }
}

/// Brings the file of the registry up to its log when no change is waited for.
async fn run_tidying(functions: LuaFunctions) {
    let mut interval = tokio::time::interval(Library::TIDYING);
    loop {
        interval.tick().await;
        if !functions.0.is_untidy() {
            continue;
        }
        let service = Arc::clone(&functions.0);
        let tidied = tokio::task::spawn_blocking(move || service.tidy()).await;
        if let Ok(Err(error)) = tidied {
            tracing::error!(target: "udf", "{error}; the changes are in the log beside it");
        }
    }
}

/// A file with the process id, removed when the server ends.
pub struct Pidfile(String);

impl Pidfile {
    /// Writes the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(path: String) -> Result<Self, io::Error> {
        let id = std::process::id();
        // A link that somebody has put there is not followed.
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .and_then(|mut file| writeln!(file, "{id}"));
        written.map_err(|error| {
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
