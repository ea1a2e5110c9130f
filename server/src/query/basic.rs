use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use data::expression::Context;
use data::filter::{Filter, Holds};
use data::operation::{self, Checked};
use protocol::header::{MessageType, OpenFrame};
use protocol::key::Digest;
use protocol::message::{BodyWriter, FieldType, Info1, Info2, Info3, MessageHeader, Op};
use protocol::result_code::ResultCode;

use super::QueryServices;
use super::job::{self, MIGRATION_LIMIT};
use super::lookup::{self, Found, Lookup};
use crate::query::jobs::{Job, JobEnd, JobKind, JobSpec, RunningJob};
use crate::query::pace::Pace;
use crate::record::{Namespace, PAGE, Scan};
use crate::storage::StorageError;
use crate::storage::engine::PARTITIONS;
use crate::transaction::Placement;
use crate::transaction::read::{BinReader, ReadBins, write_all};
use crate::transaction::refusal;
use crate::transaction::reply;
use crate::transaction::reply::ReplyStream;
use crate::transaction::request::{Request, SentSet};
use crate::transaction::work::Work;
use crate::transaction::write::LIMITS;
use data::record::StoredRecord;

/// Time that a short query may take when the request states none.
const SHORT_TIME_LIMIT: Duration = Duration::from_secs(1);

/// A frame of records is sent when it has grown to this.
const FLUSH_BYTES: usize = 1 << 20;

/// Time within which what is done to one page of records must end.
const LONG_TIME_LIMIT: Duration = Duration::from_secs(3600);

/// Where a partition is to be read from.
#[derive(Clone, Copy, Debug)]
struct Start {
    partition: u16,
    after: Option<Digest>,
    /// The value that the record had at which the query stopped.
    value: Option<i64>,
}

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

/// Records of one partition, a page at a time.
enum Pages<'n> {
    All(Scan<'n>),
    /// Those that an index has found.
    Found(&'n Namespace, &'n Lookup, std::vec::IntoIter<Found>),
}

/// Records, and in the same order the values by which an index has found them.
#[derive(Clone, Copy)]
struct Page<'p> {
    records: &'p [StoredRecord],
    values: &'p [i64],
}

impl Pages<'_> {
    /// The next records, perhaps none of many; `None` at the end.
    async fn next(&mut self) -> Result<Option<(Vec<StoredRecord>, Vec<i64>)>, StorageError> {
        match self {
            Self::All(scan) => {
                let page = scan.page().await?;
                Ok((!page.is_empty()).then(|| (page, Vec::new())))
            }
            Self::Found(namespace, lookup, found) => {
                let (mut records, mut values) = (Vec::new(), Vec::new());
                let mut at_end = true;
                for found in found.by_ref().take(PAGE) {
                    at_end = false;
                    // It may have changed, or gone, since the index was looked at.
                    let record = namespace.stored(&found.digest).await?;
                    let fits = record.as_ref().is_some_and(|record| lookup.holds(record));
                    lookup.count(&namespace.stats, fits);
                    if let Some(record) = record.filter(|_| fits) {
                        records.push(record);
                        values.push(found.value);
                    }
                }
                Ok((!at_end).then_some((records, values)))
            }
        }
    }
}

/// A checked query.
#[derive(Debug)]
struct Query<'a> {
    /// Partitions in ascending order.
    starts: Vec<Start>,
    /// The secondary index; none for the primary index.
    lookup: Option<Lookup>,
    /// Only this set; `None` is the whole namespace.
    set: Option<&'a str>,
    wanted: Wanted<'a>,
    filter: Option<Arc<Result<Filter, ResultCode>>>,
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
        partitions: query.starts.len() as u64,
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
        let starts = starts(request)?;
        let asked = lookup::asked(request)?;
        let short = header.info1.contains(Info1::SHORT_QUERY);
        let records_per_second = job::rate(request)?;
        if short && fields.has(FieldType::RECORDS_PER_SECOND) {
            return Err(ResultCode::PARAMETER);
        }
        lookup::check_name(request)?;
        if starts.is_empty() {
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
        let resumed = starts.iter().filter(|start| start.after.is_some()).count();
        let requested = (starts.len() - resumed, resumed);
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
        let unknown_set = self
            .set
            .is_some_and(|set| namespace.sets().get(set).is_none());
        if unknown_set {
            return Ok(ResultCode::OK);
        }
        if let Some(lookup) = &self.lookup {
            lookup.count_query(&namespace.stats);
        }
        let mut sent = 0;
        let deadline = self.deadline.unwrap_or(begun + MIGRATION_LIMIT);
        let complete = services.placement().quiet(deadline).await;
        for start in &self.starts {
            let serving = || services.placement().serving(start.partition);
            let begun_in = serving().filter(|_| complete);
            if begun_in.is_none() {
                unavailable(start.partition, output.buffer());
                continue;
            }
            let mut pages = match &self.lookup {
                None => Pages::All(namespace.scan(start.partition, start.after)),
                Some(lookup) if lookup.index.is_dropped() => {
                    return Ok(ResultCode::SINDEX_NOT_FOUND);
                }
                Some(lookup) => {
                    let found = lookup.found_after(start.partition, start.value.zip(start.after));
                    Pages::Found(namespace, lookup, found.into_iter())
                }
            };
            loop {
                if job.is_aborted() {
                    return Ok(ResultCode::QUERY_ABORT);
                }
                let (page, values) = match pages.next().await {
                    // Records that are missing may have gone with the partition: the client goes on behind the last
                    // one that it got.
                    Ok(_) if serving() != begun_in => {
                        unavailable(start.partition, output.buffer());
                        break;
                    }
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error) => return Ok(error.result_code()),
                };
                let page = Page {
                    records: &page,
                    values: &values,
                };
                let full = self
                    .send_page(namespace, job, page, &mut sent, begun, output)
                    .await?;
                if full {
                    return Ok(ResultCode::OK);
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
        page: Page<'_>,
        sent: &mut u64,
        begun: Instant,
        output: &mut impl ReplyStream,
    ) -> io::Result<bool> {
        let now_ms = namespace.now_ms();
        let mut work = Work::until(self.deadline.unwrap_or(begun + LONG_TIME_LIMIT));
        let mut rest = page.records.iter().enumerate();
        loop {
            let out = output.buffer();
            let before = out.len();
            let frame = OpenFrame::begin(out, MessageType::Message);
            let mut full = false;
            let mut at_end = true;
            for (place, record) in rest.by_ref() {
                let digest = &record.digest();
                if self.wants(namespace, digest, record, job, now_ms, &mut work) {
                    // A record counts before it is looked at for the bins that are wanted.
                    *sent += 1;
                    full = self.max_records != 0 && *sent >= self.max_records;
                    let value = page.values.get(place).copied();
                    match self.write(namespace, digest, record, value, &mut work, out) {
                        true => job.counts.succeeded.inc(),
                        false => job.counts.failed.inc(),
                    }
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
            Pace::of(job, begun).hold(job, *sent, output).await?;
            if at_end {
                return Ok(false);
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
    ) -> bool {
        if self.set.is_some_and(|set| set != record.set_name())
            || !namespace.is_live(record, now_ms)
        {
            return false;
        }
        let Some(Ok(filter)) = self.filter.as_deref() else {
            return true;
        };
        let metadata = record.metadata(digest);
        // Once the time is up nothing is wanted any more.
        let mut holds = |bins| {
            let holds = filter.holds_within(&metadata, bins, now_ms, work);
            holds.unwrap_or(Holds::No)
        };
        let without_bins = holds(None);
        if without_bins == Holds::No {
            job.counts.filtered_meta.inc();
            return false;
        }
        let holds = without_bins == Holds::Yes || holds(Some(record)) == Holds::Yes;
        if !holds {
            job.counts.filtered_bins.inc();
        }
        holds
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
    ) -> bool {
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
        if !record.set_name().is_empty() {
            message.set(record.set_name());
        }
        if let Some(key) = record.key() {
            message.key(key);
        }
        if let Some(value) = value {
            message.field(FieldType::BVAL_ARRAY, &value.to_le_bytes());
        }
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
                steps
                    .iter()
                    .try_for_each(|step| reader.answer(step, &mut message))
                    .is_ok()
                    && message.written() > before
            }
        };
        // What is stored fits a message: names, sizes and the number of bins were checked when it was.
        let finished = message.finish().is_ok();
        if !written || !finished {
            out.truncate(start);
        }
        written && finished
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
    let steps: Vec<_> = if by_list {
        // A name that no bin has is one of a bin that is not there.
        listed
            .filter_map(|name| check(&Op::reading(name)).ok())
            .collect()
    } else {
        request
            .ops
            .iter()
            .map(|op| check(&op))
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

fn check<'a>(op: &Op<'a>) -> Result<Checked<'a>, ResultCode> {
    if !op.op.is_read() {
        return Err(ResultCode::PARAMETER);
    }
    operation::check(op, false).map_err(|_| ResultCode::PARAMETER)
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
    let whole = request.fields.partition_ids();
    let resumed = request.fields.resume_digests().map_err(malformed)?;
    let no_partition = request.fields.has(FieldType::PID_ARRAY) && whole.len() == 0;
    let no_digest = request.fields.has(FieldType::BVAL_ARRAY) && resumed.len() == 0;
    let by_index = request.fields.has(FieldType::INDEX_RANGE);
    let mut values = request.fields.resume_values().map_err(malformed)?;
    let too_few = by_index && values.len() < resumed.len();
    let none = request.fields.has(FieldType::DIGEST_ARRAY) && resumed.len() == 0;
    if no_partition || no_digest || none || too_few {
        return Err(ResultCode::PARAMETER);
    }
    if whole.len() + resumed.len() > usize::from(PARTITIONS) {
        return Err(ResultCode::PARAMETER);
    }
    let mut starts: Vec<_> = whole
        .map(|partition| Start {
            partition,
            after: None,
            value: None,
        })
        .chain(resumed.map(|digest| Start {
            partition: digest.partition_id(),
            after: Some(digest),
            value: values.next(),
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
