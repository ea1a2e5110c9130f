//! A server process that says where it listens and is killed when dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a server may take to say where it listens, and to end after it was told to.
pub const PROCESS_DEADLINE: Duration = Duration::from_secs(180);

/// How often a condition is looked at while waiting for it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running server.
#[derive(Debug)]
pub struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts a command that prints `listening on <address>` once it can be used.
    ///
    /// Errors: it does not start, or does not print that within [`PROCESS_DEADLINE`]; the text says what it printed.
    pub fn start(mut command: Command) -> Result<Self> {
        let started = Instant::now();
        let (sender, receiver) = mpsc::channel();
        // From here on a failure drops the process, which ends it.
        let mut process = Self {
            child: spawn(&mut command)?,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        // Both pipes are drained for as long as the process lives, so that it never blocks on them.
        if let Some(stdout) = process.child.stdout.take() {
            let sender = sender.clone();
            thread::spawn(move || forward_lines(stdout, &sender));
        }
        if let Some(stderr) = process.child.stderr.take() {
            thread::spawn(move || forward_lines(stderr, &sender));
        }
        let mut said = Vec::new();
        loop {
            let left = PROCESS_DEADLINE.saturating_sub(started.elapsed());
            let Ok(line) = receiver.recv_timeout(left) else {
                return Err(Error::Unexpected(format!(
                    "{command:?} did not say where it listens, but {said:#?}"
                )));
            };
            if let Some(address) = address_in(&line) {
                process.address = address;
                return Ok(process);
            }
            said.push(line);
        }
    }

    /// Where it listens for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, as an operator does.
    pub fn terminate(&self) -> Result<()> {
        self.signal("TERM")
    }

    /// Stops it in its tracks, until [`Process::resume`].
    pub fn freeze(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name)
    }

    /// Waits for its end, at most [`PROCESS_DEADLINE`].
    pub fn wait(&mut self) -> Result<ExitStatus> {
        wait(&mut self.child)
    }

    /// Ends it at once, in the middle of whatever it does.
    pub fn kill(&mut self) -> Result<()> {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .map(|_| ())
            .map_err(Error::io("kill the server"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell about anything else.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A process that ended by itself.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
}

/// Runs a command that is expected to end by itself soon, and to say little.
pub fn run_to_end(mut command: Command) -> Result<Ended> {
    let mut child = spawn(&mut command)?;
    let status = wait(&mut child);
    if status.is_err() {
        // It runs although it should have ended; not leaving it behind matters more than how that goes.
        child.kill().ok();
        child.wait().ok();
    }
    let mut ended = Ended {
        status: status?,
        stdout: String::new(),
        stderr: String::new(),
    };
    if let Some(mut stdout) = child.stdout {
        stdout
            .read_to_string(&mut ended.stdout)
            .map_err(Error::io("read standard output"))?;
    }
    if let Some(mut stderr) = child.stderr {
        stderr
            .read_to_string(&mut ended.stderr)
            .map_err(Error::io("read standard error"))?;
    }
    Ok(ended)
}

fn spawn(command: &mut Command) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::io(format!("start {command:?}")))
}

fn wait(child: &mut Child) -> Result<ExitStatus> {
    let started = Instant::now();
    loop {
        match child.try_wait().map_err(Error::io("wait for the server"))? {
            Some(status) => return Ok(status),
            None if started.elapsed() > PROCESS_DEADLINE => {
                return Err(Error::Unexpected(format!(
                    "the process still runs after {PROCESS_DEADLINE:?}"
                )));
            }
            None => thread::sleep(POLL_INTERVAL),
        }
    }
}

fn forward_lines(pipe: impl Read, sender: &mpsc::Sender<String>) {
    for line in BufReader::new(pipe).lines().map_while(|line| line.ok()) {
        // Nobody listens any more once the address is known.
        sender.send(line).ok();
    }
}

/// The address behind the words `listening on`, when the line has one.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split(|c: char| c.is_whitespace() || c == ',' || c == ';')
        .next()?
        .parse()
        .ok()
}

/// Waits until a condition holds.
///
/// Errors: the condition's own, or that it did not hold within `deadline`; `what` names it.
pub fn wait_until(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        if started.elapsed() > deadline {
            return Err(Error::Unexpected(format!(
                "not within {deadline:?}: {what}"
            )));
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Sends a signal, `INT` or another.
///
/// # Errors
/// There is no such process.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} \"$0\""))
        .arg(pid.to_string())
        .status()
        .map_err(Error::io("run kill"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Unexpected(format!("kill ended with {status}")))
    }
}
