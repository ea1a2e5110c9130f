//! How the pools get contexts: the seam between registry and pools on one side, and Lua on the other.

use std::sync::Arc;

use crate::modules::module::Module;
use runtime::context::{Context, LoadFailure, LuaFactory, Retirement};
use runtime::module::compile_failure::CompileFailure;
use runtime::module::{Bytecode, Modules};

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

impl ContextFactory for LuaFactory {
    type Context = Context;

    fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure> {
        self.compile(file_name, source)
    }

    fn validate(
        &self,
        file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
    ) -> Result<(), CompileFailure> {
        self.validate(file_name, source, modules)
    }

    fn create(
        &self,
        module: &Arc<Module>,
        modules: Arc<dyn Modules>,
    ) -> Result<Context, LoadFailure> {
        let bytecode = module.bytecode().map_err(|reason| LoadFailure {
            reason: reason.to_owned(),
            transient: false,
        })?;
        self.create(module.name().unwrap_or_default(), bytecode, modules)
    }
}

impl PooledContext for Context {
    fn retirement(&self) -> Option<Retirement> {
        self.retirement()
    }

    fn memory_bytes(&self) -> usize {
        self.memory_bytes()
    }
}
