//! Secondary indexes in a cluster: definitions are on every node, and queries find every record once while nodes come and
//! go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use aerospike::query::{Filter, PartitionFilter};
use aerospike::{
    Bins, Client, ClientPolicy, CollectionIndexType, IndexType, QueryPolicy, Statement, Task,
    Value, as_bin, as_key,
};
use std::sync::Mutex;
use tests::asd::RunningAsd;
use tests::process::wait_until;

use crate::cluster::{DEADLINE, ask, plan, restart_each, wait_until_formed};
use crate::official_client::{admin, writing};

/// What a node lists, in the order of the names.
fn list(node: &RunningAsd) -> Vec<String> {
    let list = ask(node, "sindex-list:namespace=test;b64=true");
    let entries = list.split(';').filter(|entry| !entry.is_empty());
    let mut entries: Vec<String> = entries
        .map(|entry| entry.replace("state=WO", "state=RW"))
        .collect();
    entries.sort();
    entries
}

/// The entries of each sort of index, after `sindex-create:namespace=test;indexname=`.
const SORTS: &[&str] = &[
    "numbers;set=people;bin=n;type=numeric",
    "tags;indextype=list;bin=l;type=string",
    "keys;indextype=mapkeys;bin=m;type=blob",
    "places;indextype=mapvalues;bin=m;type=geo2dsphere",
    "inside;context=kiKjA2sx;bin=m;type=numeric",
    "computed;exp=kxSTUQKhaQU=;type=numeric",
    "of_set;set=people;indextype=set",
];

/// Defines on a node; every live node has it afterwards, on a busy machine and disk at a later attempt.
fn create(node: &RunningAsd, rest: &str) {
    change(
        node,
        &format!("sindex-create:namespace=test;indexname={rest}"),
    );
}

fn change(node: &RunningAsd, command: &str) {
    wait_until("an index is changed on all nodes", DEADLINE, || {
        let answer = ask(node, command);
        let is_late = answer.starts_with("ERROR:9:");
        assert!(answer == "ok" || is_late, "{command}: {answer}");
        Ok(!is_late)
    })
    .unwrap();
}

#[test]
fn an_index_is_on_every_node_when_its_definition_is_answered() {
    let (_directory, plan) = plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    for (number, sort) in SORTS.iter().enumerate() {
        create(&nodes[number % 3], sort);
        let lists: Vec<_> = nodes.iter().map(list).collect();
        assert_eq!(lists[0].len(), number + 1, "{lists:?}");
        assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    }
    // Another name for the same definition is a change, too.
    create(&nodes[1], "renamed;set=people;bin=n;type=numeric");
    let taken = ask(
        &nodes[2],
        "sindex-create:namespace=test;indexname=renamed;bin=other;type=numeric",
    );
    assert!(taken.starts_with("ERROR:200:"), "{taken}");

    // What is removed while a node is away does not come back with it, and what is made is there.
    let mut away = nodes.pop().unwrap();
    away.terminate().unwrap();
    assert!(away.wait().unwrap().success());
    drop(away);
    wait_until_formed(&nodes);
    change(&nodes[0], "sindex-delete:namespace=test;indexname=tags");
    create(&nodes[1], "late;bin=late;type=string");
    let expected = list(&nodes[0]);
    assert_eq!(expected.len(), SORTS.len());
    nodes.push(plan.node(2).start().unwrap());
    for node in &nodes {
        assert_eq!(list(node), expected);
    }
}

/// Records of the test, and how many of them the queries want.
const RECORDS: i64 = 300;
const WANTED: i64 = 200;

/// Queries until told to end; each has to give every record that is wanted once.
async fn query(client: &Client, end: &AtomicBool, done: &AtomicUsize) {
    let mut policy = QueryPolicy::default();
    policy.base_policy.total_timeout = 60_000;
    policy.base_policy.socket_timeout = 20_000;
    // As often as it takes.
    policy.base_policy.max_retries = 0;
    while !end.load(Ordering::Relaxed) {
        let mut statement = Statement::new("test", "people", Bins::Some(vec!["n".to_owned()]));
        statement.set_filter(Filter::range("n", 0, WANTED - 1));
        let found = Arc::new(Mutex::new(BTreeMap::new()));
        let seen = Arc::clone(&found);
        let mut query = client
            .query_foreach(&policy, PartitionFilter::all(), statement, move |record| {
                // One that a node could not give is asked of another one.
                if let Ok(record) = record
                    && let Some(Value::Int(number)) = record.bins.get("n")
                {
                    *seen.lock().unwrap().entry(*number).or_insert(0) += 1;
                }
                async { true }
            })
            .await
            .unwrap();
        if let Err(error) = query.wait().await {
            let number = done.load(Ordering::Relaxed);
            panic!("query {number}: {error}");
        }
        let expected: BTreeMap<i64, usize> = (0..WANTED).map(|number| (number, 1)).collect();
        assert_eq!(*found.lock().unwrap(), expected);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_find_every_record_once_in_a_rolling_restart() {
    let (_directory, plan) = plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let policy = ClientPolicy {
        timeout: 20_000,
        ..ClientPolicy::default()
    };
    let hosts = (0..3).map(|node| plan.service(node).to_string());
    let hosts = hosts.collect::<Vec<_>>().join(",");
    let client = Client::new(&policy, &hosts).await.unwrap();
    for number in 0..RECORDS {
        let key = as_key!("test", "people", number);
        let bins = [as_bin!("n", number)];
        client.put(&writing(), &key, &bins).await.unwrap();
    }
    let task = client
        .create_index_on_bin(
            &admin(),
            "test",
            "people",
            "n",
            "by_number",
            IndexType::Numeric,
            CollectionIndexType::Default,
            None,
        )
        .await
        .unwrap();
    task.wait_till_complete(Some(Duration::from_secs(180)))
        .await
        .unwrap();
    let (end, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let restarts = restart_each(&plan, &mut nodes, &end);
    tokio::join!(query(&client, &end, &done), restarts);
    let done = done.load(Ordering::Relaxed);
    assert!(done >= 3, "only {done} queries for three restarts");
}
