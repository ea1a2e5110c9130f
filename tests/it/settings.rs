//! Settings of the configuration file that show from outside.

use std::time::Duration;

use tests::process::wait_until;

use crate::server;

const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn idle_connections_are_closed_when_the_settings_say_so() {
    let server = server::start_with(|asd| asd.service("proto-fd-idle-ms 50"));
    let mut idle = server.connect().unwrap();
    assert_eq!(idle.info("status").unwrap(), "ok");
    assert!(idle.receive().unwrap_err().is_disconnect());
    let statistics = server.connect().unwrap().info("statistics").unwrap();
    assert!(statistics.contains(";reaped_fds=1;"), "{statistics}");
}

#[test]
fn the_process_id_is_in_its_file_while_the_server_runs() {
    let (directory, asd) = server::prepare();
    let pidfile = directory.path().join("asd.pid");
    let mut running = asd
        .service(&format!("pidfile {}", pidfile.display()))
        .start()
        .unwrap();
    let written = std::fs::read_to_string(&pidfile).unwrap();
    assert_eq!(written.trim(), running.pid().to_string());
    running.terminate().unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert!(!pidfile.exists());
}

#[test]
fn a_node_keeps_its_identity_over_a_restart_on_another_port() {
    let (_directory, asd) = server::prepare();
    let identity = || {
        let running = asd.start().unwrap();
        running.connect().unwrap().info("node").unwrap()
    };
    let first = identity();
    assert!(first.starts_with("BB9"), "{first}");
    assert_eq!(identity(), first);
}

#[test]
fn each_setting_without_effect_has_one_line_in_the_log_with_its_consequence() {
    let server = server::start_with(|asd| {
        asd.service("batch-index-threads 9")
            .service("enable-health-check true")
    });
    let found = || {
        let log = server.log();
        log.lines()
            .filter(|line| line.contains("without effect"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    wait_until("both lines are in the log", PATIENCE, || {
        Ok(found().len() >= 2)
    })
    .unwrap();
    let lines = found();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for (line, parts) in lines.iter().zip([
        [
            "service: batch-index-threads: without effect: ",
            "service-threads",
        ],
        [
            "service: enable-health-check: without effect: ",
            "is not measured",
        ],
    ]) {
        assert!(line.contains("WARNING (config)"), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}

#[test]
fn the_ticker_ends_latency_slices_and_levels_change_at_any_time() {
    let server = server::start_with(|asd| asd.service("ticker-interval 1"));
    let mut connection = server.connect().unwrap();
    let module = b"function f(rec) return 1 end";
    assert_eq!(
        tests::records::put_module(&mut connection, "f.lua", module).unwrap(),
        "ok"
    );
    let record = tests::records::RecordKey::new("test", "demo", "k");
    wait_until("a slice holds a call", PATIENCE, || {
        let frame = record.apply(b"f", b"f", &[0x90], tests::records::CallOptions::default())?;
        connection.message(&frame)?;
        let answer = connection.info("latencies:hist={test}-udf")?;
        Ok(answer.starts_with("{test}-udf:msec,") && !answer.contains("msec,0.0,"))
    })
    .unwrap();
    assert_eq!(connection.info("log-set:id=0;any=critical").unwrap(), "ok");
    assert!(connection.info("log/0").unwrap().contains(";udf:CRITICAL;"));
}

#[test]
fn lines_of_scripts_carry_their_own_position_in_the_layout_of_the_reference() {
    let server = server::start();
    let mut connection = server.connect().unwrap();
    let module = b"function f(rec)\n  warn('seen %d', 7)\n  return 1\nend";
    assert_eq!(
        tests::records::put_module(&mut connection, "lines.lua", module).unwrap(),
        "ok"
    );
    let record = tests::records::RecordKey::new("test", "demo", "k");
    let frame = record
        .apply(
            b"lines",
            b"f",
            &[0x90],
            tests::records::CallOptions::default(),
        )
        .unwrap();
    connection.message(&frame).unwrap();
    wait_until("the line is in the log", PATIENCE, || {
        Ok(server.log().contains("seen 7"))
    })
    .unwrap();
    let log = server.log();
    let line = log
        .lines()
        .find(|line| line.contains("seen 7"))
        .unwrap_or_else(|| panic!("{log}"));
    let (time, rest) = line
        .split_once(" GMT: WARNING (udf): (")
        .unwrap_or_else(|| panic!("{line}"));
    assert_eq!(time.len(), "Nov 25 2026 03:00:00".len(), "{line}");
    assert!(rest.ends_with("/lines.lua:2) seen 7"), "{line}");
}
