use std::sync::Arc;

use bytes::BytesMut;
use protocol::info::Params;
use tokio::runtime::Handle;

use super::super::Cluster;
use super::rollout::roll_out;
use super::status;
use crate::contexts::stats::UdfTotals;
use crate::info::ModuleCommands;
use crate::modules::changes::{ChangeError, Changes};
use crate::modules::registry::PutError;
use crate::modules::{changes as info, status as udf_status};
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
}

/// Both wait on the thread of a blocking command for what happens on the runtime.
impl Changes for ClusterModules {
    fn put(&self, file_name: &str, content64: &str) -> Result<(), ChangeError> {
        let service = &self.functions.0;
        let prepared = service.prepare(file_name, content64)?;
        let proposal = service.propose_put(&prepared).map_err(PutError::from)?;
        self.runtime
            .block_on(roll_out(&self.cluster, &self.functions, proposal))
    }

    fn remove(&self, file_name: &str) -> Result<(), ChangeError> {
        match self.functions.0.propose_removal(file_name)? {
            Some(proposal) => {
                self.runtime
                    .block_on(roll_out(&self.cluster, &self.functions, proposal))
            }
            None => Ok(()),
        }
    }
}

impl ModuleCommands for ClusterModules {
    fn put(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_put(&self.functions.0, self, params, out);
    }

    fn get(&self, params: &Params<'_>, out: &mut BytesMut) {
        self.functions.0.get(params, out);
    }

    fn list(&self, params: &Params<'_>, out: &mut BytesMut) {
        self.functions.0.list(params, out);
    }

    fn remove(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_remove(self, params, out);
    }

    fn clear_cache(&self, params: &Params<'_>, out: &mut BytesMut) {
        ModuleCommands::clear_cache(&*self.functions.0, params, out);
    }

    fn stats(&self, params: &Params<'_>, out: &mut BytesMut) {
        self.functions.0.stats(params, out);
    }

    fn status(&self, params: &Params<'_>, out: &mut BytesMut) {
        let asked = status::of_cluster(&self.cluster, &self.functions);
        let nodes = self.runtime.block_on(asked);
        udf_status::write(&nodes, params.get("filename"), out);
    }

    fn totals(&self) -> UdfTotals {
        self.functions.0.totals()
    }
}
