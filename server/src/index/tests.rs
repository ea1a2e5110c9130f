use std::sync::Arc;

use data::bin::BinName;
use data::expression::Expression;
use data::record::{Handle, Parts, StoredRecord};
use data::work::Unmetered;
use protocol::key::Digest;
use protocol::particle::{Particle, ParticleType};

use parking_lot::Mutex;

use super::entries::Entries;
use super::*;
use crate::catalogue::{Catalogued as _, Item, ItemError, Origin, StoreError, Stored};

fn record(number: u8, bins: &[(&str, Particle)]) -> StoredRecord {
    let parts = Parts {
        digest: Digest([number; 20]),
        token: 1,
        generation: 1,
        void_time: 0,
        last_update_ms: 0,
        set: "s",
        key: None,
    };
    let bins = bins.iter();
    let bins = bins.map(|(name, particle)| (name.as_bytes(), particle.as_ref()));
    StoredRecord::new(&parts, bins, &mut Vec::new()).unwrap()
}

fn of_bin(bin: &str, index_type: IndexType, value_type: ValueType) -> Definition {
    Definition {
        set: Some("s".into()),
        source: Source::Bin {
            name: BinName::new(bin.as_bytes()).unwrap(),
            context: None,
        },
        index_type,
        value_type,
    }
}

#[test]
fn what_takes_long_is_known_before() {
    use IndexType::{Default, List, MapValues};
    use ValueType::{Geo2dSphere, Numeric};
    let text = |bytes: usize| Particle::string(vec![b'x'; bytes]);
    let (small, large) = (
        record(1, &[("b", text(100))]),
        record(2, &[("b", text(10_000))]),
    );
    let expression = Definition {
        source: Source::Expression {
            bytes: [0xc3][..].into(),
            expression: Arc::new(Expression::parse(b"\xc3", &mut Unmetered::default()).unwrap()),
        },
        ..of_bin("b", Default, Numeric)
    };
    for (definition, is_long) in [
        (of_bin("b", Default, Numeric), false),
        (of_bin("b", List, Numeric), false),
        // Their cells are stored with them.
        (of_bin("b", Default, Geo2dSphere), false),
        (of_bin("b", List, Geo2dSphere), true),
        (of_bin("b", MapValues, Geo2dSphere), true),
        (expression, true),
    ] {
        assert_eq!(definition.takes_long(&large), is_long, "{definition:?}");
        assert!(!definition.takes_long(&small));
        let indexes = Indexes::default();
        assert!(!indexes.take_long(Some(&large), None));
        indexes.put("i", Indexed::Values(definition)).unwrap();
        assert_eq!(indexes.take_long(Some(&large), Some(&small)), is_long);
        assert_eq!(indexes.take_long(None, Some(&large)), is_long);
        assert!(!indexes.take_long(Some(&small), Some(&small)));
    }
}

#[test]
fn values_are_those_of_the_type_each_once_in_order() {
    let list = b"\x97\x03\xff\x03\xa2\x03a\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\xc3\x91\x05";
    let list = Particle::new(ParticleType::LIST, &list[..]);
    let map = b"\x82\x01\xa2\x03a\xa2\x03k\x02";
    let map = Particle::new(ParticleType::MAP, &map[..]);
    let all = record(
        1,
        &[
            ("i", Particle::integer(-4)),
            ("f", Particle::float(1.0)),
            ("s", Particle::string(&b"text"[..])),
            ("l", list),
            ("m", map),
        ],
    );
    use IndexType::{Default, List, MapKeys, MapValues};
    use ValueType::{Numeric, String};
    let cases = [
        ("i", Default, Numeric, vec![-4]),
        ("f", Default, Numeric, vec![]),
        ("x", Default, Numeric, vec![]),
        ("i", List, Numeric, vec![]),
        ("l", Default, Numeric, vec![]),
        ("l", List, Numeric, vec![-1, 3]),
        ("l", MapKeys, Numeric, vec![]),
        ("m", MapKeys, Numeric, vec![1]),
        ("m", MapValues, Numeric, vec![2]),
    ];
    for (bin, part, kind, expected) in cases {
        let found = of_bin(bin, part, kind).values(&all);
        let found = found.as_slice().iter();
        let found: Vec<_> = found.map(|value| kind.shown(*value)).collect();
        assert_eq!(found, expected, "{bin} {part:?}");
    }
    for (bin, part, count) in [
        ("s", Default, 1),
        ("l", List, 1),
        ("m", MapKeys, 1),
        ("i", Default, 0),
    ] {
        let found = of_bin(bin, part, String).values(&all);
        assert_eq!(found.as_slice().len(), count, "{bin}");
    }
    let other = Definition {
        set: Some("t".into()),
        ..of_bin("i", Default, Numeric)
    };
    assert_eq!(other.values(&all), Values::None);
}

/// An entry of a record whose digest consists of this byte.
fn entry(value: u64, digest: u8) -> Entry {
    let handle = Handle::of(&Digest([digest; 20]));
    Entry { value, handle }
}

#[test]
fn entries_agree_with_a_sorted_list_whatever_goes_in_and_out() {
    let mut entries = Entries::default();
    let mut model: Vec<Entry> = Vec::new();
    let mut state = 1_u64;
    for round in 0..30_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let entry = entry((state >> 33) % 300, (state >> 40) as u8 % 16);
        let growing = round < 12_000 || (18_000..22_000).contains(&round);
        let place = model.partition_point(|other| *other < entry);
        if round % 5 == 0 && model.get(place) == Some(&entry) {
            let other = self::entry(entry.value + (state >> 50) % 9, (state >> 54) as u8 % 16);
            let (old, new) = if round % 2 == 0 {
                (entry, other)
            } else {
                // Down, where there is one to replace.
                (*model.last().unwrap(), entry)
            };
            assert!(entries.replace(&old, new));
            model.remove(model.binary_search(&old).unwrap());
            model.insert(model.partition_point(|other| *other < new), new);
        } else if (state >> 20) % 8 < if growing { 6 } else { 2 } {
            entries.insert(entry);
            model.insert(place, entry);
        } else {
            let is_there = model.get(place) == Some(&entry);
            assert_eq!(entries.remove(&entry), is_there);
            if is_there {
                model.remove(place);
            }
        }
        assert_eq!(entries.len(), model.len());
        if round % 400 == 0 {
            let place = model.partition_point(|other| *other < entry);
            assert!(entries.from(entry).eq(&model[place..]));
            assert!(entries.from(Entry::first_of(0)).eq(&model));
        }
    }
    for entry in &model {
        assert!(entries.remove(entry));
    }
    assert_eq!((entries.len(), entries.bytes()), (0, 0));
}

#[test]
fn an_entry_takes_at_most_20_bytes() {
    for in_order in [false, true] {
        let mut entries = Entries::default();
        for number in 0..20_000_u64 {
            let value = if in_order {
                number
            } else {
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            entries.insert(entry(value, 7));
        }
        let bytes = entries.bytes();
        assert!(
            bytes <= 20 * entries.len(),
            "in order {in_order}: {bytes} bytes"
        );
        // A third stays, of each neighbourhood.
        let all: Vec<Entry> = entries.from(Entry::first_of(0)).copied().collect();
        for (place, entry) in all.iter().enumerate() {
            if place % 3 != 0 {
                entries.remove(entry);
            }
        }
        let bytes = entries.bytes();
        assert!(bytes <= 28 * entries.len(), "thinned out: {bytes} bytes");
    }
}

/// Entries of a partition between two integers.
fn found(index: &Index, partition: u16, begin: i64, end: i64) -> usize {
    let (begin, end) = (begin.to_be_bytes(), end.to_be_bytes());
    let predicate = Predicate::of(
        ParticleType::INTEGER,
        &begin,
        &end,
        &mut Unmetered::default(),
    )
    .unwrap();
    let bit = 1 << (partition % SHEET);
    index
        .find(partition / SHEET, bit, &predicate.ranges())
        .len()
}

#[test]
fn an_index_follows_its_records() {
    let indexes = Indexes::default();
    let numbers = Indexed::Values(of_bin("i", IndexType::Default, ValueType::Numeric));
    let index = indexes.put("i", numbers.clone()).unwrap();
    index.finish();
    let versions = [1, 2, 2, -7].map(|value| record(9, &[("i", Particle::integer(value))]));
    let partition = Digest([9; 20]).partition_id();
    let found = |begin: i64, end: i64| found(&index, partition, begin, end);
    let mut before = None;
    for version in &versions {
        indexes.update(before, Some(version));
        before = Some(version);
        assert_eq!(index.entries(), 1);
    }
    assert_eq!((found(-9, 9), found(-7, -7), found(1, 2)), (1, 1, 0));
    indexes.update(before, None);
    assert_eq!((index.entries(), found(i64::MIN, i64::MAX)), (0, 0));
    assert!(indexes.remove(&numbers) && !indexes.remove(&numbers));
    assert!(index.is_dropped());
    indexes.update(None, before);
    assert_eq!(index.entries(), 0, "nobody enters records any more");
}

#[test]
fn entries_come_by_partition_then_value_and_only_of_those_asked_for() {
    let indexes = Indexes::default();
    let numbers = Indexed::Values(of_bin("i", IndexType::Default, ValueType::Numeric));
    let index = indexes.put("i", numbers).unwrap();
    index.finish();
    // Their partitions are 0, 0x101, 0x202 and so on.
    for number in 0..=255 {
        let value = Particle::integer(i64::from(number % 7));
        indexes.update(None, Some(&record(number, &[("i", value)])));
    }
    let all = [(0, u64::MAX)];
    let mut seen = 0;
    for sheet in 0..64 {
        let entries = index.find(sheet, u64::MAX, &all);
        let key = |entry: &Entry| (entry.handle.partition_id(), *entry);
        assert!(entries.is_sorted_by_key(key));
        for place in 0..SHEET {
            let one = index.find(sheet, 1 << place, &all);
            let of_place = |entry: &&Entry| entry.handle.partition_id() == sheet * SHEET + place;
            assert!(one.iter().eq(entries.iter().filter(of_place)));
        }
        seen += entries.len();
    }
    assert_eq!(seen, 256);
    assert!(index.find(64, u64::MAX, &all).is_empty());
}

#[test]
fn records_that_share_a_handle_have_an_entry_each_and_are_found_as_one() {
    let indexes = Indexes::default();
    let numbers = Indexed::Values(of_bin("i", IndexType::Default, ValueType::Numeric));
    let index = indexes.put("i", numbers).unwrap();
    index.finish();
    let twin = |last: u8| {
        let mut digest = Digest([9; 20]);
        digest.0[19] = last;
        let parts = Parts {
            digest,
            token: 1,
            generation: 1,
            void_time: 0,
            last_update_ms: 0,
            set: "s",
            key: None,
        };
        let value = Particle::integer(5);
        let bins = [(&b"i"[..], value.as_ref())].into_iter();
        StoredRecord::new(&parts, bins, &mut Vec::new()).unwrap()
    };
    let (one, two) = (twin(1), twin(2));
    let partition = Digest([9; 20]).partition_id();
    let state = || (index.entries(), found(&index, partition, 5, 5));
    indexes.update(None, Some(&one));
    indexes.update(None, Some(&two));
    assert_eq!(state(), (2, 1));
    indexes.update(Some(&one), None);
    assert_eq!(state(), (1, 1));
    indexes.update(Some(&two), None);
    assert_eq!(state(), (0, 0));
}

fn numbers_of(bin: &str) -> Indexed {
    Indexed::Values(of_bin(bin, IndexType::Default, ValueType::Numeric))
}

fn names(indexes: &Indexes) -> Vec<String> {
    let names = indexes.all().into_iter().map(|slot| match slot {
        Slot::Values(index) => index.name().to_string(),
        Slot::Set(index) => index.name.to_string(),
    });
    names.collect()
}

#[test]
fn names_and_definitions_are_unique_and_places_are_used_again() {
    let indexes = Indexes::default();
    for name in ["a", "b", "c"] {
        assert!(indexes.put(name, numbers_of(name)).is_some());
    }
    let set = || Indexed::Set("s".into());
    let cases = [
        ("a", numbers_of("a"), Ok(())),
        ("A", numbers_of("a"), Ok(())),
        ("a", numbers_of("b"), Err(DefinitionError::OtherDefinition)),
        ("b", set(), Err(DefinitionError::OtherDefinition)),
        ("set", set(), Ok(())),
    ];
    for (name, indexed, expected) in cases {
        assert_eq!(indexes.check(name, &indexed), expected, "{name}");
    }
    assert!(indexes.put("A", numbers_of("a")).is_none(), "a new name");
    assert!(indexes.put("set", set()).is_none());
    assert!(indexes.remove(&numbers_of("b")));
    assert!(indexes.put("d", numbers_of("d")).is_some());
    assert_eq!(names(&indexes), ["A", "d", "c", "set"]);
    // As two nodes may define it at the same moment.
    indexes.put("d", numbers_of("e"));
    let several = indexes.check("d", &numbers_of("d"));
    assert_eq!(several, Err(DefinitionError::Several));
    assert_eq!(indexes.only("d"), Err(DefinitionError::NotUnique));
    assert_eq!(indexes.only("c"), Ok(Some(numbers_of("c"))));
    assert_eq!(indexes.only("b"), Ok(None));
}

#[test]
fn a_namespace_has_256_indexes_at_most_and_they_may_be_renamed() {
    let indexes = Indexes::default();
    for number in 0..256 {
        let name = format!("i{number}");
        assert_eq!(indexes.check(&name, &numbers_of(&name)), Ok(()));
        indexes.put(&name, numbers_of(&name));
    }
    let more = indexes.check("more", &numbers_of("more"));
    assert_eq!(more, Err(DefinitionError::TooMany));
    assert_eq!(indexes.check("more", &numbers_of("i7")), Ok(()));
    assert_eq!(indexes.check("set", &Indexed::Set("s".into())), Ok(()));
}

/// Namespaces whose indexes nobody builds.
#[derive(Default)]
struct Unbuilt {
    test: Indexes,
    asked: Mutex<Vec<String>>,
}

impl IndexedNamespaces for Unbuilt {
    fn indexes(&self, namespace: &str) -> Option<&Indexes> {
        (namespace == "test").then_some(&self.test)
    }

    fn make_set(&self, _namespace: &str, _set: &str) {}

    fn build(&self, _namespace: &str, index: Arc<Index>, wait: bool) {
        let told = format!("{} {wait}", index.name());
        self.asked.lock().push(told);
    }

    fn is_building(&self) -> bool {
        false
    }
}

fn with_path() -> Indexed {
    Indexed::Values(Definition {
        source: Source::Bin {
            name: BinName::new(b"m").unwrap(),
            context: Some(IndexContext::parse(b"\x92\x22\xa2\x03k\x00").unwrap()),
        },
        ..of_bin("m", IndexType::List, ValueType::String)
    })
}

fn by_expression() -> Indexed {
    let bytes = b"\x93\x51\x02\xa1i";
    Indexed::Values(Definition {
        set: None,
        source: Source::Expression {
            bytes: bytes[..].into(),
            expression: Arc::new(Expression::parse(bytes, &mut Unmetered::default()).unwrap()),
        },
        ..of_bin("", IndexType::Default, ValueType::Numeric)
    })
}

/// A node with its files.
fn node(place: &std::path::Path) -> (Arc<Unbuilt>, Definitions) {
    let namespaces = Arc::new(Unbuilt::default());
    let definitions = Definitions::open(place, 7, false, Arc::clone(&namespaces) as _);
    (namespaces, definitions.unwrap())
}

#[test]
fn definitions_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let all = [
        ("path", with_path()),
        ("expression", by_expression()),
        ("gone", numbers_of("gone")),
        ("numbers", numbers_of("i")),
        ("set", Indexed::Set("s".into())),
    ];
    let (namespaces, definitions) = node(directory.path());
    for (name, indexed) in &all {
        definitions.define("test", name, indexed.clone()).unwrap();
    }
    definitions
        .define("test", "others", numbers_of("i"))
        .unwrap();
    definitions.remove("test", "gone").unwrap();
    definitions.remove("test", "never").unwrap();
    definitions.remove("nowhere", "path").unwrap();
    let unknown = definitions.define("nowhere", "i", numbers_of("i"));
    assert!(unknown.is_ok(), "one of an unknown namespace is not made");
    let expected = ["path", "expression", "others", "set"];
    let built: Vec<_> = namespaces.asked.lock().drain(..).collect();
    assert_eq!(
        built,
        ["path true", "expression true", "gone true", "numbers true"]
    );
    drop(definitions);

    let (namespaces, definitions) = node(directory.path());
    assert_eq!(names(&namespaces.test), expected);
    for (name, indexed) in all {
        if expected.contains(&name) {
            assert_eq!(namespaces.test.only(name), Ok(Some(indexed)), "{name}");
        }
    }
    let built: Vec<_> = namespaces.asked.lock().drain(..).collect();
    assert_eq!(built, ["path false", "expression false", "others false"]);
    // What was removed is remembered, with a version.
    assert_eq!(definitions.shown().summaries().len(), 5);
    drop(definitions);
    std::fs::write(directory.path().join("smd/sindex.smd"), "[{").unwrap();
    let damaged = Definitions::open(directory.path(), 7, false, namespaces);
    assert!(matches!(damaged, Err(StoreError::Damaged { .. })));
}

#[test]
fn nodes_that_exchange_what_they_have_get_the_same_whatever_comes_first() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (at_one, first) = node(one.path());
    let (at_two, second) = node(two.path());
    first.define("test", "a", numbers_of("a")).unwrap();
    first.define("test", "both", numbers_of("x")).unwrap();
    first.define("test", "b", numbers_of("b")).unwrap();
    first.remove("test", "b").unwrap();
    second.define("test", "other", numbers_of("a")).unwrap();
    second.define("test", "both", numbers_of("y")).unwrap();
    let items = |of: &Definitions| {
        let summaries = of.shown().summaries();
        let items = summaries.keys().map(|name| of.shown().item(name).unwrap());
        items.collect::<Vec<_>>()
    };
    let (from_first, mut from_second) = (items(&first), items(&second));
    from_second.reverse();
    second.store(from_first, Origin::Peer).unwrap();
    first.store(from_second, Origin::Peer).unwrap();
    assert_eq!(first.shown().summaries(), second.shown().summaries());
    let sorted = |namespaces: &Unbuilt| {
        let mut names = names(&namespaces.test);
        names.sort();
        names
    };
    assert_eq!(sorted(&at_one), sorted(&at_two));
    // One definition has one name; a name that both gave to different ones is not unique until one is renamed.
    assert_eq!(sorted(&at_one).len(), 3);
    let refused = first.remove("test", "both").unwrap_err();
    assert_eq!(refused.to_string(), "'indexname' is not unique");
    first.define("test", "mine", numbers_of("x")).unwrap();
    first.remove("test", "both").unwrap();
    assert_eq!(at_one.test.only("both"), Ok(None));
    assert_eq!(at_one.test.only("mine"), Ok(Some(numbers_of("x"))));
}

#[test]
fn items_that_are_damaged_or_of_another_name_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (namespaces, definitions) = node(directory.path());
    let good = definitions.propose("test", "i", &numbers_of("i"));
    let good = good.unwrap().unwrap().item;
    let other = definitions.propose("test", "k", &numbers_of("k"));
    let other = other.unwrap().unwrap().item;
    let version = good.summary.version;
    let of = |name: &str, content: &str| Item::new(&INDEXES, name, version, Some(content));
    let cases = [
        (of(&good.name, "{}"), ItemError::Content),
        (of(&good.name, &"x".repeat(70_000)), ItemError::Content),
        (
            of(&good.name, other.content.as_deref().unwrap()),
            ItemError::Content,
        ),
        (
            of("test", good.content.as_deref().unwrap()),
            ItemError::Name,
        ),
        (
            Item {
                content: other.content.clone(),
                ..good.clone()
            },
            ItemError::Hash,
        ),
    ];
    for (item, expected) in cases {
        let stored = definitions.store(vec![item], Origin::Peer).unwrap();
        assert_eq!(stored, [Err(expected)]);
    }
    assert!(namespaces.test.all().is_empty());
    let stored = definitions.store(vec![good], Origin::Peer).unwrap();
    assert_eq!(stored, [Ok(Stored::Taken)]);
    assert_eq!(names(&namespaces.test), ["i"]);
}

#[test]
fn paths_are_checked() {
    let cases: [(&[u8], Result<&str, ContextError>); 8] = [
        (b"\x92\x10\xff", Ok("[list_index(-1)]")),
        (
            b"\x94\x22\xa4\x03key\x10\x02",
            Ok("[map_key(<string#3>), list_index(2)]"),
        ),
        (b"\x92\x13\xd4\xff\x01", Ok("[list_value(inf)]")),
        (b"\x92\x10\x00\x00\x00", Ok("[list_index(0)]")),
        (b"\x90", Err(ContextError::Invalid)),
        (b"\x91\x22", Err(ContextError::Invalid)),
        (b"\x92\x62\xa2\x03k", Err(ContextError::Invalid)),
        (b"\x92\x10\xcc\x01", Err(ContextError::NotNormal)),
    ];
    for (bytes, expected) in cases {
        let found = IndexContext::parse(bytes).map(|context| context.text());
        assert_eq!(
            found.as_deref().map_err(|error| *error),
            expected,
            "{bytes:?}"
        );
    }
}
