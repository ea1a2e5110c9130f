//! What starts a server and waits for it: unit files, images, wait scripts, jobs of CI systems.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tests::connection::Connection;
use tests::process::{PROCESS_DEADLINE, run_to_end, signal, wait_until};

use crate::server;

fn json_file(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Whether a process is there.
fn lives(pid: u64) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

#[test]
fn the_line_that_scripts_wait_for_is_in_the_log_once_clients_are_served() {
    let server = server::start();
    let told = |log: &str| {
        log.lines().any(|line| {
            line.contains("INFO (as): ")
                && line.ends_with("service ready: soon there will be cake!")
        })
    };
    wait_until("the line is in the log", PROCESS_DEADLINE, || {
        Ok(told(&server.log()))
    })
    .unwrap();
    let log = server.log();
    for part in [
        "Aerospike Community Edition build 8.1.2.0",
        "aerospike.conf",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(
        log.contains(&format!("clients are served on {}", server.address())),
        "{log}"
    );
}

#[test]
fn options_of_unit_files_and_images_are_accepted() {
    for words in [
        &["--fgdaemon"][..],
        &["--foreground"],
        &["--cold-start"],
        &["--early-verbose"],
        &["--instance", "1"],
        &["--early", "--fgd"],
    ] {
        let server =
            server::start_with(|asd| words.iter().fold(asd, |asd, word| asd.argument(*word)));
        assert_eq!(
            server.connect().unwrap().info("status").unwrap(),
            "ok",
            "{words:?}"
        );
    }
    let (_directory, asd) = server::prepare();
    let refused = asd
        .argument("--instance")
        .argument("16")
        .run_to_refusal()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn the_version_names_the_edition_first() {
    let mut command = Command::new(server::program());
    command.arg("--version");
    let ended = run_to_end(command).unwrap();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "Aerospike Community Edition build 8.1.2.0");
    assert!(lines[1].starts_with("asd "), "{lines:?}");
    assert_eq!(lines.len(), 2);
}

#[test]
fn a_port_file_names_addresses_and_process_and_goes_with_the_server() {
    let (directory, asd) = server::prepare();
    let path = directory.path().join("ports.json");
    let mut running = asd.argument("--port-file").argument(&path).start().unwrap();
    let document = json_file(&path);
    assert_eq!(document["addresses"][0], running.address().to_string());
    assert_eq!(document["pid"], running.pid());
    assert_eq!(document["nodes"].as_array().unwrap().len(), 1);
    running.terminate().unwrap();
    assert!(running.wait().unwrap().success());
    assert!(!path.exists());
    let nowhere = directory.path().join("no/such");
    let (_directory, asd) = server::prepare();
    let refused = asd
        .argument("--port-file")
        .argument(&nowhere)
        .run_to_refusal()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("cannot write the port file"),
        "{refused:?}"
    );
}

#[test]
fn throw_away_clusters_print_one_json_line_serve_modules_and_leave_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let modules = tempfile::tempdir().unwrap();
    // `app` needs `base`, which comes after it by name.
    fs::write(
        modules.path().join("app.lua"),
        "local base = require('base')\nfunction answer(rec) return base.number end",
    )
    .unwrap();
    fs::write(modules.path().join("base.lua"), "return { number = 42 }").unwrap();
    fs::write(modules.path().join("notes.txt"), "not Lua").unwrap();
    let start = || {
        Command::new(server::program())
            .args(["--nodes", "2", "--ready-json", "--modules"])
            .arg(modules.path())
            .env("TMPDIR", temporary.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let left = || fs::read_dir(temporary.path()).unwrap().count();
    let mut child = start();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let document: Value = serde_json::from_str(&line).unwrap();
    let addresses: BTreeSet<&str> = document["addresses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|address| address.as_str().unwrap())
        .collect();
    assert_eq!(addresses.len(), 2, "{document}");
    for address in addresses {
        let list = Connection::open(address.parse().unwrap())
            .unwrap()
            .info("udf-list")
            .unwrap();
        assert!(
            list.contains("filename=app.lua") && list.contains("filename=base.lua"),
            "{list}"
        );
    }
    assert_eq!(left(), 1);
    // A killed process leaves its state; the next start removes it.
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(left(), 1);
    let mut child = start();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(
        left(),
        1,
        "the state of the process that was killed is still there"
    );
    signal(child.id(), "TERM").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(left(), 0);
}

#[test]
fn a_module_that_does_not_load_refuses_the_start_and_is_named() {
    for (source, expected) in [
        ("function broken(", "bad.lua: line 1: "),
        ("local other = require('not_there')", "bad.lua: "),
    ] {
        let modules = tempfile::tempdir().unwrap();
        fs::write(modules.path().join("bad.lua"), source).unwrap();
        fs::write(modules.path().join("good.lua"), "return 1").unwrap();
        let (_directory, asd) = server::prepare();
        let refused = asd
            .argument("--modules")
            .argument(modules.path())
            .run_to_refusal()
            .unwrap();
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(refused.stderr.contains(expected), "{refused:?}");
        assert!(!refused.stderr.contains("good.lua"), "{refused:?}");
    }
}

#[test]
fn a_server_that_is_told_to_ends_with_its_parent() {
    let (directory, asd) = server::prepare();
    let path = directory.path().join("ports.json");
    asd.run_to_end("refused").unwrap();
    let config = asd.config_file();
    fs::write(&config, asd.text()).unwrap();
    // A shell that starts the server and stays until it is killed.
    let mut parent = Command::new("sh")
        .arg("-c")
        .arg("\"$0\" --config-file \"$1\" --port-file \"$2\" --end-with-parent & wait")
        .args([
            server::program().as_os_str(),
            config.as_os_str(),
            path.as_os_str(),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until(
        "the server is ready",
        PROCESS_DEADLINE,
        || Ok(path.exists()),
    )
    .unwrap();
    let pid = json_file(&path)["pid"].as_u64().unwrap();
    assert!(lives(pid));
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until(
        "the server has ended in order",
        Duration::from_secs(180),
        || Ok(!path.exists()),
    )
    .unwrap();
}

#[test]
fn addresses_that_are_wrong_are_refused_with_file_line_and_key() {
    let (_directory, asd) = server::prepare();
    let text = "service {\n  work-directory /tmp\n}\nnetwork {\n  service {\n    address no-such-host.invalid\n    port 0\n  }\n}\nnamespace test {}\n";
    let ended = asd.run_to_end(text).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let expected = "aerospike.conf:6: network: service.address: `no-such-host.invalid` is no interface of this machine";
    assert!(ended.stderr.contains(expected), "{ended:?}");
}

#[test]
fn a_user_that_cannot_be_had_is_refused_with_file_line_and_key() {
    let (_directory, asd) = server::prepare();
    let text = "service {\n  work-directory /tmp\n  user no-such-user\n}\nnetwork { service { port 0 } }\nnamespace test {}\n";
    let ended = asd.run_to_end(text).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let expected = "aerospike.conf:3: service: user: the system knows no `no-such-user`";
    assert!(ended.stderr.contains(expected), "{ended:?}");
}

#[test]
fn root_becomes_the_user_and_group_that_are_configured() {
    let (directory, asd) = server::prepare();
    let own = fs::metadata(directory.path()).unwrap();
    let own = std::os::unix::fs::MetadataExt::uid(&own);
    let path = directory.path().join("ports.json");
    if own != 0 {
        // Only root can become somebody else: anybody else is told so.
        let refused = asd.service("user root").run_to_refusal().unwrap();
        assert!(
            refused.stderr.contains("only root can become `root`"),
            "{refused:?}"
        );
        return;
    }
    fs::set_permissions(
        directory.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let asd = asd
        .service("user nobody")
        .service("group 65534")
        .argument("--port-file")
        .argument(&path);
    let running = asd.start().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    for (line, id) in [("Uid:", "65534"), ("Gid:", "65534")] {
        let found = status
            .lines()
            .find(|found| found.starts_with(line))
            .unwrap();
        assert!(
            found.split_whitespace().skip(1).all(|found| found == id),
            "{found}"
        );
    }
}
