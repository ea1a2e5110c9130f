//! `require`: by path, missing, of the large data types.

use super::Module;
use crate::finding::Findings;
use crate::infer::Facts;
use crate::model;
use crate::scope::Value;
use crate::syntax::tree::{ExpressionId, Shape, Span};

/// Modules that are always there: Lua's libraries.
const LIBRARIES: [&str; 9] = [
    "_G",
    "coroutine",
    "io",
    "math",
    "os",
    "package",
    "string",
    "table",
    "utf8",
];

/// A `require` with a constant name.
#[derive(Clone, Debug)]
pub(crate) struct Required {
    /// The name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
    /// The call stands alone: what it is for are the globals that the module defines.
    pub(crate) for_globals: bool,
    /// It is run while the module is loaded, and its failure is not caught.
    pub(crate) at_load: bool,
}

/// What a module requires.
pub(crate) fn required(facts: &Facts<'_, '_>) -> Vec<Required> {
    let mut all = Vec::new();
    for (id, expression) in facts.tree.all() {
        let Shape::Call { callee, arguments } = &expression.shape else {
            continue;
        };
        let name = match facts.path(*callee).as_deref() {
            Some("require") => arguments.first(),
            Some("pcall")
                if arguments
                    .first()
                    .is_some_and(|first| facts.path(*first).as_deref() == Some("require")) =>
            {
                continue;
            }
            _ => continue,
        };
        let Some(name) = name.and_then(|name| text(facts, *name)) else {
            continue;
        };
        all.push(Required {
            name,
            span: expression.span,
            for_globals: facts.scopes.statement_calls.contains(&id),
            at_load: facts.scopes.function_of(id) == crate::syntax::tree::MAIN,
        });
    }
    all
}

fn text(facts: &Facts<'_, '_>, id: ExpressionId) -> Option<String> {
    let text = facts.constant_text(id)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// The module that an expression stands for: `require("name")`, or a local that is given that and nothing else.
pub(super) fn behind(facts: &Facts<'_, '_>, id: ExpressionId) -> Option<String> {
    let mut id = facts.tree.bare(id);
    if let Some(local) = facts.scopes.local_of(id) {
        let [Value::Expression(value)] = facts.scopes.local(local)?.values.as_slice() else {
            return None;
        };
        id = facts.tree.bare(*value);
    }
    match facts.tree.shape(id) {
        Shape::Call { callee, arguments } if facts.path(*callee).as_deref() == Some("require") => {
            text(facts, *arguments.first()?)
        }
        _ => None,
    }
}

/// Whether the name is that of one of Lua's libraries.
pub(crate) fn is_library(name: &str) -> bool {
    LIBRARIES.contains(&name)
}

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    for Required { name, span, .. } in required(&module.facts) {
        if model::is_large_data_module(&name) && !has(module, &name) {
            let text = format!("`{name}` went with the large data types, in server 3.15");
            found.add("large-data-types", span, text);
        } else if name.ends_with(".lua") || name.contains(['/', '\\']) {
            found.add(
                "require-path",
                span,
                format!("`{name}` is a path: modules are required by their names"),
            );
            let stem = name.strip_suffix(".lua").unwrap_or(&name);
            let stem = stem.rsplit(['/', '\\']).next().unwrap_or(stem);
            found.help(format!("write `require(\"{stem}\")`"));
        } else if name == "debug" {
            found.add("sandbox", span, "scripts have no debug library");
        } else if name.contains('.') && !has(module, &name) {
            let text = format!(
                "`{name}` cannot be found: a dot stands for a directory, and there are none"
            );
            found.add("require-path", span, text);
        } else if module.around.modules.is_some() && !has(module, &name) && !is_library(&name) {
            found.add(
                "require-missing",
                span,
                format!("there is no module `{name}`"),
            );
            let names = module.around.modules.iter().flatten().map(String::as_str);
            found.help(
                super::names::close(&name, names).map(|meant| format!("did you mean `{meant}`?")),
            );
        }
    }
}

fn has(module: &Module<'_, '_>, name: &str) -> bool {
    module
        .around
        .modules
        .as_ref()
        .is_some_and(|modules| modules.contains(name))
}
