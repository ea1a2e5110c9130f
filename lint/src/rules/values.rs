//! Values that cannot be stored or returned: tables, functions, records.

use super::Module;
use crate::finding::Findings;
use crate::infer::{Exit, Flow};
use crate::model::kinds::Kinds;
use crate::scope::Value;
use crate::syntax::tree::{ExpressionId, Field, Function, Shape, Span};

/// What no bin, list, map or result takes.
const UNSUPPORTED: Kinds = Kinds::TABLE
    .union(Kinds::FUNCTION)
    .union(Kinds::COROUTINE)
    .union(Kinds::AEROSPIKE)
    .union(Kinds::ITERATOR)
    .union(Kinds::RECORD);

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for (target, value) in &facts.scopes.field_writes {
        let Shape::Index { object, .. } = facts.tree.shape(*target) else {
            continue;
        };
        let kinds = facts.value(*value);
        if !kinds.is_surely(UNSUPPORTED) {
            continue;
        }
        let consequence = match facts.kinds(*object) {
            Kinds::RECORD if kinds == Kinds::RECORD => {
                "a bin cannot hold a record: the update fails"
            }
            Kinds::RECORD => "a bin cannot hold it: the assignment fails",
            Kinds::LIST => "a list cannot hold it: the assignment does nothing",
            Kinds::MAP => "a map cannot hold it: the assignment removes the key",
            _ => continue,
        };
        let span = match value {
            Value::Expression(id) => facts.tree.span(*id),
            _ => facts.tree.span(*target),
        };
        report(kinds, span, consequence, found);
    }
    for (_, expression) in facts.tree.all() {
        let Shape::Call { callee, arguments } = &expression.shape else {
            continue;
        };
        let Some(path) = facts.path(*callee) else {
            continue;
        };
        let value = match path.as_str() {
            "list" | "map" => {
                constructor(module, &path, arguments, found);
                continue;
            }
            "list.append" | "list.prepend" => arguments.get(1),
            "list.insert" => arguments.get(2),
            _ => continue,
        };
        if let Some(value) = value
            && facts.kinds(*value).is_surely(UNSUPPORTED)
        {
            let kinds = facts.kinds(*value);
            report(
                kinds,
                facts.tree.span(*value),
                "a list cannot hold it: the call does nothing",
                found,
            );
        }
    }
    libraries(module, found);
    results(module, found);
}

/// `if m == nil then m = map end`, where `map()` is meant. A local that is a library and nothing else is another name for it.
fn libraries(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for local in &facts.scopes.locals {
        let of_names = |value: &Value| match value {
            Value::Expression(id) => match facts.tree.shape(*id) {
                Shape::Name(name) => Some((*id, facts.path(*id).is_some().then_some(*name)?)),
                _ => None,
            },
            _ => None,
        };
        let is_other = |value: &Value| of_names(value).is_none() && *value != Value::Nothing;
        if !local.values.iter().any(is_other) {
            continue;
        }
        for (id, name) in local.values.iter().filter_map(of_names) {
            if !matches!(name, "list" | "map" | "bytes") || local.name.text == name {
                continue;
            }
            let text = format!("`{name}` is the library itself");
            found.add("unsupported-value", facts.tree.span(id), text);
            found.help(format!("write `{name}()` for a new one"));
        }
    }
}

fn report(kinds: Kinds, span: Span, consequence: &str, found: &mut Findings) {
    found.add(
        "unsupported-value",
        span,
        format!("this is {}: {consequence}", kinds.describe()),
    );
    if kinds == Kinds::TABLE {
        found.help("write `list{…}` or `map{…}`".to_owned());
    }
}

/// `list{…}`, `map{…}`
fn constructor(
    module: &Module<'_, '_>,
    path: &str,
    arguments: &[ExpressionId],
    found: &mut Findings,
) {
    let facts = &module.facts;
    let Some(Shape::Table(fields)) = arguments.first().map(|first| facts.tree.shape(*first)) else {
        return;
    };
    for Field { key, value } in fields {
        let kinds = facts.kinds(*value);
        if !kinds.is_surely(UNSUPPORTED) {
            continue;
        }
        let consequence = match (path, key) {
            ("list", _) => "a list cannot hold it: there is nil in its place",
            _ => "a map cannot hold it: the entry is left out",
        };
        report(kinds, facts.tree.span(*value), consequence, found);
    }
}

/// Results of functions that clients call.
fn results(module: &Module<'_, '_>, found: &mut Findings) {
    let of_streams = super::streams::functions(module);
    for (name, function) in module.entries() {
        if module.is_used(name) || of_streams.contains(&function) {
            continue;
        }
        let Some(body) = module.facts.tree.function(function) else {
            continue;
        };
        if !takes_record(module, body) {
            continue;
        }
        for exit in Flow::of(&module.facts, &body.body).exits {
            let Exit::Return(values) = exit else {
                continue;
            };
            if let Some(first) = values.first() {
                result(module, *first, found);
            }
        }
    }
}

/// Whether the first parameter is a record, by its use or its name: others are helpers of other modules.
fn takes_record(module: &Module<'_, '_>, function: &Function<'_>) -> bool {
    const NAMES: [&str; 6] = ["rec", "record", "r", "topRec", "toprec", "as_rec"];
    let Some(first) = function.parameters.first() else {
        return false;
    };
    let is_used_so = |read: &ExpressionId| module.facts.kinds(*read) == Kinds::RECORD;
    NAMES.contains(&first.text)
        || module
            .facts
            .scopes
            .parameter(*first)
            .is_some_and(|local| local.reads.iter().any(is_used_so))
}

fn result(module: &Module<'_, '_>, value: ExpressionId, found: &mut Findings) {
    let kinds = module.facts.kinds(value);
    if !kinds.is_surely(UNSUPPORTED) {
        return;
    }
    let span = module.facts.tree.span(value);
    let text = format!("this is {}, which clients get as nil", kinds.describe());
    found.add("unsendable-result", span, text);
    if kinds == Kinds::TABLE {
        found.help("return a `list{…}` or a `map{…}`".to_owned());
    }
}
