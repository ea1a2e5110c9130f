use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;

use super::super::Cluster;
use super::super::catalogue::{RollOutError, roll_out};
use super::status;
use crate::catalogue::{Catalogued, Proposal, answer_by};
use crate::contexts::commands::ModuleCommands;
use crate::contexts::stats::{ModuleCounts, UdfTotals};
use crate::modules::changes::ChangeError;
use crate::modules::module::ModuleSet;
use crate::modules::registry::PutError;
use crate::modules::status::NodeModules;
use crate::transaction::functions::LuaFunctions;

/// The info commands on modules of a node in a cluster: changes go to every node, `udf-clear-cache` stays here.
pub struct ClusterModules {
    cluster: Arc<Cluster>,
    functions: LuaFunctions,
    runtime: Handle,
}

impl ClusterModules {
    /// The commands of this node; to be called on its runtime.
    #[must_use]
    pub fn new(cluster: &Arc<Cluster>, functions: &LuaFunctions) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            functions: functions.clone(),
            runtime: Handle::current(),
        }
    }

    fn roll_out(&self, proposal: Proposal) -> Result<(), ChangeError> {
        let catalogue = Arc::clone(&self.functions.0) as Arc<dyn Catalogued>;
        Ok(roll_out(
            &self.runtime,
            &self.cluster,
            &catalogue,
            proposal,
        )?)
    }
}

impl From<RollOutError> for ChangeError {
    fn from(error: RollOutError) -> Self {
        match error {
            RollOutError::Store(error) => error.into(),
            RollOutError::Timeout => Self::Timeout,
        }
    }
}

/// Changes wait on the thread of a blocking command for what happens on the runtime.
impl ModuleCommands for ClusterModules {
    fn put(&self, file_name: &str, content64: &str) -> Result<(), ChangeError> {
        let service = &self.functions.0;
        let prepared = service.prepare(file_name, content64)?;
        answer_by::begins();
        let proposal = service.propose_put(&prepared).map_err(PutError::from)?;
        self.roll_out(proposal)
    }

    fn remove(&self, file_name: &str) -> Result<(), ChangeError> {
        answer_by::begins();
        match self.functions.0.propose_removal(file_name)? {
            Some(proposal) => self.roll_out(proposal),
            None => Ok(()),
        }
    }

    fn allows_unsafe(&self) -> bool {
        self.functions.0.allows_unsafe()
    }

    fn modules(&self) -> Arc<ModuleSet> {
        self.functions.0.modules()
    }

    fn clear_cache(&self) {
        self.functions.0.clear_cache();
    }

    fn counts(&self) -> Vec<ModuleCounts> {
        self.functions.0.counts()
    }

    fn status(&self) -> Vec<NodeModules> {
        let asked = status::of_cluster(&self.cluster, &self.functions);
        self.runtime.block_on(asked)
    }

    fn totals(&self) -> UdfTotals {
        let mut totals = self.functions.0.totals();
        let of_catalogues = &self.cluster.fabric.of_catalogues;
        totals.registry.asked = of_catalogues.asked.load(Ordering::Relaxed);
        totals.registry.answered = of_catalogues.answered.load(Ordering::Relaxed);
        totals
    }
}
