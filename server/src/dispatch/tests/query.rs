use super::*;

const LAST: u8 = 0x01;

/// The body of a query with these partitions.
pub(super) fn body(ask: &Ask, partitions: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let list: Vec<u8> = partitions.into_iter().flat_map(u16::to_le_bytes).collect();
    let mut ask = ask.clone();
    if !list.is_empty() {
        ask = ask.field(FieldType::PID_ARRAY, &list);
    }
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &ask.header);
    ask.write_parts(&mut message, false);
    message.finish().unwrap();
    out[8..].to_vec()
}

fn scan() -> Ask {
    Ask::new(Info1::READ, Info2::empty())
        .info3(Info3::PARTITION_DONE)
        .set(None)
}

/// A record of a reply: fields by number, names of bins.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    fields: Vec<(u8, Vec<u8>)>,
    bins: Vec<String>,
}

impl Row {
    pub(super) fn field(&self, kind: FieldType) -> &[u8] {
        let mut fields = self.fields.iter();
        &fields.find(|(number, _)| *number == kind.0).unwrap().1
    }
}

/// Sends a query over these partitions; the rows, and the code of the message that ended it.
pub(super) async fn run(bench: &Bench, body: &[u8]) -> (Vec<Row>, u8) {
    let mut out = BytesMut::new();
    answer(bench, &Session::client(), body, Instant::now(), &mut out)
        .await
        .unwrap();
    let mut rows = Vec::new();
    let mut rest = &out[..];
    let mut end = None;
    while let Some(frame) = first_frame(rest).unwrap() {
        for message in Message::parse_all(frame.body) {
            let message = message.unwrap();
            assert_eq!(end, None, "nothing follows the end");
            if message.header.info3.bits() & LAST != 0 || message.header.result.0 != 0 {
                end = Some(message.header.result.0);
                continue;
            }
            rows.push(Row {
                fields: message
                    .fields
                    .iter()
                    .map(|field| (field.kind.0, field.data.to_vec()))
                    .collect(),
                bins: message
                    .ops
                    .iter()
                    .map(|op| String::from_utf8(op.name.to_vec()).unwrap())
                    .collect(),
            });
        }
        rest = &rest[frame.len()..];
    }
    (rows, end.unwrap())
}

pub(super) fn digests(rows: &[Row]) -> Vec<Digest> {
    let of_row = |row: &Row| {
        row.fields
            .iter()
            .find(|(kind, _)| *kind == 4)
            .map(|(_, data)| data.clone())
    };
    rows.iter()
        .map(|row| Digest(of_row(row).unwrap().try_into().unwrap()))
        .collect()
}

async fn filled() -> Bench {
    let bench = Bench::new();
    for record in 0..20 {
        let put = Ask::put("a", int(record.into())).record(record);
        let put = if record % 2 == 0 {
            put.op(OpCode::WRITE, "even", int(1))
        } else {
            put
        };
        assert_eq!(bench.code(&put.key(&format!("k{record}"))).await, 0);
    }
    assert_eq!(
        bench
            .code(&Ask::put("a", int(1)).record(100).set(Some("other")))
            .await,
        0
    );
    assert_eq!(
        bench
            .code(&Ask::put("a", int(1)).record(101).set(None))
            .await,
        0
    );
    assert_eq!(
        bench.code(&Ask::put("a", int(1)).record(102).ttl(5)).await,
        0
    );
    bench.pass_seconds(10);
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_gives_every_wanted_record_once() {
    let bench = filled().await;
    let list = scan().field(FieldType::QUERY_BINLIST, b"\x02\x04even\x01x");
    let cases = [
        ("namespace", scan(), 22),
        ("namespace, all bins", scan().info1(Info1::GET_ALL), 22),
        ("empty set", scan().set(Some("")), 22),
        ("set", scan().set(Some("demo")), 20),
        ("other set", scan().set(Some("other")), 1),
        ("unknown set", scan().set(Some("none")), 0),
        ("header only", scan().info1(Info1::GET_NO_BINS), 22),
        ("one bin", scan().read("even"), 10),
        ("bins that nobody has", scan().read("x").read("y"), 0),
        ("bins in the older form", list, 10),
        ("filter true", scan().filter(b"\xc3"), 22),
        ("filter false", scan().filter(b"\xc2"), 0),
        (
            "first seven",
            scan().field(FieldType::MAX_RECORDS, &7_u64.to_be_bytes()),
            7,
        ),
        ("short", scan().info1(Info1::SHORT_QUERY), 22),
        (
            "fast enough",
            scan().field(FieldType::RECORDS_PER_SECOND, &100_000_u32.to_be_bytes()),
            22,
        ),
    ];
    for (what, ask, count) in cases {
        let (rows, code) = run(&bench, &body(&ask, 0..4096)).await;
        assert_eq!((rows.len(), code), (count, 0), "{what}");
        let mut digests = digests(&rows);
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count, "{what}: no record twice");
    }
    assert_eq!(bench.test().stats.pi_query_short_basic_complete.get(), 1);
    assert_eq!(bench.test().stats.pi_query_long_basic_complete.get(), 14);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_say_what_they_are() {
    let bench = filled().await;
    let partition = digest(4).partition_id();
    let (rows, _) = run(&bench, &body(&scan(), [partition])).await;
    let demo = vec![
        (0, b"test".to_vec()),
        (4, digest(4).0.to_vec()),
        (1, b"demo".to_vec()),
        (2, b"\x03k4".to_vec()),
    ];
    assert!(
        rows.contains(&Row {
            fields: demo.clone(),
            bins: vec!["a".into(), "even".into()]
        }),
        "{rows:?}"
    );
    let (rows, _) = run(
        &bench,
        &body(&scan().info1(Info1::GET_NO_BINS), [partition]),
    )
    .await;
    assert!(
        rows.contains(&Row {
            fields: demo,
            bins: vec![]
        }),
        "{rows:?}"
    );
    let (rows, _) = run(&bench, &body(&scan(), [digest(101).partition_id()])).await;
    let bare = vec![(0, b"test".to_vec()), (4, digest(101).0.to_vec())];
    assert!(
        rows.contains(&Row {
            fields: bare,
            bins: vec!["a".into()]
        }),
        "{rows:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_resumes_after_a_digest() {
    let bench = Bench::new();
    // Records of one partition: digests that differ in their last byte only.
    for tail in 1..=5 {
        let mut bytes = [9; 20];
        bytes[19] = tail;
        let put = Ask::put("a", int(1));
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &put.header);
        message
            .namespace("test")
            .digest(&Digest(bytes))
            .op(OpCode::WRITE, b"a", int(1).as_ref());
        message.finish().unwrap();
        assert_eq!(bench.send(&out[8..]).await[0].result, 0);
    }
    let mut after = [9; 20];
    for (tail, left) in [(0, 5), (2, 3), (5, 0)] {
        after[19] = tail;
        let resume = scan().field(FieldType::DIGEST_ARRAY, &after);
        assert_eq!(
            run(&bench, &body(&resume, [])).await.0.len(),
            left,
            "after {tail}"
        );
        let both = run(&bench, &body(&resume, [0])).await;
        assert_eq!(
            (both.0.len(), both.1),
            (left, 0),
            "together with a whole partition"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_that_cannot_be_done_are_refused_by_a_message_that_is_not_the_last() {
    let bench = filled().await;
    let udf = |op: Option<u8>| {
        let ask = scan().field(FieldType::UDF_PACKAGE, b"m");
        op.map_or(ask.clone(), |op| ask.field(FieldType::UDF_OP, &[op]))
    };
    let digest = digest(1);
    let index = b"\x01\x01a\x01\0\0\0\x08\0\0\0\0\0\0\0\x03\0\0\0\x08\0\0\0\0\0\0\0\x06";
    let no_partitions = body(&scan(), []);
    let mut plain = scan();
    plain.header.info3 = Info3::empty();
    let cases = [
        ("no partitions", no_partitions, 16),
        ("partitions not understood", body(&plain, [1]), 16),
        ("partition 4096", body(&scan(), [4096]), 4),
        ("a partition twice", body(&scan(), [7, 7]), 4),
        (
            "a partition whole and resumed",
            body(
                &scan().field(FieldType::DIGEST_ARRAY, &digest.0),
                [digest.partition_id()],
            ),
            4,
        ),
        (
            "half a partition id",
            body(&scan().field(FieldType::PID_ARRAY, b"\x01"), []),
            4,
        ),
        (
            "write op",
            body(&scan().op(OpCode::WRITE, "a", int(1)), [1]),
            4,
        ),
        (
            "bins both ways",
            body(
                &scan()
                    .read("a")
                    .field(FieldType::QUERY_BINLIST, b"\x01\x01a"),
                [1],
            ),
            4,
        ),
        (
            "short with a speed",
            body(
                &scan()
                    .info1(Info1::SHORT_QUERY)
                    .field(FieldType::RECORDS_PER_SECOND, &[0, 0, 0, 1]),
                [1],
            ),
            4,
        ),
        (
            "index",
            body(&scan().field(FieldType::INDEX_RANGE, index), [1]),
            201,
        ),
        (
            "malformed index",
            body(&scan().field(FieldType::INDEX_RANGE, b"\x02"), [1]),
            4,
        ),
        (
            "aggregation without a function",
            body(&udf(Some(1)), [1]),
            4,
        ),
        (
            "background UDF without a function",
            body(&udf(Some(2)), [1]),
            4,
        ),
        ("UDF without a kind", body(&udf(None), [1]), 4),
        (
            "background ops that read",
            body(&scan().info2(Info2::WRITE), [1]),
            4,
        ),
        (
            "filter that is no truth value",
            body(&scan().filter(b"\x92\x14\x02"), [1]),
            4,
        ),
    ];
    for (what, body, code) in cases {
        let got = bench.send(&body).await;
        assert_eq!(
            got.iter()
                .map(|got| (got.result, got.last))
                .collect::<Vec<_>>(),
            [(code, false)],
            "{what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_deadline_keeps_from_being_looked_at_is_not_left_out_in_silence() {
    let bench = Bench::new();
    let long = Ask::put("b", text(&"a".repeat(900_000))).record(1);
    assert_eq!(bench.code(&long).await, 0);
    // Whether the text of a bin matches a pattern: that is work for each byte of it.
    let filter = b"\x94\x07\x00\xa1a\x93\x51\x03\xa1b";
    let long_ago = Instant::now().checked_sub(Duration::from_secs(4_000));
    let long_ago = long_ago.unwrap();
    let partition = [digest(1).partition_id()];
    // Where there is no look at the clock after the partition.
    assert!(!partition[0].is_multiple_of(64));
    let mut short = scan().filter(filter).info1(Info1::SHORT_QUERY);
    short.header.transaction_ttl = 600_000;
    for (ask, received, expected) in [
        (&short, Instant::now(), (1, 0)),
        (&short, long_ago, (0, 9)),
        // One that is not short has all the time that it takes.
        (&scan().filter(filter), long_ago, (1, 0)),
    ] {
        let body = body(ask, partition);
        let messages = bench.send_received(&body, received).await;
        let code = messages.last().unwrap().result;
        assert_eq!((messages.len() - 1, code), expected);
    }
}
