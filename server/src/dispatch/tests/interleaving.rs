//! Indexes that are built, dropped and made again beside everything that changes records: each query finds every record
//! that stands still once, and once all is calm, every record.
//!
//! A history is one seed: `INDEX_HISTORY=N` runs that one, `INDEX_HISTORIES=N` more of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use data::bin::BinName;
use data::record::{Bin, Record, bins_of};
use parking_lot::Mutex;
use protocol::particle::ParticleType;

use super::query::{body, digests, run};
use super::*;
use crate::catalogue::simulation::random::Random;
use crate::index::{Definition, IndexType, Indexed, IndexedNamespaces as _, Source, ValueType};
use crate::record::IndexBuilder;
use crate::storage::Removal;

/// Histories of a test run, and rounds of each.
const HISTORIES: u64 = 4;
const ROUNDS: usize = 6;

/// Records that change in a round, by so many writers, and those that stand still meanwhile.
const WRITERS: u8 = 4;
const CHANGING: u8 = 24;
const STANDING: u8 = 16;

/// The numbers of records are below this.
const VALUES: u64 = 12;

/// What the writers believe: the number of each record that is there; none for one without a number.
type Model = BTreeMap<u8, Option<i64>>;

/// An index, as queries ask for it.
struct Kind {
    bin: &'static str,
    index_type: IndexType,
    /// The values of a record with this number.
    values: fn(i64) -> Vec<i64>,
}

const KINDS: [Kind; 2] = [
    Kind {
        bin: "n",
        index_type: IndexType::Default,
        values: |number| vec![number],
    },
    Kind {
        bin: "l",
        index_type: IndexType::List,
        values: |number| vec![number, number + 1],
    },
];

impl Kind {
    fn indexed(&self) -> Indexed {
        Indexed::Values(Definition {
            set: Some("demo".into()),
            source: Source::Bin {
                name: BinName::new(self.bin.as_bytes()).unwrap(),
                context: None,
            },
            index_type: self.index_type,
            value_type: ValueType::Numeric,
        })
    }

    fn query(&self, first: i64, last: i64) -> Vec<u8> {
        let bin = self.bin.as_bytes();
        let mut range = vec![1, u8::try_from(bin.len()).unwrap()];
        range.extend_from_slice(bin);
        range.push(1);
        for bound in [first, last] {
            range.extend_from_slice(&8_u32.to_be_bytes());
            range.extend_from_slice(&bound.to_be_bytes());
        }
        let mut ask = Ask::new(Info1::READ, Info2::empty())
            .info3(Info3::PARTITION_DONE)
            .field(FieldType::INDEX_RANGE, &range);
        if self.index_type == IndexType::List {
            ask = ask.field(FieldType::INDEX_TYPE, &[1]);
        }
        let partitions: BTreeSet<u16> = (0..CHANGING + STANDING)
            .map(|record| digest(record).partition_id())
            .collect();
        body(&ask, partitions)
    }

    /// The records of a model that a query of this range finds.
    fn expected(&self, model: &Model, first: i64, last: i64) -> Vec<Digest> {
        let fits = |number: &i64| {
            (self.values)(*number)
                .iter()
                .any(|value| (first..=last).contains(value))
        };
        let found = model
            .iter()
            .filter(|(_, number)| number.as_ref().is_some_and(fits));
        let mut found: Vec<_> = found.map(|(record, _)| digest(*record)).collect();
        found.sort();
        found
    }
}

fn list(number: i64) -> Particle {
    let number = u8::try_from(number).unwrap();
    Particle::new(ParticleType::LIST, vec![0x92, number, number + 1])
}

/// A script that counts up: the record has the next number afterwards.
fn counting() -> Module {
    Module::changing(|call| {
        let stored = call.record.stored.as_ref();
        let number = stored.and_then(|record| record.bin(b"n")?.as_integer());
        let next = number.map_or(0, |number| (number + 1) % 12);
        let bin = |name: &str, particle| Bin {
            name: BinName::new(name.as_bytes()).unwrap(),
            particle,
        };
        RecordChange::Write {
            bins: vec![bin("n", int(next)), bin("l", list(next))],
            ttl: None,
            drop_key: false,
        }
    })
}

async fn others(random: &mut Random) {
    for _ in 0..random.between(0, 3) {
        tokio::task::yield_now().await;
    }
}

/// One change of a record, and what is known of it afterwards.
async fn change(bench: &Bench, random: &mut Random, record: u8, model: &mut Model) {
    let on = |ask: Ask| ask.record(record);
    match random.between(0, 9) {
        0..=3 => {
            let number = random.between(0, VALUES - 1).cast_signed();
            // Some live for a short time only.
            let ttl = if random.percent(20) { 10 } else { 0 };
            let put = on(Ask::put("n", int(number))).op(OpCode::WRITE, "l", list(number));
            assert_eq!(bench.code(&put.ttl(ttl)).await, 0);
            model.insert(record, Some(number));
        }
        4 => {
            let put = on(Ask::put("n", Particle::string(&b"no number"[..]))).op(
                OpCode::WRITE,
                "l",
                Particle::NIL,
            );
            assert_eq!(bench.code(&put).await, 0);
            model.insert(record, None);
        }
        5 => {
            bench.code(&on(Ask::delete())).await;
            model.remove(&record);
        }
        6 | 7 => {
            assert_eq!(bench.code(&on(Ask::call())).await, 0);
            let before = model.get(&record).copied().flatten();
            model.insert(record, Some(before.map_or(0, |number| (number + 1) % 12)));
        }
        // The record goes to another node and comes back, as copies do.
        _ => {
            let (namespace, digest) = (bench.test(), digest(record));
            let until = Instant::now() + Duration::from_secs(60);
            let lock = namespace.locks().lock(&digest, until, 0).await.unwrap();
            let Some(seen) = namespace.stored(&digest).await.unwrap() else {
                return;
            };
            let gone = namespace.remove_version(&seen, Removal::Asked).await;
            assert!(gone.unwrap());
            drop(lock);
            others(random).await;
            let copy = Record {
                bins: bins_of(&seen),
                generation: seen.generation(),
                void_time: seen.void_time(),
                last_update_ms: seen.last_update_ms(),
                set: namespace.set(seen.set_name()).unwrap(),
                key: None,
            };
            let _lock = namespace.locks().lock(&digest, until, 0).await.unwrap();
            namespace.store(&digest, copy).await.unwrap();
        }
    }
}

struct World {
    bench: Bench,
    builder: IndexBuilder,
    model: Mutex<Model>,
    calm: AtomicBool,
}

impl World {
    fn make(&self, kind: &Kind) {
        let made = self.bench.test().indexes.put(kind.bin, kind.indexed());
        if let Some(index) = made {
            self.builder.build("test", index, false);
        }
    }

    /// Asks for a range, where the index can be used.
    async fn found(&self, kind: &Kind, first: i64, last: i64) -> Option<Vec<Digest>> {
        let (rows, code) = run(&self.bench, &kind.query(first, last)).await;
        // Not made yet, taken away, or not built yet.
        if matches!(code, 201 | 203) {
            return None;
        }
        assert_eq!(code, 0);
        let mut found = digests(&rows);
        found.sort();
        Some(found)
    }

    /// Changes some of the records that are this one's.
    async fn write(&self, writer: u8, mut random: Random) {
        for _ in 0..random.between(4, 16) {
            let mine = u8::try_from(random.index(usize::from(CHANGING / WRITERS))).unwrap();
            let record = mine * WRITERS + writer;
            let mut own = self.model.lock().clone();
            change(&self.bench, &mut random, record, &mut own).await;
            match own.remove(&record) {
                Some(number) => self.model.lock().insert(record, number),
                None => self.model.lock().remove(&record),
            };
            others(&mut random).await;
        }
    }

    /// Makes indexes and takes them away.
    async fn administer(&self, mut random: Random) {
        for _ in 0..random.between(1, 5) {
            let kind = &KINDS[random.index(KINDS.len())];
            match random.percent(60) {
                true => self.make(kind),
                false => {
                    self.bench.test().indexes.remove(&kind.indexed());
                }
            }
            for _ in 0..random.between(0, 12) {
                others(&mut random).await;
            }
        }
    }

    /// Looks for records until all is calm: no one twice, and those that stand still as they are.
    async fn read(&self, mut random: Random) {
        let still: Model = {
            let model = self.model.lock();
            let standing = model.iter().filter(|(record, _)| **record >= CHANGING);
            standing
                .map(|(record, number)| (*record, *number))
                .collect()
        };
        let known: BTreeSet<Digest> = (CHANGING..CHANGING + STANDING).map(digest).collect();
        while !self.calm.load(Ordering::SeqCst) {
            let kind = &KINDS[random.index(KINDS.len())];
            let first = random.between(0, VALUES).cast_signed();
            let last = first + random.between(0, VALUES).cast_signed();
            if let Some(found) = self.found(kind, first, last).await {
                let once: BTreeSet<Digest> = found.iter().copied().collect();
                assert_eq!(once.len(), found.len(), "a record came twice");
                let standing: Vec<Digest> = once.intersection(&known).copied().collect();
                assert_eq!(standing, kind.expected(&still, first, last), "{}", kind.bin);
            }
            others(&mut random).await;
            tokio::task::yield_now().await;
        }
    }

    /// With nobody at work: what indexes find and hold is what there is.
    async fn check(&self, what: &str) {
        while self.builder.is_building() {
            tokio::task::yield_now().await;
        }
        let model = self.model.lock().clone();
        for kind in &KINDS {
            for first in 0..=VALUES.cast_signed() {
                for last in [first, first + 4] {
                    if let Some(found) = self.found(kind, first, last).await {
                        let expected = kind.expected(&model, first, last);
                        assert_eq!(found, expected, "{what}: {} {first}..={last}", kind.bin);
                    }
                }
            }
            if let Ok(Some(index)) = self.index(kind) {
                let numbers = model.values().flatten();
                let entries: usize = numbers.map(|number| (kind.values)(*number).len()).sum();
                assert_eq!(index.entries(), entries as u64, "{what}: {}", kind.bin);
            }
        }
    }

    fn index(&self, kind: &Kind) -> Result<Option<Arc<crate::index::Index>>, ()> {
        match self.bench.test().indexes.named(kind.bin) {
            Some(crate::index::Slot::Values(index)) => Ok(Some(index)),
            Some(crate::index::Slot::Set(_)) => Err(()),
            None => Ok(None),
        }
    }

    /// What is done to all records at once, while indexes are built and asked.
    async fn all_at_once(&self, mut random: Random) {
        let namespace = self.bench.test();
        match random.between(0, 3) {
            0 => {
                self.bench.pass_seconds(1);
                namespace.truncate(Some("demo"), None).await.unwrap();
                self.bench.pass_seconds(1);
                self.model.lock().clear();
            }
            1 => self.bench.pass_seconds(20),
            _ => {}
        }
        namespace.sweep().await.unwrap();
    }

    /// Those that are there for clients.
    async fn refresh(&self) {
        let mut alive = Model::new();
        for record in 0..CHANGING + STANDING {
            if let Some(found) = self.bench.test().find(&digest(record)).await.unwrap() {
                let number = found.bin(b"n").and_then(|bin| bin.as_integer());
                alive.insert(record, number);
            }
        }
        let mut model = self.model.lock();
        for (record, number) in &alive {
            assert_eq!(model.get(record), Some(number), "record {record}");
        }
        *model = alive;
    }
}

async fn history(seed: u64) {
    let mut random = Random::new(seed);
    let world = Arc::new(World {
        bench: Bench::running(counting()),
        builder: IndexBuilder::default(),
        model: Mutex::default(),
        calm: AtomicBool::new(false),
    });
    let world = {
        let mut world = Arc::into_inner(world).unwrap();
        world.builder = IndexBuilder::new(&world.bench.namespaces);
        Arc::new(world)
    };
    let mut next = || Random::new(random.between(0, u64::MAX / 2));
    for round in 0..ROUNDS {
        // Those that stand still are there in each round, whatever happened to them in the last one.
        for record in CHANGING..CHANGING + STANDING {
            let number = i64::from(record) % VALUES.cast_signed();
            let put = Ask::put("n", int(number)).op(OpCode::WRITE, "l", list(number));
            assert_eq!(world.bench.code(&put.record(record)).await, 0);
            world.model.lock().insert(record, Some(number));
        }
        world.calm.store(false, Ordering::SeqCst);
        let reading = tokio::spawn({
            let (world, random) = (Arc::clone(&world), next());
            async move { world.read(random).await }
        });
        let mut working = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (world, random) = (Arc::clone(&world), next());
            working.spawn(async move { world.write(writer, random).await });
        }
        let (administrator, random) = (Arc::clone(&world), next());
        working.spawn(async move { administrator.administer(random).await });
        while let Some(done) = working.join_next().await {
            done.unwrap();
        }
        world.calm.store(true, Ordering::SeqCst);
        reading.await.unwrap();
        world.check(&format!("seed {seed}, round {round}")).await;

        let (administrator, random) = (Arc::clone(&world), next());
        let administration = tokio::spawn(async move { administrator.administer(random).await });
        world.all_at_once(next()).await;
        administration.await.unwrap();
        world.refresh().await;
        world
            .check(&format!("seed {seed}, after round {round}"))
            .await;
    }
}

#[tokio::test]
async fn no_record_is_missed_or_doubled_whatever_happens_at_the_same_time() {
    let setting = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seeds = match setting("INDEX_HISTORY") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("INDEX_HISTORIES").unwrap_or(HISTORIES),
    };
    for seed in seeds {
        history(seed).await;
    }
}

#[tokio::test]
async fn queries_for_places_count_what_they_look_at() {
    let bench = Bench::new();
    let place = |east: f64| {
        let text = format!(r#"{{"type":"Point","coordinates":[{east},52.5]}}"#);
        Particle::geojson(text.as_bytes())
    };
    for (record, east) in [(1, 13.40), (2, 13.41), (3, 14.5)] {
        let put = Ask::put("p", place(east)).record(record);
        assert_eq!(bench.code(&put).await, 0);
    }
    let places = Indexed::Values(Definition {
        set: Some("demo".into()),
        source: Source::Bin {
            name: BinName::new(b"p").unwrap(),
            context: None,
        },
        index_type: IndexType::Default,
        value_type: ValueType::Geo2dSphere,
    });
    let index = bench.test().indexes.put("places", places).unwrap();
    let builder = IndexBuilder::new(&bench.namespaces);
    builder.build("test", index, false);
    while builder.is_building() {
        tokio::task::yield_now().await;
    }
    let circle = br#"{"type":"AeroCircle","coordinates":[[13.4,52.5],300]}"#;
    let mut range = b"\x01\x01p\x17".to_vec();
    for _ in 0..2 {
        range.extend_from_slice(&u32::try_from(circle.len()).unwrap().to_be_bytes());
        range.extend_from_slice(circle);
    }
    let ask = Ask::new(Info1::READ, Info2::empty())
        .info3(Info3::PARTITION_DONE)
        .field(FieldType::INDEX_RANGE, &range);
    let partitions: BTreeSet<u16> = (1..4).map(|record| digest(record).partition_id()).collect();
    let (rows, code) = run(&bench, &body(&ask, partitions)).await;
    assert_eq!((digests(&rows), code), (vec![digest(1)], 0));
    let stats = &bench.test().stats;
    assert_eq!(stats.geo_region_query_reqs.get(), 1);
    assert!(stats.geo_region_query_cells.get() >= 1);
    let (points, outside) = (
        stats.geo_region_query_points.get(),
        stats.geo_region_query_falsepos.get(),
    );
    assert_eq!(points, 1 + outside, "one was inside");
}
