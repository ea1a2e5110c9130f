//! Every value prints as a literal that is read as the same value.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use aql::language::notation::{literal, parse};
use aql::language::parse::parse as statement;
use aql::language::statement::{Literal, Statement};
use proptest::prelude::*;
use protocol::msgpack::order;
use protocol::particle::ParticleType;
use protocol::value::Value;

/// What a statement's value becomes when it is sent.
fn sent(written: &Literal) -> Value {
    match written {
        Literal::Null => Value::Nil,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Integer(value) => Value::Integer(*value),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(text) => Value::String(text.clone().into_bytes()),
        Literal::GeoJson(text) => Value::GeoJson(text.clone().into_bytes()),
        Literal::Json(_, text) => parse(text).unwrap(),
        Literal::Exact(value) => value.clone(),
    }
}

/// The encoding, in which not-a-numbers are equal and the pairs of maps are sorted.
fn encoded(value: &Value) -> Vec<u8> {
    value.to_msgpack().unwrap()
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        // One not-a-number is as good as another.
        any::<f64>().prop_map(|value| Value::Float(if value.is_nan() { f64::NAN } else { value })),
        ".*".prop_map(|text| Value::String(text.into_bytes())),
        "JSON.*".prop_map(|text| Value::String(text.into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..20).prop_map(Value::String),
        (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(hll, bytes)| {
            let kind = if hll {
                ParticleType::HLL
            } else {
                ParticleType::BLOB
            };
            Value::Blob { kind, bytes }
        }),
        ".*".prop_map(|text| Value::GeoJson(text.into_bytes())),
    ]
}

fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        ".*".prop_map(|text| Value::String(text.into_bytes())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::blob),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(4, 40, 6, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..6);
        let list = (any::<bool>(), items).prop_map(|(ordered, mut items)| {
            if ordered {
                items.sort_by(Value::compare);
            }
            let flags = if ordered { order::KEY } else { 0 };
            Value::List { flags, items }
        });
        let entries = proptest::collection::vec((key(), inner), 0..6);
        let flags = prop_oneof![Just(0), Just(order::KEY), Just(order::KEY | order::VALUE)];
        let map = (flags, entries).prop_map(|(flags, mut entries)| {
            entries.sort_by(|(left, _), (right, _)| left.compare(right));
            entries.dedup_by(|(left, _), (right, _)| left.compare(right).is_eq());
            Value::Map { flags, entries }
        });
        prop_oneof![list, map]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_that_is_printed_is_read_as_itself(value in value()) {
        let text = literal(&value);
        prop_assert!(!text.contains(['\n', '\r']), "{text:?}");
        let text = format!("insert into test (PK, a) values (1, {text})");
        let Ok(Some(Statement::Insert { bins, .. })) = statement(&text) else {
            panic!("{text:?}: {:?}", statement(&text));
        };
        let (_, written) = bins.into_iter().next().unwrap();
        prop_assert_eq!(encoded(&sent(&written)), encoded(&value), "{}", text);
        // A line is cut at each `;` that stands in no quotes.
        prop_assert_eq!(aql::language::lexer::statements(&text), vec![text.as_str()]);
    }
}

#[test]
fn cells_of_tables_can_be_typed_in_again() {
    for (cell, value) in [
        (
            "LIST('[1, 2, \"x\"]')",
            Value::list([1.into(), 2.into(), "x".into()]),
        ),
        (
            "MAP('{\"a\":1, \"b\":NIL}')",
            Value::map([("a".into(), 1.into()), ("b".into(), Value::Nil)]),
        ),
        (
            "KEY_ORDERED_MAP('{1:[true]}')",
            Value::Map {
                flags: order::KEY,
                entries: vec![(1.into(), Value::list([true.into()]))],
            },
        ),
        (
            "GeoJSON('{\"type\":\"Point\"}')",
            Value::GeoJson("{\"type\":\"Point\"}".into()),
        ),
        ("BLOB('01 FF 00')", Value::blob([1, 255, 0])),
    ] {
        let text = format!("insert into test (PK, a) values (1, {cell})");
        let Ok(Some(Statement::Insert { bins, .. })) = statement(&text) else {
            panic!("{text}");
        };
        assert_eq!(sent(&bins.first().unwrap().1), value, "{cell}");
    }
}
