//! `aql` at a terminal, in scripts, and beside three servers of which one stops.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};
use tests::process::wait_until;

use crate::cluster::{DEADLINE, plan, wait_until_formed};
use crate::person::{CTRL_C, CTRL_D, RIGHT, Shell, TAB, UP, plain};
use crate::server;

const COUNTER: &str = "function add(rec, bin, by)
  rec[bin] = (rec[bin] or 0) + by
  if aerospike:exists(rec) then aerospike:update(rec) else aerospike:create(rec) end
  return rec[bin]
end

local function one() return 1 end
local function sum(a, b) return a + b end
function count(stream)
  return stream : map(one) : reduce(sum)
end
";

fn command(address: &str, home: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(tests::program::path("aql").unwrap());
    command
        .args(["-h", address])
        .args(tests::program::patient("aql"))
        .args(words)
        .env("HOME", home)
        .current_dir(home);
    command
}

fn run(address: &str, home: &Path, words: &[&str]) -> Output {
    command(address, home, words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A session whose lines come through a pipe.
struct Session {
    child: Child,
    lines: ChildStdin,
    printed: BufReader<ChildStdout>,
}

impl Session {
    fn start(address: &str, home: &Path) -> Self {
        let mut child = command(address, home, &[])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            lines: child.stdin.take().unwrap(),
            printed: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// Runs a line; gives what it printed.
    fn line(&mut self, line: &str) -> String {
        writeln!(self.lines, "{line}; print done-with-it").unwrap();
        let mut printed = String::new();
        while !printed.ends_with("\ndone-with-it\n") {
            assert!(
                self.printed.read_line(&mut printed).unwrap() > 0,
                "{printed}"
            );
        }
        printed
    }

    fn end(mut self) -> i32 {
        drop(self.lines);
        self.printed.read_to_string(&mut String::new()).unwrap();
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn a_session_goes_on_when_a_node_of_three_stops() {
    const RECORDS: usize = 30;
    let (_directory, plan) = plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("counter.lua"), COUNTER).unwrap();
    // The node that stops is the only one that the session was told of.
    let mut session = Session::start(&nodes[0].address().to_string(), home.path());
    assert!(
        session
            .line("register module 'counter.lua'")
            .contains("OK, 1 module added.")
    );
    let add = |session: &mut Session, number: usize| {
        let call = format!("execute counter.add('n', 1) on test.demo where PK = {number}");
        session.line(&call)
    };
    for number in 0..RECORDS {
        let printed = add(&mut session, number);
        assert!(printed.contains("| 1   |"), "{printed}");
    }
    let printed = session.line("show modules");
    assert_eq!(printed.matches("\"counter.lua\"").count(), 3, "{printed}");

    let mut gone = nodes.remove(0);
    gone.terminate().unwrap();
    assert!(gone.wait().unwrap().success());
    wait_until_formed(&nodes);
    for number in 0..RECORDS {
        let printed = add(&mut session, number);
        assert!(printed.contains("| 2   |"), "{printed}");
    }
    let printed = session.line("select * from test.demo");
    assert!(
        printed.contains(&format!("{RECORDS} rows in set")),
        "{printed}"
    );
    let printed = session.line("aggregate counter.count() on test.demo");
    assert!(printed.contains(&format!("| {RECORDS}    |")), "{printed}");
    let printed = session.line("show modules");
    assert_eq!(printed.matches("\"counter.lua\"").count(), 2, "{printed}");
    assert_eq!(session.end(), 0);

    // The other tool calls functions too, and knows their names.
    let address = nodes[0].address().to_string();
    let asadm = |line: &str| {
        let output = Command::new(tests::program::path("asadm").unwrap())
            .args(["--no-config-file", "-h", &address, "--enable", "-e", line])
            .args(["--timeout", "60"])
            .output()
            .unwrap();
        (
            text(&output.stdout),
            text(&output.stderr),
            output.status.code(),
        )
    };
    let (out, err, status) = asadm("manage udfs run counter add on test.demo key 0 args n 5");
    assert_eq!((out.as_str(), status), ("7\n", Some(0)), "{err}");
    let (out, err, status) = asadm("show udfs counter");
    assert!(
        out.contains("add     |rec, bin, by|1") && out.contains("count   |stream"),
        "{out}{err}"
    );
    assert_eq!(status, Some(0));
    let (out, err, status) = asadm("manage udfs run counter nosuch on test.demo key 0");
    assert!(
        err.contains("ERROR: Failed to run counter.nosuch : function not found"),
        "{out}{err}"
    );
    assert_eq!(status, Some(2));
}

#[test]
fn a_session_at_a_terminal() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("counter.lua"), COUNTER).unwrap();
    fs::write(
        home.path().join("broken.lua"),
        "function f(\n  return 1\nend\n",
    )
    .unwrap();
    let mut shell = Shell::start_program("aql", &address, home.path(), &[], &[]);
    shell.wait_for("aql> ");

    // A mistake is shown with its column, and what may have been meant, which is not run.
    shell.line("select * form test");
    shell.wait_for("^ column 10");
    shell.wait_for("Did you mean FROM?");
    shell.wait_for("aql> ");
    shell.line("selct * from test");
    shell.wait_for("Did you mean SELECT?");
    shell.wait_for("aql> ");
    shell.line("select * from tset");
    shell.wait_for("Did you mean test?");
    shell.wait_for("aql> ");

    // A module that does not compile is named with its line.
    shell.line("register module 'broken.lua'");
    shell.wait_for("broken.lua:2: <name> or '...' expected near 'return'");
    shell.wait_for("2 |   return 1");
    shell.wait_for("aql> ");
    shell.line("register module 'counter.lua'");
    shell.wait_for("OK, 1 module added.");
    shell.wait_for("aql> ");

    // Statements, modules, functions, namespaces, sets and bins complete.
    shell.press("exec");
    shell.press(TAB);
    shell.wait_for("execute ");
    shell.press("cou");
    shell.press(TAB);
    shell.wait_for("counter.");
    shell.press("ad");
    shell.press(TAB);
    shell.wait_for("add(");
    shell.press("'visits', 7) on te");
    shell.press(TAB);
    shell.wait_for("test ");
    shell.press("\x08.demo where PK = 'k'");
    shell.press("\r");
    shell.wait_for("| 7   |");
    shell.wait_for("aql> ");
    // The whole error, with module and line.
    shell.line("execute counter.add('visits', 'x') on test.demo where PK = 'k'");
    shell.wait_for("counter.lua:2: attempt to add a 'number' with a 'string'");
    shell.wait_for("aql> ");
    shell.line("select * from test.demo");
    shell.wait_for("1 row in set");
    shell.wait_for("aql> ");
    shell.press("select vi");
    shell.press(TAB);
    shell.wait_for("visits ");
    shell.press("from test.de");
    shell.press(TAB);
    shell.wait_for("demo ");
    shell.press("\r");
    shell.wait_for("1 row in set");
    shell.wait_for("aql> ");

    // The history offers lines, by a hint and by the arrow.
    shell.press("register module 'c");
    shell.wait_for("ounter.lua'");
    shell.press(RIGHT);
    shell.press("\r");
    shell.wait_for("OK, 1 module added.");
    shell.wait_for("aql> ");
    shell.press(UP);
    shell.wait_for("register module 'counter.lua'");
    shell.press(CTRL_C);
    shell.wait_for("aql> ");
    // But never one with a password.
    for statement in [
        "create user joe pasword geheim1 role read",
        "set password geheim2 for joe",
    ] {
        shell.line(statement);
        shell.wait_for("(51)");
        shell.wait_for("aql> ");
    }
    shell.press(CTRL_D);
    assert_eq!(shell.end(), 0);
    let history = home.path().join(".aql_history");
    let lines = fs::read_to_string(&history).unwrap();
    assert!(lines.contains("select * from test.demo"), "{lines}");
    assert!(!lines.contains("geheim"), "{lines}");
    let mode = fs::metadata(&history).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn an_interrupt_ends_a_long_statement_here_and_on_the_server() {
    const RECORDS: usize = 3_000;
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("counter.lua"), COUNTER).unwrap();
    let inserts: String = (0..RECORDS)
        .map(|number| format!("insert into test.many (PK, n) values ({number}, {number})\n"))
        .collect();
    fs::write(home.path().join("many.aql"), inserts).unwrap();
    let filled = run(&address, home.path(), &["-T", "60000", "-f", "many.aql"]);
    let filled = text(&filled.stdout);
    assert_eq!(filled.matches("OK, 1 record affected.").count(), RECORDS);

    let running = |server: &server::Server| {
        let jobs = server.connect().unwrap().info("query-show").unwrap();
        jobs.contains("status=active")
    };
    let mut shell = Shell::start_program("aql", &address, home.path(), &[], &[]);
    shell.wait_for("aql> ");
    // As slow as the server can be told to be: it would take ten minutes.
    // What a statement says comes before the prompt that follows it; the one before is painted anew with each key.
    shell.line("set scan_records_per_second 5");
    shell.wait_for("SCAN_RECORDS_PER_SECOND = 5");
    shell.wait_for("aql> ");
    shell.line("select * from test.many");
    wait_until("the query runs", DEADLINE, || Ok(running(&server))).unwrap();
    tests::process::signal(shell.child.id(), "INT").unwrap();
    shell.wait_for("^C");
    shell.wait_for("aql> ");
    wait_until("the query ends", DEADLINE, || Ok(!running(&server))).unwrap();

    // The next statement is as if nothing had been.
    shell.line("reset scan_records_per_second");
    shell.wait_for("SCAN_RECORDS_PER_SECOND = 0");
    shell.wait_for("aql> ");
    shell.line("select n from test.many where PK = 7");
    shell.wait_for("1 row in set");
    shell.wait_for("aql> ");
    // A long result tells how far it is.
    shell.line("set output mute");
    shell.wait_for("OUTPUT = MUTE");
    shell.wait_for("aql> ");
    shell.line("select * from test.many");
    shell.wait_for("3000 rows in set");
    let screen = plain(&shell.screen.lock().unwrap());
    assert!(
        screen.contains("\r1000 rows") && screen.contains("\r3000 rows"),
        "{screen}"
    );
    shell.wait_for("aql> ");
    shell.press(CTRL_D);
    assert_eq!(shell.end(), 0);

    // A reader that has seen enough ends the program, quietly.
    let mut child = command(
        &address,
        home.path(),
        &["-T", "60000", "-c", "select * from test.many"],
    )
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.status.code(), text(&ended.stderr).as_str()),
        (Some(0), "")
    );
}

#[test]
fn a_run_as_one_document() {
    let server = server::start();
    // Seeds that are not there are passed over.
    let seeds = format!("127.0.0.1:1,{}", server.address());
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("counter.lua"), COUNTER).unwrap();
    let ran = run(
        &seeds,
        home.path(),
        &[
            "--format",
            "json",
            "--strict",
            "-c",
            "register module 'counter.lua'; execute counter.add('n', 7) on test.demo where PK = 'k'; \
             select * from test.demo; get echo; select * form test; create user a password geheim role b; show namespaces",
        ],
    );
    let mut document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    // What differs from run to run.
    for statement in document["statements"].as_array_mut().unwrap() {
        for result in statement
            .get_mut("results")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            assert!(result["seconds"].is_f64(), "{result}");
            result.as_object_mut().unwrap().remove("seconds");
        }
    }
    assert_eq!(ran.status.code(), Some(2));
    assert_eq!(document["version"], 1);
    assert_eq!(document["exit_status"], 2);
    let address = server.address().to_string();
    let statements = document["statements"].as_array().unwrap();
    let expected = [
        json!({ "statement": "register module 'counter.lua'", "message": "1 module added.", "failed": false }),
        json!({
            "statement": "execute counter.add('n', 7) on test.demo where PK = 'k'",
            "results": [{ "rows": [{ "bins": { "add": 7 } }] }],
            "failed": false,
        }),
        json!({
            "statement": "select * from test.demo",
            "results": [{ "rows": [{ "bins": { "n": 7 } }] }],
            "failed": false,
        }),
        json!({ "statement": "get echo", "text": "ECHO = true\n", "failed": false }),
        json!({
            "statement": "select * form test",
            "error": {
                "code": -1,
                "text": "Unsupported command format with token -  'form'",
                "column": 10,
                "did_you_mean": "FROM",
            },
            "failed": true,
        }),
        json!({
            "statement": "create user a password *** role b",
            "error": { "code": 51, "text": "AEROSPIKE_SECURITY_NOT_SUPPORTED" },
            "failed": true,
        }),
        json!({
            "statement": "show namespaces",
            "results": [{
                "rows": [{ "bins": { "namespaces": "test" } }, { "bins": { "namespaces": "bar" } }],
                "node": address,
            }],
            "failed": false,
        }),
    ];
    for (statement, expected) in statements.iter().zip(&expected) {
        assert_eq!(statement, expected);
    }
    assert_eq!(statements.len(), expected.len());

    let refused = run(
        "127.0.0.1:1",
        home.path(),
        &["--format", "json", "-c", "get echo"],
    );
    let document: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(document["exit_status"], 255);
    assert_eq!(document["statements"], json!([]));
    assert_eq!(document["messages"][0]["level"], "error");
}

#[test]
fn records_are_printed_as_statements_that_make_them_again() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let made = "insert into test.kinds (PK, a, b, c, d, e) values ('k 1', 1, -2.5, 'it is \"x\"', true, BLOB('01 FF')); \
                insert into test.kinds (PK, l, m, o, g) values (2, LIST('[1, [\"x\", null], {\"a\": 1.5}]'), MAP('{1: BLOB(\"00\"), \"z\": inf}'), \
                KEY_ORDERED_MAP('{\"b\": 1, \"a\": 2}'), GEOJSON('{\"type\":\"Point\",\"coordinates\":[1,2]}')); \
                insert into test.kinds (PK, text) values (ESCAPED('a\\x27b\\x22'), ESCAPED('line\\nline\\xff'))";
    let print = |words: &[&str]| {
        let ran = run(&address, home.path(), words);
        assert_eq!(text(&ran.stderr), "", "{words:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let printed = print(&["-c", made]);
    assert_eq!(
        printed.matches("OK, 1 record affected.").count(),
        3,
        "{printed}"
    );
    let dump = ["-o", "insert", "-c", "select * from test.kinds"];
    let first = print(&dump);
    assert_eq!(
        first.matches("INSERT INTO test.kinds (PK, ").count(),
        3,
        "{first}"
    );
    fs::write(home.path().join("dump.aql"), &first).unwrap();
    print(&["-c", "truncate test.kinds"]);
    let statements = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| line.starts_with("INSERT"))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    wait_until("the set is empty", DEADLINE, || {
        Ok(statements(&print(&dump)).is_empty())
    })
    .unwrap();
    print(&["-f", "dump.aql"]);
    assert_eq!(statements(&print(&dump)), statements(&first));
}

#[test]
fn what_is_passed_over_is_told_to_those_who_want_to_know() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("a.conf");
    fs::write(&config, "[aql]\ntimeout = 5000\noutputmode = \"tabel\"\n").unwrap();
    let config = config.to_str().unwrap();
    for (words, told) in [
        (
            &["-C", config][..],
            format!("aql: {config}:3: outputmode `tabel` is not known"),
        ),
        (
            &["-o", "jason"],
            "aql: --outputmode: outputmode `jason` is not known".to_owned(),
        ),
        (
            &["-T", "soon"],
            "aql: --timeout `soon` is no number of milliseconds".to_owned(),
        ),
    ] {
        let strict = run(
            &address,
            home.path(),
            &[words, &["--strict", "-c", "get output"]].concat(),
        );
        assert!(
            text(&strict.stderr).starts_with(&told),
            "{}",
            text(&strict.stderr)
        );
        assert_eq!(
            (strict.status.code(), text(&strict.stdout).as_str()),
            (Some(255), "")
        );
        // Else it is as in the original.
        let plain = run(
            &address,
            home.path(),
            &[words, &["-c", "get output"]].concat(),
        );
        assert_eq!(text(&plain.stdout), "get output\nOUTPUT = TABLE\n\n");
        assert_eq!(
            (plain.status.code(), text(&plain.stderr).as_str()),
            (Some(0), "")
        );
    }
    for (setting, statement, told) in [
        (
            "record_ttl 5000000000",
            "insert into test (PK, a) values (1, 1)",
            "RECORD_TTL is 5000000000, expected",
        ),
        (
            "record_ttl -4",
            "insert into test (PK, a) values (1, 1)",
            "RECORD_TTL is -4, expected",
        ),
        (
            "scan_records_per_second 5000000000",
            "select * from test",
            "SCAN_RECORDS_PER_SECOND is 5000000000, expected",
        ),
    ] {
        let ran = run(
            &address,
            home.path(),
            &["-c", &format!("set {setting}; {statement}")],
        );
        let err = text(&ran.stderr);
        assert!(err.starts_with(&format!("Error: (-1) {told}")), "{err}");
    }
}

#[test]
fn a_module_that_will_fail_is_not_registered_when_modules_are_checked() {
    let server = server::start();
    let address = server.address().to_string();
    let home = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(home.path().join(name), text).unwrap();
    write("bad.lua", "function f(rec)\n  return totl\nend\n");
    write("good.lua", "local left = 1\n");
    let register = |name: &str| {
        let command = format!("register module '{name}'");
        run(
            &address,
            home.path(),
            &["--check", "--strict", "-c", &command],
        )
    };
    let refused = register("bad.lua");
    let told = text(&refused.stderr);
    assert!(!refused.status.success(), "{told}");
    for expected in [
        "bad.lua:2:10: error: nothing defines `totl` [undefined-name]",
        "bad.lua is not registered: the check found what will fail",
    ] {
        assert!(told.contains(expected), "{told}");
    }
    let done = register("good.lua");
    let told = text(&done.stderr);
    assert!(done.status.success(), "{told}");
    assert!(
        told.contains("nothing uses `left` [unused-local]"),
        "{told}"
    );
    let mut connection = server.running.connect().unwrap();
    let list = connection.info("udf-list").unwrap();
    assert!(list.starts_with("filename=good.lua,"), "{list}");
}
