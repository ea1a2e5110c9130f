//! The seam between the registry and Lua.

use std::sync::Arc;

use runtime::context::LuaFactory;
use runtime::module::compile_failure::CompileFailure;
use runtime::module::{Bytecode, Modules};

use super::patience;

/// Compiles and checks chunks. No method is called with a lock held.
pub trait Compiler: Send + Sync + 'static {
    /// Compiles the main chunk for the contexts of a module.
    ///
    /// # Errors
    /// The chunk does not compile.
    fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure>;

    /// Compiles a chunk and runs its main body in a scratch state, within a budget of time and memory. Gives what
    /// [`compile`](Self::compile) gives, if that can be had.
    ///
    /// # Errors
    /// The chunk does not compile, or its body fails or takes too much.
    fn validate(
        &self,
        file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
    ) -> Result<Option<Bytecode>, CompileFailure>;

    /// Makes ready what the next validation needs, where nobody waits.
    fn prepare_to_validate(&self) {}
}

impl Compiler for LuaFactory {
    fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure> {
        self.compile(file_name, source)
    }

    fn validate(
        &self,
        file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
    ) -> Result<Option<Bytecode>, CompileFailure> {
        self.validate(file_name, source, modules, patience::now())
            .map_err(|invalid| {
                if invalid.ran_out {
                    patience::ran_out();
                }
                invalid.failure
            })
    }

    fn prepare_to_validate(&self) {
        self.prepare_to_validate();
    }
}
