//! The program from outside: what needs no cluster, and what comes of mistakes.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::process::{Command, Output};

fn aql(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aql"))
        .args(words)
        .env("HOME", "/nonexistent")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_completions_and_manual_come_from_the_definitions() {
    for (words, expected) in [
        (&["--help"][..], "REGISTER MODULE '<path>'"),
        (&["-O"], "--outputmode"),
        (&["--completions", "bash"], "--outputmode"),
        (&["--manual"], ".TH aql 1"),
        (&["--version"], "Aerospike Query Client"),
    ] {
        let output = aql(words);
        let shown = text(&output.stdout);
        assert!(shown.contains(expected), "{words:?}: {shown}");
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{words:?}"
        );
    }
}

#[test]
fn a_run_that_does_not_come_as_far_as_a_statement_ends_with_255() {
    for (words, told) in [
        (
            &["--nosuch"][..],
            "aql: unexpected argument '--nosuch' found\n",
        ),
        (
            &["-h", "127.0.0.1", "-p", "1", "-c", "get echo"],
            "Error -10: Failed to connect\n",
        ),
        (
            &["-h", "", "-c", "get echo"],
            "Error -2: No hosts provided\n",
        ),
        (
            &["-N", "--only-config-file", "x", "-c", "get echo"],
            "--no-config-file and only-config-file are mutually exclusive option. Please enable only one.\n",
        ),
    ] {
        let output = aql(words);
        assert_eq!(text(&output.stderr), told);
        assert_eq!(output.status.code(), Some(255), "{words:?}");
    }
}
