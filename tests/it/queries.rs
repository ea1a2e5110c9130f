//! Aggregations and background UDFs over the wire.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use protocol::message::{
    FieldType, Info1, Info2, Info3, Message, MessageHeader, MessageWriter, OpCode,
};
use protocol::particle::Particle;
use protocol::value::Value;
use tests::connection::Connection;
use tests::process::wait_until;
use tests::records::{RecordKey, WriteOptions, put_module};

use crate::server::{self, Server};

/// Time after which something that is to come about counts as never coming.
const DEADLINE: Duration = Duration::from_secs(240);

const SOURCE: &str = "
local function add(a, b) return a + b end
local function number(r) return r.n end
function count(s) return s:map(function() return 1 end):reduce(add) end
function sum(s) return s:map(number):reduce(add) end
function totals(s) return s:map(number):aggregate(0, add) end
function above(s, least) return s:filter(function(r) return r.n >= least end):map(number) end
function none(s) return s:filter(function() return false end):map(number) end
function after(s) return s:map(number):reduce(add):map(error) end
function group(s)
    return s:aggregate(map(), function(m, r) m[r.n % 2] = (m[r.n % 2] or 0) + 1 return m end)
        :reduce(function(a, b) return map.merge(a, b, add) end)
end
function parity(s) return s:map(number):groupby(function(n) return n % 2 end) end
function broken(s) return s:map(function() error('oops') end) end
function writing(s) return s:map(function(r) r.n = 0 return aerospike:update(r) end) end
function spin(s) return s:map(function() while true do end end) end
function big(s) return s:map(function(r) return ('x'):rep(1000000) end) end
function slowly(s) return s:map(function(r) local t = os.clock() + 0.01 while os.clock() < t do end return 1 end):reduce(add) end
function mark(r) if r.n == 13 then error('unlucky') end r.marked = 1 aerospike:update(r) end

function telling(s)
    return s:map(function(r)
        info('n is %d', r.n)
        return 1
    end)
end
";

/// A query with a UDF; fields in the order in which clients send them.
#[derive(Clone)]
struct Query {
    header: MessageHeader,
    set: &'static str,
    fields: Vec<(FieldType, Vec<u8>)>,
}

impl Query {
    fn new(kind: u8, function: &str) -> Self {
        Self {
            header: MessageHeader {
                info1: if kind == 1 {
                    Info1::READ
                } else {
                    Info1::empty()
                },
                info2: if kind == 2 {
                    Info2::WRITE
                } else {
                    Info2::empty()
                },
                ..MessageHeader::default()
            },
            set: "demo",
            fields: vec![
                (FieldType::UDF_OP, vec![kind]),
                (FieldType::UDF_PACKAGE, b"q".to_vec()),
                (FieldType::UDF_FUNCTION, function.as_bytes().to_vec()),
                (FieldType::UDF_ARGLIST, Vec::new()),
            ],
        }
    }

    fn aggregation(function: &str) -> Self {
        Self::new(1, function)
    }

    fn background(function: &str) -> Self {
        Self::new(2, function)
    }

    fn arguments(mut self, list: &[u8]) -> Self {
        self.fields.pop();
        self.field(FieldType::UDF_ARGLIST, list)
    }

    fn field(mut self, kind: FieldType, data: &[u8]) -> Self {
        self.fields.push((kind, data.to_vec()));
        self
    }

    fn id(self, id: u64) -> Self {
        self.field(FieldType::TASK_ID, &id.to_be_bytes())
    }

    fn set(self, set: &'static str) -> Self {
        Self { set, ..self }
    }

    fn frame(&self) -> BytesMut {
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &self.header);
        message.namespace("test").set(self.set);
        for (kind, data) in &self.fields {
            message.field(*kind, data);
        }
        message.finish().unwrap();
        out
    }

    /// Sends it; values of SUCCESS bins, texts of FAILURE bins, and the code of the end.
    fn run(&self, connection: &mut Connection) -> Answer {
        connection.send(&self.frame()).unwrap();
        let mut answer = Answer::default();
        loop {
            let (_, body) = connection.receive().unwrap();
            for message in Message::parse_all(&body) {
                let message = message.unwrap();
                let last = message.header.info3.contains(Info3::LAST);
                if last || message.header.result.0 != 0 {
                    answer.code = message.header.result.0;
                    answer.last = last;
                    return answer;
                }
                assert_eq!(message.header.generation, 0);
                assert_eq!(message.fields.iter().count(), 0);
                let op = message.ops.iter().next().unwrap();
                let value = Value::from_particle(op.particle_ref()).unwrap();
                match (op.name, value) {
                    (b"SUCCESS", value) => answer.values.push(value),
                    (b"FAILURE", Value::String(text)) => {
                        answer.failures.push(String::from_utf8(text).unwrap());
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Answer {
    values: Vec<Value>,
    failures: Vec<String>,
    code: u8,
    last: bool,
}

impl Answer {
    fn numbers(&self) -> Vec<i64> {
        let number = |value: &Value| match value {
            Value::Integer(number) => *number,
            other => panic!("{other:?}"),
        };
        self.values.iter().map(number).collect()
    }

    fn sorted(&self) -> Vec<i64> {
        let mut numbers = self.numbers();
        numbers.sort_unstable();
        numbers
    }
}

/// A server with the module, and records 0 to 99 in set `demo` with their number in bin `n`.
fn started() -> (Server, Connection) {
    started_with("")
}

fn started_with(line: &str) -> (Server, Connection) {
    let server = server::start_with(|asd| {
        if line.is_empty() {
            asd
        } else {
            asd.service(line)
        }
    });
    let mut connection = server.connect().unwrap();
    assert_eq!(
        put_module(&mut connection, "q.lua", SOURCE.as_bytes()).unwrap(),
        "ok"
    );
    for number in 0..100 {
        put(&mut connection, "demo", &format!("k{number}"), number);
    }
    (server, connection)
}

fn put(connection: &mut Connection, set: &str, key: &str, number: i64) {
    let key = RecordKey::new("test", set, key);
    let number = Particle::integer(number);
    let frame = key.put([("n", &number)], WriteOptions::default()).unwrap();
    assert_eq!(connection.message(&frame).unwrap().code().0, 0);
}

fn statistic(connection: &mut Connection, name: &str) -> u64 {
    let statistics = connection.info("namespace/test").unwrap();
    let start = format!("{name}=");
    let value = statistics
        .split(';')
        .find_map(|pair| pair.strip_prefix(&start));
    value.unwrap().parse().unwrap()
}

fn show(connection: &mut Connection, id: u64) -> String {
    connection.info(&format!("query-show:id={id}")).unwrap()
}

/// Waits until a job has ended; its line.
fn ended(connection: &mut Connection, id: u64) -> String {
    let mut line = String::new();
    wait_until("the job ends", DEADLINE, || {
        line = show(connection, id);
        Ok(line.contains(":status=done("))
    })
    .unwrap();
    line
}

/// Waits until a job is known.
fn wait_until_known(connection: &mut Connection, id: u64) {
    wait_until("the job is known", DEADLINE, || {
        Ok(!show(connection, id).starts_with("ERROR"))
    })
    .unwrap();
}

#[test]
fn aggregations_give_the_same_totals_however_records_are_spread_items_95_to_99() {
    let (_server, mut connection) = started();
    let mut sum = |function: &str| {
        let answer = Query::aggregation(function).run(&mut connection);
        assert_eq!((answer.code, answer.last), (0, true), "{answer:?}");
        assert!(answer.failures.is_empty(), "{answer:?}");
        answer
    };
    let counts = sum("count");
    assert_eq!(counts.numbers().iter().sum::<i64>(), 100);
    assert!(
        counts.values.len() > 1,
        "a part for each partition that has records"
    );
    assert_eq!(sum("sum").numbers().iter().sum::<i64>(), 4950);
    assert_eq!(sum("totals").numbers().iter().sum::<i64>(), 4950);
    assert_eq!(
        sum("after").numbers().iter().sum::<i64>(),
        4950,
        "after the reduce"
    );
    assert_eq!(sum("none").values, []);
    for function in ["group", "parity"] {
        let total: usize = sum(function)
            .values
            .iter()
            .map(|value| match value {
                Value::Map { entries, .. } => entries
                    .iter()
                    .map(|(_, value)| match value {
                        Value::Integer(count) => usize::try_from(*count).unwrap(),
                        Value::List { items, .. } => items.len(),
                        other => panic!("{other:?}"),
                    })
                    .sum::<usize>(),
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(total, 100, "{function}");
    }
    let above = Query::aggregation("above").arguments(b"\x91\x5a");
    assert_eq!(
        above.run(&mut connection).sorted(),
        (90..100).collect::<Vec<_>>()
    );
    assert_eq!(statistic(&mut connection, "pi_query_aggr_complete"), 8);
}

#[test]
fn a_numeric_aggregate_is_cut_at_a_thousand_item_103() {
    let (_server, mut connection) = started();
    // Ten keys of one partition.
    let mut found = 0;
    for number in 0.. {
        let key = format!("c{number}");
        if RecordKey::new("test", "cut", &key).digest().partition_id() == 7 {
            put(&mut connection, "cut", &key, 300);
            found += 1;
            if found == 10 {
                break;
            }
        }
    }
    let answer = Query::aggregation("totals").set("cut").run(&mut connection);
    assert_eq!(answer.numbers(), [1200, 1200, 600]);
}

#[test]
fn failures_are_told_and_end_an_aggregation_item_100() {
    let (_server, mut connection) = started();
    let cases = [
        (
            "q",
            "missing",
            "UDF: Execution Error 2 : function not found",
        ),
        ("none", "sum", "UDF: Execution Error 1"),
    ];
    for (package, function, expected) in cases {
        let mut query = Query::aggregation(function);
        query.fields[1].1 = package.as_bytes().to_vec();
        let answer = query.run(&mut connection);
        assert_eq!((answer.code, answer.last), (1, true));
        assert_eq!(answer.failures, [expected]);
    }
    let answer = Query::aggregation("broken").run(&mut connection);
    assert_eq!((answer.code, answer.values.len()), (1, 0));
    let text = &answer.failures[0];
    assert!(text.starts_with("UDF: Execution Error 2 : "), "{text}");
    assert!(text.ends_with(".lua:15: oops"), "{text}");
    let limit = "set-config:context=service;transaction-max-ms=500";
    assert_eq!(connection.info(limit).unwrap(), "ok");
    let answer = Query::aggregation("spin").run(&mut connection);
    assert!(
        answer.failures[0].ends_with("UDF Execution Timeout"),
        "{answer:?}"
    );
    assert_eq!(statistic(&mut connection, "pi_query_aggr_error"), 4);
}

#[test]
fn writes_in_a_stream_are_lost_item_101() {
    let (_server, mut connection) = started();
    let answer = Query::aggregation("writing").run(&mut connection);
    assert_eq!(answer.numbers(), [1; 100]);
    let answer = Query::aggregation("sum").run(&mut connection);
    assert_eq!(answer.numbers().iter().sum::<i64>(), 4950);
}

#[test]
fn what_is_refused_at_the_start_items_102_and_106() {
    let (_server, mut connection) = started();
    let range = b"\x01\x01n\x01\0\0\0\x08\0\0\0\0\0\0\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x06";
    let mut short = Query::aggregation("sum");
    short.header.info1 |= Info1::SHORT_QUERY;
    let mut kindless = Query::aggregation("sum");
    kindless.fields[0].1 = vec![3];
    for (query, code) in [
        (
            Query::aggregation("sum").field(FieldType::FILTER_EXP, b"\xc3"),
            16,
        ),
        (Query::aggregation("sum").set("unknown"), 2),
        (
            Query::aggregation("sum").field(FieldType::INDEX_RANGE, range),
            201,
        ),
        (short, 4),
        (kindless, 4),
        (Query::background("mark").set("unknown"), 2),
        (
            Query::background("mark").field(FieldType::INDEX_RANGE, range),
            201,
        ),
    ] {
        let answer = query.run(&mut connection);
        assert_eq!(
            (answer.code, answer.last),
            (code, false),
            "{:?}",
            query.fields
        );
    }
    let (_server, mut connection) = started_with("disable-udf-execution true");
    for query in [Query::aggregation("sum"), Query::background("mark")] {
        assert_eq!(query.run(&mut connection).code, 22);
    }
}

#[test]
fn a_background_udf_changes_all_records_and_counts_those_that_fail_items_104_and_105() {
    let (_server, mut connection) = started();
    let answer = Query::background("mark").id(7).run(&mut connection);
    assert_eq!((answer.code, answer.last), (0, true));
    let line = ended(&mut connection, 7);
    assert!(
        line.starts_with("trid=7:ns=test:set=demo:rps=10000:active-threads=0:status=done(ok):job-progress=100.00:run-time="),
        "{line}"
    );
    assert!(line.contains(":recs-throttled=100:recs-filtered-meta=0:recs-filtered-bins=0:recs-succeeded=99:recs-failed=1:from=127.0.0.1+"), "{line}");
    assert!(
        line.contains(":job-type=background-udf:net-io-bytes=30:socket-timeout=10000:udf-filename=q:udf-function=mark:udf-active=0:state=records-failed:last-error="),
        "{line}"
    );
    for number in [0, 13, 99] {
        let key = RecordKey::new("test", "demo", &format!("k{number}"));
        let reply = connection.message(&key.get().unwrap()).unwrap();
        assert_eq!(reply.bin("marked").is_some(), number != 13);
    }
    assert_eq!(
        Query::background("missing").id(8).run(&mut connection).code,
        0
    );
    let line = ended(&mut connection, 8);
    assert!(line.contains(":state=records-failed:"), "{line}");
    assert!(
        line.contains(":recs-succeeded=0:recs-failed=100:"),
        "{line}"
    );
    assert_eq!(statistic(&mut connection, "udf_sub_lang_write_success"), 99);
    assert_eq!(statistic(&mut connection, "udf_sub_udf_error"), 101);
    let all = connection.info("query-show").unwrap();
    assert_eq!(all.split(';').count(), 2, "{all}");
    assert_eq!(show(&mut connection, 9), "ERROR:2:job not found");
    assert_eq!(
        connection.info("query-show:id=x").unwrap(),
        "ERROR:4:bad id"
    );
    assert_eq!(
        connection.info("query-abort:trid=7").unwrap(),
        "ERROR:2:id not active"
    );
}

#[test]
fn jobs_end_when_they_are_aborted() {
    let (server, mut connection) = started();
    let slow = 1u32.to_be_bytes();
    let background = Query::background("mark").field(FieldType::RECORDS_PER_SECOND, &slow);
    assert_eq!(background.clone().id(1).run(&mut connection).code, 0);
    assert!(show(&mut connection, 1).contains(":status=active(ok):"));
    assert_eq!(connection.info("query-abort:trid=1").unwrap(), "ok");
    assert!(ended(&mut connection, 1).contains(":status=done(user-aborted):"));
    let address = server.address();
    let aggregation = std::thread::spawn(move || {
        let query = Query::aggregation("sum").field(FieldType::RECORDS_PER_SECOND, &slow);
        query.id(2).run(&mut Connection::open(address).unwrap())
    });
    wait_until_known(&mut connection, 2);
    let line = show(&mut connection, 2);
    assert!(
        line.contains(":job-type=aggregation:net-io-bytes="),
        "{line}"
    );
    assert_eq!(
        connection.info("query-abort-all:").unwrap(),
        "number-of-queries-killed:1"
    );
    assert_eq!(aggregation.join().unwrap().code, 15);
    assert_eq!(statistic(&mut connection, "pi_query_aggr_abort"), 1);
}

#[test]
fn scans_and_background_operations_are_jobs_too() {
    let (_server, mut connection) = started();
    let mut scan = Query::aggregation("sum").id(5);
    scan.fields.drain(..4);
    scan.header.info3 = Info3::PARTITION_DONE;
    let all: Vec<u8> = (0..4096u16).flat_map(u16::to_le_bytes).collect();
    let scan = scan.field(FieldType::PID_ARRAY, &all);
    connection.send(&scan.frame()).unwrap();
    let mut records = 0;
    let (code, last) = loop {
        let (_, body) = connection.receive().unwrap();
        let messages: Vec<_> = Message::parse_all(&body).map(Result::unwrap).collect();
        match messages
            .iter()
            .find(|message| message.header.info3.contains(Info3::LAST))
        {
            Some(end) => break (end.header.result.0, true),
            None => records += messages.len(),
        }
    };
    assert_eq!((code, last, records), (0, true, 100));
    let line = show(&mut connection, 5);
    let begin = "trid=5:ns=test:set=demo:n-pids-requested=4096:n-keyds-requested=0:rps=0:active-threads=0:status=done(ok):";
    assert!(line.starts_with(begin), "{line}");
    assert!(
        line.contains(":recs-succeeded=100:recs-failed=0:"),
        "{line}"
    );
    assert!(line.contains(":job-type=basic:net-io-bytes="), "{line}");

    let operations = |id: u64| {
        let mut query = Query::background("mark");
        query.fields.clear();
        query.id(id)
    };
    assert_eq!(operations(6).run(&mut connection).code, 4, "no operation");
    let mut out = BytesMut::new();
    let query = operations(6);
    let mut message = MessageWriter::new(&mut out, &query.header);
    message.namespace("test").set("demo");
    for (kind, data) in &query.fields {
        message.field(*kind, data);
    }
    message.op(OpCode::INCR, b"n", Particle::integer(1).as_ref());
    message.finish().unwrap();
    let reply = connection.message(&out).unwrap();
    assert_eq!(reply.code().0, 0);
    let line = ended(&mut connection, 6);
    assert!(
        line.ends_with(
            ":job-type=background-ops:net-io-bytes=30:socket-timeout=10000:ops-active=0"
        ),
        "{line}"
    );
    let sum = Query::aggregation("sum").run(&mut connection);
    assert_eq!(sum.numbers().iter().sum::<i64>(), 5050);
}

#[test]
fn what_a_stream_logs_has_its_own_context_item_107() {
    let (server, mut connection) = started();
    let answer = Query::aggregation("telling").run(&mut connection);
    assert_eq!((answer.code, answer.values.len()), (0, 100));
    let found = || {
        let log = server.log();
        let line = log.lines().find(|line| line.ends_with("n is 42"));
        line.map(str::to_owned)
    };
    // Lines are written beside what they are about.
    wait_until("the line is in the log", DEADLINE, || Ok(found().is_some())).unwrap();
    let line = found().unwrap();
    assert!(
        line.contains("INFO (aggr): (") && line.contains("q.lua:24) n is 42"),
        "{line}"
    );
}

/// Starts an aggregation whose results nobody reads.
fn unread(address: SocketAddr, function: &str, id: u64) -> Connection {
    let mut connection = Connection::open(address).unwrap();
    let query = Query::aggregation(function).id(id);
    let query = query.field(FieldType::SOCKET_TIMEOUT, &200u32.to_be_bytes());
    connection.send(&query.frame()).unwrap();
    connection
}

#[test]
fn a_client_that_goes_away_or_does_not_read_ends_its_aggregation() {
    let (server, mut connection) = started();
    for (id, function) in [(1, "big"), (2, "slowly")] {
        let gone = unread(server.address(), function, id);
        wait_until_known(&mut connection, id);
        drop(gone);
        let line = ended(&mut connection, id);
        assert!(line.contains(":status=done(abandoned-response-"), "{line}");
        assert!(!line.contains(":job-progress=100.00:"), "{line}");
    }
    let _stalled = unread(server.address(), "big", 3);
    wait_until_known(&mut connection, 3);
    let line = ended(&mut connection, 3);
    assert!(
        line.contains(":status=done(abandoned-response-timeout):"),
        "{line}"
    );
    assert_eq!(Query::aggregation("sum").run(&mut connection).code, 0);
}
