//! What secondary indexes cost: processor time to build them, to keep them up, to query by them, and their memory.
//!
//! The whole way of a request, without sockets, on one thread; time is the processor's for that thread, so that a busy
//! machine does not matter much. Of repeated work the median counts.

#![expect(
    unsafe_code,
    reason = "a clock of the kernel that has no safe form in the standard library"
)]

use std::collections::BTreeSet;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use clap::Parser;
use protocol::header::HEADER_SIZE;
use protocol::key::Digest;
use protocol::limits::PARTITIONS;
use protocol::message::{
    BatchFlags, BatchWriter, BodyWriter, FieldType, Info1, Info3, Message, MessageHeader,
    MessageWriter,
};
use protocol::particle::{Particle, ParticleType};
use server::index::{
    Definition, Index, IndexType, Indexed, IndexedNamespaces as _, Source, ValueType,
};
use server::net::running::Running;
use server::record::{IndexBuilder, Namespace};
use tests::records::{RecordKey, WriteOptions};
use tests::without_listeners::node;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Measure what secondary indexes cost.
#[derive(Debug, Parser)]
struct Arguments {
    /// Records with the numeric index.
    #[arg(long, default_value_t = 1_000_000)]
    records: u32,
    /// Points with the geo index.
    #[arg(long, default_value_t = 100_000)]
    points: u32,
    /// Rounds of each query.
    #[arg(long, default_value_t = 31)]
    rounds: usize,
}

/// Records of the cases of writing, and writes between two looks at the clock.
const WRITTEN: u32 = 100_000;
const WRITES: u32 = 1_000;

/// Records that a query returns.
const WANTED: u32 = 1_000;

/// Processor time of this thread.
fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(u64::MAX);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Sends a body; the rows and bytes of the reply.
async fn send(running: &Running, body: &[u8], reply: &mut BytesMut) -> Outcome<()> {
    reply.clear();
    let session = server::access::Session::client();
    server::dispatch::answer(running, &session, body, Instant::now(), reply).await?;
    Ok(())
}

async fn put(
    running: &Running,
    set: &str,
    number: u32,
    bins: &[(&str, &Particle)],
    reply: &mut BytesMut,
) -> Outcome<()> {
    let key = RecordKey::new("test", set, &number.to_string());
    let frame = key.put(bins.iter().copied(), WriteOptions::default())?;
    let body = frame.get(HEADER_SIZE..).unwrap_or_default();
    send(running, body, reply).await?;
    match reply.get(HEADER_SIZE + 5) {
        Some(0) => Ok(()),
        code => Err(format!("a put was answered with {code:?}").into()),
    }
}

fn indexed(set: &str, bin: &str, value_type: ValueType) -> Outcome<Indexed> {
    let name = data::bin::BinName::new(bin.as_bytes()).ok_or("no bin has this name")?;
    Ok(Indexed::Values(Definition {
        set: Some(set.into()),
        source: Source::Bin {
            name,
            context: None,
        },
        index_type: IndexType::Default,
        value_type,
    }))
}

/// Makes an index and waits until it is built; the processor time of that.
async fn build(
    namespace: &Arc<Namespace>,
    name: &str,
    indexed: Indexed,
) -> Outcome<(Arc<Index>, Duration)> {
    let builder = IndexBuilder::new(std::slice::from_ref(namespace));
    let index = namespace.indexes.put(name, indexed);
    let index = index.ok_or("there is such an index already")?;
    let begun = thread_time();
    builder.build(namespace.name(), Arc::clone(&index), false);
    while !index.is_ready() {
        tokio::task::yield_now().await;
    }
    Ok((index, thread_time() - begun))
}

/// A query by index over all partitions.
fn query(set: &str, bin: &str, kind: ParticleType, begin: &[u8], end: &[u8]) -> Outcome<BytesMut> {
    let header = MessageHeader {
        info1: Info1::READ,
        info3: Info3::PARTITION_DONE,
        ..MessageHeader::default()
    };
    let partitions: Vec<u8> = (0..PARTITIONS).flat_map(u16::to_le_bytes).collect();
    let mut range = vec![1, u8::try_from(bin.len())?];
    range.extend_from_slice(bin.as_bytes());
    range.push(kind.0);
    for bound in [begin, end] {
        range.extend_from_slice(&u32::try_from(bound.len())?.to_be_bytes());
        range.extend_from_slice(bound);
    }
    let mut out = BytesMut::new();
    let mut message = BodyWriter::new(&mut out, &header);
    message.namespace("test").set(set);
    message.field(FieldType::INDEX_RANGE, &range);
    message.field(FieldType::PID_ARRAY, &partitions);
    message.finish()?;
    Ok(out)
}

/// A batch that reads records with these numbers.
fn batch(set: &str, numbers: impl Iterator<Item = u32>) -> Outcome<BytesMut> {
    let mut rows = BatchWriter::new(BatchFlags::RESPOND_ALL);
    let header = MessageHeader {
        info1: Info1::READ | Info1::GET_ALL,
        ..MessageHeader::default()
    };
    for (row, number) in (0_u32..).zip(numbers) {
        let digest = RecordKey::new("test", set, &number.to_string()).digest();
        if row > 0 {
            rows.repeat(row, &digest);
            continue;
        }
        let mut first = rows.row(row, &digest, &header);
        first.namespace("test").set(set);
        first.finish()?;
    }
    let header = MessageHeader {
        info1: Info1::READ | Info1::BATCH,
        ..MessageHeader::default()
    };
    let mut frame = BytesMut::new();
    let mut message = MessageWriter::new(&mut frame, &header);
    rows.finish_into(&mut message)?;
    message.finish()?;
    Ok(frame.split_off(HEADER_SIZE))
}

/// Rows of a reply that are records.
fn rows(reply: &[u8]) -> Outcome<u32> {
    let mut rows = 0;
    let mut rest = reply;
    while let Some(frame) = protocol::codec::first_frame(rest)? {
        for message in Message::parse_all(frame.body) {
            rows += u32::from(!message?.ops.is_empty());
        }
        rest = rest.get(frame.len()..).unwrap_or_default();
    }
    Ok(rows)
}

/// Median time of a request, and the rows of its reply.
async fn repeated(running: &Running, body: &[u8], rounds: usize) -> Outcome<(Duration, u32)> {
    let mut reply = BytesMut::new();
    send(running, body, &mut reply).await?;
    let found = rows(&reply)?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begun = thread_time();
        send(running, body, &mut reply).await?;
        times.push(thread_time() - begun);
    }
    Ok((median(times), found))
}

/// Inserts and updates with so many indexes; time of one of each.
async fn writing(running: &Running, count: usize) -> Outcome<[Duration; 2]> {
    let namespace = running.node.namespace("test").ok_or("no namespace")?;
    let set = "written";
    let mut made = Vec::new();
    for bin in ["a", "b", "c", "d"].into_iter().take(count) {
        let of_bin = indexed(set, bin, ValueType::Numeric)?;
        build(namespace, bin, of_bin.clone()).await?;
        made.push(of_bin);
    }
    let mut reply = BytesMut::new();
    let mut of_round = [Duration::ZERO; 2];
    for (round, median_time) in of_round.iter_mut().enumerate() {
        let mut times = Vec::new();
        for chunk in 0..WRITTEN / WRITES {
            let begun = thread_time();
            for number in chunk * WRITES..(chunk + 1) * WRITES {
                let value = i64::from(number.wrapping_mul(0x9e37_79b9)) + i64::try_from(round)?;
                let value = Particle::integer(value);
                let bins = ["a", "b", "c", "d"].map(|bin| (bin, &value));
                put(running, set, number, &bins, &mut reply).await?;
            }
            times.push((thread_time() - begun) / WRITES);
        }
        *median_time = median(times);
    }
    // The next case begins with as few records as this one.
    for of_bin in &made {
        namespace.indexes.remove(of_bin);
    }
    for number in 0..WRITTEN {
        let digest = RecordKey::new("test", set, &number.to_string()).digest();
        namespace.remove(&digest).await?;
    }
    Ok(of_round)
}

/// One sorted set for all partitions, and one for each: time of an insert, and of finding what a query returns.
fn structures(count: u32) -> Outcome<[(Duration, Duration); 2]> {
    let entries: Vec<(u64, Digest)> = (0..count)
        .map(|number| {
            let digest = RecordKey::new("test", "people", &number.to_string()).digest();
            (u64::from(number), digest)
        })
        .collect();
    let mut shuffled = entries;
    shuffled.sort_unstable_by_key(|(_, digest)| digest.0);
    let (first, last) = range_of(count);
    let range = (first, Digest([0; 20]))..=(last, Digest([0xff; 20]));

    let begun = thread_time();
    let mut whole = BTreeSet::new();
    for entry in &shuffled {
        whole.insert(*entry);
    }
    let whole_insert = (thread_time() - begun) / count;
    let begun = thread_time();
    // Clients are sent each partition in order, and go on in each.
    let mut found: Vec<_> = whole.range(range.clone()).copied().collect();
    found.sort_by_key(|(_, digest)| digest.partition_id());
    black_box(&found);
    let whole_find = thread_time() - begun;

    let begun = thread_time();
    let mut parts = vec![BTreeSet::new(); usize::from(PARTITIONS)];
    for entry in &shuffled {
        if let Some(part) = parts.get_mut(usize::from(entry.1.partition_id())) {
            part.insert(*entry);
        }
    }
    let parts_insert = (thread_time() - begun) / count;
    let begun = thread_time();
    let again: usize = parts
        .iter()
        .map(|part| part.range(range.clone()).count())
        .sum();
    let parts_find = thread_time() - begun;
    if found.len() != black_box(again) {
        return Err("the structures differ".into());
    }
    Ok([(whole_insert, whole_find), (parts_insert, parts_find)])
}

/// The numbers that the query wants.
fn range_of(records: u32) -> (u64, u64) {
    let first = records / 2;
    (first.into(), u64::from(first + WANTED - 1))
}

async fn report(arguments: &Arguments, running: &Running) -> Outcome<()> {
    let namespace = running.node.namespace("test").ok_or("no namespace")?;
    println!("| case | processor time, or bytes |");
    println!("|---|---|");
    let mut before = [Duration::ZERO; 2];
    for count in [0, 1, 4] {
        let times = writing(running, count).await?;
        if count == 0 {
            before = times;
        }
        for ((what, time), before) in ["insert", "update"].into_iter().zip(times).zip(before) {
            let factor = time.as_secs_f64() / before.as_secs_f64();
            println!(
                "| {what}, 4 bins, {count} indexes | {} ns ({factor:.2} x) |",
                time.as_nanos()
            );
        }
    }
    let mut reply = BytesMut::new();
    for number in 0..arguments.records {
        let value = Particle::integer(number.into());
        put(running, "people", number, &[("n", &value)], &mut reply).await?;
    }
    let people = indexed("people", "n", ValueType::Numeric)?;
    let mut times = Vec::new();
    let mut index = None;
    for _ in 0..3 {
        namespace.indexes.remove(&people);
        let (made, time) = build(namespace, "people", people.clone()).await?;
        times.push(time);
        index = Some(made);
    }
    let index = index.ok_or("nothing was built")?;
    let each = median(times) / arguments.records;
    println!(
        "| building, a record of {} | {} ns |",
        arguments.records,
        each.as_nanos()
    );
    let (bytes, entries) = (index.bytes() as f64, index.entries() as f64);
    println!("| memory, an entry | {:.1} bytes |", bytes / entries);
    let (first, last) = range_of(arguments.records);
    let body = query(
        "people",
        "n",
        ParticleType::INTEGER,
        &first.to_be_bytes(),
        &last.to_be_bytes(),
    )?;
    let (by_query, found) = repeated(running, &body, arguments.rounds).await?;
    let numbers = u32::try_from(first)?..=u32::try_from(last)?;
    let (by_batch, read) = repeated(running, &batch("people", numbers)?, arguments.rounds).await?;
    println!(
        "| query of all partitions, {found} records | {} us |",
        by_query.as_micros()
    );
    println!("| batch of {read} gets | {} us |", by_batch.as_micros());
    for number in 0..arguments.points {
        // A grid over a city of 30 kilometres.
        let (east, north) = (number % 317, number / 317);
        let text = format!(
            r#"{{"type":"Point","coordinates":[{:.6},{:.6}]}}"#,
            13.2 + f64::from(east) * 0.0014,
            52.4 + f64::from(north) * 0.0009
        );
        let mut value = vec![0, 0, 0];
        value.extend_from_slice(text.as_bytes());
        let point = Particle::new(ParticleType::GEOJSON, value);
        put(running, "places", number, &[("p", &point)], &mut reply).await?;
    }
    let places = indexed("places", "p", ValueType::Geo2dSphere)?;
    let (_, time) = build(namespace, "places", places).await?;
    println!(
        "| building, a point of {} | {} ns |",
        arguments.points,
        (time / arguments.points).as_nanos()
    );
    let circle = br#"{"type":"AeroCircle","coordinates":[[13.4,52.5],1700]}"#;
    let body = query("places", "p", ParticleType::GEOJSON, circle, circle)?;
    let (time, found) = repeated(running, &body, arguments.rounds).await?;
    println!(
        "| points in a circle, {found} of {} | {} us |",
        arguments.points,
        time.as_micros()
    );
    let names = [
        "one sorted set (BTreeSet)",
        "one for each partition (BTreeSet)",
    ];
    for (name, (insert, find)) in names.into_iter().zip(structures(arguments.records)?) {
        println!(
            "| {name}: an insert; finding {WANTED} | {} ns; {} us |",
            insert.as_nanos(),
            find.as_micros()
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| {
        let directory = std::env::temp_dir().join(format!("index-figures-{}", std::process::id()));
        let outcome = node(&directory, &[])
            .and_then(|running| runtime.block_on(report(&arguments, &running)));
        std::fs::remove_dir_all(&directory)?;
        outcome
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("index-figures: {error}");
            ExitCode::FAILURE
        }
    }
}
