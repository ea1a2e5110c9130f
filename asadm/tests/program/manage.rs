//! `manage`: what is sent, and what a person is asked before.

use crate::cluster::{Cluster, Mood};
use crate::{run, run_with};

#[test]
fn what_is_not_understood_truncates_nothing() {
    let cluster = Cluster::start([Mood::Well; 3]);
    for (words, extra) in [
        ("ns bar set", "set"),
        ("ns bar foo", "ns bar foo"),
        ("foo ns bar", "foo"),
        ("ns bar set a b", "set a b"),
        ("ns bar set a undo now", "undo now"),
    ] {
        let line = format!("manage truncate {words} --no-warn");
        let ran = run(&cluster, &["--enable", "-e", &line]);
        assert_eq!(
            ran.err,
            format!("ERROR: Unrecognized input: {extra}"),
            "{line}"
        );
        assert_eq!((ran.out.as_str(), ran.rc), ("", 2), "{line}");
    }
    assert_eq!(cluster.asked("truncate"), [""; 0]);
    // Taking a truncation back is asked about too.
    let ran = run_with(
        &cluster,
        &["--enable", "-e", "manage truncate ns bar undo"],
        Some("no\n"),
    );
    assert!(
        ran.out.starts_with("Confirm that you want to proceed"),
        "{}",
        ran.out
    );
    assert_eq!(cluster.asked("truncate"), [""; 0]);
}

#[test]
fn changes_are_asked_about_in_the_words_of_the_real_tool() {
    let cluster = Cluster::start([Mood::Well; 3]);
    for (line, message) in [
        (
            "config network heartbeat param interval to 5",
            "Change network heartbeat param interval to 5 on all nodes",
        ),
        (
            "config namespace test param a to b",
            "Change namespace test param a to b on all nodes",
        ),
        (
            "config namespace test set users param a to b with BB1",
            "Change namespace test set users param a to b on nodes: 127.0.0.1",
        ),
        (
            "config logging file /x param udf to info",
            "Change logging context udf to info for file /x on all nodes",
        ),
        (
            "config xdr dc east param a to b",
            "Change XDR DC east param a to b on all nodes",
        ),
        (
            "config xdr dc east add namespace test rewind all",
            "Add namespace test to DC east with rewind all on all nodes",
        ),
        (
            "quiesce with BB2 undo",
            "You are about to undo quiescing of node(s): BB2",
        ),
        ("revive ns test", "You are about to revive namespace test"),
    ] {
        let text = format!("enable --warn; manage {line}");
        let ran = run_with(&cluster, &["-e", &text], Some("no\n"));
        assert!(
            ran.out.contains(&format!("~~~\n{message}\nConfirm ")),
            "{line}: {}",
            ran.out
        );
        assert_eq!(ran.rc, 0, "{line}");
    }
    assert_eq!(cluster.asked("set-config"), [""; 0]);
    let line = "manage config xdr dc east add namespace test rewind soon";
    let ran = run(&cluster, &["--enable", "-e", line]);
    assert_eq!(ran.err, "ERROR: Invalid rewind. Must be int or \"all\"");
    assert_eq!(cluster.asked("set-config"), [""; 0]);
}

#[test]
fn nodes_are_told_what_they_lack() {
    let cluster = Cluster::start([Mood::Well; 3]);
    for (line, sent, expected, said) in [
        (
            "xdr create dc east",
            "set-config:context=xdr;dc=east;action=create",
            &["N2", "N3"][..],
            "DC already exists",
        ),
        (
            "xdr delete dc east",
            "set-config:context=xdr;dc=east;action=delete",
            &["N1"],
            "DC does not exist",
        ),
        (
            "logging file /x param udf to info",
            "log-set:id=0;udf=info",
            &["N1"],
            "/x does not exist",
        ),
        (
            "logging file /x param udf to debug",
            "log-set:id=1;udf=debug",
            &["N2"],
            "/x does not exist",
        ),
    ] {
        let line = format!("manage config {line}");
        let ran = run(&cluster, &["--enable", "-e", &line]);
        let expected: Vec<_> = expected
            .iter()
            .map(|node| format!("{node} {sent}"))
            .collect();
        assert_eq!(cluster.asked(sent), expected, "{line}");
        assert!(ran.out.contains(said), "{line}: {}", ran.out);
    }
    assert_eq!(cluster.asked("log-set:").len(), 4);
}

#[test]
fn a_word_that_lacks_is_named_below_the_help() {
    let cluster = Cluster::start([Mood::Well; 3]);
    for (line, word) in [
        ("acl set-password", "user"),
        ("acl change-password", "user"),
        ("acl allowlist", "role"),
        ("acl quotas", "role"),
        (
            "config xdr dc east",
            "param and to, or a namespace or node,",
        ),
    ] {
        let ran = run(&cluster, &["--enable", "-e", &format!("manage {line}")]);
        assert!(ran.out.contains("Usage:"), "{line}: {}", ran.out);
        let verb = if word.len() > 10 { "are" } else { "is" };
        assert_eq!(ran.err, format!("ERROR: {word} {verb} required"), "{line}");
        assert_eq!(ran.rc, 2, "{line}");
    }
    let ran = run(&cluster, &["--enable", "-e", "manage acl"]);
    assert_eq!((ran.err.as_str(), ran.rc), ("", 0));
}

#[test]
fn a_watched_command_that_is_none_ends_at_once() {
    let cluster = Cluster::start([Mood::Well; 3]);
    let ran = run(&cluster, &["-e", "watch 0.1 2 show nosuch"]);
    assert_eq!((ran.out.as_str(), ran.rc), ("\n", 2));
    let ran = run(&cluster, &["-e", "watch 0.1 2 asinfo -v status"]);
    assert_eq!(
        ran.out
            .matches(" 'asinfo -v status' sleep: 0.1s iteration: ")
            .count(),
        2
    );
    let ran = run(&cluster, &["-e", "watch 0.1 1 --no-diff show udfs"]);
    assert!(
        ran.out
            .contains(" 'show udfs' sleep: 0.1s iteration: 1 ]\n"),
        "{}",
        ran.out
    );
    let ran = run(&cluster, &["-e", "sh ud; in net"]);
    for heading in ["~~~ ud ~~~", "~~~ net ~~~"] {
        assert!(ran.out.contains(heading), "{}", ran.out);
    }
}

#[test]
fn what_nodes_have_that_do_not_answer_is_not_counted_as_nothing() {
    for (mood, left_out) in [
        (Mood::Well, ""),
        (Mood::Down, ", and what 1 node has that did not answer"),
    ] {
        let cluster = Cluster::start([Mood::Well, mood, Mood::Well]);
        let ran = run_with(
            &cluster,
            &["--enable", "-e", "manage truncate ns bar set a"],
            Some("no\n"),
        );
        let asked = format!("truncate up to 0 records from set a for namespace bar{left_out}\n");
        assert!(ran.out.contains(&asked), "{}", ran.out);
        assert_eq!(cluster.asked("truncate"), [""; 0]);
    }
}
