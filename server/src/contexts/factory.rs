//! How the pools get contexts: the seam between registry and pools on one side, and Lua on the other.

use std::sync::Arc;

use crate::modules::compiler::Compiler;
use crate::modules::module::Module;
use protocol::bounds::Fit as _;
use runtime::context::{Context, LoadFailure, LuaFactory, Retirement};
use runtime::module::Modules;

/// What a pool asks of a context.
pub trait PooledContext: Send + 'static {
    /// Why no other call may use it, if that is so.
    fn retirement(&self) -> Option<Retirement>;

    /// Memory that Lua holds, bytes.
    fn memory_bytes(&self) -> usize;
}

/// What scripts hold together, and may hold, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// What all contexts and calls hold now.
    pub held: u64,
    /// What they may hold.
    pub limit: u64,
    /// How often more was wanted.
    pub refused: u64,
}

impl MemoryUse {
    /// More than half is held: nothing is kept ahead of need.
    #[must_use]
    pub fn is_scarce(self) -> bool {
        self.held > self.limit / 2
    }
}

/// Compiles modules and builds contexts of them. No method is called with a lock held.
pub trait ContextFactory: Compiler {
    /// What it builds.
    type Context: PooledContext;

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

    /// What all of its contexts hold; nothing that has a limit, unless they say.
    fn memory(&self) -> MemoryUse {
        MemoryUse {
            limit: u64::MAX,
            ..MemoryUse::default()
        }
    }
}

impl ContextFactory for LuaFactory {
    type Context = Context;

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

    fn memory(&self) -> MemoryUse {
        let memory = Self::memory(self);
        let bytes = |number: usize| number.fit::<u64>();
        MemoryUse {
            held: bytes(memory.held()),
            limit: bytes(memory.limit()),
            refused: memory.refused(),
        }
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
