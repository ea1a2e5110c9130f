//! Queries that run on this node or ran lately: what `query-show` lists and `query-abort` ends.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use crate::processor::processors;
use crate::stats::Counter;

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Sends records.
    Basic,
    /// Runs a stream UDF and sends its results.
    Aggregation,
    /// Runs a record UDF on each record.
    BackgroundUdf {
        /// Name of the module, without extension.
        module: String,
        /// Name of the function.
        function: String,
    },
    /// Does write operations on each record.
    BackgroundOperations,
}

impl JobKind {
    /// Whether nobody waits for what it does.
    #[must_use]
    pub fn is_background(&self) -> bool {
        matches!(
            self,
            Self::BackgroundUdf { .. } | Self::BackgroundOperations
        )
    }
}

/// What is known about a job when it begins.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The number that the client gave it; 0 when it gave none.
    pub id: u64,
    /// Name of the namespace.
    pub namespace: String,
    /// Name of the set; none for the whole namespace.
    pub set: Option<String>,
    /// Name of the secondary index that it goes through, when it began; none for the primary index.
    pub index: Option<String>,
    /// Number of partitions that the client named, in whole and from a digest on; none when it named none.
    pub requested: Option<(usize, usize)>,
    /// Records per second at most; 0 is no limit.
    pub records_per_second: u32,
    /// Longest time that the client may block a send, ms; 0 is no limit.
    pub socket_timeout_ms: u32,
    /// The client.
    pub from: Option<SocketAddr>,
    /// What the job does.
    pub kind: JobKind,
    /// Number of partitions that the job goes through.
    pub partitions: u64,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// It did all that it was to do.
    Done,
    /// `query-abort`.
    Aborted,
    /// It could not go on.
    Failed,
    /// The client is gone.
    ClientGone,
    /// The client has not read its replies.
    ClientStalled,
}

impl JobEnd {
    /// The text behind `status=`.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Done => "done(ok)",
            Self::Aborted => "done(user-aborted)",
            Self::Failed => "done(abandoned-unknown)",
            Self::ClientGone => "done(abandoned-response-error)",
            Self::ClientStalled => "done(abandoned-response-timeout)",
        }
    }
}

/// What a job has counted.
#[derive(Debug, Default)]
pub struct JobCounts {
    /// Records that had to wait for their turn under the job's rate.
    pub throttled: Counter,
    /// Records whose metadata the filter refused.
    pub filtered_meta: Counter,
    /// Records whose bins the filter refused.
    pub filtered_bins: Counter,
    /// Records that were sent, given to the stream UDF, or on which the record UDF or the operations succeeded.
    pub succeeded: Counter,
    /// Records on which the record UDF or the operations failed.
    pub failed: Counter,
    /// Partitions that are done with.
    pub partitions: Counter,
    /// Bytes of the reply.
    pub reply_bytes: Counter,
    /// Time spent in sending them, µs.
    pub reply_us: Counter,
}

/// A job, while it runs and as long as it is remembered.
#[derive(Debug)]
pub struct Job {
    /// Its number: never 0, unless it is one that is not listed.
    pub id: u64,
    /// What was known when it began.
    pub spec: JobSpec,
    /// What it has counted.
    pub counts: JobCounts,
    /// Tasks that work on it, now.
    pub threads: AtomicU64,
    /// Records that it works on, now.
    pub active: AtomicU64,
    started: Instant,
    aborted: watch::Sender<bool>,
    end: Mutex<Option<(Instant, JobEnd)>>,
    last_error: Mutex<Option<String>>,
}

impl Job {
    fn begun(id: u64, spec: JobSpec) -> Self {
        Self {
            id,
            spec,
            counts: JobCounts::default(),
            threads: AtomicU64::new(1),
            active: AtomicU64::new(0),
            started: Instant::now(),
            aborted: watch::Sender::new(false),
            end: Mutex::new(None),
            last_error: Mutex::new(None),
        }
    }

    /// Whether somebody has asked for its end.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        *self.aborted.borrow()
    }

    /// Asks for its end: what it gives would not be whole.
    pub fn give_up(&self) {
        self.aborted.send_replace(true);
    }

    /// Notes why a record failed.
    pub fn note_error(&self, text: String) {
        *self.last_error.lock() = Some(text);
    }

    /// Why a record failed, the last one that did.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// Waits until somebody asks for its end.
    pub async fn aborted(&self) {
        // The sender lives as long as the job.
        let _ = self.aborted.subscribe().wait_for(|aborted| *aborted).await;
    }

    /// How it ended, and how long ago; none while it runs.
    #[must_use]
    pub fn end(&self) -> Option<(Duration, JobEnd)> {
        self.end.lock().map(|(when, end)| (when.elapsed(), end))
    }

    /// How long it has run, or ran.
    #[must_use]
    pub fn run_time(&self) -> Duration {
        match *self.end.lock() {
            Some((when, _)) => when.duration_since(self.started),
            None => self.started.elapsed(),
        }
    }

    /// Percent of its partitions that are done with.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if matches!(*self.end.lock(), Some((_, JobEnd::Done))) || self.spec.partitions == 0 {
            return 100.0;
        }
        let done = self.counts.partitions.get().min(self.spec.partitions);
        done as f64 * 100.0 / self.spec.partitions as f64
    }
}

/// Why a job did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// Another job that runs, or is remembered, has this number.
    #[error("there is a query of this number already")]
    IdInUse,
    /// As many run as may (`query-threads-limit`).
    #[error("too many queries run")]
    TooMany,
}

#[derive(Debug, Default)]
struct Table {
    active: Vec<Arc<Job>>,
    /// Oldest first.
    done: VecDeque<Arc<Job>>,
}

/// The jobs of a node.
#[derive(Debug)]
pub struct Jobs {
    table: Mutex<Table>,
    names: RandomState,
    named: AtomicU64,
    background_leave: Arc<Semaphore>,
}

impl Default for Jobs {
    fn default() -> Self {
        let processors = processors();
        Self {
            table: Mutex::default(),
            names: RandomState::default(),
            named: AtomicU64::default(),
            background_leave: Arc::new(Semaphore::new((processors / 2).max(1))),
        }
    }
}

/// A job that runs, in the hands of who runs it. Dropped without a word, it ends as abandoned.
#[derive(Debug)]
pub struct RunningJob {
    jobs: Arc<Jobs>,
    job: Arc<Job>,
    max_done: usize,
    /// It stands in the table.
    listed: bool,
    ended: bool,
}

impl Jobs {
    /// Leave to work on one record, or to look at one page of records, for all background jobs together: half as many as
    /// there are processors, so that clients' requests find some free.
    #[must_use]
    pub fn background_leave(&self) -> &Arc<Semaphore> {
        &self.background_leave
    }

    /// Begins a job. At most `limit` run at a time; of those that ended, `max_done` are remembered.
    ///
    /// # Errors
    /// The number is taken, or too many run.
    pub fn begin(
        self: &Arc<Self>,
        spec: JobSpec,
        limit: usize,
        max_done: usize,
    ) -> Result<RunningJob, JobError> {
        let mut table = self.table.lock();
        if table.active.len() >= limit {
            return Err(JobError::TooMany);
        }
        let id = match spec.id {
            0 => self.free_id(&table),
            id if table.find(id).is_some() => return Err(JobError::IdInUse),
            id => id,
        };
        let job = Arc::new(Job::begun(id, spec));
        table.active.push(Arc::clone(&job));
        Ok(RunningJob {
            jobs: Arc::clone(self),
            job,
            max_done,
            listed: true,
            ended: false,
        })
    }

    /// Begins a short query: any number of them run, none is listed, and no number is in use by it.
    #[must_use]
    pub fn begin_short(self: &Arc<Self>, spec: JobSpec) -> RunningJob {
        RunningJob {
            jobs: Arc::clone(self),
            job: Arc::new(Job::begun(spec.id, spec)),
            max_done: 0,
            listed: false,
            ended: false,
        }
    }

    fn free_id(&self, table: &Table) -> u64 {
        loop {
            let number = self.named.fetch_add(1, Ordering::Relaxed);
            let id = self.names.hash_one(number);
            if id != 0 && table.find(id).is_none() {
                return id;
            }
        }
    }

    /// The job of this number, if it runs or is remembered.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<Job>> {
        self.table.lock().find(id).map(Arc::clone)
    }

    /// All jobs: those that run, then those that ended, each in order of their begin or end.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Job>> {
        let table = self.table.lock();
        table.active.iter().chain(&table.done).cloned().collect()
    }

    /// Number of jobs that run.
    #[must_use]
    pub fn active(&self) -> usize {
        self.table.lock().active.len()
    }

    /// Asks a running job to end; false when none of this number runs.
    #[must_use]
    pub fn abort(&self, id: u64) -> bool {
        let table = self.table.lock();
        let job = table.active.iter().find(|job| job.id == id);
        job.is_some_and(|job| !job.aborted.send_replace(true))
    }

    /// Asks all running jobs to end; how many those are.
    pub fn abort_all(&self) -> usize {
        let table = self.table.lock();
        let asked = table
            .active
            .iter()
            .filter(|job| !job.aborted.send_replace(true));
        asked.count()
    }
}

impl Table {
    fn find(&self, id: u64) -> Option<&Arc<Job>> {
        self.active
            .iter()
            .chain(&self.done)
            .find(|job| job.id == id)
    }
}

impl RunningJob {
    /// The job.
    #[must_use]
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// Ends the job.
    pub fn end(mut self, how: JobEnd) {
        self.set_end(how);
    }

    fn set_end(&mut self, how: JobEnd) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let mut table = self.listed.then(|| self.jobs.table.lock());
        *self.job.end.lock() = Some((Instant::now(), how));
        self.job.threads.store(0, Ordering::Relaxed);
        let Some(table) = &mut table else {
            return;
        };
        table.active.retain(|job| !Arc::ptr_eq(job, &self.job));
        table.done.push_back(Arc::clone(&self.job));
        while table.done.len() > self.max_done {
            table.done.pop_front();
        }
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.set_end(JobEnd::ClientGone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(id: u64) -> JobSpec {
        JobSpec {
            id,
            namespace: "test".to_owned(),
            set: None,
            index: None,
            requested: None,
            records_per_second: 0,
            socket_timeout_ms: 0,
            from: None,
            kind: JobKind::Basic,
            partitions: 4,
        }
    }

    #[test]
    fn numbers_are_unique_among_jobs_that_run_or_are_remembered() {
        let jobs = Arc::new(Jobs::default());
        let first = jobs.begin(spec(7), 3, 1).unwrap();
        assert_eq!(jobs.begin(spec(7), 3, 1).unwrap_err(), JobError::IdInUse);
        first.end(JobEnd::Done);
        assert_eq!(jobs.begin(spec(7), 3, 1).unwrap_err(), JobError::IdInUse);
        jobs.begin(spec(8), 3, 1).unwrap().end(JobEnd::Failed);
        assert!(jobs.find(7).is_none(), "only one is remembered");
        let unnamed = jobs.begin(spec(0), 3, 1).unwrap();
        assert_ne!(unnamed.job().id, 0);
        assert!(jobs.find(unnamed.job().id).is_some());
    }

    #[test]
    fn no_more_run_than_may() {
        let jobs = Arc::new(Jobs::default());
        let running = jobs.begin(spec(1), 1, 1).unwrap();
        assert_eq!(jobs.begin(spec(2), 1, 1).unwrap_err(), JobError::TooMany);
        drop(running);
        assert_eq!(jobs.active(), 0);
        let (_, end) = jobs.find(1).unwrap().end().unwrap();
        assert_eq!(end, JobEnd::ClientGone);
        jobs.begin(spec(2), 1, 1).unwrap();
    }

    #[test]
    fn a_short_query_is_not_listed_and_takes_no_number() {
        let jobs = Arc::new(Jobs::default());
        let short = jobs.begin_short(spec(7));
        assert!(jobs.all().is_empty() && jobs.find(7).is_none());
        let long = jobs.begin(spec(7), 1, 1).unwrap();
        short.end(JobEnd::Done);
        assert!(Arc::ptr_eq(&jobs.find(7).unwrap(), long.job()));
        assert_eq!(jobs.all().len(), 1);
    }

    #[tokio::test]
    async fn a_job_learns_that_it_is_to_end() {
        let jobs = Arc::new(Jobs::default());
        let running = jobs.begin(spec(1), 9, 9).unwrap();
        assert!(!running.job().is_aborted());
        assert!(!jobs.abort(2));
        assert!(jobs.abort(1));
        assert!(!jobs.abort(1), "it is asked already");
        running.job().aborted().await;
        assert_eq!(jobs.abort_all(), 0);
        running.end(JobEnd::Aborted);
        assert!(!jobs.abort(1));
    }

    #[test]
    fn progress_counts_partitions() {
        let jobs = Arc::new(Jobs::default());
        let running = jobs.begin(spec(1), 9, 9).unwrap();
        running.job().counts.partitions.inc();
        assert_eq!(running.job().progress(), 25.0);
        let job = Arc::clone(running.job());
        running.end(JobEnd::Done);
        assert_eq!(job.progress(), 100.0);
    }
}
