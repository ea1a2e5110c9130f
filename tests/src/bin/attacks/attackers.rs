//! Connections that send one kind of input over and over.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::header::MessageType;
use protocol::message::{Info3, MESSAGE_HEADER_SIZE};
use tests::asd::RunningAsd;
use tests::connection::Connection;
use tests::error::{Error, Result};
use tests::process::wait_until;

use crate::kinds::{Answer, Kind, Until};

/// Connections that attack.
pub(crate) const ATTACKERS: usize = 4;

/// How long an index may take to be built, or jobs to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the result stands in the header of a message.
const RESULT: usize = 5;
const INFO3: usize = 3;

/// What came of the requests of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Answered; of what is pumped: written, and something was answered.
    answered: AtomicU64,
    /// Of those, refused.
    refused: AtomicU64,
    /// What was wrong last.
    last_error: Mutex<Option<Error>>,
}

impl Tally {
    fn note(&self, done: Result<Said>) {
        match done {
            Ok(said) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                let refused = u64::from(said == Said::Refused);
                self.refused.fetch_add(refused, Ordering::Relaxed);
            }
            Err(error) => {
                *self
                    .last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(error)
            }
        }
    }

    /// Requests, and how many of them were refused.
    ///
    /// # Errors
    /// None counted, so nothing was measured.
    pub(crate) fn requests(self, kind: &Kind) -> Result<(u64, u64)> {
        let (answered, refused) = (self.answered.into_inner(), self.refused.into_inner());
        let counted = match kind.is_served {
            true => answered - refused,
            false => answered,
        };
        if counted > 0 {
            return Ok((answered, refused));
        }
        let last = self.last_error.into_inner();
        let why = match last.unwrap_or_else(PoisonError::into_inner) {
            Some(error) => error.to_string(),
            None => "none failed".to_owned(),
        };
        let what = format!("no request counted, {refused} were refused; the last failure: {why}");
        Err(Error::Unexpected(what))
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Done,
    Refused,
}

/// What a frame says: a message by its result, an info answer by the words that begin refusals.
fn said(kind: MessageType, body: &[u8]) -> Said {
    let refused = match kind {
        MessageType::Info => {
            let text = String::from_utf8_lossy(body);
            let mut values = text.lines().filter_map(|line| line.split('\t').nth(1));
            values.any(|value| {
                ["ERROR", "FAIL", "error"]
                    .iter()
                    .any(|word| value.starts_with(word))
            })
        }
        _ => body.get(RESULT).is_none_or(|result| *result != 0),
    };
    match refused {
        true => Said::Refused,
        false => Said::Done,
    }
}

/// What the message says that ends a reply, which has a header and nothing else, or one that refuses; none: more comes.
fn last_said(body: &[u8]) -> Option<Said> {
    let header = body.last_chunk::<{ MESSAGE_HEADER_SIZE }>()?;
    if usize::from(header[0]) != MESSAGE_HEADER_SIZE {
        return None;
    }
    match header[RESULT] {
        0 if header[INFO3] & Info3::LAST.bits() != 0 => Some(Said::Done),
        0 => None,
        _ => Some(Said::Refused),
    }
}

/// Waits until an info command answers so.
fn wait_for(connection: &mut Connection, until: &Until) -> Result<()> {
    wait_until(until.command, PATIENCE, || {
        Ok((until.is_so)(&connection.info(until.command)?))
    })
}

/// Does what comes before a kind.
///
/// # Errors
/// Something of it is refused.
pub(crate) fn prepare(connection: &mut Connection, kind: &Kind) -> Result<()> {
    for frame in &kind.before {
        connection.send(frame)?;
        let (sort, body) = connection.receive()?;
        if said(sort, &body) == Said::Refused {
            let text = String::from_utf8_lossy(&body);
            let what = format!("what comes before `{}` was refused: {text:?}", kind.name);
            return Err(Error::Unexpected(what));
        }
    }
    match &kind.ready {
        Some(until) => wait_for(connection, until),
        None => Ok(()),
    }
}

/// Ends what goes on after a kind, and waits until it is over.
///
/// # Errors
/// It does not end: kinds that follow would be measured beside it.
pub(crate) fn end(connection: &mut Connection, kind: &Kind) -> Result<()> {
    if let Some(command) = kind.ended_by {
        connection.info(command)?;
    }
    match &kind.over {
        Some(until) => wait_for(connection, until),
        None => Ok(()),
    }
}

/// One connection's attack, until it is to stop.
pub(crate) fn attack(
    server: &RunningAsd,
    kind: &Kind,
    stop: &AtomicBool,
    tally: &Tally,
) -> Result<()> {
    let open = || -> Result<Connection> {
        let connection = server.connect()?;
        connection.set_deadline(Duration::from_secs(10))?;
        Ok(connection)
    };
    let mut connection = open()?;
    while !stop.load(Ordering::Relaxed) {
        if kind.answer == Answer::Pumped {
            pump(connection, kind, stop, tally)?;
            connection = open()?;
            continue;
        }
        let done = once(&mut connection, kind);
        // It was closed, as those are who want too much.
        let is_closed = done.is_err();
        tally.note(done);
        if is_closed || kind.answer == Answer::Left {
            connection = open()?;
        }
    }
    Ok(())
}

/// Sends once, and waits until it is answered.
fn once(connection: &mut Connection, kind: &Kind) -> Result<Said> {
    match kind.answer {
        Answer::Dribbled => {
            let mut bytes = kind.sent.chunks(1);
            bytes.try_for_each(|byte| connection.send(byte))?;
        }
        _ => connection.send(&kind.sent)?,
    }
    match kind.answer {
        Answer::Frame | Answer::Dribbled => {
            let (sort, body) = connection.receive()?;
            Ok(said(sort, &body))
        }
        Answer::Last => loop {
            let (_, body) = connection.receive()?;
            if let Some(said) = last_said(&body) {
                return Ok(said);
            }
        },
        Answer::Pumped | Answer::Left => Ok(Said::Done),
    }
}

/// Writes as fast as it may until it is to stop or the connection ends; another thread reads what comes.
fn pump(connection: Connection, kind: &Kind, stop: &AtomicBool, tally: &Tally) -> Result<()> {
    let mut reader = connection.second()?;
    let mut writer = connection;
    let read = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Until the other end is closed.
            while reader.skip().is_ok_and(|bytes| bytes > 0) {
                read.store(true, Ordering::Relaxed);
            }
        });
        while !stop.load(Ordering::Relaxed) {
            match writer.send(&kind.sent) {
                Ok(()) if read.load(Ordering::Relaxed) => tally.note(Ok(Said::Done)),
                Ok(()) => {}
                Err(error) => {
                    tally.note(Err(error));
                    break;
                }
            }
        }
        writer.close();
    });
    Ok(())
}
