//! How the pools get contexts: the seam between registry and pools on one side, and Lua on the other.

use std::sync::Arc;

use crate::modules::compile_failure::CompileFailure;
use crate::modules::module::{Bytecode, Module, Modules};

/// Why a context could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// What Lua says.
    pub reason: String,
    /// Another attempt may succeed although no module changed: a budget ran out, say.
    pub transient: bool,
}

/// Why a context is closed after its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// The call ran out of time or memory.
    Aborted,
    /// It holds more memory than a context may keep.
    Oversized,
    /// The call has written to a table of the server.
    Changed,
}

/// What a pool asks of a context.
pub trait PooledContext: Send + 'static {
    /// Why no other call may use it, if that is so.
    fn retirement(&self) -> Option<Retirement>;

    /// Memory that Lua holds, bytes.
    fn memory_bytes(&self) -> usize;
}

/// Builds contexts and checks chunks. No method is called with a lock held.
pub trait ContextFactory: Send + Sync + 'static {
    /// What it builds.
    type Context: PooledContext;

    /// Compiles the main chunk for the contexts of a module.
    ///
    /// # Errors
    /// The chunk does not compile.
    fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure>;

    /// Compiles a chunk and runs its main body in a scratch state, within a budget of time and memory.
    ///
    /// # Errors
    /// The chunk does not compile, or its body fails or takes too much.
    fn validate(
        &self,
        file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
    ) -> Result<(), CompileFailure>;

    /// Builds a context of `module`, ready to run. It asks `modules` whenever a script requires another module, for
    /// as long as it lives.
    ///
    /// # Errors
    /// The module, or one that it requires, cannot be loaded.
    fn create(
        &self,
        module: &Arc<Module>,
        modules: Arc<dyn Modules>,
    ) -> Result<Self::Context, LoadFailure>;
}
