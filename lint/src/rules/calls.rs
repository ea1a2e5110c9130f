//! Arguments of Aerospike's and Lua's functions: too few, too many, of a kind that fails.

use super::Module;
use crate::finding::Findings;
use crate::model::kinds::Kinds;
use crate::model::{self, Parameter, Signature};
use crate::syntax::tree::{ExpressionId, Shape, Span};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let tree = module.facts.tree;
    for (id, expression) in tree.all() {
        match &expression.shape {
            Shape::Call { callee, arguments } => {
                if with_dot(module, *callee, arguments, found) {
                    continue;
                }
                if let Some((signature, _)) = module.facts.signature(id) {
                    check(module, id, signature, None, arguments, found);
                }
            }
            Shape::Method {
                object, arguments, ..
            } => {
                if with_colon(module, id, found) {
                    continue;
                }
                if let Some((signature, is_first)) = module.facts.signature(id) {
                    let first = is_first.then_some(*object);
                    check(module, id, signature, first, arguments, found);
                }
            }
            _ => {}
        }
    }
}

/// `aerospike.update(rec)`
fn with_dot(
    module: &Module<'_, '_>,
    callee: ExpressionId,
    arguments: &[ExpressionId],
    found: &mut Findings,
) -> bool {
    let tree = module.facts.tree;
    let Shape::Index { object, key } = tree.shape(callee) else {
        return false;
    };
    let is_self = |argument: &ExpressionId| module.facts.kinds(*argument) == Kinds::AEROSPIKE;
    if module.facts.kinds(*object) != Kinds::AEROSPIKE || arguments.first().is_some_and(is_self) {
        return false;
    }
    let Some(name) = tree
        .text(*key)
        .and_then(|key| std::str::from_utf8(key).ok())
    else {
        return false;
    };
    if model::signature(&format!("aerospike:{name}")).is_none() {
        return false;
    }
    let span = tree.span(callee);
    found.add(
        "argument-kind",
        span,
        format!("`{}` has to be called with a colon", module.quote(callee)),
    );
    found.help(format!("write `{}:{name}`", module.quote(*object)));
    let dot = Span {
        start: tree.span(*object).end,
        end: tree.span(*key).start,
    };
    if module.source.get(dot.start..dot.end) == Some(b".") {
        found.fix(vec![(dot, ":".to_owned())]);
    }
    true
}

/// `list:append(l, 1)`
fn with_colon(module: &Module<'_, '_>, call: ExpressionId, found: &mut Findings) -> bool {
    let Shape::Method {
        object,
        name,
        colon,
        ..
    } = module.facts.tree.shape(call)
    else {
        return false;
    };
    let Some(library) = module.facts.path(*object) else {
        return false;
    };
    if !model::is_library(&library)
        || model::signature(&format!("{library}.{}", name.text)).is_none()
    {
        return false;
    }
    let shown = module.quote(*object);
    let text = format!("`{shown}` is a library: its functions are called with a dot");
    found.add("argument-kind", name.span, text);
    found.help(format!("write `{shown}.{}`", name.text));
    let colon = Span {
        start: *colon,
        end: *colon + 1,
    };
    found.fix(vec![(colon, ".".to_owned())]);
    true
}

/// Compares a call with how the function is to be called. `first`: what stands before the colon, if that is an argument.
fn check(
    module: &Module<'_, '_>,
    call: ExpressionId,
    signature: &'static Signature,
    first: Option<ExpressionId>,
    arguments: &[ExpressionId],
    found: &mut Findings,
) {
    let given: Vec<ExpressionId> = first.into_iter().chain(arguments.iter().copied()).collect();
    let open = given.last().is_some_and(|last| is_open(module, *last));
    let path = signature.text.split('(').next().unwrap_or(signature.text);
    let needed = signature
        .parameters
        .iter()
        .filter(|parameter| !parameter.optional)
        .count();
    if given.len() < needed && !open {
        let missing: Vec<&str> = signature
            .parameters
            .iter()
            .skip(given.len())
            .filter(|parameter| !parameter.optional)
            .map(|parameter| parameter.name)
            .collect();
        let text = format!("`{path}` is called without `{}`", missing.join("`, `"));
        found.add("missing-argument", module.facts.tree.span(call), text);
        found.help(shown(signature));
    } else if given.len() > signature.parameters.len() && !signature.variadic {
        let most = signature.parameters.len();
        let surplus = given.get(most).copied().zip(given.last().copied());
        // One argument too many that may be nothing at all is none.
        let may_be_nothing = open && given.len() == most + 1;
        if let Some((from, to)) = surplus
            && !may_be_nothing
        {
            let span = module.facts.tree.span(from).to(module.facts.tree.span(to));
            let text = match most {
                0 => format!("`{path}` takes no arguments"),
                1 => format!("`{path}` takes one argument"),
                _ => format!("`{path}` takes {most} arguments"),
            };
            found.add("extra-argument", span, text);
            found.help(shown(signature));
        }
    }
    for (place, (argument, parameter)) in given.iter().zip(&signature.parameters).enumerate() {
        if open
            && place + 1 == given.len()
            && !matches!(
                module.facts.tree.shape(*argument),
                Shape::Call { .. } | Shape::Method { .. }
            )
        {
            continue;
        }
        if let Some(text) = refuse(module, *argument, parameter) {
            let number = place + 1 - usize::from(first.is_some());
            let text = match (number, path) {
                (0, _) => format!("`{path}` is called on {text}"),
                _ => format!("argument {number} of `{path}` is {text}"),
            };
            found.add("argument-kind", module.facts.tree.span(*argument), text);
            found.help(shown(signature));
        }
    }
}

/// How the function is called; its own words say it best.
fn shown(signature: &Signature) -> String {
    let text = signature.text.replace("index", "integer");
    format!("it is `{text}`")
}

/// Whether an argument may stand for any number of them.
pub(super) fn is_open(module: &Module<'_, '_>, argument: ExpressionId) -> bool {
    matches!(
        module.facts.tree.shape(argument),
        Shape::Vararg | Shape::Call { .. } | Shape::Method { .. }
    )
}

/// Why an argument does not do: what it is, and what is wanted.
fn refuse(
    module: &Module<'_, '_>,
    argument: ExpressionId,
    parameter: &Parameter,
) -> Option<String> {
    let kinds = module.facts.kinds(argument);
    let wanted = parameter.kinds;
    let takes_numbers = wanted.intersects(Kinds::NUMBER);
    let mut accepted = wanted;
    if takes_numbers {
        // A float without a fraction is taken for an integer, and text for the number that it spells.
        accepted |= Kinds::NUMBER | Kinds::TEXT;
        if !wanted.intersects(Kinds::TEXT) && module.facts.is_text_of_no_number(argument) {
            accepted = accepted.difference(Kinds::TEXT);
        }
    } else if wanted.intersects(Kinds::TEXT) {
        accepted |= Kinds::NUMBER;
    }
    if parameter.optional {
        accepted |= Kinds::NIL;
    }
    let bare = module.facts.tree.bare(argument);
    let integer_only = takes_numbers && !wanted.intersects(Kinds::FLOAT | Kinds::TEXT);
    if let Shape::Float(value) = module.facts.tree.shape(bare)
        && integer_only
        && value.fract() != 0.0
    {
        return Some(format!("{value}, and only integers do"));
    }
    let what = wanted.difference(Kinds::NIL);
    kinds
        .is_never(accepted)
        .then(|| format!("{}; it takes {}", kinds.describe(), what.describe()))
}
