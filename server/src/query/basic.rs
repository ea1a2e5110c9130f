use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use data::expression::Context;
use data::filter::{Filter, Holds};
use data::operation::Checked;
use data::work::TimeIsUp;
use protocol::header::{MessageType, OpenFrame};
use protocol::key::Digest;
use protocol::message::{BodyWriter, FieldType, Info1, Info2, Info3, MessageHeader, Op};
use protocol::result_code::ResultCode;

use super::QueryServices;
use super::job::{self, MIGRATION_LIMIT};
use super::lookup::{self, Lookup};
use super::starts::Starts;
use super::turn::Turn;
use crate::query::jobs::{Job, JobEnd, JobKind, JobSpec, RunningJob};
use crate::query::pace::Pace;
use crate::record::Namespace;
use crate::transaction::Placement;
use crate::transaction::read::{BinReader, ReadBins, write_all};
use crate::transaction::refusal;
use crate::transaction::reply;
use crate::transaction::reply::ReplyStream;
use crate::transaction::request::{Request, SentSet};
use crate::transaction::work::{Work, checked};
use crate::transaction::write::LIMITS;
use data::record::StoredRecord;

/// Time that a short query may take when the request states none.
const SHORT_TIME_LIMIT: Duration = Duration::from_secs(1);

/// A frame of records is sent when it has grown to this.
const FLUSH_BYTES: usize = 1 << 20;

/// How long a query runs before other tasks of the thread get a chance, and before the client is looked after.
pub(super) const TURN: Duration = Duration::from_millis(1);

/// Time within which what is done to one page of records must end.
const LONG_TIME_LIMIT: Duration = Duration::from_secs(3600);

/// What is sent of a record.
#[derive(Debug)]
enum Wanted<'a> {
    /// No bins.
    Nothing,
    /// All of them.
    All,
    /// What these operations answer. A record for which none answers, or one fails, is not sent.
    Read {
        steps: Vec<Checked<'a>>,
        respond_all: bool,
    },
}

/// A query on its way.
pub(super) struct Sending<'n> {
    pub(super) namespace: &'n Namespace,
    pub(super) job: &'n Job,
    begun: Instant,
    /// Records that were sent.
    sent: u64,
    pub(super) turn: Turn,
}

/// Where a page led.
pub(super) enum PageEnd {
    /// There may be more records.
    More,
    /// As many were sent as are wanted.
    Enough,
    /// The time of the query was up before its end.
    Late,
}

/// A checked query.
#[derive(Debug)]
pub(super) struct Query<'a> {
    pub(super) starts: Starts,
    /// The secondary index; none for the primary index.
    lookup: Option<Lookup>,
    /// Only this set; `None` is the whole namespace.
    set: Option<&'a str>,
    wanted: Wanted<'a>,
    filter: Option<Arc<Result<Filter, ResultCode>>>,
    pub(super) max_records: u64,
    pub(super) records_per_second: u32,
    short: bool,
    /// When a short query ends with a time-out.
    pub(super) deadline: Option<Instant>,
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
            reply::refuse(output.buffer(), code);
            return Ok(());
        }
    };
    let job = Arc::clone(running.job());
    let by_index = query.lookup.is_some();
    let result = match query.run(services, namespace, &job, received, output).await {
        Ok(result) => result,
        Err(error) => {
            let aborts = match by_index {
                true => &stats.si_query_long_basic_abort,
                false => &stats.pi_query_long_basic_abort,
            };
            aborts.inc();
            running.end(job::end_of(&error));
            return Err(error);
        }
    };
    let (primary, secondary, end) = match (query.short, result) {
        (true, ResultCode::OK) => (
            &stats.pi_query_short_basic_complete,
            &stats.si_query_short_basic_complete,
            JobEnd::Done,
        ),
        (true, _) => (
            &stats.pi_query_short_basic_timeout,
            &stats.si_query_short_basic_timeout,
            JobEnd::Failed,
        ),
        (false, ResultCode::QUERY_ABORT) => (
            &stats.pi_query_long_basic_abort,
            &stats.si_query_long_basic_abort,
            JobEnd::Aborted,
        ),
        (false, _) => (
            &stats.pi_query_long_basic_complete,
            &stats.si_query_long_basic_complete,
            JobEnd::Done,
        ),
    };
    let (counter, latency) = match by_index {
        true => (secondary, &namespace.latency.si_query),
        false => (primary, &namespace.latency.pi_query),
    };
    counter.inc();
    running.end(end);
    latency.record(received.elapsed());
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
    let query = Query::of(namespace, request, received)?;
    let rate = query.records_per_second;
    let spec = JobSpec {
        requested: Some(query.requested),
        index: query.index_name(),
        partitions: (query.requested.0 + query.requested.1) as u64,
        ..job::spec(namespace, request, JobKind::Basic, rate, output.peer())?
    };
    let running = job::begin(services, spec, query.short)?;
    Ok((query, running))
}

impl<'a> Query<'a> {
    /// Checks a request, in the order in which the real server does.
    ///
    /// Errors: 4 for fields that are malformed or contradict each other, 16 for clients that do not understand partitions
    /// or name none, 201 without an index that fits, 203 while that is built.
    fn of(
        namespace: &Namespace,
        request: &Request<'a>,
        received: Instant,
    ) -> Result<Self, ResultCode> {
        let (header, fields) = (&request.header, &request.fields);
        let malformed = |_| ResultCode::PARAMETER;
        if !header.info3.contains(Info3::PARTITION_DONE) {
            return Err(ResultCode::UNSUPPORTED_FEATURE);
        }
        if request.set == SentSet::Unfit {
            return Err(ResultCode::PARAMETER);
        }
        let starts = Starts::of(request)?;
        let asked = lookup::asked(request)?;
        let short = header.info1.contains(Info1::SHORT_QUERY);
        let records_per_second = job::rate(request)?;
        if short && fields.has(FieldType::RECORDS_PER_SECOND) {
            return Err(ResultCode::PARAMETER);
        }
        lookup::check_name(request)?;
        let requested = starts.counts();
        if requested == (0, 0) {
            return Err(refusal::because(
                ResultCode::UNSUPPORTED_FEATURE,
                "a query without partitions, which clients of old releases send",
            ));
        }
        let lookup = asked.map(|asked| asked.find(namespace, job::set(request)));
        let lookup = lookup.transpose()?;
        fields.socket_timeout().map_err(malformed)?;
        let max_records = fields.max_records().map_err(malformed)?.unwrap_or(0);
        let wanted = wanted(request)?;
        request.check_filter_form()?;
        let limit = match header.transaction_ttl {
            0 => SHORT_TIME_LIMIT,
            ms => Duration::from_millis(ms.into()),
        };
        Ok(Self {
            starts,
            lookup,
            set: job::set(request),
            wanted,
            filter: request.filter.clone(),
            max_records,
            records_per_second,
            short,
            deadline: short.then(|| received + limit),
            requested,
        })
    }

    fn index_name(&self) -> Option<String> {
        let lookup = self.lookup.as_ref();
        lookup.map(|lookup| lookup.index.name().to_string())
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
        if let Some(lookup) = &self.lookup {
            lookup.count_query(&namespace.stats);
        }
        let deadline = self.deadline.unwrap_or(begun + MIGRATION_LIMIT);
        let complete = services.placement().quiet(deadline).await;
        let placement = services.placement();
        let mut sending = Sending {
            namespace,
            job,
            begun,
            sent: 0,
            turn: Turn::of(TURN),
        };
        match &self.lookup {
            None => {
                let serving = |partition| placement.serving(partition).filter(|_| complete);
                self.send_all(serving, &mut sending, output).await
            }
            Some(lookup) => {
                let serving = |sheet| match complete {
                    true => placement.serving_among(sheet),
                    false => (0, 0),
                };
                self.send_found(lookup, serving, &mut sending, output).await
            }
        }
    }

    /// Sends the records of one partition after the other.
    async fn send_all(
        &self,
        serving: impl Fn(u16) -> Option<u64>,
        sending: &mut Sending<'_>,
        output: &mut impl ReplyStream,
    ) -> io::Result<ResultCode> {
        for (partition, after) in self.starts.iter() {
            let begun_in = serving(partition);
            if begun_in.is_none() {
                unavailable(partition, output.buffer());
                continue;
            }
            // Records of a set that is not known are not in this partition; but they may have been on their way to it.
            if self.is_of_unknown_set(sending.namespace) && serving(partition) == begun_in {
                sending.job.counts.partitions.inc();
                continue;
            }
            let mut scan = sending.namespace.scan(partition, after.copied());
            loop {
                if sending.job.is_aborted() {
                    return Ok(ResultCode::QUERY_ABORT);
                }
                let page = match scan.page().await {
                    // Records that are missing may have gone with the partition: the client goes on behind the last
                    // one that it got.
                    Ok(_) if serving(partition) != begun_in => {
                        unavailable(partition, output.buffer());
                        break;
                    }
                    Ok(page) if page.is_empty() => break,
                    Ok(page) => page,
                    Err(error) => return Ok(error.result_code()),
                };
                let rows = page.iter().map(|record| (record, None));
                match self.send_page(rows, sending, output).await? {
                    PageEnd::More => {}
                    PageEnd::Enough => return Ok(ResultCode::OK),
                    PageEnd::Late => return Ok(ResultCode::TIMEOUT),
                }
                sending.turn.pause(output).await?;
            }
            sending.job.counts.partitions.inc();
            if partition.is_multiple_of(64) {
                if self.is_late() {
                    return Ok(ResultCode::TIMEOUT);
                }
                sending.turn.pause(output).await?;
            }
        }
        Ok(ResultCode::OK)
    }

    /// Whether it asks for a set of which no record was ever here.
    fn is_of_unknown_set(&self, namespace: &Namespace) -> bool {
        self.set
            .is_some_and(|set| namespace.sets().get(set).is_none())
    }

    /// Whether the time of a short query is up.
    pub(super) fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() > deadline)
    }

    /// Sends the records of a page that are wanted.
    pub(super) async fn send_page<'r>(
        &self,
        mut rows: impl Iterator<Item = (&'r StoredRecord, Option<i64>)> + Send,
        sending: &mut Sending<'_>,
        output: &mut impl ReplyStream,
    ) -> io::Result<PageEnd> {
        let (namespace, job, begun) = (sending.namespace, sending.job, sending.begun);
        let now_ms = namespace.now_ms();
        let limit = || Instant::now() + LONG_TIME_LIMIT;
        let mut work = Work::until(self.deadline.unwrap_or_else(limit));
        loop {
            let out = output.buffer();
            let before = out.len();
            let frame = OpenFrame::begin(out, MessageType::Message);
            let mut full = false;
            let mut late = false;
            let mut at_end = true;
            for (record, value) in rows.by_ref() {
                let digest = &record.digest();
                // What nobody had the time to look at is not left out as if it were not wanted.
                match self.wants(namespace, digest, record, job, now_ms, &mut work) {
                    Ok(false) => {}
                    Ok(true) => {
                        // A record counts before it is looked at for the bins that are wanted.
                        sending.sent += 1;
                        full = self.max_records != 0 && sending.sent >= self.max_records;
                        match self.write(namespace, digest, record, value, &mut work, out) {
                            Ok(true) => job.counts.succeeded.inc(),
                            Ok(false) => job.counts.failed.inc(),
                            Err(TimeIsUp) => late = true,
                        }
                    }
                    Err(TimeIsUp) => late = true,
                }
                if full || late || frame.body_len(out) >= FLUSH_BYTES {
                    at_end = false;
                    break;
                }
            }
            close(frame, out);
            let written = out.len() - before;
            job.counts.reply_bytes.add(written as u64);
            if late {
                return Ok(PageEnd::Late);
            }
            if full {
                return Ok(PageEnd::Enough);
            }
            if out.len() >= FLUSH_BYTES {
                job::flush(job, output).await?;
            }
            Pace::of(job, begun).hold(job, sending.sent, output).await?;
            if at_end {
                return Ok(PageEnd::More);
            }
        }
    }

    fn wants(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        record: &StoredRecord,
        job: &Job,
        now_ms: u64,
        work: &mut Work,
    ) -> Result<bool, TimeIsUp> {
        if self
            .set
            .is_some_and(|set| set.as_bytes() != record.set_bytes())
            || !namespace.is_live(record, now_ms)
        {
            return Ok(false);
        }
        let Some(Ok(filter)) = self.filter.as_deref() else {
            return Ok(true);
        };
        let metadata = record.metadata(digest);
        let mut holds = |bins| filter.holds_within(&metadata, bins, now_ms, work);
        let without_bins = holds(None)?;
        if without_bins == Holds::No {
            job.counts.filtered_meta.inc();
            return Ok(false);
        }
        let holds = without_bins == Holds::Yes || holds(Some(record))? == Holds::Yes;
        if !holds {
            job.counts.filtered_bins.inc();
        }
        Ok(holds)
    }

    /// Writes a record; false when nothing of it is wanted, or an operation fails on it.
    fn write(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        record: &StoredRecord,
        value: Option<i64>,
        work: &mut Work,
        out: &mut BytesMut,
    ) -> Result<bool, TimeIsUp> {
        let start = out.len();
        let header = MessageHeader {
            info1: if matches!(self.wanted, Wanted::Nothing) {
                Info1::GET_NO_BINS
            } else {
                Info1::empty()
            },
            generation: record.generation().into(),
            record_ttl: record.void_time(),
            ..MessageHeader::default()
        };
        let mut message = BodyWriter::new(out, &header);
        message.namespace(namespace.name()).digest(digest);
        let set = record.set_bytes();
        if !set.is_empty() {
            message.field(FieldType::SET, set);
        }
        if let Some(key) = record.key() {
            message.key(key);
        }
        if let Some(value) = value {
            message.field(FieldType::BVAL_ARRAY, &value.to_le_bytes());
        }
        let mut late = false;
        let written = match &self.wanted {
            Wanted::Nothing => true,
            Wanted::All => {
                write_all(&mut message, record);
                true
            }
            Wanted::Read { steps, respond_all } => {
                let before = message.written();
                let bins = ReadBins::of(record, steps.len());
                let context = Context::of_record(
                    record.metadata(digest),
                    Some(&bins),
                    namespace.now_ms(),
                    LIMITS,
                );
                let mut reader = BinReader::new(&bins, context, *respond_all, work);
                let answered = steps
                    .iter()
                    .try_for_each(|step| reader.answer(step, &mut message));
                late = answered == Err(ResultCode::TIMEOUT);
                answered.is_ok() && message.written() > before
            }
        };
        // What is stored fits a message: names, sizes and the number of bins were checked when it was.
        let finished = message.finish().is_ok();
        if !written || !finished {
            out.truncate(start);
        }
        match late {
            true => Err(TimeIsUp),
            false => Ok(written && finished),
        }
    }
}

/// What is asked for, by operations or in the form of older clients.
///
/// Errors: 4 for operations that do not read, for names that no bin has, and for both forms at once.
fn wanted<'a>(request: &Request<'a>) -> Result<Wanted<'a>, ResultCode> {
    let listed = request
        .fields
        .bin_list()
        .map_err(|_| ResultCode::PARAMETER)?;
    if request.header.info1.contains(Info1::GET_NO_BINS) {
        return Ok(Wanted::Nothing);
    }
    let by_list = request.fields.has(FieldType::QUERY_BINLIST);
    if by_list && !request.ops.is_empty() {
        return Err(ResultCode::PARAMETER);
    }
    let mut work = Work::until(request.deadline);
    let steps: Vec<_> = if by_list {
        // A name that no bin has is one of a bin that is not there.
        listed
            .filter_map(|name| check(&Op::reading(name), &mut work).ok())
            .collect()
    } else {
        request
            .ops
            .iter()
            .map(|op| check(&op, &mut work))
            .collect::<Result<_, _>>()?
    };
    if steps.is_empty() && !by_list {
        return Ok(Wanted::All);
    }
    Ok(Wanted::Read {
        steps,
        respond_all: request.header.info2.contains(Info2::RESPOND_ALL_OPS),
    })
}

fn check<'a>(op: &Op<'a>, work: &mut Work) -> Result<Checked<'a>, ResultCode> {
    if !op.op.is_read() {
        return Err(ResultCode::PARAMETER);
    }
    checked(op, false, work).map_err(|error| match error.code {
        code @ ResultCode::TIMEOUT => code,
        _ => ResultCode::PARAMETER,
    })
}

/// Tells the client to read a partition elsewhere, or later. A frame of its own.
pub(super) fn unavailable(partition: u16, out: &mut BytesMut) {
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

/// Ends a frame; one without records is taken back.
fn close(frame: OpenFrame, out: &mut BytesMut) {
    if frame.body_len(out) == 0 {
        frame.cancel(out);
    } else {
        // It is closed as soon as it has grown to a small part of the limit.
        let _ = frame.finish(out);
    }
}
