//! Info commands: one table, a file for each family of handlers.
//!
//! ```text
//! body ── commands ─→ find in TABLE ─→ handler writes the value, or returns an error that is written instead
//! ```
//!
//! To add a command: write its handler in the file of its family and give it a row in [`table`].

mod addresses;
mod cluster;
mod config;
mod distribution;
mod dump;
mod fields;
mod identity;
mod jobs;
mod latencies;
mod logs;
mod namespace;
mod session;
mod sindex;
mod statistics;
mod system;
mod table;
mod ticker;
mod truncate;
mod udf;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use protocol::header::BodyTooLarge;
use protocol::info::{InfoError, Params, ReplyWriter, SUMMARY_COMMANDS};
use protocol::result_code::ResultCode;

pub(crate) use addresses::{alternate as alternate_addresses, standard as standard_addresses};
pub use session::{Session, UserAgents};
pub use system::SystemMonitor;
pub use table::{Class, InfoCommand, Permission, table};
pub use ticker::run_ticker;
pub use udf::ModuleCommands;

use crate::node::Node;
use crate::record::Namespace;

/// Bytes of a reply after which no further command of its request is run.
const REPLY_BYTES_MAX: usize = 96 << 20;

/// What a handler works with.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The node that was asked.
    pub node: &'a Node,
    /// The connection that asks.
    pub session: &'a Session,
    /// What stands between the name of the command and its parameters, if anything does.
    pub separator: Option<u8>,
    /// What stands behind the separator.
    pub params: Params<'a>,
}

/// Writes the value of a command, or says why there is none.
pub type Handler = fn(&Call<'_>, &mut BytesMut) -> Result<(), InfoError>;

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

/// Whether a request holds a command that may take long, so that it must not run on a thread that serves others.
#[must_use]
pub fn blocks(body: &[u8]) -> bool {
    protocol::info::commands(body).any(|command| find(command.name).is_some_and(|row| row.blocking))
}

/// Answers a request with a whole frame. Runs on the calling task unless [`blocks`].
///
/// # Errors
/// The task that ran a blocking command has died; the connection cannot be answered.
pub async fn serve(
    node: Arc<Node>,
    session: Arc<Session>,
    body: Bytes,
) -> Result<BytesMut, tokio::task::JoinError> {
    if blocks(&body) {
        let on_its_own = move || {
            let mut out = BytesMut::new();
            answer(&node, &session, &body, &mut out);
            out
        };
        tokio::task::spawn_blocking(on_its_own).await
    } else {
        let mut out = BytesMut::new();
        answer(&node, &session, &body, &mut out);
        Ok(out)
    }
}

/// Answers a request with a whole frame, behind what `out` already holds.
pub fn answer(node: &Node, session: &Session, body: &[u8], out: &mut BytesMut) {
    let begin = out.len();
    if write_answers(node, session, body, out).is_err() {
        out.truncate(begin);
        let mut reply = ReplyWriter::new(out);
        reply.line(too_long().to_string());
        // One short line always fits.
        let _ = reply.finish();
    }
}

fn write_answers(
    node: &Node,
    session: &Session,
    body: &[u8],
    out: &mut BytesMut,
) -> Result<(), BodyTooLarge> {
    let summary;
    let body = if body.is_empty() {
        summary = SUMMARY_COMMANDS.join("\n") + "\n";
        summary.as_bytes()
    } else {
        body
    };
    let mut reply = ReplyWriter::new(out);
    for command in protocol::info::commands(body) {
        node.stats.info_complete.inc();
        let call = Call {
            node,
            session,
            separator: command.separator,
            params: command.params,
        };
        reply.answer_with(&command, |out| {
            let begin = out.len();
            if let Err(error) = run(&call, command.name, out) {
                out.truncate(begin);
                out.put_slice(error.to_string().as_bytes());
            }
        });
    }
    reply.finish()
}

fn run(call: &Call<'_>, name: &str, out: &mut BytesMut) -> Result<(), InfoError> {
    let row = find(name).ok_or_else(InfoError::unrecognized_command)?;
    if out.len() > REPLY_BYTES_MAX {
        return Err(too_long());
    }
    (row.handler)(call, out)
}

fn too_long() -> InfoError {
    InfoError::parameter("reply too long: ask for less in one request")
}

#[cfg(test)]
mod tests;
