//! Words that stand where they mean nothing, characters that mean more than they show, and files that cannot be read.

use std::fs;
use std::process::Command;

use crate::cluster::{Cluster, Mood};
use crate::{WELL, run};

#[test]
fn a_word_that_means_nothing_is_refused() {
    let cluster = Cluster::start(WELL);
    let nothing_done = |word: &str, command: &str, near: &str| {
        let near = match near {
            "" => String::new(),
            near => format!("\nDid you mean `{near}`?"),
        };
        format!("`{word}` is not understood behind `{command}`, so nothing was done{near}")
    };
    for (line, refusal) in [
        (
            "info network wiht N1",
            &*nothing_done("wiht", "info network", "with"),
        ),
        (
            "show udfs lik new",
            &nothing_done("new", "show udfs", "like"),
        ),
        (
            "shwo udfs",
            "shwo udfs: command not found.\nDid you mean `show`?",
        ),
        (
            "manage udfs remove old.lua extra",
            &nothing_done("extra", "manage udfs remove", ""),
        ),
        ("show latencies -e x", "-e takes a number, not `x`"),
        ("show latencies -b", "-b takes a number, not ``"),
    ] {
        let ran = run(&cluster, &["--enable", "-e", line]);
        assert_eq!(ran.rc, 2, "{line}: {} {}", ran.out, ran.err);
        assert_eq!(ran.err, format!("ERROR: {refusal}"), "{line}");
    }
    assert!(cluster.asked("udf-remove").is_empty());
}

#[test]
fn a_word_cannot_end_its_place_in_a_request() {
    let cluster = Cluster::start(WELL);
    for (line, end, place) in [
        ("manage truncate ns test set 'a;lut=1'", ";", "set"),
        ("manage truncate ns 'test;set=a'", ";", "ns"),
        ("manage udfs remove 'a;b'", ";", "filename"),
        (
            "manage udfs remove 'a\nudf-clear-cache:'",
            "\\n",
            "filename",
        ),
        (
            "manage sindex create numeric i ns 'test;x=1' bin b",
            ";",
            "namespace",
        ),
        ("manage config service param a to '1;b=2'", ";", "a"),
    ] {
        let ran = run(&cluster, &["--enable", "-e", line]);
        assert_eq!(ran.rc, 2, "{line}: {} {}", ran.out, ran.err);
        let refusal = format!("ERROR: `{end}` in {place} would end it, so nothing was sent");
        assert_eq!(ran.err, refusal, "{line}");
    }
    for start in [
        "truncate",
        "udf-remove",
        "udf-clear",
        "sindex-create",
        "set-config",
    ] {
        assert_eq!(cluster.asked(start), [""; 0], "{start}");
    }
}

#[test]
fn data_stays_data_in_json_and_in_files() {
    let cluster = Cluster::start([Mood::Hostile; 3]);
    let name = "o\u{1b}[31ml\u{9b}d\u{202e}.lua";
    let ran = run(&cluster, &["--format", "json", "-e", "show udfs"]);
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let records = &document["commands"][0]["output"][0]["sheet"]["groups"][0]["records"];
    let names: Vec<_> = records.as_array().unwrap().iter().collect();
    assert!(
        names.iter().any(|record| record["Filename"]["raw"] == name),
        "{document}"
    );
    // JSON is written without characters that act on a terminal.
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
    // Messages go to people.
    let ran = run(&cluster, &["-e", "n\u{1b}[31mo"]);
    assert!(!ran.err.contains('\u{1b}'), "{:?}", ran.err);
    assert_eq!(ran.rc, 2);
}

#[test]
fn a_configuration_that_cannot_be_read_stops_before_the_first_command() {
    let cluster = Cluster::start(WELL);
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("broken.conf");
    fs::write(&path, "[cluster]\nhost = \n").unwrap();
    let path = path.to_str().unwrap();
    for words in [
        ["--config-file", path],
        ["--config-file", "/nowhere/at.all"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_asadm"))
            .args(["-h", &format!("127.0.0.1:{}", cluster.ports[0])])
            .args(words)
            .args(["--enable", "-e", "asinfo -v 'udf-clear-cache:'"])
            .env("HOME", home.path())
            .output()
            .unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(words[1]), "{err}");
    }
    assert!(cluster.asked("udf-clear-cache:").is_empty());
}
