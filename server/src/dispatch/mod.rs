//! The way of a record message: parsed, then done as a command on one record, as a batch, or as a query.
//!
//! ```text
//! answer ─ parse ─ authorize ─┬─ batch ─→ each row ─┐
//!                             ├─ single ────────────┴─→ transaction
//!                             └─ query ─→ basic | aggregate | background
//! ```

mod permission;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::BytesMut;
use protocol::message::{Info1, Message};
use protocol::result_code::ResultCode;

use crate::access::Session;
use crate::query::{QueryServices, aggregate, background, basic, job};
use crate::record::Namespace;
use crate::transaction::reply::{self, AnyStream, ReplyStream, ReplyTo};
use crate::transaction::request::Request;
use crate::transaction::single;
use crate::transaction::target::Target;
use crate::transaction::{Done, Passage, Placement, Sender, batch, forward, time_limit};

/// Answers one record message of `session`: `body` is that of its frame, `received` is when its last byte had arrived.
///
/// Whatever the body holds, the reply is complete and the connection stays usable. Long replies are flushed in between.
///
/// # Errors
/// Only those of flushing `output`: the peer is gone.
pub async fn answer(
    services: &impl QueryServices,
    session: &Session,
    body: &[u8],
    received: Instant,
    output: &mut impl ReplyStream,
) -> std::io::Result<()> {
    answer_whole(session, services, body, received, output).await
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
    let _ = answer_whole(&Session::node(), services, body, received, output).await;
    Ok(())
}

/// The command is for another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node does not own the record's partition")]
pub struct NotMine;

/// Answers, whatever happens: a panic costs this request its reply, and nobody else anything.
async fn answer_whole(
    session: &Session,
    services: &impl QueryServices,
    body: &[u8],
    received: Instant,
    output: &mut impl ReplyStream,
) -> std::io::Result<()> {
    let before = output.buffer().len();
    let mut output = Watched {
        stream: output,
        flushed: false,
    };
    let result = {
        let mut answering =
            std::pin::pin!(answer_from(session, services, body, received, &mut output));
        poll_fn(|context| {
            // What a panic leaves half done is dropped with the future; locks and contexts give themselves back.
            match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(polled) => polled.map(Some),
                Err(_) => Poll::Ready(None),
            }
        })
        .await
    };
    match result {
        Some(result) => result,
        None => {
            let peer = output
                .peer()
                .map_or("another node".to_owned(), |peer| peer.to_string());
            tracing::error!(target: "tsvc", "a request of {peer} has panicked and is answered with code 1");
            let begin = if output.flushed { 0 } else { before };
            output.buffer().truncate(begin);
            reply::refuse(output.buffer(), ResultCode::UNKNOWN);
            Ok(())
        }
    }
}

/// A reply stream that remembers whether it was flushed: what is in the buffer then is of this request alone.
struct Watched<'s, S> {
    stream: &'s mut S,
    flushed: bool,
}

impl<S: ReplyStream> ReplyStream for Watched<'_, S> {
    fn buffer(&mut self) -> &mut BytesMut {
        self.stream.buffer()
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        self.flushed = true;
        self.stream.flush().await
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.stream.peer()
    }

    fn is_abandoned(&self) -> bool {
        self.stream.is_abandoned()
    }
}

async fn answer_from(
    session: &Session,
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
    if let Err(code) = permission::check(session, &message) {
        services.stats().early_tsvc_client_error.inc();
        reply::refuse(output.buffer(), code);
        return Ok(());
    }
    let sender = match session.is_node() {
        true => Sender::Node,
        false => Sender::Client,
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
        let mut output = AnyStream::new(output);
        return answer_query(services, namespace, &request, body, received, &mut output).await;
    };
    let target = Target {
        services,
        namespace,
        digest: &digest,
    };
    let before = output.buffer().len();
    loop {
        let passage = match services.placement().is_here(&digest) {
            true => Passage::Here,
            false => forward::place(sender, target, &request, body).await,
        };
        match passage {
            Passage::Here => {
                let reply = ReplyTo::single(output.buffer());
                match single::answer(target, &request, received, reply).await {
                    Done::Answered(_) => {}
                    Done::Moved => {
                        output.buffer().truncate(before);
                        continue;
                    }
                    Done::Doubtful => {
                        output.buffer().truncate(before);
                        reply::refuse(output.buffer(), ResultCode::TIMEOUT);
                    }
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
    output: &mut AnyStream<'_>,
) -> std::io::Result<()> {
    match job::kind(request) {
        Ok(job::QueryKind::Basic) => {
            basic::answer(services, namespace, request, received, output).await
        }
        Ok(kind @ (job::QueryKind::Background | job::QueryKind::Operations)) => {
            background::answer(services, namespace, request, kind, body, output).await;
            Ok(())
        }
        Ok(job::QueryKind::Aggregation) => {
            aggregate::answer(services, namespace, request, output).await
        }
        Err(code) => {
            reply::refuse(output.buffer(), code);
            Ok(())
        }
    }
}
