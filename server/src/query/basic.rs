use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use protocol::header::{MessageType, OpenFrame};
use protocol::key::Digest;
use protocol::message::{BodyWriter, Info1, Info3, MessageHeader, OpCode};
use protocol::result_code::ResultCode;

use super::QueryServices;
use super::job;
use crate::query::jobs::{Job, JobEnd, JobKind, JobSpec, RunningJob};
use crate::record::Namespace;
use crate::storage::engine::PARTITIONS;
use crate::transaction::Placement;
use crate::transaction::read::write_all;
use crate::transaction::reply;
use crate::transaction::reply::ReplyStream;
use crate::transaction::request::Request;
use data::record::Record;

/// Time that a short query may take when the request states none.
const SHORT_TIME_LIMIT: Duration = Duration::from_secs(1);

/// A frame of records is sent when it has grown to this.
const FLUSH_BYTES: usize = 1 << 20;

/// Time that a query waits for records that are on their way to this node.
const MIGRATION_LIMIT: Duration = Duration::from_secs(10);

/// Records looked at between two chances for other tasks.
const PAGE: usize = 256;

/// Where a partition is to be read from.
#[derive(Clone, Copy, Debug)]
struct Start {
    partition: u16,
    after: Option<Digest>,
}

/// A checked query over the primary index.
#[derive(Debug)]
struct Query<'a> {
    /// Partitions in ascending order.
    starts: Vec<Start>,
    /// Only this set; `None` is the whole namespace.
    set: Option<&'a str>,
    /// Bins to return; empty is all of them.
    bins: Vec<&'a [u8]>,
    /// Records without their bins.
    no_bins: bool,
    /// The filter of the request is constant, so it keeps every record or none.
    keep: bool,
    max_records: u64,
    records_per_second: u32,
    short: bool,
    /// When a short query ends with a time-out.
    deadline: Option<Instant>,
    /// Partitions that were asked for whole, and from a digest on.
    requested: (usize, usize),
}

/// Answers a request without a digest: the records of partitions in order of digest, then a message that ends the reply.
///
/// A query that cannot be done is refused by a single message, which is not marked as the last.
pub(crate) async fn answer(
    services: &impl QueryServices,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    received: Instant,
    output: &mut impl ReplyStream,
) -> io::Result<()> {
    let stats = &namespace.stats;
    let (query, running) = match begin(services, namespace, request, received, output) {
        Ok(begun) => begun,
        Err(code) => {
            stats.pi_query_long_basic_error.inc();
            reply::refuse(output.buffer(), code);
            return Ok(());
        }
    };
    let job = Arc::clone(running.job());
    let result = match query.run(services, namespace, &job, received, output).await {
        Ok(result) => result,
        Err(error) => {
            stats.pi_query_long_basic_abort.inc();
            running.end(job::end_of(&error));
            return Err(error);
        }
    };
    let (counter, end) = match (query.short, result) {
        (true, ResultCode::OK) => (&stats.pi_query_short_basic_complete, JobEnd::Done),
        (true, _) => (&stats.pi_query_short_basic_timeout, JobEnd::Failed),
        (false, ResultCode::QUERY_ABORT) => (&stats.pi_query_long_basic_abort, JobEnd::Aborted),
        (false, _) => (&stats.pi_query_long_basic_complete, JobEnd::Done),
    };
    counter.inc();
    running.end(end);
    namespace.latency.pi_query.record(received.elapsed());
    reply::last(output.buffer(), result);
    Ok(())
}

/// Checks a query and begins its job.
fn begin<'a>(
    services: &impl QueryServices,
    namespace: &Namespace,
    request: &Request<'a>,
    received: Instant,
    output: &impl ReplyStream,
) -> Result<(Query<'a>, RunningJob), ResultCode> {
    let query = Query::of(request, received)?;
    let rate = query.records_per_second;
    let spec = JobSpec {
        requested: Some(query.requested),
        partitions: query.starts.len() as u64,
        ..job::spec(namespace, request, JobKind::Basic, rate, output.peer())?
    };
    let running = job::begin(services, spec, query.short)?;
    Ok((query, running))
}

impl<'a> Query<'a> {
    /// Errors: 4 for fields that are malformed or contradict each other, 16 for kinds of queries that this server does
    /// not do and for clients that do not understand partitions, 201 where a secondary index would be needed.
    fn of(request: &Request<'a>, received: Instant) -> Result<Self, ResultCode> {
        let (header, fields) = (&request.header, &request.fields);
        let malformed = |_| ResultCode::PARAMETER;
        let bins = projection(request)?;
        if fields.index_range().map_err(malformed)?.is_some() {
            return Err(ResultCode::SINDEX_NOT_FOUND);
        }
        let short = header.info1.contains(Info1::SHORT_QUERY);
        let records_per_second = job::rate(request)?;
        if short && records_per_second != 0 {
            return Err(ResultCode::PARAMETER);
        }
        let starts = starts(request)?;
        if starts.is_empty() || !header.info3.contains(Info3::PARTITION_DONE) {
            return Err(ResultCode::UNSUPPORTED_FEATURE);
        }
        let limit = match header.transaction_ttl {
            0 => SHORT_TIME_LIMIT,
            ms => Duration::from_millis(ms.into()),
        };
        let resumed = starts.iter().filter(|start| start.after.is_some()).count();
        let requested = (starts.len() - resumed, resumed);
        Ok(Self {
            starts,
            set: request.set.filter(|set| !set.is_empty()),
            bins,
            no_bins: header.info1.contains(Info1::GET_NO_BINS),
            keep: request.check_filter().is_ok(),
            max_records: fields.max_records().map_err(malformed)?.unwrap_or(0),
            records_per_second,
            short,
            deadline: short.then(|| received + limit),
            requested,
        })
    }

    /// Sends the records; the code is that of the last message.
    async fn run(
        &self,
        services: &impl QueryServices,
        namespace: &Namespace,
        job: &Job,
        begun: Instant,
        output: &mut impl ReplyStream,
    ) -> io::Result<ResultCode> {
        let unknown_set = self
            .set
            .is_some_and(|set| namespace.sets().get(set).is_none());
        if unknown_set || !self.keep {
            return Ok(ResultCode::OK);
        }
        let mut sent = 0;
        let deadline = self.deadline.unwrap_or(begun + MIGRATION_LIMIT);
        let complete = services.placement().quiet(deadline).await;
        for start in &self.starts {
            if !complete || !services.placement().owns(start.partition) {
                unavailable(start.partition, output.buffer());
                continue;
            }
            let mut after = start.after;
            loop {
                if job.is_aborted() {
                    return Ok(ResultCode::QUERY_ABORT);
                }
                let page = namespace
                    .engine()
                    .page(start.partition, after.as_ref(), PAGE);
                let full = self
                    .send_page(namespace, job, &page, &mut sent, begun, output)
                    .await?;
                if full {
                    return Ok(ResultCode::OK);
                }
                match page.last() {
                    Some((last, _)) if page.len() == PAGE => after = Some(*last),
                    _ => break,
                }
            }
            job.counts.partitions.inc();
            if start.partition.is_multiple_of(64) {
                if self
                    .deadline
                    .is_some_and(|deadline| Instant::now() > deadline)
                {
                    return Ok(ResultCode::TIMEOUT);
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(ResultCode::OK)
    }

    /// Sends the records of a page that are wanted; true when there are to be no more.
    async fn send_page(
        &self,
        namespace: &Namespace,
        job: &Job,
        page: &[(Digest, Arc<Record>)],
        sent: &mut u64,
        begun: Instant,
        output: &mut impl ReplyStream,
    ) -> io::Result<bool> {
        if page.is_empty() {
            return Ok(false);
        }
        let now_ms = namespace.now_ms();
        let mut rest = page.iter();
        loop {
            let out = output.buffer();
            let before = out.len();
            let frame = OpenFrame::begin(out, MessageType::Message);
            let mut full = false;
            let mut at_end = true;
            for (digest, record) in rest.by_ref() {
                if self.wants(namespace, record, now_ms)
                    && self.write(namespace, digest, record, out)
                {
                    *sent += 1;
                    job.counts.succeeded.inc();
                    full = self.max_records != 0 && *sent >= self.max_records;
                }
                if full || frame.body_len(out) >= FLUSH_BYTES {
                    at_end = false;
                    break;
                }
            }
            close(frame, out);
            let written = out.len() - before;
            job.counts.reply_bytes.add(written as u64);
            if full {
                return Ok(true);
            }
            if out.len() >= FLUSH_BYTES {
                job::flush(job, output).await?;
            }
            self.slow_down(job, *sent, begun, output).await?;
            if at_end {
                return Ok(false);
            }
        }
    }

    fn wants(&self, namespace: &Namespace, record: &Record, now_ms: u64) -> bool {
        self.set.is_none_or(|set| set == record.set_name()) && namespace.is_live(record, now_ms)
    }

    /// Writes a record; false when it has none of the wanted bins.
    fn write(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        record: &Record,
        out: &mut BytesMut,
    ) -> bool {
        let start = out.len();
        let header = MessageHeader {
            info1: if self.no_bins {
                Info1::GET_NO_BINS
            } else {
                Info1::NONE
            },
            generation: record.generation.into(),
            record_ttl: record.void_time,
            ..MessageHeader::default()
        };
        let mut message = BodyWriter::new(out, &header);
        message.namespace(namespace.name()).digest(digest);
        if let Some(set) = &record.set {
            message.set(set.name());
        }
        if let Some(key) = &record.key {
            message.key(key.as_ref());
        }
        let written = match (self.no_bins, self.bins.is_empty()) {
            (true, _) => true,
            (false, true) => {
                write_all(&mut message, record);
                true
            }
            (false, false) => {
                let found = self.bins.iter().filter_map(|name| record.bin(name));
                found.fold(false, |_, bin| {
                    message.op(OpCode::READ, bin.name.as_bytes(), bin.particle.as_ref());
                    true
                })
            }
        };
        // What is stored fits a message: names, sizes and the number of bins were checked when it was.
        let finished = message.finish().is_ok();
        if !written || !finished {
            out.truncate(start);
        }
        written && finished
    }

    /// Waits until so many records may have been sent.
    async fn slow_down(
        &self,
        job: &Job,
        sent: u64,
        begun: Instant,
        output: &mut impl ReplyStream,
    ) -> io::Result<()> {
        if self.records_per_second == 0 {
            return Ok(());
        }
        let due = begun + Duration::from_secs_f64(sent as f64 / f64::from(self.records_per_second));
        if due > Instant::now() {
            job.counts.throttled.inc();
            job::flush(job, output).await?;
            job::wait_until(job, due).await;
        }
        Ok(())
    }
}

/// The bins that are asked for, by ops or in the form of older clients.
fn projection<'a>(request: &Request<'a>) -> Result<Vec<&'a [u8]>, ResultCode> {
    let listed: Vec<_> = request
        .fields
        .bin_list()
        .map_err(|_| ResultCode::PARAMETER)?
        .collect();
    let only_reads = request.ops.iter().all(|op| op.op == OpCode::READ);
    if !only_reads || (!listed.is_empty() && !request.ops.is_empty()) {
        return Err(ResultCode::PARAMETER);
    }
    Ok(if listed.is_empty() {
        request.ops.iter().map(|op| op.name).collect()
    } else {
        listed
    })
}

/// Tells the client to read a partition elsewhere, or later. A frame of its own.
fn unavailable(partition: u16, out: &mut BytesMut) {
    let frame = OpenFrame::begin(out, MessageType::Message);
    let header = MessageHeader {
        info3: Info3::PARTITION_DONE,
        result: ResultCode::UNAVAILABLE,
        generation: partition.into(),
        ..MessageHeader::default()
    };
    out.put_slice(&header.to_bytes());
    // A header fits into any frame.
    let _ = frame.finish(out);
}

/// The partitions to read, each once.
fn starts(request: &Request<'_>) -> Result<Vec<Start>, ResultCode> {
    let malformed = |_| ResultCode::PARAMETER;
    let whole = request.fields.partition_ids().map_err(malformed)?;
    let resumed = request.fields.resume_digests().map_err(malformed)?;
    if whole.len() + resumed.len() > usize::from(PARTITIONS) {
        return Err(ResultCode::PARAMETER);
    }
    let mut starts: Vec<_> = whole
        .map(|partition| Start {
            partition,
            after: None,
        })
        .chain(resumed.map(|digest| Start {
            partition: digest.partition_id(),
            after: Some(digest),
        }))
        .collect();
    starts.sort_by_key(|start| start.partition);
    let repeated = starts.windows(2).any(|pair| match pair {
        [first, second] => first.partition == second.partition,
        _ => false,
    });
    let beyond = starts
        .last()
        .is_some_and(|start| start.partition >= PARTITIONS);
    if repeated || beyond {
        Err(ResultCode::PARAMETER)
    } else {
        Ok(starts)
    }
}

/// Ends a frame; one without records is taken back.
fn close(frame: OpenFrame, out: &mut BytesMut) {
    if frame.body_len(out) == 0 {
        frame.cancel(out);
    } else {
        // It is closed as soon as it has grown to a small part of the limit.
        let _ = frame.finish(out);
    }
}
