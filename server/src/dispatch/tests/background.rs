use super::*;
use crate::query::jobs::{Job, JobEnd};

/// The body of a message without a digest.
pub(crate) fn query_body(ask: &Ask) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &ask.header);
    ask.write_parts(&mut message, false);
    message.finish().unwrap();
    out[8..].to_vec()
}

fn background() -> Ask {
    Ask::call()
        .field(FieldType::UDF_OP, &[2])
        .field(FieldType::TASK_ID, &7u64.to_be_bytes())
}

/// Ten records in set `demo`, one of which has expired, and one each in set `other` and in none.
async fn filled(functions: Module) -> Bench {
    let bench = Bench::running(functions);
    for record in 0..10 {
        let put = Ask::put("a", int(1)).record(record);
        let put = if record == 9 { put.ttl(5) } else { put };
        assert_eq!(bench.code(&put).await, 0);
    }
    for (record, set) in [(100, Some("other")), (101, None)] {
        let put = Ask::put("a", int(1)).record(record).set(set);
        assert_eq!(bench.code(&put).await, 0);
    }
    bench.pass_seconds(10);
    bench
}

async fn start(bench: &Bench, ask: &Ask) -> Got {
    let mut messages = bench.send(&query_body(ask)).await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.remove(0)
}

pub(crate) async fn ended(bench: &Bench, id: u64) -> (Arc<Job>, JobEnd) {
    let job = bench.jobs.find(id).unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some((_, end)) = job.end() {
            return (job, end);
        }
        assert!(Instant::now() < limit, "the job does not end: {job:?}");
        tokio::task::yield_now().await;
    }
}

fn writing() -> Module {
    Module::changing(|_| RecordChange::Write {
        bins: vec![data::record::Bin {
            name: data::record::BinName::new(b"b").unwrap(),
            particle: int(2),
        }],
        ttl: None,
        drop_key: false,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_live_record_of_the_set_is_updated_item_104() {
    let bench = filled(writing()).await;
    let reply = start(&bench, &background()).await;
    assert_eq!((reply.result, reply.last), (0, true), "at once");
    let (job, end) = ended(&bench, 7).await;
    assert_eq!(end, JobEnd::Done);
    assert_eq!(job.counts.succeeded.get(), 9);
    assert_eq!(job.counts.failed.get(), 0);
    for record in 0..9 {
        let got = bench.ask(&Ask::get().record(record)).await;
        assert_eq!(got.bins(), [("b", int(2))]);
    }
    let others = [(9, Some("demo"), 2), (100, Some("other"), 0)];
    for (record, set, code) in others {
        let got = bench.ask(&Ask::get().record(record).set(set)).await;
        assert_eq!(got.result, code);
        assert!(got.bins().iter().all(|(name, _)| *name == "a"));
    }
    let stats = &bench.test().stats;
    assert_eq!(stats.pi_query_udf_bg_complete.get(), 1);
    assert_eq!(stats.udf_sub_udf_complete.get(), 9);
    assert_eq!(stats.udf_sub_lang_write_success.get(), 9);
    assert_eq!(stats.client_udf_complete.get(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_set_it_is_the_whole_namespace() {
    let bench = filled(writing()).await;
    for (id, set) in [(1u64, None), (2, Some(""))] {
        let ask = Ask::call()
            .set(set)
            .field(FieldType::UDF_OP, &[2])
            .field(FieldType::TASK_ID, &id.to_be_bytes());
        assert_eq!(start(&bench, &ask).await.result, 0);
        let (job, _) = ended(&bench, id).await;
        assert_eq!(job.counts.succeeded.get(), 11, "{set:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_do_not_end_it_items_104_and_105() {
    let failing = Module::new(|call| {
        if call.record.digest == digest(3) {
            CallOutcome::failure("no")
        } else {
            CallOutcome {
                reply: FunctionReply::Success(int(1)),
                change: RecordChange::Delete,
                pending_error: None,
            }
        }
    });
    let bench = filled(failing).await;
    start(&bench, &background()).await;
    let (job, end) = ended(&bench, 7).await;
    assert_eq!(end, JobEnd::Done);
    assert_eq!(job.counts.failed.get(), 1);
    assert_eq!(job.counts.succeeded.get(), 8);
    let stats = &bench.test().stats;
    assert_eq!(stats.udf_sub_lang_error.get(), 1);
    assert_eq!(stats.udf_sub_lang_delete_success.get(), 8);

    let bench = filled(writing()).await;
    let mut unknown = background();
    unknown.fields[0].1 = b"nomodule".to_vec();
    assert_eq!(start(&bench, &unknown).await.result, 0, "not noticed");
    let (job, end) = ended(&bench, 7).await;
    assert_eq!((job.counts.failed.get(), end), (9, JobEnd::Done));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_keeps_it_from_records() {
    let bench = filled(writing()).await;
    start(&bench, &background().filter(b"\xc2")).await;
    let (job, _) = ended(&bench, 7).await;
    assert_eq!(job.counts.filtered_bins.get(), 9);
    assert_eq!(job.counts.succeeded.get(), 0);
    assert_eq!(bench.test().stats.udf_sub_udf_filtered_out.get(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_are_done_on_every_live_record() {
    let bench = filled(writing()).await;
    let operations = |id: u64| {
        Ask::new(Info1::empty(), Info2::WRITE).field(FieldType::TASK_ID, &id.to_be_bytes())
    };
    let ask = operations(7)
        .op(OpCode::INCR, "a", int(2))
        .op(OpCode::WRITE, "b", text("new"));
    let reply = start(&bench, &ask).await;
    assert_eq!((reply.result, reply.last), (0, true));
    let (job, end) = ended(&bench, 7).await;
    assert_eq!((job.counts.succeeded.get(), end), (9, JobEnd::Done));
    let got = bench.ask(&Ask::get()).await;
    assert_eq!(got.bins(), [("a", int(3)), ("b", text("new"))]);
    // One record has a text in bin `a` now.
    let put = Ask::put("a", text("no number"));
    assert_eq!(bench.code(&put).await, 0);
    start(&bench, &operations(8).op(OpCode::INCR, "a", int(2))).await;
    let (job, _) = ended(&bench, 8).await;
    let counts = &job.counts;
    assert_eq!((counts.succeeded.get(), counts.failed.get()), (8, 1));
    start(
        &bench,
        &operations(9).op(OpCode::DELETE_ALL, "", Particle::NIL),
    )
    .await;
    ended(&bench, 9).await;
    assert_eq!(bench.code(&Ask::get()).await, 2);
    let stats = &bench.test().stats;
    assert_eq!(stats.ops_sub_write_success.get(), 9 + 8 + 9);
    assert_eq!(stats.ops_sub_write_error.get(), 1);
    assert_eq!(stats.pi_query_ops_bg_complete.get(), 3);
    let refused = [
        (operations(10), 4),
        (operations(10).read("a"), 4),
        (
            operations(10)
                .info1(Info1::READ)
                .op(OpCode::WRITE, "a", int(1)),
            4,
        ),
        (
            operations(10)
                .set(Some("unknown"))
                .op(OpCode::WRITE, "a", int(1)),
            2,
        ),
    ];
    for (ask, code) in refused {
        let got = start(&bench, &ask).await;
        assert_eq!((got.result, got.last), (code, false), "{:?}", ask.ops);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_to_its_rate_and_ends_when_it_is_aborted() {
    let bench = filled(writing()).await;
    let slow = background().field(FieldType::RECORDS_PER_SECOND, &1u32.to_be_bytes());
    assert_eq!(start(&bench, &slow).await.result, 0);
    assert_eq!(start(&bench, &background()).await.result, 4, "id in use");
    let unnamed = Ask::call().field(FieldType::UDF_OP, &[2]);
    let slow = unnamed.field(FieldType::RECORDS_PER_SECOND, &1u32.to_be_bytes());
    assert_eq!(start(&bench, &slow).await.result, 0);
    assert_eq!(start(&bench, &slow).await.result, 22, "two may run");
    assert_eq!(bench.jobs.active(), 2);
    assert!(bench.jobs.abort(7));
    let (job, end) = ended(&bench, 7).await;
    assert_eq!(end, JobEnd::Aborted);
    assert!(job.counts.succeeded.get() < 9);
    assert_eq!(bench.test().stats.pi_query_udf_bg_abort.get(), 1);
    assert_eq!(start(&bench, &background()).await.result, 4, "remembered");
    assert_eq!(bench.jobs.abort_all(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_at_the_start_item_106() {
    let bench = filled(writing()).await;
    let range: &[u8] = b"\x01\x01i\x01\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x06";
    let without = |kind| {
        let mut ask = background();
        ask.fields.retain(|(field, _)| *field != kind);
        ask
    };
    let cases = [
        (background().info1(Info1::SHORT_QUERY), 4),
        (background().set(Some("unknown")), 2),
        (background().field(FieldType::INDEX_RANGE, range), 201),
        (without(FieldType::UDF_FUNCTION), 4),
        (without(FieldType::UDF_ARGLIST), 4),
        (without(FieldType::UDF_OP), 4),
        (
            background().field(FieldType::RECORDS_PER_SECOND, &10_001u32.to_be_bytes()),
            4,
        ),
    ];
    for (ask, code) in cases {
        let got = start(&bench, &ask).await;
        assert_eq!((got.result, got.last), (code, false), "{:?}", ask.fields);
    }
    let disabled = Bench {
        udf_disabled: true,
        ..filled(writing()).await
    };
    assert_eq!(start(&disabled, &background()).await.result, 22);
    assert_eq!(bench.jobs.all().len(), 0);
}
