//! A node with its modules, as the transactions use it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::key::Digest;

use crate::cluster::NodeId;
use crate::cluster::fabric::FabricError;
use crate::cluster::records::{Passage, Records};
use crate::modules::service::{AcquireError, ContextGuard, Service};
use crate::node::Node;
use crate::query::jobs::Jobs;
use crate::record::Namespace;
use crate::stats::ServerStats;
use crate::transaction::{
    Call, CallOutcome, FunctionContext, Functions, Services, StreamCall, StreamStep,
};
use runtime::context::LuaFactory;

/// The registered modules and their contexts.
#[derive(Clone)]
pub struct LuaFunctions(pub Arc<Service<LuaFactory>>);

/// Everything that a connection works with.
pub struct Running {
    /// The node.
    pub node: Arc<Node>,
    /// Its modules; the same that the node's info commands manage.
    pub functions: LuaFunctions,
    /// Its part of the cluster's records; none when it is alone.
    pub records: Option<Arc<Records>>,
}

impl Services for Running {
    type Functions = LuaFunctions;

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

    fn jobs(&self) -> &Arc<Jobs> {
        &self.node.jobs
    }

    fn query_limits(&self) -> (usize, usize) {
        let service = &self.node.config.service;
        let limit = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        (
            limit(service.query_threads_limit()),
            limit(service.query_max_done()),
        )
    }

    fn is_here(&self, digest: &Digest) -> bool {
        self.records
            .as_ref()
            .is_none_or(|records| records.is_here(digest))
    }

    fn owns(&self, partition: u16) -> bool {
        self.records
            .as_ref()
            .is_none_or(|records| records.owns(partition))
    }

    fn elsewhere(&self, digest: &Digest) -> Option<NodeId> {
        let records = self.records.as_ref()?;
        records
            .owner(digest.partition_id())
            .filter(|owner| *owner != self.node.id)
    }

    async fn pass(
        &self,
        namespace: &str,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> Passage {
        match &self.records {
            Some(records) => {
                records
                    .pass(namespace, digest, body, repeatable, deadline)
                    .await
            }
            None => Passage::Here,
        }
    }

    async fn forward(
        &self,
        owner: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, FabricError> {
        match &self.records {
            Some(records) => records.forward(owner, body, deadline).await,
            None => Err(FabricError::Unknown(owner)),
        }
    }

    fn ran(&self, namespace: &str, digest: &Digest) {
        if let Some(records) = &self.records {
            records.ran(namespace, digest);
        }
    }

    async fn quiet(&self, deadline: Instant) -> bool {
        match &self.records {
            Some(records) => records.quiet(deadline).await,
            None => true,
        }
    }

    fn stats(&self) -> &ServerStats {
        &self.node.stats
    }
}

/// A context taken from a pool for one call.
pub struct PooledFunction {
    service: Arc<Service<LuaFactory>>,
    guard: ContextGuard<LuaFactory>,
}

impl Functions for LuaFunctions {
    type Context = PooledFunction;

    async fn acquire(&self, package: &[u8]) -> Result<PooledFunction, Vec<u8>> {
        let guard = match self.0.acquire_idle(package).map_err(text)? {
            Some(guard) => guard,
            None => wait_for(&self.0, package).map_err(text)?,
        };
        Ok(PooledFunction {
            service: Arc::clone(&self.0),
            guard,
        })
    }
}

/// Has the registry note every hour that it is alive, and forget what was removed long ago.
pub async fn run_keep_alive(functions: LuaFunctions) {
    let mut interval = tokio::time::interval(Service::<LuaFactory>::KEEP_ALIVE);
    interval.tick().await;
    loop {
        interval.tick().await;
        let service = Arc::clone(&functions.0);
        let kept = tokio::task::spawn_blocking(move || service.keep_alive()).await;
        if let Ok(Err(error)) = kept {
            tracing::error!(target: "udf", "the registry cannot be kept: {error}");
        }
    }
}

fn text(error: AcquireError) -> Vec<u8> {
    error.to_string().into_bytes()
}

/// Takes an idle context or builds one on this thread, which runs the module's body: others get the worker's duty
/// meanwhile.
fn wait_for(
    service: &Service<LuaFactory>,
    package: &[u8],
) -> Result<ContextGuard<LuaFactory>, AcquireError> {
    tokio::task::block_in_place(|| service.acquire(package))
}

impl FunctionContext for PooledFunction {
    async fn run(&mut self, call: Call<'_>) -> CallOutcome {
        // The record may have been waited for: a module that was replaced meanwhile must not run its old code.
        if !self.guard.is_current() {
            match wait_for(&self.service, self.guard.module().as_bytes()) {
                Ok(guard) => self.guard = guard,
                Err(error) => return CallOutcome::failure(text(error)),
            }
        }
        let Some(context) = self.guard.context() else {
            return CallOutcome::failure("no context for the call");
        };
        let (outcome, ended) = context.run(call);
        self.guard.ended(ended);
        outcome
    }

    fn begin_stream(&mut self, call: StreamCall<'_>) -> Result<(), Vec<u8>> {
        match self.guard.context() {
            Some(context) => context.begin_stream(call),
            None => Err(b"no context for the call".to_vec()),
        }
    }

    fn next_value(&mut self) -> StreamStep {
        let context = self.guard.context();
        context.map_or(StreamStep::End, |context| context.next_value())
    }

    fn end_stream(&mut self) {
        if let Some(context) = self.guard.context() {
            let ended = context.end_stream();
            self.guard.ended(ended);
        }
    }
}
