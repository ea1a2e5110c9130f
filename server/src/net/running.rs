//! A node with its modules, as the transactions use it.

use std::sync::Arc;
use std::time::Duration;

use protocol::bounds::Fit as _;

use crate::cluster::records::ClusterPlacement;
use crate::node::Node;
use crate::query::QueryServices;
use crate::query::jobs::Jobs;
use crate::record::Namespace;
use crate::stats::ServerStats;
use crate::transaction::Services;
use crate::transaction::functions::LuaFunctions;

/// Everything that a connection works with.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Its modules; the same that the node's info commands manage.
    pub functions: LuaFunctions,
    /// Its part of the cluster's records.
    pub placement: ClusterPlacement,
}

impl Services for Running {
    type Functions = LuaFunctions;
    type Placement = ClusterPlacement;

    fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.node.namespace(name)
    }

    fn transaction_max(&self) -> Duration {
        Duration::from_millis(self.node.config.service.transaction_max_ms().into())
    }

    fn batch_max_requests(&self) -> u32 {
        self.node.config.service.batch_max_requests()
    }

    fn udf_execution_disabled(&self) -> bool {
        self.node.config.service.disable_udf_execution()
    }

    fn functions(&self) -> &LuaFunctions {
        &self.functions
    }

    fn placement(&self) -> &ClusterPlacement {
        &self.placement
    }

    fn stats(&self) -> &ServerStats {
        &self.node.stats
    }
}

impl QueryServices for Running {
    fn jobs(&self) -> &Arc<Jobs> {
        &self.node.jobs
    }

    fn query_limits(&self) -> (usize, usize) {
        let service = &self.node.config.service;
        let limit = |number: u32| number.fit::<usize>();
        (
            limit(service.query_threads_limit()),
            limit(service.query_max_done()),
        )
    }
}
