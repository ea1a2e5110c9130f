use protocol::key::Digest;
use protocol::message::Info2;
use protocol::result_code::ResultCode;

use super::reply::{Outcome, ReplyTo};
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

/// Answers a delete. The caller holds the record's lock.
pub(crate) fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let Some(record) = namespace.find(digest) else {
        return reply.plain(ResultCode::NOT_FOUND.into());
    };
    if let Err(code) = check(request, &record) {
        return reply.plain(Outcome::about(&record, code));
    }
    namespace.remove(digest);
    reply.plain(ResultCode::OK.into())
}

fn check(request: &Request<'_>, record: &Record) -> Result<(), ResultCode> {
    let header = &request.header;
    if !policy::generation_permits(header.info2, header.generation, Some(record.generation)) {
        return Err(ResultCode::GENERATION);
    }
    request.check_reader(record)
}
