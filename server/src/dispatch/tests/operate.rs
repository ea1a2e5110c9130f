use protocol::particle::ParticleType;

use super::*;

fn operate() -> Ask {
    Ask::new(Info1::READ, Info2::WRITE)
}

async fn stored() -> Bench {
    let bench = Bench::new();
    let put = Ask::put("i", int(7))
        .op(OpCode::WRITE, "f", Particle::float(1.5))
        .op(OpCode::WRITE, "s", text("mid"))
        .op(
            OpCode::WRITE,
            "b",
            Particle::new(ParticleType::BLOB, &b"\x01"[..]),
        );
    assert_eq!(bench.code(&put).await, 0);
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_and_joining_need_the_bins_type() {
    let blob = |data: &'static [u8]| Particle::new(ParticleType::BLOB, data);
    let cases = [
        (OpCode::INCR, "i", int(-8), Ok(int(-1))),
        (OpCode::INCR, "i", int(i64::MAX), Ok(int(i64::MIN + 6))),
        (
            OpCode::INCR,
            "f",
            Particle::float(0.25),
            Ok(Particle::float(1.75)),
        ),
        (OpCode::INCR, "new", int(3), Ok(int(3))),
        (OpCode::INCR, "f", int(1), Err(12)),
        (OpCode::INCR, "i", Particle::float(1.0), Err(12)),
        (OpCode::INCR, "s", int(1), Err(12)),
        (OpCode::APPEND, "s", text("dle"), Ok(text("middle"))),
        (OpCode::PREPEND, "s", text("a"), Ok(text("amid"))),
        (OpCode::APPEND, "b", blob(b"\x02"), Ok(blob(b"\x01\x02"))),
        (OpCode::APPEND, "new", text("x"), Ok(text("x"))),
        (OpCode::APPEND, "s", blob(b"\x02"), Err(12)),
        (OpCode::PREPEND, "i", text("x"), Err(12)),
    ];
    for (op, name, operand, expected) in cases {
        let bench = stored().await;
        let what = format!("op {} on {name}", op.0);
        let got = bench.ask(&operate().op(op, name, operand).read(name)).await;
        match expected {
            Ok(value) => assert_eq!(
                (got.result, got.generation, got.bins()),
                (0, 2, vec![(name, value)]),
                "{what}"
            ),
            Err(code) => assert_eq!(
                (got.result, got.generation, got.bins()),
                (code, 1, vec![]),
                "{what}"
            ),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ops_run_in_order_and_reads_see_earlier_writes() {
    let bench = stored().await;
    let ask = operate()
        .read("i")
        .op(OpCode::INCR, "i", int(1))
        .read("i")
        .read("none")
        .op(OpCode::WRITE, "i", int(0));
    let got = bench.ask(&ask).await;
    assert_eq!(got.bins(), [("i", int(7)), ("i", int(8))]);
    let got = bench.ask(&ask.clone().info2(Info2::RESPOND_ALL_OPS)).await;
    let nil = Particle::NIL;
    let expected = [
        (1, "i", int(0)),
        (5, "i", nil.clone()),
        (1, "i", int(1)),
        (1, "none", nil.clone()),
        (2, "i", nil),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(op, name, value)| (op, name.to_owned(), value))
        .collect();
    assert_eq!(got.bins, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_all_bins_shows_the_working_copy() {
    let bench = Bench::new();
    let all = |ask: Ask| ask.info1(Info1::GET_ALL).read("");
    let got = bench
        .ask(&all(operate().op(OpCode::WRITE, "a", int(1)).op(
            OpCode::WRITE,
            "b",
            int(2),
        )))
        .await;
    assert_eq!(
        (got.result, got.bins()),
        (0, vec![("a", int(1)), ("b", int(2))])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn touch_and_delete_all() {
    let bench = Bench::new();
    let touch = || Ask::new(Info1::empty(), Info2::WRITE).op(OpCode::TOUCH, "", Particle::NIL);
    assert_eq!(bench.code(&touch()).await, 2);
    assert_eq!(bench.code(&touch().op(OpCode::WRITE, "a", int(1))).await, 2);
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let got = bench.ask(&touch().ttl(9)).await;
    assert_eq!((got.result, got.generation, got.void_time), (0, 2, NOW + 9));
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("a", int(1))]);
    let clear = Ask::new(Info1::empty(), Info2::WRITE).op(OpCode::DELETE_ALL, "", Particle::NIL);
    assert_eq!(
        bench
            .ask(&clear.clone().op(OpCode::WRITE, "b", int(2)))
            .await
            .generation,
        3
    );
    assert_eq!(bench.ask(&Ask::get()).await.bins(), [("b", int(2))]);
    let got = bench.ask(&clear).await;
    assert_eq!((got.result, got.generation), (0, 0));
    assert_eq!(bench.code(&Ask::get()).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contradictions_are_refused_and_nothing_is_applied() {
    let replace = Info3::CREATE_OR_REPLACE;
    let write = || Ask::put("i", int(1));
    let cases = [
        ("read op without the read bit", write().read("i"), 4),
        (
            "all bins without an op for it",
            write().info1(Info1::READ | Info1::GET_ALL),
            4,
        ),
        (
            "all bins beside a named one",
            write()
                .info1(Info1::READ | Info1::GET_ALL)
                .read("")
                .read("i"),
            4,
        ),
        (
            "all bins twice",
            write()
                .info1(Info1::READ | Info1::GET_ALL)
                .read("")
                .read(""),
            4,
        ),
        (
            "all bins go in a replace",
            write().info3(replace).op(OpCode::DELETE_ALL, "", int(1)),
            4,
        ),
        (
            "nothing but reads in a replace",
            Ask::new(Info1::READ, Info2::WRITE).info3(replace).read("i"),
            2,
        ),
        (
            "all bins with an answer to each op",
            write()
                .info1(Info1::READ | Info1::GET_ALL)
                .info2(Info2::RESPOND_ALL_OPS)
                .read(""),
            4,
        ),
        (
            "nil in a replace",
            write().info3(replace).op(OpCode::WRITE, "s", Particle::NIL),
            4,
        ),
        (
            "add in a replace",
            write().info3(replace).op(OpCode::INCR, "i", int(1)),
            4,
        ),
        (
            "touch in a replace",
            write().info3(replace).op(OpCode::TOUCH, "", Particle::NIL),
            4,
        ),
        (
            "a later op that fails",
            write().op(OpCode::APPEND, "f", text("x")),
            12,
        ),
    ];
    for (what, ask, code) in cases {
        let bench = stored().await;
        assert_eq!(bench.code(&ask).await, code, "{what}");
        let got = bench.ask(&Ask::get()).await;
        assert_eq!(
            (got.generation, &got.bins()[0]),
            (1, &("i", int(7))),
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_under_the_write_bit_need_a_record() {
    let bench = Bench::new();
    assert_eq!(bench.code(&operate().read("a")).await, 2);
    assert_eq!(bench.test().usage().objects(), 0);
}
