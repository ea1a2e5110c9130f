//! What modules have to do with each other: who requires whom, and what that gives.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::infer::Facts;
use crate::rules::{self, Around};
use crate::syntax::tree::Span;

/// What other modules have to know of one.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    /// The name that `require` takes.
    pub(crate) name: String,
    /// The globals that it defines.
    globals: BTreeSet<String>,
    /// Fields of libraries that it sets, as paths.
    fields: BTreeSet<String>,
    /// Fields of the table that it returns, if all are known.
    exports: Option<BTreeSet<String>>,
    required: Vec<rules::Required>,
    /// It could not be read.
    is_unknown: bool,
}

/// The name that `require` takes for a file.
pub(crate) fn module_name(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".lua").unwrap_or(name)
}

impl Summary {
    pub(crate) fn of(name: String, facts: &Facts<'_, '_>) -> Self {
        let globals = facts.scopes.globals.iter();
        let written = globals.filter(|(_, global)| global.is_written());
        Self {
            name,
            globals: written.map(|(name, _)| (*name).to_owned()).collect(),
            fields: rules::written_paths(facts),
            exports: rules::exports(facts),
            required: rules::required(facts),
            is_unknown: false,
        }
    }

    pub(crate) fn unknown(name: String) -> Self {
        Self {
            name,
            globals: BTreeSet::new(),
            fields: BTreeSet::new(),
            exports: None,
            required: Vec::new(),
            is_unknown: true,
        }
    }
}

fn places(summaries: &[Summary]) -> HashMap<&str, usize> {
    let names = summaries.iter().enumerate();
    names
        .map(|(place, summary)| (summary.name.as_str(), place))
        .collect()
}

/// What each module gets from those that it requires. `complete`: there are no others than these and the known ones.
pub(crate) fn around(
    summaries: &[Summary],
    complete: bool,
    known: &BTreeSet<String>,
) -> Vec<Around> {
    let places = places(summaries);
    let modules = complete.then(|| {
        let here = summaries.iter().map(|summary| summary.name.clone());
        here.chain(known.iter().cloned()).collect::<BTreeSet<_>>()
    });
    let mut all = Vec::with_capacity(summaries.len());
    for (place, summary) in summaries.iter().enumerate() {
        let mut around = Around {
            modules: modules.clone().filter(|_| !summary.required.is_empty()),
            ..Around::default()
        };
        let mut seen = BTreeSet::from([place]);
        let mut open = VecDeque::from([place]);
        while let Some(at) = open.pop_front() {
            let Some(summary) = summaries.get(at) else {
                continue;
            };
            around.unknown |= summary.is_unknown;
            if at != place {
                around.globals.extend(summary.globals.iter().cloned());
                around.fields.extend(summary.fields.iter().cloned());
                if let Some(exports) = &summary.exports {
                    around.exports.insert(summary.name.clone(), exports.clone());
                }
            }
            for required in &summary.required {
                match places.get(required.name.as_str()) {
                    Some(next) if seen.insert(*next) => open.push_back(*next),
                    Some(_) => {}
                    None if rules::is_library(&required.name) => {}
                    None => {
                        around.unknown |= required.for_globals;
                        // In the manner of Lua 5.1, a module may have set a global of its own name.
                        around.globals.insert(required.name.clone());
                    }
                }
            }
        }
        all.push(around);
    }
    all
}

/// Where each module requires one that requires it in turn, while they are loaded; and how.
pub(crate) fn cycles(summaries: &[Summary]) -> Vec<Vec<(Span, String)>> {
    let places = places(summaries);
    let required = |at: usize| {
        let summary = summaries.get(at);
        let all = summary.into_iter().flat_map(|summary| &summary.required);
        all.filter(|required| required.at_load)
            .filter_map(|required| Some((*places.get(required.name.as_str())?, required.span)))
    };
    let name = |at: usize| {
        summaries
            .get(at)
            .map_or("", |summary| summary.name.as_str())
    };
    let mut all = Vec::with_capacity(summaries.len());
    for place in 0..summaries.len() {
        let mut found = Vec::new();
        for (first, span) in required(place) {
            let mut from: BTreeMap<usize, usize> = BTreeMap::from([(first, place)]);
            let mut open = VecDeque::from([first]);
            while let Some(at) = open.pop_front() {
                if at == place {
                    break;
                }
                for (next, _) in required(at) {
                    if let std::collections::btree_map::Entry::Vacant(entry) = from.entry(next) {
                        entry.insert(at);
                        open.push_back(next);
                    }
                }
            }
            if first != place && !from.contains_key(&place) {
                continue;
            }
            let mut way = vec![name(place)];
            let mut at = place;
            while let Some(before) = from.get(&at).filter(|before| **before != place) {
                way.push(name(*before));
                at = *before;
            }
            way.push(name(place));
            way.reverse();
            found.push((
                span,
                format!("these modules require each other: {}", way.join(" → ")),
            ));
        }
        all.push(found);
    }
    all
}
