//! Modules of a crate, and what paths in them mean.

use std::collections::BTreeMap;

use crate::syntax::{Import, Item, Source, Visibility, read};
use crate::{CheckError, Member};

/// A module: its segments below the root of the crate.
pub type ModulePath = Vec<String>;

/// What is known of a module.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The file that it stands in.
    pub file: String,
    /// It is there in tests only.
    pub is_test: bool,
    /// Names that it gives to paths elsewhere: its imports.
    pub imports: BTreeMap<String, Vec<String>>,
    /// Modules whose names it takes all.
    pub globs: Vec<Vec<String>>,
    /// Names of its own items.
    pub items: Vec<String>,
}

/// One use of something in another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// File that uses.
    pub from: String,
    /// Line, from 1.
    pub line: usize,
    /// The path as written.
    pub path: String,
    /// File that holds what is used; another crate's name for other members.
    pub to: Target,
    /// It only gives the thing another name for others (`pub use`).
    pub is_reexport: bool,
}

/// Where what is used stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// In this file of the same crate.
    File(String),
    /// In this member.
    Member(String),
}

/// A crate, read.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Its modules.
    pub modules: BTreeMap<ModulePath, Module>,
    /// Its files.
    pub sources: BTreeMap<String, Source>,
}

impl Tree {
    /// Reads the `src` of a member.
    ///
    /// # Errors
    /// A file is no Rust.
    pub fn of(member: &Member) -> Result<Self, CheckError> {
        let mut tree = Self::default();
        let root = format!("{}/src/", member.directory);
        for (path, text) in &member.files {
            let Some(below) = path.strip_prefix(&root) else {
                continue;
            };
            let source = read(text).map_err(|(line, reason)| CheckError::Syntax {
                path: path.clone(),
                line,
                reason,
            })?;
            if let Some(module) = module_of(below) {
                tree.add(module, path, &source.items, source.is_test);
            }
            tree.sources.insert(path.clone(), source);
        }
        tree.spread_tests();
        Ok(tree)
    }

    fn add(&mut self, path: ModulePath, file: &str, items: &[Item], is_test: bool) {
        let mut module = Module {
            file: file.to_owned(),
            is_test: is_test || self.modules.get(&path).is_some_and(|known| known.is_test),
            ..Module::default()
        };
        for item in items {
            if item.keyword == "mod" {
                let mut child = path.clone();
                child.push(item.name.clone());
                if item.is_outline {
                    if item.is_test {
                        self.modules.entry(child).or_default().is_test = true;
                    }
                } else {
                    self.add(child, file, &item.items, is_test || item.is_test);
                }
                continue;
            }
            if item.is_test {
                continue;
            }
            if !item.name.is_empty() {
                module.items.push(item.name.clone());
            }
            let mut import = |import: &Import| {
                if import.name == "*" {
                    let above = import
                        .segments
                        .split_last()
                        .map_or(&[][..], |(_, above)| above);
                    module.globs.push(above.to_vec());
                } else {
                    module
                        .imports
                        .insert(import.name.clone(), import.segments.clone());
                }
            };
            item.imports.iter().for_each(&mut import);
            for inner in &item.items {
                inner.imports.iter().for_each(&mut import);
            }
        }
        self.modules.insert(path, module);
    }

    /// Modules below a test module are there in tests only.
    fn spread_tests(&mut self) {
        let tests: Vec<ModulePath> = self
            .modules
            .iter()
            .filter(|(_, module)| module.is_test)
            .map(|(path, _)| path.clone())
            .collect();
        for (path, module) in &mut self.modules {
            module.is_test |= tests.iter().any(|test| path.starts_with(test));
        }
    }

    /// All uses of other files and members.
    #[must_use]
    pub fn uses(&self, members: &[String]) -> Vec<Use> {
        let mut uses = Vec::new();
        for (path, source) in &self.sources {
            for (module, known) in &self.modules {
                if known.file == *path && !known.is_test {
                    let items = items_of(&source.items, module, self, path);
                    self.uses_of(module, path, items, members, &mut uses);
                }
            }
        }
        uses
    }

    fn uses_of(
        &self,
        module: &ModulePath,
        file: &str,
        items: &[Item],
        members: &[String],
        uses: &mut Vec<Use>,
    ) {
        for item in items
            .iter()
            .filter(|item| !item.is_test && item.keyword != "mod")
        {
            let is_reexport = item.keyword == "use" && item.visibility != Visibility::Private;
            let mut note = |segments: &[String], line: usize| {
                let to = self.target(module, segments, members);
                if let Some(to) = to.filter(|to| *to != Target::File(file.to_owned())) {
                    uses.push(Use {
                        from: file.to_owned(),
                        line,
                        path: segments.join("::"),
                        to,
                        is_reexport,
                    });
                }
            };
            for import in &item.imports {
                let segments = match import.segments.split_last() {
                    Some((last, above)) if last == "*" => above,
                    _ => &import.segments,
                };
                note(segments, import.line);
            }
            for path in &item.paths {
                note(&path.segments, path.line);
            }
            self.uses_of(module, file, &item.items, members, uses);
        }
    }

    /// Where the thing of a path stands; none for what is no member's.
    fn target(
        &self,
        module: &ModulePath,
        segments: &[String],
        members: &[String],
    ) -> Option<Target> {
        let first = segments.first()?;
        let known = self.modules.get(module)?;
        let mut child = module.clone();
        child.push(first.clone());
        let is_relative = matches!(first.as_str(), "crate" | "super" | "self");
        let is_child = self.modules.contains_key(&child);
        let import = known
            .imports
            .get(first)
            .filter(|import| *import != segments);
        if !is_relative && !is_child {
            if let Some(import) = import {
                let mut whole = import.clone();
                whole.extend(segments.iter().skip(1).cloned());
                return self.target_of_import(module, &whole, members);
            }
            if members.contains(first) {
                return Some(Target::Member(first.clone()));
            }
            return None;
        }
        self.file_of(module, segments, 0).map(Target::File)
    }

    fn target_of_import(
        &self,
        module: &ModulePath,
        segments: &[String],
        members: &[String],
    ) -> Option<Target> {
        let first = segments.first()?;
        if members.contains(first) {
            return Some(Target::Member(first.clone()));
        }
        self.file_of(module, segments, 0).map(Target::File)
    }

    /// The file in which the thing of a path stands, behind all other names that it has.
    fn file_of(&self, module: &ModulePath, segments: &[String], depth: usize) -> Option<String> {
        if depth > 16 {
            return None;
        }
        let mut at = module.clone();
        let mut rest = segments;
        loop {
            match rest.first().map(String::as_str) {
                Some("crate") => at.clear(),
                Some("super") => {
                    at.pop()?;
                }
                Some("self") => {}
                _ => break,
            }
            rest = rest.get(1..)?;
        }
        while let Some(next) = rest.first() {
            let mut child = at.clone();
            child.push(next.clone());
            if self.modules.contains_key(&child) {
                at = child;
                rest = rest.get(1..)?;
                continue;
            }
            let known = self.modules.get(&at)?;
            if known.items.contains(next) {
                break;
            }
            if let Some(import) = known.imports.get(next) {
                let mut whole = import.clone();
                whole.extend(rest.iter().skip(1).cloned());
                return self.file_of(&at, &whole, depth + 1);
            }
            for glob in &known.globs {
                let mut whole = glob.clone();
                whole.extend(rest.iter().cloned());
                let found = self.exact_file_of(&at, &whole, depth + 1);
                if found.is_some() {
                    return found;
                }
            }
            break;
        }
        self.modules.get(&at).map(|module| module.file.clone())
    }

    /// Like [`Tree::file_of`], but only if the thing is there by its name.
    fn exact_file_of(
        &self,
        module: &ModulePath,
        segments: &[String],
        depth: usize,
    ) -> Option<String> {
        let file = self.file_of(module, segments, depth)?;
        let name = segments.last()?;
        let holds = |module: &Module| module.file == file && module.items.contains(name);
        self.modules.values().any(holds).then_some(file)
    }
}

/// The module of a file below `src`; none for programs of their own.
fn module_of(below: &str) -> Option<ModulePath> {
    if below.starts_with("bin/") || below == "main.rs" || below == "bin.rs" {
        return None;
    }
    let below = below.strip_suffix(".rs")?;
    let mut path: ModulePath = below.split('/').map(str::to_owned).collect();
    if path
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        path.pop();
    }
    Some(path)
}

/// The items of a module within its file.
fn items_of<'s>(items: &'s [Item], module: &ModulePath, tree: &Tree, file: &str) -> &'s [Item] {
    // The module of the file is the shortest that stands in it.
    let top = tree
        .modules
        .iter()
        .filter(|(_, known)| known.file == file)
        .map(|(path, _)| path.len())
        .min()
        .unwrap_or(0);
    let mut items = items;
    for name in module.iter().skip(top) {
        match items
            .iter()
            .find(|item| item.keyword == "mod" && item.name == *name)
        {
            Some(inner) => items = &inner.items,
            None => return &[],
        }
    }
    items
}
