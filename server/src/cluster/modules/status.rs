use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::Cluster;
use super::super::catalogue::{ask, versions};
use crate::modules::status::{NodeModules, Said};
use crate::transaction::functions::LuaFunctions;

/// Asks every live node what it has, all at the same time; in the order of their identities.
pub(super) async fn of_cluster(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
) -> Vec<NodeModules> {
    let mut asking = JoinSet::new();
    for id in cluster.members().keys().copied() {
        let (cluster, service) = (Arc::clone(cluster), Arc::clone(&functions.0));
        asking.spawn(async move { (id, ask(&cluster, &*service, id).await) });
    }
    let me = (cluster.me, cluster.incarnation);
    let mut answers = vec![(cluster.me, Ok(versions(cluster, &*functions.0, me)))];
    while let Some(answer) = asking.join_next().await {
        answers.extend(answer.ok());
    }
    answers.sort_unstable_by_key(|(id, _)| *id);
    answers
        .into_iter()
        .map(|(id, said)| NodeModules {
            node: id.to_string(),
            said: said.map(|versions| Said {
                modules: versions.things,
                failures: versions.failures,
            }),
        })
        .collect()
}
