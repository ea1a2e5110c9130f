use protocol::key::Digest;
use protocol::message::Info2;
use protocol::result_code::ResultCode;

use super::reply::ReplyTo;
use super::request::Request;
use crate::record::Namespace;
use data::record::{Record, policy};

/// What can be said about a delete before the record is locked.
pub(crate) fn precheck(request: &Request<'_>) -> Result<(), ResultCode> {
    if request.header.info2.contains(Info2::DURABLE_DELETE) {
        return Err(ResultCode::ENTERPRISE_ONLY);
    }
    Ok(())
}

/// Answers a delete. The caller holds the record's lock. No reply says anything of the record.
pub(crate) fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let Some(record) = namespace.find(digest) else {
        return reply.plain(ResultCode::NOT_FOUND.into());
    };
    if let Err(code) = check(namespace, digest, request, &record) {
        return reply.plain(code.into());
    }
    namespace.remove(digest);
    reply.plain(ResultCode::OK.into())
}

fn check(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    record: &Record,
) -> Result<(), ResultCode> {
    let header = &request.header;
    if !policy::generation_permits(header.info2, header.generation, Some(record.generation)) {
        return Err(ResultCode::GENERATION);
    }
    request.check_reader(digest, record, || namespace.now_ms())
}
