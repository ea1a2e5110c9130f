//! Getting the partitions that this node owns, and having other copies dropped.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::super::fabric::QuestionKind;
use super::super::ownership::{Holdings, Report, Run, Take};
use super::Records;
use super::wire::{self, After};
use crate::config::node_id::NodeId;
use crate::storage::Truncation;
use crate::storage::engine::PARTITIONS;

/// What is left over is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Pause before a question that was refused is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(10);

/// Partitions asked for at once.
const TAKE_AT_ONCE: usize = 512;

/// Time between two looks whether a missing node's system says that nobody listens, and for its answer.
const PROBE_AGAIN: Duration = Duration::from_millis(200);
const PROBE_TIME: Duration = Duration::from_secs(1);

/// A partition on its way.
struct Taking {
    take: Take,
    lacking: BTreeSet<NodeId>,
}

/// What is being asked: of whom, under which key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asking {
    Report(NodeId, u64),
    Take(NodeId, u64),
    Drop(NodeId, u64),
    Probe(Run),
}

type Takings = Arc<Mutex<BTreeMap<u16, Taking>>>;

/// Takes, and has dropped, until it is dropped itself.
pub async fn hand_over(records: Arc<Records>) {
    let takings = Takings::default();
    let mut asking: HashSet<Asking> = HashSet::new();
    let mut tasks: JoinSet<Asking> = JoinSet::new();
    let mut cleared = Instant::now();
    loop {
        let pause = match tasks.is_empty() {
            true => LOOK_AGAIN,
            false => ASK_AGAIN * 5,
        };
        tokio::select! {
            () = records.rule.changed(pause) => {}
            Some(done) = tasks.join_next() => {
                match done {
                    Ok(done) => { asking.remove(&done); }
                    // A task that died takes its mark along.
                    Err(error) => {
                        warn!(target: "migrate", "a question ended early: {error}");
                        asking.clear();
                    }
                }
            }
        }
        let mut begin = |what: Asking, work: Work| {
            if asking.insert(what) {
                let (records, takings) = (Arc::clone(&records), Arc::clone(&takings));
                tasks.spawn(async move {
                    if let Err(reason) = work.run(&records, &takings, what).await {
                        debug!(target: "migrate", "{reason}");
                        tokio::time::sleep(ASK_AGAIN).await;
                    }
                    what
                });
            }
        };
        let key = match records.begin_takes(&takings).await {
            Ok(key) => key,
            Err(reason) => {
                warn!(target: "migrate", "{reason}");
                continue;
            }
        };
        if records.is_back.load(Ordering::Acquire)
            && records
                .rule
                .with(|ownership, _| (0..PARTITIONS).any(|partition| ownership.serves(partition)))
        {
            records.is_back.store(false, Ordering::Release);
        }
        let (unreported, drops, missing) = records.rule.with(|ownership, _| {
            let missing: Vec<Run> = ownership.missing().collect();
            match ownership.view().key == key {
                true => (ownership.unreported(), ownership.replaced(), missing),
                // The next turn has the new view.
                false => (Vec::new(), Vec::new(), missing),
            }
        });
        for node in unreported {
            begin(Asking::Report(node, key), Work::Report);
        }
        let sources: BTreeSet<NodeId> = takings
            .lock()
            .values()
            .flat_map(|taking| taking.lacking.iter().copied())
            .collect();
        for node in sources {
            begin(Asking::Take(node, key), Work::Take);
        }
        for (node, holdings) in drops {
            begin(Asking::Drop(node, key), Work::Drop(holdings));
        }
        for run in missing {
            begin(Asking::Probe(run), Work::Probe);
        }
        if cleared.elapsed() >= LOOK_AGAIN {
            cleared = Instant::now();
            if let Err(reason) = records.clear_left_over(&takings).await {
                debug!(target: "migrate", "{reason}");
            }
            records.count();
        }
    }
}

enum Work {
    Report,
    Take,
    Drop(Holdings),
    Probe,
}

impl Work {
    async fn run(self, records: &Records, takings: &Takings, what: Asking) -> Result<(), String> {
        match (self, what) {
            (Self::Report, Asking::Report(node, key)) => records.ask_report(node, key).await,
            (Self::Take, Asking::Take(node, key)) => records.ask_take(takings, node, key).await,
            (Self::Drop(holdings), Asking::Drop(node, key)) => {
                records.ask_drop(node, key, &holdings).await
            }
            (Self::Probe, Asking::Probe(run)) => {
                records.probe(run).await;
                Ok(())
            }
            _ => Err("a question of another kind".to_owned()),
        }
    }
}

impl Records {
    async fn ask(&self, node: NodeId, kind: QuestionKind, body: &[u8]) -> Result<Vec<u8>, String> {
        self.cluster
            .fabric
            .call(node, kind, body, self.cluster.deadline())
            .await
            .map_err(|error| error.to_string())
    }

    async fn ask_report(&self, node: NodeId, key: u64) -> Result<(), String> {
        let answer = self
            .ask(node, QuestionKind::Holdings, &wire::key_only(key))
            .await?;
        let unreadable = || format!("{node} gave holdings that cannot be read");
        let mut rest = answer.as_slice();
        let report = Report {
            holdings: wire::read_holdings(&mut rest).ok_or_else(unreadable)?,
            unnoted: wire::read_partitions(&mut rest).ok_or_else(unreadable)?,
        };
        if self.is_back.load(Ordering::Acquire) {
            let truncations = wire::read_truncations(rest).ok_or_else(unreadable)?;
            self.hear_of_truncations(node, truncations).await?;
        }
        let unnoted = report.unnoted.len();
        self.rule
            .with(|ownership, _| ownership.reported(key, node, report));
        // Perhaps it was the last that was waited for.
        self.rule.wake();
        match unnoted {
            0 => Ok(()),
            // It is asked again, after a pause.
            _ => Err(format!("{node} has not noted {unnoted} copies yet")),
        }
    }

    /// What was truncated while this node was away is gone here, too.
    async fn hear_of_truncations(
        &self,
        node: NodeId,
        truncations: Vec<(String, Truncation)>,
    ) -> Result<(), String> {
        let mut heard = BTreeSet::new();
        for (name, truncation) in truncations {
            if let Some(namespace) = self.node.namespace(&name)
                && namespace
                    .hear_of_truncation(&truncation)
                    .await
                    .map_err(|error| error.to_string())?
            {
                heard.insert(name);
            }
        }
        for name in heard {
            if let Some(namespace) = self.node.namespace(&name) {
                let swept = namespace.sweep().await.map_err(|error| error.to_string())?;
                let truncated = swept.truncated;
                info!(target: "truncate", "{{{name}}} {truncated} records went that were truncated while this node was away, as {node} says");
            }
        }
        Ok(())
    }

    /// Finds out what is to be taken, and makes room for it. What nobody has is there at once. Gives back the key of the
    /// view in which this holds.
    async fn begin_takes(&self, takings: &Takings) -> Result<u64, String> {
        // What is taken becomes held under this lock only: nothing that is planned here is here by now.
        let _copying = self.copying.lock().await;
        let (key, takes) = self
            .rule
            .with(|ownership, _| (ownership.view().key, ownership.plan()));
        let new: Vec<Take> = {
            let mut known = takings.lock();
            known.retain(|_, taking| taking.take.key == key);
            takes
                .into_iter()
                .filter(|take| !known.contains_key(&take.partition))
                .collect()
        };
        // What is cleared is no copy any more, whatever a crash leaves of it.
        self.note_copies().await?;
        if new.is_empty() {
            return Ok(key);
        }
        for take in &new {
            if !take.keep_own {
                self.clear(take.partition).await?;
            }
        }
        let (founded, taken): (Vec<Take>, Vec<Take>) =
            new.into_iter().partition(|take| take.sources.is_empty());
        self.rule.with(|ownership, _| {
            // A view that has changed meanwhile founds them again.
            founded.iter().filter(|take| ownership.took(take)).count()
        });
        self.note_copies().await?;
        let mut takings = takings.lock();
        for take in taken {
            let lacking = take.sources.iter().copied().collect();
            takings.insert(take.partition, Taking { take, lacking });
        }
        Ok(key)
    }

    /// Takes from a node all that it is to give, answer by answer.
    async fn ask_take(&self, takings: &Takings, node: NodeId, key: u64) -> Result<(), String> {
        let mut after: After = None;
        let mut first = None;
        loop {
            let mut partitions: Vec<u16> = takings
                .lock()
                .values()
                .filter(|taking| taking.take.key == key && taking.lacking.contains(&node))
                .map(|taking| taking.take.partition)
                .collect();
            // The one that is half here goes on.
            partitions.sort_by_key(|partition| Some(*partition) != first);
            partitions.truncate(TAKE_AT_ONCE);
            if partitions.is_empty() {
                return Ok(());
            }
            let question = wire::take_question(key, &after, &partitions);
            let answer = self.ask(node, QuestionKind::Take, &question).await?;
            let (goes_on, done) = self.store_answer(takings, node, key, &answer).await?;
            if done == 0 && goes_on.is_none() {
                return Err(format!(
                    "commands are still at work on partitions of {node}"
                ));
            }
            (first, after) = match goes_on {
                Some((partition, namespace, digest)) => {
                    (Some(partition), Some((namespace, digest)))
                }
                None => (None, None),
            };
        }
    }

    /// Stores what came; where the last partition goes on if it is not whole, and how many are.
    async fn store_answer(
        &self,
        takings: &Takings,
        node: NodeId,
        key: u64,
        mut answer: &[u8],
    ) -> Result<(Option<(u16, String, protocol::key::Digest)>, usize), String> {
        let unreadable = || format!("{node} gave records that cannot be read");
        let _copying = self.copying.lock().await;
        if self.rule.with(|ownership, _| ownership.view().key) != key {
            return Err("the view has changed".to_owned());
        }
        let mut goes_on = None;
        let mut whole = Vec::new();
        while !answer.is_empty() {
            let block = wire::read_block(&mut answer).ok_or_else(unreadable)?;
            let is_merge = match takings.lock().get(&block.partition) {
                Some(taking) if taking.take.key == key && taking.lacking.contains(&node) => {
                    taking.take.is_merge()
                }
                _ => return Err(format!("{node} gave what it was not asked for")),
            };
            if block.is_whole {
                goes_on = None;
                whole.push(block.partition);
                continue;
            }
            let thrown_away = self.store(block.namespace, block.records).await?;
            if is_merge && thrown_away != 0 {
                warn!(
                    target: "migrate",
                    "{{{}}} {thrown_away} versions of records were thrown away: two sides that met had both changed them",
                    block.namespace
                );
            }
            let last = super::portable::last_digest(block.records).ok_or_else(unreadable)?;
            goes_on = Some((block.partition, block.namespace.to_owned(), last));
        }
        let done: Vec<Take> = {
            let mut takings = takings.lock();
            let mut done = Vec::new();
            for partition in &whole {
                let Some(taking) = takings.get_mut(partition) else {
                    continue;
                };
                taking.lacking.remove(&node);
                if taking.lacking.is_empty()
                    && let Some(taking) = takings.remove(partition)
                {
                    done.push(taking.take);
                }
            }
            done
        };
        if !done.is_empty() {
            // Others drop theirs once this node has said that it is here.
            self.flush().await?;
        }
        let taken = self
            .rule
            .with(|ownership, _| done.iter().filter(|take| ownership.took(take)).count());
        self.note_copies().await?;
        if taken != 0 {
            info!(target: "migrate", "{taken} partitions of {node} are here");
            self.count();
        }
        Ok((goes_on, whole.len()))
    }

    async fn ask_drop(&self, node: NodeId, key: u64, holdings: &Holdings) -> Result<(), String> {
        let mut question = wire::key_only(key);
        wire::put_holdings(holdings, &mut question);
        let answer = self.ask(node, QuestionKind::Drop, &question).await?;
        let dropped: Vec<u16> = wire::read_partitions(&mut answer.as_slice())
            .ok_or_else(|| format!("{node} gave an answer that cannot be read"))?;
        self.rule.with(|ownership, _| {
            for partition in &dropped {
                ownership.was_dropped(key, node, *partition);
            }
        });
        match dropped.is_empty() {
            true => Err(format!("{node} keeps its copies")),
            false => Ok(()),
        }
    }

    /// Finds out whether a missing node has ended: then its system says that nobody listens at its address.
    async fn probe(&self, run: Run) {
        if let Some(address) = self.cluster.membership.fabric_of(run) {
            let connected = tokio::time::timeout(PROBE_TIME, TcpStream::connect(address)).await;
            let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            if let Ok(Err(error)) = connected
                && refused(&error)
            {
                info!(target: "clustering", "{} has ended: nobody listens at {address}", run.0);
                self.rule.with(|ownership, _| ownership.is_over(run));
                self.cluster.membership.say_all();
                return;
            }
        }
        tokio::time::sleep(PROBE_AGAIN).await;
    }

    /// Removes records of partitions of which no copy is here that counts.
    async fn clear_left_over(&self, takings: &Takings) -> Result<(), String> {
        let has_records = |partition: &u16| {
            let mut namespaces = self.node.namespaces.iter();
            namespaces.any(|namespace| namespace.partition_objects(*partition) != 0)
        };
        let candidates: Vec<u16> = (0..PARTITIONS).filter(has_records).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        let _copying = self.copying.lock().await;
        let on_its_way: Vec<u16> = takings.lock().keys().copied().collect();
        let left_over: Vec<u16> = self.rule.with(|ownership, _| {
            candidates
                .into_iter()
                .filter(|partition| !ownership.holds(*partition) && !on_its_way.contains(partition))
                .collect()
        });
        for partition in left_over {
            self.clear(partition).await?;
        }
        Ok(())
    }
}
