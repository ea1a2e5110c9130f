//! What a node answers to its peers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::BytesMut;

use super::Cluster;
use super::catalogue::{About, Catalogues, Compare, store_pushed, versions};
use super::fabric::{FabricHandler, QuestionKind};
use super::records::Records;
use super::truncation::TruncateRequest;
use crate::catalogue::{Catalogued, Item};
use crate::config::node_id::NodeId;
use crate::dispatch::answer_forwarded;
use crate::query::QueryServices;
use crate::transaction::functions::LuaFunctions;

/// Bytes of contents in one answer, about; the rest is asked for again.
const FETCH_BYTES: usize = 8 << 20;

/// What a node answers to its peers.
pub struct Answers<S> {
    cluster: Arc<Cluster>,
    catalogues: Catalogues,
    running: Arc<S>,
    records: Arc<Records>,
}

impl<S: QueryServices<Functions = LuaFunctions>> Answers<S> {
    /// The answers of this node.
    #[must_use]
    pub fn new(
        cluster: &Arc<Cluster>,
        catalogues: &Catalogues,
        running: &Arc<S>,
        records: &Arc<Records>,
    ) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            catalogues: Arc::clone(catalogues),
            running: Arc::clone(running),
            records: Arc::clone(records),
        }
    }

    /// The catalogue of this kind.
    fn of_kind(&self, kind: &str) -> Result<&Arc<dyn Catalogued>, String> {
        let mut all = self.catalogues.iter();
        all.find(|catalogue| catalogue.kind().name == kind)
            .ok_or_else(|| format!("this node knows no kind `{kind}`"))
    }
}

/// What this node has under some names: the first of them, and more while they are not too large together.
fn fetch(catalogue: &dyn Catalogued, names: &[String]) -> Vec<Item> {
    let mut left = FETCH_BYTES;
    let mut items = Vec::new();
    for name in names {
        let Some(item) = catalogue.shown().item(name) else {
            continue;
        };
        let bytes = item.content.as_deref().map_or(0, str::len);
        // At least one, or the asker would never get on.
        if !items.is_empty() && bytes > left {
            break;
        }
        left = left.saturating_sub(bytes);
        items.push(item);
    }
    items
}

impl<S: QueryServices<Functions = LuaFunctions> + 'static> FabricHandler for Answers<S> {
    async fn answer(
        &self,
        from: NodeId,
        kind: QuestionKind,
        body: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let unreadable = |error: serde_json::Error| format!("the question cannot be read: {error}");
        if kind.is_of_catalogues() {
            let counts = &self.cluster.fabric.of_catalogues;
            counts.answered.fetch_add(1, Ordering::Relaxed);
        }
        let answer = match kind {
            QuestionKind::Versions => {
                let About { kind, question } = serde_json::from_slice(&body).map_err(unreadable)?;
                let Compare { incarnation } = question;
                let catalogue = self.of_kind(&kind)?;
                let asker = (from, incarnation);
                serde_json::to_vec(&versions(&self.cluster, &**catalogue, asker))
            }
            QuestionKind::Fetch => {
                let About::<Vec<String>> { kind, question } =
                    serde_json::from_slice(&body).map_err(unreadable)?;
                let catalogue = self.of_kind(&kind)?;
                serde_json::to_vec(&fetch(&**catalogue, &question))
            }
            QuestionKind::Push => {
                let About::<Vec<Item>> { kind, question } =
                    serde_json::from_slice(&body).map_err(unreadable)?;
                let catalogue = self.of_kind(&kind)?;
                let stored = store_pushed(catalogue, question).await;
                serde_json::to_vec(&stored.map_err(|error| error.to_string())?)
            }
            QuestionKind::Forward => {
                let mut frames = BytesMut::new();
                return answer_forwarded(&*self.running, &body, Instant::now(), &mut frames)
                    .await
                    .map(|()| frames.into())
                    .map_err(|error| error.to_string());
            }
            QuestionKind::Truncate => {
                let request: TruncateRequest = serde_json::from_slice(&body).map_err(unreadable)?;
                // A namespace that is not here has no records here.
                if let Some(namespace) = self.running.namespace(&request.namespace) {
                    let truncated = request.apply(namespace).await;
                    truncated.map_err(|error| error.to_string())?;
                }
                return Ok(Vec::new());
            }
            QuestionKind::Holdings => return self.records.holdings(&body),
            QuestionKind::Take => return self.records.take(from, &body).await,
            QuestionKind::Drop => return self.records.drop_copies(from, &body).await,
            QuestionKind::Hello | QuestionKind::Proof => {
                return Err("the greeting is over".to_owned());
            }
        };
        answer.map_err(|error| error.to_string())
    }
}
