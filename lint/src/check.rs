//! Modules in, report out.

use std::collections::{BTreeMap, BTreeSet};

use protocol::bounds::Within as _;

use crate::allow;
use crate::compile::Compiler;
use crate::finding::{Findings, Level};
use crate::infer::Facts;
use crate::project::{self, Summary};
use crate::report::{Checked, Report};
use crate::rules::{self, Module, table};
use crate::scope::Scopes;
use crate::syntax::tree::{Span, Tree};
use crate::syntax::{self, Why};

/// Most bytes of a module that servers take.
const LARGEST: usize = 1_048_575;

/// Most findings of one file that are reported.
const MOST_FINDINGS: usize = 1_000;

/// A module to be checked.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// Its file, as it is to be shown; the last part is the name under which it is registered.
    pub file: String,
    /// Its text.
    pub text: &'a [u8],
    /// It is only here for what it gives to others: what is found in it is not reported.
    pub quiet: bool,
}

/// How to check.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Levels of rules that are not as in the table, by id.
    pub levels: BTreeMap<String, Level>,
    /// There are no other modules than those to be checked and [`Self::known_modules`].
    pub complete: bool,
    /// Modules that are there as well, by the names that `require` takes.
    pub known_modules: BTreeSet<String>,
}

impl Settings {
    fn level(&self, rule: &str) -> Level {
        let set = self.levels.get(rule).copied();
        set.unwrap_or_else(|| table::rule(rule).map_or(Level::Error, |rule| rule.level))
    }
}

/// A module that could be read.
struct Read<'s> {
    tree: Tree<'s>,
    scopes: Scopes<'s>,
}

/// Checks modules that belong together.
#[must_use]
pub fn check(sources: &[Source<'_>], settings: &Settings) -> Report {
    let compiler = Compiler::new();
    let mut read = Vec::with_capacity(sources.len());
    let mut summaries = Vec::with_capacity(sources.len());
    let mut found: Vec<Findings> = Vec::with_capacity(sources.len());
    for source in sources {
        let mut findings = Findings::default();
        file_name(source, &mut findings);
        let module = self::read(source, &compiler, &mut findings);
        let name = project::module_name(&source.file).to_owned();
        summaries.push(match &module {
            Some(module) => Summary::of(name, &Facts::new(&module.tree, &module.scopes)),
            None => Summary::unknown(name),
        });
        read.push(module);
        found.push(findings);
    }
    let around = project::around(&summaries, settings.complete, &settings.known_modules);
    let cycles = project::cycles(&summaries);
    let mut report = Report::default();
    for (place, source) in sources.iter().enumerate() {
        if source.quiet {
            continue;
        }
        let mut findings = found.get_mut(place).map(std::mem::take).unwrap_or_default();
        if let Some((Some(module), around)) = read.get(place).zip(around.get(place)) {
            let facts = Facts::new(&module.tree, &module.scopes);
            let looked = Module::new(source.text, facts, around);
            rules::look(&looked, &mut findings);
            for (span, text) in cycles.get(place).into_iter().flatten() {
                findings.add("require-cycle", *span, text.clone());
            }
            allow::apply(source.text, &module.tree, &mut findings);
        }
        report.files.push(finish(source, findings, settings));
    }
    report
}

/// Checks one module, as it is when it is about to be registered: other modules may be there, nobody knows which.
#[must_use]
pub fn check_module(file: &str, text: &[u8]) -> Report {
    let source = Source {
        file: file.to_owned(),
        text,
        quiet: false,
    };
    check(&[source], &Settings::default())
}

/// Levels, order, bounds.
fn finish(source: &Source<'_>, findings: Findings, settings: &Settings) -> Checked {
    let mut all = findings.all;
    for finding in &mut all {
        debug_assert!(table::rule(finding.rule).is_some(), "{}", finding.rule);
        finding.level = settings.level(finding.rule);
    }
    all.retain(|finding| finding.level != Level::Off);
    all.sort_by(|a, b| (a.span, a.rule).cmp(&(b.span, b.rule)));
    all.dedup();
    // What is wrong with a value that is wrong already need not be said.
    let errors: Vec<Span> = all
        .iter()
        .filter(|one| one.level == Level::Error)
        .map(|one| one.span)
        .collect();
    all.retain(|finding| {
        let from = errors.partition_point(|span| span.start < finding.span.start);
        let within = errors
            .get(from)
            .is_some_and(|span| finding.span.holds(*span));
        finding.rule != "unsendable-result" || !within
    });
    let left_out = all.len().saturating_sub(MOST_FINDINGS);
    all.truncate(MOST_FINDINGS);
    Checked::new(source.file.clone(), source.text, all, left_out)
}

/// Reads a module; none if it cannot be read, which is a finding then.
fn read<'s>(source: &Source<'s>, compiler: &Compiler, found: &mut Findings) -> Option<Read<'s>> {
    let start = Span { start: 0, end: 0 };
    if source.text.len() > LARGEST {
        let text = format!("the module is larger than {LARGEST} bytes");
        found.add("too-large", start, text);
        return None;
    }
    let compiled = compiler.compile(source.text);
    let parsed = syntax::parse(source.text);
    match (compiled, parsed) {
        (Ok(()), Ok(tree)) => {
            let scopes = Scopes::of(&tree);
            Some(Read { tree, scopes })
        }
        (Ok(()), Err(refusal)) => {
            let text = match refusal.why {
                Why::Deep => "this nests deeper than can be checked",
                _ => "the server takes this, but it cannot be checked",
            };
            found.add("too-deep", refusal.span, text);
            None
        }
        (Err(failure), parsed) => {
            let line = line_span(source.text, failure.line);
            // The parser's own place is more exact, if it is the same.
            let span = match &parsed {
                Err(refusal)
                    if line.start <= refusal.span.start && refusal.span.start <= line.end =>
                {
                    refusal.span
                }
                _ => line,
            };
            found.add("syntax", span, failure.message.clone());
            found.help(advice(source.text, span));
            None
        }
    }
}

/// What people write who come from other languages.
fn advice(source: &[u8], span: Span) -> Option<String> {
    let before = source.get(..span.start)?;
    let at = source.within(span.start..);
    let text = if at.starts_with(b"!") {
        "not equal is written `~=`"
    } else if at.starts_with(b"=") && before.ends_with(b"+")
        || at.starts_with(b"+") && before.ends_with(b"+")
    {
        "write `x = x + 1`"
    } else if source.starts_with(b"#") {
        "the server takes no `#!` line"
    } else if source.starts_with(b"\xef\xbb\xbf") {
        "the file begins with a byte order mark, which the server does not take"
    } else if after_return(before) {
        "`return` ends its block: nothing may stand after it but `end`"
    } else {
        return None;
    };
    Some(text.to_owned())
}

/// Whether the last statement that begins a line before here is a `return`.
fn after_return(before: &[u8]) -> bool {
    let lines = before.rsplit(|byte| *byte == b'\n').take(20);
    let mut lines = lines
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    lines.next().is_some_and(|line| line.starts_with(b"return"))
}

/// The content of a line, from 1; the file's beginning for 0.
fn line_span(source: &[u8], line: u32) -> Span {
    let mut start = 0;
    for _ in 1..line {
        let rest = source.within(start..);
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => start += length + 1,
            None => break,
        }
    }
    let rest = source.within(start..);
    let length = rest
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(rest.len());
    let indent = rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count()
        .min(length);
    Span {
        start: start + indent,
        end: start + length,
    }
}

fn file_name(source: &Source<'_>, found: &mut Findings) {
    const LONGEST: usize = 127;
    let name = source.file.rsplit('/').next().unwrap_or(&source.file);
    let start = Span { start: 0, end: 0 };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._$-".contains(&byte);
    let stem = name.strip_suffix(".lua");
    let wrong = if name.len() > LONGEST {
        format!(
            "the file name has {} bytes, {LONGEST} is the most",
            name.len()
        )
    } else if !name.bytes().all(known) {
        "servers refuse file names with other than letters, digits and `._$-`".to_owned()
    } else {
        match stem {
            None => "only functions of files `*.lua` can be called".to_owned(),
            Some("") => "the file has no name before `.lua`".to_owned(),
            Some(stem) if stem.contains('.') => {
                "a dot in the module's name stands for a directory: its functions are never found"
                    .to_owned()
            }
            Some(_) => return,
        }
    };
    found.add("file-name", start, wrong);
}
