use super::*;

async fn stored() -> Bench {
    let bench = Bench::new();
    let put = Ask::put("a", int(7))
        .op(OpCode::WRITE, "b", text("two"))
        .ttl(100);
    assert_eq!(bench.code(&put).await, 0);
    bench
}

fn named(names: &[&'static str]) -> Ask {
    names
        .iter()
        .fold(Ask::new(Info1::READ, Info2::empty()), |ask, name| {
            ask.read(name)
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_give_the_wanted_bins_with_generation_and_void_time() {
    let bench = stored().await;
    let both = vec![("a", int(7)), ("b", text("two"))];
    let cases = [
        ("all", Ask::get(), both.clone()),
        ("all, ops ignored", Ask::get().read("a"), both.clone()),
        ("without set", Ask::get().set(None), both),
        (
            "header",
            Ask::new(Info1::READ | Info1::GET_NO_BINS, Info2::empty()),
            vec![],
        ),
        ("header, all", Ask::get().info1(Info1::GET_NO_BINS), vec![]),
        ("one", named(&["b"]), vec![("b", text("two"))]),
        (
            "missing one left out",
            named(&["x", "a"]),
            vec![("a", int(7))],
        ),
        (
            "twice",
            named(&["a", "a"]),
            vec![("a", int(7)), ("a", int(7))],
        ),
        (
            "missing one is nil",
            named(&["x", "a"]).info2(Info2::RESPOND_ALL_OPS),
            vec![("x", Particle::NIL), ("a", int(7))],
        ),
    ];
    for (what, ask, bins) in cases {
        let got = bench.ask(&ask).await;
        assert_eq!(
            (got.result, got.generation, got.void_time),
            (0, 1, NOW + 100),
            "{what}"
        );
        assert_eq!(got.bins(), bins, "{what}");
        assert!(got.bins.iter().all(|(op, _, _)| *op == 1), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_fail_say_why() {
    let bench = stored().await;
    let with_payload = |op, payload: &'static [u8]| {
        Ask::new(Info1::READ, Info2::empty()).op(
            op,
            "a",
            Particle::new(protocol::particle::ParticleType::BLOB, payload),
        )
    };
    let cases = [
        ("missing record", Ask::get().record(2), 2, 0),
        ("other set", Ask::get().set(Some("other")), 4, 1),
        ("no set", Ask::get().set(Some("")), 0, 1),
        ("filter that is no expression", Ask::get().filter(b""), 4, 1),
        (
            "read without ops or flags",
            Ask::new(Info1::READ, Info2::empty()),
            4,
            1,
        ),
        (
            "read without ops or flags, missing record",
            Ask::new(Info1::READ, Info2::empty()).record(2),
            2,
            0,
        ),
        ("name of 16 bytes", named(&["1234567890123456"]), 21, 1),
        ("name with a zero byte", named(&["a\0"]), 21, 1),
        ("ttl above a percentage", Ask::get().ttl(101), 4, 1),
        ("filter false", Ask::get().filter(b"\xc2"), 27, 1),
        ("filter true", Ask::get().filter(b"\xc3"), 0, 1),
        (
            "filter false, missing record",
            Ask::get().record(2).filter(b"\xc2"),
            2,
            0,
        ),
        ("key, none stored", Ask::get().key("other"), 0, 1),
        (
            "write op",
            named(&["a"]).op(OpCode::WRITE, "a", int(1)),
            4,
            1,
        ),
        (
            "no expression",
            with_payload(OpCode::EXP_READ, b"\x91\x91\x0a"),
            4,
            1,
        ),
        (
            "expression without value",
            with_payload(OpCode::EXP_READ, b"\x91\x91\x00"),
            26,
            1,
        ),
    ];
    for (what, ask, code, generation) in cases {
        let got = bench.ask(&ask).await;
        assert_eq!((got.result, got.generation), (code, generation), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_record_is_missing() {
    let bench = stored().await;
    bench.pass_seconds(100);
    assert_eq!(bench.code(&Ask::get()).await, 0);
    bench.pass_seconds(1);
    assert_eq!(bench.code(&Ask::get()).await, 2);
    assert_eq!(bench.code(&Ask::delete()).await, 2);
    let put = Ask::put("c", int(1)).ttl(u32::MAX - 1);
    assert_eq!(
        bench.ask(&put).await,
        Got {
            result: 0,
            generation: 1,
            void_time: 0,
            index: 0,
            last: false,
            bins: vec![]
        }
    );
    assert_eq!(
        bench.ask(&Ask::get()).await.bins(),
        [("c", int(1))],
        "nothing of the expired version is left"
    );
    assert_eq!(bench.test().usage().objects(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn naming_a_large_bin_over_and_over_is_refused() {
    let bench = Bench::new();
    assert_eq!(
        bench.code(&Ask::put("a", text(&"x".repeat(1 << 19)))).await,
        0
    );
    let many = (0..1000).fold(Ask::new(Info1::READ, Info2::empty()), |ask, _| {
        ask.read("a")
    });
    assert_eq!(bench.code(&many).await, 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_near_the_end_of_a_life_gives_it_anew() {
    let setting = |bench: &Bench, set: Option<&str>, percent| {
        let settings = &bench.test().settings;
        let name = "default-read-touch-ttl-pct";
        match set {
            None => settings.set(name, percent).unwrap(),
            Some(set) => settings
                .set_settings_or_new(set)
                .set(name, percent)
                .unwrap(),
        }
    };
    // After 80 of 100 seconds: what is read, what the settings say, and whether the life begins anew.
    type Settings = &'static [(Option<&'static str>, &'static str)];
    let cases: [(&str, Ask, Settings, bool); 9] = [
        ("asked", Ask::get().ttl(20), &[], true),
        ("too early", Ask::get().ttl(19), &[], false),
        ("one bin", named(&["a"]).ttl(20), &[], true),
        (
            "header",
            Ask::get().info1(Info1::GET_NO_BINS).ttl(20),
            &[],
            true,
        ),
        ("not asked", Ask::get(), &[], false),
        ("default", Ask::get(), &[(None, "20")], true),
        (
            "of the set",
            Ask::get(),
            &[(None, "1"), (Some("demo"), "20")],
            true,
        ),
        ("never", Ask::get().ttl(u32::MAX), &[(None, "100")], false),
        (
            "filtered out",
            Ask::get().ttl(20).filter(b"\xc2"),
            &[],
            false,
        ),
    ];
    for (what, ask, settings, anew) in cases {
        let bench = stored().await;
        for (set, percent) in settings {
            setting(&bench, *set, percent);
        }
        bench.pass_seconds(80);
        let got = bench.ask(&ask).await;
        assert!(got.result != 0 || got.void_time == NOW + 100, "{what}");
        let seen = bench.ask(&Ask::get().ttl(u32::MAX)).await;
        let void_time = if anew { NOW + 180 } else { NOW + 100 };
        assert_eq!((seen.generation, seen.void_time), (1, void_time), "{what}");
        assert_eq!(seen.bins(), [("a", int(7)), ("b", text("two"))], "{what}");
        let touched = bench.test().stats.read_touch_success.get();
        assert_eq!(touched, u64::from(anew), "{what}");
    }
}

#[tokio::test]
async fn a_filter_that_the_deadline_stops_is_a_time_out_and_says_nothing_of_the_record() {
    // Whether the text of a bin of so many bytes matches a pattern: that is work for each of them.
    let text_of = |bytes: usize| Ask::put("b", text(&"a".repeat(bytes)));
    let filter = b"\x94\x07\x00\xa1c\x93\x51\x03\xa1b";
    let bench = stored().await;
    let long_ago = Instant::now().checked_sub(Duration::from_secs(3600));
    for (bytes, received, expected) in [
        (900_000, Some(Instant::now()), 27),
        (2, long_ago, 27),
        (900_000, long_ago, 9),
    ] {
        assert_eq!(bench.code(&text_of(bytes)).await, 0);
        let body = Ask::get().filter(filter).body();
        let answers = bench.send_received(&body, received.unwrap()).await;
        assert_eq!(answers[0].result, expected, "{bytes} bytes");
    }
    let stats = &bench.test().stats;
    assert_eq!(stats.client_read_timeout.get(), 1);
    assert_eq!(stats.client_read_filtered_out.get(), 2);
}
