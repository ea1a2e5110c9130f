//! The rules through the public surface.

use crate::{Report, Settings, Source, all_rules, check};

/// The files of an example: parted by lines `-- file: NAME`, or one, `example.lua`.
fn files(example: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in example.lines() {
        if let Some(name) = line.strip_prefix("-- file: ") {
            files.push((name.to_owned(), String::new()));
            continue;
        }
        if files.is_empty() {
            files.push(("example.lua".to_owned(), String::new()));
        }
        if let Some((_, text)) = files.last_mut() {
            *text += line;
            text.push('\n');
        }
    }
    files
}

fn checked(example: &str) -> Report {
    let files = files(example);
    let sources: Vec<Source<'_>> = files
        .iter()
        .map(|(name, text)| Source {
            file: name.clone(),
            text: text.as_bytes(),
            quiet: false,
        })
        .collect();
    let settings = Settings {
        complete: sources.len() > 1,
        ..Settings::default()
    };
    check(&sources, &settings)
}

fn found(example: &str) -> Vec<&'static str> {
    let report = checked(example);
    let findings = report.files.iter().flat_map(|file| &file.findings);
    findings.map(|finding| finding.rule).collect()
}

#[test]
fn each_rule_finds_what_its_examples_show_and_nothing_in_the_others() {
    let mut wrong = Vec::new();
    for rule in all_rules() {
        for example in rule.fires {
            if !found(example).contains(&rule.id) {
                wrong.push(format!(
                    "{} is not found in:\n{example}\n{}",
                    rule.id,
                    checked(example).pretty(crate::Style::default())
                ));
            }
        }
        for example in rule.quiet {
            // What shows that a comment lets something pass has that to let pass.
            let found = found(example);
            if !found.is_empty() {
                wrong.push(format!("{}: {found:?} in:\n{example}", rule.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
