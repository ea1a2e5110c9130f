use proptest::prelude::*;
use protocol::limits::MAX_DEPTH;
use protocol::msgpack::{Collection, MsgpackError, compare, normalize, order};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::value::{Value, read_arguments};

use crate::hex;

#[test]
fn values_have_the_worked_encodings() {
    let abc = Value::map([
        (1.into(), "a".into()),
        (2.into(), "b".into()),
        ((-1).into(), "c".into()),
    ]);
    let ordered = Value::Map {
        flags: order::KEY,
        entries: vec![("b".into(), 2.into()), ("a".into(), 1.into())],
    };
    let ordered_list = Value::List {
        flags: order::KEY,
        items: vec![1.into(), 2.into(), 3.into()],
    };
    let cases = [
        (abc, "83 ff a2 03 63 01 a2 03 61 02 a2 03 62"),
        (ordered, "83 c7 00 01 c0 a2 03 61 01 a2 03 62 02"),
        (ordered_list, "94 c7 00 01 01 02 03"),
        (
            Value::list([Value::Nil, true.into(), 1.5.into()]),
            "93 c0 c3 cb 3f f8 00 00 00 00 00 00",
        ),
        (
            Value::list([Value::GeoJson(b"{}".to_vec()), Value::blob([1])]),
            "92 a3 17 7b 7d a2 04 01",
        ),
    ];
    for (value, text) in cases {
        assert_eq!(value.to_msgpack(), Ok(hex::bytes(text)), "{value}");
    }
}

#[test]
fn values_are_shown_for_people() {
    let value = Value::list([
        Value::Nil,
        1.5.into(),
        3.0.into(),
        "a\"b".into(),
        Value::blob([1, 0xff]),
        Value::map([("k".into(), true.into()), (2.into(), Value::list([]))]),
    ]);
    assert_eq!(
        value.to_string(),
        r#"[nil, 1.5, 3.0, "a\"b", 0x01ff, {"k": true, 2: []}]"#
    );
}

#[test]
fn arguments_that_are_no_list_are_no_arguments() {
    assert_eq!(
        read_arguments(&hex::bytes("92 01 a2 03 61")),
        [1.into(), "a".into()]
    );
    assert_eq!(
        read_arguments(&hex::bytes("91 01 ff ff")),
        [1.into()],
        "bytes after the list"
    );
    for text in [
        "",
        "90",
        "05",
        "80",
        "92 01",
        "91 81 c0 01",
        "91 d4 ff 00",
        "c1",
    ] {
        assert_eq!(read_arguments(&hex::bytes(text)), [], "{text}");
    }
}

#[test]
fn rejects_msgpack_that_is_no_value() {
    let cases = [
        ("", MsgpackError::Truncated),
        ("90 00", MsgpackError::Trailing(1)),
        ("c1", MsgpackError::Lead(0xc1)),
        ("81 c0 01", MsgpackError::Key),
        ("81 90 01", MsgpackError::Key),
        ("81 80 01", MsgpackError::Key),
        ("81 c3 01", MsgpackError::Key),
        ("d4 ff 00", MsgpackError::Extension),
        ("c7 00 01", MsgpackError::Order),
    ];
    for (text, error) in cases {
        assert_eq!(Value::from_msgpack(&hex::bytes(text)), Err(error), "{text}");
    }
}

#[test]
fn rejects_particles_that_are_not_what_their_type_says() {
    let cases = [
        (1, "00 00 07"),
        (2, "00"),
        (17, "02"),
        (20, "80"),
        (19, "90"),
        (20, ""),
        (23, "00"),
    ];
    for (kind, data) in cases {
        assert!(
            Value::from_particle(ParticleRef::new(ParticleType(kind), &hex::bytes(data))).is_err(),
            "{kind}: {data}"
        );
    }
}

#[test]
fn rejects_writing_what_is_nested_too_deeply() {
    let mut value = Value::list([]);
    for _ in 1..MAX_DEPTH {
        value = Value::list([value]);
    }
    assert!(value.to_msgpack().is_ok());
    let value = Value::list([value]);
    assert_eq!(value.to_msgpack(), Err(MsgpackError::Depth));
    assert_eq!(value.to_particle(), Err(MsgpackError::Depth));
    assert!(value.to_string().contains('…'));
}

fn any_key() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Integer),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::blob),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>()
            .prop_filter("equal to itself", |value| !value.is_nan())
            .prop_map(Value::Float),
        any_key(),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Value::GeoJson),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::list),
            prop::collection::vec((any_key(), inner), 0..6).prop_map(|mut entries| {
                entries.sort_by(|(a, _), (b, _)| a.compare(b));
                entries.dedup_by(|(a, _), (b, _)| a == b);
                Value::map(entries)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_value_comes_back(value in any_value()) {
        prop_assert_eq!(Value::from_msgpack(&value.to_msgpack().unwrap()).unwrap(), value.clone());
        let particle = value.to_particle().unwrap();
        prop_assert_eq!(Value::from_particle(particle.as_ref()).unwrap(), value);
    }

    #[test]
    fn what_is_written_is_in_stored_form_already(items in prop::collection::vec(any_value(), 0..5)) {
        let encoded = Value::list(items).to_msgpack().unwrap();
        prop_assert_eq!(normalize(&encoded, Collection::List), Ok(encoded.clone()));
    }

    #[test]
    fn values_and_encodings_agree_on_the_order(a in any_value(), b in any_value()) {
        prop_assert_eq!(compare(&a.to_msgpack().unwrap(), &b.to_msgpack().unwrap()), Ok(a.compare(&b)));
    }
}
