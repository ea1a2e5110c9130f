//! Locals that are never used, or hide others; what is never reached.

use std::collections::BTreeSet;

use super::Module;
use crate::finding::Findings;
use crate::infer::Flow;
use crate::model;
use crate::scope::{Local, Origin, Value, is_placeholder};
use crate::syntax::tree::{Action, Block, ExpressionId, FunctionId, MAIN, Shape, Span};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    unused(module, found);
    hidden(module, found);
    unreached(module, found);
    parameters(module, found);
}

fn unused(module: &Module<'_, '_>, found: &mut Findings) {
    let scopes = module.facts.scopes;
    // Of `local ok, reason = f()` one is enough.
    let mut used: BTreeSet<(u32, usize)> = BTreeSet::new();
    for local in &scopes.locals {
        if !local.reads.is_empty() {
            used.insert((local.block, local.statement));
        }
    }
    for local in &scopes.locals {
        let of_interest = matches!(local.origin, Origin::Variable | Origin::Function);
        if !of_interest
            || !local.reads.is_empty()
            || is_placeholder(local.name)
            || is_constant(module, local)
            || is_own_name(module, local)
            || used.contains(&(local.block, local.statement))
        {
            continue;
        }
        let name = local.name.text;
        let outer = local.hides.and_then(|hidden| scopes.local(hidden));
        let text = if local.writes.is_empty() {
            format!("nothing uses `{name}`")
        } else {
            format!("`{name}` is set and never read")
        };
        found.add("unused-local", local.name.span, text);
        let hint =
            outer.filter(|outer| outer.block != local.block && outer.origin == Origin::Variable);
        found.help(hint.map(|outer| {
            let line = module.line(outer.name.span.start);
            format!(
                "it is another variable than the `{name}` of line {line}: is `local` meant here?"
            )
        }));
    }
}

/// One of a list of constants, as modules begin with, of which not each is used; or the variable to which they assign what
/// logs under a condition: `GP = F and trace(…)`.
fn is_constant(module: &Module<'_, '_>, local: &Local<'_>) -> bool {
    let tree = module.facts.tree;
    let is_literal = |id| {
        matches!(
            tree.shape(id),
            Shape::Integer(_) | Shape::Float(_) | Shape::Text(_) | Shape::Boolean(_)
        )
    };
    let fits = match local.values.first() {
        Some(Value::Nothing) => true,
        Some(Value::Expression(value)) => match tree.shape(*value) {
            Shape::Unary { operand, .. } => is_literal(*operand),
            _ => is_literal(*value),
        },
        _ => false,
    };
    let name = local.name.text;
    fits && local.function == MAIN
        && name.len() > 1
        && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// `local meth = "put_value()"` in `put_value`, which some write at the head of each function for what it logs.
fn is_own_name(module: &Module<'_, '_>, local: &Local<'_>) -> bool {
    let scopes = module.facts.scopes;
    let text = match local.values.as_slice() {
        [Value::Expression(value)] => module.facts.tree.text(*value),
        _ => None,
    };
    let Some(text) = text else {
        return false;
    };
    let is_name = |name: &[u8]| text == name || text.strip_suffix(b"()") == Some(name);
    let is_here = |value: &Value| *value == Value::Function(local.function);
    let of_locals = scopes.locals.iter();
    let of_globals = scopes.globals.iter();
    let of_fields = scopes.field_writes.iter();
    of_locals
        .filter(|other| other.values.iter().any(is_here))
        .any(|other| is_name(other.name.text.as_bytes()))
        || of_globals
            .filter(|(_, global)| global.writes.iter().any(|(_, value)| is_here(value)))
            .any(|(name, _)| is_name(name.as_bytes()))
        || of_fields
            .filter(|(_, value)| is_here(value))
            .any(|(target, _)| match module.facts.tree.shape(*target) {
                Shape::Index { key, .. } => module.facts.tree.text(*key).is_some_and(is_name),
                _ => false,
            })
}

fn hidden(module: &Module<'_, '_>, found: &mut Findings) {
    let scopes = module.facts.scopes;
    for local in &scopes.locals {
        if is_placeholder(local.name) || local.origin == Origin::Loop || local.reads.is_empty() {
            continue;
        }
        if let Some(text) = hides_library(module, local) {
            found.add("shadowed-name", local.name.span, text);
            found.help("give it another name".to_owned());
            continue;
        }
        let Some(outer) = local.hides.and_then(|hidden| scopes.local(hidden)) else {
            continue;
        };
        // Confusing is what hides a variable of the same function that is still read once the inner one is gone.
        let confusing = local.origin == Origin::Variable
            && outer.origin == Origin::Variable
            && outer.function == local.function
            && outer.block != local.block
            && is_read_after(module, local, outer);
        if confusing {
            let line = module.line(outer.name.span.start);
            let name = local.name.text;
            let text = format!("this `{name}` hides that of line {line}, which is read after it");
            found.add("shadowed-name", local.name.span, text);
            found.help(
                "give it another name, or leave `local` out if it is meant to be the same"
                    .to_owned(),
            );
        }
    }
}

/// Whether the outer local is read once the inner one is gone, on a way that comes from there, and before it is given something
/// else.
fn is_read_after(module: &Module<'_, '_>, inner: &Local<'_>, outer: &Local<'_>) -> bool {
    let tree = module.facts.tree;
    let Some(last) = inner.reads.last().map(|read| tree.span(*read).start) else {
        return false;
    };
    let Some(function) = tree.function(inner.function) else {
        return false;
    };
    outer
        .reads
        .iter()
        .map(|read| tree.span(*read).start)
        .filter(|read| *read > last)
        .any(|read| {
            let mut between = outer.writes.iter().map(|write| tree.span(*write).start);
            !between.any(|write| last < write && write < read)
                && !are_parted(&function.body, inner.name.span.start, read)
        })
}

/// Whether two places lie in different branches of one `if`.
fn are_parted(block: &Block<'_>, first: usize, second: usize) -> bool {
    let holds = |span: Span| span.start <= first && second < span.end;
    let Some(statement) = block.statements.iter().find(|next| holds(next.span)) else {
        return false;
    };
    match &statement.action {
        Action::If { arms, otherwise } => {
            let bodies = arms.iter().map(|(_, body)| body).chain(otherwise);
            let mut bodies = bodies.filter(|body| {
                let span = body.statements.first().zip(body.statements.last());
                span.is_some_and(|(from, to)| {
                    let span = from.span.to(to.span);
                    span.start <= first && first < span.end
                })
            });
            bodies.next().is_some_and(|body| {
                let end = body.statements.last().map_or(0, |last| last.span.end);
                second >= end || are_parted(body, first, second)
            })
        }
        Action::Do(body)
        | Action::While(_, body)
        | Action::Repeat(body, _)
        | Action::NumericFor { body, .. }
        | Action::GenericFor { body, .. } => are_parted(body, first, second),
        _ => false,
    }
}

/// A local of a library's name through which the library is meant.
fn hides_library(module: &Module<'_, '_>, local: &Local<'_>) -> Option<String> {
    let name = local.name.text;
    if !model::is_library(name) {
        return None;
    }
    let facts = &module.facts;
    let is_meant = |read: &ExpressionId| {
        let Some(field) = facts.field_of(*read) else {
            return false;
        };
        let Shape::Index { key, .. } = facts.tree.shape(field) else {
            return false;
        };
        let key = facts.tree.text(*key).unwrap_or_default();
        let path = format!("{name}.{}", String::from_utf8_lossy(key));
        facts.is_callee(field) && super::fields::is_there(&path)
    };
    // `local list = list` means the library; a table of the module's own, or another module, has functions of its own.
    if let [Value::Expression(value)] = local.values.as_slice() {
        let own = match facts.tree.shape(*value) {
            Shape::Table(_) => true,
            Shape::Call { callee, .. } => facts.path(*callee).as_deref() == Some("require"),
            _ => facts.path(*value).as_deref() == Some(name),
        };
        if own {
            return None;
        }
    }
    let read = local.reads.iter().find(|read| is_meant(read))?;
    let line = module.line(facts.tree.span(*read).start);
    Some(format!(
        "this `{name}` hides the library `{name}`, which line {line} means"
    ))
}

fn unreached(module: &Module<'_, '_>, found: &mut Findings) {
    for function in &module.facts.tree.functions {
        for span in Flow::of(&module.facts, &function.body).unreached {
            found.add("unreachable", span, "this is never reached");
        }
    }
}

/// Most arguments that a call may carry besides the record.
const MOST_ARGUMENTS: usize = 50;

fn parameters(module: &Module<'_, '_>, found: &mut Findings) {
    for (name, function) in module.entries() {
        if let Some((count, span)) = too_many(module, function) {
            let text = format!(
                "`{name}` takes {count} arguments besides the record, {MOST_ARGUMENTS} are safe"
            );
            found.add("many-arguments", span, text);
            found.help("take a list or a map".to_owned());
        }
    }
}

fn too_many(module: &Module<'_, '_>, function: FunctionId) -> Option<(usize, Span)> {
    let parameters = &module.facts.tree.function(function)?.parameters;
    let (first, last) = (parameters.first()?, parameters.last()?);
    let count = parameters.len() - 1;
    (count > MOST_ARGUMENTS).then(|| (count, first.span.to(last.span)))
}
