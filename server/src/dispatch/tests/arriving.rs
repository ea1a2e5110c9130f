//! Aggregations and background queries on a node that has just begun, while its records are on their way to it.

use std::sync::atomic::AtomicU8;

use super::background::{ended, query_body};
use super::*;
use data::record::Record;

use crate::config::node_id::NodeId;
use crate::query::jobs::JobEnd;
use crate::transaction::placement::{Alone, NotForwarded, Passage, Placement};

/// The placement of a node that owns all partitions, and serves them when their records have arrived.
#[derive(Default)]
pub(super) struct Place(AtomicU8);

/// Nothing is on its way.
const ARRIVED: u8 = 0;
const ON_THE_WAY: u8 = 1;
/// It takes longer than anybody waits.
const NEVER: u8 = 2;

impl Place {
    fn is(&self, state: u8) -> bool {
        self.0.load(Ordering::SeqCst) == state
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::SeqCst);
    }
}

impl Placement for Place {
    type Ticket = ();

    fn is_here(&self, _digest: &Digest) -> bool {
        self.is(ARRIVED)
    }

    fn serving(&self, _partition: u16) -> Option<u64> {
        self.is(ARRIVED).then_some(0)
    }

    fn serving_among(&self, _among: u16) -> (u64, u64) {
        (if self.is(ARRIVED) { u64::MAX } else { 0 }, 0)
    }

    fn elsewhere(&self, _partition: u16) -> Option<NodeId> {
        None
    }

    async fn pass(
        &self,
        namespace: &str,
        digest: &Digest,
        body: &[u8],
        repeatable: bool,
        deadline: Instant,
    ) -> Passage {
        Alone
            .pass(namespace, digest, body, repeatable, deadline)
            .await
    }

    async fn forward(
        &self,
        owner: NodeId,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Vec<u8>, NotForwarded> {
        Alone.forward(owner, body, deadline).await
    }

    fn ticket(&self, digest: &Digest) {
        Alone.ticket(digest);
    }

    fn stands(&self, ticket: ()) -> bool {
        Alone.stands(ticket)
    }

    async fn quiet(&self, _deadline: Instant) -> bool {
        while self.is(ON_THE_WAY) {
            tokio::task::yield_now().await;
        }
        self.is(ARRIVED)
    }
}

/// A call of the kind: 1 is an aggregation, 2 a background query.
fn call(kind: u8) -> Vec<u8> {
    let ask = Ask::call()
        .field(FieldType::UDF_OP, &[kind])
        .field(FieldType::TASK_ID, &7u64.to_be_bytes());
    query_body(&ask)
}

/// The code that ends the reply.
fn code(messages: &[Got]) -> u8 {
    messages.last().unwrap().result
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_that_is_not_known_yet_is_waited_for() {
    for kind in [1, 2] {
        let bench = Bench::new();
        bench.place.set(NEVER);
        assert_eq!(code(&bench.send(&call(kind)).await), 11);
        bench.place.set(ON_THE_WAY);
        let arrive = async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            // It comes as the copy of another node does, past the placement.
            let copy = Record {
                bins: vec![],
                generation: 1,
                void_time: 0,
                last_update_ms: 1,
                set: bench.test().set("demo").unwrap(),
                key: None,
            };
            bench.test().store(&digest(1), copy).await.unwrap();
            bench.place.set(ARRIVED);
        };
        let request = call(kind);
        let (messages, ()) = tokio::join!(bench.send(&request), arrive);
        assert_eq!(code(&messages), 0, "{messages:?}");
        if kind == 1 {
            assert_eq!(messages.len(), 2, "one result: {messages:?}");
        } else {
            let (job, end) = ended(&bench, 7).await;
            assert_eq!(end, JobEnd::Done);
            assert_eq!(job.counts.succeeded.get(), 1);
        }
        // Where nothing is on its way it is not there.
        let unknown = Bench::new();
        assert_eq!(code(&unknown.send(&call(kind)).await), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_background_query_begins_before_the_node_serves_what_it_owns() {
    let bench = Bench::new();
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    bench.place.set(NEVER);
    assert_eq!(code(&bench.send(&call(2)).await), 11);
    assert!(bench.jobs.find(7).is_none());
    bench.place.set(ARRIVED);
    assert_eq!(code(&bench.send(&call(2)).await), 0);
    assert_eq!(ended(&bench, 7).await.1, JobEnd::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_move_away_from_a_background_query_are_failures() {
    let bench = Bench::new();
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    // The job begins with all partitions, and finds all but one of them.
    bench.test().set_ownership(|partition| partition != 4095);
    assert_eq!(code(&bench.send(&call(2)).await), 0);
    let (job, end) = ended(&bench, 7).await;
    assert_eq!((end, job.counts.failed.get()), (JobEnd::Done, 1));
    let error = job.last_error().unwrap();
    assert_eq!(error, "partition 4095 moved to another node");
}
