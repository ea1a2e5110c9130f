use std::sync::Arc;

use tokio::task::JoinSet;

use super::super::Cluster;
use super::converge::ask;
use super::versions;
use crate::modules::status::{NodeModules, Said};
use crate::transaction::functions::LuaFunctions;

/// Asks every live node what it has, all at the same time; in the order of their identities.
pub(super) async fn of_cluster(
    cluster: &Arc<Cluster>,
    functions: &LuaFunctions,
) -> Vec<NodeModules> {
    let mut asking = JoinSet::new();
    for id in cluster.members().keys().copied() {
        let cluster = Arc::clone(cluster);
        asking.spawn(async move { (id, ask(&cluster, id).await) });
    }
    let me = (cluster.me, cluster.incarnation);
    let mut answers = vec![(cluster.me, Ok(versions(cluster, functions, me)))];
    while let Some(answer) = asking.join_next().await {
        answers.extend(answer.ok());
    }
    answers.sort_by_key(|(id, _)| *id);
    answers
        .into_iter()
        .map(|(id, said)| NodeModules {
            node: id.to_string(),
            said: said.map(|versions| Said {
                modules: versions.modules,
                failures: versions.failures,
            }),
        })
        .collect()
}
