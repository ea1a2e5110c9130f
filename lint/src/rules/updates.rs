//! `aerospike:update` of records that may not be there.

use std::collections::{BTreeMap, BTreeSet};

use super::Module;
use crate::finding::Findings;
use crate::model::kinds::Kinds;
use crate::scope::Value;
use crate::syntax::tree::{ExpressionId, FunctionId, MAIN, Shape};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    let updates: Vec<(ExpressionId, FunctionId)> = facts
        .tree
        .all()
        .filter(|(id, _)| {
            module.is_method(*id, "update").is_some() && facts.scopes.statement_calls.contains(id)
        })
        .map(|(id, _)| (id, facts.scopes.function_of(id)))
        .collect();
    if updates.is_empty() {
        return;
    }
    let careful = careful(module);
    // Where nothing is written but what the record had there is nothing to lose.
    let writers: BTreeSet<FunctionId> = facts
        .scopes
        .field_writes
        .iter()
        .filter(|(target, value)| is_bin(module, *target) && is_news(module, *value))
        .map(|(target, _)| facts.scopes.function_of(*target))
        .collect();
    let calls = Calls::of(module);
    let mut reported = BTreeSet::new();
    for (update, function) in updates {
        if reported.contains(&function)
            || !writers.contains(&function)
            || is_cared_for(module, function, &careful, &calls)
        {
            continue;
        }
        reported.insert(function);
        let span = facts.tree.span(update);
        let text = "if there is no such record, nothing is stored and nobody is told";
        found.add("unchecked-update", span, text);
        found.help(
            "ask `aerospike:exists` first, or look at the result: it is 0 when all went well"
                .to_owned(),
        );
    }
}

/// Whether a value that a bin is given is more than what the record has itself: no nil, and no value of a bin.
fn is_news(module: &Module<'_, '_>, value: Value) -> bool {
    let facts = &module.facts;
    let is_own = |id: ExpressionId| {
        let mut sources = vec![id];
        if let Some(local) = facts.scopes.local_of(id)
            && let Some(local) = facts.scopes.local(local)
        {
            sources.clear();
            for value in &local.values {
                match value {
                    Value::Expression(id) => sources.push(*id),
                    Value::Nothing => {}
                    _ => return false,
                }
            }
        }
        let mut sources = sources.into_iter();
        sources.all(|id| is_bin(module, id) || facts.kinds(id) == Kinds::NIL)
    };
    match value {
        Value::Expression(id) => !is_own(id),
        Value::Nothing => false,
        _ => true,
    }
}

/// Whether a function is run on the records of a scan or query, which are there; its name says so.
fn is_for_scans(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["scan", "background"]
        .iter()
        .any(|word| name.contains(word))
}

/// Functions that ask in some way whether the record is there, or make it.
fn careful(module: &Module<'_, '_>) -> BTreeSet<FunctionId> {
    let facts = &module.facts;
    let mut careful = BTreeSet::new();
    for (id, expression) in facts.tree.all() {
        let asks = match &expression.shape {
            Shape::Method { .. } => ["exists", "create"]
                .into_iter()
                .any(|method| module.is_method(id, method).is_some()),
            Shape::Call { callee, .. } => facts.path(*callee).is_some_and(|path| {
                matches!(
                    path.as_str(),
                    "record.numbins"
                        | "record.gen"
                        | "record.size"
                        | "record.key"
                        | "record.ttl"
                        | "record.last_update_time"
                        | "record.bin_names"
                )
            }),
            Shape::Index { .. } => is_bin(module, id) && tells(module, id),
            _ => false,
        };
        if asks {
            careful.insert(facts.scopes.function_of(id));
        }
    }
    // A local that is filled from a bin stands for it.
    for local in &facts.scopes.locals {
        let from_bin = local.values.iter().any(|value| match value {
            Value::Expression(id) => is_bin(module, *id),
            _ => false,
        });
        if from_bin && local.reads.iter().any(|read| tells(module, *read)) {
            careful.insert(local.function);
        }
    }
    careful
}

/// Whether an expression is a bin.
fn is_bin(module: &Module<'_, '_>, id: ExpressionId) -> bool {
    match module.facts.tree.shape(id) {
        Shape::Index { object, .. } => module.facts.kinds(*object) == Kinds::RECORD,
        _ => false,
    }
}

/// Whether what is done with the value of a bin tells that there is none, which is nil without a record: it is looked at, or
/// the operation fails on nil.
fn tells(module: &Module<'_, '_>, bin: ExpressionId) -> bool {
    let facts = &module.facts;
    let parent = facts
        .parent(bin)
        .map(|parent| (parent, facts.tree.shape(parent)));
    facts.scopes.is_looked_at(bin)
        || match parent {
            Some((_, Shape::Binary { .. } | Shape::Unary { .. })) => true,
            Some((_, Shape::Index { object, .. } | Shape::Method { object, .. })) => *object == bin,
            Some((call, Shape::Call { .. })) => facts.signature(call).is_some(),
            _ => false,
        }
}

/// Whether the function, one around it, one that it calls or one that calls it is careful. Functions that clients cannot call and
/// nobody here calls are others' concern.
fn is_cared_for(
    module: &Module<'_, '_>,
    function: FunctionId,
    careful: &BTreeSet<FunctionId>,
    calls: &Calls,
) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![function];
    let mut is_entry = false;
    while let Some(function) = open.pop() {
        if !seen.insert(function) {
            continue;
        }
        if careful.contains(&function) || module.entry(function).is_some_and(is_for_scans) {
            return true;
        }
        is_entry |= module.is_entry(function);
        let around = module.facts.scopes.around(function);
        if around != MAIN {
            open.push(around);
        }
        open.extend(calls.callers.get(&function).into_iter().flatten());
    }
    let mut called = calls.callees.get(&function).into_iter().flatten();
    !is_entry || called.any(|callee| careful.contains(callee))
}

/// Which functions of the module call which.
#[derive(Default)]
struct Calls {
    callers: BTreeMap<FunctionId, BTreeSet<FunctionId>>,
    callees: BTreeMap<FunctionId, BTreeSet<FunctionId>>,
}

impl Calls {
    fn of(module: &Module<'_, '_>) -> Self {
        let facts = &module.facts;
        let mut calls = Self::default();
        for (id, expression) in facts.tree.all() {
            if let Shape::Call { callee, .. } = &expression.shape
                && let Some(callee) = facts.function(*callee)
            {
                let caller = facts.scopes.function_of(id);
                calls.callers.entry(callee).or_default().insert(caller);
                calls.callees.entry(caller).or_default().insert(callee);
            }
        }
        calls
    }
}
