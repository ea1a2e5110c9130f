//! Record commands: what a message asks for, done to the records of a namespace.
//!
//! ```text
//! answer ─ parse ─┬─ batch ─→ each row ─┐
//!                 ├─ query              ├─→ single: read | write | delete | record UDF ─→ record::Namespace
//!                 └─────────────────────┘
//! ```
//!
//! Everything that a command needs from the node comes through [`Services`]. A read never waits; a write waits only
//! while a UDF holds its record. Replies are appended to the connection's buffer, without a copy in between.
//!
//! Source: wire specification 3 to 7, UDF runtime specification 5.

mod batch;
pub(crate) mod count;
mod delete;
pub(crate) mod filter;
pub(crate) mod forward;
pub(crate) mod function;
pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod services;
pub(crate) mod single;
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the loops over ops and rows take it next")
)]
mod work;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use crate::query::{aggregate, background, basic, job};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::message::{Info1, Message};
use protocol::result_code::ResultCode;

pub use reply::ReplyStream;
pub use runtime::call::{
    Call, Outcome as CallOutcome, RecordChange, RecordView, Reply as FunctionReply,
};
pub use runtime::stream::call::{Records, StreamCall, StreamStep};
pub use services::{FunctionContext, Functions, Services};
pub(crate) use work::Work;

use crate::cluster::records::Passage;

use self::forward::MOVED;
use self::reply::ReplyTo;
use self::request::Request;
use self::single::Target;
use crate::record::Namespace;

/// Answers one record message: `body` is that of its frame, `received` is when its last byte had arrived.
///
/// Whatever the body holds, the reply is complete and the connection stays usable. Long replies are flushed in between.
///
/// # Errors
/// Only those of flushing `output`: the peer is gone.
pub async fn answer(
    services: &impl Services,
    body: &[u8],
    received: Instant,
    output: &mut impl ReplyStream,
) -> std::io::Result<()> {
    answer_from(Sender::Client, services, body, received, output).await
}

/// Answers a message that another node passes on, if this node owns every record in it.
///
/// # Errors
/// [`NotMine`]: nothing was done.
pub async fn answer_forwarded(
    services: &impl Services,
    body: &[u8],
    received: Instant,
    output: &mut BytesMut,
) -> Result<(), NotMine> {
    if !forward::owns_all(services, body) {
        return Err(NotMine);
    }
    // A buffer does not fail.
    let _ = answer_from(Sender::Node, services, body, received, output).await;
    Ok(())
}

/// The command is for another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not own the record's partition")]
pub struct NotMine;

/// Who sent a message. What a node has passed on is not passed on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Node,
}

async fn answer_from(
    sender: Sender,
    services: &impl Services,
    body: &[u8],
    received: Instant,
    output: &mut impl ReplyStream,
) -> std::io::Result<()> {
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(error) => {
            services.stats().demarshal_error.inc();
            reply::refuse(output.buffer(), error.result_code());
            return Ok(());
        }
    };
    if message.header.info1.contains(Info1::BATCH) {
        return batch::answer(sender, services, &message, received, output).await;
    }
    let request = match Request::of_message(&message, received + time_limit(services, &message)) {
        Ok(request) => request,
        Err(code) => {
            services.stats().early_tsvc_client_error.inc();
            let namespace = message.fields.namespace().ok().flatten();
            let known = namespace.is_some_and(|name| services.namespace(name).is_some());
            reply::refuse(
                output.buffer(),
                if known { code } else { ResultCode::NAMESPACE },
            );
            return Ok(());
        }
    };
    let Some(namespace) = request.namespace.and_then(|name| services.namespace(name)) else {
        services.stats().early_tsvc_client_error.inc();
        reply::refuse(output.buffer(), ResultCode::NAMESPACE);
        return Ok(());
    };
    let Some(digest) = request.digest else {
        return answer_query(services, namespace, &request, body, received, output).await;
    };
    let target = Target {
        services,
        namespace,
        digest: &digest,
    };
    let before = output.buffer().len();
    loop {
        let quick = services.is_here(&digest);
        let passage = match quick {
            true => Passage::Here,
            false => forward::place(sender, target, &request, body).await,
        };
        match passage {
            Passage::Here => {
                let reply = ReplyTo::single(output.buffer());
                if single::answer(target, &request, received, reply).await == MOVED {
                    output.buffer().truncate(before);
                    continue;
                }
                if !quick {
                    services.ran(namespace.name(), &digest);
                }
            }
            Passage::Answered(frames) => output.buffer().extend_from_slice(&frames),
            Passage::Refused(code) => reply::refuse(output.buffer(), code),
        }
        return Ok(());
    }
}

/// Answers a request without a digest, by what its fields say that it is.
async fn answer_query(
    services: &impl Services,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    body: &[u8],
    received: Instant,
    output: &mut impl ReplyStream,
) -> std::io::Result<()> {
    match job::kind(request) {
        Ok(job::Kind::Basic) => basic::answer(services, namespace, request, received, output).await,
        Ok(kind @ (job::Kind::Background | job::Kind::Operations)) => {
            background::answer(services, namespace, request, kind, body, output);
            Ok(())
        }
        Ok(job::Kind::Aggregation) => aggregate::answer(services, namespace, request, output).await,
        Err(code) => {
            namespace.stats.pi_query_long_basic_error.inc();
            reply::refuse(output.buffer(), code);
            Ok(())
        }
    }
}

/// Time that the request may take in all.
fn time_limit(services: &impl Services, message: &Message<'_>) -> Duration {
    match message.header.transaction_ttl {
        0 => services.transaction_max(),
        ms => Duration::from_millis(ms.into()),
    }
}
