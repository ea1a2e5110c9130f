//! A language of four statements instead of Lua, one a line:
//!
//! ```text
//! require NAME    load another module; fails when there is none
//! may NAME        load another module if there is one
//! fail            fail to load, until something changes
//! stumble         fail to load, for reasons that may pass
//! invalid         do not compile
//! keep            when validated, give what compiling gives
//! ```

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::{Condvar, Mutex};
use runtime::context::{LoadFailure, Retirement};
use runtime::module::compile_failure::CompileFailure;
use runtime::module::{Bytecode, Modules};
use server::contexts::factory::{ContextFactory, PooledContext};
use server::contexts::service::{ContextGuard, Service};
use server::modules::compiler::Compiler;
use server::modules::module::Module;
use server::modules::registry::PutError;
use server::modules::settings::UdfSettings;

/// Any wait of a test ends by then.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Memory that a fake context claims to hold, bytes.
pub(crate) const CONTEXT_BYTES: usize = 1_000;

#[derive(Clone, Default)]
pub(crate) struct FakeFactory {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Attempts to build a context.
    attempts: AtomicU64,
    /// Compilations for contexts, by file name.
    compiled: Mutex<BTreeMap<String, u64>>,
    /// Modules whose contexts may not be built now.
    gates: Mutex<HashSet<String>>,
    /// Builds that wait at a gate.
    waiting: AtomicU64,
    changed: Condvar,
}

impl FakeFactory {
    pub(crate) fn attempts(&self) -> u64 {
        self.inner.attempts.load(Ordering::SeqCst)
    }

    /// How often this module was compiled for contexts.
    pub(crate) fn compiled(&self, file_name: &str) -> u64 {
        let compiled = self.inner.compiled.lock();
        compiled.get(file_name).copied().unwrap_or_default()
    }

    /// Builds of this module, or compilations where the name follows `compile `, wait until [`open_gate`](Self::open_gate).
    pub(crate) fn close_gate(&self, file_name: &str) {
        self.inner.gates.lock().insert(file_name.to_owned());
    }

    pub(crate) fn open_gate(&self, file_name: &str) {
        self.inner.gates.lock().remove(file_name);
        self.inner.changed.notify_all();
    }

    /// Waits until so many builds stand at gates.
    pub(crate) fn wait_for_builds_at_gates(&self, builds: u64) {
        wait_until(|| self.inner.waiting.load(Ordering::SeqCst) >= builds);
    }

    fn pass_gate(&self, file_name: &str) {
        let mut gates = self.inner.gates.lock();
        self.inner.waiting.fetch_add(1, Ordering::SeqCst);
        while gates.contains(file_name) {
            self.inner.changed.wait_for(&mut gates, DEADLINE);
        }
        self.inner.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A context remembers what it was built from.
pub(crate) struct FakeContext {
    /// Unlike any other of this process.
    pub(crate) id: u64,
    /// Content of the module and of everything that it loaded, in order of loading.
    pub(crate) sources: Vec<String>,
    pub(crate) modules: Arc<dyn Modules>,
    pub(crate) spent: bool,
}

impl PooledContext for FakeContext {
    fn retirement(&self) -> Option<Retirement> {
        self.spent.then_some(Retirement::Oversized)
    }

    fn memory_bytes(&self) -> usize {
        CONTEXT_BYTES
    }
}

/// Verb and name of each line. What is no text says nothing.
fn statements(source: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    std::str::from_utf8(source)
        .unwrap_or_default()
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
}

fn load(
    source: &[u8],
    modules: &dyn Modules,
    loaded: &mut HashSet<String>,
    sources: &mut Vec<String>,
) -> Result<(), LoadFailure> {
    sources.push(String::from_utf8_lossy(source).into_owned());
    for (verb, name) in statements(source) {
        match verb {
            "fail" | "stumble" => {
                return Err(LoadFailure {
                    reason: verb.to_owned(),
                    transient: verb == "stumble",
                });
            }
            "require" | "may" => match modules.find(name.as_bytes()) {
                Some(module) => {
                    if loaded.insert(name.to_owned()) {
                        let chunk = module.compiled.map_err(|reason| LoadFailure {
                            reason: reason.to_string(),
                            transient: false,
                        })?;
                        load(&chunk.0, modules, loaded, sources)?;
                    }
                }
                None if verb == "may" => {}
                None => {
                    return Err(LoadFailure {
                        reason: format!("no module {name}"),
                        transient: false,
                    });
                }
            },
            _ => {}
        }
    }
    Ok(())
}

fn check(source: &[u8]) -> Result<(), CompileFailure> {
    match statements(source).any(|(verb, _)| verb == "invalid") {
        true => Err(CompileFailure::without_position(b"invalid")),
        false => Ok(()),
    }
}

impl Compiler for FakeFactory {
    fn compile(&self, file_name: &str, source: &[u8]) -> Result<Bytecode, CompileFailure> {
        self.pass_gate(&format!("compile {file_name}"));
        let mut compiled = self.inner.compiled.lock();
        *compiled.entry(file_name.to_owned()).or_default() += 1;
        drop(compiled);
        check(source)?;
        Ok(Bytecode(source.into()))
    }

    fn validate(
        &self,
        _file_name: &str,
        source: &[u8],
        modules: Arc<dyn Modules>,
    ) -> Result<Option<Bytecode>, CompileFailure> {
        check(source)?;
        let keeps = statements(source).any(|(verb, _)| verb == "keep");
        match load(source, &*modules, &mut HashSet::new(), &mut Vec::new()) {
            // Chunks that fail at load only are how the tests get modules that do not load.
            Err(failure) if failure.reason.starts_with("no module") => {
                Err(CompileFailure::without_position(failure.reason.as_bytes()))
            }
            _ => Ok(keeps.then(|| Bytecode(source.into()))),
        }
    }
}

impl ContextFactory for FakeFactory {
    type Context = FakeContext;

    fn create(
        &self,
        module: &Arc<Module>,
        modules: Arc<dyn Modules>,
    ) -> Result<FakeContext, LoadFailure> {
        self.pass_gate(module.file_name());
        let id = self.inner.attempts.fetch_add(1, Ordering::SeqCst);
        let mut sources = Vec::new();
        let bytecode = module.bytecode().map_err(|reason| LoadFailure {
            reason: reason.to_owned(),
            transient: false,
        })?;
        load(&bytecode.0, &*modules, &mut HashSet::new(), &mut sources)?;
        Ok(FakeContext {
            id,
            sources,
            modules,
            spent: false,
        })
    }
}

/// A service with its factory, over a directory of its own.
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) factory: FakeFactory,
    pub(crate) service: Service<FakeFactory>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut UdfSettings)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let factory = FakeFactory::default();
        let mut settings = settings(directory.path());
        change(&mut settings);
        let service = Service::open(settings, factory.clone()).expect("a fresh service opens");
        Self {
            directory,
            factory,
            service,
        }
    }

    /// The same directory after a restart.
    pub(crate) fn restarted(self) -> Self {
        let Self {
            directory, service, ..
        } = self;
        drop(service);
        let factory = FakeFactory::default();
        let service =
            Service::open(settings(directory.path()), factory.clone()).expect("it opens again");
        Self {
            directory,
            factory,
            service,
        }
    }

    pub(crate) fn put(&self, file_name: &str, source: &str) {
        self.try_put(file_name, source).expect("the put succeeds");
    }

    pub(crate) fn try_put(&self, file_name: &str, source: &str) -> Result<(), PutError> {
        self.service.put(file_name, &STANDARD.encode(source))
    }

    pub(crate) fn warm(&self) {
        assert!(self.service.wait_until_warm(DEADLINE), "still warming");
    }

    /// Counters of one module.
    pub(crate) fn counts(&self, file_name: &str) -> server::contexts::stats::PoolCounts {
        self.service
            .counts()
            .into_iter()
            .find(|module| module.file_name == file_name)
            .expect("the module is registered")
            .counts
    }

    pub(crate) fn acquire(&self, name: &str) -> ContextGuard<'_, FakeFactory> {
        self.service
            .acquire(name.as_bytes())
            .expect("the module loads")
    }

    /// What a call of this module runs now.
    pub(crate) fn sources(&self, name: &str) -> Vec<String> {
        context(&mut self.acquire(name)).sources.clone()
    }
}

pub(crate) fn settings(directory: &Path) -> UdfSettings {
    UdfSettings::new(directory.join("state"), directory.join("lua"))
}

pub(crate) fn context<'g>(guard: &'g mut ContextGuard<'_, FakeFactory>) -> &'g mut FakeContext {
    guard.context().expect("a guard holds a context")
}

/// Waits for a condition.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "the condition never came true"
        );
        std::thread::yield_now();
    }
}
