//! `collectinfo` and `health`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cluster::{Cluster, Mood};
use crate::{WELL, run};

fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn an_archive_holds_what_every_node_tells() {
    let cluster = Cluster::start(WELL);
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_asadm"))
        .args(["-h", &format!("127.0.0.1:{}", cluster.ports[0])])
        .args(["-e", "collectinfo --output-prefix t"])
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found = files(folder.path());
    let named = |end: &str| {
        let name = |path: &&PathBuf| path.to_str().unwrap().ends_with(end);
        found.iter().find(name)
    };
    let archive = named(".tgz").unwrap_or_else(|| panic!("{found:?}"));
    let mode = fs::metadata(archive).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let inside = found.iter().find(|path| path.is_dir()).unwrap();
    let inside = files(inside);
    let state = inside
        .iter()
        .find(|path| path.to_str().unwrap().ends_with("_ascinfo.json"))
        .unwrap();
    let state: Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let (_, moment) = state.as_object().unwrap().iter().next().unwrap();
    let (_, nodes) = moment.as_object().unwrap().iter().next().unwrap();
    assert_eq!(nodes.as_object().unwrap().len(), 3);
    for (name, node) in nodes.as_object().unwrap() {
        let statistics = &node["as_stat"]["statistics"]["service"];
        assert_eq!(statistics["cluster_size"], "3", "{name}: {node}");
    }
}

#[test]
fn a_node_that_is_missed_is_unhealthy() {
    let cluster = Cluster::start(WELL);
    let ran = run(&cluster, &["-e", "health"]);
    assert!(ran.out.contains("Left out: "), "{}", ran.out);
    assert!(!ran.out.contains("FAIL"), "{}", ran.out);
    assert_eq!(ran.rc, 0);
    let cluster = Cluster::start([Mood::Well, Mood::Down, Mood::Well]);
    let ran = run(&cluster, &["-e", "health"]);
    let missed = ran
        .out
        .lines()
        .find(|line| line.starts_with("FAIL") && line.contains("Nodes are reached"));
    assert!(
        missed.is_some_and(|line| line.contains("N2")),
        "{}",
        ran.out
    );
}
