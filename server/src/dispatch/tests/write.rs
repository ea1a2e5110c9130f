use protocol::particle::ParticleType;

use super::*;

const GEN: Info2 = Info2::GENERATION;
const GT: Info2 = Info2::GENERATION_GT;

#[tokio::test]
async fn write_policies_decide_by_existence_and_generation() {
    let put = || Ask::put("a", int(1));
    // What, request, code and generation with no record, with a record of generation 2.
    let cases = [
        ("plain", put(), (0, 1), (0, 3)),
        (
            "create only",
            put().info2(Info2::CREATE_ONLY),
            (0, 1),
            (5, 2),
        ),
        (
            "update only",
            put().info3(Info3::UPDATE_ONLY),
            (2, 0),
            (0, 3),
        ),
        (
            "create or replace",
            put().info3(Info3::CREATE_OR_REPLACE),
            (0, 1),
            (0, 3),
        ),
        (
            "replace only",
            put().info3(Info3::REPLACE_ONLY),
            (2, 0),
            (0, 3),
        ),
        ("generation 0", put().info2(GEN), (0, 1), (3, 2)),
        (
            "generation 2",
            put().info2(GEN).generation(2),
            (3, 0),
            (0, 3),
        ),
        (
            "generation above 2",
            put().info2(GT).generation(3),
            (0, 1),
            (0, 3),
        ),
        (
            "generation not above 2",
            put().info2(GT).generation(2),
            (0, 1),
            (3, 2),
        ),
        ("filter false", put().filter(b"\xc2"), (0, 1), (27, 2)),
        ("other set", put().set(Some("other")), (0, 1), (4, 2)),
        ("no set", put().set(None), (0, 1), (4, 2)),
        ("bad ttl", put().ttl(400_000_000), (4, 0), (4, 2)),
        (
            "durable delete without effect",
            put().info2(Info2::DURABLE_DELETE),
            (0, 1),
            (0, 3),
        ),
    ];
    for (what, ask, missing, existing) in cases {
        let bench = Bench::new();
        let got = bench.ask(&ask).await;
        assert_eq!((got.result, got.generation), missing, "{what}, no record");
        let bench = Bench::new();
        for _ in 0..2 {
            assert_eq!(bench.code(&Ask::put("old", int(1))).await, 0);
        }
        let got = bench.ask(&ask).await;
        assert_eq!(
            (got.result, got.generation),
            existing,
            "{what}, existing record"
        );
    }
}

#[tokio::test]
async fn bins_are_merged_replaced_and_removed_in_storage_order() {
    let bench = Bench::new();
    let names = async || {
        bench
            .ask(&Ask::get())
            .await
            .bins
            .into_iter()
            .map(|(_, name, _)| name)
            .collect::<Vec<_>>()
    };
    let put = Ask::put("a", int(1))
        .op(OpCode::WRITE, "b", int(2))
        .op(OpCode::WRITE, "c", int(3));
    assert_eq!(bench.code(&put).await, 0);
    assert_eq!(bench.code(&Ask::put("a", Particle::NIL)).await, 0);
    assert_eq!(
        names().await,
        ["c", "b"],
        "the last bin takes the place of the removed one"
    );
    let twice = Ask::put("b", int(5))
        .op(OpCode::WRITE, "b", int(6))
        .op(OpCode::WRITE, "", int(7));
    assert_eq!(bench.code(&twice).await, 0);
    assert_eq!(
        bench.ask(&Ask::get()).await.bins(),
        [("c", int(3)), ("b", int(6)), ("", int(7))]
    );
    assert_eq!(
        bench
            .code(&Ask::put("z", int(1)).info3(Info3::CREATE_OR_REPLACE))
            .await,
        0
    );
    assert_eq!(names().await, ["z"]);
    let got = bench.ask(&Ask::put("z", Particle::NIL)).await;
    assert_eq!(
        (got.result, got.generation, got.void_time),
        (0, 0, 0),
        "the last bin takes the record along"
    );
    assert_eq!(bench.code(&Ask::get()).await, 2);
    assert_eq!(bench.code(&Ask::put("z", Particle::NIL)).await, 2);
    let usage = bench.test().usage();
    assert_eq!((usage.objects(), usage.bytes()), (0, 0));
}

#[tokio::test]
async fn removing_the_last_bin_durably_is_for_enterprise() {
    let bench = Bench::new();
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    assert_eq!(
        bench
            .code(&Ask::put("a", Particle::NIL).info2(Info2::DURABLE_DELETE))
            .await,
        25
    );
    assert_eq!(
        bench
            .code(&Ask::delete().info2(Info2::DURABLE_DELETE))
            .await,
        25
    );
    assert_eq!(bench.code(&Ask::get()).await, 0);
}

#[tokio::test]
async fn values_are_checked_and_stored_in_one_form() {
    let raw = |kind, data: &'static [u8]| Particle::new(kind, data);
    let (list, map) = (ParticleType::LIST, ParticleType::MAP);
    let cases = [
        (
            "integer of 1 byte",
            raw(ParticleType::INTEGER, b"\xff"),
            Ok(int(255)),
        ),
        (
            "integer of 3 bytes",
            raw(ParticleType::INTEGER, b"\0\0\x01"),
            Err(4),
        ),
        ("float", Particle::float(1.5), Ok(Particle::float(1.5))),
        ("bool", Particle::bool(true), Ok(Particle::bool(true))),
        ("bool 2", raw(ParticleType::BOOL, b"\x02"), Err(4)),
        ("empty string", text(""), Ok(text(""))),
        (
            "blob of java",
            raw(ParticleType::JAVA_BLOB, b"x"),
            Ok(raw(ParticleType::JAVA_BLOB, b"x")),
        ),
        ("unknown type", raw(ParticleType(99), b"x"), Err(4)),
        (
            "long form of a list",
            raw(list, b"\xdc\0\x01\xcc\x05"),
            Ok(raw(list, b"\x91\x05")),
        ),
        (
            "map sorted",
            raw(map, b"\x82\x02\x01\x01\x01"),
            Ok(raw(map, b"\x82\x01\x01\x02\x01")),
        ),
        ("cut list", raw(list, b"\x92\x01"), Err(1)),
        (
            "duplicate map key",
            raw(map, b"\x82\x01\x01\x01\x01"),
            Err(1),
        ),
        ("no JSON", Particle::geojson(b"nope"), Err(160)),
    ];
    for (what, value, expected) in cases {
        let bench = Bench::new();
        let code = bench.code(&Ask::put("a", value)).await;
        match expected {
            Ok(stored) => {
                assert_eq!(code, 0, "{what}");
                assert_eq!(
                    bench.ask(&Ask::get()).await.bins(),
                    [("a", stored)],
                    "{what}"
                );
            }
            Err(expected) => {
                assert_eq!(code, expected, "{what}");
                assert_eq!(bench.code(&Ask::get()).await, 2, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn keys_are_stored_and_compared() {
    let bench = Bench::new();
    let empty = |ask: Ask| ask.field(FieldType::KEY, b"");
    assert_eq!(bench.code(&empty(Ask::put("a", int(1)))).await, 16);
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    assert_eq!(
        bench.code(&Ask::get().key("anything")).await,
        0,
        "none stored"
    );
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).key("k1")).await,
        0,
        "stored from now on"
    );
    assert_eq!(bench.code(&Ask::put("a", int(2))).await, 0, "and kept");
    let cases = [
        ("same", Ask::get().key("k1"), 0),
        ("other, read", Ask::get().key("k2"), 19),
        (
            "other type",
            Ask::get().field(FieldType::KEY, b"\x04k1"),
            19,
        ),
        ("empty field", empty(Ask::get()), 19),
        ("other, write", Ask::put("a", int(3)).key("k2"), 19),
        ("empty field, write", empty(Ask::put("a", int(3))), 19),
        ("other, delete", Ask::delete().key("k2"), 19),
    ];
    for (what, ask, code) in cases {
        assert_eq!(bench.code(&ask).await, code, "{what}");
    }
    assert_eq!(bench.key(1).await, Some(text("k1")));
    assert_eq!(
        bench
            .code(
                &Ask::put("a", int(1))
                    .record(2)
                    .field(FieldType::KEY, b"\x03")
            )
            .await,
        0,
        "empty value"
    );
}

#[tokio::test]
async fn deletes_check_and_count() {
    let cases = [
        ("plain", Ask::delete(), 0),
        ("generation", Ask::delete().info2(GEN).generation(1), 0),
        (
            "wrong generation",
            Ask::delete().info2(GEN).generation(2),
            3,
        ),
        ("filter false", Ask::delete().filter(b"\xc2"), 27),
        ("missing", Ask::delete().record(2), 2),
    ];
    for (what, ask, code) in cases {
        let bench = Bench::new();
        assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
        let got = bench.ask(&ask).await;
        assert_eq!((got.result, got.generation), (code, 0), "{what}");
        assert_eq!(
            bench.code(&Ask::get()).await,
            if code == 0 { 2 } else { 0 },
            "{what}"
        );
    }
}

#[tokio::test]
async fn ttl_becomes_void_time_and_generation_wraps() {
    let bench = Bench::new();
    let void_time = async |ask: Ask| bench.ask(&ask).await.void_time;
    assert_eq!(void_time(Ask::put("a", int(1)).ttl(50)).await, NOW + 50);
    assert_eq!(
        void_time(Ask::put("a", int(1)).ttl(u32::MAX - 1)).await,
        NOW + 50
    );
    assert_eq!(void_time(Ask::put("a", int(1)).ttl(u32::MAX)).await, 0);
    assert_eq!(void_time(Ask::put("a", int(1)).ttl(50)).await, NOW + 50);
    assert_eq!(
        void_time(Ask::put("a", int(1))).await,
        0,
        "the default is never"
    );
    for _ in 5..65535 {
        bench.ask(&Ask::put("a", int(1))).await;
    }
    assert_eq!(bench.ask(&Ask::get()).await.generation, 65535);
    assert_eq!(bench.ask(&Ask::put("a", int(1))).await.generation, 1);
}

#[tokio::test]
async fn records_above_the_limit_are_refused_and_change_nothing() {
    let bench = Bench::new();
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let got = bench.ask(&Ask::put("b", text(&"x".repeat(1 << 20)))).await;
    assert_eq!((got.result, got.generation), (13, 1));
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("a", int(1))]);
    assert_eq!(bench.test().stats.fail_record_too_big.get(), 1);
}

#[tokio::test]
async fn writes_wait_for_a_busy_record_and_reads_do_not() {
    let bench = Arc::new(Bench::new());
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let later = Instant::now() + Duration::from_secs(30);
    let held = bench
        .test()
        .locks()
        .lock(&digest(1), later, 0)
        .await
        .unwrap();
    let spawn = |ask: Ask| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.ask(&ask).await })
    };
    let write = spawn(Ask::put("a", int(2)));
    let delete = spawn(Ask::delete());
    let mut impatient = Ask::put("a", int(3));
    impatient.header.transaction_ttl = 5;
    assert_eq!(bench.code(&impatient).await, 9);
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("a", int(1))]);
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).record(2)).await,
        0,
        "other records are free"
    );
    assert!(!write.is_finished() && !delete.is_finished());
    drop(held);
    assert_eq!(write.await.unwrap().generation, 2);
    assert_eq!(delete.await.unwrap().result, 0);
    assert_eq!(bench.test().stats.client_write_timeout.get(), 1);
}

#[tokio::test]
async fn too_many_writers_of_a_busy_record_are_turned_away() {
    let bench = Arc::new(Bench::new());
    let later = Instant::now() + Duration::from_secs(30);
    let held = bench
        .test()
        .locks()
        .lock(&digest(1), later, 0)
        .await
        .unwrap();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.code(&Ask::put("a", int(1))).await })
        })
        .collect();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 14);
    assert_eq!(bench.test().stats.fail_key_busy.get(), 1);
    drop(held);
    for task in waiting {
        assert_eq!(task.await.unwrap(), 0);
    }
    assert_eq!(bench.ask(&Ask::get()).await.generation, 20);
}

#[tokio::test]
async fn settings_say_what_may_be_written() {
    let bench = Bench::new();
    let set = |name: &str, value: &str| bench.test().settings.set(name, value).unwrap();
    set("nsup-period", "0");
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).ttl(10)).await,
        22,
        "nothing would remove it"
    );
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    set("allow-ttl-without-nsup", "true");
    assert_eq!(bench.code(&Ask::put("a", int(1)).ttl(10)).await, 0);
    set("default-ttl", "60");
    assert_eq!(bench.ask(&Ask::put("a", int(1))).await.void_time, NOW + 60);
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).set(None).record(2)).await,
        0
    );
    set("disallow-null-setname", "true");
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).set(None).record(3)).await,
        4
    );
}

#[tokio::test]
async fn a_full_namespace_takes_no_more() {
    let bench = Bench::new();
    let settings = &bench.test().settings;
    for (name, value) in [
        ("storage-engine.data-size", "512M"),
        ("storage-engine.stop-writes-used-pct", "1"),
    ] {
        settings.set(name, value).unwrap();
    }
    let large = text(&"x".repeat(1_000_000));
    for record in 0..6 {
        assert_eq!(
            bench
                .code(&Ask::put("a", large.clone()).record(record))
                .await,
            0
        );
    }
    assert_eq!(bench.code(&Ask::put("a", int(1)).record(9)).await, 8);
    assert_eq!(bench.code(&Ask::put("b", int(1)).record(1)).await, 8);
    assert_eq!(
        bench.code(&Ask::put("a", Particle::NIL).record(1)).await,
        0,
        "what frees space is let through"
    );
    assert_eq!(bench.code(&Ask::put("a", int(1)).record(9)).await, 0);
}

#[tokio::test]
async fn indexes_above_their_budget_stop_writes() {
    let bench = Bench::new();
    let budget = |bytes: u64| {
        let set = bench
            .test()
            .settings
            .set("indexes-memory-budget", &bytes.to_string());
        set.unwrap();
    };
    for record in 0..3 {
        assert_eq!(bench.code(&Ask::put("a", int(1)).record(record)).await, 0);
    }
    let used = bench.test().index_memory();
    assert_eq!(used, 3 * 64);
    budget(used);
    assert_eq!(bench.code(&Ask::put("a", int(2)).record(1)).await, 0);
    budget(used - 1);
    assert_eq!(bench.code(&Ask::put("a", int(3)).record(1)).await, 8);
    assert_eq!(bench.code(&Ask::delete().record(1)).await, 0);
    assert_eq!(bench.code(&Ask::put("a", int(3)).record(2)).await, 0);
    budget(0);
    assert_eq!(bench.code(&Ask::put("a", int(4)).record(4)).await, 0);
}
