//! Operators, calls, indexes and loops whose operands are of kinds that always fail.

use super::Module;
use crate::finding::Findings;
use crate::model::kinds::Kinds;
use crate::syntax::tree::{Action, Binary, Block, ExpressionId, Shape, Unary};

/// Values that may have metamethods: whatever is done to them may be meant.
const WITH_METAMETHODS: Kinds = Kinds::TABLE;

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let tree = module.facts.tree;
    for (_, expression) in tree.all() {
        match &expression.shape {
            Shape::Binary {
                operator,
                left,
                right,
            } => operation(module, *operator, *left, *right, found),
            Shape::Unary { operator, operand } => match operator {
                Unary::Minus => number(module, *operand, found),
                Unary::BitwiseNot => bits(module, *operand, found),
                Unary::Length => length(module, *operand, found),
                Unary::Not => {}
            },
            Shape::Index { object, .. } | Shape::Method { object, .. } => {
                index(module, *object, found)
            }
            Shape::Call { callee, .. } => called(module, *callee, found),
            _ => {}
        }
    }
    for function in &tree.functions {
        loops(module, &function.body, found);
    }
    record_keys(module, found);
}

fn report(module: &Module<'_, '_>, at: ExpressionId, what: &str, found: &mut Findings) {
    let kinds = module.facts.kinds(at).describe();
    let shown = module.quote(at);
    let text = if shown.is_empty() || module.facts.tree.text(at).is_some() || shown == kinds {
        format!("{kinds} {what}")
    } else {
        format!("`{shown}` is {kinds}, which {what}")
    };
    found.add("wrong-operand", module.facts.tree.span(at), text);
}

fn operation(
    module: &Module<'_, '_>,
    operator: Binary,
    left: ExpressionId,
    right: ExpressionId,
    found: &mut Findings,
) {
    let facts = &module.facts;
    let (a, b) = (facts.kinds(left), facts.kinds(right));
    // A table that is written right here has no metamethods.
    let may_be_meant = [left, right].into_iter().any(|id| {
        let is_plain = matches!(facts.tree.shape(facts.tree.bare(id)), Shape::Table(_));
        facts.kinds(id).intersects(WITH_METAMETHODS) && !is_plain
    });
    match operator {
        Binary::Arithmetic | Binary::Fraction | Binary::Division if !may_be_meant => {
            number(module, left, found);
            number(module, right, found);
            if operator == Binary::Division
                && matches!(facts.tree.shape(right), Shape::Integer(0))
                && a == Kinds::INTEGER
            {
                let span = facts.tree.span(right);
                found.add(
                    "wrong-operand",
                    span,
                    "an integer cannot be divided by the integer zero",
                );
            }
        }
        Binary::Bitwise if !may_be_meant => {
            bits(module, left, found);
            bits(module, right, found);
        }
        Binary::Concat if !may_be_meant => {
            for operand in [left, right] {
                if facts.kinds(operand).is_never(Kinds::TEXT | Kinds::NUMBER) {
                    report(module, operand, "cannot be joined to a string", found);
                    found.help("write `tostring(…)` around it".to_owned());
                }
            }
        }
        Binary::Order if !may_be_meant => {
            let both = |kinds: Kinds| a.intersects(kinds) && b.intersects(kinds);
            if !a.is_empty() && !b.is_empty() && !both(Kinds::NUMBER) && !both(Kinds::TEXT) {
                let span = facts.tree.span(left).to(facts.tree.span(right));
                let (a, b) = (a.describe(), b.describe());
                found.add(
                    "wrong-operand",
                    span,
                    format!("{a} cannot be compared with {b}"),
                );
            }
        }
        _ => {}
    }
}

fn number(module: &Module<'_, '_>, operand: ExpressionId, found: &mut Findings) {
    let kinds = module.facts.kinds(operand);
    let is_plain = matches!(
        module.facts.tree.shape(module.facts.tree.bare(operand)),
        Shape::Table(_)
    );
    if is_plain
        || kinds.is_never(Kinds::NUMBER | Kinds::TEXT | WITH_METAMETHODS)
        || module.facts.is_text_of_no_number(operand)
    {
        report(module, operand, "is no number to reckon with", found);
    }
}

fn bits(module: &Module<'_, '_>, operand: ExpressionId, found: &mut Findings) {
    let facts = &module.facts;
    if let Shape::Float(value) = facts.tree.shape(facts.tree.bare(operand))
        && (value.fract() != 0.0 || value.abs() >= 2.0_f64.powi(63))
    {
        let span = facts.tree.span(operand);
        found.add(
            "wrong-operand",
            span,
            format!("{value} has no bits: it is no integer"),
        );
    } else if facts
        .kinds(operand)
        .is_never(Kinds::NUMBER | WITH_METAMETHODS)
    {
        report(module, operand, "has no bits", found);
    }
}

fn length(module: &Module<'_, '_>, operand: ExpressionId, found: &mut Findings) {
    let with = Kinds::TEXT | WITH_METAMETHODS | Kinds::COLLECTION | Kinds::BYTES;
    let kinds = module.facts.kinds(operand);
    if kinds.is_never(with) {
        report(module, operand, "has no length", found);
    } else if kinds == Kinds::BYTES {
        report(module, operand, "always have the length 0", found);
        found.help(format!("write `bytes.size({})`", module.quote(operand)));
    }
}

fn index(module: &Module<'_, '_>, object: ExpressionId, found: &mut Findings) {
    let without = Kinds::NIL
        | Kinds::BOOLEAN
        | Kinds::NUMBER
        | Kinds::FUNCTION
        | Kinds::COROUTINE
        | Kinds::GEOJSON;
    let facts = &module.facts;
    if !facts.kinds(object).is_surely(without) {
        return;
    }
    // `debug.x`: that it is no library is said elsewhere.
    if facts.path(object).is_some() {
        return;
    }
    report(module, object, "has no fields", found);
}

fn called(module: &Module<'_, '_>, callee: ExpressionId, found: &mut Findings) {
    let facts = &module.facts;
    if called_bin(module, callee, found) {
        return;
    }
    let kinds = facts.kinds(callee);
    if kinds.is_never(Kinds::FUNCTION | WITH_METAMETHODS) {
        report(module, callee, "cannot be called", found);
        return;
    }
    // Libraries that are no constructors.
    if let Some(path) = facts.path(callee)
        && matches!(
            crate::model::find(&path),
            Some(crate::model::Entry::Library)
        )
    {
        let span = facts.tree.span(callee);
        found.add(
            "wrong-operand",
            span,
            format!("the library `{path}` cannot be called"),
        );
    }
}

/// `rec.set_ttl(rec, 60)`, `l.append(1)`: what records and collections hold is never a function.
fn called_bin(module: &Module<'_, '_>, callee: ExpressionId, found: &mut Findings) -> bool {
    let facts = &module.facts;
    let Shape::Index { object, key } = facts.tree.shape(callee) else {
        return false;
    };
    let (library, what) = match facts.kinds(*object) {
        Kinds::RECORD => ("record", "is a bin, which"),
        Kinds::LIST => ("list", "is an element, which"),
        Kinds::MAP => ("map", "is an element, which"),
        _ => return false,
    };
    // That a local hides the library which is meant is said elsewhere.
    if matches!(facts.tree.shape(*object), Shape::Name(name) if *name == library) {
        return false;
    }
    let shown = module.quote(callee);
    let text = format!("`{shown}` {what} cannot be called");
    found.add("wrong-operand", facts.tree.span(callee), text);
    let function = facts.tree.text(*key).map(String::from_utf8_lossy);
    let function = function.map(|name| format!("{library}.{name}"));
    found.help(
        function
            .filter(|function| crate::model::signature(function).is_some())
            .map(|function| format!("write `{function}({}, …)`", module.quote(*object))),
    );
    true
}

/// `for … in`, and the range of a numeric `for`.
fn loops(module: &Module<'_, '_>, block: &Block<'_>, found: &mut Findings) {
    for statement in &block.statements {
        match &statement.action {
            Action::NumericFor { range, body, .. } => {
                for limit in range {
                    let kinds = module.facts.kinds(*limit);
                    if kinds.is_never(Kinds::NUMBER) {
                        report(module, *limit, "is no number to count with", found);
                    }
                }
                loops(module, body, found);
            }
            Action::GenericFor { values, body, .. } => {
                if let Some(first) = values.first() {
                    loop_over(module, *first, found);
                }
                loops(module, body, found);
            }
            Action::Do(body) | Action::While(_, body) | Action::Repeat(body, _) => {
                loops(module, body, found);
            }
            Action::If { arms, otherwise } => {
                let bodies = arms.iter().map(|(_, body)| body).chain(otherwise);
                bodies.for_each(|body| loops(module, body, found));
            }
            _ => {}
        }
    }
}

fn loop_over(module: &Module<'_, '_>, value: ExpressionId, found: &mut Findings) {
    let kinds = module.facts.kinds(value);
    let plain_table = matches!(module.facts.tree.shape(value), Shape::Table(_));
    if !plain_table && !kinds.is_never(Kinds::FUNCTION | Kinds::TABLE) {
        return;
    }
    report(module, value, "cannot be looped over as it is", found);
    let way = match kinds {
        Kinds::LIST => "list.iterator",
        Kinds::MAP => "map.pairs",
        Kinds::TABLE => "pairs",
        _ => return,
    };
    found.help(format!("write `{way}({})`", module.quote(value)));
}

/// `rec[true]`, `l["x"]`
fn record_keys(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    for (_, expression) in facts.tree.all() {
        let Shape::Index { object, key } = &expression.shape else {
            continue;
        };
        let (fits, what) = match facts.kinds(*object) {
            Kinds::RECORD => (
                Kinds::TEXT | Kinds::NUMBER | Kinds::NIL,
                "is no name of a bin",
            ),
            Kinds::LIST => (
                Kinds::NUMBER | Kinds::TEXT | Kinds::NIL,
                "is no place in a list",
            ),
            _ => continue,
        };
        let kinds = facts.kinds(*key);
        let no_number = facts.kinds(*object) == Kinds::LIST && facts.is_text_of_no_number(*key);
        if kinds.is_never(fits) || no_number {
            report(module, *key, what, found);
        }
    }
}
