//! Background UDFs: a record UDF on each record of a namespace or set, for nobody who waits.
//!
//! The reply comes at once. A few tasks go through the partitions, a page of records at a time, and run the function on
//! one record after the other as for a single call: the record is locked for its call only. They keep to the job's rate
//! together, and end early when the job is aborted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use protocol::key::Digest;
use protocol::message::Message;
use protocol::result_code::ResultCode;
use tokio::task::JoinSet;

use super::count;
use super::function::{self, Names};
use super::job::{self, Kind};
use super::reply::{self, ReplyStream, ReplyTo};
use super::request::{Origin, Request};
use super::services::{Functions, Services};
use super::single;
use crate::jobs::{Job, JobEnd, JobKind, RunningJob};
use crate::record::{Namespace, PARTITIONS, Record};

/// Records looked at between two chances for other tasks.
const PAGE: usize = 64;

/// What all tasks of a job share.
struct Background<F> {
    functions: F,
    namespace: Arc<Namespace>,
    /// The message that asked for it.
    body: Bytes,
    job: Arc<Job>,
    /// Time that a call may take.
    call_limit: Duration,
    begun: Instant,
    next_partition: AtomicU16,
    /// Records that have had their turn.
    turns: AtomicU64,
}

/// Starts a background UDF, and says so or why not. `body` is that of the message.
pub(super) fn answer<S: Services>(
    services: &S,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    body: &[u8],
    output: &mut impl ReplyStream,
) {
    match begin(services, namespace, request, output) {
        Ok(running) => {
            let before = output.buffer().len();
            reply::last(output.buffer(), ResultCode::OK);
            let written = output.buffer().len() - before;
            running.job().counts.reply_bytes.add(written as u64);
            let background = Arc::new(Background {
                functions: services.functions().clone(),
                namespace: Arc::clone(namespace),
                body: Bytes::copy_from_slice(body),
                job: Arc::clone(running.job()),
                call_limit: services.transaction_max(),
                begun: Instant::now(),
                next_partition: AtomicU16::new(0),
                turns: AtomicU64::new(0),
            });
            tokio::spawn(background.run(running));
        }
        Err(code) => {
            namespace.stats.pi_query_udf_bg_error.inc();
            reply::refuse(output.buffer(), code);
        }
    }
}

fn begin(
    services: &impl Services,
    namespace: &Arc<Namespace>,
    request: &Request<'_>,
    output: &impl ReplyStream,
) -> Result<RunningJob, ResultCode> {
    let names = job::admit(services, namespace, request, Kind::Background)?;
    let most = namespace.settings.background_query_max_rps();
    let rate = match job::rate(request)? {
        0 => most,
        rate if most != 0 && rate > most => return Err(ResultCode::PARAMETER),
        rate => rate,
    };
    let text = |name| String::from_utf8_lossy(name).into_owned();
    let kind = JobKind::BackgroundUdf {
        module: text(names.package),
        function: text(names.function),
    };
    job::begin(services, namespace, request, kind, rate, output.peer())
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
            failed |= ended.is_err();
            self.job.threads.fetch_sub(1, Ordering::Relaxed);
        }
        let stats = &self.namespace.stats;
        if failed {
            stats.pi_query_udf_bg_error.inc();
            running.end(JobEnd::Failed);
        } else if self.job.is_aborted() {
            stats.pi_query_udf_bg_abort.inc();
            running.end(JobEnd::Aborted);
        } else {
            stats.pi_query_udf_bg_complete.inc();
            running.end(JobEnd::Done);
        }
    }

    /// Takes partitions until there are none left.
    async fn work(self: Arc<Self>) {
        // It was parsed before the job began.
        let Ok(message) = Message::parse(&self.body) else {
            return;
        };
        let Ok(request) = Request::of_message(&message, self.begun) else {
            return;
        };
        let Ok(names) = function::names(&request) else {
            return;
        };
        let mut reply = BytesMut::new();
        loop {
            let partition = self.next_partition.fetch_add(1, Ordering::Relaxed);
            if partition >= PARTITIONS {
                // Others count on: it must not wrap around.
                self.next_partition.store(PARTITIONS, Ordering::Relaxed);
                return;
            }
            let mut after = None;
            loop {
                let engine = self.namespace.engine();
                let page = engine.page(partition, after.as_ref(), PAGE);
                for (digest, record) in &page {
                    if !self.wants(&request, record) {
                        continue;
                    }
                    if !self.wait_for_turn().await {
                        return;
                    }
                    self.call(&request, &names, digest, record, &mut reply)
                        .await;
                    reply.clear();
                }
                match page.last() {
                    Some((last, _)) if page.len() == PAGE => after = Some(*last),
                    _ => break,
                }
                tokio::task::yield_now().await;
            }
            self.job.counts.partitions.inc();
            if partition.is_multiple_of(64) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn wants(&self, request: &Request<'_>, record: &Record) -> bool {
        let namespace = &self.namespace;
        job::set(request).is_none_or(|set| set == record.set_name())
            && namespace.is_live(record, namespace.now_ms())
    }

    /// Waits until the rate allows another record; false when the job is to end.
    async fn wait_for_turn(&self) -> bool {
        let rate = self.job.spec.records_per_second;
        if rate != 0 {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed);
            let due = self.begun + Duration::from_secs_f64(turn as f64 / f64::from(rate));
            self.job.counts.throttled.inc();
            if due > Instant::now() {
                tokio::select! {
                    biased;
                    () = self.job.aborted() => return false,
                    () = tokio::time::sleep_until(due.into()) => {}
                }
            }
        }
        !self.job.is_aborted()
    }

    /// Runs the function on one record and counts how it ended.
    async fn call(
        &self,
        request: &Request<'_>,
        names: &Names<'_>,
        digest: &Digest,
        record: &Record,
        reply: &mut BytesMut,
    ) {
        let namespace = &self.namespace;
        let begun = Instant::now();
        let request = Request {
            set: Some(record.set_name()),
            origin: Origin::Background,
            deadline: begun + self.call_limit,
            ..*request
        };
        self.job.active.fetch_add(1, Ordering::Relaxed);
        let result = if single::sender_is_refused(namespace, &request) {
            ResultCode::FORBIDDEN
        } else {
            let reply = ReplyTo::single(reply);
            function::run(&self.functions, namespace, digest, &request, names, reply).await
        };
        self.job.active.fetch_sub(1, Ordering::Relaxed);
        let counts = &self.job.counts;
        match result {
            ResultCode::OK => counts.succeeded.inc(),
            ResultCode::NOT_FOUND => return,
            ResultCode::FILTERED_OUT => counts.filtered_bins.inc(),
            _ => counts.failed.inc(),
        }
        let kind = count::Kind::Function;
        count::finished(namespace, request.origin, kind, result, begun.elapsed());
    }
}
