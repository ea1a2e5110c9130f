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

#[test]
fn comments_let_findings_pass_in_their_line_or_the_next() {
    for (example, rules) in [
        (
            "local x = 1 -- asudf: allow unused-local for later",
            &[][..],
        ),
        ("-- asudf: allow unused-local for later\nlocal x = 1", &[]),
        (
            "-- asudf: allow unused-local for later\n-- more\n\nlocal x = 1",
            &[],
        ),
        (
            "-- asudf: allow unused-local for later\nlocal x = 1\nlocal y = 2",
            &["unused-local"],
        ),
        (
            "local x = 1 -- asudf: allow unused-local",
            &["unused-local", "bad-allow"],
        ),
        (
            "local x = 1 -- asudf: allow bin-name no such thing",
            &["unused-local", "unused-allow"],
        ),
        (
            "local x = 1 -- asudf: permit unused-local x",
            &["unused-local", "bad-allow"],
        ),
    ] {
        assert_eq!(found(example), rules, "{example}");
    }
}

/// One file of any bytes.
fn bytes_checked(text: &[u8]) -> Report {
    let source = Source {
        file: "m.lua".to_owned(),
        text,
        quiet: false,
    };
    check(&[source], &Settings::default())
}

#[test]
fn hostile_files_end_in_findings() {
    let deep = 40_000;
    for (text, rule) in [
        (vec![b'x'; 1_100_000], "too-large"),
        (b"\xff\xfe\x00".to_vec(), "syntax"),
        (b"\x1bLua".to_vec(), "syntax"),
        (
            format!("return 1{}", "+1".repeat(deep)).into_bytes(),
            "too-deep",
        ),
        (
            format!("return {}", "(".repeat(deep)).into_bytes(),
            "syntax",
        ),
        ("do ".repeat(deep / 2).into_bytes(), "syntax"),
        (b"return '\xff' .. true".to_vec(), "wrong-operand"),
    ] {
        let report = bytes_checked(&text);
        let rules: Vec<_> = report.files[0]
            .findings
            .iter()
            .map(|finding| finding.rule)
            .collect();
        assert_eq!(
            rules,
            [rule],
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(20)])
        );
        // The text of a finding can be printed whatever the file holds.
        assert!(report.pretty(crate::Style::default()).contains(rule));
    }
}

#[test]
fn many_of_everything_is_checked() {
    let lines = |line: &str| {
        (0..4_000)
            .map(|n| line.replace('N', &n.to_string()))
            .collect::<String>()
    };
    for text in [
        lines("undefinedN(xN)\n"),
        lines("function fN(rec) rec.a = 1 aerospike:update(rec) end\n"),
        lines("g = g\n"),
        lines("function h() g = N end\n"),
        lines("do local x = N x = x end\n"),
        format!("local x = 1 {} return x", lines("do local x = x end\n")),
        format!("function f(p) {} end", lines("p(p)\n")),
        lines("-- asudf: allow unused-local x\n"),
        lines("list = list or list.a\n"),
    ] {
        let report = bytes_checked(text.as_bytes());
        assert!(report.files[0].findings.len() <= 1_000);
    }
}

#[test]
fn columns_are_in_characters_and_fixes_in_bytes() {
    let text = "function f(rec) local s = 'ä\u{1f600}' .. unpack({ 1 }) return s end";
    let report = bytes_checked(text.as_bytes());
    let file = &report.files[0];
    let at = file.place(file.findings[0].span.start);
    assert_eq!((at.line, at.column), (1, 35));
    let (fixed, count) = crate::fix::fix(text.as_bytes(), file);
    assert_eq!(count, 1);
    assert_eq!(
        String::from_utf8(fixed).unwrap(),
        text.replace("unpack", "table.unpack")
    );
}

#[test]
fn every_fix_of_an_example_mends_it() {
    let mut fixes = 0;
    for rule in all_rules() {
        for example in rule
            .fires
            .iter()
            .filter(|example| !example.starts_with("-- file"))
        {
            let report = checked(example);
            let text = files(example).remove(0).1;
            let (fixed, count) = crate::fix::fix(text.as_bytes(), &report.files[0]);
            if count == 0 {
                continue;
            }
            fixes += count;
            assert!(
                rule.fixes || report.files[0].findings.len() > 1,
                "{} does not say that it mends",
                rule.id
            );
            let again = bytes_checked(&fixed);
            let rules: Vec<_> = again.files[0]
                .findings
                .iter()
                .map(|finding| finding.rule)
                .collect();
            assert!(
                !rules.contains(&"syntax") && !rules.contains(&rule.id),
                "{}: {}",
                rule.id,
                String::from_utf8_lossy(&fixed)
            );
        }
    }
    assert!(fixes >= 4, "{fixes}");
}
