//! Globals: not defined, gone, kept away, written in functions, defined twice.

use std::collections::BTreeSet;

use runtime::context::likely;

use super::Module;
use crate::finding::Findings;
use crate::model::{self, Absent};
use crate::scope::{Global, Origin, Use};
use crate::syntax::tree::{ExpressionId, FunctionId, MAIN, Shape};

/// Shorter names differ too little from each other to guess.
const SHORTEST_GUESS: usize = 3;

/// What people write who think in another language.
const OF_OTHER_LANGUAGES: [(&str, &str); 8] = [
    ("True", "true"),
    ("False", "false"),
    ("null", "nil"),
    ("NULL", "nil"),
    ("None", "nil"),
    ("Nil", "nil"),
    ("undefined", "nil"),
    ("this", "self"),
];

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let through_table = through_table(module);
    for (name, global) in &module.facts.scopes.globals {
        if !global.is_written() {
            if through_table
                .as_ref()
                .is_some_and(|names| !names.contains(*name))
            {
                undefined(module, name, global, found);
            }
            continue;
        }
        written_in_functions(module, name, global, found);
        defined_twice(module, name, global, found);
    }
}

/// Globals that are defined as fields of `_G` or `_ENV`; none if any may be, by names that are made.
fn through_table(module: &Module<'_, '_>) -> Option<BTreeSet<String>> {
    let facts = &module.facts;
    let mut names = BTreeSet::new();
    for (target, _) in &facts.scopes.field_writes {
        let Shape::Index { object, key } = facts.tree.shape(*target) else {
            continue;
        };
        if matches!(facts.path(*object).as_deref(), Some("_G" | "_ENV")) {
            names.insert(String::from_utf8_lossy(facts.constant_text(*key)?).into_owned());
        }
    }
    let sets_raw = facts
        .tree
        .all()
        .any(|(_, expression)| match &expression.shape {
            Shape::Call { callee, arguments } => {
                facts.path(*callee).as_deref() == Some("rawset")
                    && arguments
                        .first()
                        .is_some_and(|first| facts.path(*first).as_deref() == Some("_G"))
            }
            _ => false,
        });
    (!sets_raw).then_some(names)
}

fn undefined(module: &Module<'_, '_>, name: &str, global: &Global, found: &mut Findings) {
    let scopes = module.facts.scopes;
    if model::is_global(name) || module.around.globals.contains(name) || name == "_ENV" {
        return;
    }
    let is_looked_at = global
        .reads
        .iter()
        .any(|place| scopes.is_looked_at(place.expression));
    let absent = model::absent(name);
    if absent.is_some() {
        if !is_looked_at {
            for place in &global.reads {
                report_absent(module, name, place.expression, found);
            }
        }
        return;
    }
    // Once for each function.
    let mut seen = BTreeSet::new();
    for place in &global.reads {
        if !seen.insert(place.function) {
            continue;
        }
        let meant = meant(module, name, *place);
        // A module that is not here may define it; who looks whether it is there knows that it may not be.
        if meant.is_none() && (module.around.unknown || is_looked_at) {
            continue;
        }
        let span = module.facts.tree.span(place.expression);
        found.add("undefined-name", span, format!("nothing defines `{name}`"));
        found.help(meant.map(|meant| format!("did you mean `{meant}`?")));
    }
}

/// Reports a name that was there once, or is kept from scripts.
pub(super) fn report_absent(
    module: &Module<'_, '_>,
    path: &str,
    at: ExpressionId,
    found: &mut Findings,
) {
    let span = module.facts.tree.span(at);
    match model::absent(path) {
        Some(Absent::Gone(instead)) => {
            found.add("old-lua", span, format!("Lua 5.4 has no `{path}`"));
            found.help(instead.to_owned());
            if let Some(new) = model::renamed(path)
                && module.quote(at) == path
            {
                found.fix(vec![(span, new.to_owned())]);
            }
        }
        Some(Absent::KeptAway) => {
            found.add("sandbox", span, format!("scripts have no `{path}`"));
            found.help(match path.split('.').next() {
                Some("os") => Some("of `os` there are clock, date, difftime and time".to_owned()),
                Some("debug") => {
                    Some("`debug` writes a line to the log; there is no debug library".to_owned())
                }
                _ => None,
            });
        }
        Some(Absent::LargeDataType) => {
            let text = format!("`{path}` went with the large data types, in server 3.15");
            found.add("large-data-types", span, text);
            found.help("lists and maps in bins, and their operations, take their place".to_owned());
        }
        None => {}
    }
}

/// The name that was likely meant: of a local that is declared before, a global of the module, or one that scripts find.
fn meant(module: &Module<'_, '_>, name: &str, place: Use) -> Option<String> {
    if let Some((_, lua)) = OF_OTHER_LANGUAGES.iter().find(|row| row.0 == name) {
        return Some((*lua).to_owned());
    }
    if name.len() < SHORTEST_GUESS || !module.may_guess() {
        return None;
    }
    let scopes = module.facts.scopes;
    let at = module.facts.tree.span(place.expression).start;
    let mut around = BTreeSet::from([place.function]);
    let mut function = place.function;
    while function != MAIN {
        function = scopes.around(function);
        around.insert(function);
    }
    let is_near = |origin: Origin, of: FunctionId, start: usize| {
        origin != Origin::Loop && around.contains(&of) && start < at
    };
    let locals = scopes
        .locals
        .iter()
        .filter(|local| is_near(local.origin, local.function, local.name.span.start))
        .map(|local| local.name.text);
    let globals = scopes
        .globals
        .iter()
        .filter(|(_, global)| global.is_written())
        .map(|(name, _)| *name);
    let around = module.around.globals.iter().map(String::as_str);
    let candidates = locals
        .chain(globals)
        .chain(around)
        .chain(model::globals().map(shorter));
    let known = candidates.filter(|candidate| candidate.len() >= SHORTEST_GUESS);
    close(name, known).map(str::to_owned)
}

/// A name that lives for ever among those that do not.
fn shorter<'n>(name: &'static str) -> &'n str {
    name
}

/// The name that is closest, if it is close: one letter of a short name, two of a long one.
pub(super) fn close<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = if name.len() < 6 { 1 } else { 2 };
    let near = names.filter(|other| other.len().abs_diff(name.len()) <= most);
    let found = likely(name, near)?;
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b);
    let differences = found.len().abs_diff(name.len())
        + found
            .bytes()
            .zip(name.bytes())
            .filter(|(a, b)| !same(*a, *b))
            .count();
    // A shift makes all that follows differ; `likely` has counted that right for longer names.
    (name.len() >= 6 || differences <= 2 || found.len() != name.len()).then_some(found)
}

fn written_in_functions(
    module: &Module<'_, '_>,
    name: &str,
    global: &Global,
    found: &mut Findings,
) {
    let inner = global
        .writes
        .iter()
        .filter(|(place, _)| place.function != MAIN);
    // Once for each function.
    let mut seen = BTreeSet::new();
    let declared = global
        .writes
        .iter()
        .any(|(place, _)| place.function == MAIN);
    for (place, _) in inner {
        if !seen.insert(place.function) {
            continue;
        }
        let span = module.facts.tree.span(place.expression);
        let text = if model::is_global(name) {
            format!("a call replaces `{name}`, which the server defines")
        } else if declared {
            format!("a call changes the global `{name}`: the next call may see it or not")
        } else {
            format!("`{name}` is a global here: what one call leaves in it, another may see")
        };
        found.add("global-in-function", span, text);
        found.help((!declared).then(|| "write `local` before it".to_owned()));
    }
}

fn defined_twice(module: &Module<'_, '_>, name: &str, global: &Global, found: &mut Findings) {
    let outermost: Vec<_> = global
        .functions()
        .filter(|(place, _)| place.function == MAIN)
        .collect();
    for pair in outermost.windows(2) {
        if let [(first, _), (second, _)] = pair {
            let before = module.line(module.facts.tree.span(first.expression).start);
            let span = module.facts.tree.span(second.expression);
            let text = format!("the function `{name}` of line {before} is replaced by this one");
            found.add("duplicate-function", span, text);
        }
    }
}
