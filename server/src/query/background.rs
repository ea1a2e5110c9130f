//! Background queries: a record UDF, or write operations, on each record of a namespace or set, for nobody who waits.
//!
//! The reply comes at once. A few tasks go through the partitions, a page of records at a time, and work on one record
//! after the other as for a command of its own: the record is locked for that only. They keep to the job's rate
//! together, and end early when the job is aborted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use protocol::header::HEADER_SIZE;
use protocol::key::Digest;
use protocol::message::{Info1, Message};
use protocol::result_code::ResultCode;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use super::QueryServices;
use super::basic::TURN;
use super::found::Found;
use super::job::{self, QueryKind};
use super::lookup::Lookup;
use super::turn::Turn;
use crate::contexts::lane;
use crate::priority;
use crate::query::jobs::{Job, JobEnd, JobKind, JobSpec, RunningJob};
use crate::query::pace::Pace;
use crate::record::{Namespace, PAGE, Scan};
use crate::stats::{Counter, NamespaceStats};
use crate::storage::StorageError;
use crate::storage::engine::PARTITIONS;
use crate::transaction::count;
use crate::transaction::failure::Names;
use crate::transaction::function;
use crate::transaction::plan::Plan;
use crate::transaction::reply;
use crate::transaction::reply::{ReplyStream, ReplyTo};
use crate::transaction::request::{Origin, Request, SentSet};
use crate::transaction::services::Functions;
use crate::transaction::{Done, Placement};
use crate::transaction::{single, write};
use data::record::StoredRecord;

/// What all tasks of a job share.
struct Background<F> {
    functions: F,
    namespace: Arc<Namespace>,
    kind: QueryKind,
    /// The secondary index; none for the primary index.
    lookup: Option<Lookup>,
    /// The message that asked for it.
    body: Bytes,
    job: Arc<Job>,
    /// Time that a call may take.
    call_limit: Duration,
    begun: Instant,
    /// Leave to work, of which there is little for all background jobs.
    leave: Arc<Semaphore>,
    /// The partitions that were this node's when the job began, in order: it answers for these.
    own: Vec<u16>,
    next_partition: AtomicU16,
    /// Records that have had their turn.
    turns: AtomicU64,
}

/// The counters of queries of one kind that failed, were aborted, and came to an end.
fn counters(stats: &NamespaceStats, kind: QueryKind, by_index: bool) -> [&Counter; 3] {
    match (kind == QueryKind::Operations, by_index) {
        (true, false) => [
            &stats.pi_query_ops_bg_error,
            &stats.pi_query_ops_bg_abort,
            &stats.pi_query_ops_bg_complete,
        ],
        (false, false) => [
            &stats.pi_query_udf_bg_error,
            &stats.pi_query_udf_bg_abort,
            &stats.pi_query_udf_bg_complete,
        ],
        (true, true) => [
            &stats.si_query_ops_bg_error,
            &stats.si_query_ops_bg_abort,
            &stats.si_query_ops_bg_complete,
        ],
        (false, true) => [
            &stats.si_query_udf_bg_error,
            &stats.si_query_udf_bg_abort,
            &stats.si_query_udf_bg_complete,
        ],
    }
}

/// Starts a background query, and says so or why not. `body` is that of the message.
pub(crate) async fn answer<S: QueryServices>(
    services: &S,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    kind: QueryKind,
    body: &[u8],
    output: &mut impl ReplyStream,
) {
    match begin(services, namespace, request, kind, output.peer()).await {
        Ok((lookup, running)) => {
            let before = output.buffer().len();
            reply::last(output.buffer(), ResultCode::OK);
            let written = output.buffer().len() - before;
            running.job().counts.reply_bytes.add(written as u64);
            let background = Arc::new(Background {
                functions: services.functions().clone(),
                namespace: Arc::clone(namespace),
                kind,
                lookup,
                body: Bytes::copy_from_slice(body),
                job: Arc::clone(running.job()),
                call_limit: services.transaction_max(),
                begun: Instant::now(),
                leave: Arc::clone(services.jobs().background_leave()),
                own: (0..PARTITIONS)
                    .filter(|partition| services.placement().owns(*partition))
                    .collect(),
                next_partition: AtomicU16::new(0),
                turns: AtomicU64::new(0),
            });
            // No client waits for any of it.
            priority::busy_runtime()
                .unwrap_or(&Handle::current())
                .spawn(background.run(running));
        }
        Err(code) => {
            reply::refuse(output.buffer(), code);
        }
    }
}

async fn begin(
    services: &impl QueryServices,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    kind: QueryKind,
    from: Option<SocketAddr>,
) -> Result<(Option<Lookup>, RunningJob), ResultCode> {
    let asked = job::admit(services, namespace, request, kind).await?;
    let most = namespace.settings.background_query_max_rps();
    let rate = match job::rate(request)? {
        0 => most,
        rate if most != 0 && rate > most => return Err(ResultCode::PARAMETER),
        rate => rate,
    };
    let lookup = asked.map(|asked| asked.find(namespace, job::set(request)));
    let lookup = lookup.transpose()?;
    let kind = match &Task::of(request, kind)? {
        Task::Call(names) => {
            let text = |name| String::from_utf8_lossy(name).into_owned();
            JobKind::BackgroundUdf {
                module: text(names.package),
                function: text(names.function),
            }
        }
        Task::Write(_) => JobKind::BackgroundOperations,
    };
    let spec = JobSpec {
        index: lookup.as_ref().map(|found| found.index.name().to_string()),
        ..job::spec(namespace, request, kind, rate, from)?
    };
    // Nobody is told later of partitions that were left out.
    job::all_arrived(services).await?;
    Ok((lookup, job::begin(services, spec, false)?))
}

/// What is done to each record.
enum Task<'a> {
    Call(Names<'a>),
    /// Operations, or why no record takes them: that is not looked at before there is one.
    Write(Result<Plan<'a>, ResultCode>),
}

impl<'a> Task<'a> {
    /// Errors: 4 for a call without names, and for operations that are none or read.
    fn of(request: &Request<'a>, kind: QueryKind) -> Result<Self, ResultCode> {
        if kind != QueryKind::Operations {
            return function::names(request).map(Self::Call);
        }
        let reads = request.header.info1.contains(Info1::READ)
            || request.ops.iter().any(|op| op.op.is_read());
        if reads || request.ops.is_empty() {
            return Err(ResultCode::PARAMETER);
        }
        // Such a query makes no records.
        Ok(Self::Write(Plan::of(request).map(|plan| Plan {
            must_exist: true,
            ..plan
        })))
    }
}

/// Records of one partition, a page at a time.
enum Pages<'n> {
    All(Scan<'n>),
    /// Those that an index has found.
    Found(&'n Lookup, Found),
}

impl Pages<'_> {
    /// The next records, perhaps none of many; `None` at the end.
    async fn next(
        &mut self,
        namespace: &Namespace,
    ) -> Result<Option<Vec<StoredRecord>>, StorageError> {
        match self {
            Self::All(scan) => {
                let page = scan.page().await?;
                Ok((!page.is_empty()).then_some(page))
            }
            Self::Found(lookup, found) => {
                let mut records = Vec::new();
                let mut at_end = true;
                let mut turn = Turn::of(TURN);
                for _ in 0..PAGE {
                    let Some(entry) = found.next(u64::MAX) else {
                        break;
                    };
                    at_end = false;
                    let read = found.read(lookup, namespace, entry, None, &mut records);
                    read.await?;
                    // To compare a record with a region of many corners takes a while.
                    turn.give_way().await;
                }
                let records = records.into_iter().map(|(record, _)| record);
                Ok((!at_end).then(|| records.collect()))
            }
        }
    }
}

/// Waits for leave to work on a record; none when the job is to end. Many jobs wait for long: one that was aborted meanwhile
/// does nothing with its leave.
async fn leave_to_go_on(
    leave: &Semaphore,
    is_aborted: impl Fn() -> bool,
) -> Option<SemaphorePermit<'_>> {
    // It is never closed.
    let leave = leave.acquire().await.ok()?;
    (!is_aborted()).then_some(leave)
}

/// What a reply to one record says of its failure.
fn failure_of(reply: &[u8], result: ResultCode) -> String {
    let message = reply.get(HEADER_SIZE..).map(Message::parse);
    let text = message.and_then(Result::ok).and_then(|message| {
        let failure = message.ops.iter().find(|op| op.name == function::FAILURE)?;
        Some(String::from_utf8_lossy(failure.value).into_owned())
    });
    text.unwrap_or_else(|| format!("result {}", result.0))
}

impl<F: Functions + 'static> Background<F> {
    /// Goes through all partitions, then ends the job.
    async fn run(self: Arc<Self>, running: RunningJob) {
        let tasks = self.namespace.settings.single_query_threads().max(1);
        self.job.threads.store(tasks.into(), Ordering::Relaxed);
        let mut working = JoinSet::new();
        for _ in 0..tasks {
            working.spawn(Arc::clone(&self).work());
        }
        let mut failed = false;
        while let Some(ended) = working.join_next().await {
            failed |= !ended.unwrap_or(false);
            self.job.threads.fetch_sub(1, Ordering::Relaxed);
        }
        let [errors, aborts, completions] =
            counters(&self.namespace.stats, self.kind, self.lookup.is_some());
        let (counter, end) = if failed {
            (errors, JobEnd::Failed)
        } else if self.job.is_aborted() {
            (aborts, JobEnd::Aborted)
        } else {
            (completions, JobEnd::Done)
        };
        counter.inc();
        self.tell(end);
        running.end(end);
    }

    /// Takes partitions until there are none left, or the job is aborted; false when it cannot go on.
    async fn work(self: Arc<Self>) -> bool {
        // It was parsed before the job began.
        let Ok(message) = Message::parse(&self.body) else {
            return false;
        };
        let Ok(request) = Request::of_message(&message, self.begun) else {
            return false;
        };
        let Ok(task) = Task::of(&request, self.kind) else {
            return false;
        };
        let mut reply = BytesMut::new();
        loop {
            let partition = self.next_partition.fetch_add(1, Ordering::Relaxed);
            if partition >= PARTITIONS {
                // Others count on: it must not wrap around.
                self.next_partition.store(PARTITIONS, Ordering::Relaxed);
                return true;
            }
            if !self.namespace.owns(partition) {
                // Its owner works on it, unless that was this node.
                if self.own.binary_search(&partition).is_ok() {
                    self.job.counts.failed.inc();
                    self.job
                        .note_error(format!("partition {partition} moved to another node"));
                }
                self.job.counts.partitions.inc();
                continue;
            }
            let mut pages = match &self.lookup {
                None => Pages::All(self.namespace.scan(partition, None).outlines()),
                Some(lookup) => Pages::Found(lookup, Found::of_partition(lookup, partition)),
            };
            loop {
                let Some(leave) = leave_to_go_on(&self.leave, || self.job.is_aborted()).await
                else {
                    return true;
                };
                let page = pages.next(&self.namespace).await;
                drop(leave);
                let page = match page {
                    Ok(Some(page)) => page,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(target: "query", "partition {partition}: {error}");
                        self.job.counts.failed.inc();
                        break;
                    }
                };
                for record in &page {
                    if !self.wants(&request, record) {
                        continue;
                    }
                    if !self.wait_for_turn().await {
                        return true;
                    }
                    if !self.still_fits(record).await {
                        continue;
                    }
                    let leave = leave_to_go_on(&self.leave, || self.job.is_aborted()).await;
                    let Some(leave) = leave else {
                        return true;
                    };
                    let work = self.work_on(&request, &task, record, &mut reply);
                    lane::background(work).await;
                    drop(leave);
                    reply.clear();
                    if matches!(task, Task::Call(_)) {
                        // Clients' requests go first.
                        tokio::task::yield_now().await;
                    }
                }
                tokio::task::yield_now().await;
            }
            self.job.counts.partitions.inc();
            if partition.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Whether the index would find the record as it is now: work on others may have changed it meanwhile.
    async fn still_fits(&self, seen: &StoredRecord) -> bool {
        let Some(lookup) = &self.lookup else {
            return true;
        };
        // One that cannot be read fails when it is worked on.
        match self.namespace.stored(&seen.digest()).await {
            Ok(record) => record.is_some_and(|record| lookup.holds(&record, None)),
            Err(_) => true,
        }
    }

    fn wants(&self, request: &Request<'_>, record: &StoredRecord) -> bool {
        let namespace = &self.namespace;
        job::set(request).is_none_or(|set| set == record.set_name())
            && namespace.is_live(record, namespace.now_ms())
    }

    /// Waits until the rate allows another record; false when the job is to end.
    async fn wait_for_turn(&self) -> bool {
        let before = self.turns.fetch_add(1, Ordering::Relaxed);
        Pace::of(&self.job, self.begun)
            .turn(&self.job, before)
            .await;
        !self.job.is_aborted()
    }

    /// Does the task on one record and counts how it ended.
    async fn work_on(
        &self,
        request: &Request<'_>,
        task: &Task<'_>,
        record: &StoredRecord,
        reply: &mut BytesMut,
    ) {
        let (namespace, digest) = (&self.namespace, &record.digest());
        let begun = Instant::now();
        let request = Request {
            set: SentSet::of_record(record.set_name()),
            origin: Origin::Background,
            deadline: begun + self.call_limit,
            ..request.clone()
        };
        let answer = ReplyTo::single(reply);
        self.job.active.fetch_add(1, Ordering::Relaxed);
        let done = match task {
            _ if single::sender_is_refused(namespace, &request) => ResultCode::FORBIDDEN.into(),
            Task::Call(names) => {
                let functions = &self.functions;
                function::run(functions, namespace, digest, &request, names, answer).await
            }
            Task::Write(Ok(plan)) => self.write(&request, plan, digest, answer).await,
            Task::Write(Err(code)) => (*code).into(),
        };
        self.job.active.fetch_sub(1, Ordering::Relaxed);
        let counts = &self.job.counts;
        let result = match done {
            Done::Answered(result) => result,
            // The job of its new owner may be past it, or find it once more.
            Done::Moved | Done::Doubtful => {
                counts.failed.inc();
                self.job
                    .note_error("the record moved to another node".to_owned());
                return;
            }
        };
        match result {
            ResultCode::OK => counts.succeeded.inc(),
            ResultCode::NOT_FOUND => return,
            ResultCode::FILTERED_OUT => counts.filtered_bins.inc(),
            _ => {
                counts.failed.inc();
                self.job.note_error(failure_of(reply, result));
            }
        }
        let kind = match task {
            Task::Call(_) => count::CommandKind::Function,
            Task::Write(_) => count::CommandKind::Write,
        };
        count::finished(namespace, request.origin, kind, result, begun.elapsed());
    }

    /// The one line of the job.
    fn tell(&self, end: JobEnd) {
        let (job, counts) = (&self.job, &self.job.counts);
        let what = match &job.spec.kind {
            JobKind::BackgroundUdf { module, function } => {
                format!("module={module} function={function}")
            }
            _ => "operations".to_owned(),
        };
        let from = job
            .spec
            .from
            .map_or("-".to_owned(), |from| from.to_string());
        let failed = counts.failed.get();
        let line = format!(
            "background job {} of {from} in {}/{}: {what}: {}: {} records succeeded, {failed} failed, {} were filtered out",
            job.id,
            job.spec.namespace,
            job.spec.set.as_deref().unwrap_or(""),
            match (end, failed) {
                (JobEnd::Done, 1..) => "done(records-failed)",
                (end, _) => end.text(),
            },
            counts.succeeded.get(),
            counts.filtered_bins.get(),
        );
        match job.last_error() {
            Some(error) => tracing::warn!(target: "query", "{line}; last error: {error}"),
            None => tracing::info!(target: "query", "{line}"),
        }
    }

    /// Does the operations on a record, if it is still there.
    async fn write(
        &self,
        request: &Request<'_>,
        plan: &Plan<'_>,
        digest: &Digest,
        reply: ReplyTo<'_>,
    ) -> Done {
        let namespace = &self.namespace;
        let pending_limit = namespace.settings.transaction_pending_limit();
        let lock = namespace
            .locks()
            .lock(digest, request.deadline, pending_limit)
            .await;
        match lock {
            Ok(_lock) if !namespace.owns(digest.partition_id()) => Done::Moved,
            Ok(_lock) => write::answer(namespace, digest, request, plan, reply)
                .await
                .into(),
            Err(error) => error.result_code().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[tokio::test]
    async fn a_job_that_was_aborted_while_it_waited_gives_its_leave_back() {
        for is_aborted in [false, true] {
            let (leave, aborted) = (Semaphore::new(0), AtomicBool::new(false));
            let mut wait =
                std::pin::pin!(leave_to_go_on(&leave, || aborted.load(Ordering::Relaxed)));
            assert!(has_to_wait(wait.as_mut()).await);
            aborted.store(is_aborted, Ordering::Relaxed);
            leave.add_permits(1);
            let had = wait.await;
            assert_eq!(had.is_some(), !is_aborted);
            assert_eq!(leave.available_permits(), usize::from(is_aborted));
        }
    }

    /// Whether a future that is polled once has to wait.
    async fn has_to_wait<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(future.as_mut().poll(context).is_pending())
        })
        .await
    }
}
