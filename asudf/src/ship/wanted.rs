//! The modules of a project as every node of a cluster is to serve them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use lint::{Settings, Source};

use super::content::{Module, SOURCE_MAX, wrong_name};
use super::marker::PREFIX;
use super::order::{Ordered, ordered};
use crate::project::{Project, wrong_project};
use crate::status::Failure;

/// The rule that finds what does not compile.
const SYNTAX: &str = "syntax";

/// The modules of the folder, in an order in which each can be registered.
///
/// # Errors
/// A file cannot be read, or is one that no server takes; modules that require each other in a circle.
pub(crate) fn modules(project: &Project) -> Result<Ordered, Failure> {
    let mut modules = Vec::new();
    for path in project.modules().map_err(Failure::of)? {
        modules.push(
            module(&path).map_err(|reason| Failure(format!("{}: {reason}", path.display())))?,
        );
    }
    in_order(modules)
}

/// The same of modules that were read.
///
/// # Errors
/// They require each other in a circle.
pub(crate) fn in_order(modules: Vec<Module>) -> Result<Ordered, Failure> {
    ordered(modules).map_err(|circle| {
        Failure(format!(
            "modules require each other in a circle while they are loaded, so that none can be registered first: {}",
            circle.join(" requires ")
        ))
    })
}

fn module(path: &Path) -> Result<Module, String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or("its name is no UTF-8")?;
    if let Some(why) = wrong_name(name) {
        return Err(format!("the name of a module {why}"));
    }
    if name.starts_with(PREFIX) {
        return Err(format!(
            "names that begin with `{PREFIX}` are those of asudf itself"
        ));
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut source = Vec::new();
    file.take(SOURCE_MAX as u64 + 1)
        .read_to_end(&mut source)
        .map_err(|error| error.to_string())?;
    if source.len() >= SOURCE_MAX {
        return Err("a module has less than 1 MiB".to_owned());
    }
    if source.is_empty() {
        return Err("it is empty, and servers take no empty module".to_owned());
    }
    Ok(Module::new(name, source))
}

/// Whether the server's compiler takes every module: what it refuses would end an apply half-way.
///
/// # Errors
/// Where it does not, and why.
pub(crate) fn compiled(modules: &[Module]) -> Result<(), Failure> {
    let sources: Vec<Source<'_>> = modules
        .iter()
        .map(|module| Source {
            file: module.name.clone(),
            text: &module.source,
            quiet: false,
        })
        .collect();
    let report = lint::check(&sources, &Settings::default());
    let mut wrong = Vec::new();
    for file in &report.files {
        for finding in file
            .findings
            .iter()
            .filter(|finding| finding.rule == SYNTAX)
        {
            let line = file.place(finding.span.start).line;
            wrong.push(format!("{}:{line}: {}", file.file, finding.message));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Failure(format!(
            "nothing was changed, as no server takes this: {}",
            wrong.join("; ")
        ))),
    }
}

/// The name under which a project keeps its record.
///
/// # Errors
/// asudf.toml says none, or one that cannot be used.
pub(crate) fn project_name(project: &Project) -> Result<String, Failure> {
    match &project.settings.ship.project {
        Some(name) => match wrong_project(name.get_ref()) {
            Some(why) => Err(Failure::of(project.refuse(name.span(), why))),
            None => Ok(name.get_ref().clone()),
        },
        None => Err(Failure::of(
            "asudf.toml has to name the project, so that the cluster can say which modules are its: [ship] project = \"NAME\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        let project = Project::find(folder.path()).unwrap();
        (folder, project)
    }

    #[test]
    fn files_that_no_server_takes_are_refused_before_anything_is_sent() {
        let large = vec![b'-'; SOURCE_MAX];
        for (files, expected) in [
            (&[("a.lua", &b""[..])][..], "a.lua: it is empty"),
            (&[("a.lua", &large)], "a.lua: a module has less than 1 MiB"),
            (&[("asudf_x.lua", b"x")], "names that begin with `asudf_`"),
            (
                &[("a;b.lua", b"x")],
                "a;b.lua: the name of a module may not",
            ),
            (
                &[("a.lua", b"require 'b'"), ("b.lua", b"require 'a'")],
                "a.lua requires b.lua requires a.lua",
            ),
        ] {
            let (_folder, project) = project(files);
            let error = modules(&project).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let (_folder, project) = project(&[
            ("a.lua", b"require 'b'"),
            ("b.lua", b"-"),
            ("b_test.lua", b""),
        ]);
        let names: Vec<_> = modules(&project).unwrap().modules;
        assert_eq!(
            names
                .iter()
                .map(|module| module.name.as_str())
                .collect::<Vec<_>>(),
            ["b.lua", "a.lua"]
        );
    }

    #[test]
    fn what_does_not_compile_is_told_with_its_line() {
        let good = Module::new("a.lua", &b"return { x = undefined_name }"[..]);
        assert!(compiled(std::slice::from_ref(&good)).is_ok());
        let bad = Module::new("b.lua", &b"local a = 1\nfunction f( return end"[..]);
        let error = compiled(&[good, bad]).unwrap_err().to_string();
        assert!(error.contains("b.lua:2: "), "{error}");
    }

    #[test]
    fn a_project_has_to_have_a_name() {
        for (text, expected) in [
            ("", "[ship] project = \"NAME\""),
            (
                "[ship]\nproject = \"a b\"\n",
                "asudf.toml:2:11: a project has a name of",
            ),
        ] {
            let (_folder, project) = project(&[("asudf.toml", text.as_bytes())]);
            let error = project_name(&project).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
