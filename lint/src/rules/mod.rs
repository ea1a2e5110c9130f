//! The rules: what each looks for.

mod calls;
mod fields;
mod formats;
mod load;
mod locals;
mod names;
mod operands;
mod records;
mod requires;
mod streams;
pub(crate) mod table;
mod updates;
mod values;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use protocol::bounds::Within as _;

use crate::finding::Findings;
use crate::infer::Facts;
use crate::syntax::tree::{ExpressionId, FunctionId, MAIN, Shape, Span};

pub(crate) use fields::{exports, written_paths};
pub(crate) use requires::{Required, is_library, required};

/// A module that is looked at.
pub(crate) struct Module<'t, 's> {
    /// Its text.
    pub(crate) source: &'s [u8],
    /// What is known of it.
    pub(crate) facts: Facts<'t, 's>,
    /// What other modules give it.
    pub(crate) around: &'t Around,
    /// The global functions that are declared in the main chunk, for clients to call.
    entries: BTreeMap<FunctionId, &'s str>,
    /// Where its lines begin.
    lines: Vec<usize>,
    guesses: Cell<u32>,
}

/// How often it is guessed what was meant by a name, in one module: guessing looks at all names.
const MOST_GUESSES: u32 = 200;

/// What other modules give to one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// Globals that the modules define which it requires.
    pub(crate) globals: BTreeSet<String>,
    /// Fields of libraries that they set, as paths.
    pub(crate) fields: BTreeSet<String>,
    /// The fields of the tables that they return, where all are known, by module.
    pub(crate) exports: BTreeMap<String, BTreeSet<String>>,
    /// It requires something that is not here to be looked at.
    pub(crate) unknown: bool,
    /// The modules that there are; none if there may be others.
    pub(crate) modules: Option<BTreeSet<String>>,
}

/// Looks for everything.
pub(crate) fn look(module: &Module<'_, '_>, found: &mut Findings) {
    names::look(module, found);
    fields::look(module, found);
    locals::look(module, found);
    calls::look(module, found);
    formats::look(module, found);
    operands::look(module, found);
    values::look(module, found);
    records::look(module, found);
    updates::look(module, found);
    streams::look(module, found);
    load::look(module, found);
    requires::look(module, found);
}

impl<'t, 's> Module<'t, 's> {
    /// Ready to be looked at.
    pub(crate) fn new(source: &'s [u8], facts: Facts<'t, 's>, around: &'t Around) -> Self {
        let mut entries = BTreeMap::new();
        for (name, global) in &facts.scopes.globals {
            let outermost = global
                .functions()
                .filter(|(place, _)| place.function == MAIN);
            entries.extend(outermost.map(|(_, function)| (function, *name)));
        }
        let ends = source
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'\n');
        let lines = ends.map(|(at, _)| at).collect();
        Self {
            source,
            facts,
            around,
            entries,
            lines,
            guesses: Cell::new(0),
        }
    }

    /// Whether another guess is within bounds.
    pub(crate) fn may_guess(&self) -> bool {
        self.guesses.set(self.guesses.get().saturating_add(1));
        self.guesses.get() <= MOST_GUESSES
    }

    /// The global functions that clients may call: declared in the main chunk.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'s str, FunctionId)> {
        self.entries
            .iter()
            .map(|(function, name)| (*name, *function))
    }

    /// The name by which clients call a function, if they may.
    pub(crate) fn entry(&self, function: FunctionId) -> Option<&'s str> {
        self.entries.get(&function).copied()
    }

    /// Whether clients may call a function.
    pub(crate) fn is_entry(&self, function: FunctionId) -> bool {
        self.entries.contains_key(&function)
    }
    /// The text of a place, for messages; cut where it is long.
    pub(crate) fn text(&self, span: Span) -> String {
        const MOST: usize = 40;
        let end = span.end.min(span.start + 4 * MOST);
        let text = self.source.within(span.start..end);
        let text = String::from_utf8_lossy(text);
        let mut short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if short.chars().count() > MOST {
            short = short.chars().take(MOST - 1).collect();
            short.push('…');
        }
        short
    }

    /// The text of an expression, for messages.
    pub(crate) fn quote(&self, id: ExpressionId) -> String {
        self.text(self.facts.tree.span(id))
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|end| *end < at) + 1
    }

    /// Whether the module itself uses the global of this name: it is a helper, or an operator of a stream.
    pub(crate) fn is_used(&self, global: &str) -> bool {
        let global = self.facts.scopes.globals.get(global);
        global.is_some_and(|global| !global.reads.is_empty())
    }

    /// Calls of the method `aerospike:name`, with what is passed.
    pub(crate) fn is_method(&self, call: ExpressionId, method: &str) -> Option<&[ExpressionId]> {
        match self.facts.tree.shape(call) {
            Shape::Method {
                object,
                name,
                arguments,
                ..
            } if name.text == method
                && self.facts.path(*object).as_deref() == Some("aerospike") =>
            {
                Some(arguments)
            }
            _ => None,
        }
    }
}
