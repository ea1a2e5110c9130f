//! What info commands answer: tables of cases, and the shape of a real node's answers.

mod hanging;
mod recorded;

use crate::storage::answer::wait_on_this_thread;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::key::Digest;
use protocol::partition_map::PartitionMap;

use self::recorded::recorded;
use super::{
    COMMANDS_MAX, Class, ConnectionState, PARAMETERS_MAX, REQUEST_BYTES_MAX, Served, answer, find,
    serve, table, ticker,
};
use crate::access::{Permission, Session};
use crate::cluster::partitions::Partitions;
use crate::cluster::{ClusterView, Peer};
use crate::config::Config;
use crate::config::node_id::NodeId;
use crate::contexts::commands::ModuleCommands;
use crate::contexts::stats::{ModuleCounts, UdfTotals};
use crate::log::Log;
use crate::modules::changes::ChangeError;
use crate::modules::module::ModuleSet;
use crate::modules::status::NodeModules;
use crate::node::Node;
use data::record::Record;

const CONFIG: &str = "
service {
    cluster-name golden
    work-directory /work-directory
    node-id BB9000000000777
}
logging {
    console {
        context any warning
        context udf info
    }
    file /dev/null {
        context any detail
    }
}
network {
    service {
        address 127.0.0.1
        alternate-access-address 203.0.113.7
    }
}
namespace test {
    nsup-period 5
    set demo {
        stop-writes-count 7
    }
}
namespace bar {
    nsup-period 5
}
";

/// A registry without modules that tells which of its commands was asked. Each change does something.
struct NoModules<F>(F);

impl<F: Fn() + Send + Sync> ModuleCommands for NoModules<F> {
    fn put(&self, _: &str, _: &str) -> Result<(), ChangeError> {
        self.0();
        Ok(())
    }
    fn remove(&self, _: &str) -> Result<(), ChangeError> {
        self.0();
        Ok(())
    }
    fn allows_unsafe(&self) -> bool {
        false
    }
    fn modules(&self) -> Arc<ModuleSet> {
        Arc::default()
    }
    fn clear_cache(&self) {}
    fn counts(&self) -> Vec<ModuleCounts> {
        Vec::new()
    }
    fn status(&self) -> Vec<NodeModules> {
        panic!("a bug in a command");
    }
    fn totals(&self) -> UdfTotals {
        UdfTotals {
            modules: 3,
            ..UdfTotals::default()
        }
    }
}

fn node_of(text: &str) -> Node {
    node_with(text, NoModules(|| ()))
}

fn node_with(text: &str, modules: impl ModuleCommands + 'static) -> Node {
    let config = Config::parse("test.conf", text).unwrap();
    let log = Log::open(&config.logging, false).unwrap();
    Node::new(config, log, Arc::new(modules))
}

fn node() -> Node {
    node_of(CONFIG)
}

/// The body of the reply to a request body.
fn reply(node: &Node, session: &ConnectionState, body: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    answer(node, session, body, &mut frame);
    assert_eq!(frame[..2], [2, 1]);
    let mut size = [0; 8];
    size[2..].copy_from_slice(&frame[2..8]);
    assert_eq!(u64::from_be_bytes(size), frame.len() as u64 - 8);
    frame[8..].to_vec()
}

/// The value of one command.
fn ask(node: &Node, command: &str) -> String {
    ask_in(node, &ConnectionState::default(), command)
}

fn ask_in(node: &Node, session: &ConnectionState, command: &str) -> String {
    let body = String::from_utf8(reply(node, session, format!("{command}\n").as_bytes())).unwrap();
    let value = body
        .strip_prefix(command)
        .unwrap()
        .strip_prefix('\t')
        .unwrap();
    value.strip_suffix('\n').unwrap().to_owned()
}

fn store(node: &Node, namespace: &str, set: &str, number: u8, void_time: u32) {
    let namespace = node.namespace(namespace).unwrap();
    let record = Record {
        generation: 1,
        void_time,
        last_update_ms: namespace.now_ms(),
        set: namespace.set(set).unwrap(),
        ..Record::default()
    };
    let mut digest = [0; 20];
    digest[0] = number;
    wait_on_this_thread(namespace.store(&Digest(digest), record)).unwrap();
}

#[test]
fn answers() {
    let node = node();
    let cases = [
        ("node", "BB9000000000777"),
        ("name", "BB9000000000777"),
        ("build", "8.1.2.0"),
        ("build:", "8.1.2.0"),
        ("build/", "8.1.2.0"),
        ("build;node", "8.1.2.0"),
        ("version", "Aerospike Community Edition build 8.1.2.0"),
        ("edition", "Aerospike Community Edition"),
        ("compatibility-id", "15"),
        ("cluster-name", "golden"),
        ("namespaces", "test;bar"),
        ("partitions", "4096"),
        ("digests", "RIPEMD160"),
        ("connection", "admin=false"),
        ("partition-generation", "0"),
        ("peers-generation", "0"),
        ("peers-clear-std", "0,3000,[]"),
        ("peers-clear-alt", "0,3000,[]"),
        ("peers-tls-std", "ERROR:25:enterprise only"),
        ("alumni-clear-std", "0,3000,[]"),
        ("service-clear-std", "127.0.0.1:3000"),
        ("service-clear-alt", "203.0.113.7:3000"),
        ("service", "127.0.0.1:3000"),
        ("services", ""),
        ("services-alumni", ""),
        ("admin-clear-std", ""),
        ("rack-ids", "ERROR:25:enterprise only"),
        ("recluster:", "ok"),
        (
            "cluster-stable:size=2",
            "ERROR:7:cluster not specified size",
        ),
        ("cluster-stable:size=x", "ERROR:4:bad 'size'"),
        (
            "cluster-stable:namespace=no",
            "ERROR:20:namespace not found on node",
        ),
        ("sets", ""),
        ("sets/no", "ns_type=unknown"),
        ("sets/test/no", ""),
        ("namespace/no", "type=unknown"),
        ("namespace:test=1", "type=unknown"),
        ("namespace:test", "type=unknown"),
        ("namespace;test", "type=unknown"),
        ("truncate:namespace=no;set=x", "ok"),
        ("truncate:namespace=test;set=never", "ok"),
        ("truncate:namespace=test", "ERROR:4:missing 'set'"),
        (
            "truncate:namespace=test;set=",
            "ERROR:4:missing 'set' value",
        ),
        ("truncate:set=x", "ERROR:20:missing 'namespace'"),
        (
            "truncate:namespace=test;set=x;lut=0",
            "ERROR:4:would truncate to 0",
        ),
        (
            "truncate:namespace=test;set=x;lut=soon",
            "ERROR:4:would truncate to 0",
        ),
        ("truncate-namespace:namespace=bar", "ok"),
        (
            "truncate-namespace:namespace=bar;lut=9999999999999999999",
            "ERROR:4:would truncate in the future",
        ),
        ("truncate-undo:namespace=bar;set=x", "ok"),
        ("sindex", ""),
        ("sindex/test", ""),
        ("sindex/test/i", "ERROR:201:no index"),
        ("sindex/no/i", "ns_type=unknown"),
        ("sindex/no", "ns_type=unknown"),
        (
            "sindex-list:namespace=no",
            "ERROR:20:namespace not found on node;ERROR:20:namespace not found on node",
        ),
        ("sindex-exists:namespace=test;indexname=i", "false"),
        (
            "sindex-stat:namespace=test;indexname=i",
            "ERROR:201:no index",
        ),
        ("sindex-delete:namespace=test;indexname=i", "ok"),
        (
            "sindex-create:namespace=test;indexname=i;bin=b;type=numeric",
            "ok",
        ),
        (
            "sindex-list",
            "ns=test:indexname=i:set=null:bin=b:type=numeric:indextype=default:context=null:exp=null:state=RW",
        ),
        ("sindex-exists:namespace=test;indexname=i", "true"),
        ("sindex-delete:namespace=test;indexname=i", "ok"),
        ("sindex-list", ""),
        ("query-show:id=", "ERROR:4:missing 'id' value"),
        ("query-show:id=-1", "ERROR:2:job not found"),
        ("query-show:id=0x1f", "ERROR:2:job not found"),
        ("query-show:id=0", "ERROR:4:bad id"),
        ("query-show:id=1", "ERROR:2:job not found"),
        ("query-show:trid=1", "ERROR:2:job not found"),
        ("query-show:id=x", "ERROR:4:bad id"),
        ("query-abort:id=1", "ERROR:2:id not active"),
        ("query-abort-all:", "number-of-queries-killed:0"),
        ("logs", "0:stderr;1:/dev/null"),
        ("log/0/udf", "udf:INFO"),
        ("log:id=1;context=udf", "udf:DETAIL"),
        ("log/2", "ERROR:4:bad log id"),
        ("log/0/no", "ERROR:4:bad log context"),
        ("log-set:id=0;udf=loud", "ERROR:4:bad log level"),
        ("log-set:id=0;no=info", "ERROR:4:bad log context"),
        ("log-set:id=9;udf=info", "ERROR:4:bad log id"),
        ("log-set:udf=info", "ERROR:4:missing 'id'"),
        ("log-set:id=0", "ERROR:4:missing log context"),
        ("get-config:context=security", ""),
        (
            "get-config:context=namespace",
            "ERROR:20:missing 'namespace'",
        ),
        (
            "get-config:context=namespace;namespace=no",
            "ERROR:20:namespace not found on node",
        ),
        ("set-config:context=service;proto-fd-max=4096", "ok"),
        ("config-set:context=service;proto-fd-max=4096", "ok"),
        (
            "set-config:context=service;nosuch=1",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=service;disable-udf-execution=true",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=service",
            "ERROR:4:invalid set-config parameter",
        ),
        ("set-config:proto-fd-max=3", "ERROR:4:missing 'context'"),
        ("set-config:context=nonsense;a=b", "ERROR:4:invalid context"),
        (
            "set-config:context=namespace;namespace=test;rack-id=0",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=namespace;namespace=test;evict-tenths-pct=5",
            "ok",
        ),
        (
            "set-config:context=namespace;id=test;stop-writes-used-pct=70",
            "ok",
        ),
        (
            "set-config:context=namespace;namespace=test;storage-engine.stop-writes-used-pct=70",
            "ok",
        ),
        (
            "set-config:context=namespace;namespace=no;default-ttl=1",
            "ERROR:20:namespace not found on node",
        ),
        ("set-config:context=network;heartbeat.interval=150", "ok"),
        (
            "set-config:context=security;privilege-refresh-period=300",
            "ERROR:25:enterprise only",
        ),
        (
            "set-config:context=service;proto-fd-max=x",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=service;proto-fd-max=1023",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=namespace;namespace=test;background-query-max-rps=0",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=namespace;namespace=test;background-query-max-rps=1K",
            "ok",
        ),
        (
            "set-config:context=namespace;namespace=test;migrate-order=11",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=namespace;namespace=bar;nsup-period=0;allow-ttl-without-nsup=false",
            "ok",
        ),
        (
            "set-config:context=namespace;namespace=bar;default-ttl=5d",
            "ERROR:4:invalid set-config parameter",
        ),
        (
            "set-config:context=namespace;namespace=bar;default-ttl=0s",
            "ok",
        ),
        ("latencies:hist=info", "info:"),
        ("latencies:hist={test}-read", "{test}-read:"),
        ("latencies:hist={no}-read", "ERROR:4:bad hist name"),
        (
            "latencies:hist={test}-benchmarks-no",
            "ERROR:4:bad hist name",
        ),
        ("histogram:namespace=test", "ERROR:4:missing 'type'"),
        (
            "histogram:namespace=test;type=no",
            "ERROR:4:unrecognized histogram type",
        ),
        ("histogram:namespace=test;type=object-size", "units=bytes"),
        (
            "help/build",
            "release of the reference that this server behaves like",
        ),
        ("help/no", "ERROR:4:unrecognized command"),
        ("user-agents", ""),
        ("latency:", "ERROR:4:unrecognized command"),
        ("get-stats:context=xdr", ""),
        (
            "tip:host=h;port=3002",
            "ERROR:16:this node runs alone: it has no mesh to add nodes to",
        ),
        ("dump-cluster:", "ok"),
        ("dump-rw:", "ok"),
        ("udf-put:filename=a.lua", "error=invalid_content_len"),
        ("udf-remove:filename=a.lua", "ok"),
        ("udf-clear-cache:", "ok"),
        ("udf-stats", ""),
    ];
    for (command, expected) in cases {
        assert_eq!(ask(&node, command), expected, "{command}");
    }
}

#[test]
fn changes_reach_reports_and_records() {
    let node = node();
    let settings = "get-config:context=namespace;namespace=test";
    assert!(ask(&node, settings).contains(";default-ttl=0;"));
    assert_eq!(
        ask(
            &node,
            "set-config:context=namespace;namespace=test;default-ttl=2h"
        ),
        "ok"
    );
    assert!(ask(&node, settings).contains(";default-ttl=7200;"));
    assert!(ask(&node, "namespace/test").contains(";default-ttl=7200;"));
    assert_eq!(node.namespaces[0].settings.default_ttl(), 7_200);
    assert_eq!(node.namespaces[1].settings.default_ttl(), 0);

    store(&node, "test", "users", 1, 0);
    let set = "set-config:context=namespace;namespace=test;set=users;stop-writes-count=130";
    assert_eq!(ask(&node, set), "ok");
    assert!(ask(&node, "sets/test/users").contains(":stop-writes-count=130:"));

    // All of several changes or none.
    let several = "set-config:context=service;proto-fd-max=77;nosuch=1";
    assert_eq!(ask(&node, several), "ERROR:4:invalid set-config parameter");
    assert!(!ask(&node, "get-config:context=service").contains("proto-fd-max=77"));

    assert_eq!(ask(&node, "log-set:id=0;any=debug;udf=critical"), "ok");
    assert_eq!(ask(&node, "log/0/misc"), "misc:DEBUG");
    assert_eq!(ask(&node, "log/0/udf"), "udf:CRITICAL");
}

#[test]
fn counts_records_in_namespaces_and_sets() {
    let node = node();
    let void_time = crate::clock::epoch_seconds() + 1_000;
    store(&node, "test", "demo", 1, 0);
    store(&node, "test", "demo", 2, void_time);
    store(&node, "test", "", 3, 0);
    let namespace = ask(&node, "namespace/test");
    for field in [
        ";objects=3;",
        ";master_objects=3;",
        ";prole_objects=0;",
        ";non_expirable_objects=2;",
        ";ns_cluster_size=1;",
        ";stop_writes=false;",
        ";index_used_bytes=192;",
    ] {
        assert!(
            format!(";{namespace}")
                .replace("ns_cluster", ";ns_cluster")
                .contains(field),
            "{field} in {namespace}"
        );
    }
    assert!(ask(&node, "statistics").contains(";objects=3;"));
    assert_eq!(
        ask(&node, "sets/test/demo"),
        "objects=2:tombstones=0:data_used_bytes=112:truncate_lut=0:sindexes=0:index_populating=false:truncating=false:\
         default-read-touch-ttl-pct=0:default-ttl=0:disable-eviction=false:enable-index=false:stop-writes-count=7:stop-writes-size=0;"
    );
    assert!(ask(&node, "sets").starts_with("ns=test:set=demo:objects=2:"));
    let sizes = ask(&node, "histogram:namespace=test;type=object-size");
    assert_eq!(sizes, "units=bytes:[32-64)=2:[64-128)=1");
    let sizes = ask(&node, "histogram:namespace=test;type=object-size;set=demo");
    assert_eq!(sizes, "units=bytes:[32-64)=1:[64-128)=1");
    let linear = ask(&node, "histogram:namespace=test;type=object-size-linear");
    assert!(
        linear.starts_with("units=bytes:hist-width=1048576:bucket-width=1024:buckets=3,0,"),
        "{linear}"
    );
    assert_eq!(linear.split(',').count(), 1_024);
    let lives = ask(&node, "histogram:namespace=test;type=ttl");
    assert!(
        lives.starts_with("units=seconds:hist-width=1000:bucket-width=10:buckets=2,0,"),
        "{lives}"
    );
    assert!(lives.ends_with(",1"));

    assert_eq!(ask(&node, "truncate:namespace=test;set=demo"), "ok");
    assert!(ask(&node, "sets/test/demo").starts_with("objects=0:"));
    assert!(ask(&node, "statistics").contains(";objects=1;"));
}

#[test]
fn an_index_says_how_far_it_is_built() {
    use crate::index::{Definition, IndexType, Indexed, Source, ValueType};
    let node = node();
    let numbers = Indexed::Values(Definition {
        set: None,
        source: Source::Bin {
            name: data::bin::BinName::new(b"n").unwrap(),
            context: None,
        },
        index_type: IndexType::Default,
        value_type: ValueType::Numeric,
    });
    let namespace = node.namespaces.first().unwrap();
    let index = namespace.indexes.put("numbers", numbers).unwrap();
    for (partition, percent) in [(0, 0), (1024, 25), (4095, 99)] {
        index.begin_partition(partition);
        let stat = ask(&node, "sindex-stat:namespace=test;indexname=numbers");
        let expected = format!(";load_pct={percent};");
        assert!(stat.contains(&expected), "{partition}: {stat}");
        assert!(ask(&node, "sindex-list:namespace=test").contains("state=WO"));
    }
    index.finish();
    let stat = ask(&node, "sindex-stat:namespace=test;indexname=numbers");
    assert!(stat.contains(";load_pct=100;"), "{stat}");
    assert!(ask(&node, "sindex-list:namespace=test").contains("state=RW"));
}

#[test]
fn partition_maps_are_those_of_a_node_alone() {
    let node = node();
    let full = PartitionMap::FULL.encode();
    assert_eq!(
        ask(&node, "replicas"),
        format!("test:0,1,{full};bar:0,1,{full}")
    );
    assert_eq!(ask(&node, "replicas:max=1"), ask(&node, "replicas"));
    assert_eq!(ask(&node, "replicas:max=0"), "ERROR:4:bad 'max'");
    assert_eq!(
        ask(&node, "replicas-all"),
        format!("test:1,{full};bar:1,{full}")
    );
    assert_eq!(
        ask(&node, "replicas-master"),
        format!("test:{full};bar:{full}")
    );
    let partitions = ask(&node, "partition-info");
    let rows: Vec<&str> = partitions.split(';').collect();
    assert_eq!(rows.len(), 1 + 2 * 4_096);
    let expected = recorded();
    assert_eq!(
        rows[0],
        expected["partition-info"].split(';').next().unwrap()
    );
    let key = format!("{:012x}", node.cluster.load().key);
    assert_eq!(
        rows[1],
        format!(
            "test:0:S:1:0:0:0:BB9000000000777:BB9000000000777:0:0:0:0:0:0:1:{key}.0.mp-:{key}.0.mp-"
        )
    );
    assert_eq!(
        ask(
            &node,
            "cluster-stable:size=1;ignore-migrations=true;namespace=test"
        ),
        format!("{:X}", node.cluster.load().key)
    );
}

#[test]
fn another_view_changes_every_answer_about_the_cluster() {
    let node = node();
    let peer = Peer {
        id: NodeId::parse("BB9000000000888").unwrap(),
        addresses: vec![
            "127.0.0.1:6800".parse().unwrap(),
            "[::1]:3000".parse().unwrap(),
        ],
        alternate_addresses: Vec::new(),
    };
    let mut half = PartitionMap::EMPTY;
    (0..2_048).for_each(|partition| half.insert(partition));
    node.cluster.store(Arc::new(ClusterView {
        clock_skew_ms: 0,
        key: 0x5AC0_E881_973E,
        peers_generation: 2,
        partition_generation: 9,
        rebalance_generation: 3,
        principal: peer.id,
        peers: vec![peer.clone()],
        alumni: vec![peer],
        integrity: true,
        partitions: Arc::new(Partitions::new(&[node.id])),
        replicas: vec![half],
    }));
    store(&node, "test", "", 1, 0);
    let cases = [
        (
            "peers-clear-std",
            "2,3000,[[BB9000000000888,,[127.0.0.1:6800,[::1]]]]",
        ),
        ("peers-clear-alt", "2,3000,[]"),
        (
            "alumni-clear-std",
            "2,3000,[[BB9000000000888,,[127.0.0.1:6800,[::1]]]]",
        ),
        ("services", "127.0.0.1:6800;[::1]:3000"),
        ("partition-generation", "9"),
        ("rebalance-generation", "3"),
        ("recluster:", "ignored-by-non-principal"),
        ("cluster-stable:", "5AC0E881973E"),
    ];
    for (command, expected) in cases {
        assert_eq!(ask(&node, command), expected, "{command}");
    }
    assert!(ask(&node, "statistics").contains(";cluster_size=2;cluster_key=5AC0E881973E;"));
    assert!(ask(&node, "namespace/test").contains("ns_cluster_size=2;"));
    assert!(ask(&node, "partition-info").contains("test:4095:A:1:-1:1:"));
}

#[test]
fn a_client_names_itself_once_and_is_forgotten_with_its_connection() {
    let node = node();
    let session = ConnectionState::default();
    let cases = [
        ("user-agent-set", "ERROR:4:missing 'value'"),
        ("user-agent-set:value=", "ERROR:4:missing 'value' value"),
        ("user-agent-set:value=%", "ERROR:4:'value' invalid base64"),
        (
            "user-agent-set:value=MSxweXRob24tMTkuMy4wLG5vdC1zZXQ=",
            "ok",
        ),
        (
            "user-agent-set:value=MSxweXRob24tMTkuMy4wLG5vdC1zZXQ=",
            "ERROR:4:already set",
        ),
        (
            "user-agents",
            "user-agent=MSxweXRob24tMTkuMy4wLG5vdC1zZXQ=:count=1;",
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(ask_in(&node, &session, command), expected, "{command}");
    }
    let long = format!("user-agent-set:value={}", "A".repeat(88));
    assert_eq!(ask(&node, &long), "ERROR:4:'value' value too long");
    drop(session);
    assert_eq!(ask(&node, "user-agents"), "");
    assert_eq!(
        ask_in(&node, &ConnectionState::new(Session::admin()), "connection"),
        "admin=true"
    );
}

#[test]
fn addresses_follow_the_settings() {
    let cases = [
        ("address any", "access-address 192.0.2.1", "192.0.2.1:3000"),
        (
            "address 127.0.0.1\n port 0",
            "access-address 192.0.2.1\n access-port 4000",
            "192.0.2.1:4000",
        ),
        ("address ::1", "", "[::1]:3000"),
        (
            "address 127.0.0.1\n address 127.0.0.2",
            "",
            "127.0.0.1:3000,127.0.0.2:3000",
        ),
    ];
    for (address, access, expected) in cases {
        let text = format!(
            "service {{\n work-directory /w\n}}\nnetwork {{\n service {{\n {address}\n {access}\n }}\n}}\nnamespace test {{\n}}"
        );
        assert_eq!(
            ask(&node_of(&text), "service-clear-std"),
            expected,
            "{address} {access}"
        );
    }
    let any = node_of("service {\n work-directory /w\n}\nnamespace test {\n}");
    let told = ask(&any, "service-clear-std");
    assert!(
        !told.is_empty() && !told.contains("0.0.0.0") && !told.contains("any"),
        "{told}"
    );
    any.config.network.set("service.port", "4711").unwrap();
    assert!(ask(&any, "service-clear-std").ends_with(":4711"));
}

#[test]
fn a_tick_ends_the_latency_slice() {
    let node = node();
    node.namespaces[0]
        .latency
        .udf
        .record(Duration::from_millis(3));
    assert!(ask(&node, "latencies:hist={test}-udf").starts_with("{test}-udf:msec,0.0,"));
    ticker::tick(&node, Duration::from_secs(10));
    assert!(
        ask(&node, "latencies:hist={test}-udf")
            .starts_with("{test}-udf:msec,0.1,100.00,100.00,0.00,")
    );
    let all = ask(&node, "latencies:");
    assert!(
        all.starts_with("batch-index:;{test}-read:;{test}-write:;{test}-udf:msec,"),
        "{all}"
    );
}

#[test]
fn every_row_has_help_and_a_name_that_the_wire_allows() {
    let mut names = Vec::new();
    for row in table() {
        assert!(
            !row.help.is_empty() && !row.help.contains(['\n', '\t']),
            "{}",
            row.name
        );
        assert!((1..=31).contains(&row.name.len()), "{}", row.name);
        assert!(!row.name.contains(['/', ':', ';', '=']), "{}", row.name);
        assert_eq!(find(row.name).map(|found| found.name), Some(row.name));
        names.push(row.name);
    }
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(
        names, sorted,
        "rows stand in the order of their names, each once"
    );
    assert_eq!(ask(&node(), "help"), names.join(";"));
}

#[test]
fn enterprise_rows_are_refused_and_no_others() {
    let node = node();
    for row in table() {
        let refused = ask(&node, row.name) == "ERROR:25:enterprise only";
        assert_eq!(refused, row.class == Class::Enterprise, "{}", row.name);
    }
}

#[tokio::test]
async fn slow_commands_run_elsewhere_and_answer_the_same() {
    let node = Arc::new(node());
    let session = Arc::new(ConnectionState::default());
    for body in [
        &b"build\ntruncate-namespace:namespace=bar\nedition\nnobody\n"[..],
        b"build\n",
        b"build\nno line end",
        b"\n\n",
    ] {
        let mut served = BytesMut::new();
        let ended = serve(&node, &session, body, &mut served, std::future::pending()).await;
        assert_eq!(ended.unwrap(), Served::Answered);
        let mut whole = BytesMut::new();
        answer(&node, &session, body, &mut whole);
        assert_eq!(served, whole);
        assert!(served.len() >= 8);
    }
}

#[tokio::test]
async fn what_has_not_begun_when_the_client_goes_is_not_done() {
    let node = Arc::new(node());
    let session = Arc::new(ConnectionState::default());
    let mut turns = Vec::new();
    while !node.command_lane.has_waiters() {
        let turn = node.command_lane.turn(Duration::ZERO);
        match tokio::time::timeout(Duration::from_millis(1), turn).await {
            Ok(turn) => turns.push(turn),
            Err(_) => break,
        }
    }
    let completed = || node.stats.info_complete.get();
    let before = completed();
    let mut out = BytesMut::new();
    let body = b"udf-remove:filename=a.lua\nudf-remove:filename=b.lua\n";
    let ended = serve(&node, &session, body, &mut out, async {})
        .await
        .unwrap();
    assert_eq!(ended, Served::ClientGone);
    assert_eq!(completed(), before + 1, "the second was not looked at");
    drop(turns);
    out.clear();
    let ended = serve(&node, &session, body, &mut out, std::future::pending())
        .await
        .unwrap();
    assert_eq!(ended, Served::Answered);
    assert!(String::from_utf8_lossy(&out).ends_with("b.lua\tok\n"));
}

#[tokio::test]
async fn requests_of_too_many_commands_or_bytes_are_refused_before_any_is_looked_up() {
    let node = Arc::new(node());
    let session = Arc::new(ConnectionState::default());
    let cases = [
        (b"x\n".repeat(COMMANDS_MAX), None),
        (
            b"x\n".repeat(COMMANDS_MAX + 1),
            Some("ERROR:4:too many commands: at most 1024 in one request\n"),
        ),
        (
            vec![b'x'; REQUEST_BYTES_MAX + 1],
            Some("ERROR:4:request too long: at most 33554432 bytes in one\n"),
        ),
        (
            [
                b"set-config:",
                &b"a=b;".repeat(PARAMETERS_MAX + 1)[..],
                b"\n",
            ]
            .concat(),
            Some("ERROR:4:too many parameters: at most 65536 in one request\n"),
        ),
    ];
    for (body, refusal) in cases {
        let before = node.stats.info_complete.get();
        let mut out = BytesMut::new();
        let ended = serve(&node, &session, &body, &mut out, std::future::pending()).await;
        assert_eq!(ended.unwrap(), Served::Answered);
        let looked_up = node.stats.info_complete.get() - before;
        match refusal {
            Some(text) => {
                assert_eq!(&out[8..], text.as_bytes());
                assert_eq!(looked_up, 0);
            }
            None => assert_eq!(looked_up, COMMANDS_MAX as u64),
        }
    }
}

#[tokio::test]
async fn a_reply_that_would_be_too_long_says_so() {
    let node = Arc::new(node());
    let session = Arc::new(ConnectionState::default());
    // Little work, however slow the machine is: what a command is asked with is repeated in its reply.
    let long = [b"build:", &b"x".repeat(1 << 20)[..], b"\n"].concat();
    let body = [long.repeat(31), b"partition-info\n".repeat(30)].concat();
    let mut served = BytesMut::new();
    let ended = serve(&node, &session, &body, &mut served, std::future::pending()).await;
    assert_eq!(ended.unwrap(), Served::Answered);
    for found in [reply(&node, &session, &body), served.to_vec()] {
        assert!(found.len() < 34 << 20, "{}", found.len());
        let end = String::from_utf8_lossy(&found[found.len() - 60..]).into_owned();
        assert!(
            end.ends_with("\tERROR:4:reply too long: ask for less in one request\n"),
            "{end}"
        );
    }
}

#[tokio::test]
async fn a_panic_in_a_command_costs_no_other_answer() {
    let node = Arc::new(node());
    let session = Arc::new(ConnectionState::default());
    let body = b"build\nudf-status\nedition\n";
    let mut served = BytesMut::new();
    let ended = serve(&node, &session, body, &mut served, std::future::pending()).await;
    assert_eq!(ended.unwrap(), Served::Answered);
    let mut whole = BytesMut::new();
    answer(&node, &session, body, &mut whole);
    assert_eq!(served, whole);
    let text = String::from_utf8_lossy(&whole).into_owned();
    assert!(
        text.contains("\nudf-status\tERROR::internal error\nedition\t"),
        "{text}"
    );
}

/// Whether a user with some right may use a permission.
type Allows = fn(Permission) -> bool;

#[test]
fn every_command_asks_whether_it_may_run() {
    let node = node();
    let nobody = ConnectionState::new(Session::with_rule(|_| false));
    for row in table() {
        let answer = ask_in(&node, &nobody, row.name);
        assert_eq!(answer, "ERROR:81:role violation", "{}", row.name);
    }
    // The one that is asked for is that of the table.
    let rules: [(Permission, Allows); 5] = [
        (Permission::None, |asked| asked == Permission::None),
        (Permission::UdfAdmin, |asked| asked == Permission::UdfAdmin),
        (Permission::SindexAdmin, |asked| {
            asked == Permission::SindexAdmin
        }),
        (Permission::Truncate, |asked| asked == Permission::Truncate),
        (Permission::SysAdmin, |asked| asked == Permission::SysAdmin),
    ];
    for (permission, rule) in rules {
        let connection = ConnectionState::new(Session::with_rule(rule));
        for row in table() {
            let refused = ask_in(&node, &connection, row.name) == "ERROR:81:role violation";
            assert_eq!(refused, row.permission != permission, "{}", row.name);
        }
    }
}
