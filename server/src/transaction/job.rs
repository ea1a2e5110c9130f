//! What the queries that run UDFs have in common: how they are recognised, checked and begun.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::message::{FieldType, Info1, Info2};
use protocol::result_code::ResultCode;

use super::Services;
use super::function::{self, Names};
use super::request::Request;
use crate::jobs::{JobError, JobKind, JobSpec, RunningJob};
use crate::record::{Namespace, PARTITIONS};

/// Time that a client may block a send when the request states none, ms.
pub(super) const SOCKET_TIMEOUT_MS: u32 = 10_000;

/// What a request without a digest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Records.
    Basic,
    /// The results of a stream UDF.
    Aggregation,
    /// A record UDF on each record.
    Background,
}

/// The kind of a query.
///
/// Errors: 4 for a UDF without a known kind of call, 16 for background operations, which this server does not do.
pub(super) fn kind(request: &Request<'_>) -> Result<Kind, ResultCode> {
    if request.fields.has(FieldType::UDF_PACKAGE) {
        return match request.fields.udf_op() {
            Ok(Some(1)) => Ok(Kind::Aggregation),
            Ok(Some(2)) => Ok(Kind::Background),
            _ => Err(ResultCode::PARAMETER),
        };
    }
    if request.header.info2.contains(Info2::WRITE) {
        return Err(ResultCode::UNSUPPORTED_FEATURE);
    }
    Ok(Kind::Basic)
}

/// The checks that both kinds of queries with UDFs must pass, in the order in which the real server makes them.
///
/// Errors: 22 where UDFs are disabled; 16 for a filter of an aggregation; 2 for an unknown set; 201 where a secondary
/// index would be needed; 4 for fields that are malformed or contradict each other.
pub(super) fn admit<'a>(
    services: &impl Services,
    namespace: &Namespace,
    request: &Request<'a>,
    kind: Kind,
) -> Result<Names<'a>, ResultCode> {
    if services.udf_execution_disabled() {
        return Err(ResultCode::FORBIDDEN);
    }
    if request.header.info1.contains(Info1::SHORT_QUERY) {
        return Err(ResultCode::PARAMETER);
    }
    if kind == Kind::Aggregation && request.filter.is_some() {
        return Err(ResultCode::UNSUPPORTED_FEATURE);
    }
    let range = request
        .fields
        .index_range()
        .map_err(|_| ResultCode::PARAMETER)?;
    if set(request).is_some_and(|set| namespace.sets().get(set).is_none()) {
        return Err(ResultCode::NOT_FOUND);
    }
    if range.is_some() {
        return Err(ResultCode::SINDEX_NOT_FOUND);
    }
    function::names(request)
}

/// The set that a query is about; none for the whole namespace.
pub(super) fn set<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.set.filter(|set| !set.is_empty())
}

/// Begins a job over all partitions, with the number and limits that the request states.
///
/// Errors: 4 for malformed fields and for a number in use, 22 when too many jobs run.
pub(super) fn begin(
    services: &impl Services,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    kind: JobKind,
    records_per_second: u32,
    from: Option<SocketAddr>,
) -> Result<RunningJob, ResultCode> {
    let malformed = |_| ResultCode::PARAMETER;
    let spec = JobSpec {
        id: request.fields.task_id().map_err(malformed)?.unwrap_or(0),
        namespace: namespace.name().to_owned(),
        set: set(request).map(str::to_owned),
        requested: None,
        records_per_second,
        socket_timeout_ms: request
            .fields
            .socket_timeout()
            .map_err(malformed)?
            .unwrap_or(SOCKET_TIMEOUT_MS),
        from,
        kind,
        partitions: u64::from(PARTITIONS),
    };
    let (limit, max_done) = services.query_limits();
    services
        .jobs()
        .begin(spec, limit, max_done)
        .map_err(|error| match error {
            JobError::IdInUse => ResultCode::PARAMETER,
            JobError::TooMany => ResultCode::FORBIDDEN,
        })
}

/// The most records per second that the request asks for; 0 is no limit.
///
/// Errors: 4 for a malformed field.
pub(super) fn rate(request: &Request<'_>) -> Result<u32, ResultCode> {
    let rate = request.fields.records_per_second();
    Ok(rate.map_err(|_| ResultCode::PARAMETER)?.unwrap_or(0))
}
