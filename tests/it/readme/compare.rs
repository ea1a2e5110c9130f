//! Compares what programs print with what a document says, but for what varies.

use regex::Regex;

/// What varies from run to run, and what stands for it.
const VARIES: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( UTC)?", "TIME"),
    (r"[A-Z][a-z]{2} \d\d \d{4} \d\d:\d\d:\d\d", "TIME"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"\(\d+\.\d+ secs\)", "(SECONDS)"),
    (r#""seconds": \d+\.\d+"#, r#""seconds": SECONDS"#),
    (r"\btime=\d+", "time=N"),
    (r"\b[0-9A-F]{10,16}\b", "ID"),
    (r"\| *\d+\|TIME", "|N|TIME"),
    // Widths of columns follow the widest text.
    (r"~+", "~"),
    (r"-{3,}", "---"),
    (r" *\| *", "|"),
    (r"[ \t]+", " "),
];

/// Both sides as they are compared.
fn normal(text: &str) -> Vec<String> {
    let mut text = text.to_owned();
    for (pattern, name) in VARIES {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *name)
            .into_owned();
    }
    text.lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Whether a program has printed what the document says. `…` stands for anything: alone in a line for any lines, in a line
/// for any part of it.
pub(super) fn agree(says: &str, printed: &str) -> bool {
    lines_agree(&normal(says), &normal(printed))
}

fn lines_agree(says: &[String], printed: &[String]) -> bool {
    match (says.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == "…" => {
            (0..=printed.len()).any(|skipped| lines_agree(rest, &printed[skipped..]))
        }
        (Some((first, says)), Some((found, printed))) => {
            line_agrees(first, found) && lines_agree(says, printed)
        }
        _ => false,
    }
}

fn line_agrees(says: &str, printed: &str) -> bool {
    let parts: Vec<String> = says.split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", parts.join(".*")))
        .unwrap()
        .is_match(printed)
}

#[test]
fn what_varies_is_passed_over_and_nothing_else() {
    for (says, printed, agrees) in [
        ("a\n…\nd\n", "a\nb\nc\nd\n", true),
        ("a\n…\nd\n", "a\nb\nc\n", false),
        ("n=1 … z\n", "n=1 x y z\n", true),
        ("~~a~~\nx | 2\n", "~a~~~~\n  x  |2\n", true),
        ("x|2\n", "x|3\n", false),
        (
            "1 row in set (0.002 secs)\n",
            "1 row in set (0.123 secs)\n",
            true,
        ),
        ("[1, 2]\n", "[1, 2]\n[3]\n", false),
    ] {
        assert_eq!(agree(says, printed), agrees, "{says:?} {printed:?}");
    }
}
