//! Aggregations: a stream UDF over the records of a namespace or set, whose results go to the client one by one.
//!
//! As in the real server the function runs once for each partition that has a wanted record, on a context of its own, and
//! the client puts the results of all partitions together. Results are pulled from the script one at a time: a client
//! that reads slowly stops it, and one that goes away ends it. Records are read as they are when the script asks for
//! them, a page at a time, and none is locked.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::header::{MessageType, OpenFrame};
use protocol::key::Digest;
use protocol::message::{BodyWriter, MessageHeader, OpCode};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::QueryServices;
use super::found::Found;
use super::job::{self, MIGRATION_LIMIT, QueryKind};
use super::lookup::Lookup;
use super::pace::Pace;
use super::turn::Turn;
use crate::log::peer;
use crate::query::jobs::{Job, JobEnd, JobKind, JobSpec, RunningJob};
use crate::record::Namespace;
use crate::storage::StorageError;
use crate::storage::answer::wait_on_this_thread;
use crate::storage::engine::PARTITIONS;
use crate::transaction::Placement;
use crate::transaction::failure::Names;
use crate::transaction::function;
use crate::transaction::function::{FAILURE, SUCCESS};
use crate::transaction::reply;
use crate::transaction::reply::ReplyStream;
use crate::transaction::request::Request;
use crate::transaction::services::{FunctionContext, Functions};
use crate::transaction::{Cause, RecordView, StreamCall, StreamSource, StreamStep};
use data::record::{StoredRecord, seconds};
use runtime::call::EXECUTION_ERROR;

/// Results are sent when they have grown to so many bytes.
const FLUSH_BYTES: usize = 1 << 20;

/// How long scripts run before other tasks of the thread get a chance, and before the client is looked after.
const TURN: Duration = Duration::from_millis(5);

/// An aggregation that was admitted.
struct Aggregation<'a, S> {
    services: &'a S,
    namespace: &'a Arc<Namespace>,
    names: Names<'a>,
    set: Option<Arc<str>>,
    /// The secondary index; none for the primary index.
    lookup: Option<Arc<Lookup>>,
    job: &'a Arc<Job>,
    pace: Pace,
    turn: Turn,
    /// Partitions whose stream an operator's nil has ended, and the place of the last such operator.
    ended_early: (u32, Option<String>),
    /// Partitions that the function ran on.
    ran: u32,
}

/// Runs an aggregation to its end: results, failures, then a message that ends the reply.
///
/// One that cannot be done is refused by a single message, which is not marked as the last.
///
/// # Errors
/// The client is gone or does not read.
pub(crate) async fn answer<S: QueryServices>(
    services: &S,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    output: &mut impl ReplyStream,
) -> io::Result<()> {
    let stats = &namespace.stats;
    let (names, lookup, running) = match begin(services, namespace, request, output.peer()).await {
        Ok(begun) => begun,
        Err(code) => {
            reply::refuse(output.buffer(), code);
            return Ok(());
        }
    };
    let counters = match lookup {
        None => [
            &stats.pi_query_aggr_complete,
            &stats.pi_query_aggr_abort,
            &stats.pi_query_aggr_error,
        ],
        Some(_) => [
            &stats.si_query_aggr_complete,
            &stats.si_query_aggr_abort,
            &stats.si_query_aggr_error,
        ],
    };
    let job = Arc::clone(running.job());
    let begun = Instant::now();
    let mut aggregation = Aggregation {
        services,
        namespace,
        names,
        set: job::set(request).map(Arc::from),
        lookup: lookup.map(Arc::new),
        job: &job,
        pace: Pace::of(&job, begun),
        turn: Turn::of(TURN),
        ended_early: (0, None),
        ran: 0,
    };
    let outcome = aggregation.run(output).await;
    aggregation.tell_of_early_ends();
    match outcome {
        Ok(code) => {
            let [complete, abort, error] = counters;
            let (counter, end) = match code {
                ResultCode::OK => (complete, JobEnd::Done),
                ResultCode::QUERY_ABORT => (abort, JobEnd::Aborted),
                _ => (error, JobEnd::Failed),
            };
            counter.inc();
            running.end(end);
            reply::last(output.buffer(), code);
            Ok(())
        }
        Err(error) => {
            let [_, abort, _] = counters;
            abort.inc();
            running.end(job::end_of(&error));
            Err(error)
        }
    }
}

async fn begin<'a>(
    services: &impl QueryServices,
    namespace: &Arc<Namespace>,
    request: &Request<'a>,
    from: Option<SocketAddr>,
) -> Result<(Names<'a>, Option<Lookup>, RunningJob), ResultCode> {
    let asked = job::admit(services, namespace, request, QueryKind::Aggregation).await?;
    let lookup = asked.map(|asked| asked.find(namespace, job::set(request)));
    let lookup = lookup.transpose()?;
    let names = function::names(request)?;
    let rate = job::rate(request)?;
    let kind = JobKind::Aggregation;
    let spec = JobSpec {
        index: lookup.as_ref().map(|found| found.index.name().to_string()),
        ..job::spec(namespace, request, kind, rate, from)?
    };
    Ok((names, lookup, job::begin(services, spec, false)?))
}

impl<S: QueryServices> Aggregation<'_, S> {
    /// Runs the function on one partition after the other; the code is that of the last message.
    async fn run(&mut self, output: &mut impl ReplyStream) -> io::Result<ResultCode> {
        let placement = self.services.placement();
        if !placement.quiet(Instant::now() + MIGRATION_LIMIT).await {
            return Ok(ResultCode::UNAVAILABLE);
        }
        for partition in 0..PARTITIONS {
            if self.job.is_aborted() {
                return Ok(ResultCode::QUERY_ABORT);
            }
            let begun_in = placement.serving(partition);
            if begun_in.is_none() && placement.elsewhere(partition).is_some() {
                // Its owner runs the function on it.
                self.job.counts.partitions.inc();
                continue;
            }
            let source = Source::new(self, partition);
            if let Some(source) = source.if_any()
                && !self.run_partition(source, output).await?
            {
                return Ok(ResultCode::UNKNOWN);
            }
            // Results of a part of the records are no results: no client asks for the others.
            if begun_in.is_none() || placement.serving(partition) != begun_in {
                return Ok(ResultCode::UNAVAILABLE);
            }
            self.job.counts.partitions.inc();
            self.pause(output).await?;
        }
        Ok(if self.job.is_aborted() {
            ResultCode::QUERY_ABORT
        } else {
            ResultCode::OK
        })
    }

    /// Runs the function on one partition; false when it failed, which the client has been told.
    async fn run_partition(
        &mut self,
        source: Source,
        output: &mut impl ReplyStream,
    ) -> io::Result<bool> {
        let acquired = self.services.functions().acquire(self.names.package);
        let mut context = match acquired {
            Ok(context) => context,
            Err(text) => {
                let cause = Cause {
                    place: None,
                    text: self
                        .services
                        .functions()
                        .explain_missing(self.names.package),
                };
                self.fail(text, &cause, output);
                return Ok(false);
            }
        };
        self.ran += 1;
        let call = StreamCall {
            function: self.names.function,
            arguments: self.names.arglist,
            source: StreamSource::Records(source.into_records()),
            time_per_record: self.services.transaction_max(),
            now: seconds(self.namespace.now_ms()),
        };
        let done = match context.begin_stream(call) {
            Ok(()) => self.send_results(&mut context, output).await?,
            Err(text) => {
                let cause = context.take_cause();
                self.fail(text, &cause, output);
                false
            }
        };
        if let Some(place) = context.take_ended_early() {
            self.ended_early = (self.ended_early.0 + 1, Some(place));
        }
        context.end_stream();
        Ok(done)
    }

    /// Sends what a stream gives; false when it failed, which the client has been told.
    async fn send_results(
        &mut self,
        context: &mut impl FunctionContext,
        output: &mut impl ReplyStream,
    ) -> io::Result<bool> {
        loop {
            let step = context.next_value();
            if self.job.is_aborted() {
                // What a stream gives whose records were cut off is no result.
                return Ok(true);
            }
            match step {
                StreamStep::End => return Ok(true),
                StreamStep::Failure(text) => {
                    let cause = context.take_cause();
                    self.fail(text, &cause, output);
                    return Ok(false);
                }
                StreamStep::Value(value) => {
                    if !self.write(SUCCESS, value.as_ref(), output) {
                        self.write(FAILURE, failure(EXECUTION_ERROR.as_bytes()), output);
                        return Ok(false);
                    }
                }
            }
            self.pause(output).await?;
        }
    }

    /// Tells the client and the log of a failure.
    fn fail(&self, text: Vec<u8>, cause: &Cause, output: &mut impl ReplyStream) {
        crate::transaction::failure::log(&self.names, ResultCode::UDF_EXECUTION, &text, cause);
        let detail = self.services.functions().error_detail();
        let text = crate::transaction::failure::reply_text(text, cause, detail);
        self.write(FAILURE, failure(&text), output);
    }

    /// One line for all partitions whose results are not those of all their records.
    fn tell_of_early_ends(&self) {
        let (partitions, Some(place)) = &self.ended_early else {
            return;
        };
        let shown = |name| String::from_utf8_lossy(name);
        tracing::warn!(
            target: "query",
            "module={} function={} at={place} peer={}: the streams of {partitions} of {} partitions ended before their last \
             record, because this operator gave nil (stream-nil end, as in the real server)",
            shown(self.names.package),
            shown(self.names.function),
            peer::shown(),
            self.ran,
        );
    }

    /// Writes a result, in a frame of its own; false when it is too large.
    fn write(&self, name: &[u8], value: ParticleRef<'_>, output: &mut impl ReplyStream) -> bool {
        let out = output.buffer();
        let before = out.len();
        let frame = OpenFrame::begin(out, MessageType::Message);
        let mut message = BodyWriter::new(out, &MessageHeader::default());
        message.op(OpCode::READ, name, value);
        let written = message.finish().is_ok() && frame.finish(out).is_ok();
        if !written {
            out.truncate(before);
        }
        self.job.counts.reply_bytes.add((out.len() - before) as u64);
        written
    }

    /// Sends results when they are many, keeps to the rate, and gives other tasks a chance.
    async fn pause(&mut self, output: &mut impl ReplyStream) -> io::Result<()> {
        if output.buffer().len() >= FLUSH_BYTES {
            job::flush(self.job, output).await?;
        }
        let read = self.job.counts.succeeded.get();
        self.pace.hold(self.job, read, output).await?;
        self.turn.pause(output).await
    }
}

fn failure(text: &[u8]) -> ParticleRef<'_> {
    ParticleRef::new(ParticleType::STRING, text)
}

/// The records of one partition that an aggregation wants, as they are when they are asked for.
struct Source {
    namespace: Arc<Namespace>,
    set: Option<Arc<str>>,
    job: Arc<Job>,
    /// The index, and what it has found that is not looked at yet.
    indexed: Option<(Arc<Lookup>, Found)>,
    partition: u16,
    /// The last record that was looked at.
    after: Option<Digest>,
    page: std::vec::IntoIter<StoredRecord>,
    at_end: bool,
    /// A record that was found and not given yet.
    found: Option<RecordView>,
}

impl Source {
    fn new<S>(aggregation: &Aggregation<'_, S>, partition: u16) -> Self {
        let lookup = aggregation.lookup.clone();
        Self {
            indexed: lookup.map(|lookup| {
                let found = Found::of_partition(&lookup, partition);
                (lookup, found)
            }),
            namespace: Arc::clone(aggregation.namespace),
            set: aggregation.set.clone(),
            job: Arc::clone(aggregation.job),
            partition,
            after: None,
            page: Vec::new().into_iter(),
            at_end: false,
            found: None,
        }
    }

    /// The same, if there is a record at all.
    fn if_any(mut self) -> Option<Self> {
        self.found = self.find();
        self.found.is_some().then_some(self)
    }

    fn into_records(mut self) -> crate::transaction::Records {
        Box::new(move || {
            if self.job.is_aborted() {
                return None;
            }
            let view = self.found.take().or_else(|| self.find())?;
            self.job.counts.succeeded.inc();
            Some(view)
        })
    }

    /// The next record that is wanted.
    fn find(&mut self) -> Option<RecordView> {
        loop {
            while let Some(seen) = self.page.next() {
                if let Some(record) = self.as_it_is(seen)
                    && self.wants(&record)
                {
                    return Some(self.view(record));
                }
            }
            if self.at_end {
                return None;
            }
            match self.next_page() {
                Ok(page) => {
                    self.at_end = page.is_empty();
                    self.page = page.into_iter();
                }
                Err(error) => self.give_up(&error),
            }
        }
    }

    /// The next records that are to be looked at: outlines of some, or those that the index means and that fit now.
    fn next_page(&mut self) -> Result<Vec<StoredRecord>, StorageError> {
        let namespace = &self.namespace;
        let Some((lookup, found)) = &mut self.indexed else {
            let mut scan = namespace.scan(self.partition, self.after).outlines();
            return wait_on_this_thread(scan.page());
        };
        let mut records = Vec::new();
        while records.is_empty()
            && let Some(entry) = found.next(u64::MAX)
        {
            wait_on_this_thread(found.read(lookup, namespace, entry, None, &mut records))?;
            if self.job.is_aborted() {
                break;
            }
        }
        Ok(records.into_iter().map(|(record, _)| record).collect())
    }

    /// A record of a page as it is now: it may have changed, or gone, since the page was read.
    fn as_it_is(&mut self, seen: StoredRecord) -> Option<StoredRecord> {
        if self.indexed.is_some() {
            let namespace = &self.namespace;
            return Some(seen).filter(|record| namespace.is_live(record, namespace.now_ms()));
        }
        let digest = seen.digest();
        self.after = Some(digest);
        wait_on_this_thread(self.namespace.find(&digest)).unwrap_or_else(|error| {
            self.give_up(&error);
            None
        })
    }

    /// Ends the job: what a stream gives that has not seen all records is no result.
    fn give_up(&mut self, error: &StorageError) {
        tracing::warn!(target: "query", "aggregation over partition {}: {error}", self.partition);
        self.at_end = true;
        self.page = Vec::new().into_iter();
        self.indexed = None;
        self.job.give_up();
    }

    fn wants(&self, record: &StoredRecord) -> bool {
        let set = self.set.as_deref();
        set.is_none_or(|set| set == record.set_name())
    }

    fn view(&self, record: StoredRecord) -> RecordView {
        let keeps = self.namespace.keeps();
        RecordView {
            digest: record.digest(),
            set: None,
            key: record.key().map(ParticleRef::to_particle),
            stored: Some(record),
            in_memory: keeps.in_memory,
            persisted: keeps.persisted,
            write_refusal: None,
        }
    }
}
