//! Parameters that are records because an operator of a stream calls their function with each record.

use std::collections::HashSet;

use crate::scope::{Origin, Scopes, Value};
use crate::syntax::tree::{ExpressionId, FunctionId, MAIN, Shape, Span, Tree};

/// The operators that may stand first, which of their arguments is the function, and where it gets the record.
const FIRST: [(&str, usize, usize); 3] = [("map", 0, 0), ("filter", 0, 0), ("aggregate", 1, 1)];

/// Where the parameters stand; only of functions that nothing else uses.
pub(super) fn record_parameters(tree: &Tree<'_>, scopes: &Scopes<'_>) -> HashSet<Span> {
    let mut spans = HashSet::new();
    for (_, expression) in tree.all() {
        let Shape::Method {
            object,
            name,
            arguments,
            ..
        } = &expression.shape
        else {
            continue;
        };
        let Some((_, step, place)) = FIRST.iter().find(|row| row.0 == name.text) else {
            continue;
        };
        let parameter = arguments
            .get(*step)
            .filter(|_| is_stream(tree, scopes, *object))
            .and_then(|step| only_use(tree, scopes, *step))
            .and_then(|function| tree.function(function)?.parameters.get(*place));
        spans.extend(parameter.map(|parameter| parameter.span));
    }
    spans
}

/// The first parameter of a function that clients call, be it that it was filtered.
fn is_stream(tree: &Tree<'_>, scopes: &Scopes<'_>, object: ExpressionId) -> bool {
    let mut at = object;
    loop {
        match tree.shape(at) {
            Shape::Method { object, name, .. } if name.text == "filter" => at = *object,
            Shape::Parentheses(inner) => at = *inner,
            Shape::Name(_) => break,
            _ => return false,
        }
    }
    let local = scopes.local_of(at).and_then(|local| scopes.local(local));
    local.is_some_and(|local| {
        let first = tree
            .function(local.function)
            .and_then(|function| function.parameters.first());
        local.origin == Origin::Parameter
            && first.is_some_and(|first| first.span == local.name.span)
            && scopes.globals.values().any(|global| {
                let mut functions = global.functions();
                functions
                    .any(|(place, function)| place.function == MAIN && function == local.function)
            })
    })
}

/// The function that stands here, if it is written here or is a local that is used here and nowhere else.
fn only_use(tree: &Tree<'_>, scopes: &Scopes<'_>, id: ExpressionId) -> Option<FunctionId> {
    let id = tree.bare(id);
    if let Shape::Function(function) = tree.shape(id) {
        return Some(*function);
    }
    let local = scopes.local(scopes.local_of(id)?)?;
    match (local.values.as_slice(), local.reads.as_slice()) {
        ([Value::Function(function)], [_]) => Some(*function),
        _ => None,
    }
}
