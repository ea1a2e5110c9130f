//! One change, on its way to every live node.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tracing::debug;

use super::super::Cluster;
use super::super::fabric::{Asked, QuestionKind, Ready};
use super::super::membership::Members;
use super::{About, Pushed, Run, runs};
use crate::catalogue::rollout::{RESEND, Rollout, TIMEOUT};
use crate::catalogue::version::Summary;
use crate::catalogue::{Catalogued, Item, Origin, Proposal, StoreError};

/// Why a change was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum RollOutError {
    /// This node cannot store it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Not every live node has said in time that it has the change; it is still being spread.
    #[error("not every live node has the change yet")]
    Timeout,
}

/// What one node said.
struct Told {
    run: Run,
    has: Summary,
}

/// Brings a change to every live node; returns when all of them, this one included, have it on disk and in force, or
/// a newer one. Blocks: this node's part is written by the calling thread, which then hears what the others say. Where there
/// is no connection to one of them, or one takes long, the runtime does.
///
/// They write it while this node does: it is sent to them first. If this node cannot write it, the others may have it all
/// the same: the error says what this node did, and what is spread is spread.
///
/// # Errors
/// This node cannot store it, or not all have it in time: then it is still being spread.
pub(in super::super) fn roll_out(
    runtime: &Handle,
    cluster: &Arc<Cluster>,
    catalogue: &Arc<dyn Catalogued>,
    proposal: Proposal,
) -> Result<(), RollOutError> {
    let Proposal { item, is_known } = proposal;
    let mut rolling = Rolling::new(cluster, catalogue, &item)?;
    let offered = item.summary;
    let own = || match is_known {
        true => Ok(offered),
        false => store_own(&**catalogue, item),
    };
    let (tell, stored) = oneshot::channel();
    // What can be written to sockets now is; most of the work of the others is done while this node writes too.
    if let Some(asked) = rolling.ask() {
        let own = own()?;
        if rolling.hear(&own, asked) {
            return Ok(());
        }
        // It listens from now on.
        let _ = tell.send(Ok(own));
        return runtime.block_on(rolling.end(stored));
    }
    runtime.block_on(rolling.begin());
    let ending = runtime.spawn(rolling.end(stored));
    // That nobody listens any more means that the time is over, which the answer says.
    let _ = tell.send(own());
    // A runtime that ends gives it up.
    let ended = runtime.block_on(ending);
    ended.unwrap_or(Err(RollOutError::Timeout))
}

/// Writes a change here; what this node has then.
fn store_own(catalogue: &dyn Catalogued, item: Item) -> Result<Summary, StoreError> {
    let (name, offered) = (item.name.clone(), item.summary);
    match catalogue.store(vec![item], Origin::Here)?.pop() {
        Some(Ok(stored)) => Ok(stored.has(&offered)),
        // What is proposed here is what this node takes.
        Some(Err(reason)) => Err(StoreError::Item { name, reason }),
        None => Err(interrupted(&name)),
    }
}

fn interrupted(name: &str) -> StoreError {
    StoreError::Io {
        action: "store",
        path: name.into(),
        source: std::io::ErrorKind::Interrupted.into(),
    }
}

/// A change on its way.
struct Rolling {
    me: Run,
    kind: &'static str,
    name: String,
    members: watch::Receiver<Arc<Members>>,
    rollout: Rollout<Run>,
    pushes: Pushes,
}

impl Rolling {
    fn new(
        cluster: &Arc<Cluster>,
        catalogue: &Arc<dyn Catalogued>,
        item: &Item,
    ) -> Result<Self, RollOutError> {
        let me = (cluster.me, cluster.incarnation);
        // Only what cannot be said as JSON fails, and an item can.
        let body =
            About::encode(catalogue.kind().name, [item]).map_err(|_| RollOutError::Timeout)?;
        Ok(Self {
            me,
            kind: catalogue.kind().name,
            name: item.name.clone(),
            members: cluster.membership.subscribe(),
            rollout: Rollout::new(item.summary, [me]),
            pushes: Pushes {
                cluster: Arc::clone(cluster),
                body: body.into(),
                deadline: Instant::now() + TIMEOUT,
                running: Vec::new(),
                started: Vec::new(),
            },
        })
    }

    /// Sends it to those who are live now, whose answers are to be [heard](Self::hear). None: nothing was sent, as one of
    /// them cannot be asked at once.
    fn ask(&mut self) -> Option<Vec<(Run, Asked)>> {
        let fabric = &self.pushes.cluster.fabric;
        let body = &self.pushes.body;
        let live = Arc::clone(&self.members.borrow_and_update());
        self.rollout.members(runs(&live).chain([self.me]));
        let mut ready: Vec<(Run, Ready)> = Vec::with_capacity(live.len());
        for run in runs(&live) {
            let Some(one) = fabric.ready(run.0, body) else {
                for (_, one) in ready {
                    fabric.not_needed(one);
                }
                return None;
            };
            ready.push((run, one));
        }
        let asked = ready.into_iter().filter_map(|(run, one)| {
            let asked = one.ask(fabric, QuestionKind::Push, body);
            // Who was not asked is still waited for, and asked in the end.
            let asked = asked.inspect_err(|error| not_stored(run, &error.to_string()));
            Some((run, asked.ok()?))
        });
        Some(asked.collect())
    }

    /// Waits for these answers, on this thread for a moment. True: all live nodes have it, of which this one has that.
    fn hear(&mut self, own: &Summary, asked: Vec<(Run, Asked)>) -> bool {
        self.rollout.acknowledged(self.me, own);
        let fabric = &self.pushes.cluster.fabric;
        let mut late = Vec::new();
        for (run, one) in asked {
            // Who waits longer than a moment does so for all at once.
            let heard = match late.is_empty() {
                true => one.wait(fabric),
                false => Err(one),
            };
            match heard.map(|answer| answer.map_err(|error| error.to_string())) {
                Ok(answer) => match answer.and_then(|answer| has(&answer)) {
                    Ok(has) => self.rollout.acknowledged(run, &has),
                    Err(reason) => not_stored(run, &reason),
                },
                Err(one) => late.push((run, one)),
            }
        }
        for (run, one) in late {
            self.pushes.go_on(run, one);
        }
        let live = Arc::clone(&self.members.borrow_and_update());
        self.rollout.is_complete(runs(&live).chain([self.me]))
    }

    /// Sends it to those who are live now, as far as that needs no wait.
    async fn begin(&mut self) {
        self.pushes.start(runs(&self.members.borrow_and_update()));
        self.pushes.begin().await;
    }

    /// Waits until every live node has it; `own` says what this node has.
    async fn end(
        mut self,
        own: oneshot::Receiver<Result<Summary, StoreError>>,
    ) -> Result<(), RollOutError> {
        let me = self.me;
        tokio::pin!(own);
        let mut own_ended = false;
        let out_of_time = tokio::time::sleep_until(self.pushes.deadline.into());
        tokio::pin!(out_of_time);
        loop {
            let now = Arc::clone(&self.members.borrow_and_update());
            if self.rollout.is_complete(runs(&now).chain([me])) {
                return Ok(());
            }
            self.pushes
                .start(self.rollout.waiting().filter(|run| *run != me));
            tokio::select! {
                stored = &mut own, if !own_ended => {
                    own_ended = true;
                    let stored = stored.unwrap_or_else(|_| Err(interrupted(&self.name)));
                    self.rollout.acknowledged(me, &stored?);
                }
                Told { run, has } = self.pushes.next() => {
                    self.rollout.acknowledged(run, &has);
                    // It may leave and come back, and is asked anew then.
                    self.pushes.started.retain(|started| *started != run);
                }
                _ = self.members.changed() => {}
                () = &mut out_of_time => {
                    let waiting = self.rollout.waiting();
                    let missing: Vec<String> = waiting.map(|(node, _)| node.to_string()).collect();
                    tracing::warn!(
                        target: "clustering",
                        "{} `{}` is not yet on {}; it is still being spread",
                        self.kind,
                        self.name,
                        missing.join(", ")
                    );
                    return Err(RollOutError::Timeout);
                }
            }
        }
    }
}

/// The pushes of one change, one for each run of a node. They run where the rollout does, on the runtime that hears of
/// answers: to hand each to another thread costs more than it does.
struct Pushes {
    cluster: Arc<Cluster>,
    body: Arc<[u8]>,
    deadline: Instant,
    running: Vec<Pin<Box<dyn Future<Output = Told> + Send>>>,
    started: Vec<Run>,
}

impl Pushes {
    fn start(&mut self, waiting: impl Iterator<Item = Run>) {
        for run in waiting {
            if self.started.contains(&run) {
                continue;
            }
            self.started.push(run);
            let cluster = Arc::clone(&self.cluster);
            let (body, deadline) = (Arc::clone(&self.body), self.deadline);
            self.running
                .push(Box::pin(push(cluster, run, body, deadline)));
        }
    }

    /// Goes on with one that was asked.
    fn go_on(&mut self, run: Run, asked: Asked) {
        self.started.push(run);
        let cluster = Arc::clone(&self.cluster);
        let (body, deadline) = (Arc::clone(&self.body), self.deadline);
        self.running.push(Box::pin(async move {
            let answer = asked.rest(&cluster.fabric, deadline).await;
            let answer = answer.map_err(|error| error.to_string());
            match answer.and_then(|answer| has(&answer)) {
                Ok(has) => Told { run, has },
                Err(reason) => {
                    not_stored(run, &reason);
                    tokio::time::sleep(RESEND).await;
                    push(cluster, run, body, deadline).await
                }
            }
        }));
    }

    /// Goes as far as it goes without waiting. No push ends in that: each waits for an answer.
    async fn begin(&mut self) {
        let mut ended = Vec::new();
        std::future::poll_fn(|context| {
            self.running
                .retain_mut(|push| match push.as_mut().poll(context) {
                    Poll::Ready(told) => {
                        ended.push(told);
                        false
                    }
                    Poll::Pending => true,
                });
            Poll::Ready(())
        })
        .await;
        for told in ended {
            self.running.push(Box::pin(std::future::ready(told)));
        }
    }

    /// The next answer; none comes when nothing is being pushed.
    async fn next(&mut self) -> Told {
        std::future::poll_fn(|context: &mut Context<'_>| {
            let mut pushes = self.running.iter_mut().enumerate();
            let told = pushes.find_map(|(at, push)| match push.as_mut().poll(context) {
                Poll::Ready(told) => Some((at, told)),
                Poll::Pending => None,
            });
            match told {
                Some((at, told)) => {
                    drop(self.running.swap_remove(at));
                    Poll::Ready(told)
                }
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// Pushes until the node has answered; the rollout ends it.
async fn push(cluster: Arc<Cluster>, run: Run, body: Arc<[u8]>, deadline: Instant) -> Told {
    loop {
        let asked = cluster
            .fabric
            .call(run.0, QuestionKind::Push, &body, deadline)
            .await;
        let asked = asked.map_err(|error| error.to_string());
        match asked.and_then(|answer| has(&answer)) {
            Ok(has) => return Told { run, has },
            Err(reason) => not_stored(run, &reason),
        }
        tokio::time::sleep(RESEND).await;
    }
}

/// What a node has that was pushed to, or why not.
fn has(answer: &[u8]) -> Result<Summary, String> {
    let pushed: Pushed = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    pushed
        .into_iter()
        .next()
        .ok_or_else(|| "an empty answer".to_owned())?
}

fn not_stored((node, _): Run, reason: &str) {
    debug!(target: "clustering", "not stored on {node}: {reason}");
}
