//! One node of three fails in some way: the others answer, the failing one is named, the exit status tells.

use crate::cluster::{Cluster, Mood};
use crate::run;

const CLEAR: [&str; 5] = [
    "--timeout",
    "60",
    "--enable",
    "-e",
    "asinfo -v 'udf-clear-cache:'",
];

/// Seconds to wait for nodes: as long as a busy machine may take, except for one that never answers.
fn limit(mood: Mood) -> &'static str {
    match mood {
        Mood::Silent => "3",
        _ => "60",
    }
}

#[test]
fn every_fault_is_named_and_the_others_are_served() {
    // The fault, what is said of the node, whether the command came to it.
    for (mood, reason, asked) in [
        (Mood::Down, "connection refused", false),
        (Mood::Silent, "timeout after 3s", false),
        (Mood::Closes, "connection closed", true),
        (Mood::CutOff, "connection closed", true),
        (Mood::Garbage, "malformed answer", true),
        (Mood::Huge, "malformed answer", true),
        (Mood::Leaves, "connection closed", true),
        (
            Mood::Other,
            "answers as node BB7, where BB2 was expected",
            false,
        ),
        (Mood::Nobody, "does not tell a node id", false),
    ] {
        let cluster = Cluster::start([Mood::Well, mood, Mood::Well]);
        let mut words = CLEAR;
        words[1] = limit(mood);
        let ran = run(&cluster, &words);
        let block = ran
            .out
            .split("\n\n")
            .find(|block| block.starts_with("N2 "))
            .unwrap();
        assert!(block.contains("returned:\nFAILED: "), "{}", ran.out);
        assert!(block.contains(reason), "{reason}: {}", ran.out);
        assert_eq!(ran.out.matches("returned:\nok\n\n").count(), 2);
        assert!(
            ran.err
                .starts_with("ERROR: 1 of 3 nodes did not answer: N2: "),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(reason), "{}", ran.err);
        assert_eq!(ran.rc, 2, "{reason}");
        // A command that may have taken effect is never sent again.
        let mut expected = vec!["N1 udf-clear-cache:"];
        if asked {
            expected.push("N2 udf-clear-cache:");
        }
        expected.push("N3 udf-clear-cache:");
        assert_eq!(cluster.asked("udf-clear-cache:"), expected, "{reason}");
    }
}

#[test]
fn a_view_names_the_nodes_that_it_misses() {
    for (mood, reason) in [
        (Mood::Down, "connection refused"),
        (Mood::Silent, "timeout after 3s"),
        (Mood::Closes, "connection closed"),
        (Mood::Garbage, "N2 sent a malformed answer"),
    ] {
        let cluster = Cluster::start([Mood::Well, mood, Mood::Well]);
        let text = format!(" 1 of 3 nodes did not answer: N2: {reason}");
        let limit = limit(mood);
        let ran = run(&cluster, &["--timeout", limit, "-e", "info network"]);
        assert!(
            ran.err.starts_with(&format!("WARNING:{text}")),
            "{}",
            ran.err
        );
        assert_eq!(ran.rc, 0, "{reason}");
        let ran = run(
            &cluster,
            &["--strict", "--timeout", limit, "-e", "info network"],
        );
        // The sheet is there all the same, with a row for each of the three.
        assert!(ran.out.contains("Network Information"), "{}", ran.out);
        assert!(ran.out.contains("Number of rows: 3"), "{}", ran.out);
        assert!(ran.err.starts_with(&format!("ERROR:{text}")), "{}", ran.err);
        assert_eq!(ran.rc, 2, "{reason}");
        let ran = run(
            &cluster,
            &[
                "--strict",
                "-e",
                "info network with BB3",
                "--timeout",
                limit,
            ],
        );
        assert_eq!((ran.err.as_str(), ran.rc), ("", 0), "{reason}");
    }
}

#[test]
fn a_slow_node_is_waited_for_within_the_limit() {
    let cluster = Cluster::start([Mood::Well, Mood::Slow, Mood::Well]);
    let ran = run(&cluster, &CLEAR);
    assert_eq!((ran.out.as_str(), ran.rc), (crate::CLEARED, 0));
}

#[test]
fn a_damaged_list_of_peers_is_an_error_and_those_before_it_are_served() {
    let cluster = Cluster::start([Mood::DamagedPeers, Mood::Well, Mood::Well]);
    let ran = run(&cluster, &CLEAR);
    assert_eq!(ran.out, crate::CLEARED);
    assert_eq!(
        ran.err,
        "ERROR: N1 names its peers in a way that cannot be read, so nodes may be missing"
    );
    assert_eq!(ran.rc, 2);
}

#[test]
fn a_seed_that_does_not_answer_is_mentioned() {
    let cluster = Cluster::start([Mood::Down, Mood::Well, Mood::Well]);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let seeds = format!("127.0.0.1:{},127.0.0.1:{port}", cluster.ports[1]);
    let ran = run(
        &cluster,
        &["-h", &seeds, "--enable", "-e", "asinfo -v status with BB3"],
    );
    assert_eq!(ran.out, "N3 (127.0.0.1) returned:\nok\n\n");
    assert_eq!(
        ran.err,
        format!("WARNING: seed 127.0.0.1:{port} did not answer: connection refused")
    );
    assert_eq!(ran.rc, 0);
}

#[test]
fn a_module_is_waited_for_on_every_node() {
    let add = "manage udfs add new.lua path new.lua";
    let added = "Successfully added UDF new.lua.\n";
    let missing =
        "ERROR: UDF new.lua was added, but not seen on 1 of 3 nodes: N1: connection refused";
    for (mood, flag, out, err, looks) in [
        (Mood::Lags, "", added, "", 3),
        (Mood::Lags, " --no-wait", added, "", 0),
        (Mood::Down, "", "", missing, 0),
        (Mood::Down, " --no-wait", added, "", 0),
    ] {
        let cluster = Cluster::start([mood, Mood::Well, Mood::Well]);
        let seed = format!("127.0.0.1:{}", cluster.ports[1]);
        let text = format!("{add}{flag}");
        let ran = run(&cluster, &["-h", &seed, "--enable", "-e", &text]);
        assert_eq!((ran.out.as_str(), ran.err.as_str()), (out, err), "{text}");
        assert_eq!(ran.rc, if err.is_empty() { 0 } else { 2 });
        let first: Vec<_> = cluster.asked("udf-list");
        let first = first.iter().filter(|asked| asked.starts_with("N1 "));
        assert_eq!(first.count(), looks, "{text}");
        assert_eq!(cluster.asked("udf-put:").len(), 1);
    }
}
