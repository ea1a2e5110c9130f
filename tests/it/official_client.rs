//! The official Rust client against a server: what an application does in its first hour.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aerospike::operations;
use aerospike::{
    AdminPolicy, Client, ClientPolicy, ErrorKind, Expiration, GenerationPolicy, Key, ReadPolicy,
    RecordExistsAction, ResultCode, Task, UdfLang, Value, WritePolicy, as_bin, as_key, as_list,
    as_val,
};
use tests::process::Process;

use crate::server::{self, Server};

/// Milliseconds that one command may take: generous, because debug builds share a busy machine.
const COMMAND_TIMEOUT_MS: u32 = 20_000;

/// A client of the official crate, connected to a server.
pub(crate) async fn connect(server: &Process) -> Client {
    let policy = ClientPolicy {
        timeout: COMMAND_TIMEOUT_MS,
        ..ClientPolicy::default()
    };
    Client::new(&policy, &server.address().to_string())
        .await
        .unwrap()
}

/// Policies with that timeout, and without retries so that no failure is hidden.
pub(crate) fn writing() -> WritePolicy {
    let mut policy = WritePolicy::default();
    policy.base_policy.total_timeout = COMMAND_TIMEOUT_MS;
    policy.base_policy.socket_timeout = COMMAND_TIMEOUT_MS;
    policy.base_policy.max_retries = 0;
    policy
}

fn reading() -> ReadPolicy {
    let mut policy = ReadPolicy::default();
    policy.base_policy.total_timeout = COMMAND_TIMEOUT_MS;
    policy.base_policy.socket_timeout = COMMAND_TIMEOUT_MS;
    policy
}

pub(crate) fn admin() -> AdminPolicy {
    AdminPolicy {
        timeout: COMMAND_TIMEOUT_MS,
    }
}

fn key(name: &str) -> Key {
    as_key!("test", "demo", name)
}

/// Registers a module and waits as an application would.
pub(crate) async fn register(client: &Client, file: &str, source: &str) {
    let task = client
        .register_udf(&admin(), source.as_bytes(), file, UdfLang::Lua)
        .await
        .unwrap();
    task.wait_till_complete(Some(Duration::from_secs(180)))
        .await
        .unwrap();
}

async fn started() -> (Server, Client) {
    let server = server::start();
    let client = connect(&server).await;
    (server, client)
}

fn server_code<T: std::fmt::Debug>(result: Result<T, aerospike::Error>) -> ResultCode {
    match result.unwrap_err().kind() {
        ErrorKind::Server { rc, .. } => *rc,
        other => panic!("not an answer of the server: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_and_gets_records() {
    let (_server, client) = started().await;
    let key = key("put and get");
    let bins = [
        as_bin!("integer", 42),
        as_bin!("text", "forty-two"),
        as_bin!("float", 4.25),
        as_bin!("list", as_list!(1, "two", 3.5)),
    ];
    client.put(&writing(), &key, &bins).await.unwrap();

    let record = client
        .get(&reading(), &key, aerospike::Bins::All)
        .await
        .unwrap();
    assert_eq!(record.generation, 1);
    assert_eq!(record.bins.len(), bins.len());
    assert_eq!(record.bins["integer"], as_val!(42));
    assert_eq!(record.bins["text"], as_val!("forty-two"));
    assert_eq!(record.bins["float"], as_val!(4.25));
    assert_eq!(record.bins["list"], as_list!(1, "two", 3.5));

    let some = aerospike::Bins::from(["text"]);
    let record = client.get(&reading(), &key, some).await.unwrap();
    assert_eq!(record.bins.len(), 1);
    let record = client
        .get(&reading(), &key, aerospike::Bins::None)
        .await
        .unwrap();
    assert!(record.bins.is_empty());
    assert_eq!(record.generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_touches_and_tells_what_exists() {
    let (_server, client) = started().await;
    let key = key("life");
    assert!(!client.exists(&reading(), &key).await.unwrap());
    assert_eq!(
        server_code(client.get(&reading(), &key, aerospike::Bins::All).await),
        ResultCode::KeyNotFoundError
    );
    client
        .put(&writing(), &key, &[as_bin!("a", 1)])
        .await
        .unwrap();
    client.touch(&writing(), &key).await.unwrap();
    let record = client
        .get(&reading(), &key, aerospike::Bins::All)
        .await
        .unwrap();
    assert_eq!(record.generation, 2);
    assert!(client.delete(&writing(), &key).await.unwrap());
    assert!(!client.delete(&writing(), &key).await.unwrap());
    assert!(!client.exists(&reading(), &key).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn honours_write_policies() {
    let (_server, client) = started().await;
    let key = key("policies");
    let only = |action| WritePolicy {
        record_exists_action: action,
        ..writing()
    };
    let bins = [as_bin!("a", 1)];

    let update_only = only(RecordExistsAction::UpdateOnly);
    assert_eq!(
        server_code(client.put(&update_only, &key, &bins).await),
        ResultCode::KeyNotFoundError
    );
    let create_only = only(RecordExistsAction::CreateOnly);
    client.put(&create_only, &key, &bins).await.unwrap();
    assert_eq!(
        server_code(client.put(&create_only, &key, &bins).await),
        ResultCode::KeyExistsError
    );

    let replace = only(RecordExistsAction::Replace);
    client
        .put(&replace, &key, &[as_bin!("b", 2)])
        .await
        .unwrap();
    let record = client
        .get(&reading(), &key, aerospike::Bins::All)
        .await
        .unwrap();
    assert_eq!(record.bins.len(), 1);

    let stale = WritePolicy {
        generation_policy: GenerationPolicy::ExpectGenEqual,
        generation: 1,
        ..writing()
    };
    assert_eq!(
        server_code(client.put(&stale, &key, &bins).await),
        ResultCode::GenerationError
    );

    let expiring = WritePolicy {
        expiration: Expiration::Seconds(1000),
        ..writing()
    };
    client.put(&expiring, &key, &bins).await.unwrap();
    let record = client
        .get(&reading(), &key, aerospike::Bins::All)
        .await
        .unwrap();
    let left = record.time_to_live().unwrap();
    assert!((970..=1000).contains(&left.as_secs()), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operates_with_reads_and_writes_mixed() {
    let (_server, client) = started().await;
    let key = key("operate");
    client
        .put(&writing(), &key, &[as_bin!("n", 5), as_bin!("s", "middle")])
        .await
        .unwrap();
    let (more, before, after) = (as_bin!("n", 3), as_bin!("s", "<"), as_bin!("s", ">"));
    let operations = [
        operations::add(&more),
        operations::prepend(&before),
        operations::append(&after),
        operations::get_bin("n"),
        operations::get_bin("s"),
    ];
    let record = client.operate(&writing(), &key, &operations).await.unwrap();
    // One result an operation: none of the writes, then the values.
    let results = record.results.unwrap();
    assert_eq!(results[3..], [as_val!(8), as_val!("<middle>")]);
    assert!(results[..3].iter().all(|result| *result == Value::Nil));
    assert_eq!(record.generation, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn registers_applies_lists_and_removes_a_module() {
    let (_server, client) = started().await;
    let key = key("apply");
    register(
        &client,
        "visits.lua",
        "function visit(rec, by)
            if not aerospike:exists(rec) then
                rec.visits = by
                aerospike:create(rec)
            else
                rec.visits = rec.visits + by
                aerospike:update(rec)
            end
            return map{ visits = rec.visits, seen = list{ by, 'times' } }
        end
        function fail() error('no such luck') end
        function nothing() end",
    )
    .await;
    let listed = client.info(&admin(), &["udf-list"]).await.unwrap();
    assert!(listed["udf-list"].contains("filename=visits.lua,hash="));

    for total in [2, 4] {
        let answer = client
            .execute_udf(&writing(), &key, "visits", "visit", &[as_val!(2)])
            .await
            .unwrap()
            .unwrap();
        let entries: HashMap<Value, Value> = match answer {
            Value::HashMap(entries) => entries,
            Value::OrderedMap(entries) => entries.into_iter().collect(),
            other => panic!("not a map: {other:?}"),
        };
        assert_eq!(entries[&as_val!("visits")], as_val!(total));
        assert_eq!(entries[&as_val!("seen")], as_list!(2, "times"));
    }
    let record = client
        .get(&reading(), &key, aerospike::Bins::All)
        .await
        .unwrap();
    assert_eq!(record.bins["visits"], as_val!(4));

    let call = |function: &'static str| {
        let (client, key) = (&client, &key);
        async move {
            client
                .execute_udf(&writing(), key, "visits", function, &[])
                .await
        }
    };
    assert_eq!(call("nothing").await.unwrap(), None);
    for (function, text) in [("fail", "no such luck"), ("missing", "function not found")] {
        let error = call(function).await.unwrap_err();
        assert!(error.to_string().contains(text), "{function}: {error}");
    }

    let task = client.remove_udf(&admin(), "visits.lua").await.unwrap();
    task.wait_till_complete(Some(Duration::from_secs(180)))
        .await
        .unwrap();
    let listed = client.info(&admin(), &["udf-list"]).await.unwrap();
    assert_eq!(listed["udf-list"], "");
    let error = call("nothing").await.unwrap_err();
    assert!(
        error.to_string().contains("UDF: Execution Error 1"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn refuses_a_module_that_does_not_compile() {
    let (_server, client) = started().await;
    let refused = client
        .register_udf(&admin(), b"function broken(", "broken.lua", UdfLang::Lua)
        .await;
    let error = refused.err().unwrap().to_string();
    assert!(error.contains("compile_error"), "{error}");
    let listed = client.info(&admin(), &["udf-list"]).await.unwrap();
    assert_eq!(listed["udf-list"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn truncates_a_set() {
    let (_server, client) = started().await;
    for name in ["one", "two"] {
        client
            .put(&writing(), &key(name), &[as_bin!("a", 1)])
            .await
            .unwrap();
    }
    // A record written in the very millisecond of the truncation stays, so it may take another.
    let started = Instant::now();
    loop {
        client.truncate(&admin(), "test", "demo", 0).await.unwrap();
        let mut left = 0;
        for name in ["one", "two"] {
            left += usize::from(client.exists(&reading(), &key(name)).await.unwrap());
        }
        if left == 0 {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(180),
            "{left} records stay"
        );
    }
}
