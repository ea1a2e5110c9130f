//! The Lua files of a folder, compiled when they are asked for first.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use protocol::bounds::Fit as _;
use runtime::context::{Limits, LuaFactory};
use runtime::host::Host;
use runtime::module::{Chunk, Modules, callable};

use super::desk::Desk;

/// A Lua file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Name of the file, with extension.
    pub(crate) file_name: String,
    /// What is in it.
    pub(crate) text: Vec<u8>,
}

/// The files by the names that `require` and callers know them by.
pub(crate) struct Code {
    factory: LuaFactory,
    sources: BTreeMap<String, Source>,
    compiled: Mutex<BTreeMap<String, Chunk>>,
}

impl Code {
    /// Reads all `*.lua` files directly in a folder. `factory` knows by which path their places are shown.
    ///
    /// # Errors
    /// One cannot be read; the text names it.
    fn read(folder: &Path, factory: LuaFactory) -> Result<Self, String> {
        let failed = |path: &Path, error| format!("{}: {error}", path.display());
        let mut sources = BTreeMap::new();
        for entry in fs::read_dir(folder).map_err(|error| failed(folder, error))? {
            let path = entry.map_err(|error| failed(folder, error))?.path();
            let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let file_name = file_name.to_owned();
            let Some(name) = callable(&file_name).filter(|_| !file_name.starts_with('.')) else {
                continue;
            };
            if !path.is_file() {
                continue;
            }
            let text = fs::read(&path).map_err(|error| failed(&path, error))?;
            let source = Source {
                text,
                file_name: file_name.clone(),
            };
            sources.insert(name.to_owned(), source);
        }
        Ok(Self::of(sources, factory))
    }

    /// These files.
    fn of(sources: BTreeMap<String, Source>, factory: LuaFactory) -> Self {
        Self {
            factory,
            sources,
            compiled: Mutex::default(),
        }
    }

    /// The files.
    pub(crate) fn sources(&self) -> &BTreeMap<String, Source> {
        &self.sources
    }
}

impl Modules for Code {
    fn find(&self, require_name: &[u8]) -> Option<Chunk> {
        let name = std::str::from_utf8(require_name).ok()?;
        let source = self.sources.get(name)?;
        let mut compiled = match self.compiled.lock() {
            Ok(compiled) => compiled,
            // Another thread has panicked; the chunks are whole.
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(chunk) = compiled.get(name) {
            return Some(chunk.clone());
        }
        let chunk = Chunk {
            compiled: self
                .factory
                .compile(&source.file_name, &source.text)
                .map_err(|failure| Arc::from(String::from_utf8_lossy(&failure.message))),
            file_name: source.file_name.as_str().into(),
        };
        compiled.insert(name.to_owned(), chunk.clone());
        Some(chunk)
    }
}

/// The files of a folder; their places are shown by their names alone.
///
/// # Errors
/// One cannot be read; the text names it.
pub(crate) fn of_folder(folder: &Path) -> Result<Arc<Code>, String> {
    let host: Arc<dyn Host> = Arc::new(Desk::default());
    let factory = LuaFactory::new("", false, false, Limits::default(), host);
    Code::read(folder, factory).map(Arc::new)
}

/// What a function is called that begins at a line of a source.
pub(crate) fn name_at(text: &str, line: u32) -> String {
    let index = line.fit::<usize>().saturating_sub(1);
    let source = text.lines().nth(index).unwrap_or("");
    let is_name =
        |character: char| character.is_alphanumeric() || matches!(character, '_' | '.' | ':');
    let named = source.find("function").and_then(|at| {
        let (before, after) = source.split_at_checked(at)?;
        let after = after.strip_prefix("function")?.trim_start();
        let name: String = after
            .chars()
            .take_while(|character| is_name(*character))
            .collect();
        if !name.is_empty() {
            return Some(name);
        }
        // `name = function(…)`
        let before = before.trim_end().strip_suffix('=')?.trim_end();
        let name = before.rsplit(|character| !is_name(character)).next()?;
        (!name.is_empty()).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("(line {line})"))
}
