use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;
use protocol::message::{Info1, Info2};
use protocol::result_code::ResultCode;

use super::count::{self, Kind};
use super::plan::Plan;
use super::reply::ReplyTo;
use super::request::Request;
use super::{delete, read, write};
use crate::record::Namespace;

/// Where a command runs: its record and what surrounds it.
pub(super) struct Target<'t> {
    pub(super) namespace: &'t Arc<Namespace>,
    pub(super) digest: &'t Digest,
}

/// Answers a command on one record, alone or as a row of a batch, and counts it since `begun`. The code is that of the
/// reply.
pub(super) async fn answer(
    target: Target<'_>,
    request: &Request<'_>,
    begun: Instant,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let header = &request.header;
    let namespace = target.namespace;
    let (kind, result) = if header.info2.contains(Info2::WRITE | Info2::DELETE) {
        (Kind::Delete, delete(target, request, reply).await)
    } else if header.info2.contains(Info2::WRITE) {
        (Kind::Write, write(target, request, reply).await)
    } else if header.info1.contains(Info1::READ) {
        (
            Kind::Read,
            read::answer(namespace, target.digest, request, reply),
        )
    } else {
        (Kind::Read, reply.plain(ResultCode::PARAMETER.into()))
    };
    count::finished(namespace, request.origin, kind, result, begun.elapsed());
    result
}

async fn write(target: Target<'_>, request: &Request<'_>, reply: ReplyTo<'_>) -> ResultCode {
    match Plan::of(request) {
        Ok(plan) => {
            let (namespace, digest) = (target.namespace, target.digest);
            locked(target, request, reply, |reply| {
                write::answer(namespace, digest, request, plan, reply)
            })
            .await
        }
        Err(code) => reply.plain(code.into()),
    }
}

async fn delete(target: Target<'_>, request: &Request<'_>, reply: ReplyTo<'_>) -> ResultCode {
    match delete::precheck(request) {
        Ok(()) => {
            let (namespace, digest) = (target.namespace, target.digest);
            locked(target, request, reply, |reply| {
                delete::answer(namespace, digest, request, reply)
            })
            .await
        }
        Err(code) => reply.plain(code.into()),
    }
}

/// Does a short change under the record's lock: at once, or when those who hold the record are done with it.
async fn locked(
    target: Target<'_>,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
    change: impl FnOnce(ReplyTo<'_>) -> ResultCode,
) -> ResultCode {
    let locks = target.namespace.locks();
    if let Some(_lock) = locks.try_short(target.digest) {
        return change(reply);
    }
    let pending_limit = target.namespace.settings.transaction_pending_limit();
    match locks
        .lock(target.digest, request.deadline, pending_limit)
        .await
    {
        Ok(_lock) => change(reply),
        Err(error) => reply.plain(error.result_code().into()),
    }
}
