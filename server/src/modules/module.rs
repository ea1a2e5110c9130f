//! A registered module, and the sets of modules that contexts are built from.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;

use runtime::module::{Bytecode, Chunk, Modules};

use super::compiler::Compiler;
use super::names;
use crate::catalogue::Parts;
use crate::catalogue::version::ContentHash;

/// One version of a registered module. Never changes; a new registration makes a new one.
pub struct Module {
    file_name: Arc<str>,
    version: u64,
    source: Arc<[u8]>,
    content64: Arc<str>,
    hash: Box<str>,
    compiler: Arc<dyn Compiler>,
    /// There from the first use on.
    compiled: OnceLock<Result<Bytecode, Arc<str>>>,
}

impl Debug for Module {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Module")
            .field("file_name", &self.file_name)
            .field("version", &self.version)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl Module {
    /// A module of this content, to be compiled when it is used first.
    ///
    /// `version` tells it from every other version of any module of this process. `content64` is the base64 text that
    /// the client sent, `hash` that of its name and content; `source` is what it encodes.
    #[must_use]
    pub fn new(
        file_name: &str,
        version: u64,
        content64: &str,
        hash: &ContentHash,
        source: Arc<[u8]>,
        compiler: Arc<dyn Compiler>,
    ) -> Self {
        Self {
            file_name: file_name.into(),
            version,
            hash: hash.to_string().into(),
            source,
            content64: content64.into(),
            compiler,
            compiled: OnceLock::new(),
        }
    }

    /// The same, compiled already.
    #[must_use]
    pub(crate) fn compiled_to(self, bytecode: Bytecode) -> Self {
        Self {
            compiled: OnceLock::from(Ok(bytecode)),
            ..self
        }
    }

    /// File name, with its extension.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Name for callers and `require`; see [`names::callable`].
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        names::callable(&self.file_name)
    }

    /// Differs from that of any other version of any module in this process.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Content of the file, bytes as registered.
    #[must_use]
    pub fn source(&self) -> &Arc<[u8]> {
        &self.source
    }

    /// Content as the client sent it, base64.
    #[must_use]
    pub fn content64(&self) -> &str {
        &self.content64
    }

    /// Content as `udf-get` answers it, base64.
    #[must_use]
    pub fn encoded(&self) -> String {
        STANDARD.encode(&self.source)
    }

    /// Hash that `udf-list` shows: 40 lower-case hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The compiled main chunk, or why there is none; compiled now if nobody has asked so far.
    ///
    /// # Errors
    /// The text of the compile error, for a module that was stored by another release or is no Lua.
    pub fn bytecode(&self) -> Result<&Bytecode, &str> {
        let compiled = match self.compiled.get() {
            Some(compiled) => compiled,
            None => {
                // Two that ask at the same time compile twice: nobody waits for a thread that stands back behind others.
                let compiled = self.compile();
                self.compiled.get_or_init(|| compiled)
            }
        };
        compiled.as_ref().map_err(|reason| &**reason)
    }

    fn compile(&self) -> Result<Bytecode, Arc<str>> {
        if names::is_native_library(self.file_name.as_bytes()) {
            return Err("a native library has no chunk".into());
        }
        let compiled = self.compiler.compile(&self.file_name, &self.source);
        compiled.map_err(|failure| String::from_utf8_lossy(&failure.message).into())
    }

    /// What contexts load.
    fn chunk(&self) -> Chunk {
        Chunk {
            file_name: Arc::clone(&self.file_name),
            compiled: self.bytecode().cloned().map_err(Arc::from),
        }
    }
}

/// All registered modules at one moment.
#[derive(Debug, Default)]
pub struct ModuleSet {
    epoch: u64,
    clears: u64,
    by_file_name: Parts<Placed>,
    by_name: Parts<Arc<Module>>,
}

/// A module and its place in the order of first registrations.
type Placed = (u64, Arc<Module>);

/// A file name with its place in the order of first registrations, and its module; none once removed.
pub type Change = (u64, Arc<str>, Option<Arc<Module>>);

impl ModuleSet {
    /// The set after these changes, that follows `self`. Costs what they are, however many modules there are.
    #[must_use]
    pub(crate) fn followed_by(&self, changes: &[Change]) -> Self {
        let placed = changes.iter().map(|(place, file_name, module)| {
            let placed = module.as_ref().map(|module| (*place, Arc::clone(module)));
            (file_name.as_bytes(), placed)
        });
        let named = changes.iter().filter_map(|(_, file_name, module)| {
            Some((names::callable(file_name)?.as_bytes(), module.clone()))
        });
        Self {
            epoch: self.epoch + 1,
            clears: self.clears,
            by_file_name: self.by_file_name.changed(placed),
            by_name: self.by_name.changed(named),
        }
    }

    /// The set of these modules alone, that follows `self`.
    #[must_use]
    pub(crate) fn replaced_by(&self, modules: &[Change]) -> Self {
        let none = Self {
            epoch: self.epoch,
            clears: self.clears,
            ..Self::default()
        };
        none.followed_by(modules)
    }

    /// Names that can be called, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.by_name.iter().map(|(name, _)| name)
    }

    /// The same modules, whose contexts must all be built anew.
    #[must_use]
    pub(crate) fn cleared(&self) -> Self {
        let mut next = self.followed_by(&[]);
        next.clears += 1;
        next
    }

    /// Number of changes up to this set.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The modules in the order of their first registration, which is worked out now.
    #[must_use]
    pub fn in_order(&self) -> Vec<Arc<Module>> {
        let placed = self.by_file_name.iter().map(|(_, placed)| placed);
        let mut placed: Vec<&Placed> = placed.collect();
        placed.sort_unstable_by_key(|(place, _)| *place);
        let modules = placed.into_iter();
        modules.map(|(_, module)| Arc::clone(module)).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_file_name.len()
    }

    /// The module of this file name, extension included.
    #[must_use]
    pub fn of_file(&self, file_name: &[u8]) -> Option<&Arc<Module>> {
        self.by_file_name.get(file_name).map(|(_, module)| module)
    }

    /// The module that callers and `require` know by this name.
    #[must_use]
    pub fn of_name(&self, name: &[u8]) -> Option<&Arc<Module>> {
        self.by_name.get(name)
    }
}

/// The modules that one context sees, and which of them it used.
///
/// A context may `require` at any time, so the view lives as long as the context. It follows the current set between
/// calls, never during one: a call sees the modules of its start.
#[derive(Debug)]
pub struct ModuleView {
    inner: Mutex<View>,
}

#[derive(Debug)]
struct View {
    set: Arc<ModuleSet>,
    /// What was asked for, with the version found. Not found is remembered too: registering it changes the answer.
    used: Vec<(Box<[u8]>, Option<u64>)>,
    /// More names were not found than are remembered: any change may matter.
    missed_many: bool,
}

/// Names not found that a view remembers one by one.
const MAX_MISSED: usize = 256;

impl ModuleView {
    /// A view of this set for a context of this module.
    #[must_use]
    pub(crate) fn new(set: Arc<ModuleSet>, name: &[u8]) -> Self {
        let version = set.of_name(name).map(|module| module.version());
        Self {
            inner: Mutex::new(View {
                set,
                used: vec![(name.into(), version)],
                missed_many: false,
            }),
        }
    }

    /// A view for validating a chunk that is not registered.
    #[must_use]
    pub(crate) fn unowned(set: Arc<ModuleSet>) -> Self {
        Self {
            inner: Mutex::new(View {
                set,
                used: Vec::new(),
                missed_many: false,
            }),
        }
    }

    /// Other names were asked for than that of the context's own module.
    pub(crate) fn uses_others(&self) -> bool {
        let view = self.inner.lock();
        view.used.len() > 1 || view.missed_many
    }

    /// Goes over to `current` if nothing that was used is different there. False: the context holds old code.
    pub(crate) fn follow(&self, current: &Arc<ModuleSet>) -> bool {
        let mut view = self.inner.lock();
        if view.set.epoch == current.epoch {
            return true;
        }
        let same = view.set.clears == current.clears
            && !view.missed_many
            && view.used.iter().all(|(name, version)| {
                current.of_name(name).map(|module| module.version()) == *version
            });
        if same {
            view.set = Arc::clone(current);
        }
        same
    }
}

impl View {
    fn missed(&self) -> usize {
        self.used
            .iter()
            .filter(|(_, version)| version.is_none())
            .count()
    }
}

impl Modules for ModuleView {
    fn find(&self, require_name: &[u8]) -> Option<Chunk> {
        let mut view = self.inner.lock();
        let found = view.set.of_name(require_name).cloned();
        if !view.used.iter().any(|(name, _)| **name == *require_name) {
            let version = found.as_ref().map(|module| module.version());
            if version.is_none() && view.missed() >= MAX_MISSED {
                view.missed_many = true;
            } else {
                view.used.push((require_name.into(), version));
            }
        }
        drop(view);
        found.map(|module| module.chunk())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use runtime::module::compile_failure::CompileFailure;

    use super::super::kind::MODULES;
    use super::*;

    /// Compiles to what it is given, and counts how often.
    #[derive(Default)]
    struct Copying(AtomicUsize);

    impl Compiler for Copying {
        fn compile(&self, _: &str, source: &[u8]) -> Result<Bytecode, CompileFailure> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(Bytecode(source.into()))
        }

        fn validate(
            &self,
            _: &str,
            _: &[u8],
            _: Arc<dyn Modules>,
        ) -> Result<Option<Bytecode>, CompileFailure> {
            Ok(None)
        }
    }

    fn compiled_by(file_name: &str, version: u64, compiler: Arc<dyn Compiler>) -> Arc<Module> {
        Arc::new(Module::new(
            file_name,
            version,
            "LS0g",
            &MODULES.hash(file_name, "LS0g"),
            Arc::from(&b"-- "[..]),
            compiler,
        ))
    }

    fn module(file_name: &str, version: u64) -> Arc<Module> {
        compiled_by(file_name, version, Arc::<Copying>::default())
    }

    fn changes<const N: usize>(modules: [Arc<Module>; N]) -> Vec<Change> {
        let placed = (0..).zip(modules);
        placed
            .map(|(place, module)| (place, module.file_name().into(), Some(module)))
            .collect()
    }

    #[test]
    fn a_module_is_compiled_once_and_when_it_is_used_first() {
        let compiler = Arc::<Copying>::default();
        let module = compiled_by("a.lua", 1, Arc::clone(&compiler) as _);
        let library = compiled_by("a.so", 2, Arc::clone(&compiler) as _);
        assert_eq!(compiler.0.load(Ordering::Relaxed), 0);
        for _ in 0..2 {
            assert_eq!(&*module.bytecode().unwrap().0, b"-- ");
            assert!(library.bytecode().is_err());
        }
        assert_eq!(compiler.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn view_follows_until_something_used_changes() {
        let first = Arc::new(
            ModuleSet::default().followed_by(&changes([module("a.lua", 1), module("b.lua", 2)])),
        );
        let view = ModuleView::new(Arc::clone(&first), b"a");
        let unrelated =
            Arc::new(first.followed_by(&changes([module("a.lua", 1), module("b.lua", 3)])));
        assert!(view.follow(&unrelated), "b was not used yet");
        assert!(view.find(b"b").is_some());
        let required =
            Arc::new(unrelated.followed_by(&changes([module("a.lua", 1), module("b.lua", 4)])));
        assert!(!view.follow(&required));
    }

    #[test]
    fn view_is_old_when_a_module_that_was_missing_appears() {
        let first = Arc::new(ModuleSet::default().followed_by(&changes([module("a.lua", 1)])));
        let view = ModuleView::new(Arc::clone(&first), b"a");
        assert!(view.find(b"late").is_none());
        let next =
            Arc::new(first.followed_by(&changes([module("a.lua", 1), module("late.lua", 2)])));
        assert!(!view.follow(&next));
    }

    #[test]
    fn view_of_a_script_that_misses_many_names_is_old_after_any_change() {
        let first = Arc::new(ModuleSet::default().followed_by(&changes([module("a.lua", 1)])));
        let view = ModuleView::new(Arc::clone(&first), b"a");
        for index in 0..=MAX_MISSED {
            assert!(view.find(format!("missing{index}").as_bytes()).is_none());
        }
        assert!(view.follow(&first));
        let next = Arc::new(first.followed_by(&changes([module("a.lua", 1), module("b.lua", 2)])));
        assert!(!view.follow(&next));
    }

    #[test]
    fn clearing_makes_every_view_old() {
        let first = Arc::new(ModuleSet::default().followed_by(&changes([module("a.lua", 1)])));
        let view = ModuleView::new(Arc::clone(&first), b"a");
        assert!(!view.follow(&Arc::new(first.cleared())));
    }
}
