//! Comments that let findings pass: `-- asudf: allow ID REASON`.

use protocol::bounds::Within as _;

use crate::finding::{Finding, Findings, Level};
use crate::rules::table;
use crate::syntax::tree::{Span, Tree};

/// What such a comment begins with, after the dashes.
const MARK: &str = "asudf:";

/// A comment that lets something pass.
#[derive(Debug)]
struct Allow {
    rule: &'static str,
    span: Span,
    /// The line for which it holds, from 0.
    line: usize,
    is_used: bool,
}

/// Takes away what comments let pass; adds what is wrong with the comments.
pub(crate) fn apply(source: &[u8], tree: &Tree<'_>, found: &mut Findings) {
    let ends: Vec<usize> = source
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at)
        .collect();
    let line_of = |at: usize| ends.partition_point(|end| *end < at);
    let code = code_lines(source);
    let mut allows = Vec::new();
    for comment in &tree.comments {
        let text = source.within(comment.span.start..comment.span.end);
        let text = String::from_utf8_lossy(text);
        let Some(words) = text.trim_start_matches('-').trim_start().strip_prefix(MARK) else {
            continue;
        };
        match read(words) {
            Ok(rule) => {
                let line = line_of(comment.span.start);
                let line = match comment.alone {
                    true => code.get(line).copied().unwrap_or(line),
                    false => line,
                };
                allows.push(Allow {
                    rule,
                    span: comment.span,
                    line,
                    is_used: false,
                });
            }
            Err(why) => found.add("bad-allow", comment.span, why),
        }
    }
    allows.sort_by_key(|allow| (allow.line, allow.rule));
    let mut passes = |finding: &Finding| {
        let key = (line_of(finding.span.start), finding.rule);
        let from = allows.partition_point(|allow| (allow.line, allow.rule) < key);
        let mut passes = false;
        for allow in allows.iter_mut().skip(from) {
            if (allow.line, allow.rule) != key {
                break;
            }
            allow.is_used = true;
            passes = true;
        }
        passes
    };
    found.all.retain(|finding| !passes(finding));
    for allow in allows.iter().filter(|allow| !allow.is_used) {
        let text = format!("there is no `{}` here to let pass", allow.rule);
        found.add("unused-allow", allow.span, text);
    }
}

/// The rule that `allow ID REASON` names.
fn read(words: &str) -> Result<&'static str, String> {
    let mut words = words.split_whitespace();
    match words.next() {
        Some("allow") => {}
        _ => return Err("after `asudf:` there is `allow ID REASON`".to_owned()),
    }
    let Some(id) = words.next() else {
        return Err("it does not say what to let pass: `asudf: allow ID REASON`".to_owned());
    };
    let Some(rule) = table::rule(id) else {
        let known = table::rules().map(|rule| rule.id);
        let meant = runtime::context::likely(id, known);
        let meant = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
        return Err(format!("there is no rule `{id}`{meant}"));
    };
    if rule.level == Level::Off {
        return Err(format!("`{id}` is not looked for"));
    }
    match words.next() {
        Some(_) => Ok(rule.id),
        None => Err(format!("it does not say why: `asudf: allow {id} REASON`")),
    }
}

/// For each line the first one from there on that has something other than a comment.
fn code_lines(source: &[u8]) -> Vec<usize> {
    let lines: Vec<&[u8]> = source.split(|byte| *byte == b'\n').collect();
    let mut next = lines.len();
    let mut code = vec![next; lines.len() + 1];
    for (place, line) in lines.iter().enumerate().rev() {
        let text = line.trim_ascii_start();
        if !text.is_empty() && !text.starts_with(b"--") {
            next = place;
        }
        if let Some(slot) = code.get_mut(place) {
            *slot = next;
        }
    }
    code
}
