//! Requests that stop the reference, or after which it holds what cannot be read: here each has an answer.

use protocol::message::OpCode;
use serde_json::{Value, json};

use crate::asked::{Bin, stored};

/// What is done one after the other to a bin, each with the code that it is answered, and what is there then.
fn check(before: Option<Value>, steps: &[(Value, u8)], after: Option<Value>) {
    let mut bin = before.as_ref().map_or_else(Bin::default, Bin::of);
    for (payload, code) in steps {
        let got = bin.ask(payload).err().unwrap_or(0);
        assert_eq!(got, *code, "{payload} of {before:?}");
    }
    let after = after.as_ref().map(stored);
    assert_eq!(
        after.unwrap_or_default(),
        bin.shown(),
        "{steps:?} of {before:?}"
    );
}

fn list(elements: &Value) -> Value {
    json!({"$list": elements, "flags": 1})
}

#[test]
fn duplicates_leave_an_ordered_list_that_keeps_an_index() {
    check(
        Some(json!([3, 1, 3, 1, 2])),
        &[(json!([0, 0x11]), 0), (json!([13, 2]), 0)],
        Some(list(&json!([1, 2, 3]))),
    );
}

#[test]
fn an_inverted_empty_list_of_keys_or_values_is_the_whole_map() {
    for before in [
        json!({"a": 1, "b": 2}),
        json!({"$map": [["a", 1], ["b", 2]], "flags": 1}),
    ] {
        let mut map = Bin::of(&before);
        for (number, what, wanted) in [
            (107, 6, json!(["a", "b"])),
            (107, 7, json!([1, 2])),
            (108, 8, json!({"$map": [["a", 1], ["b", 2]], "flags": 8})),
            (107, 16, json!({"a": 1, "b": 2})),
            (108, 17, json!({"$map": [["a", 1], ["b", 2]], "flags": 1})),
        ] {
            let got = map.ask(&json!([number, 0x10000 + what, []]));
            assert_eq!(got, Ok(crate::tagged::particle(&wanted)), "{number} {what}");
        }
        assert_eq!(
            map.ask(&json!([81, 0x10000 + 5, []])),
            Ok(protocol::particle::Particle::integer(2))
        );
        assert_eq!(
            map.ask(&json!([96])),
            Ok(protocol::particle::Particle::integer(0))
        );
    }
}

#[test]
fn the_last_index_of_a_list_that_is_made_is_the_first() {
    check(
        None,
        &[(json!([255, [0x90, -1], [1, 5]]), 0)],
        Some(json!([[5]])),
    );
}

#[test]
fn an_index_before_the_first_is_not_made() {
    for step in [0x90, 0xd0] {
        check(
            Some(json!([[1]])),
            &[(json!([255, [step, -3], [1, 5]]), 26)],
            Some(json!([[1]])),
        );
    }
}

#[test]
fn values_that_cannot_be_stored_are_refused_wherever_they_stand() {
    let twice = json!({"$map": [["k", 1], ["k", 2]]});
    let bad_key = json!({"$map": [[[1], 1]]});
    let unsorted = json!({"$list": [2, 1], "flags": 1});
    for value in [twice, bad_key, unsorted] {
        for before in [json!([1, 2]), list(&json!([1, 2]))] {
            check(
                Some(before.clone()),
                &[(json!([1, value]), 4)],
                Some(before.clone()),
            );
            check(
                Some(before.clone()),
                &[(json!([2, [value]]), 4)],
                Some(before),
            );
        }
        let before = json!([1, 2]);
        for payload in [
            json!([3, 0, value]),
            json!([9, 0, value]),
            json!([1, [[value]]]),
        ] {
            check(Some(before.clone()), &[(payload, 4)], Some(before.clone()));
        }
        let before = json!({"a": 1});
        check(
            Some(before.clone()),
            &[(json!([67, "b", value]), 4)],
            Some(before.clone()),
        );
    }
}

#[test]
fn partial_bit_operations_stay_inside_the_blob() {
    let blob = |text: &str| json!({"$bytes": text});
    for (payload, wanted) in [
        // Shifts by more than what is left of the region.
        (json!([8, 12, 100, 4, 8]), "fff0"),
        (json!([9, 12, 100, 4, 8]), "fff0"),
        (json!([8, 12, 100, 800, 8]), "fff0"),
        (json!([9, 12, 100, 800, 8]), "fff0"),
        // Longer buffers than what is left.
        (json!([4, 8, 32, blob("00ff00ff"), 8]), "ffff"),
        (json!([5, 8, 32, blob("ffff00ff"), 8]), "ff00"),
        (json!([6, 8, 32, blob("0fff00ff"), 8]), "ff0f"),
        (json!([3, 8, 32, blob("a5ff00ff"), 8]), "ffa5"),
        (json!([7, 8, 32, 8]), "ff00"),
    ] {
        let mut bin = Bin::of(&blob("ffff"));
        assert!(
            bin.ask_op(OpCode::BITS_MODIFY, &payload).is_ok(),
            "{payload}"
        );
        assert_eq!(bin.shown(), stored(&blob(wanted)), "{payload}");
    }
}
