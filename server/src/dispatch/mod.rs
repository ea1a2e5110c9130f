//! The way of a record message: parsed, then done as a command on one record, as a batch, or as a query.
//!
//! ```text
//! answer ─ parse ─┬─ batch ─→ each row ─┐
//!                 ├─ single ────────────┴─→ transaction
//!                 └─ query ─→ basic | aggregate | background
//! ```

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use protocol::message::{Info1, Message};
use protocol::result_code::ResultCode;

use crate::query::{QueryServices, aggregate, background, basic, job};
use crate::record::Namespace;
use crate::transaction::reply::{self, ReplyStream, ReplyTo};
use crate::transaction::request::Request;
use crate::transaction::single;
use crate::transaction::target::Target;
use crate::transaction::{Done, Passage, Placement, Sender, batch, forward, time_limit};

/// Answers one record message: `body` is that of its frame, `received` is when its last byte had arrived.
///
/// Whatever the body holds, the reply is complete and the connection stays usable. Long replies are flushed in between.
///
/// # Errors
/// Only those of flushing `output`: the peer is gone.
pub async fn answer(
    services: &impl QueryServices,
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
    services: &impl QueryServices,
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

async fn answer_from(
    sender: Sender,
    services: &impl QueryServices,
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
        let quick = services.placement().is_here(&digest);
        let passage = match quick {
            true => Passage::Here,
            false => forward::place(sender, target, &request, body).await,
        };
        match passage {
            Passage::Here => {
                let reply = ReplyTo::single(output.buffer());
                if single::answer(target, &request, received, reply).await == Done::Moved {
                    output.buffer().truncate(before);
                    continue;
                }
                if !quick {
                    services.placement().ran(namespace.name(), &digest).await;
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
    services: &impl QueryServices,
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
