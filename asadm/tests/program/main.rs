//! The program against a small cluster.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod accounts;
mod archive;
mod cluster;
mod document;
mod faults;
mod manage;
mod words;

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use cluster::{Cluster, Mood};

const WELL: [Mood; 3] = [Mood::Well; 3];

struct Ran {
    out: String,
    err: String,
    rc: i32,
}

fn run_with(cluster: &Cluster, words: &[&str], input: Option<&str>) -> Ran {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("new.lua"), "-- naïve\n").unwrap();
    fs::write(
        home.path().join("cmds"),
        "// a\nshow udfs\nasinfo -v\n  status",
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_asadm"))
        .args(["-h", &format!("127.0.0.1:{}", cluster.ports[0])])
        .args(words)
        .env("HOME", home.path())
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has already left does not read.
    let _ = child
        .stdin
        .take()
        .unwrap()
        .write_all(input.unwrap_or_default().as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| cluster.named(&String::from_utf8(bytes).unwrap());
    let messages: Vec<String> = text(output.stderr)
        .lines()
        .filter(|line| !line.starts_with("Seed:") && !line.starts_with("Config_file:"))
        .map(str::to_owned)
        .collect();
    Ran {
        out: text(output.stdout),
        err: messages.join("\n"),
        rc: output.status.code().unwrap(),
    }
}

fn run(cluster: &Cluster, words: &[&str]) -> Ran {
    run_with(cluster, words, None)
}

const CLEARED: &str = "N1 (127.0.0.1) returned:\nok\n\nN2 (127.0.0.1) returned:\nok\n\nN3 (127.0.0.1) returned:\nok\n\n";

#[test]
fn asinfo_reaches_every_node_once() {
    let cluster = Cluster::start(WELL);
    let ran = run(&cluster, &["-e", "enable; asinfo -v 'udf-clear-cache:'"]);
    let heading = "\n~~~ enable ~~~\n\n~~~ asinfo -v udf-clear-cache: ~~~\n";
    assert_eq!((ran.out, ran.rc), (format!("{heading}{CLEARED}"), 0));
    assert_eq!(ran.err, "");
    assert_eq!(
        cluster.asked("udf-clear-cache:"),
        [
            "N1 udf-clear-cache:",
            "N2 udf-clear-cache:",
            "N3 udf-clear-cache:"
        ]
    );
}

#[test]
fn old_servers_are_found_too() {
    let cluster = Cluster::start([Mood::Old; 3]);
    let ran = run(
        &cluster,
        &["--enable", "-e", "asinfo -v 'udf-clear-cache:'"],
    );
    assert_eq!((ran.out.as_str(), ran.rc), (CLEARED, 0));
}

#[test]
fn repeated_commands_are_repeated() {
    let cluster = Cluster::start(WELL);
    let text = "asinfo -v udf-clear-cache: with BB2; asinfo -v udf-clear-cache: with BB2";
    assert_eq!(run(&cluster, &["--enable", "-e", text]).rc, 0);
    assert_eq!(cluster.asked("udf-clear-cache:").len(), 2);
}

#[test]
fn nodes_that_fail_are_named() {
    for (mood, limit, reason) in [
        (Mood::Down, "60", "connection refused"),
        (Mood::Silent, "3", "timeout after 3s"),
        (Mood::Closes, "60", "connection closed"),
    ] {
        let cluster = Cluster::start([Mood::Well, mood, Mood::Well]);
        let words = [
            "--timeout",
            limit,
            "--enable",
            "-e",
            "asinfo -v 'udf-clear-cache:'",
        ];
        let ran = run(&cluster, &words);
        let failed = format!("N2 (127.0.0.1) returned:\nFAILED: {reason}\n\n");
        assert!(ran.out.contains(&failed), "{}", ran.out);
        assert_eq!(ran.out.matches("returned:\nok\n\n").count(), 2);
        assert_eq!(
            ran.err,
            format!("ERROR: 1 of 3 nodes did not answer: N2: {reason}")
        );
        assert_eq!(ran.rc, 2);
    }
}

#[test]
fn answers_errors_and_statuses() {
    let cluster = Cluster::start(WELL);
    let refusal = "ERROR: User must be in privileged mode to issue \"asinfo\" commands.\n       Type \"enable\" to enter privileged mode.";
    for (words, out, err, rc) in [
        (&["-e", "asinfo -v build"][..], "", refusal, 2),
        (&["-e", ""], "", "", 0),
        (&["-e", "exit; nosuch"], "", "", 0),
        (
            &["-e", "show udfs like 'x"],
            "",
            "ERROR: No closing quotation",
            2,
        ),
        (
            &["--enable", "-e", "asinfo -v status with BB3 BB1"],
            "N3 (127.0.0.1) returned:\nok\n\nN1 (127.0.0.1) returned:\nok\n\n",
            "",
            0,
        ),
        (
            &[
                "--enable",
                "-e",
                "asinfo --no_node_name -v statistics like size -l",
            ],
            "cluster_size=3\ncluster_size=3\ncluster_size=3\n",
            "",
            0,
        ),
        (
            &["--enable", "-e", "asinfo -v status with BB1 BB9"],
            "",
            "ERROR: no node matches `BB9`, so nothing was sent",
            2,
        ),
        (
            &["--enable", "-e", "asinfo -v status with BB9"],
            "",
            "ERROR: Unable to find any Aerospike nodes",
            2,
        ),
        (
            &["--enable", "--single-node", "-e", "asinfo -v status"],
            "N1 (127.0.0.1) returned:\nok\n\n",
            "",
            0,
        ),
        (
            &["--enable", "-e", "asinfo build"],
            "",
            "WARNING: Do not understand 'build' in 'build'",
            0,
        ),
        (
            &["-e", "show s"],
            "",
            "ERROR: Ambiguous command: 's' may be sindex, statistics, or stop-writes.",
            2,
        ),
        (
            &["-e", "info nosuch"],
            "",
            "ERROR: info: 'nosuch' is not a valid subcommand. See 'help info' for available subcommands.",
            2,
        ),
        (
            &["--enable", "-e", "manage udfs add x.lua path no/such.lua"],
            "",
            "ERROR: Failed to add UDF x.lua: Path does not exist.",
            2,
        ),
        (
            &["--enable", "-e", "manage udfs add bad.lua path new.lua"],
            "",
            "ERROR: Failed to add UDF : compile_error at bad.lua:2: unexpected symbol.",
            2,
        ),
        (
            &["--enable", "-e", "manage udfs remove nope.lua"],
            "",
            "ERROR: Failed to remove UDF nope.lua : UDF does not exist.",
            2,
        ),
        (
            &["--asinfo-mode", "-e", "build;node"],
            "8.1.2.0\nBB1\n",
            "",
            0,
        ),
    ] {
        let ran = run(&cluster, words);
        assert_eq!(
            (ran.out.as_str(), ran.err.as_str(), ran.rc),
            (out, err, rc),
            "{words:?}"
        );
    }
}

#[test]
fn modules_are_changed_through_the_principal() {
    let cluster = Cluster::start(WELL);
    let text = "manage udfs add new.lua path new.lua; manage udfs remove old.lua";
    let ran = run(&cluster, &["--enable", "-e", text]);
    assert!(ran.out.contains("Successfully added UDF new.lua.\n"));
    assert!(ran.out.contains("Successfully removed UDF old.lua.\n"));
    assert_eq!(ran.rc, 0);
    assert_eq!(
        cluster.asked("udf-put:"),
        ["N3 udf-put:filename=new.lua;udf-type=LUA;content-len=16;content=LS0gbmHDr3ZlCg=="]
    );
    assert_eq!(
        cluster.asked("udf-remove:"),
        ["N3 udf-remove:filename=old.lua;"]
    );
}

#[test]
fn a_module_that_will_fail_is_not_sent_when_it_is_checked_before() {
    let cluster = Cluster::start(WELL);
    let folder = tempfile::tempdir().unwrap();
    for (content, error, rc, sent) in [
        (
            "function f(rec)\n  return totl\nend\n",
            "ERROR: Failed to add UDF new.lua: the check found what will fail.\n\
             new.lua:2:10: error: nothing defines `totl` [undefined-name]",
            2,
            0,
        ),
        (
            "local left = 1\n",
            "WARNING: new.lua:1:7: warning: nothing uses `left` [unused-local]",
            0,
            1,
        ),
        ("return 1\n", "", 0, 2),
    ] {
        let path = folder.path().join("m.lua");
        fs::write(&path, content).unwrap();
        let text = format!("manage udfs add new.lua path '{}' --check", path.display());
        let ran = run(&cluster, &["--enable", "-e", &text]);
        assert_eq!((ran.err.trim(), ran.rc), (error, rc), "{content}");
        assert_eq!(cluster.asked("udf-put:").len(), sent, "{content}");
    }
}

#[test]
fn a_change_that_is_not_confirmed_is_not_sent() {
    let cluster = Cluster::start(WELL);
    let words = ["-e", "enable --warn; manage udfs remove old.lua"];
    let ran = run_with(&cluster, &words, Some("no\n"));
    assert!(
        ran.out
            .contains("Confirm that you want to proceed by typing ")
    );
    assert_eq!(ran.rc, 0);
    assert!(cluster.asked("udf-remove:").is_empty());
}

#[test]
fn a_setting_that_a_node_refuses_is_a_failure() {
    let cluster = Cluster::start(WELL);
    let words = [
        "--enable",
        "-e",
        "manage config service param proto-fd-max to 9",
    ];
    let ran = run(&cluster, &words);
    assert!(ran.out.contains("Number of rows: 3"));
    assert_eq!(ran.err, "ERROR: 1 of 3 nodes refused: N2: bad value");
    assert_eq!(ran.rc, 2);
}

#[test]
fn a_file_of_commands_shows_every_command() {
    let cluster = Cluster::start(WELL);
    let ran = run(&cluster, &["--enable", "-e", "cmds"]);
    assert!(ran.out.starts_with("\n~~~ show udfs ~~~\n"), "{}", ran.out);
    assert!(ran.out.contains("\n~~~ asinfo -v status ~~~\nN1"));
}

#[test]
fn the_shell_reads_lines_from_a_pipe() {
    let cluster = Cluster::start(WELL);
    let input = "asinfo -v status\nenable\nasinfo -v status with BB1\nexit\nshow udfs\n";
    let ran = run_with(&cluster, &["--enable"], Some(input));
    assert!(ran.out.contains("\nFound 3 nodes\nOnline:  N1, N2, N3\n"));
    assert!(
        ran.out
            .ends_with("Admin> Admin> Admin+> N1 (127.0.0.1) returned:\nok\n\nAdmin+> ")
    );
    assert!(ran.err.contains("privileged mode"));
    assert_eq!(ran.rc, 2);
}

#[test]
fn nobody_there() {
    let cluster = Cluster::start([Mood::Down; 3]);
    let expected = format!(
        "ERROR: Not able to connect any cluster with [('127.0.0.1', {}, None)].",
        cluster.ports[0]
    );
    for (words, rc) in [(&["-e", "show udfs"][..], 2), (&[], 1)] {
        let ran = run(&cluster, words);
        assert_eq!((ran.err.as_str(), ran.rc), (expected.as_str(), rc));
    }
}

#[test]
fn help_completions_and_manual_come_from_the_definitions() {
    let cluster = Cluster::start(WELL);
    for (words, expected) in [
        (
            &["-e", "help manage udfs add"][..],
            "Usage:  manage udfs add NAME path PATH",
        ),
        (&["-e", "help"], "    watch "),
        (&["--completions", "bash"], "--single-node"),
        (&["--manual"], "manage udfs add NAME path PATH"),
        (&["--manual"], ".SH EXIT STATUS"),
        (&["-e", "?"], "    watch "),
        (
            &["-e", "manage udfs add ?"],
            "Usage:  manage udfs add NAME path PATH",
        ),
        (&["--version"], "Aerospike Administration Shell\nVersion "),
    ] {
        let ran = run(&cluster, words);
        assert!(ran.out.contains(expected), "{words:?}: {}", ran.out);
        assert_eq!(ran.rc, 0);
    }
}
