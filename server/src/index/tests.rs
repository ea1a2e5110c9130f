use std::sync::Arc;

use data::bin::BinName;
use data::record::{Parts, StoredRecord};
use protocol::key::Digest;
use protocol::particle::{Particle, ParticleType};

use super::entries::{Entries, Entry};
use super::*;

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
        let found: Vec<_> = found.into_iter().map(|value| kind.shown(value)).collect();
        assert_eq!(found, expected, "{bin} {part:?}");
    }
    for (bin, part, count) in [
        ("s", Default, 1),
        ("l", List, 1),
        ("m", MapKeys, 1),
        ("i", Default, 0),
    ] {
        assert_eq!(of_bin(bin, part, String).values(&all).len(), count, "{bin}");
    }
    let other = Definition {
        set: Some("t".into()),
        ..of_bin("i", Default, Numeric)
    };
    assert!(other.values(&all).is_empty());
}

#[test]
fn entries_agree_with_an_ordered_set_whatever_goes_in_and_out() {
    let mut entries = Entries::default();
    let mut model = std::collections::BTreeSet::new();
    let mut state = 1_u64;
    for round in 0..30_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let entry = Entry::new((state >> 33) % 300, &Digest([(state >> 40) as u8 % 16; 20]));
        let growing = round < 12_000 || (18_000..22_000).contains(&round);
        if (state >> 20) % 8 < if growing { 6 } else { 2 } {
            assert_eq!(entries.insert(entry), model.insert(entry));
        } else {
            assert_eq!(entries.remove(&entry), model.remove(&entry));
        }
        assert_eq!(entries.len(), model.len());
        if round % 400 == 0 {
            assert!(entries.from(&entry).eq(model.range(entry..)));
            assert!(entries.from(&Entry::first_of(0)).eq(model.iter()));
        }
    }
    for entry in &model {
        entries.remove(entry);
    }
    assert_eq!((entries.len(), entries.bytes()), (0, 0));
}

#[test]
fn an_entry_takes_at_most_32_bytes() {
    for in_order in [false, true] {
        let mut entries = Entries::default();
        for number in 0..5_000_u64 {
            let value = if in_order {
                number
            } else {
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            entries.insert(Entry::new(value, &Digest([7; 20])));
        }
        let bytes = entries.bytes();
        assert!(
            bytes <= 32 * entries.len(),
            "in order {in_order}: {bytes} bytes"
        );
    }
}

#[test]
fn an_index_follows_its_records() {
    let indexes = Indexes::default();
    let change = indexes.define("i", of_bin("i", IndexType::Default, ValueType::Numeric));
    let Change::Made(index) = change.unwrap() else {
        panic!("it is new");
    };
    let versions = [1, 2, 2, -7].map(|value| record(9, &[("i", Particle::integer(value))]));
    let partition = Digest([9; 20]).partition_id();
    let found = |begin: i64, end: i64| {
        let (begin, end) = (begin.to_be_bytes(), end.to_be_bytes());
        let predicate = Predicate::of(ParticleType::INTEGER, &begin, &end).unwrap();
        index.find(partition, &predicate.ranges(), None).len()
    };
    let mut before = None;
    for version in &versions {
        indexes.update(before, Some(version));
        before = Some(version);
        assert_eq!(index.entries(), 1);
    }
    assert_eq!((found(-9, 9), found(-7, -7), found(1, 2)), (1, 1, 0));
    indexes.update(before, None);
    assert_eq!((index.entries(), found(i64::MIN, i64::MAX)), (0, 0));
    assert!(indexes.remove("i") && !indexes.remove("i"));
    assert!(index.is_dropped());
    indexes.update(None, before);
    assert_eq!(index.entries(), 0, "nobody enters records any more");
}

#[test]
fn names_and_definitions_are_unique_and_places_are_used_again() {
    let indexes = Indexes::default();
    let of = |bin: &str| of_bin(bin, IndexType::Default, ValueType::Numeric);
    for name in ["a", "b", "c"] {
        assert!(matches!(
            indexes.define(name, of(name)),
            Ok(Change::Made(_))
        ));
    }
    assert!(matches!(indexes.define("a", of("a")), Ok(Change::Nothing)));
    assert!(matches!(indexes.define("A", of("a")), Ok(Change::Listed)));
    let refused = indexes.define("A", of("b")).unwrap_err();
    assert_eq!(refused, DefinitionError::OtherDefinition);
    assert!(indexes.define_set("b", "s").is_err());
    assert!(indexes.define_set("set", "s").is_ok());
    assert!(indexes.remove("b"));
    assert!(indexes.define("d", of("d")).is_ok());
    let names: Vec<_> = indexes
        .all()
        .into_iter()
        .map(|slot| match slot {
            Slot::Values(index) => index.name(),
            Slot::Set(index) => Arc::from(&*index.name),
        })
        .collect();
    assert_eq!(
        names.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["A", "d", "c", "set"]
    );
}

#[test]
fn definitions_outlive_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let saved = SavedDefinitions::below(place);
    let indexes = Indexes::default();
    assert!(saved.load(|_| Some(&indexes)).unwrap().is_empty());
    let with_path = Definition {
        source: Source::Bin {
            name: BinName::new(b"m").unwrap(),
            context: Some(IndexContext::parse(b"\x92\x22\xa2\x03k\x00").unwrap()),
        },
        ..of_bin("m", IndexType::List, ValueType::String)
    };
    let bytes = b"\x93\x51\x02\xa1i";
    let by_expression = Definition {
        set: None,
        source: Source::Expression {
            bytes: bytes[..].into(),
            expression: Arc::new(data::expression::Expression::parse(bytes).unwrap()),
        },
        ..of_bin("", IndexType::Default, ValueType::Numeric)
    };
    indexes.define("path", with_path).unwrap();
    indexes.define("expression", by_expression).unwrap();
    indexes.define_set("set", "s").unwrap();
    saved.save([("test", indexes.all())].into_iter()).unwrap();
    let later = Indexes::default();
    let made = SavedDefinitions::below(place)
        .load(|_| Some(&later))
        .unwrap();
    assert_eq!(made.len(), 2);
    assert_eq!(format!("{:?}", later.all().len()), "3");
    for slot in indexes.all() {
        if let Slot::Values(index) = slot {
            let again = later.named(&index.name());
            let Some(Slot::Values(again)) = again else {
                panic!("{} is lost", index.name());
            };
            assert_eq!(again.definition, index.definition);
        }
    }
    std::fs::write(directory.path().join("smd/sindex.smd"), "[{").unwrap();
    assert!(matches!(
        saved.load(|_| Some(&later)),
        Err(SavedError::Damaged { .. })
    ));
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
