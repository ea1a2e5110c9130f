//! Catching up by gossip: every node publishes which versions it has; who lacks one fetches it from a node that has it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, warn};

use super::super::Cluster;
use super::super::fabric::QuestionKind;
use super::super::membership::{Member, Members};
use super::{About, Compare, Run, Versions, runs, store};
use crate::catalogue::joining::{Joining, outdated_counts};
use crate::catalogue::version::Summaries;
use crate::catalogue::{Catalogued, Item, Origin};
use crate::config::node_id::NodeId;

/// Pause before a fetch that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// Changes within so much time are published together. Nobody waits for it: who made a change has told every live node, and
/// what is published is for those that it did not reach.
const TOGETHER: Duration = Duration::from_millis(100);

/// Names asked for at once, most.
const FETCH_NAMES: usize = 1_000;

/// Beginning of the names under which versions are published; the name of the thing follows.
fn prefix(catalogue: &dyn Catalogued) -> String {
    format!("{}/", catalogue.kind().name)
}

/// Publishes what this node has, at first and soon after every change, once it counts.
pub async fn publish(cluster: Arc<Cluster>, catalogue: Arc<dyn Catalogued>) {
    let shown = catalogue.shown();
    let prefix = prefix(&*catalogue);
    let mut changes = shown.changes();
    let mut published = Summaries::new();
    loop {
        changes.borrow_and_update();
        if shown.is_settled() {
            let now = shown.summaries();
            let changed = now
                .iter()
                .filter(|(name, summary)| published.get(*name) != Some(summary))
                .map(|(name, summary)| (format!("{prefix}{name}"), Some(summary.to_string())));
            let forgotten = published
                .keys()
                .filter(|name| !now.contains_key(*name))
                .map(|name| (format!("{prefix}{name}"), None));
            let texts: Vec<(String, Option<String>)> = changed.chain(forgotten).collect();
            let texts = texts
                .iter()
                .map(|(name, text)| (name.as_str(), text.as_deref()));
            cluster.membership.publish_all(texts);
            published = now;
        }
        if changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(TOGETHER).await;
    }
}

/// Fetches what others have published and this node lacks, until it is dropped.
pub async fn converge(cluster: Arc<Cluster>, catalogue: Arc<dyn Catalogued>) {
    let mut members = cluster.membership.subscribe();
    // Texts of each run that were looked through with success.
    let mut seen: HashMap<Run, u64> = HashMap::new();
    loop {
        let now = Arc::clone(&members.borrow_and_update());
        seen.retain(|run, _| runs(&now).any(|known| known == *run));
        let mut failed = false;
        for member in now.values() {
            let run = (member.id, member.incarnation);
            if seen.get(&run) == Some(&member.texts_version()) {
                continue;
            }
            match fetch_from(&cluster, &catalogue, member).await {
                Ok(()) => {
                    seen.insert(run, member.texts_version());
                }
                Err(reason) => {
                    debug!(target: "clustering", "no {} from {}: {reason}", catalogue.kind().plural, member.id);
                    failed = true;
                }
            }
        }
        let again = async {
            if failed {
                tokio::time::sleep(RETRY).await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = members.changed() => if changed.is_err() { return },
            () = again => {}
        }
    }
}

async fn fetch_from(
    cluster: &Arc<Cluster>,
    catalogue: &Arc<dyn Catalogued>,
    member: &Member,
) -> Result<(), String> {
    let theirs = published(member, &**catalogue);
    let mut lacking = catalogue.shown().missing(&theirs);
    while !lacking.is_empty() {
        let names = lacking.get(..FETCH_NAMES).unwrap_or(&lacking);
        let got = fetch(cluster, catalogue, member.id, names).await?;
        lacking.retain(|name| !got.contains(name));
    }
    Ok(())
}

/// What a member has published. What cannot be read of it is passed over, and said.
fn published(member: &Member, catalogue: &dyn Catalogued) -> Summaries {
    let mut theirs = Summaries::new();
    for (name, text) in member.texts(&prefix(catalogue)) {
        match text.parse() {
            Ok(summary) => {
                theirs.insert(name.into(), summary);
            }
            Err(_) => warn!(
                target: "clustering",
                "what {} publishes of {} `{}` cannot be read: `{}`; it is not fetched from there",
                member.id,
                catalogue.kind().name,
                name.escape_debug(),
                text.escape_debug()
            ),
        }
    }
    theirs
}

/// Fetches and stores some of these modules; gives back those that need not be asked for again: at least one.
async fn fetch(
    cluster: &Arc<Cluster>,
    catalogue: &Arc<dyn Catalogued>,
    node: NodeId,
    names: &[Arc<str>],
) -> Result<Vec<Arc<str>>, String> {
    let question = About::encode(catalogue.kind().name, names)?;
    let answer = cluster
        .fabric
        .call(node, QuestionKind::Fetch, &question, cluster.deadline())
        .await
        .map_err(|error| error.to_string())?;
    let items: Vec<Item> = serde_json::from_slice(&answer)
        .map_err(|error| format!("an answer that cannot be read: {error}"))?;
    let got: Vec<Arc<str>> = items.iter().map(|item| item.name.as_str().into()).collect();
    if got.is_empty() {
        // It has none of them any more.
        return Ok(names.to_vec());
    }
    let stored = store(catalogue, items, Origin::Peer)
        .await
        .map_err(|error| error.to_string())?;
    for (name, stored) in got.iter().zip(stored) {
        if let Err(reason) = stored {
            warn!(target: "clustering", "{} `{name}` of {node} was not stored: {reason}", catalogue.kind().name);
        }
    }
    Ok(got)
}

/// A node on its way to have all things of one kind that the others have.
pub(in super::super) struct Newcomer {
    catalogue: Arc<dyn Catalogued>,
    joining: Joining<Run>,
}

impl Newcomer {
    pub(in super::super) fn new(catalogue: &Arc<dyn Catalogued>) -> Self {
        Self {
            catalogue: Arc::clone(catalogue),
            joining: Joining::default(),
        }
    }

    /// One step of joining: asks the members that have not answered well enough yet, and fetches what they have. True when
    /// this node has everything that the live nodes have, and all of them push new changes to it.
    ///
    /// `listened` tells that by now all live nodes would have been heard of.
    ///
    /// # Errors
    /// Whom or what to wait for.
    pub(in super::super) async fn catch_up(
        &mut self,
        cluster: &Arc<Cluster>,
        listened: bool,
    ) -> Result<bool, String> {
        let kind = self.catalogue.kind();
        let members = cluster.members();
        self.joining.members(runs(&members));
        let mut waiting_for = None;
        let to_ask: Vec<Run> = self.joining.to_ask().collect();
        for run in to_ask {
            let versions = ask(cluster, &*self.catalogue, run.0).await?;
            let shown = self.catalogue.shown();
            let lacking = shown.missing(&versions.things);
            if !versions.standing.lists_asker {
                waiting_for = Some(format!("{} to list this node", run.0));
            } else if !versions.standing.is_settled {
                waiting_for = Some(format!("{} to settle its {}", run.0, kind.plural));
            }
            let settled = shown.is_settled();
            self.joining
                .answered(run, versions.standing, settled, lacking);
        }
        self.settle(cluster, listened).await?;
        self.fetch_lacking(cluster, &members).await?;
        if !self.joining.is_ready(runs(&cluster.members())) {
            return waiting_for.map_or(Ok(false), Err);
        }
        match self.catalogue.is_usable() {
            true => Ok(true),
            false => Err(format!("its {} to be built", kind.plural)),
        }
    }

    async fn settle(&mut self, cluster: &Arc<Cluster>, listened: bool) -> Result<(), String> {
        let shown = self.catalogue.shown();
        if shown.is_settled() {
            return Ok(());
        }
        let live = runs(&cluster.members()).collect::<Vec<_>>();
        let Some(peers) = self.joining.peers_alive_until_ms(live) else {
            return Ok(());
        };
        let counts = outdated_counts(shown.alive_until_ms(), peers.iter().copied());
        if counts && !listened {
            // A node that was alive later may not have been heard of yet.
            return Ok(());
        }
        let catalogue = Arc::clone(&self.catalogue);
        let settled = tokio::task::spawn_blocking(move || catalogue.settle(peers)).await;
        match settled {
            Ok(Err(error)) => Err(format!("its registry: {error}")),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    async fn fetch_lacking(
        &mut self,
        cluster: &Arc<Cluster>,
        members: &Members,
    ) -> Result<(), String> {
        for run in runs(members) {
            loop {
                let names: Vec<Arc<str>> = self
                    .joining
                    .to_fetch()
                    .filter(|(peer, _)| *peer == run)
                    .map(|(_, name)| Arc::clone(name))
                    .take(FETCH_NAMES)
                    .collect();
                if names.is_empty() {
                    break;
                }
                for name in fetch(cluster, &self.catalogue, run.0, &names).await? {
                    self.joining.fetched(run, &name);
                }
            }
        }
        Ok(())
    }
}

/// What a node says about its things of a kind.
pub(in super::super) async fn ask(
    cluster: &Cluster,
    catalogue: &dyn Catalogued,
    node: NodeId,
) -> Result<Versions, String> {
    let incarnation = cluster.incarnation;
    let question = About::encode(catalogue.kind().name, Compare { incarnation })?;
    let answer = cluster
        .fabric
        .call(node, QuestionKind::Versions, &question, cluster.deadline())
        .await
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&answer)
        .map_err(|error| format!("{node} gave an answer that cannot be read: {error}"))
}
