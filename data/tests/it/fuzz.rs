//! Bytes that nobody would send: whatever they are, the operation answers, and its work is bounded by their number.

use data::work::{UnitsLeft, Unmetered};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use protocol::message::OpCode;
use protocol::particle::{Particle, ParticleType};
use serde_json::{Value, json};

use crate::asked::{ask_bytes, stored};
use crate::tagged;

const OPS: [OpCode; 6] = [
    OpCode::CDT_READ,
    OpCode::CDT_MODIFY,
    OpCode::BITS_READ,
    OpCode::BITS_MODIFY,
    OpCode::HLL_READ,
    OpCode::HLL_MODIFY,
];

/// Units of work that are granted for each byte of bin and payload, and for an operation without any.
const UNITS_PER_BYTE: u64 = 2_000;
const UNITS: u64 = 4_000_000;

fn bins() -> Vec<Option<Particle>> {
    let sketch = {
        let mut bytes = vec![0, 4, 0];
        bytes.extend_from_slice(&[0; 8 + 12]);
        Particle::new(ParticleType::HLL, bytes)
    };
    vec![
        None,
        Some(stored(&json!([5, 1, 9, 1, 7, 3]))),
        Some(stored(
            &json!({"$list": [1, "a", [1, 2], {"k": 1}], "flags": 1}),
        )),
        Some(stored(&json!({"a": 5, "b": [1, 2, 3], "c": {"x": 1}}))),
        Some(stored(&json!({"$map": [[1, 2], ["a", [1]]], "flags": 3}))),
        Some(stored(&json!({"$bytes": "0102030405060708"}))),
        Some(sketch),
        Some(Particle::string("text")),
    ]
}

/// Payloads that are well-formed, to be damaged.
fn seeds() -> Vec<Vec<u8>> {
    let payloads: Vec<Value> = vec![
        json!([1, 5, 0, 1]),
        json!([2, [1, 2, "a", [1, {"k": 2}]], 1, 13]),
        json!([4, -2, [1, 2, 3], 1]),
        json!([26, 7, -3, 2]),
        json!([23, 0x10003, [1, 9, {"$wild": true}]]),
        json!([27, 7, 5, -1, 2]),
        json!([67, "b", {"k": [1, 2, {"$float": "1.5"}]}, 3, 4]),
        json!([68, {"z": 1, "y": 2}, 1, 13]),
        json!([107, 17, ["a", "zz", 1]]),
        json!([110, 6, 5, -1, 2]),
        json!([255, [0x22, "b", 0x10, 1], [12, 0, 5]]),
        json!([255, [0xa2, "new", 0x90, 3], [1, 5]]),
        json!([254, [4, true, 0x22, "x", 4, true], 1]),
        json!([254, [0x2a, ["a", "b"], 4, true], 0]),
        json!([3, 4, 20, {"$bytes": "ff00ff"}, 8]),
        json!([10, 3, 13, -5, 4, 3]),
        json!([1, ["a", 1, {"$float": "2.5"}], 8, 4]),
        json!([2, [{"$bytes": "0004000000000000000000000000000000000000000000", "subtype": 18}], 8]),
    ];
    payloads
        .iter()
        .map(|payload| {
            let mut bytes = Vec::new();
            tagged::pack(payload, &mut bytes);
            bytes
        })
        .collect()
}

/// Applies the payload to every kind of bin by every op.
fn body(payload: &[u8]) {
    for bin in bins() {
        for op in OPS {
            let size = bin.as_ref().map_or(0, |bin| bin.data.len()) + payload.len();
            let units = UNITS + UNITS_PER_BYTE * size as u64;
            let mut work = UnitsLeft(units);
            if let Err(error) = ask_bytes(op, payload, bin.as_ref(), &mut work) {
                assert_ne!(
                    error.code.0, 9,
                    "more than {units} units for {size} bytes: {op:?} {payload:02x?} of {bin:?}"
                );
            }
        }
    }
}

fn runner(cases: u32) -> TestRunner {
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn noise() {
    runner(150)
        .run(&prop::collection::vec(any::<u8>(), 0..64), |payload| {
            body(&payload);
            Ok(())
        })
        .unwrap();
}

#[test]
fn damaged_payloads() {
    let damage = (
        prop::sample::select(seeds()),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    runner(400)
        .run(&damage, |(mut payload, bytes, cut, is_cut)| {
            for (at, byte) in bytes {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
            if is_cut {
                payload.truncate(cut.index(payload.len()));
            }
            body(&payload);
            Ok(())
        })
        .unwrap();
}

#[test]
fn lying_counts_and_deep_nesting() {
    for lead in [
        [0xdd, 0xff, 0xff, 0xff, 0xff],
        [0xdf, 0xff, 0xff, 0xff, 0xff],
        [0xdb, 0xff, 0xff, 0xff, 0xff],
        [0xc9, 0xff, 0xff, 0xff, 0xff],
    ] {
        for start in [
            &[0x92, 0x01][..],
            &[0x92, 0x02],
            &[0x93, 0x17, 0x07],
            &[0x92, 0x44],
            &[0x93, 0x6b, 0x07],
            &[0x93, 0xcc, 0xff],
        ] {
            body(&[start, &lead].concat());
        }
    }
    for lead in [0x91_u8, 0x81] {
        for start in [
            &[0x92, 0x01][..],
            &[0x93, 0x14, 0x07],
            &[0x93, 0x43, 0x01],
            &[0x93, 0xcc, 0xff],
        ] {
            let mut payload = start.to_vec();
            payload.extend(std::iter::repeat_n(lead, 100_000));
            payload.push(0xc0);
            body(&payload);
        }
    }
    // A context as deep as a payload can say.
    let mut deep = vec![0x93, 0xcc, 0xff, 0xdc, 0xff, 0xfe];
    for _ in 0..32_767 {
        deep.extend_from_slice(&[0xcc, 0xd0, 0x00]);
    }
    deep.extend_from_slice(&[0x92, 0x01, 0x05]);
    body(&deep);
}

#[test]
fn huge_numbers_take_no_memory() {
    for payload in [
        json!([3, 2_147_483_647_i64, 1]),
        json!([9, 2_147_483_647_i64, 1]),
        json!([12, 2_147_483_647_i64, 1]),
        json!([255, [0x90, 2_147_483_647_i64], [1, 5]]),
        json!([24, 7, i64::MIN, {"$uint": u64::MAX}]),
        json!([26, 7, i64::MIN, {"$uint": u64::MAX}]),
        json!([27, 7, 5, i64::MAX, {"$uint": u64::MAX}]),
        json!([27, 7, 5, i64::MIN, {"$uint": u64::MAX}]),
        json!([0, 134_217_728, 0, 0]),
        json!([1, 134_217_728, {"$bytes": "01"}]),
        json!([8, 0, 1_073_741_824, 1_073_741_824, 8]),
    ] {
        let mut bytes = Vec::new();
        tagged::pack(&payload, &mut bytes);
        body(&bytes);
    }
}

/// Large lists and maps, and what is dear with them: the work grows about as their size.
#[test]
fn work_of_large_collections_is_bounded() {
    let numbers: Vec<i64> = (0..30_000).map(|n| (n * 7_919) % 30_011).collect();
    let list = stored(&json!(numbers));
    let pairs: Vec<(i64, i64)> = numbers.iter().map(|n| (*n, 30_011 - *n)).collect();
    let map = stored(&json!({"$map": pairs}));
    for (op, payload, bin) in [
        (OpCode::CDT_MODIFY, json!([13, 2]), &list),
        (OpCode::CDT_MODIFY, json!([0, 0x11]), &list),
        (OpCode::CDT_MODIFY, json!([2, numbers, 0, 13]), &list),
        (OpCode::CDT_READ, json!([23, 3, numbers]), &list),
        (OpCode::CDT_READ, json!([26, 7, 1000, 15_000]), &list),
        (OpCode::CDT_READ, json!([24, 3, 1, 15_000]), &list),
        (OpCode::CDT_MODIFY, json!([64, 0x11]), &map),
        (OpCode::CDT_READ, json!([107, 7, numbers]), &map),
        (OpCode::CDT_READ, json!([108, 3, numbers]), &map),
        (OpCode::CDT_READ, json!([106, 7, 1, 15_000]), &map),
        (
            OpCode::CDT_MODIFY,
            json!([68, {"$map": pairs}, 0, 13]),
            &map,
        ),
        (OpCode::CDT_READ, json!([254, [4, true], 0]), &map),
    ] {
        let mut bytes = Vec::new();
        tagged::pack(&payload, &mut bytes);
        let mut counted = Unmetered::default();
        let small: Vec<u8> = bytes.iter().copied().take(24).collect();
        assert!(
            ask_bytes(op, &bytes, Some(bin), &mut counted).is_ok(),
            "{small:02x?}"
        );
        let size = (bin.data.len() + bytes.len()) as u64;
        assert!(
            counted.units > size / 64,
            "{small:02x?} counts only {} units",
            counted.units
        );
        assert!(
            counted.units < size * 1_000,
            "{small:02x?} takes {} units for {size} bytes",
            counted.units
        );
        // And it ends when its time is up.
        let error = ask_bytes(op, &bytes, Some(bin), &mut UnitsLeft(counted.units / 2));
        assert_eq!(error.unwrap_err().code.0, 9, "{small:02x?}");
    }
}
