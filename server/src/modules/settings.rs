//! What the module registry and the context pools are told at start.

use std::path::PathBuf;

/// Where modules are kept and how many contexts are.
#[derive(Clone, Debug)]
pub struct UdfSettings {
    /// Directory of the server's own state; the registry is `smd/UDF.smd` below it.
    pub work_directory: PathBuf,
    /// Directory with a copy of every registered file, for people and tools.
    pub user_path: PathBuf,
    /// Number of the node's identity, which goes into the versions of modules that are put here.
    pub node: u64,
    /// The node starts as one of several: a registry that is too old does not count until
    /// `settle` says so.
    pub clustered: bool,
    /// Contexts are kept between calls.
    pub cache_enabled: bool,
    /// Native libraries may be registered.
    pub allow_unsafe_lua: bool,
    /// Replies that do not say why a call failed are followed by the cause.
    pub error_detail: bool,
    /// Contexts that a module gets as soon as it is registered.
    pub initial_contexts: usize,
    /// Most idle contexts that a module keeps. There is no limit on contexts in use.
    pub max_idle_contexts: usize,
    /// Bytes of all modules together at most, as base64.
    pub max_bytes: usize,
}

impl UdfSettings {
    /// Contexts per module at first, as in the real server.
    const INITIAL_CONTEXTS: usize = 10;
    /// Idle contexts per module at most, as in the real server.
    const MAX_IDLE_CONTEXTS: usize = 128;

    /// Bytes of all modules together, which memory holds several times and now and then are written as a whole.
    pub const MAX_BYTES: usize = 64 << 20;

    /// The defaults, over these directories.
    #[must_use]
    pub fn new(work_directory: impl Into<PathBuf>, user_path: impl Into<PathBuf>) -> Self {
        Self {
            work_directory: work_directory.into(),
            user_path: user_path.into(),
            node: 0,
            clustered: false,
            cache_enabled: true,
            allow_unsafe_lua: false,
            error_detail: false,
            initial_contexts: Self::INITIAL_CONTEXTS,
            max_idle_contexts: Self::MAX_IDLE_CONTEXTS,
            max_bytes: Self::MAX_BYTES,
        }
    }
}
