use std::sync::Barrier;

use super::*;
use data::record::{Bin, BinName};
use protocol::result_code::ResultCode;

fn bins(list: &[(&str, i64)]) -> Vec<Bin> {
    list.iter()
        .map(|(name, value)| Bin {
            name: BinName::new(name.as_bytes()).unwrap(),
            particle: int(*value),
        })
        .collect()
}

fn write(list: &[(&str, i64)]) -> RecordChange {
    RecordChange::Write {
        bins: bins(list),
        ttl: None,
        drop_key: false,
    }
}

fn with_ttl(ttl: u32) -> RecordChange {
    RecordChange::Write {
        bins: bins(&[("a", 2)]),
        ttl: Some(ttl),
        drop_key: false,
    }
}

/// Sends a call and gives code, generation, void-time and the bin of the reply.
async fn call(bench: &Bench, ask: &Ask) -> (u8, u32, u32, Option<(String, Particle)>) {
    let mut got = bench.ask(ask).await;
    let bin = got.bins.pop().map(|(op, name, value)| {
        assert_eq!(op, 1);
        (name, value)
    });
    assert!(got.bins.is_empty());
    (got.result, got.generation, got.void_time, bin)
}

fn success(value: Particle) -> Option<(String, Particle)> {
    Some(("SUCCESS".to_owned(), value))
}

fn failure(why: &str) -> Option<(String, Particle)> {
    Some(("FAILURE".to_owned(), text(why)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_function_did_is_stored_and_reported() {
    type Case = (
        &'static str,
        fn() -> RecordChange,
        Option<(u8, u32, u32)>,
        Option<(u8, u32, u32)>,
    );
    // Change, and code, generation and void-time of the reply without a record and with one of generation 1.
    let cases: [Case; 9] = [
        (
            "nothing",
            || RecordChange::None,
            Some((0, 0, 0)),
            Some((0, 1, NOW + 50)),
        ),
        (
            "write",
            || write(&[("a", 2)]),
            Some((0, 1, NOW + 20)),
            Some((0, 2, NOW + 20)),
        ),
        (
            "write, ttl never",
            || with_ttl(u32::MAX),
            Some((0, 1, 0)),
            Some((0, 2, 0)),
        ),
        (
            "write, ttl kept",
            || with_ttl(u32::MAX - 1),
            Some((0, 1, 0)),
            Some((0, 2, NOW + 50)),
        ),
        (
            "write, ttl default",
            || with_ttl(0),
            Some((0, 1, 0)),
            Some((0, 2, 0)),
        ),
        (
            "write, ttl above ten years",
            || with_ttl(315_360_001),
            Some((4, 0, 0)),
            Some((4, 1, NOW + 50)),
        ),
        (
            "write without bins",
            || write(&[]),
            Some((2, 0, 0)),
            Some((0, 2, NOW + 20)),
        ),
        (
            "delete",
            || RecordChange::Delete,
            Some((2, 0, 0)),
            Some((0, 2, NOW + 20)),
        ),
        (
            "too big",
            || RecordChange::Write {
                bins: vec![Bin {
                    name: BinName::new(b"a").unwrap(),
                    particle: text(&"x".repeat(1 << 20)),
                }],
                ttl: None,
                drop_key: false,
            },
            Some((13, 0, 0)),
            Some((13, 1, NOW + 50)),
        ),
    ];
    for (what, change, missing, existing) in cases {
        for (put, expected) in [(false, missing), (true, existing)] {
            let Some((code, generation, void_time)) = expected else {
                continue;
            };
            let bench = Bench::running(Module::changing(move |_| change()));
            if put {
                assert_eq!(bench.code(&Ask::put("a", int(1)).ttl(50)).await, 0);
            }
            let bin = if code == 0 { success(int(1)) } else { None };
            let got = call(&bench, &Ask::call().ttl(20)).await;
            assert_eq!(
                got,
                (code, generation, void_time, bin),
                "{what}, record before: {put}"
            );
            let after = bench.ask(&Ask::get()).await;
            if code != 0 {
                assert_eq!(
                    after.result,
                    if put { 0 } else { 2 },
                    "{what}: nothing has changed"
                );
            } else {
                // A reply about a record that went says what it would have been.
                let left = if after.result == 2 { 0 } else { generation };
                assert_eq!(after.generation, left, "{what}, record before: {put}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_durably_is_for_enterprise() {
    let bench = Bench::running(Module::changing(|call| match call.record.stored {
        Some(_) => RecordChange::Delete,
        None => write(&[("a", 1)]),
    }));
    let durable = Ask::call().info2(Info2::DURABLE_DELETE);
    assert_eq!(bench.code(&durable).await, 0, "writes are not concerned");
    assert_eq!(bench.code(&durable).await, 25);
    assert_eq!(bench.code(&Ask::get()).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_carry_their_text_and_change_nothing() {
    let bench = Bench::running(Module::new(|_| CallOutcome {
        reply: FunctionReply::Failure(b"m.lua:1: boom".to_vec()),
        change: RecordChange::None,
        pending_error: None,
    }));
    assert_eq!(
        call(&bench, &Ask::call()).await,
        (100, 0, 0, failure("m.lua:1: boom"))
    );
    assert_eq!(bench.code(&Ask::put("a", int(1)).ttl(50)).await, 0);
    assert_eq!(
        call(&bench, &Ask::call()).await,
        (100, 1, NOW + 50, failure("m.lua:1: boom"))
    );
    let mut unknown = Ask::call();
    unknown.fields[0].1 = b"m.lua".to_vec();
    assert_eq!(
        call(&bench, &unknown).await,
        (100, 1, NOW + 50, failure("UDF: Execution Error 1"))
    );
    let stats = &bench.test().stats;
    assert_eq!(
        (stats.client_udf_error.get(), stats.client_lang_error.get()),
        (3, 3)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remembered_failure_of_update_ends_the_call_without_a_bin() {
    let bench = Bench::running(Module::new(|_| CallOutcome {
        reply: FunctionReply::Success(int(1)),
        change: RecordChange::None,
        pending_error: Some(ResultCode::INCOMPATIBLE_TYPE),
    }));
    assert_eq!(call(&bench, &Ask::call()).await, (12, 0, 0, None));
    let stats = &bench.test().stats;
    assert_eq!(
        (stats.client_udf_error.get(), stats.client_lang_error.get()),
        (1, 0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_refused_before_and_after_the_record_is_looked_at() {
    let long = [b'x'; 128];
    let without = |index: usize| {
        let mut ask = Ask::call();
        ask.fields.remove(index);
        ask
    };
    let named = |index: usize, name: &[u8]| {
        let mut ask = Ask::call();
        ask.fields[index].1 = name.to_vec();
        ask
    };
    // Code without a record, and with one that has the key `k1` stored.
    let cases = [
        ("plain", Ask::call(), 0, 0),
        ("read bit too", Ask::call().info1(Info1::READ), 0, 0),
        (
            "ops are ignored",
            Ask::call().op(OpCode::WRITE, "a", int(1)),
            0,
            0,
        ),
        (
            "no write bit",
            Ask {
                header: MessageHeader::default(),
                ..Ask::call()
            },
            4,
            4,
        ),
        ("generation", Ask::call().info2(Info2::GENERATION), 4, 4),
        (
            "generation above",
            Ask::call().info2(Info2::GENERATION_GT),
            4,
            4,
        ),
        ("create only", Ask::call().info2(Info2::CREATE_ONLY), 4, 4),
        ("update only", Ask::call().info3(Info3::UPDATE_ONLY), 4, 4),
        ("replace", Ask::call().info3(Info3::CREATE_OR_REPLACE), 4, 4),
        ("replace only", Ask::call().info3(Info3::REPLACE_ONLY), 4, 4),
        ("no function", without(1), 4, 4),
        ("no arguments field", without(2), 4, 4),
        ("long package", named(0, &long), 4, 4),
        ("long function", named(1, &long), 4, 4),
        ("empty arguments field", named(2, b""), 0, 0),
        ("package that is no text", named(0, b"\xff"), 100, 100),
        ("other set", Ask::call().set(Some("other")), 0, 4),
        ("no set", Ask::call().set(None), 0, 4),
        ("filter false", Ask::call().filter(b"\xc2"), 0, 27),
        ("other key", Ask::call().key("k2"), 0, 19),
        ("stored key", Ask::call().key("k1"), 0, 0),
        (
            "bad ttl without a write",
            Ask::call().ttl(400_000_000),
            0,
            0,
        ),
    ];
    for (what, ask, missing, existing) in &cases {
        let bench = Bench::new();
        assert_eq!(bench.code(ask).await, *missing, "{what}, no record");
        assert_eq!(bench.code(&Ask::put("a", int(1)).key("k1")).await, 0);
        assert_eq!(bench.code(ask).await, *existing, "{what}, existing record");
    }
    let mut unknown = Ask::call().filter(b"\xc2");
    unknown.fields[0].1 = b"nope".to_vec();
    let bench = Bench::new();
    assert_eq!(
        bench.code(&unknown).await,
        100,
        "no record, so the filter does not count"
    );
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    assert_eq!(
        bench.code(&unknown).await,
        27,
        "the record is looked at before the module is missed"
    );
    let disabled = Bench {
        udf_disabled: true,
        ..Bench::new()
    };
    assert_eq!(disabled.code(&Ask::call()).await, 22);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_sees_the_record_and_what_was_sent() {
    let bench = Bench::running(Module::new(|call| {
        assert_eq!(
            (call.function, call.arguments),
            (&b"f"[..], &b"\x91\x05"[..])
        );
        let record = &call.record;
        // A stored one has its own.
        let set = match &record.stored {
            None => record.set.as_deref(),
            Some(stored) => Some(stored.set_name()),
        };
        assert_eq!((record.digest, set), (digest(1), Some("demo")));
        assert_eq!(
            (record.in_memory, record.persisted, record.write_refusal),
            (true, false, None)
        );
        let seen = match &record.stored {
            None => text("missing"),
            Some(stored) => {
                int(i64::from(stored.generation()) * 1000 + i64::try_from(stored.size()).unwrap())
            }
        };
        let key = record.key.clone().unwrap_or_default();
        let change = RecordChange::Write {
            bins: vec![
                Bin {
                    name: BinName::new(b"seen").unwrap(),
                    particle: seen,
                },
                Bin {
                    name: BinName::new(b"key").unwrap(),
                    particle: key,
                },
            ],
            ttl: None,
            drop_key: record.stored.is_some(),
        };
        CallOutcome {
            reply: FunctionReply::Success(int(1)),
            change,
            pending_error: None,
        }
    }));
    let mut ask = Ask::call().key("k1");
    ask.fields[2].1 = b"\x91\x05".to_vec();
    assert_eq!(bench.code(&ask).await, 0);
    assert_eq!(
        bench.ask(&Ask::get()).await.bins(),
        [("seen", text("missing")), ("key", text("k1"))]
    );
    assert_eq!(
        bench.key(1).await,
        Some(text("k1")),
        "the key sent is stored"
    );
    assert_eq!(bench.code(&ask).await, 0);
    assert_eq!(
        bench.ask(&Ask::get()).await.bins(),
        [("seen", int(1000 + 80)), ("key", text("k1"))]
    );
    assert_eq!(bench.key(1).await, None, "dropped by the function");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_batches_are_rows_with_the_same_replies() {
    let bench = Bench::running(Module::changing(|call| {
        let before = call
            .record
            .stored
            .as_ref()
            .map_or(0, |stored| i64::from(stored.generation()));
        write(&[("n", before)])
    }));
    let mut unknown = Ask::call();
    unknown.fields[0].1 = b"nope".to_vec();
    let rows = [
        (1, Ok(Ask::call())),
        (2, Err(2)),
        (3, Ok(Ask::call())),
        (4, Ok(unknown)),
    ];
    let got = bench.send(&batch::body(&batch::batch(0x0c, &rows))).await;
    let seen: Vec<_> = got
        .iter()
        .map(|row| (row.index, row.result, row.generation, row.last))
        .collect();
    assert_eq!(
        seen,
        [
            (1, 0, 1, false),
            (2, 0, 1, false),
            (3, 0, 2, false),
            (4, 100, 2, false),
            (0, 0, 0, true)
        ]
    );
    assert_eq!(got[3].bins(), [("FAILURE", text("UDF: Execution Error 1"))]);
    let stats = &bench.test().stats;
    assert_eq!(
        (
            stats.batch_sub_udf_complete.get(),
            stats.batch_sub_udf_error.get()
        ),
        (3, 1)
    );
    assert_eq!(
        (
            stats.batch_sub_lang_write_success.get(),
            stats.batch_sub_lang_error.get()
        ),
        (3, 1)
    );
    assert_eq!(bench.test().latency.batch_sub_udf.count(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn no_update_is_lost_between_calls_and_writes_on_one_record() {
    const EACH: i64 = 50;
    let bench = Arc::new(Bench::running(Module::changing(|call| {
        let before = call
            .record
            .stored
            .as_ref()
            .and_then(|stored| stored.bin(b"n")?.as_integer());
        std::thread::yield_now();
        write(&[("n", before.unwrap_or(0) + 1)])
    })));
    let add = Ask::new(Info1::empty(), Info2::WRITE).op(OpCode::INCR, "n", int(1));
    let mut tasks = Vec::new();
    for ask in [Ask::call(), Ask::call(), add.clone(), add] {
        let bench = Arc::clone(&bench);
        tasks.push(tokio::spawn(async move {
            for _ in 0..EACH {
                assert_eq!(bench.code(&ask).await, 0);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let got = bench.ask(&Ask::get()).await;
    assert_eq!(
        (got.generation, got.bins()),
        (200, vec![("n", int(4 * EACH))])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_the_stored_version_while_a_function_runs() {
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let gates = (Arc::clone(&entered), Arc::clone(&leave));
    let bench = Arc::new(Bench::running(Module::changing(move |_| {
        gates.0.wait();
        gates.1.wait();
        write(&[("a", 2)])
    })));
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let running = {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.code(&Ask::call()).await })
    };
    tokio::task::spawn_blocking(move || entered.wait())
        .await
        .unwrap();
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("a", int(1))]);
    let mut impatient = Ask::put("a", int(3));
    impatient.header.transaction_ttl = 5;
    assert_eq!(bench.code(&impatient).await, 9);
    let mut waiting = Ask::call();
    waiting.header.transaction_ttl = 5;
    assert_eq!(
        bench.code(&waiting).await,
        9,
        "a second call waits for the first"
    );
    tokio::task::spawn_blocking(move || leave.wait())
        .await
        .unwrap();
    assert_eq!(running.await.unwrap(), 0);
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("a", int(2))]);
    assert_eq!(bench.test().stats.client_udf_timeout.get(), 1);
}
