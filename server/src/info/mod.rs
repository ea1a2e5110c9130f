//! Info commands: one table, a file for each family of handlers.
//!
//! ```text
//! body ── commands ─→ find in TABLE ─→ authorize ─→ handler writes the value, or returns an error that is written instead
//! ```
//!
//! To add a command: write its handler in the file of its family and give it a row in [`table`].

mod addresses;
mod cluster;
mod config;
mod connection;
mod distribution;
mod dump;
mod fields;
mod gauge;
pub(crate) mod identity;
mod jobs;
mod latencies;
mod logs;
mod mesh;
mod namespace;
mod namespace_gauges;
mod sindex;
mod statistics;
mod table;
mod ticker;
mod truncate;
pub mod udf;
mod udf_status;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use data::work::Meter;
use protocol::bounds::Fit as _;
use protocol::info::{Command, InfoError, Params, ReplyWriter, SUMMARY_COMMANDS};
use protocol::result_code::ResultCode;

pub(crate) use addresses::{alternate as alternate_addresses, standard as standard_addresses};
pub use connection::ConnectionState;
pub use table::{Class, InfoCommand, Place, table};
pub use ticker::run_ticker;

use crate::access::authorize;
use crate::catalogue::answer_by::AnswerBy;
use crate::modules::patience;
use crate::node::Node;
use crate::node::command_lane::Ran;
use crate::priority;
use crate::record::Namespace;
use crate::transaction::Work;

/// Commands of one request at most. Tools ask for some twenty at a time.
pub const COMMANDS_MAX: usize = 1_024;

/// Bytes of a request at most: a few of the largest modules.
pub const REQUEST_BYTES_MAX: usize = 32 << 20;

/// Parameters of all commands of a request at most; they are walked whole where each is looked at.
pub const PARAMETERS_MAX: usize = 1 << 16;

/// Bytes of a reply after which no further command of its request is run.
const REPLY_BYTES_MAX: usize = 32 << 20;

/// Units of work that a command is counted with at least, whatever it is.
const COMMAND_UNITS: usize = 1_000;

/// Time that a module's body gets at first when others wait for a turn too; who needs more waits once more.
const FIRST_TRY: Duration = Duration::from_millis(3);

/// Bytes of a change that waits for no turn, most.
const SHORT_COMMAND: usize = 32 << 10;

/// Time that a module's body gets there: less than after which it would wait for a turn among long scripts.
const SHORT_TRY: Duration = Duration::from_micros(900);

/// What a handler works with.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The node that was asked.
    pub node: &'a Node,
    /// The connection that asks.
    pub connection: &'a ConnectionState,
    /// What stands between the name of the command and its parameters, if anything does.
    pub separator: Option<u8>,
    /// What stands behind the separator.
    pub params: Params<'a>,
}

/// Writes the value of a command, or says why there is none.
pub type Handler = fn(&Call<'_>, &mut BytesMut) -> Result<(), InfoError>;

/// Writes the answer of a command that goes on, but took longer than anybody waits; its name is for the log.
pub type Late = fn(&Node, &ConnectionState, &Command<'_>, &mut BytesMut);

impl<'a> Call<'a> {
    /// The namespace named by `namespace=` or, as older clients write, `ns=` or `id=`.
    ///
    /// # Errors
    /// Code 20 when none is named or it is unknown: namespaces have their own code even where a parameter is missing.
    pub(crate) fn namespace(&self) -> Result<&'a Arc<Namespace>, InfoError> {
        let name = self
            .namespace_name()
            .ok_or_else(|| InfoError::new(ResultCode::NAMESPACE, "missing 'namespace'"))?;
        self.node
            .namespace(name)
            .ok_or_else(InfoError::namespace_not_found)
    }

    /// The name of that namespace, known or not.
    pub(crate) fn namespace_name(&self) -> Option<&'a str> {
        ["namespace", "ns", "id"]
            .into_iter()
            .find_map(|key| self.params.get(key))
    }
}

/// The row of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static InfoCommand> {
    table().iter().find(|command| command.name == name)
}

/// How serving a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// The reply is whole.
    Answered,
    /// The client went away before all commands had begun; what has not begun is not done.
    ClientGone,
}

/// Answers a request with a whole frame, behind what `out` already holds. Commands run one after the other: those that
/// take long wait for a turn and run on a thread of their own, the others run here, and step aside when they are many.
/// `gone` ends when the client goes away.
///
/// # Errors
/// The thread that ran a command has died, or there was none for it; the connection cannot be answered.
pub async fn serve(
    node: &Arc<Node>,
    connection: &Arc<ConnectionState>,
    body: &[u8],
    out: &mut BytesMut,
    gone: impl Future<Output = ()>,
) -> io::Result<Served> {
    let begin = out.len();
    if let Err(refusal) = admit(body) {
        refuse(out, begin, &refusal);
        return Ok(Served::Answered);
    }
    let mut gone = std::pin::pin!(gone);
    let mut work = Work::until(
        Instant::now() + Duration::from_millis(node.config.service.info_max_ms().into()),
    );
    let mut is_late = false;
    let mut longest = COMMAND_UNITS;
    let summary = summary(body);
    let body = summary.as_deref().map_or(body, str::as_bytes);
    let mut reply = ReplyWriter::new(out);
    for command in protocol::info::commands(body) {
        node.stats.info_complete.inc();
        let row = find(command.name);
        let place = row.map_or(Place::Here, |row| row.place);
        // What has no room any more is not run, wherever it would be.
        let is_full = reply.written() > REPLY_BYTES_MAX;
        if is_late || is_full || place == Place::Here {
            // One that takes as long as those before it would be begun where others wait.
            is_late |= longest > COMMAND_UNITS && work.spend(longest).is_err();
            let begun = Instant::now();
            reply.answer_with(&command, |out| match is_late {
                true => out.put_slice(too_late().to_string().as_bytes()),
                false => write_value(node, connection, &command, out),
            });
            let nanoseconds = begun.elapsed().as_nanos().fit::<usize>();
            longest = longest.max(nanoseconds);
            is_late |= work.spend(nanoseconds.max(COMMAND_UNITS)).is_err();
            is_late |= work.rest().await.is_err();
            continue;
        }
        let value = tokio::select! {
            biased;
            value = elsewhere(node, connection, &command, row) => value?,
            () = &mut gone => return Ok(Served::ClientGone),
        };
        reply.answer_with(&command, |out| out.put_slice(&value));
    }
    if reply.finish().is_err() {
        refuse(out, begin, &too_long());
    }
    Ok(Served::Answered)
}

/// Runs a command on another thread. Dropped before its turn has come, nothing is done.
async fn elsewhere(
    node: &Arc<Node>,
    connection: &Arc<ConnectionState>,
    command: &Command<'_>,
    row: Option<&InfoCommand>,
) -> io::Result<BytesMut> {
    let text = Bytes::copy_from_slice(command.text);
    let late = row.and_then(|row| row.late);
    let is_quick = row.is_some_and(|row| row.place == Place::AsideAtOnce);
    // A short one waits for no turn, unless there were many.
    let mut short_turn = (is_quick && text.len() <= SHORT_COMMAND)
        .then(|| node.command_lane.short_turn(Instant::now()))
        .flatten();
    let mut first_try = true;
    loop {
        let (turn, patience) = match short_turn.take() {
            Some(turn) => (turn, Some(SHORT_TRY)),
            None => {
                let turn = node.command_lane.turn(connection.long_time()).await;
                let others_wait = node.command_lane.has_waiters();
                let patience = (first_try && others_wait).then_some(FIRST_TRY);
                first_try = false;
                (turn, patience)
            }
        };
        let answer_by = Arc::<AnswerBy>::default();
        let work = {
            let (node, connection, text) = (Arc::clone(node), Arc::clone(connection), text.clone());
            let answer_by = Arc::clone(&answer_by);
            move || {
                let (begun, had) = (Instant::now(), priority::processor_time());
                let mut value = BytesMut::new();
                let ran_out = patience::with(patience, || {
                    AnswerBy::with(&answer_by, || {
                        write_value(&node, &connection, &Command::parse(&text), &mut value);
                    });
                });
                connection.add_long_time(begun.elapsed());
                let had = priority::processor_time().saturating_sub(had);
                (value, ran_out, had)
            }
        };
        let is_over = async {
            match late {
                Some(late) => {
                    answer_by.is_over().await;
                    late
                }
                None => std::future::pending().await,
            }
        };
        let (value, ran_out, had) = match turn.run(work, is_over).await? {
            Ran::Ended(ended) => ended,
            Ran::GoesOn(late) => {
                let mut value = BytesMut::new();
                late(node, connection, command, &mut value);
                return Ok(value);
            }
        };
        priority::ran_elsewhere(had);
        if !ran_out {
            return Ok(value);
        }
    }
}

/// Answers a request with a whole frame, behind what `out` already holds. Every command runs on the calling thread.
pub fn answer(node: &Node, connection: &ConnectionState, body: &[u8], out: &mut BytesMut) {
    let begin = out.len();
    if let Err(refusal) = admit(body) {
        return refuse(out, begin, &refusal);
    }
    let summary = summary(body);
    let body = summary.as_deref().map_or(body, str::as_bytes);
    let mut reply = ReplyWriter::new(out);
    for command in protocol::info::commands(body) {
        node.stats.info_complete.inc();
        reply.answer_with(&command, |out| write_value(node, connection, &command, out));
    }
    if reply.finish().is_err() {
        refuse(out, begin, &too_long());
    }
}

/// Answers a request of which only the beginning has come, if that is enough to refuse it. To be asked again only while
/// `begun` is short.
pub fn refuse_begun(size: u64, begun: &[u8], out: &mut BytesMut) -> bool {
    let refusal = match usize::try_from(size) {
        Ok(size) if size <= REQUEST_BYTES_MAX => admit(begun).err(),
        _ => Some(too_large()),
    };
    let Some(refusal) = refusal else { return false };
    let begin = out.len();
    refuse(out, begin, &refusal);
    true
}

fn too_large() -> InfoError {
    InfoError::parameter(format!(
        "request too long: at most {REQUEST_BYTES_MAX} bytes in one"
    ))
}

/// What can be said before any name is looked up.
fn admit(body: &[u8]) -> Result<(), InfoError> {
    if body.len() > REQUEST_BYTES_MAX {
        return Err(too_large());
    }
    let ends = memchr::memchr_iter(b'\n', body);
    if ends.take(COMMANDS_MAX + 1).count() > COMMANDS_MAX {
        return Err(InfoError::parameter(format!(
            "too many commands: at most {COMMANDS_MAX} in one request"
        )));
    }
    let ends = memchr::memchr_iter(b';', body);
    if ends.take(PARAMETERS_MAX + 1).count() > PARAMETERS_MAX {
        return Err(InfoError::parameter(format!(
            "too many parameters: at most {PARAMETERS_MAX} in one request"
        )));
    }
    Ok(())
}

/// Puts one line in place of a whole reply.
fn refuse(out: &mut BytesMut, begin: usize, refusal: &InfoError) {
    out.truncate(begin);
    let mut reply = ReplyWriter::new(out);
    reply.line(refusal.to_string());
    // One short line always fits.
    let _ = reply.finish();
}

/// What a request without a body asks for.
fn summary(body: &[u8]) -> Option<String> {
    body.is_empty().then(|| SUMMARY_COMMANDS.join("\n") + "\n")
}

fn write_value(
    node: &Node,
    connection: &ConnectionState,
    command: &Command<'_>,
    out: &mut BytesMut,
) {
    let call = Call {
        node,
        connection,
        separator: command.separator,
        params: command.params,
    };
    let begin = out.len();
    // A bug in one command costs the client its answer, not the other answers and not the connection.
    let ran = catch_unwind(AssertUnwindSafe(|| run(&call, command.name, out)));
    let ran = ran.unwrap_or_else(|_| {
        tracing::error!("the info command `{}` has panicked", command.name);
        Err(InfoError::new(ResultCode::UNKNOWN, "internal error"))
    });
    if let Err(error) = ran {
        // Tools ask for what not every release knows.
        if find(command.name).is_some_and(|row| row.class != Class::Enterprise) {
            tracing::info!(
                target: "info",
                "command `{}` of {} refused: {error}",
                shown(command.text),
                connection.peer()
            );
        }
        out.truncate(begin);
        out.put_slice(error.to_string().as_bytes());
    }
}

/// A command as a line of the log shows it: not its contents.
fn shown(text: &[u8]) -> String {
    const MOST: usize = 200;
    let cut = text.get(..MOST).unwrap_or(text);
    let shown = String::from_utf8_lossy(cut).escape_debug().to_string();
    if cut.len() < text.len() {
        shown + "…"
    } else {
        shown
    }
}

fn run(call: &Call<'_>, name: &str, out: &mut BytesMut) -> Result<(), InfoError> {
    if out.len() > REPLY_BYTES_MAX {
        return Err(too_long());
    }
    let row = find(name).ok_or_else(InfoError::unrecognized_command)?;
    authorize(call.connection.session(), row.permission)
        .map_err(|code| InfoError::new(code, "role violation"))?;
    (row.handler)(call, out)
}

fn too_long() -> InfoError {
    InfoError::parameter("reply too long: ask for less in one request")
}

fn too_late() -> InfoError {
    InfoError::parameter("time is up (info-max-ms): ask for less in one request")
}

#[cfg(test)]
mod tests;
