//! Members that libraries and objects do not have.

use std::collections::{BTreeMap, BTreeSet};

use super::{Module, names};
use crate::finding::Findings;
use crate::infer::Facts;
use crate::model::kinds::Kinds;
use crate::model::{self, Entry};
use crate::scope::{LocalId, Value};
use crate::syntax::tree::{ExpressionId, MAIN, Name, Shape, Span};

pub(super) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    let mut written = written_paths(facts);
    written.extend(module.around.fields.iter().cloned());
    let targets: BTreeSet<_> = facts
        .scopes
        .field_writes
        .iter()
        .map(|(target, _)| *target)
        .collect();
    let looked_at = looked_at_paths(module);
    for (id, expression) in facts.tree.all() {
        match &expression.shape {
            Shape::Index { object, .. } if !targets.contains(&id) => {
                let Some(path) = facts.path(id) else {
                    continue;
                };
                if !written.contains(&path) {
                    member(module, id, *object, &path, looked_at.contains(&path), found);
                }
            }
            Shape::Method { object, name, .. } => {
                method(module, id, *object, *name, &written, found)
            }
            _ => {}
        }
    }
    own_tables(module, found);
}

/// The paths that a module assigns to: `string.trim`.
pub(crate) fn written_paths(facts: &Facts<'_, '_>) -> BTreeSet<String> {
    let targets = facts.scopes.field_writes.iter();
    targets
        .filter_map(|(target, _)| facts.path(*target))
        .collect()
}

fn looked_at_paths(module: &Module<'_, '_>) -> BTreeSet<String> {
    let all = module.facts.tree.all();
    let looked_at = all.filter(|(id, _)| module.facts.scopes.is_looked_at(*id));
    looked_at
        .filter_map(|(id, _)| module.facts.path(id))
        .collect()
}

/// `library.name`
fn member(
    module: &Module<'_, '_>,
    id: ExpressionId,
    object: ExpressionId,
    path: &str,
    is_looked_at: bool,
    found: &mut Findings,
) {
    let Some((library, name)) = path.split_once('.') else {
        return;
    };
    if model::absent(path).is_some() {
        let reported = model::absent(library).is_some();
        if !is_looked_at && !reported {
            names::report_absent(module, path, id, found);
        }
        return;
    }
    if library == "_G" || !model::is_library(library) || model::find(path).is_some() {
        return;
    }
    let meant = names::close(name, model::members(library));
    if meant.is_none() && (is_looked_at || module.around.unknown) {
        return;
    }
    let span = module.facts.tree.span(id);
    found.add(
        "unknown-field",
        span,
        format!("`{library}` has no `{name}`"),
    );
    found.help(meant.map(|meant| format!("did you mean `{}.{meant}`?", module.quote(object))));
}

/// Whether a name is one that the server has not, which is reported then.
fn is_absent(module: &Module<'_, '_>, path: &str, id: ExpressionId, found: &mut Findings) -> bool {
    let is_absent = model::absent(path).is_some();
    if is_absent {
        names::report_absent(module, path, id, found);
    }
    is_absent
}

/// `object:name(…)`
fn method(
    module: &Module<'_, '_>,
    id: ExpressionId,
    object: ExpressionId,
    name: Name<'_>,
    written: &BTreeSet<String>,
    found: &mut Findings,
) {
    let facts = &module.facts;
    let kinds = facts.kinds(object);
    let span = name.span;
    if kinds == Kinds::AEROSPIKE {
        let path = format!("aerospike:{}", name.text);
        if model::find(&path).is_none() && !is_absent(module, &path, id, found) {
            found.add(
                "unknown-field",
                span,
                format!("`aerospike` has no method `{}`", name.text),
            );
            let meant = names::close(name.text, model::members("aerospike"));
            found.help(meant.map(|meant| format!("did you mean `aerospike:{meant}`?")));
        }
        return;
    }
    if kinds == Kinds::TEXT {
        let path = format!("string.{}", name.text);
        let is_known = model::find(&path).is_some() || written.contains(&path);
        if !is_known && !is_absent(module, &path, id, found) {
            found.add(
                "unknown-field",
                span,
                format!("strings have no method `{}`", name.text),
            );
            let meant = names::close(name.text, model::members("string"));
            found.help(meant.map(|meant| format!("did you mean `{meant}`?")));
        }
        return;
    }
    let libraries = [
        (Kinds::RECORD, "record"),
        (Kinds::LIST, "list"),
        (Kinds::MAP, "map"),
        (Kinds::BYTES, "bytes"),
    ];
    for (kind, library) in libraries {
        if kinds != kind {
            continue;
        }
        let what = kind.describe();
        found.add("unknown-field", span, format!("{what} has no methods"));
        if model::signature(&format!("{library}.{}", name.text)).is_some() {
            let object = module.quote(object);
            found.help(format!("write `{library}.{}({object}, …)`", name.text));
            if let Some(edit) = as_function(module, id, library) {
                found.fix(vec![edit]);
            }
        }
    }
}

/// `x:name(` as `library.name(x`; none if the call is not written with parentheses, or the object is more than a name.
fn as_function(module: &Module<'_, '_>, id: ExpressionId, library: &str) -> Option<(Span, String)> {
    let Shape::Method {
        object,
        name,
        arguments,
        ..
    } = module.facts.tree.shape(id)
    else {
        return None;
    };
    let Shape::Name(variable) = module.facts.tree.shape(*object) else {
        return None;
    };
    let after = module.source.get(name.span.end..)?;
    if !after.starts_with(b"(") {
        return None;
    }
    let comma = if arguments.is_empty() { "" } else { ", " };
    let span = Span {
        start: module.facts.tree.span(*object).start,
        end: name.span.end + 1,
    };
    Some((span, format!("{library}.{}({variable}{comma}", name.text)))
}

/// Tables of the main chunk of which all fields are known: locals that are given one table, whose fields are set by constant
/// names only, and that go nowhere but out of the module as its result.
struct OwnTables<'t> {
    fields: BTreeMap<LocalId, BTreeSet<&'t [u8]>>,
    /// Where fields are read, and of which table.
    reads: Vec<(ExpressionId, LocalId, &'t [u8])>,
}

fn tables_of<'t>(facts: &'t Facts<'t, '_>) -> OwnTables<'t> {
    let targets: BTreeSet<_> = facts
        .scopes
        .field_writes
        .iter()
        .map(|(target, _)| *target)
        .collect();
    let mut tables = OwnTables {
        fields: BTreeMap::new(),
        reads: Vec::new(),
    };
    for (id, local) in facts.scopes.all_locals() {
        if let [Value::Expression(value)] = local.values.as_slice()
            && let Shape::Table(fields) = facts.tree.shape(*value)
            && local.function == MAIN
        {
            let keys = fields.iter().map(|field| facts.tree.text(field.key?));
            if let Some(keys) = keys.collect::<Option<BTreeSet<_>>>() {
                tables.fields.insert(id, keys);
            }
        }
    }
    if tables.fields.is_empty() {
        return tables;
    }
    let mut known_uses: BTreeSet<ExpressionId> = BTreeSet::new();
    for (id, expression) in facts.tree.all() {
        let (object, key) = match &expression.shape {
            Shape::Index { object, key } => (*object, facts.tree.text(*key)),
            Shape::Method { object, name, .. } => (*object, Some(name.text.as_bytes())),
            _ => continue,
        };
        let Some(local) = facts.scopes.local_of(object) else {
            continue;
        };
        let (Some(keys), Some(key)) = (tables.fields.get_mut(&local), key) else {
            continue;
        };
        known_uses.insert(object);
        if targets.contains(&id) {
            keys.insert(key);
        } else {
            tables.reads.push((id, local, key));
        }
    }
    // A table that goes elsewhere may get fields there; one that is only returned gets none before its functions run.
    let returned = returned(facts);
    tables.fields.retain(|id, keys| {
        let local = facts.scopes.local(*id);
        !keys.is_empty()
            && local.is_some_and(|local| {
                let mut uses = local.reads.iter();
                uses.all(|read| known_uses.contains(read) || returned.contains(read))
            })
    });
    tables
}

/// The fields of the table that a module returns, if all are known.
pub(crate) fn exports(facts: &Facts<'_, '_>) -> Option<BTreeSet<String>> {
    let tables = tables_of(facts);
    let returned = returned(facts);
    let [only] = returned.iter().copied().collect::<Vec<_>>()[..] else {
        return None;
    };
    let fields = tables.fields.get(&facts.scopes.local_of(only)?)?;
    let fields = fields
        .iter()
        .map(|field| String::from_utf8_lossy(field).into_owned());
    Some(fields.collect())
}

/// Fields that are called and that nobody sets: of the module's own tables, and of what modules return that it requires.
fn own_tables(module: &Module<'_, '_>, found: &mut Findings) {
    let facts = &module.facts;
    let tables = tables_of(facts);
    for (id, local, key) in &tables.reads {
        let Some(keys) = tables.fields.get(local) else {
            continue;
        };
        if keys.contains(key) || !is_called(module, *id) {
            continue;
        }
        let name = facts
            .scopes
            .local(*local)
            .map_or("", |local| local.name.text);
        let shown = String::from_utf8_lossy(key);
        found.add(
            "unknown-field",
            facts.tree.span(*id),
            format!("nothing sets `{name}.{shown}`"),
        );
        let names = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        found.help(
            names::close(&shown, names).map(|meant| format!("did you mean `{name}.{meant}`?")),
        );
    }
    if module.around.exports.is_empty() {
        return;
    }
    // What this module adds to another is there as well.
    let added: BTreeSet<(String, &[u8])> = facts
        .scopes
        .field_writes
        .iter()
        .filter_map(|(target, _)| match facts.tree.shape(*target) {
            Shape::Index { object, key } => {
                super::requires::behind(facts, *object).zip(facts.tree.text(*key))
            }
            _ => None,
        })
        .collect();
    for (id, expression) in facts.tree.all() {
        let (object, key) = match &expression.shape {
            Shape::Index { object, key } => (*object, facts.tree.text(*key)),
            Shape::Method { object, name, .. } => (*object, Some(name.text.as_bytes())),
            _ => continue,
        };
        let Some(required) = super::requires::behind(facts, object) else {
            continue;
        };
        let Some((exports, key)) = module.around.exports.get(&required).zip(key) else {
            continue;
        };
        let shown = String::from_utf8_lossy(key);
        let is_added = added.contains(&(required.clone(), key));
        if is_added || exports.contains(shown.as_ref()) || !is_called(module, id) {
            continue;
        }
        let text = format!("the module `{required}` has no `{shown}`");
        found.add("unknown-field", facts.tree.span(id), text);
        let meant = names::close(&shown, exports.iter().map(String::as_str));
        found.help(meant.map(|meant| format!("did you mean `{}.{meant}`?", module.quote(object))));
    }
}

fn is_called(module: &Module<'_, '_>, id: ExpressionId) -> bool {
    matches!(module.facts.tree.shape(id), Shape::Method { .. }) || module.facts.is_callee(id)
}

/// What the main chunk returns.
fn returned(facts: &Facts<'_, '_>) -> BTreeSet<ExpressionId> {
    let Some(main) = facts.tree.function(MAIN) else {
        return BTreeSet::new();
    };
    let last = main.body.statements.last().map(|last| &last.action);
    match last {
        Some(crate::syntax::tree::Action::Return(values)) => values.iter().copied().collect(),
        _ => BTreeSet::new(),
    }
}

/// Whether a path leads to something that scripts find.
pub(super) fn is_there(path: &str) -> bool {
    matches!(
        model::find(path),
        Some(Entry::Function(_) | Entry::Callable(_))
    )
}
