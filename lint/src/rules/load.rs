//! What fails while a module is loaded, or breaks the globals.

use super::Module;
use crate::finding::Findings;
use crate::syntax::tree::{Action, ExpressionId, FunctionId, MAIN, Shape};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for (id, expression) in facts.tree.all() {
        match &expression.shape {
            Shape::Call { callee, .. }
                if facts.scopes.function_of(id) == MAIN
                    && let Some(place) = facts
                        .function(*callee)
                        .and_then(|function| logs_at_once(module, function)) =>
            {
                let line = module.line(facts.tree.span(place).start);
                let text = format!(
                    "this logs (line {line}), which fails here: while a module is loaded there is no `aerospike`"
                );
                found.add("log-at-load", expression.span, text);
            }
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
                let logs = logs(&path);
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

/// The call by which a function logs whenever it is called.
fn logs_at_once(module: &Module<'_, '_>, function: FunctionId) -> Option<ExpressionId> {
    let body = &module.facts.tree.function(function)?.body;
    body.statements.iter().find_map(|statement| {
        let Action::Call(call) = statement.action else {
            return None;
        };
        let Shape::Call { callee, .. } = module.facts.tree.shape(call) else {
            return None;
        };
        module
            .facts
            .path(*callee)
            .filter(|path| logs(path))
            .map(|_| call)
    })
}

/// Functions that write a line to the log, which needs the object `aerospike`.
fn logs(path: &str) -> bool {
    matches!(path, "trace" | "debug" | "info" | "warn")
}
