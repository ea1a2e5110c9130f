//! One node: what its commands and transactions share.

pub mod buffers;
pub mod command_lane;
pub mod memory;
pub(crate) mod system;
mod user_agents;

pub use user_agents::UserAgents;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use sha1::{Digest, Sha1};

use crate::cluster::{ClusterView, Followers, Mesh};
use crate::config::Config;
use crate::config::node_id::NodeId;
use crate::contexts::commands::ModuleCommands;
use crate::index::{IndexCommands, Unsaved};
use crate::log::Log;
use crate::modules::settings::UdfSettings;
use crate::node::buffers::Buffers;
use crate::node::command_lane::CommandLane;
use crate::query::jobs::Jobs;
use crate::record::{IndexBuilder, Namespace};
use crate::stats::ServerStats;

/// The state of a running node.
pub struct Node {
    /// What the configuration says, with the changes since.
    pub config: Config,
    /// The identity of the node.
    pub id: NodeId,
    /// The namespaces in the order of the configuration.
    pub namespaces: Vec<Arc<Namespace>>,
    /// The secondary indexes.
    pub indexes: Arc<dyn IndexCommands>,
    /// The registered modules.
    pub modules: Arc<dyn ModuleCommands>,
    /// What the node counted.
    pub stats: ServerStats,
    /// The queries that run or ran.
    pub jobs: Arc<Jobs>,
    /// The cluster as of now.
    pub cluster: Arc<ArcSwap<ClusterView>>,
    /// The mesh, for a node that is not alone.
    pub mesh: Option<Arc<Mesh>>,
    /// The log.
    pub log: Log,
    /// When the node started.
    pub started: Instant,
    /// What the connected clients call themselves.
    pub user_agents: Arc<UserAgents>,
    /// Clients that follow the cluster.
    pub followers: Followers,
    /// Load of the machine and of the process.
    pub system: system::SystemMonitor,
    /// Memory of all clients' buffers.
    pub buffers: Arc<Buffers>,
    /// Turns of info commands that take long.
    pub command_lane: Arc<CommandLane>,
}

impl Node {
    /// A node that is alone and has no records.
    #[must_use]
    pub fn new(config: Config, log: Log, modules: Arc<dyn ModuleCommands>) -> Self {
        let namespaces = config.namespaces.iter();
        let namespaces = namespaces
            .map(|settings| Arc::new(Namespace::new(settings.name(), Arc::new(settings.clone()))))
            .collect();
        Self::with_namespaces(config, log, modules, namespaces)
    }

    /// A node that is alone, with the namespaces of its configuration. Indexes are forgotten when it ends.
    #[must_use]
    pub fn with_namespaces(
        config: Config,
        log: Log,
        modules: Arc<dyn ModuleCommands>,
        namespaces: Vec<Arc<Namespace>>,
    ) -> Self {
        let id = identity(&config);
        // Reports show the identity in force. It is always a value of this setting.
        let _ = config.service.set("node-id", &id.to_string());
        let indexes = Unsaved(Arc::new(IndexBuilder::new(&namespaces)));
        let indexes = Arc::new(indexes) as Arc<dyn IndexCommands>;
        Self {
            id,
            namespaces,
            indexes,
            modules,
            stats: ServerStats::default(),
            jobs: Arc::default(),
            cluster: Arc::new(ArcSwap::from_pointee(ClusterView::single(
                id,
                crate::clock::unix_ms(),
            ))),
            mesh: None,
            log,
            started: Instant::now(),
            user_agents: Arc::default(),
            followers: Followers::default(),
            system: system::SystemMonitor::default(),
            buffers: Buffers::new(memory::for_buffers(
                config.service.client_memory_limit(),
                memory::available(),
            )),
            command_lane: Arc::default(),
            config,
        }
    }

    /// The namespace of a name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name() == name)
    }
}

/// What a configuration says about modules and their contexts.
///
/// The directories are always set in a configuration that was read.
#[must_use]
pub fn udf_settings(config: &Config) -> UdfSettings {
    let mod_lua = &config.mod_lua;
    UdfSettings {
        node: identity(config).number(),
        cache_enabled: mod_lua.cache_enabled(),
        allow_unsafe_lua: mod_lua.allow_unsafe_lua(),
        error_detail: mod_lua.error_detail(),
        initial_contexts: mod_lua.initial_contexts(),
        max_idle_contexts: mod_lua.max_idle_contexts(),
        ..UdfSettings::new(config.work_directory(), config.user_path())
    }
}

/// Identities that the server makes up begin like those of the reference with its default fabric port.
const IDENTITY_BASE: NodeId = NodeId::from_port(3_001);

/// The configured identity, else one that stays the same for the same machine and work directory, which no two servers
/// share.
pub(crate) fn identity(config: &Config) -> NodeId {
    let configured = config.service.node_id();
    if let Some(id) = configured.as_deref().and_then(NodeId::parse) {
        return id;
    }
    let mut hash = Sha1::new();
    // What a machine does not tell makes the identity less sure, not wrong: the cluster refuses one that is taken.
    for file in ["/etc/machine-id", "/proc/sys/kernel/hostname"] {
        hash.update(std::fs::read(file).unwrap_or_default());
    }
    hash.update(config.work_directory());
    let low = hash
        .finalize()
        .iter()
        .take(6)
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    IDENTITY_BASE.with_low_bits(low)
}
