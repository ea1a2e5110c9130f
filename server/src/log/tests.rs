//! What ends up in a log file.

use tracing_subscriber::layer::SubscriberExt;

use super::{Level, Levels, Log, SCRIPT_UDF, context_position, line};
use crate::log::target::{LogSink, LogTarget};

/// The lines that `work` leaves in a log file of these levels, without their times.
fn lines(levels: Levels, work: impl FnOnce(&Log, &std::path::Path)) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("asd.log");
    let sink = LogSink {
        target: LogTarget::File(path.clone()),
        levels,
    };
    let log = Log::open(&[sink], false).unwrap();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::with_default(subscriber, || work(&log, &path));
    assert!(log.flush(std::time::Duration::from_secs(60)));
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines()
        .map(|line| line.split_once(" GMT: ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn writes_the_layout_of_the_reference() {
    let found = lines(Levels::new(Level::Detail), |_, _| {
        tracing::info!(target: "udf", "module `a.lua` registered");
        tracing::warn!(target: "nsup", objects = 3, name = "x", "removed");
        tracing::trace!(target: "exp", "a\nb\r{}", "é".repeat(4_000));
        tracing::error!(target: "no such context", "c");
        tracing::debug!(target: SCRIPT_UDF, "(m.lua:3) hello");
        tracing::info!("from a module");
    });
    let here = |line: &str| {
        line.split_once(": (tests.rs:")
            .map(|(head, _)| head.to_owned())
    };
    assert_eq!(here(&found[0]).as_deref(), Some("INFO (udf)"));
    assert!(found[0].ends_with(") module `a.lua` registered"));
    assert_eq!(here(&found[1]).as_deref(), Some("WARNING (nsup)"));
    assert!(
        found[1].ends_with(") removed objects=3 name=x"),
        "{}",
        found[1]
    );
    assert_eq!(here(&found[2]).as_deref(), Some("DETAIL (exp)"));
    assert!(found[2].contains("a\\nb\\ré"));
    assert!(found[2].len() <= 4_095);
    assert_eq!(here(&found[3]).as_deref(), Some("CRITICAL (misc)"));
    assert_eq!(found[4], "DEBUG (udf): (m.lua:3) hello");
    assert_eq!(here(&found[5]).as_deref(), Some("INFO (as)"));
    assert_eq!(found.len(), 6);
}

#[test]
fn one_place_logs_so_often_and_says_what_it_leaves_out() {
    let mut counts = (0, 0);
    let found = lines(Levels::new(Level::Info), |log, _| {
        for number in 0..3_000 {
            tracing::info!("caused by a peer: {number}");
        }
        tracing::info!("another place");
        counts = (log.left_out(), log.dropped());
    });
    assert!(counts.0 > 0 && counts.0 <= 2_000, "{counts:?}");
    assert_eq!(counts.1, 0);
    let of = |text: &str| found.iter().filter(|line| line.contains(text)).count() as u64;
    assert_eq!(of("caused by a peer"), 3_000 - counts.0);
    assert_eq!(of("another place"), 1);
    let told: u64 = found
        .iter()
        .filter(|line| line.contains("were left out"))
        .map(|line| {
            line.split_whitespace()
                .nth(2)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(told, counts.0, "{:?}", found.last());
}

#[test]
fn a_sink_that_takes_nothing_delays_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    // A reader that never reads.
    let reader = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let sink = LogSink {
        target: LogTarget::File(path),
        levels: Levels::new(Level::Info),
    };
    let log = Log::open(&[sink], false).unwrap();
    let subscriber = tracing_subscriber::registry().with(log.clone());
    tracing::subscriber::with_default(subscriber, || {
        let text = "x".repeat(4_000);
        // Each from a place of its own, as far as the rate goes.
        macro_rules! places { ($($number:literal)*) => { $( for _ in 0..900 { tracing::info!("{} {text}", $number); } )* } }
        places!(1 2 3);
    });
    assert!(log.dropped() > 0, "the queue has a limit");
    assert!(!log.flush(std::time::Duration::from_millis(1)));
    drop(log);
    drop(reader);
}

#[test]
fn nothing_in_a_line_gives_orders_to_a_terminal() {
    let found = lines(Levels::new(Level::Info), |_, _| {
        tracing::info!("a\x1b[31mb\u{9b}c\u{202e}d\u{2067}e\u{7f}\tf\nINFO (fake)");
    });
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with("a\\u{1b}[31mb\\u{9b}c\\u{202e}d\\u{2067}e\\u{7f}\tf\\nINFO (fake)"),
        "{}",
        found[0]
    );
}

#[test]
fn levels_count_for_each_context_and_change_at_any_time() {
    let udf = context_position("udf").unwrap();
    let found = lines(Levels::new(Level::Warning), |log, _| {
        let debug = || tracing::debug!(target: "udf", "quiet");
        debug();
        tracing::info!(target: "info", "quiet");
        log.levels(0).unwrap().set(udf, Level::Debug);
        debug();
        tracing::info!(target: "info", "still quiet");
        log.levels(0).unwrap().set_all(Level::Critical);
        debug();
        assert!(log.levels(1).is_none());
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("DEBUG (udf): "));
}

#[test]
fn reopens_a_file_that_was_moved_away() {
    let found = lines(Levels::new(Level::Info), |log, path| {
        tracing::info!("before");
        std::fs::rename(path, path.with_extension("1")).unwrap();
        log.reopen().unwrap();
        tracing::info!("after");
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].ends_with("after"));
}

#[test]
fn names_a_file_that_it_cannot_open() {
    let sink = LogSink {
        target: LogTarget::File("no/such/dir/x.log".into()),
        levels: Levels::new(Level::Info),
    };
    let error = Log::open(&[sink], false).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot open the log file no/such/dir/x.log: "),
        "{error}"
    );
}

#[test]
fn writes_times_in_gmt() {
    let cases = [
        (0, false, "Jan 01 1970 00:00:00 GMT"),
        (951_782_400_000, false, "Feb 29 2000 00:00:00 GMT"),
        (1_795_575_600_123, false, "Nov 25 2026 03:00:00 GMT"),
        (1_795_575_600_123, true, "Nov 25 2026 03:00:00.123 GMT"),
        (4_107_542_399_000, false, "Feb 28 2100 23:59:59 GMT"),
        (4_107_542_400_000, false, "Mar 01 2100 00:00:00 GMT"),
        (253_402_300_799_999, true, "Dec 31 9999 23:59:59.999 GMT"),
        // The calendar has no later days.
        (253_402_300_800_000, false, "253402300800 GMT"),
        (u64::MAX, true, "18446744073709551.615 GMT"),
    ];
    for (unix_ms, millis, expected) in cases {
        let mut text = String::new();
        line::time(&mut text, unix_ms, millis);
        assert_eq!(text, expected);
    }
}
