use std::cmp::Ordering;

use proptest::prelude::*;
use protocol::limits::MAX_DEPTH;
use protocol::msgpack::{
    Collection, MsgpackError, Reader, Token, compare, first_value, normalize, skip_value,
    write_float, write_integer, write_text,
};
use protocol::particle::ParticleType;

use crate::hex;

#[test]
fn integers_take_their_smallest_form() {
    let cases: [(i64, &str); 20] = [
        (0, "00"),
        (127, "7f"),
        (128, "cc 80"),
        (255, "cc ff"),
        (256, "cd 01 00"),
        (65_535, "cd ff ff"),
        (65_536, "ce 00 01 00 00"),
        (4_294_967_295, "ce ff ff ff ff"),
        (4_294_967_296, "cf 00 00 00 01 00 00 00 00"),
        (i64::MAX, "cf 7f ff ff ff ff ff ff ff"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0 df"),
        (-128, "d0 80"),
        (-129, "d1 ff 7f"),
        (-32_768, "d1 80 00"),
        (-32_769, "d2 ff ff 7f ff"),
        (-2_147_483_648, "d2 80 00 00 00"),
        (-2_147_483_649, "d3 ff ff ff ff 7f ff ff ff"),
        (i64::MIN, "d3 80 00 00 00 00 00 00 00"),
    ];
    for (value, text) in cases {
        let mut out = Vec::new();
        write_integer(&mut out, value);
        assert_eq!(out, hex::bytes(text), "{value}");
        assert_eq!(Reader::new(&out).token(), Ok(Token::Integer(value)));
    }
}

#[test]
fn unsigned_integers_above_the_signed_range_wrap() {
    let bytes = hex::bytes("cf ff ff ff ff ff ff ff fe");
    assert_eq!(Reader::new(&bytes).token(), Ok(Token::Integer(-2)));
}

#[test]
fn text_lengths_count_the_type_byte() {
    let cases: [(ParticleType, &[u8], &str); 4] = [
        (ParticleType::STRING, b"a", "a2 03 61"),
        (ParticleType::STRING, b"", "a1 03"),
        (ParticleType::BLOB, &[1, 2], "a3 04 01 02"),
        (ParticleType::GEOJSON, b"{}", "a3 17 7b 7d"),
    ];
    for (kind, content, text) in cases {
        let mut out = Vec::new();
        write_text(&mut out, kind, content);
        assert_eq!(out, hex::bytes(text));
    }
    for (size, head) in [
        (30, "bf"),
        (31, "d9 20"),
        (254, "d9 ff"),
        (255, "da 01 00"),
        (65_535, "db 00 01 00 00"),
    ] {
        let mut out = Vec::new();
        write_text(&mut out, ParticleType::STRING, &vec![b'x'; size]);
        assert!(out.starts_with(&hex::bytes(head)), "{size}");
        assert_eq!(skip_value(&out), Ok(()));
    }
}

#[test]
fn stored_collections_have_the_servers_form() {
    let list = Collection::List;
    let map = Collection::Map;
    let cases = [
        ("empty list", list, "90", "90"),
        ("empty map", map, "80", "80"),
        ("list with a long head", list, "dd 00 00 00 01 05", "91 05"),
        (
            "map with a long head",
            map,
            "df 00 00 00 01 01 02",
            "81 01 02",
        ),
        ("bin family", list, "91 c4 02 03 61", "91 a2 03 61"),
        ("long text head", list, "91 d9 02 03 61", "91 a2 03 61"),
        (
            "long integer",
            list,
            "91 d3 00 00 00 00 00 00 00 05",
            "91 05",
        ),
        ("negative in a long form", list, "91 d0 fb", "91 fb"),
        (
            "unsigned above the signed range",
            list,
            "91 cf ff ff ff ff ff ff ff ff",
            "91 cf ff ff ff ff ff ff ff ff",
        ),
        (
            "float of 4 bytes",
            list,
            "91 ca 3f c0 00 00",
            "91 ca 3f c0 00 00",
        ),
        ("text without type byte", list, "91 a0", "91 a0"),
        ("text of unknown type", list, "91 a2 63 61", "91 a2 63 61"),
        ("nil and bools", list, "93 c0 c2 c3", "93 c0 c2 c3"),
        (
            "unsorted map",
            map,
            "82 a2 03 62 02 a2 03 61 01",
            "82 a2 03 61 01 a2 03 62 02",
        ),
        (
            "keys of several types",
            map,
            "83 a2 04 61 03 a2 03 61 02 05 01",
            "83 05 01 a2 03 61 02 a2 04 61 03",
        ),
        (
            "negative keys",
            map,
            "83 01 a2 03 61 02 a2 03 62 ff a2 03 63",
            "83 ff a2 03 63 01 a2 03 61 02 a2 03 62",
        ),
        (
            "map in a list",
            list,
            "91 82 02 00 01 00",
            "91 82 01 00 02 00",
        ),
        (
            "map in a map",
            map,
            "82 02 82 09 c0 08 c0 01 c3",
            "82 01 c3 02 82 08 c0 09 c0",
        ),
        (
            "ordered map",
            map,
            "83 c7 00 01 c0 a2 03 61 01 a2 03 62 02",
            "83 c7 00 01 c0 a2 03 61 01 a2 03 62 02",
        ),
        (
            "key-value ordered map",
            map,
            "82 c7 00 03 c0 01 02",
            "82 c7 00 03 c0 01 02",
        ),
        (
            "ordered list",
            list,
            "94 c7 00 01 01 02 03",
            "94 c7 00 01 01 02 03",
        ),
        (
            "ordered list with equal elements",
            list,
            "93 c7 00 01 01 01",
            "93 c7 00 01 01 01",
        ),
        (
            "ordered list of mixed types",
            list,
            "94 c7 00 01 c0 05 a2 03 61",
            "94 c7 00 01 c0 05 a2 03 61",
        ),
        (
            "map with flags 0",
            map,
            "83 c7 00 00 c0 02 00 01 00",
            "82 01 00 02 00",
        ),
        (
            "map with order kept by the client",
            map,
            "83 c7 00 08 c0 02 00 01 00",
            "82 01 00 02 00",
        ),
        ("list with flags 0", list, "93 c7 00 00 02 01", "92 02 01"),
        ("list with flag 8", list, "92 c7 00 08 01", "91 01"),
        (
            "map with an index",
            map,
            "82 c7 00 11 c0 01 00",
            "82 c7 00 01 c0 01 00",
        ),
        (
            "list with an index",
            list,
            "92 c7 00 11 01",
            "92 c7 00 01 01",
        ),
        ("ordered and empty", map, "81 c7 00 01 c0", "81 c7 00 01 c0"),
        (
            "unsigned keys above the signed range come last",
            map,
            "82 cf ff ff ff ff ff ff ff ff 01 05 02",
            "82 05 02 cf ff ff ff ff ff ff ff ff 01",
        ),
        (
            "order with data",
            list,
            "93 c7 03 01 37 38 39 01 02",
            "93 c7 00 01 01 02",
        ),
        (
            "order in another form",
            list,
            "92 d5 01 00 00 07",
            "92 c7 00 01 07",
        ),
        ("order of lists is one bit", list, "92 c7 00 02 07", "91 07"),
        ("all bits", map, "81 c7 00 ff 07", "81 c7 00 03 c0"),
        (
            "value order does without sorted keys",
            map,
            "83 c7 00 02 c0 02 00 01 00",
            "83 c7 00 02 c0 01 00 02 00",
        ),
        (
            "order with a value other than nil",
            map,
            "82 c7 00 01 a2 03 61 01 00",
            "82 c7 00 01 c0 01 00",
        ),
        (
            "order behind the first place is an element",
            list,
            "92 01 c9 00 00 00 00 01",
            "92 01 c7 00 01",
        ),
        (
            "an extension of one byte is an element",
            list,
            "91 d4 01 00",
            "91 d4 01 00",
        ),
        (
            "extension as value",
            map,
            "81 01 c7 01 01 ff",
            "81 01 d4 01 ff",
        ),
    ];
    for (what, kind, input, stored) in cases {
        let found = normalize(&hex::bytes(input), kind);
        assert_eq!(found, Ok(hex::bytes(stored)), "{what}");
        assert_eq!(
            normalize(&found.unwrap(), kind),
            Ok(hex::bytes(stored)),
            "{what}, stored again"
        );
    }
}

#[test]
fn rejects_collections_that_cannot_be_stored() {
    use MsgpackError::*;
    let list = Collection::List;
    let map = Collection::Map;
    let cases = [
        ("empty value", list, "", Truncated),
        ("list for a map", map, "90", Kind),
        ("map for a list", list, "80", Kind),
        ("integer for a list", list, "05", Kind),
        ("trailing byte", list, "90 00", Trailing(1)),
        ("element missing", list, "92 01", Truncated),
        ("value missing", map, "81 01", Truncated),
        ("reserved byte", list, "91 c1", Lead(0xc1)),
        ("key nil", map, "81 c0 01", Key),
        ("key bool", map, "81 c3 01", Key),
        ("key float", map, "81 cb 00 00 00 00 00 00 00 00 01", Key),
        ("key list", map, "81 90 01", Key),
        ("key map", map, "81 80 01", Key),
        ("key geojson", map, "81 a1 17 01", Key),
        ("key wildcard", map, "81 d4 ff 00 01", Extension),
        ("key twice", map, "82 01 00 01 00", DuplicateKey),
        (
            "key twice in two forms",
            map,
            "82 01 00 cc 01 00",
            DuplicateKey,
        ),
        (
            "key twice among unsorted",
            map,
            "83 05 00 01 00 05 00",
            DuplicateKey,
        ),
        (
            "key twice in an ordered map",
            map,
            "83 c7 00 01 c0 01 00 01 00",
            DuplicateKey,
        ),
        (
            "key twice in a nested map",
            list,
            "91 82 01 00 01 00",
            DuplicateKey,
        ),
        (
            "ordered map unsorted",
            map,
            "83 c7 00 01 c0 02 00 01 00",
            Unsorted,
        ),
        ("ordered list unsorted", list, "93 c7 00 01 02 01", Unsorted),
        (
            "nested ordered list unsorted",
            list,
            "91 93 c7 00 01 02 01",
            Unsorted,
        ),
        (
            "order that would come to the first place",
            list,
            "92 c7 00 00 c7 00 01",
            Order,
        ),
        (
            "order in the middle of a map",
            map,
            "82 01 00 c7 00 01 c0",
            Order,
        ),
        ("wildcard", list, "91 d4 ff 00", Extension),
        ("infinity", list, "91 d4 ff 01", Extension),
        (
            "extension of 4 bytes",
            list,
            "91 d6 00 00 00 00 00",
            Extension,
        ),
        ("key extension", map, "81 d4 00 00 01", Extension),
        ("key text without type byte", map, "81 a0 01", Key),
        ("key blob of a language", map, "81 a2 0c 61 01", Key),
    ];
    for (what, kind, input, error) in cases {
        assert_eq!(normalize(&hex::bytes(input), kind), Err(error), "{what}");
    }
}

#[test]
fn rejects_counts_and_lengths_beyond_the_bytes() {
    let cases = [
        "dd ff ff ff ff",
        "dd ff ff ff ff 00 00",
        "df ff ff ff ff 00 00",
        "dc 00 03 01 02",
        "db ff ff ff ff 03",
        "c6 ff ff ff ff 03",
        "c9 ff ff ff ff 00",
        "d9 05 03",
        "8f 00 00",
        "cb 00",
        "d8 00 00",
    ];
    for text in cases {
        let bytes = hex::bytes(text);
        assert_eq!(skip_value(&bytes), Err(MsgpackError::Truncated), "{text}");
        assert!(Reader::new(&bytes).token().is_err(), "{text}");
    }
}

#[test]
fn rejects_nesting_beyond_the_limit_everywhere() {
    let nested = |depth: usize| [vec![0x91; depth - 1], vec![0x90]].concat();
    for depth in [1, MAX_DEPTH - 1, MAX_DEPTH] {
        let bytes = nested(depth);
        assert_eq!(normalize(&bytes, Collection::List), Ok(bytes.clone()));
        assert_eq!(compare(&bytes, &bytes), Ok(Ordering::Equal));
        assert_eq!(skip_value(&bytes), Ok(()));
        assert!(protocol::value::Value::from_msgpack(&bytes).is_ok());
    }
    for depth in [MAX_DEPTH + 1, 1_000_000] {
        let bytes = nested(depth);
        assert_eq!(
            normalize(&bytes, Collection::List),
            Err(MsgpackError::Depth)
        );
        assert_eq!(compare(&bytes, &bytes), Err(MsgpackError::Depth));
        assert_eq!(
            protocol::value::Value::from_msgpack(&bytes),
            Err(MsgpackError::Depth)
        );
    }
    assert_eq!(skip_value(&nested(1_000_000)), Err(MsgpackError::Depth));
}

#[test]
fn values_are_ordered_by_type_and_then_within_it() {
    let ascending = [
        "c0",
        "c2",
        "c3",
        "d3 80 00 00 00 00 00 00 00",
        "ff",
        "00",
        "cd 01 00",
        "a1 03",
        "a2 03 61",
        "a3 03 61 61",
        "a2 03 62",
        "90",
        "91 01",
        "92 01 01",
        "91 02",
        "91 a1 03",
        "80",
        "81 01 01",
        "81 01 02",
        "81 02 01",
        "82 01 01 02 01",
        "a1 04",
        "a2 04 61",
        "cb bf f0 00 00 00 00 00 00",
        "ca 00 00 00 00",
        "cb 3f f0 00 00 00 00 00 00",
        "a1 17",
        "a2 17 61",
        "d4 01 00",
        "d4 ff 00",
        "d4 ff 01",
    ];
    for (i, left) in ascending.iter().enumerate() {
        for (j, right) in ascending.iter().enumerate() {
            assert_eq!(
                compare(&hex::bytes(left), &hex::bytes(right)),
                Ok(i.cmp(&j)),
                "{left} and {right}"
            );
        }
    }
    let same = [
        ("05", "cc 05"),
        ("a2 03 61", "c4 02 03 61"),
        ("92 c7 00 01 05", "91 05"),
        ("82 c7 00 01 c0 01 02", "81 01 02"),
    ];
    for (left, right) in same {
        assert_eq!(
            compare(&hex::bytes(left), &hex::bytes(right)),
            Ok(Ordering::Equal),
            "{left} and {right}"
        );
    }
}

#[test]
fn the_first_value_is_taken_off() {
    let bytes = hex::bytes("92 01 81 02 90 05 06");
    assert_eq!(first_value(&bytes), Ok((&bytes[..5], &[5, 6][..])));
}

/// Encoded values as a client could send them: any order of keys, any length of heads.
fn any_encoded() -> impl Strategy<Value = Vec<u8>> {
    let leaf = prop_oneof![
        Just(vec![0xc0]),
        Just(vec![0xc2]),
        Just(vec![0xc3]),
        any::<i64>().prop_map(|value| [&[0xd3][..], &value.to_be_bytes()].concat()),
        (-200_i64..200).prop_map(|value| {
            let mut out = Vec::new();
            write_integer(&mut out, value);
            out
        }),
        any::<f64>().prop_map(|value| {
            let mut out = Vec::new();
            write_float(&mut out, value);
            out
        }),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|content| {
            [
                &[0xc5][..],
                &u16::try_from(content.len()).unwrap().to_be_bytes(),
                &content,
            ]
            .concat()
        }),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| [
                &[0xdd, 0, 0, 0, u8::try_from(items.len()).unwrap()][..],
                &items.concat()
            ]
            .concat()),
            prop::collection::vec((0_u8..100, inner), 0..6).prop_map(|pairs| {
                let pairs_bytes: Vec<u8> = pairs
                    .iter()
                    .flat_map(|(key, value)| [&[*key][..], value].concat())
                    .collect();
                [
                    &[0xde, 0, u8::try_from(pairs.len()).unwrap()][..],
                    &pairs_bytes,
                ]
                .concat()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_stored_is_stable_and_compares_as_equal(value in any_encoded()) {
        let list = [&[0x91][..], &value].concat();
        match normalize(&list, Collection::List) {
            Ok(stored) => {
                prop_assert!(stored.len() <= list.len());
                prop_assert_eq!(normalize(&stored, Collection::List), Ok(stored.clone()));
                prop_assert_eq!(compare(&stored, &stored), Ok(Ordering::Equal));
            }
            Err(error) => prop_assert_eq!(error, MsgpackError::DuplicateKey),
        }
    }

    #[test]
    fn no_truncated_value_is_accepted(value in any_encoded()) {
        prop_assert_eq!(skip_value(&value), Ok(()));
        let list = [&[0x91][..], &value].concat();
        for end in 0..list.len() {
            prop_assert_eq!(skip_value(&list[..end]), Err(MsgpackError::Truncated));
            prop_assert!(normalize(&list[..end], Collection::List).is_err());
        }
        prop_assert_eq!(skip_value(&[&list[..], &[0]].concat()), Err(MsgpackError::Trailing(1)));
    }

    #[test]
    fn the_order_is_total(a in any_encoded(), b in any_encoded(), c in any_encoded()) {
        // Only stored values have their maps sorted, which the order relies on.
        let stored = |value: &[u8]| normalize(&[&[0x91][..], value].concat(), Collection::List);
        if let (Ok(a), Ok(b), Ok(c)) = (stored(&a), stored(&b), stored(&c)) {
            let order = |x: &[u8], y: &[u8]| compare(x, y).unwrap();
            prop_assert_eq!(order(&a, &b), order(&b, &a).reverse());
            let mut sorted = [a, b, c];
            sorted.sort_by(|x, y| order(x, y));
            prop_assert!(order(&sorted[0], &sorted[2]).is_le());
        }
    }
}
