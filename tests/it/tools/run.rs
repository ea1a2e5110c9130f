//! Running a case's program.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use tests::terminal::Terminal;
use tokio::runtime;

use super::case::Case;
use super::frozen::{Answers, Frozen};
use super::loopback::Loopback;
use super::shape::{has_effect, normalise};

/// No case takes longer.
const LIMIT: Duration = Duration::from_secs(180);

static CODE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"by typing (?:\x1b\[[0-9;]*m)*([0-9a-fx]{1,6})(?:\x1b\[[0-9;]*m)*, or cancel")
        .unwrap()
});

/// What came of it, with the addresses of the recording.
pub(super) struct Ran {
    pub(super) stdout: String,
    pub(super) rc: String,
    pub(super) out_files: BTreeMap<String, String>,
    /// `node request` of those that change something, by node, in order.
    pub(super) sent: Vec<String>,
}

pub(super) fn run(case: &Case, answers: &Answers, loopback: &Arc<Loopback>) -> Ran {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let frozen = Frozen::start(&runtime, answers, &case.cluster, loopback);
    let base = tempfile::tempdir().unwrap();
    let (work, home) = (base.path().join("work"), base.path().join("home"));
    for directory in [&work, &home] {
        fs::create_dir(directory).unwrap();
    }
    for (name, text) in case.files.iter().chain(&case.config_files) {
        let path = match name.strip_prefix("~/") {
            Some(name) => home.join(name),
            None => work.join(name),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, loopback.enter(text)).unwrap();
    }
    let (program, words) = case.argv.split_first().unwrap();
    let program = match program.as_str() {
        "asinfo" => "asinfo",
        _ => "asadm",
    };
    let mut command = Command::new(tests::program::path(program).unwrap());
    let faults = case.cluster.to_string();
    let slow = case.cluster["slow_ms"].as_object().into_iter().flatten();
    let slowest = slow.filter_map(|(_, ms)| ms.as_u64()).max();
    if words.iter().any(|word| word == "--timeout") || slowest > Some(1000) {
        // The case is of the limit.
    } else if faults.contains("silent") {
        // Who is silent is waited for.
        command.args(["--timeout", "5"]);
    } else {
        command.args(tests::program::patient(program));
    }
    command
        .args(words.iter().map(|word| loopback.enter(word)))
        .current_dir(&work)
        .env_clear()
        .envs([
            ("LANG", "C.UTF-8"),
            ("TERM", "xterm-256color"),
            ("TZ", "UTC"),
        ])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &home)
        .envs(
            case.env
                .iter()
                .map(|(name, text)| (name, loopback.enter(text))),
        );
    let (stdout, rc) = execute(command, case, loopback);

    let mut sent: Vec<_> = frozen
        .asked()
        .into_iter()
        .filter(|(_, request)| has_effect(request))
        .collect();
    sent.sort_by(|(left, _), (right, _)| left.cmp(right));
    let tidy = |text: &str| {
        let text = text.replace(home.to_str().unwrap(), "<home>");
        let text = text.replace(work.to_str().unwrap(), "<cwd>");
        let text = by_recorded_address(&loopback.leave(&text));
        normalise(&text, &case.compare)
    };
    Ran {
        stdout: tidy(&stdout),
        rc,
        out_files: case
            .out_files
            .keys()
            .filter_map(|name| {
                Some((
                    name.clone(),
                    tidy(&fs::read_to_string(work.join(name)).ok()?),
                ))
            })
            .collect(),
        sent: sent
            .into_iter()
            .map(|(node, request)| format!("{node} {request}"))
            .collect(),
    }
}

/// The table that is sorted by address, sorted by the recorded ones.
fn by_recorded_address(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if text.starts_with("~IP to NODE-ID")
        && let Some(end) = lines.iter().position(|line| line.starts_with("Number of"))
        && let Some(rows) = lines.get_mut(2..end)
    {
        rows.sort_unstable();
    }
    lines.concat()
}

/// Kills the program when it is left.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Standard output and exit status.
fn execute(mut command: Command, case: &Case, loopback: &Loopback) -> (String, String) {
    command.stderr(Stdio::piped());
    let terminal = case.tty.then(|| Terminal::open().unwrap());
    match &terminal {
        Some(terminal) => {
            let inner = || Stdio::from(terminal.inner.try_clone().unwrap());
            command.stdin(inner()).stdout(inner());
        }
        None if case.stdin.is_some() || case.confirm => {
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
        }
        None => {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
        }
    }
    let mut running = Running(command.spawn().unwrap());
    drop(command);
    let child = &mut running.0;
    let mut errors = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        // What it says there is not compared.
        let _ = errors.read_to_end(&mut text);
    });
    let (mut input, output): (Option<Box<dyn Write>>, Box<dyn Read + Send>) = match terminal {
        Some(Terminal { outer, inner }) => {
            drop(inner);
            (Some(Box::new(outer.try_clone().unwrap())), Box::new(outer))
        }
        None => {
            let stdin = child.stdin.take();
            (
                stdin.map(|stdin| Box::new(stdin) as _),
                Box::new(child.stdout.take().unwrap()),
            )
        }
    };
    if let (Some(text), Some(input)) = (&case.stdin, &mut input) {
        // A program that has already left does not read.
        let _ = input.write_all(loopback.enter(text).as_bytes());
    }
    if !case.confirm && !case.tty {
        input = None;
    }
    let end = Instant::now() + LIMIT;
    let stdout = read(output, input, case.confirm, end);
    let rc = loop {
        match child.try_wait().unwrap() {
            Some(status) => {
                break status
                    .code()
                    .map_or("signal".to_owned(), |code| code.to_string());
            }
            None if Instant::now() > end => break "timeout".to_owned(),
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    drop(running);
    errors.join().unwrap();
    (stdout, rc)
}

/// All output, answering the question for a code.
fn read(
    mut output: Box<dyn Read + Send>,
    mut input: Option<Box<dyn Write>>,
    confirm: bool,
    end: Instant,
) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        // A terminal whose other end is gone gives an error.
        while let Ok(size @ 1..) = output.read(&mut chunk) {
            if sender.send(chunk[..size].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut stdout = Vec::new();
    let mut answered = !confirm;
    while let Ok(chunk) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        stdout.extend(chunk);
        if !answered
            && let Some(code) = CODE.captures(&String::from_utf8_lossy(&stdout))
            && let Some(keyboard) = &mut input
        {
            let _ = writeln!(keyboard, "{}", &code[1]);
            answered = true;
        }
    }
    String::from_utf8_lossy(&stdout).into_owned()
}
