//! The program against a small server that gives canned answers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

/// Answers until the test process ends. Gives its port.
fn serve(answers: &'static [(&'static str, &'static str)]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, answers));
        }
    });
    port
}

fn answer(mut stream: TcpStream, answers: &[(&str, &str)]) -> Option<()> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let size = u64::from_be_bytes(header) & 0xffff_ffff_ffff;
        if !matches!(header[1], 1 | 2) {
            // What no server of this protocol takes, as the greeting of TLS.
            return None;
        }
        let mut body = vec![0; usize::try_from(size).unwrap()];
        stream.read_exact(&mut body).ok()?;
        let request = String::from_utf8(body).unwrap();
        let reply = if header[1] == 2 {
            let mut unit = vec![0; 16];
            unit[1] = 51;
            unit
        } else {
            let command = request.trim_end_matches('\n');
            match answers.iter().find(|(known, _)| *known == command)?.1 {
                "CLOSE" => return None,
                "SILENT" => {
                    let _ = stream.read(&mut [0]);
                    return None;
                }
                whole if command.is_empty() || whole == "\n" => whole.as_bytes().to_vec(),
                value => format!("{command}\t{value}\n").into_bytes(),
            }
        };
        header = (u64::try_from(reply.len()).unwrap() | 2 << 56 | u64::from(header[1]) << 48)
            .to_be_bytes();
        // At once: a second write would wait until the first one is acknowledged, which takes 40 ms.
        stream.write_all(&[&header, &reply[..]].concat()).ok()?;
    }
}

struct Ran {
    out: String,
    err: String,
    rc: i32,
}

fn run(words: &[&str]) -> Ran {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_asinfo"))
        .args(words)
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        rc: output.status.code().unwrap(),
    }
}

/// A port on which nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

const ANSWERS: &[(&str, &str)] = &[
    ("", "node\tBB9\nbuild\t8.1.2.0\n"),
    ("build", "8.1.2.0"),
    ("namespaces", "test;bar"),
    ("statistics", "a=1;b=2;"),
    ("udf-list", ""),
    ("nosuch", "ERROR:4:unrecognized command"),
    ("namspaces", "ERROR:4:unrecognized command"),
    ("old", "FAIL:4:bad"),
    ("udf-get:filename=x.lua", "error=not_found"),
    ("text", "no Error: here"),
    ("blank", "\n"),
    ("close", "CLOSE"),
    ("silent", "SILENT"),
];

#[test]
fn prints_answers_and_tells_success_by_its_status() {
    let port = serve(ANSWERS).to_string();
    for (words, out, rc) in [
        (&["-v", "build"][..], "8.1.2.0\n", 0),
        (&["-vbuild"], "8.1.2.0\n", 0),
        (&["--val=build"], "8.1.2.0\n", 0),
        (&["-v", "nosuch", "-v", "build"], "8.1.2.0\n", 0),
        (&["-v", "'build'"], "8.1.2.0\n", 0),
        (&["-v", "namespaces", "-l"], "test\nbar\n", 0),
        (&["-v", "namespaces", "--line_sep"], "test\nbar\n", 0),
        (&["-v", "stats"], "a=1;b=2\n", 0),
        (&["-v", "udf-list"], "\n", 0),
        (&[], "1 :  node\n     BB9\n2 :  build\n     8.1.2.0\n", 0),
        (&["-v", "nosuch"], "ERROR:4:unrecognized command\n", 1),
        (
            &["-v", "nosuch", "-l"],
            "ERROR\n4\nunrecognized command\n",
            1,
        ),
        (&["-v", "old"], "FAIL:4:bad\n", 0),
        (&["-v", "old", "--strict"], "FAIL:4:bad\n", 1),
        (&["-v", "udf-get:filename=x.lua"], "error=not_found\n", 0),
        (
            &["-v", "udf-get:filename=x.lua", "--strict"],
            "error=not_found\n",
            1,
        ),
        (&["-v", "text"], "no Error: here\n", 0),
        (&["-v", "blank"], "Error: Invalid command 'blank'\n", 1),
        (
            &["-U", "admin", "-Psecret", "-v", "build"],
            "ERROR: Login failed : Security not supported.\n\n",
            1,
        ),
        (
            &["--auth", "PKI", "-v", "build"],
            "ERROR: TLS is required for authentication mode: PKI\n\n",
            1,
        ),
        (
            &["--tls_enable", "-v", "build"],
            "ERROR: Not able to connect any cluster with ('127.0.0.1', PORT, None).\n\n",
            1,
        ),
        (
            &["--config-file", "no/such", "-v", "build"],
            "8.1.2.0\n\nWARNING: Config file read error : no/such No such file\n\n",
            0,
        ),
        (
            &["-h", "a:b:c", "-v", "build"],
            "ERROR: host parse error: `c` in `a:b:c` is no port, expected a number up to 65535\n\n",
            1,
        ),
    ] {
        let ran = run(&[&["-p", &port], words].concat());
        let out = out.replace("PORT", &port);
        assert_eq!((ran.out, ran.rc), (out, rc), "{words:?}");
        // Where the password can be read, that is said, and not where scripts look for the answer.
        let exposed = words.contains(&"-Psecret");
        assert_eq!(
            ran.err.contains("can be read by others"),
            exposed,
            "{words:?}"
        );
        assert_eq!(ran.err.lines().count(), usize::from(exposed), "{words:?}");
    }
}

#[test]
fn what_may_have_been_meant_is_said_and_never_sent() {
    let port = serve(ANSWERS).to_string();
    let ran = run(&["-p", &port, "-v", "namspaces"]);
    assert_eq!(ran.err, "Did you mean `namespaces`?\n");
    assert_eq!(ran.rc, 1);
    assert!(ran.out.starts_with("ERROR:4:"), "{}", ran.out);
}

#[test]
fn one_line_says_why_there_is_no_answer() {
    let port = serve(ANSWERS).to_string();
    let at = format!("127.0.0.1:{port}");
    for (command, reason) in [
        ("close", "closed the connection before it answered"),
        ("silent", "did not answer within 200ms"),
    ] {
        let ran = run(&["-p", &port, "--timeout", "0.2", "-v", command]);
        assert_eq!(ran.out, format!("ERROR: {at} {reason}\n\n"));
        assert_eq!(ran.rc, 1);
    }
}

#[test]
fn every_seed_is_tried() {
    let port = serve(ANSWERS);
    let closed = closed_port();
    let ran = run(&[
        "-h",
        &format!("127.0.0.1,127.0.0.1:{port}"),
        "-p",
        &closed,
        "-v",
        "build",
    ]);
    assert_eq!((ran.out.as_str(), ran.rc), ("8.1.2.0\n", 0));
    let ran = run(&["-p", &closed, "-v", "build"]);
    let expected =
        format!("ERROR: Not able to connect any cluster with ('127.0.0.1', {closed}, None).\n\n");
    assert_eq!((ran.out, ran.rc), (expected, 1));
}

#[test]
fn mistakes_in_the_options_go_to_stderr() {
    for words in [
        &["build"][..],
        &["-v"],
        &["-p", "x"],
        &["--timeout", "soon"],
        &["--nosuch"],
    ] {
        let ran = run(words);
        assert_eq!((ran.out.as_str(), ran.rc), ("", 2), "{words:?}");
        assert!(
            ran.err.contains("Usage:") || ran.err.contains("--help"),
            "{}",
            ran.err
        );
        let ran = run(&[words, &["--help"]].concat());
        assert!(ran.out.contains("--line-separator"), "{words:?}");
        assert_eq!(ran.rc, 0);
    }
    assert!(
        run(&["-V"])
            .out
            .starts_with("Aerospike Information Tool\nVersion ")
    );
}

#[test]
fn completions_and_manual_come_from_the_definitions() {
    for (words, expected) in [
        (&["--completions", "bash"][..], "--line-separator"),
        (&["--completions", "zsh"], "#compdef asinfo"),
        (&["--completions", "fish"], "complete -c asinfo"),
        (&["--manual"], ".TH asinfo 1"),
    ] {
        let ran = run(words);
        assert!(ran.out.contains(expected), "{words:?}: {}", ran.out);
        assert_eq!((ran.err.as_str(), ran.rc), ("", 0), "{words:?}");
    }
}
