use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_messages_are_answered_with_a_code() {
    let bench = Bench::new();
    let whole = Ask::put("a", int(1)).body();
    let trailing = [&whole[..], b"x"].concat();
    let mut field_size_zero = whole.clone();
    field_size_zero[22..26].copy_from_slice(&[0; 4]);
    let cases: [(&str, &[u8], u8); 5] = [
        ("nothing", b"", 4),
        ("shorter than the header", &whole[..21], 4),
        ("cut", &whole[..whole.len() - 1], 4),
        ("bytes behind the last op", &trailing, 4),
        ("a field of size 0", &field_size_zero, 4),
    ];
    for (what, body, code) in cases {
        let got = bench.send(body).await;
        assert_eq!(
            got.iter().map(|got| got.result).collect::<Vec<_>>(),
            [code],
            "{what}"
        );
    }
    assert_eq!(bench.test().usage().objects(), 0);
    for end in 0..whole.len() {
        assert_eq!(bench.send(&whole[..end]).await[0].result, 4, "cut at {end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_need_a_namespace_a_digest_and_a_purpose() {
    let bench = Bench::new();
    let long_set: &'static str = "123456789012345678901234567890123456789012345678901234567890abcd";
    let cases = [
        (
            "unknown namespace",
            Ask {
                namespace: "nope",
                ..Ask::get()
            },
            20,
        ),
        (
            "empty namespace",
            Ask {
                namespace: "",
                ..Ask::get()
            },
            20,
        ),
        (
            "neither read nor write",
            Ask::new(Info1::empty(), Info2::empty()),
            4,
        ),
        (
            "write without ops",
            Ask::new(Info1::empty(), Info2::WRITE),
            4,
        ),
        (
            "set name of 64 bytes",
            Ask::put("a", int(1)).set(Some(long_set)),
            4,
        ),
        (
            "bin name of 16 bytes",
            Ask::put("1234567890123456", int(1)),
            21,
        ),
        (
            "unknown op",
            Ask::put("a", int(1)).op(OpCode(99), "b", int(1)),
            4,
        ),
    ];
    for (what, ask, code) in cases {
        let got = bench.ask(&ask).await;
        assert_eq!((got.result, got.generation), (code, 0), "{what}");
    }
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &Ask::get().header);
    message.namespace("test").field(FieldType::DIGEST, &[1; 19]);
    message.finish().unwrap();
    assert_eq!(
        bench.send(&out[8..]).await[0].result,
        4,
        "digest of 19 bytes"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_is_counted_once() {
    let bench = Bench::new();
    for ask in [
        Ask::put("a", int(1)),
        Ask::get(),
        Ask::get().record(9),
        Ask::get().set(Some("other")),
        Ask::put("a", int(1)).info2(Info2::CREATE_ONLY),
        Ask::put("a", int(1)).info2(Info2::GENERATION).generation(7),
        Ask::delete().filter(b"\xc2"),
        Ask::delete(),
        Ask::delete(),
    ] {
        bench.ask(&ask).await;
    }
    let stats = &bench.test().stats;
    let counted = [
        ("write success", stats.client_write_success.get(), 1),
        ("write error", stats.client_write_error.get(), 2),
        ("generation", stats.fail_generation.get(), 1),
        ("read success", stats.client_read_success.get(), 1),
        ("read not found", stats.client_read_not_found.get(), 1),
        ("read error", stats.client_read_error.get(), 1),
        ("delete success", stats.client_delete_success.get(), 1),
        ("delete not found", stats.client_delete_not_found.get(), 1),
        (
            "delete filtered out",
            stats.client_delete_filtered_out.get(),
            1,
        ),
        ("read latency", bench.test().latency.read.count(), 3),
        ("write latency", bench.test().latency.write.count(), 6),
    ];
    for (what, got, expected) in counted {
        assert_eq!(got, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_answered_and_leaves_neither_earlier_replies_nor_the_record_in_a_bad_way() {
    let bench = Bench::running(Module::new(|_| panic!("a bug in a function")));
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let mut out = BytesMut::new();
    for ask in [Ask::get(), Ask::call(), Ask::put("a", int(2))] {
        answer(
            &bench,
            &Session::client(),
            &ask.body(),
            Instant::now(),
            &mut out,
        )
        .await
        .unwrap();
    }
    let mut codes = Vec::new();
    let mut rest = &out[..];
    while let Some(frame) = first_frame(rest).unwrap() {
        codes.push(Message::parse(frame.body).unwrap().header.result.0);
        rest = &rest[frame.len()..];
    }
    assert_eq!(codes, [0, 1, 0], "the lock of the record was given back");
}
