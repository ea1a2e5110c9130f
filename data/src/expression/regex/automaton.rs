//! A pattern as an automaton whose states are made while texts are read.
//!
//! Where they are made all the time, states by the byte, the simulation of them all is quicker and takes over.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures, pikevm};
use regex_automata::util::pool::Pool;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, Look, Repetition};

use super::{Assertion, Node};

/// Most bytes that a compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 1 << 18;

/// How often all states are thrown away for want of room before it is looked at whether they are worth it.
const CLEARED_AT_LEAST: usize = 3;

/// Bytes that a state has to serve for on average to be worth it.
const BYTES_PER_STATE: usize = 10;

/// Where a thread keeps the states that it has made.
type Kept<T> = Pool<T, Box<dyn Fn() -> T + Send + Sync + UnwindSafe + RefUnwindSafe>>;

/// A compiled pattern without references.
pub(super) struct Automaton {
    lazy: DFA,
    states: Kept<Cache>,
    simulation: pikevm::PikeVM,
    threads: Kept<pikevm::Cache>,
}

impl fmt::Debug for Automaton {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Automaton").finish_non_exhaustive()
    }
}

impl Automaton {
    /// `None`: it takes more than [`MAX_COMPILED_BYTES`].
    pub(super) fn new(pattern: &Node) -> Option<Self> {
        let form = form(pattern);
        let config = NFA::config()
            .utf8(false)
            .which_captures(WhichCaptures::None)
            .nfa_size_limit(Some(MAX_COMPILED_BYTES));
        let nfa = thompson::Compiler::new()
            .configure(config)
            .build_from_hir(&form)
            .ok()?;
        // What every match begins with is looked for first, many bytes at once.
        let beginning =
            Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, &form).filter(Prefilter::is_fast);
        let config = DFA::config()
            .match_kind(MatchKind::LeftmostFirst)
            .specialize_start_states(beginning.is_some())
            .prefilter(beginning)
            .skip_cache_capacity_check(true)
            .minimum_cache_clear_count(Some(CLEARED_AT_LEAST))
            .minimum_bytes_per_state(Some(BYTES_PER_STATE));
        let lazy = DFA::builder()
            .configure(config)
            .build_from_nfa(nfa.clone())
            .ok()?;
        let simulation = pikevm::PikeVM::new_from_nfa(nfa).ok()?;
        let (for_states, for_threads) = (lazy.clone(), simulation.clone());
        Some(Self {
            lazy,
            states: Pool::new(Box::new(move || for_states.create_cache())),
            simulation,
            threads: Pool::new(Box::new(move || for_threads.create_cache())),
        })
    }

    /// Whether there is a match anywhere in the text.
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        let input = Input::new(text).earliest(true);
        match self.lazy.try_search_fwd(&mut self.states.get(), &input) {
            Ok(end) => end.is_some(),
            Err(_) => self.simulation.is_match(&mut self.threads.get(), input),
        }
    }
}

/// A pattern in the form that the compiler of automata reads.
fn form(node: &Node) -> Hir {
    match node {
        // Patterns with references are matched another way.
        Node::Empty | Node::Reference(_) => Hir::empty(),
        Node::Set(set) => {
            let ranges = set.ranges().into_iter();
            let ranges = ranges.map(|(first, last)| ClassBytesRange::new(first, last));
            Hir::class(Class::Bytes(ClassBytes::new(ranges)))
        }
        Node::Assert(assertion) => Hir::look(match assertion {
            Assertion::LineStart => Look::StartLF,
            Assertion::LineEnd => Look::EndLF,
            Assertion::Start => Look::Start,
            Assertion::End => Look::End,
            Assertion::WordStart => Look::WordStartAscii,
            Assertion::WordEnd => Look::WordEndAscii,
            Assertion::WordEdge => Look::WordAscii,
            Assertion::NotWordEdge => Look::WordAsciiNegate,
        }),
        Node::Group(_, inner) => form(inner),
        Node::Sequence(nodes) => Hir::concat(nodes.iter().map(form).collect()),
        Node::Either(nodes) => Hir::alternation(nodes.iter().map(form).collect()),
        Node::Repeat(inner, least, most) => Hir::repetition(Repetition {
            min: *least,
            max: *most,
            greedy: true,
            sub: Box::new(form(inner)),
        }),
    }
}
