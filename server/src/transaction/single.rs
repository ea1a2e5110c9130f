use std::time::Instant;

use protocol::bounds::Fit as _;
use protocol::message::{FieldType, Info1, Info2, Info4, Op};
use protocol::particle::ParticleType;
use protocol::result_code::ResultCode;

use super::count::{self, CommandKind};
use super::placement::{Done, Placement};
use super::plan::Plan;
use super::reply::ReplyTo;
use super::request::Request;
use super::target::Target;
use super::{Services, delete, function, read, refusal, write};
use crate::record::{Namespace, RecordLock};

/// Answers a command on one record, alone or as a row of a batch, and counts it since `begun`. The code is that of the
/// reply, unless the record has moved.
pub(crate) async fn answer<S: Services>(
    target: Target<'_, S>,
    request: &Request<'_>,
    begun: Instant,
    reply: ReplyTo<'_>,
) -> Done {
    let header = &request.header;
    let namespace = target.namespace;
    let writes = header.info2.contains(Info2::WRITE);
    let kind = match (
        writes,
        header.info2.contains(Info2::DELETE),
        function::is_call(request),
    ) {
        (false, ..) => CommandKind::Read,
        (true, true, _) => CommandKind::Delete,
        (true, false, true) => CommandKind::Function,
        (true, false, false) => CommandKind::Write,
    };
    let placement = target.services.placement();
    let ticket = placement.ticket(target.digest);
    let done = match kind {
        _ if writes && sender_is_refused(namespace, request) => {
            let why = "the namespace refuses writes of this sender (reject-xdr-writes, reject-non-xdr-writes)";
            let code = refusal::because(ResultCode::FORBIDDEN, why);
            reply.plain(code.into()).into()
        }
        _ if belongs_to_transaction(kind, request) => {
            reply.plain(ResultCode::ENTERPRISE_ONLY.into()).into()
        }
        CommandKind::Read if header.info1.contains(Info1::READ) => {
            read::answer(namespace, target.digest, request, reply)
                .await
                .into()
        }
        CommandKind::Read => reply.plain(ResultCode::PARAMETER.into()).into(),
        CommandKind::Write => write(target, request, reply).await,
        CommandKind::Delete => delete(target, request, reply).await,
        CommandKind::Function => function::answer(target, request, reply).await,
    };
    let Done::Answered(code) = done else {
        return done;
    };
    // What was done without a right to it does not stand: another node may have gone on by then.
    let (done, code) = match placement.stands(ticket) {
        true => (done, code),
        false if kind == CommandKind::Read => return Done::Moved,
        false => (Done::Doubtful, ResultCode::TIMEOUT),
    };
    count::finished(namespace, request.origin, kind, code, begun.elapsed());
    done
}

async fn write<S: Services>(
    target: Target<'_, S>,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> Done {
    if request
        .ops
        .iter()
        .any(|op| is_too_large(target.namespace, &op))
    {
        return reply.plain(ResultCode::RECORD_TOO_BIG.into()).into();
    }
    let plan = match Plan::of(request) {
        Ok(plan) => plan,
        Err(code) => return reply.plain(code.into()).into(),
    };
    let (namespace, digest) = (target.namespace, target.digest);
    match lock(target, request).await {
        Ok(_held) if !namespace.owns(digest.partition_id()) => Done::Moved,
        Ok(_held) => write::answer(namespace, digest, request, &plan, reply)
            .await
            .into(),
        Err(code) => reply.plain(code.into()).into(),
    }
}

/// A geometry that no record can hold is not read: that would take long.
fn is_too_large(namespace: &Namespace, op: &Op<'_>) -> bool {
    let is_geometry = op.op.is_write() && op.particle_ref().kind == ParticleType::GEOJSON;
    let size = op.value.len().fit::<u64>();
    is_geometry && size > namespace.settings.max_record_size()
}

async fn delete<S: Services>(
    target: Target<'_, S>,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> Done {
    if let Err(code) = delete::precheck(request) {
        return reply.plain(code.into()).into();
    }
    let (namespace, digest) = (target.namespace, target.digest);
    match lock(target, request).await {
        Ok(_held) if !namespace.owns(digest.partition_id()) => Done::Moved,
        Ok(_held) => delete::answer(namespace, digest, request, reply)
            .await
            .into(),
        Err(code) => reply.plain(code.into()).into(),
    }
}

/// Locks a record: at once, or when those who hold it are done with it.
async fn lock<'t, S: Services>(
    target: Target<'t, S>,
    request: &Request<'_>,
) -> Result<RecordLock<'t>, ResultCode> {
    let pending_limit = target.namespace.settings.transaction_pending_limit();
    let locks = target.namespace.locks();
    let lock = locks
        .lock(target.digest, request.deadline, pending_limit)
        .await;
    lock.map_err(|error| error.result_code())
}

/// Whether a command is part of a transaction over several records, which the Community Edition does not have. Deletes and
/// calls are done as if they were none.
fn belongs_to_transaction(kind: CommandKind, request: &Request<'_>) -> bool {
    const READS: Info4 = Info4::MRT_VERIFY_READ;
    const WRITES: Info4 = Info4::MRT_ROLL_FORWARD.union(Info4::MRT_ROLL_BACK);
    let of_transaction = match kind {
        CommandKind::Read => READS,
        CommandKind::Write => WRITES,
        CommandKind::Delete | CommandKind::Function => return false,
    };
    request.header.info4.intersects(of_transaction) || request.fields.has(FieldType::MRT_ID)
}

/// Whether the settings refuse writes of this kind of sender.
pub(crate) fn sender_is_refused(namespace: &Namespace, request: &Request<'_>) -> bool {
    if request.header.info1.contains(Info1::XDR) {
        namespace.settings.reject_xdr_writes()
    } else {
        namespace.settings.reject_non_xdr_writes()
    }
}
