//! `--format json`: one document, whatever a run prints.

use serde_json::{Value, json};

use crate::cluster::{Cluster, Mood};
use crate::{Ran, run};

fn document(ran: &Ran) -> Value {
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["exit_status"], ran.rc);
    document
}

#[test]
fn a_run_is_one_document() {
    let cluster = Cluster::start([Mood::Well, Mood::Down, Mood::Well]);
    let text = "enable; asinfo -v status; show udfs; nonsense; info network; asinfo -v";
    let ran = run(
        &cluster,
        &["--timeout", "60", "--format", "json", "-e", text],
    );
    assert_eq!(ran.rc, 2);
    let document = document(&ran);
    assert_eq!(document["messages"], json!([]));
    let commands = document["commands"].as_array().unwrap();
    let words: Vec<_> = commands.iter().map(|command| &command["command"]).collect();
    let expected: Vec<_> = text.split("; ").collect();
    assert_eq!(words, expected);

    let failed: Vec<_> = commands.iter().map(|command| &command["failed"]).collect();
    assert_eq!(failed, [false, true, false, true, false, false]);
    assert_eq!(
        commands[1]["output"],
        json!([{ "answers": [
            { "node": "N1", "address": "127.0.0.1", "answer": "ok" },
            { "node": "N3", "address": "127.0.0.1", "answer": "ok" },
            { "node": "N2", "address": "127.0.0.1", "error": "connection refused" },
        ] }])
    );
    let missed = "1 of 3 nodes did not answer: N2: connection refused";
    assert_eq!(
        commands[1]["messages"],
        json!([{ "level": "error", "text": missed }])
    );
    let modules = &commands[2]["output"][0]["sheet"]["groups"][0]["records"];
    assert_eq!(modules[0]["Filename"]["raw"], "new.lua");
    assert_eq!(
        commands[3]["messages"][0]["text"],
        "nonsense: command not found."
    );
    assert!(
        commands[3]["output"][0]["text"]
            .as_str()
            .unwrap()
            .contains("Usage")
    );
    assert_eq!(
        commands[4]["messages"],
        json!([{ "level": "warning", "text": missed }])
    );
    assert_eq!(commands[5]["messages"][0]["level"], "warning");
}

#[test]
fn passwords_stay_out_of_it() {
    let cluster = Cluster::start([Mood::Well; 3]);
    for line in [
        "manage acl create user u password secret roles read",
        "manage a create user u password secret roles read",
        "m a set-password user u password secret",
        "manage alc create user u password secret",
        "watch 0.1 1 manage acl change-password user u old secret new secret",
    ] {
        let ran = run(&cluster, &["--enable", "--format", "json", "-e", line]);
        let document = document(&ran);
        let shown = document["commands"][0]["command"].as_str().unwrap();
        assert_eq!(shown, line.replace("secret", "***"));
    }
    let line = "manage config service param new to old";
    let ran = run(&cluster, &["--enable", "--format", "json", "-e", line]);
    assert_eq!(document(&ran)["commands"][0]["command"], line);
}

#[test]
fn what_goes_wrong_before_the_first_command_is_in_the_document() {
    let cluster = Cluster::start([Mood::Down; 3]);
    let ran = run(&cluster, &["--format", "json", "-e", "show udfs"]);
    let document = document(&ran);
    assert_eq!(ran.rc, 2);
    assert_eq!(document["commands"], json!([]));
    assert_eq!(document["messages"][0]["level"], "error");

    let ran = run(&cluster, &["--format", "json"]);
    assert_eq!(ran.rc, 1);
    let text = "--format json goes together with -e";
    assert_eq!(
        crate::document::document(&ran)["messages"],
        json!([{ "level": "error", "text": text }])
    );
}

#[test]
fn a_document_can_go_to_a_file_and_asinfo_mode_has_one_too() {
    let cluster = Cluster::start([Mood::Well; 3]);
    let words = ["--format", "json", "--asinfo-mode", "-e", "status;nonsense"];
    let document = document(&run(&cluster, &words));
    assert_eq!(document["commands"][0]["command"], "status");
    assert_eq!(document["commands"][0]["output"][0]["text"], "ok\n");

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.json");
    let path = path.to_str().unwrap();
    let ran = run(
        &cluster,
        &["--format", "json", "-o", path, "-e", "show udfs"],
    );
    assert_eq!((ran.out.as_str(), ran.rc), ("", 0));
    let text = std::fs::read_to_string(path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["commands"][0]["command"], "show udfs");
}
