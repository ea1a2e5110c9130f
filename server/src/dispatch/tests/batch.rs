use super::*;

/// A row in wire form: `Err` repeats the row before it for another record.
pub(crate) type Row = (u32, Result<Ask, u8>);

pub(crate) fn batch(flags: u8, rows: &[Row]) -> Ask {
    let mut data = BatchWriter::new(BatchFlags::from_bits_retain(flags));
    for (index, row) in rows {
        match row {
            Err(record) => data.repeat(*index, &digest(*record)),
            Ok(ask) => {
                let mut row = data.row(*index, &ask.digest(), &ask.header);
                ask.write_parts(&mut row, false);
                row.finish().unwrap();
            }
        }
    }
    outer(&data.finish().unwrap())
}

fn outer(data: &[u8]) -> Ask {
    Ask::new(Info1::BATCH, Info2::empty()).field(FieldType::BATCH_INDEX, data)
}

/// The body of the message, without the fields of a single record.
pub(crate) fn body(ask: &Ask) -> Vec<u8> {
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &ask.header);
    for (kind, data) in &ask.fields {
        message.field(*kind, data);
    }
    message.finish().unwrap();
    out[8..].to_vec()
}

/// Sends it and gives index and code of each row, and the code of the end.
async fn rows(bench: &Bench, ask: &Ask) -> (Vec<(u32, u8)>, u8) {
    let mut got = bench.send(&body(ask)).await;
    let last = got.pop().unwrap();
    assert!(last.last && last.bins.is_empty());
    assert!(got.iter().all(|row| !row.last));
    (
        got.iter().map(|row| (row.index, row.result)).collect(),
        last.result,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_commands_of_their_own() {
    let bench = Bench::new();
    let ask = batch(
        0x0d,
        &[
            (10, Ok(Ask::put("a", int(1)))),
            (11, Err(2)),
            (12, Ok(Ask::get())),
            (13, Err(2)),
            (14, Err(3)),
            (15, Ok(Ask::put("a", int(1)).info2(Info2::CREATE_ONLY))),
            (
                16,
                Ok(Ask {
                    namespace: "bar",
                    ..Ask::put("a", int(1))
                }),
            ),
            (17, Ok(Ask::delete())),
            (18, Ok(Ask::get())),
            (19, Ok(Ask::get().record(2).filter(b"\xc2"))),
        ],
    );
    let expected = vec![
        (10, 0),
        (11, 0),
        (12, 0),
        (13, 0),
        (14, 2),
        (15, 5),
        (16, 0),
        (17, 0),
        (18, 2),
        (19, 27),
    ];
    assert_eq!(rows(&bench, &ask).await, (expected, 0));
    let stats = &bench.test().stats;
    assert_eq!(stats.batch_sub_write_success.get(), 2);
    assert_eq!(stats.batch_sub_read_not_found.get(), 2);
    assert_eq!(stats.client_write_success.get(), 0);
    assert_eq!(bench.stats.batch_index_complete.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_rows_run_and_the_flags_say_which_are_answered() {
    let fails = || {
        Ok(Ask::put("a", int(1))
            .info3(Info3::UPDATE_ONLY)
            .info2(Info2::GENERATION)
            .generation(9))
    };
    let create = |record| Ok(Ask::put("a", int(1)).record(record));
    // A missing record (2) is no failure; a wrong generation is.
    for (flags, expected) in [
        (0x0c, (vec![(1, 2), (2, 0), (3, 3), (4, 0), (5, 5)], 0)),
        (0x04, (vec![(1, 2), (2, 0), (3, 3), (4, 0), (5, 5)], 0)),
        (0x08, (vec![(1, 2), (2, 0), (3, 3), (4, 0), (5, 5)], 5)),
        (0x00, (vec![], 5)),
    ] {
        let bench = Bench::new();
        let ask = batch(
            flags,
            &[
                (1, Ok(Ask::get())),
                (2, create(1)),
                (3, fails()),
                (4, create(2)),
                (
                    5,
                    Ok(Ask::put("a", int(1)).record(2).info2(Info2::CREATE_ONLY)),
                ),
            ],
        );
        assert_eq!(rows(&bench, &ask).await, expected, "flags {flags:#x}");
        let got = bench.code(&Ask::get().record(2)).await;
        assert_eq!(got, 0, "rows behind a failure run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_for_all_rows_gives_way_to_that_of_a_row() {
    let bench = Bench::new();
    assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
    let ask = batch(
        0x0c,
        &[(0, Ok(Ask::get())), (1, Ok(Ask::get().filter(b"\xc3")))],
    )
    .filter(b"\xc2");
    assert_eq!(rows(&bench, &ask).await, (vec![(0, 27), (1, 0)], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_batches_are_refused_or_end_where_they_break() {
    let mut bench = Bench::new();
    bench.batch_max_requests = 3;
    let get = || Ok(Ask::get());
    let elsewhere = || {
        Ok(Ask {
            namespace: "nope",
            ..Ask::get()
        })
    };
    let whole = batch(0x0c, &[(0, get())]).fields[0].1.clone();
    let cases = [
        ("no rows", outer(&[0, 0, 0, 0, 0x0c]), (vec![], 4)),
        (
            "count without rows",
            outer(&[0, 0, 0, 1, 0x0c]),
            (vec![], 4),
        ),
        ("no count", outer(&[0, 0]), (vec![], 4)),
        (
            "no field",
            Ask::new(Info1::BATCH, Info2::empty()),
            (vec![], 4),
        ),
        (
            "too many rows",
            batch(0x0c, &[(0, get()), (1, get()), (2, get()), (3, get())]),
            (vec![], 151),
        ),
        (
            "unknown namespace",
            batch(0x0c, &[(0, get()), (1, elsewhere()), (2, get())]),
            (vec![], 4),
        ),
        ("cut row", outer(&whole[..whole.len() - 1]), (vec![], 4)),
        (
            "bytes behind the rows",
            outer(&[&whole[..], b"more"].concat()),
            (vec![(0, 2)], 0),
        ),
        (
            "repeat of nothing",
            batch(0x0c, &[(0, Err(1))]),
            (vec![], 4),
        ),
        (
            "repeat of a row with a key",
            batch(0x0c, &[(0, Ok(Ask::get().key("k1"))), (1, Err(2))]),
            (vec![], 4),
        ),
        (
            "malformed filter",
            batch(0x0c, &[(0, get())]).filter(b"\x05"),
            (vec![], 4),
        ),
    ];
    for (what, ask, expected) in cases {
        assert_eq!(rows(&bench, &ask).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_batches_come_in_several_frames() {
    let bench = Bench::new();
    assert_eq!(
        bench.code(&Ask::put("a", text(&"x".repeat(300_000)))).await,
        0
    );
    let mut list = vec![(0, Ok(Ask::get()))];
    list.extend((1..10).map(|index| (index, Err(1))));
    let ask = batch(0x0c, &list);
    let (got, last) = rows(&bench, &ask).await;
    assert_eq!((got.len(), last), (10, 0));
    let mut reply = BytesMut::new();
    answer(
        &bench,
        &Session::client(),
        &body(&ask),
        Instant::now(),
        &mut reply,
    )
    .await
    .unwrap();
    let mut frames = 0;
    let mut rest = &reply[..];
    while let Some(frame) = first_frame(rest).unwrap() {
        frames += 1;
        rest = &rest[frame.len()..];
    }
    assert_eq!(frames, 4, "three of rows, one that ends");
}

/// Rows of so many fields each, of which only the first means anything.
fn rows_of_many_fields(rows: u32, fields: u16) -> Vec<u8> {
    let mut data = rows.to_be_bytes().to_vec();
    data.push(4);
    for index in 0..rows {
        data.extend_from_slice(&index.to_be_bytes());
        data.extend_from_slice(&digest(1).0);
        data.extend_from_slice(&[0, 1]);
        data.extend_from_slice(&fields.to_be_bytes());
        data.extend_from_slice(b"\0\0\0\0\0\x05\0test");
        for _ in 1..fields {
            data.extend_from_slice(&[0, 0, 0, 1, 200]);
        }
    }
    data
}

#[tokio::test]
async fn others_have_their_turns_while_rows_are_read() {
    const ROWS: u32 = 20;
    for (fields, turns_at_least) in [(2, 0), (20_000, 2 * (ROWS - 1))] {
        let bench = Bench::new();
        let ask = outer(&rows_of_many_fields(ROWS, fields));
        let turns = std::cell::Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let (answered, last) = tokio::select! {
            biased;
            answered = rows(&bench, &ask) => answered,
            () = others => unreachable!("it never ends"),
        };
        assert_eq!((answered.len(), last), (ROWS as usize, 0));
        assert!(turns.get() >= turns_at_least, "{} of {fields}", turns.get());
        assert!(turns.get() <= 3 * ROWS, "{} of {fields}", turns.get());
    }
}
