//! What queries have in common: how they are recognised, checked, begun and slowed down.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::bounds::Fit as _;
use protocol::message::{Info1, Info2};
use protocol::result_code::ResultCode;

use super::QueryServices;
use super::lookup::{self, Asked};
use crate::query::jobs::{Job, JobEnd, JobError, JobKind, JobSpec, RunningJob};
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;
use crate::transaction::reply::ReplyStream;
use crate::transaction::request::{Request, SentSet};
use crate::transaction::{Placement, refusal};

/// Time that a query waits for records that are on their way to this node.
pub(super) const MIGRATION_LIMIT: Duration = Duration::from_secs(10);

/// Time that a client may block a send when the request states none, ms.
pub(crate) const SOCKET_TIMEOUT_MS: u32 = 10_000;

/// What a request without a digest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryKind {
    /// Records.
    Basic,
    /// The results of a stream UDF.
    Aggregation,
    /// A record UDF on each record, in the background.
    Background,
    /// Write operations on each record, in the background.
    Operations,
}

/// The kind of a query.
///
/// Errors: 4 for a UDF without a known kind of call.
pub(crate) fn kind(request: &Request<'_>) -> Result<QueryKind, ResultCode> {
    if request.package.is_some() {
        return match request.fields.udf_op() {
            Ok(Some(1)) => Ok(QueryKind::Aggregation),
            Ok(Some(2)) => Ok(QueryKind::Background),
            _ => Err(ResultCode::PARAMETER),
        };
    }
    if request.header.info2.contains(Info2::WRITE) {
        return Ok(QueryKind::Operations);
    }
    Ok(QueryKind::Basic)
}

/// The checks that all such queries must pass, in the order in which the real server makes them, up to the one for the
/// index.
///
/// Errors: 22 where UDFs are disabled; 16 for a filter of an aggregation; 2 for an unknown set, 11 for one that may only be
/// unknown because records are still on their way to this node; 4 for fields that are malformed or contradict each other.
pub(crate) async fn admit<'a>(
    services: &impl QueryServices,
    namespace: &Namespace,
    request: &Request<'a>,
    kind: QueryKind,
) -> Result<Option<Asked<'a>>, ResultCode> {
    if kind != QueryKind::Operations && services.udf_execution_disabled() {
        return Err(refusal::because(
            ResultCode::FORBIDDEN,
            "UDFs may not run (disable-udf-execution)",
        ));
    }
    if request.header.info1.contains(Info1::SHORT_QUERY) {
        return Err(ResultCode::PARAMETER);
    }
    if request.set == SentSet::Unfit {
        return Err(ResultCode::PARAMETER);
    }
    if kind == QueryKind::Aggregation && request.filter.is_some() {
        return Err(refusal::because(
            ResultCode::UNSUPPORTED_FEATURE,
            "an aggregation takes no filter expression",
        ));
    }
    request.check_filter_form()?;
    let asked = lookup::asked(request)?;
    lookup::check_name(request)?;
    let is_unknown = || set(request).is_some_and(|set| namespace.sets().get(set).is_none());
    if is_unknown() {
        // Clients take 2 for a node without such records. One that has just begun may be about to get them.
        all_arrived(services).await?;
        if is_unknown() {
            return Err(ResultCode::NOT_FOUND);
        }
    }
    Ok(asked)
}

/// Waits until this node serves all that it owns: no other node works on that.
///
/// Errors: 11 when that takes too long.
pub(crate) async fn all_arrived(services: &impl QueryServices) -> Result<(), ResultCode> {
    let deadline = Instant::now() + MIGRATION_LIMIT;
    match services.placement().quiet(deadline).await {
        true => Ok(()),
        false => Err(refusal::because(
            ResultCode::UNAVAILABLE,
            "records are still on their way to this node",
        )),
    }
}

/// The set that a query is about; none for the whole namespace.
pub(crate) fn set<'a>(request: &Request<'a>) -> Option<&'a str> {
    match request.set {
        SentSet::Named(set) => Some(set),
        SentSet::None | SentSet::Unfit => None,
    }
}

/// A job over all partitions, with the number and limits that the request states.
///
/// Errors: 4 for malformed fields.
pub(crate) fn spec(
    namespace: &Namespace,
    request: &Request<'_>,
    kind: JobKind,
    records_per_second: u32,
    from: Option<SocketAddr>,
) -> Result<JobSpec, ResultCode> {
    let malformed = |_| ResultCode::PARAMETER;
    Ok(JobSpec {
        id: request.fields.task_id().map_err(malformed)?.unwrap_or(0),
        namespace: namespace.name().to_owned(),
        set: set(request).map(str::to_owned),
        index: None,
        requested: None,
        records_per_second,
        socket_timeout_ms: match request.fields.socket_timeout() {
            // What has no reply does not look at it.
            _ if kind.is_background() => SOCKET_TIMEOUT_MS,
            Ok(Some(timeout)) => timeout,
            Ok(None) => SOCKET_TIMEOUT_MS,
            Err(_) => return Err(ResultCode::PARAMETER),
        },
        from,
        kind,
        partitions: u64::from(PARTITIONS),
    })
}

/// Begins a job. A short one begins however many run, and is not listed.
///
/// Errors: 4 for a number in use, 22 when too many jobs run.
pub(crate) fn begin(
    services: &impl QueryServices,
    spec: JobSpec,
    short: bool,
) -> Result<RunningJob, ResultCode> {
    if short {
        return Ok(services.jobs().begin_short(spec));
    }
    let (limit, max_done) = services.query_limits();
    let begun = services.jobs().begin(spec, limit, max_done);
    begun.map_err(|error| match error {
        JobError::IdInUse => ResultCode::PARAMETER,
        JobError::TooMany => refusal::because(
            ResultCode::FORBIDDEN,
            "as many queries run as may (query-threads-limit)",
        ),
    })
}

/// How a job ended whose reply could not be sent.
pub(crate) fn end_of(error: &io::Error) -> JobEnd {
    if error.kind() == io::ErrorKind::TimedOut {
        JobEnd::ClientStalled
    } else {
        JobEnd::ClientGone
    }
}

/// Sends what the output holds, within the time that the job gives its client.
pub(crate) async fn flush(job: &Job, output: &mut impl ReplyStream) -> io::Result<()> {
    let begun = Instant::now();
    let sent = match job.spec.socket_timeout_ms {
        0 => output.flush().await,
        ms => tokio::time::timeout(Duration::from_millis(ms.into()), output.flush())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    };
    let took = begun.elapsed().as_micros().fit::<u64>();
    job.counts.reply_us.add(took);
    sent
}

/// The most records per second that the request asks for; 0 is no limit.
///
/// Errors: 4 for a malformed field.
pub(crate) fn rate(request: &Request<'_>) -> Result<u32, ResultCode> {
    let rate = request.fields.records_per_second();
    Ok(rate.map_err(|_| ResultCode::PARAMETER)?.unwrap_or(0))
}
