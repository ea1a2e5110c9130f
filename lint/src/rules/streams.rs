//! Stream UDFs: operators that may give nil, reducers of another kind, functions that do not return their stream.

use std::collections::{BTreeMap, BTreeSet};

use super::Module;
use crate::finding::Findings;
use crate::infer::{Exit, Flow};
use crate::model::kinds::Kinds;
use crate::scope::{Origin, Value};
use crate::syntax::tree::{ExpressionId, FunctionId, Shape, Span};

/// The operators, and how many arguments each needs.
const OPERATORS: [(&str, usize); 5] = [
    ("map", 1),
    ("filter", 1),
    ("aggregate", 2),
    ("reduce", 1),
    ("groupby", 1),
];

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let mut of_function: BTreeMap<FunctionId, Vec<ExpressionId>> = BTreeMap::new();
    for (id, _) in module.facts.tree.all() {
        if let Some(function) = stream_of(module, id) {
            of_function.entry(function).or_default().push(id);
        }
    }
    let mut writes = writes(module);
    for (function, operators) in of_function {
        let mut passing = Kinds::RECORD;
        for operator in operators {
            passing = look_at_operator(module, operator, passing, &mut writes, found);
        }
        returns_stream(module, function, found);
    }
}

/// The functions that put operators onto their first parameters.
pub(super) fn functions(module: &Module<'_, '_>) -> BTreeSet<FunctionId> {
    let all = module.facts.tree.all();
    all.filter_map(|(id, _)| stream_of(module, id)).collect()
}

/// The function onto whose first parameter a call puts an operator.
fn stream_of(module: &Module<'_, '_>, call: ExpressionId) -> Option<FunctionId> {
    let facts = &module.facts;
    let mut at = call;
    let mut steps = 0;
    loop {
        steps += 1;
        if steps > 1_000 {
            return None;
        }
        match facts.tree.shape(at) {
            Shape::Method { object, name, .. }
                if OPERATORS.iter().any(|row| row.0 == name.text) =>
            {
                at = *object;
            }
            Shape::Parentheses(inner) => at = *inner,
            Shape::Name(_) if at != call => {
                let local = facts.scopes.local(facts.scopes.local_of(at)?)?;
                if local.origin == Origin::Parameter {
                    let function = facts.tree.function(local.function)?;
                    let is_first = function.parameters.first()?.span == local.name.span;
                    return (is_first && module.is_entry(local.function)).then_some(local.function);
                }
                match local.values.as_slice() {
                    [Value::Expression(value)] => at = *value,
                    _ => return None,
                }
            }
            _ => return None,
        }
        if at == call {
            return None;
        }
    }
}

/// Looks at an operator that gets values of these kinds; answers what it passes on.
fn look_at_operator(
    module: &Module<'_, '_>,
    operator: ExpressionId,
    passing: Kinds,
    writes: &mut BTreeMap<FunctionId, ExpressionId>,
    found: &mut Findings,
) -> Kinds {
    let facts = &module.facts;
    let Shape::Method {
        name, arguments, ..
    } = facts.tree.shape(operator)
    else {
        return Kinds::ANY;
    };
    let needed = OPERATORS
        .iter()
        .find(|row| row.0 == name.text)
        .map_or(0, |row| row.1);
    if arguments.len() < needed
        && !arguments
            .iter()
            .any(|last| super::calls::is_open(module, *last))
    {
        let text = match needed {
            2 => "`aggregate` is called without its first value and function".to_owned(),
            _ => format!("`{}` is called without its function", name.text),
        };
        found.add("missing-argument", name.span, text);
        return Kinds::ANY;
    }
    let Some(step) = arguments.get(needed - 1) else {
        return Kinds::ANY;
    };
    let kinds = facts.kinds(*step);
    if kinds.is_never(Kinds::FUNCTION | Kinds::TABLE) {
        let text = format!(
            "`{}` takes a function; this is {}",
            name.text,
            kinds.describe()
        );
        found.add("argument-kind", facts.tree.span(*step), text);
        return Kinds::ANY;
    }
    if let Some((from, to)) = arguments.get(needed).zip(arguments.last()) {
        let span = facts.tree.span(*from).to(facts.tree.span(*to));
        let text = match needed {
            2 => "`aggregate` takes a first value and a function".to_owned(),
            _ => format!("`{}` takes one function", name.text),
        };
        found.add("extra-argument", span, text);
        found.help(
            "what it needs besides is an upvalue of the function: write one function that returns another"
                .to_owned(),
        );
    }
    let function = facts.function(*step);
    let result = match function {
        Some(function) => facts.result(function),
        None => match facts.path(*step).as_deref() {
            Some("map.merge") => Kinds::MAP,
            Some("list.merge") => Kinds::LIST,
            Some(_) | None => Kinds::ANY,
        },
    };
    if let Some(function) = function {
        // Once, however many operators have it.
        if let Some(call) = writes.remove(&function) {
            let text = "a record of a stream cannot be written: this does nothing";
            found.add("stream-write", facts.tree.span(call), text);
        }
        if matches!(name.text, "map" | "aggregate" | "reduce") {
            gives_nil(module, name.text, *step, function, found);
        }
    }
    match name.text {
        "filter" => passing,
        "map" => result,
        "groupby" => Kinds::MAP,
        "aggregate" => {
            let first = arguments
                .first()
                .map_or(Kinds::ANY, |first| facts.kinds(*first));
            keeps_kind(module, "aggregate", *step, first, result, found);
            first
        }
        _ => {
            keeps_kind(module, "reduce", *step, passing, result, found);
            result
        }
    }
}

/// The first place in each function where it stores a record.
fn writes(module: &Module<'_, '_>) -> BTreeMap<FunctionId, ExpressionId> {
    let mut writes = BTreeMap::new();
    for (id, _) in module.facts.tree.all() {
        let is_write = ["create", "update", "remove"]
            .into_iter()
            .any(|name| module.is_method(id, name).is_some());
        if is_write {
            writes
                .entry(module.facts.scopes.function_of(id))
                .or_insert(id);
        }
    }
    writes
}

/// A function of an operator that ends without a value.
fn gives_nil(
    module: &Module<'_, '_>,
    operator: &str,
    step: ExpressionId,
    function: FunctionId,
    found: &mut Findings,
) {
    let facts = &module.facts;
    let Some(body) = facts.tree.function(function) else {
        return;
    };
    let nil = Flow::of(facts, &body.body)
        .exits
        .into_iter()
        .find_map(|exit| match exit {
            Exit::End => Some(body.span.end.saturating_sub(3)),
            Exit::Return(values) => match values.first() {
                None => Some(body.span.start),
                Some(first) => {
                    (facts.kinds(*first) == Kinds::NIL).then(|| facts.tree.span(*first).start)
                }
            },
        });
    let Some(place) = nil else {
        return;
    };
    let line = module.line(place);
    let consequence = match operator {
        "map" => "the stream ends there, and what follows is lost",
        _ => "the next call gets nil as its first argument",
    };
    let text = format!("the function of `{operator}` may give nil (line {line}): {consequence}");
    found.add("stream-nil", facts.tree.span(step), text);
    found.help(
        (operator == "map").then(|| "leave values out with `filter`, before the `map`".to_owned()),
    );
}

/// A function that joins values has to give what it gets, as it is called with its own results.
fn keeps_kind(
    module: &Module<'_, '_>,
    operator: &str,
    step: ExpressionId,
    first: Kinds,
    result: Kinds,
    found: &mut Findings,
) {
    let value = result.difference(Kinds::NIL);
    if first.is_empty()
        || !value.is_never(first)
        || first.contains(Kinds::NUMBER) && value.intersects(Kinds::NUMBER)
    {
        return;
    }
    let (of, to) = (first.describe(), value.describe());
    let both_numbers = first.is_surely(Kinds::NUMBER) && value.is_surely(Kinds::NUMBER);
    if both_numbers {
        return;
    }
    let text = format!("the function of `{operator}` gets {of} first and gives {to}");
    found.add("reducer-kind", module.facts.tree.span(step), text);
    found.help(
        "it is called with its own result: that has to be of the kind of its first argument"
            .to_owned(),
    );
}

fn returns_stream(module: &Module<'_, '_>, function: FunctionId, found: &mut Findings) {
    let facts = &module.facts;
    let Some(body) = facts.tree.function(function) else {
        return;
    };
    for exit in Flow::of(facts, &body.body).exits {
        let (span, what) = match exit {
            Exit::End => {
                let end = body.span.end;
                let end_word = Span {
                    start: end.saturating_sub(3),
                    end,
                };
                (end_word, "the function ends without its stream")
            }
            Exit::Return(values) => match values.first() {
                None => continue,
                Some(first) if facts.kinds(*first).is_never(Kinds::TABLE) => {
                    (facts.tree.span(*first), "this is not the stream")
                }
                Some(_) => continue,
            },
        };
        found.add(
            "stream-result",
            span,
            format!("{what}: the aggregation fails"),
        );
        found.help("write `return` before the operators".to_owned());
    }
}
