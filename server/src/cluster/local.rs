use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ClusterView;
use crate::record::Namespace;

/// What the node and its cluster share.
#[derive(Debug)]
pub struct LocalNode {
    /// The namespaces in the order of the configuration.
    pub namespaces: Vec<Arc<Namespace>>,
    /// The cluster as of now.
    pub cluster: Arc<ArcSwap<ClusterView>>,
}

impl LocalNode {
    /// The namespace of a name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name() == name)
    }
}
