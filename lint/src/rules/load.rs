//! What fails while a module is loaded, or breaks the globals.

use super::Module;
use crate::finding::Findings;
use crate::syntax::tree::{MAIN, Shape};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for (id, expression) in facts.tree.all() {
        match &expression.shape {
            Shape::Call { callee, arguments } => {
                let Some(path) = facts.path(*callee) else {
                    continue;
                };
                if path == "setmetatable"
                    && let Some(first) = arguments.first()
                    && matches!(facts.path(*first).as_deref(), Some("_G" | "_ENV"))
                {
                    let text = "a metatable on the globals breaks the server's own functions, which look there too";
                    found.add("strict-globals", expression.span, text);
                    found.help("leave it to this check to find undefined names".to_owned());
                }
                let logs = matches!(path.as_str(), "trace" | "debug" | "info" | "warn");
                if logs && facts.scopes.function_of(id) == MAIN {
                    let text = format!(
                        "`{path}` fails here: while a module is loaded there is no `aerospike`"
                    );
                    found.add("log-at-load", expression.span, text);
                    found.help("log in a function that is called".to_owned());
                }
            }
            Shape::Method { object, name, .. }
                if facts.scopes.function_of(id) == MAIN
                    && facts.path(*object).as_deref() == Some("aerospike") =>
            {
                let text = format!(
                    "`aerospike:{}` fails here: while a module is loaded there is no `aerospike`",
                    name.text
                );
                found.add("log-at-load", expression.span, text);
            }
            _ => {}
        }
    }
}
