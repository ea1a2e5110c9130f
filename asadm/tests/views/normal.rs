//! Normalising and comparing, in the way in which the cases were recorded.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

use crate::case::Case;
use crate::run::Output;

/// What differs, for a person; `None` if nothing.
pub(crate) fn difference(case: &Case, output: &Output) -> Option<String> {
    if case.rc != output.rc {
        return Some(format!(
            "rc is {} instead of {}\n{}",
            output.rc, case.rc, output.stdout
        ));
    }
    let wanted: Vec<&str> = case
        .stderr
        .lines()
        .filter(|line| line.starts_with("ERROR: ") || line.starts_with("WARNING: "))
        .collect();
    if wanted != output.messages {
        return Some(format!("says {:?} instead of {wanted:?}", output.messages));
    }
    let stamps = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?").expect("a pattern");
    let mut found = stamps.replace_all(&output.stdout, "<ts>").into_owned();
    if found.contains('\u{1b}') {
        found = canonical_styles(&found);
    }
    let (found, wanted) = (
        shape(&found, &case.compare),
        shape(&case.stdout, &case.compare),
    );
    (found != wanted).then(|| format!("-- found\n{found}\n-- wanted\n{wanted}"))
}

fn shape(text: &str, compare: &str) -> String {
    match compare {
        "exact" => text.to_owned(),
        "sorted-lines" => sorted_lines(text),
        "unordered-json" => sorted_json(text),
        "sheet" => {
            let lines: Vec<&str> = text.split('\n').collect();
            let plain = codes().replace_all(text, "").into_owned();
            let end = plain
                .split('\n')
                .collect::<Vec<_>>()
                .iter()
                .rposition(|line| line.starts_with("Number of rows:") || *line == "}");
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

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// JSON documents with the records of each group sorted.
fn sorted_json(text: &str) -> String {
    let documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let sorted = documents.map(|document| {
        let mut document = document.expect("JSON");
        for group in document["groups"].as_array_mut().expect("groups") {
            group["records"]
                .as_array_mut()
                .expect("records")
                .sort_by_key(ToString::to_string);
        }
        serde_json::to_string_pretty(&document).expect("JSON")
    });
    sorted.collect::<Vec<_>>().join("\n")
}

fn codes() -> Regex {
    Regex::new("\u{1b}\\[([0-9;]*)m").expect("a pattern")
}

/// Each change of style written in one way; blanks take the style of what stands before them.
fn canonical_styles(text: &str) -> String {
    let mut out = String::new();
    let mut active: BTreeSet<u32> = BTreeSet::new();
    let mut written: BTreeSet<u32> = BTreeSet::new();
    let mut position = 0;
    for found in codes().captures_iter(text) {
        let whole = found.get(0).expect("the match");
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
