//! One change, on its way to every live node.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tracing::debug;

use super::super::Cluster;
use super::super::fabric::QuestionKind;
use super::{About, Pushed, Run, runs, store};
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
/// a newer one.
///
/// The others write it while this node does. If this node cannot write it, the others may have it all the same: the
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
    let offered = item.summary;
    // Its writing goes on when this rollout is given up.
    let own = tokio::spawn({
        let (catalogue, item) = (Arc::clone(catalogue), item.clone());
        async move {
            if is_known {
                return Ok(offered);
            }
            stored_here(&catalogue, item).await
        }
    });
    tokio::pin!(own);
    let mut own_ended = false;
    // Only what cannot be said as JSON fails, and an item can.
    let body = About::encode(catalogue.kind().name, [&item]).map_err(|_| RollOutError::Timeout)?;
    let mut pushes = Pushes {
        cluster: Arc::clone(cluster),
        body: Arc::new(body),
        deadline,
        running: JoinSet::new(),
        started: Vec::new(),
    };
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
                match stored {
                    Ok(has) => rollout.acknowledged(me, &has?),
                    Err(_) => return Err(RollOutError::Timeout),
                }
            }
            Some(told) = pushes.running.join_next() => {
                if let Ok(Told { run, has }) = told {
                    rollout.acknowledged(run, &has);
                    // It may leave and come back, and is asked anew then.
                    pushes.started.retain(|started| *started != run);
                }
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
                    item.name,
                    missing.join(", ")
                );
                return Err(RollOutError::Timeout);
            }
        }
    }
}

async fn stored_here(catalogue: &Arc<dyn Catalogued>, item: Item) -> Result<Summary, StoreError> {
    let name = item.name.clone();
    let stored = store(catalogue, vec![item], Origin::Here).await?;
    match stored.into_iter().next() {
        Some(Ok(has)) => Ok(has),
        // What is proposed here is what this node takes: it was ended meanwhile.
        Some(Err(_)) | None => Err(StoreError::Io {
            action: "store",
            path: name.into(),
            source: std::io::ErrorKind::Interrupted.into(),
        }),
    }
}

/// The pushes of one change, one for each run of a node.
struct Pushes {
    cluster: Arc<Cluster>,
    body: Arc<Vec<u8>>,
    deadline: Instant,
    running: JoinSet<Told>,
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
            self.running.spawn(push(cluster, run, body, deadline));
        }
    }
}

/// Pushes until the node has answered; the rollout ends it.
async fn push(cluster: Arc<Cluster>, run: Run, body: Arc<Vec<u8>>, deadline: Instant) -> Told {
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
