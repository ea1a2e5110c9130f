//! Normalising and comparing, in the way in which the cases were recorded.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// Requests that change something: a tool has to send exactly these to exactly these nodes.
const EFFECTS: &[&str] = &[
    "udf-put:",
    "udf-remove:",
    "udf-clear-cache",
    "set-config:",
    "log-set:",
    "truncate:",
    "truncate-namespace:",
    "truncate-undo:",
    "truncate-namespace-undo:",
    "sindex-create:",
    "sindex-delete:",
    "recluster:",
    "quiesce:",
    "quiesce-undo:",
    "revive:",
    "roster-set:",
    "query-abort:",
    "query-abort-all:",
    "scan-abort:",
    "scan-abort-all:",
    "jobs:",
    "masking:",
];

pub(super) fn has_effect(request: &str) -> bool {
    EFFECTS.iter().any(|start| request.starts_with(start))
}

fn pattern(text: &'static str) -> Regex {
    Regex::new(text).unwrap()
}

static CODES: LazyLock<Regex> = LazyLock::new(|| pattern("\u{1b}\\[([0-9;]*)m"));

/// Takes out what differs from run to run.
pub(super) fn normalise(text: &str, compare: &str) -> String {
    static STAMPS: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?"));
    static CODE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(by typing (?:\x1b\[[0-9;]*m)*)[0-9a-fx]{1,6}((?:\x1b\[[0-9;]*m)*, or cancel)")
    });
    static SHELL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(Shell, version )[^\s\x1b]+"));
    static NODES: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^((?:Online|Offline): +)(.*)$"));
    static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(Version|Build) .*$"));

    let text = STAMPS
        .replace_all(text, "<ts>")
        .replace(['\u{1}', '\u{2}'], "");
    let text = CODE.replace_all(&text, "${1}<code>${2}");
    let text = SHELL.replace_all(&text, "${1}<version>");
    let text = NODES.replace_all(&text, |found: &Captures<'_>| {
        let mut nodes: Vec<&str> = found[2].split(", ").collect();
        nodes.sort_unstable();
        format!("{}{}", &found[1], nodes.join(", "))
    });
    let text = match compare {
        "version" => VERSION.replace_all(&text, |found: &Captures<'_>| {
            format!("{} <{}>", &found[1], found[1].to_lowercase())
        }),
        _ => text,
    };
    if text.contains("\u{1b}[") {
        canonical_styles(&text)
    } else {
        text.into_owned()
    }
}

/// The part of the output that counts.
pub(super) fn shape(text: &str, compare: &str) -> String {
    match compare {
        "none" => String::new(),
        "exact" | "version" => text.to_owned(),
        "blocks" => sorted_blocks(text),
        "sorted-lines" => sorted_lines(text),
        "first-line" => text.split('\n').next().unwrap_or_default().to_owned(),
        "unordered-json" => sorted_json(text),
        "sheet" => {
            let lines: Vec<&str> = text.split('\n').collect();
            let end = lines.iter().rposition(|line| {
                let line = CODES.replace_all(line, "");
                line.starts_with("Number of rows:") || line == "}"
            });
            let sheet = end.map_or_else(|| text.to_owned(), |end| lines[..=end].join("\n"));
            if sheet.starts_with('{') {
                sorted_json(&sheet)
            } else {
                sorted_lines(&sheet)
            }
        }
        other => panic!("unknown way to compare: {other}"),
    }
}

/// The words of a help text that are not there.
pub(super) fn missing_words<'w>(text: &str, words: &'w [String]) -> Vec<&'w str> {
    let text = CODES.replace_all(text, "");
    let inside = |character: Option<char>| {
        character.is_some_and(|character| character.is_alphanumeric() || "_-".contains(character))
    };
    let stands = |word: &str| {
        text.match_indices(word).any(|(at, _)| {
            !inside(text[..at].chars().next_back())
                && !inside(text[at + word.len()..].chars().next())
        })
    };
    words
        .iter()
        .map(String::as_str)
        .filter(|word| !stands(word))
        .collect()
}

/// The answers of the nodes in a fixed order, within the output of each command.
fn sorted_blocks(text: &str) -> String {
    static HEADING: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"^(\x1b\[[0-9;]*m)*\S+ \(\S+\) returned(\x1b\[[0-9;]*m)*:$"));
    let mut out: Vec<&str> = Vec::new();
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.split('\n') {
        if HEADING.is_match(line) {
            blocks.push(vec![line]);
        } else if line.starts_with("~~~ ") && !blocks.is_empty() {
            flush(&mut blocks, &mut out);
            out.push(line);
        } else if let Some(block) = blocks.last_mut() {
            block.push(line);
        } else {
            out.push(line);
        }
    }
    flush(&mut blocks, &mut out);
    out.join("\n")
}

/// The line that separates commands, or ends the text, belongs to no block.
fn flush<'t>(blocks: &mut Vec<Vec<&'t str>>, out: &mut Vec<&'t str>) {
    let end = blocks.last_mut().and_then(|block| {
        let is_blank = block.last().is_some_and(|line| line.is_empty());
        is_blank.then(|| block.pop()).flatten()
    });
    blocks.sort_unstable();
    out.extend(blocks.drain(..).flatten());
    out.extend(end);
}

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// JSON documents with the records of each group sorted.
fn sorted_json(text: &str) -> String {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let sorted = documents.map(|document| {
        let mut document = document.unwrap();
        for group in document["groups"].as_array_mut().unwrap() {
            let records = group["records"].as_array_mut().unwrap();
            records.sort_by_key(ToString::to_string);
        }
        serde_json::to_string_pretty(&document).unwrap()
    });
    sorted.collect::<Vec<_>>().join("\n")
}

/// Each change of style written in one way; blanks take the style of what stands before them.
fn canonical_styles(text: &str) -> String {
    let mut out = String::new();
    let mut active: BTreeSet<u32> = BTreeSet::new();
    let mut written: BTreeSet<u32> = BTreeSet::new();
    let mut position = 0;
    for found in CODES.captures_iter(text) {
        let whole = found.get(0).unwrap();
        append(
            &mut out,
            &text[position..whole.start()],
            &active,
            &mut written,
        );
        position = whole.end();
        for code in found[1].split(';').map(|code| code.parse().unwrap_or(0)) {
            match code {
                0 => active.clear(),
                30..=39 | 90..=97 => {
                    active.retain(|code| *code < 30);
                    active.insert(code);
                }
                22 => active.retain(|code| *code > 2),
                24 | 27 => active.retain(|other| *other != code - 20),
                _ => {
                    active.insert(code);
                }
            }
        }
    }
    append(&mut out, &text[position..], &active, &mut written);
    if !written.is_empty() {
        out += "\u{1b}[0m";
    }
    out
}

fn append(out: &mut String, text: &str, style: &BTreeSet<u32>, written: &mut BTreeSet<u32>) {
    for character in text.chars() {
        let shows_on_blanks = style
            .symmetric_difference(written)
            .any(|code| matches!(code, 4 | 7));
        if (!character.is_whitespace() || (character == ' ' && shows_on_blanks)) && style != written
        {
            let codes: Vec<String> = style.iter().map(|code| format!(";{code}")).collect();
            *out += &format!("\u{1b}[0{}m", codes.concat());
            written.clone_from(style);
        }
        out.push(character);
    }
}
