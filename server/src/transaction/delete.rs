use protocol::key::Digest;
use protocol::message::Info2;
use protocol::result_code::ResultCode;

use super::reply::ReplyTo;
use super::request::Request;
use crate::record::Namespace;
use data::record::{StoredRecord, policy};

/// What can be said about a delete before the record is locked.
pub(crate) fn precheck(request: &Request<'_>) -> Result<(), ResultCode> {
    if request.header.info2.contains(Info2::DURABLE_DELETE) {
        return Err(ResultCode::ENTERPRISE_ONLY);
    }
    Ok(())
}

/// Answers a delete. The caller holds the record's lock. No reply says anything of the record.
pub(crate) async fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let record = match namespace.find(digest).await {
        Ok(Some(record)) => record,
        Ok(None) => return reply.plain(ResultCode::NOT_FOUND.into()),
        Err(error) => return reply.plain(error.result_code().into()),
    };
    if let Err(code) = check(namespace, digest, request, &record) {
        return reply.plain(code.into());
    }
    match namespace.remove(digest).await {
        Ok(_) => reply.plain(ResultCode::OK.into()),
        Err(error) => reply.plain(error.result_code().into()),
    }
}

fn check(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    record: &StoredRecord,
) -> Result<(), ResultCode> {
    let header = &request.header;
    if !policy::generation_permits(header.info2, header.generation, Some(record.generation())) {
        return Err(ResultCode::GENERATION);
    }
    request.check_reader(digest, record, || namespace.now_ms())
}
