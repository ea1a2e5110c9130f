//! Queries by an index: pages, indexes that are not built yet, and what ends a query early.

use std::collections::BTreeMap;
use std::io;

use data::bin::BinName;

use super::query::{Row, body, digests, run};
use super::*;
use crate::index::{
    Definition, Index, IndexType, Indexed, IndexedNamespaces as _, Source, ValueType,
};
use crate::record::IndexBuilder;
use crate::transaction::ReplyStream;

fn numbers() -> Indexed {
    Indexed::Values(Definition {
        set: None,
        source: Source::Bin {
            name: BinName::new(b"n").unwrap(),
            context: None,
        },
        index_type: IndexType::Default,
        value_type: ValueType::Numeric,
    })
}

/// A query for numbers in a range.
fn between(first: i64, last: i64) -> Ask {
    let mut range = b"\x01\x01n\x01".to_vec();
    for bound in [first, last] {
        range.extend_from_slice(&8_u32.to_be_bytes());
        range.extend_from_slice(&bound.to_be_bytes());
    }
    Ask::new(Info1::READ, Info2::empty())
        .info3(Info3::PARTITION_DONE)
        .set(None)
        .field(FieldType::INDEX_RANGE, &range)
}

/// Makes the index, and begins to build it.
fn begin(bench: &Bench) -> (Arc<Index>, IndexBuilder) {
    let index = bench.test().indexes.put("n", numbers()).unwrap();
    let builder = IndexBuilder::new(&bench.namespaces);
    builder.build("test", Arc::clone(&index), false);
    (index, builder)
}

async fn built(bench: &Bench) -> Arc<Index> {
    let (index, builder) = begin(bench);
    while builder.is_building() {
        tokio::task::yield_now().await;
    }
    index
}

/// Stores a record of a chosen digest.
async fn put(bench: &Bench, digest: &Digest, number: i64) {
    let ask = Ask::put("n", int(number));
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &ask.header);
    message
        .namespace("test")
        .digest(digest)
        .op(OpCode::WRITE, b"n", int(number).as_ref());
    message.finish().unwrap();
    assert_eq!(bench.send(&out[8..]).await[0].result, 0);
}

/// Records whose digests begin alike: three of each of some beginnings in two partitions of one sheet, and one of another.
fn alike() -> Vec<Digest> {
    let mut all = Vec::new();
    for (partition, beginnings, count) in [(3, 4, 3), (5, 4, 1), (5, 2, 3), (200, 3, 2)] {
        for beginning in 0..beginnings {
            for tail in 0..count {
                let mut bytes = [beginning + 16 * count; 20];
                (bytes[0], bytes[1], bytes[19]) = (partition, 0, tail);
                all.push(Digest(bytes));
            }
        }
    }
    all
}

#[tokio::test]
async fn pages_give_every_record_once_also_those_whose_digests_begin_alike() {
    let bench = Bench::new();
    let mut expected = Vec::new();
    for (digest, number) in alike().iter().zip(0_i64..) {
        // The numbers of those that are alike are far from each other, or the same.
        let number = number * 7 % 11;
        put(&bench, digest, number).await;
        if (2..9).contains(&number) {
            expected.push(*digest);
        }
    }
    built(&bench).await;
    expected.sort();
    let partitions = [3_u16, 5, 200];
    for page in 1..=8_u64 {
        let mut found = Vec::new();
        let mut last: BTreeMap<u16, (Vec<u8>, Vec<u8>)> = BTreeMap::new();
        loop {
            let mut ask = between(2, 8).field(FieldType::MAX_RECORDS, &page.to_be_bytes());
            if !last.is_empty() {
                let digests: Vec<u8> = last
                    .values()
                    .flat_map(|(digest, _)| digest)
                    .copied()
                    .collect();
                let values: Vec<u8> = last
                    .values()
                    .flat_map(|(_, value)| value)
                    .copied()
                    .collect();
                ask = ask
                    .field(FieldType::DIGEST_ARRAY, &digests)
                    .field(FieldType::BVAL_ARRAY, &values);
            }
            let whole = partitions
                .into_iter()
                .filter(|partition| !last.contains_key(partition));
            let (rows, code) = run(&bench, &body(&ask, whole)).await;
            assert_eq!(code, 0, "pages of {page}");
            for (row, digest) in rows.iter().zip(digests(&rows)) {
                let value = row.field(FieldType::BVAL_ARRAY).to_vec();
                last.insert(digest.partition_id(), (digest.0.to_vec(), value));
            }
            let order = |row: &Row, digest: &Digest| {
                let value = row.field(FieldType::BVAL_ARRAY).try_into().unwrap();
                (digest.partition_id(), i64::from_le_bytes(value), *digest)
            };
            let places = rows.iter().zip(digests(&rows));
            let places: Vec<_> = places.map(|(row, digest)| order(row, &digest)).collect();
            assert!(places.is_sorted(), "pages of {page}: {places:?}");
            found.extend(digests(&rows));
            if rows.len() < usize::try_from(page).unwrap() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, expected, "pages of {page}");
    }
}

#[tokio::test]
async fn an_index_is_not_asked_while_it_is_built() {
    let bench = Bench::new();
    for record in 0..20 {
        assert_eq!(bench.code(&Ask::put("n", int(1)).record(record)).await, 0);
    }
    // The building waits for a record that a function holds.
    let locks = bench.test().locks();
    let later = Instant::now() + Duration::from_secs(600);
    let held = locks.lock(&digest(7), later, 0).await.unwrap();
    let (index, builder) = begin(&bench);
    let partition = u32::from(digest(7).partition_id());
    while index.load_percent() < partition * 100 / 4096 {
        tokio::task::yield_now().await;
    }
    let query = body(&between(1, 1), 0..4096);
    assert_eq!(run(&bench, &query).await.1, 203);
    assert!(builder.is_building() && index.load_percent() < 100);
    drop(held);
    while builder.is_building() {
        tokio::task::yield_now().await;
    }
    let (rows, code) = run(&bench, &query).await;
    assert_eq!((rows.len(), code, index.load_percent()), (20, 0, 100));
}

/// A client that goes away when a test wants it to.
struct Leaving(BytesMut, bool);

impl ReplyStream for Leaving {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    async fn flush(&mut self) -> io::Result<()> {
        match self.1 {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_with_its_client_its_index_and_when_it_is_told_to() {
    let slow = between(0, 99).field(FieldType::RECORDS_PER_SECOND, &1_u32.to_be_bytes());
    for (what, expected) in [
        ("the index", Some(201)),
        ("the query", Some(15)),
        ("the client", None),
    ] {
        let bench = Arc::new(Bench::new());
        for record in 0..100 {
            let ask = Ask::put("n", int(record.into())).record(record);
            assert_eq!(bench.code(&ask).await, 0);
        }
        built(&bench).await;
        let query = body(&slow, 0..4096);
        let running = {
            let bench = Arc::clone(&bench);
            let mut client = Leaving(BytesMut::new(), expected.is_none());
            tokio::spawn(async move {
                let session = Session::client();
                let ended = answer(&*bench, &session, &query, Instant::now(), &mut client).await;
                ended.map(|()| client.0)
            })
        };
        // Records are sent: the query is on its way, and it would take minutes.
        while bench
            .jobs
            .all()
            .iter()
            .all(|job| job.counts.succeeded.get() == 0)
        {
            tokio::task::yield_now().await;
        }
        match what {
            "the index" => assert!(bench.test().indexes.remove(&numbers())),
            "the query" => assert_eq!(bench.jobs.abort_all(), 1),
            _ => {}
        }
        let ended = running.await.unwrap();
        let stats = &bench.test().stats;
        match expected {
            Some(code) => {
                let reply = ended.unwrap();
                // The last message: a head of 22 bytes.
                assert_eq!(reply[reply.len() - 22 + 5], code, "{what}");
            }
            None => assert!(ended.is_err(), "{what}"),
        }
        let aborts = u64::from(expected != Some(201));
        assert_eq!(stats.si_query_long_basic_abort.get(), aborts, "{what}");
    }
}
