//! One change, on its way to every live node.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tracing::debug;

use super::super::Cluster;
use super::super::fabric::QuestionKind;
use super::{About, Pushed, Run, in_background, runs};
use crate::catalogue::rollout::{RESEND, Rollout, TIMEOUT};
use crate::catalogue::version::Summary;
use crate::catalogue::{Catalogued, Origin, Proposal, StoreError};

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
/// a newer one.
///
/// The others write it while this node does: it is sent to them before a thread is asked for that writes it here. If this node cannot write it, the others may have it all the same: the
/// error says what this node did, and what is spread is spread.
///
/// # Errors
/// This node cannot store it, or not all have it in time: then it is still being spread.
pub(in super::super) async fn roll_out(
    cluster: &Arc<Cluster>,
    catalogue: &Arc<dyn Catalogued>,
    proposal: Proposal,
) -> Result<(), RollOutError> {
    let Proposal { item, is_known } = proposal;
    let me = (cluster.me, cluster.incarnation);
    let mut members = cluster.membership.subscribe();
    let mut rollout = Rollout::new(item.summary, [me]);
    let deadline = Instant::now() + TIMEOUT;
    // Only what cannot be said as JSON fails, and an item can.
    let body = About::encode(catalogue.kind().name, [&item]).map_err(|_| RollOutError::Timeout)?;
    let mut pushes = Pushes {
        cluster: Arc::clone(cluster),
        body: body.into(),
        deadline,
        running: Vec::new(),
        started: Vec::new(),
    };
    pushes.start(runs(&members.borrow_and_update()));
    // What can be written now is; most of the work of the others is done while this node writes too.
    pushes.begin().await;
    let (name, offered) = (item.name.clone(), item.summary);
    // Its writing goes on when this rollout is given up.
    let own = (!is_known).then(|| in_background(catalogue, vec![item], Origin::Here));
    let own = async {
        match own {
            Some(own) => own_summary(own.await, &name),
            None => Ok(offered),
        }
    };
    tokio::pin!(own);
    let mut own_ended = false;
    let out_of_time = tokio::time::sleep_until(deadline.into());
    tokio::pin!(out_of_time);
    loop {
        let now = Arc::clone(&members.borrow_and_update());
        if rollout.is_complete(runs(&now).chain([me])) {
            return Ok(());
        }
        pushes.start(rollout.waiting().filter(|run| *run != me));
        tokio::select! {
            stored = &mut own, if !own_ended => {
                own_ended = true;
                rollout.acknowledged(me, &stored?);
            }
            Told { run, has } = pushes.next() => {
                rollout.acknowledged(run, &has);
                // It may leave and come back, and is asked anew then.
                pushes.started.retain(|started| *started != run);
            }
            _ = members.changed() => {}
            () = &mut out_of_time => {
                let missing: Vec<String> = rollout
                    .waiting()
                    .map(|(node, _)| node.to_string())
                    .collect();
                tracing::warn!(
                    target: "clustering",
                    "{} `{}` is not yet on {}; it is still being spread",
                    catalogue.kind().name,
                    name,
                    missing.join(", ")
                );
                return Err(RollOutError::Timeout);
            }
        }
    }
}

/// What this node has now.
fn own_summary(stored: Result<Pushed, StoreError>, name: &str) -> Result<Summary, StoreError> {
    match stored?.into_iter().next() {
        Some(Ok(has)) => Ok(has),
        // What is proposed here is what this node takes: it was ended meanwhile.
        Some(Err(_)) | None => Err(StoreError::Io {
            action: "store",
            path: name.into(),
            source: std::io::ErrorKind::Interrupted.into(),
        }),
    }
}

/// The pushes of one change, one for each run of a node. They run where the rollout does: to hand them to other threads
/// costs more than they do.
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
        let reason = match asked {
            Ok(answer) => match serde_json::from_slice::<Pushed>(&answer) {
                Ok(pushed) => match pushed.into_iter().next() {
                    Some(Ok(has)) => return Told { run, has },
                    Some(Err(reason)) => reason,
                    None => "an empty answer".to_owned(),
                },
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        };
        debug!(target: "clustering", "not stored on {}: {reason}", run.0);
        tokio::time::sleep(RESEND).await;
    }
}
