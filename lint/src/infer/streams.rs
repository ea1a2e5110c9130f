//! Parameters of which an operator of a stream says what they are: records, or what `aggregate` begins with.

use std::collections::{HashMap, HashSet};

use super::{Exit, Facts, Flow};
use crate::model::kinds::Kinds;
use crate::scope::{Local, Origin, Scopes, Value};
use crate::syntax::tree::{ExpressionId, FunctionId, MAIN, Shape, Span, Tree};

/// The operators that may stand first, which of their arguments is the function, and where it gets the record.
const FIRST: [(&str, usize, usize); 3] = [("map", 0, 0), ("filter", 0, 0), ("aggregate", 1, 1)];

impl Facts<'_, '_> {
    /// What a parameter is that gets what an aggregation has so far; anything, if it is another.
    pub(super) fn begun(&self, local: &Local<'_>) -> Kinds {
        let begun = self.aggregated.get(&local.name.span);
        let begun = begun.filter(|begun| begun.through.is_none_or(|step| self.gives_first(step)));
        begun.map_or(Kinds::ANY, |begun| self.kinds(begun.with))
    }

    /// Whether a function gives its first parameter in every case.
    fn gives_first(&self, function: FunctionId) -> bool {
        let Some(body) = self.tree.function(function) else {
            return false;
        };
        let first = body.parameters.first().map(|first| first.span);
        Flow::of(self, &body.body)
            .exits
            .iter()
            .all(|exit| match exit {
                Exit::Return(values) => values.first().is_some_and(|value| {
                    let local = self.scopes.local_of(*value);
                    let local = local.and_then(|local| self.scopes.local(local));
                    local.is_some_and(|local| {
                        Some(local.name.span) == first && local.values == [Value::Unknown]
                    })
                }),
                Exit::End => false,
            })
    }
}

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
            .filter(|_| is_stream(tree, scopes, (*object, &["filter"])))
            .and_then(|step| only_use(tree, scopes, *step))
            .and_then(|function| tree.function(function)?.parameters.get(*place));
        spans.extend(parameter.map(|parameter| parameter.span));
    }
    spans
}

/// What a parameter begins with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    /// The first argument of `aggregate`.
    pub(super) with: ExpressionId,
    /// The parameter is one of `reduce`: so it is what this function gives.
    pub(super) through: Option<FunctionId>,
}

/// What functions of `aggregate`, and of `reduce` right after it, get; only functions that nothing else uses.
pub(super) fn aggregated(tree: &Tree<'_>, scopes: &Scopes<'_>) -> HashMap<Span, Begun> {
    let mut found = HashMap::new();
    for (id, _) in tree.all() {
        if let Some((with, step)) = aggregate(tree, scopes, id) {
            let first = tree.function(step).and_then(|step| step.parameters.first());
            let begun = Begun {
                with,
                through: None,
            };
            found.extend(first.map(|first| (first.span, begun)));
        }
        let Shape::Method {
            object,
            name,
            arguments,
            ..
        } = tree.shape(id)
        else {
            continue;
        };
        let reduced = (name.text == "reduce")
            .then(|| aggregate(tree, scopes, tree.bare(*object)))
            .flatten();
        let reducer = arguments
            .first()
            .and_then(|reducer| only_use(tree, scopes, *reducer))
            .and_then(|reducer| tree.function(reducer));
        if let (Some((with, step)), Some(reducer)) = (reduced, reducer) {
            let begun = Begun {
                with,
                through: Some(step),
            };
            let both = reducer.parameters.iter().take(2);
            found.extend(both.map(|parameter| (parameter.span, begun)));
        }
    }
    found
}

/// What an `aggregate` begins with, and its function.
fn aggregate(
    tree: &Tree<'_>,
    scopes: &Scopes<'_>,
    id: ExpressionId,
) -> Option<(ExpressionId, FunctionId)> {
    let Shape::Method {
        object,
        name,
        arguments,
        ..
    } = tree.shape(id)
    else {
        return None;
    };
    let ([with, step], "aggregate") = (arguments.as_slice(), name.text) else {
        return None;
    };
    is_stream(tree, scopes, (*object, &["filter", "map"]))
        .then(|| only_use(tree, scopes, *step))
        .flatten()
        .map(|step| (*with, step))
}

/// The first parameter of a function that clients call, be it that these operators stand between.
fn is_stream(
    tree: &Tree<'_>,
    scopes: &Scopes<'_>,
    (object, between): (ExpressionId, &[&str]),
) -> bool {
    let mut at = object;
    loop {
        match tree.shape(at) {
            Shape::Method { object, name, .. } if between.contains(&name.text) => at = *object,
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
