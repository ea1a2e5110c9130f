//! Long lists and maps, as records hold them: what is found by landmarks is what a walk finds, whatever was changed before.

use data::encoded::Landmarks;
use data::operation::{
    Applied, Call, Change, Environment, Limits, OperationError, Surroundings, Working,
};
use data::record::{Parts, StoredRecord};
use data::work::Unmetered;
use protocol::key::Digest;
use protocol::message::{Op, OpCode};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use serde_json::{Value, json};

use crate::asked::{Bin, MAX_BYTES, stored};
use crate::tagged;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % sides
    }

    fn value(&mut self) -> Value {
        match self.roll(6) {
            0 => json!("x".repeat(self.roll(60) as usize)),
            1 => json!([self.roll(5), "in a list"]),
            2 => json!({ "$float": format!("{}.5", self.roll(9)) }),
            _ => json!(self.roll(1_000)),
        }
    }

    fn key(&mut self) -> Value {
        match self.roll(3) {
            0 => json!(format!("key of some length {}", self.roll(300))),
            _ => json!(self.roll(400)),
        }
    }

    fn returned(&mut self) -> i64 {
        let inverted = if self.roll(6) == 0 { 0x1_0000 } else { 0 };
        [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 8, 9, 10, 11, 12, 13, 16, 17][self.roll(18) as usize]
            + inverted
    }

    /// Near an end, or anywhere, or beyond.
    fn index(&mut self) -> i64 {
        match self.roll(4) {
            0 => self.roll(6) - 3,
            _ => self.roll(900) - 450,
        }
    }

    fn number(&mut self) -> i64 {
        match self.roll(3) {
            0 => self.roll(300),
            _ => self.roll(6),
        }
    }

    fn keys(&mut self) -> Vec<Value> {
        (0..self.roll(5)).map(|_| self.key()).collect()
    }

    fn list_op(&mut self) -> Value {
        let (ret, index, number) = (self.returned(), self.index(), self.number());
        let (a, b) = (self.value(), self.value());
        let removing = if self.roll(4) == 0 { 13 } else { 0 };
        let flags = [0, 0, 4, 1, 5, 13][self.roll(6) as usize];
        match self.roll(24) {
            0 | 1 => json!([1, a, 0, flags]),
            2 => json!([2, [a, b, 3], 0, flags]),
            3 | 4 => json!([3, index, a]),
            5 => json!([5, index]),
            6 => json!([6, index, number.min(20)]),
            7 => json!([8, index, number.min(20)]),
            8 | 9 => json!([9, index, a]),
            10 if self.roll(4) == 0 => json!([10, index.clamp(0, 60), 300]),
            11 => json!([12, index, 3]),
            12 => json!([17, index]),
            13 => json!([18, index, number]),
            14 => json!([19 + removing, ret, index]),
            15 => json!([20 + removing, ret, a]),
            16 => json!([21 + removing, ret, index]),
            17 => json!([22 + removing, ret, a]),
            18 => json!([23 + removing, ret, [a, b]]),
            19 => json!([24 + removing, ret, index, number.min(30)]),
            20 if removing == 0 => json!([25, ret, a, b]),
            21 => json!([26 + removing, ret, index, number.min(30)]),
            22 => json!([27 + removing, ret, a, index % 5, number.min(30)]),
            _ => json!([255, [0x10, index], [1, b]]),
        }
    }

    fn map_op(&mut self) -> Value {
        let (ret, index, number) = (self.returned(), self.index(), self.number().min(30));
        let (key, other, value) = (self.key(), self.key(), self.value());
        let removing = self.roll(5) == 0;
        let by = |read: i64, removal: i64| if removing { removal } else { read };
        match self.roll(22) {
            0..=2 => json!([67, key, value, 1, 0]),
            3 => json!([68, { "$map": [[key, value], ["another key", 2]] }, 1, 0]),
            4 => json!([73, key, 5, 1, 0]),
            5 | 6 => json!([by(97, 76), ret, key]),
            7 => json!([by(98, 77), ret, index]),
            8 => json!([by(99, 78), ret, value]),
            9 => json!([by(100, 79), ret, index]),
            10 => json!([by(102, 82), ret, value]),
            11 if !removing => json!([103, ret, key, other]),
            12 => json!([by(104, 85), ret, index, number]),
            13 if !removing => json!([105, ret, value, self.value()]),
            14 => json!([by(106, 87), ret, index, number]),
            15 | 16 => json!([by(107, 81), ret, self.keys()]),
            17 => json!([by(108, 83), ret, [value, 7]]),
            18 => json!([by(109, 88), ret, key, index % 7, number]),
            19 => json!([by(110, 89), ret, value, index % 7, number]),
            20 => json!([255, [0x22, key], [1, value]]),
            _ => json!([255, [0x62, key], [67, "in a map", value]]),
        }
    }
}

fn is_read(payload: &Value) -> bool {
    let number = payload[0].as_i64().unwrap();
    let inner = if number == 255 {
        payload[2][0].as_i64().unwrap()
    } else {
        number
    };
    matches!(inner, 16..=27 | 96..=110)
}

fn ask(
    payload: &[u8],
    is_read: bool,
    bin: ParticleRef<'_>,
    landmarks: Landmarks<'_>,
) -> Result<Applied, OperationError> {
    let op = if is_read {
        OpCode::CDT_READ
    } else {
        OpCode::CDT_MODIFY
    };
    let value = Particle::new(ParticleType::BLOB, payload.to_vec());
    Call::parse(op, value.as_ref()).unwrap().apply(
        Some(bin),
        &mut Environment {
            limits: Limits {
                max_particle_bytes: MAX_BYTES,
            },
            work: &mut Unmetered::default(),
            landmarks,
            expressions: None,
        },
    )
}

fn record(before: Option<&StoredRecord>, bin: &Particle) -> StoredRecord {
    let parts = Parts {
        digest: Digest([7; 20]),
        token: 1,
        generation: 1,
        void_time: 0,
        last_update_ms: 1,
        set: "demo",
        key: None,
    };
    let small = Particle::integer(1);
    let bins = [
        (&b"small"[..], small.as_ref()),
        (&b"long"[..], bin.as_ref()),
    ];
    let (record, size) =
        StoredRecord::new_after(before, &parts, bins.into_iter(), &mut Vec::new()).unwrap();
    assert_eq!(record.size(), size);
    record
}

/// The long bin and what is beside it.
fn long(record: &StoredRecord) -> (ParticleRef<'_>, Landmarks<'_>) {
    let (bin, landmarks) = record.with_landmarks().nth(1).unwrap();
    (bin.value, landmarks)
}

#[test]
fn answers_by_landmarks_are_those_of_a_walk() {
    let cases: u64 = match std::env::var("LONG_CASES") {
        Ok(cases) => cases.parse().unwrap(),
        Err(_) => 24,
    };
    let mut with_landmarks = 0;
    for seed in 0..cases {
        let mut dice = Dice(seed);
        let is_map = seed % 2 == 0;
        let mut bin = if is_map {
            let pairs: std::collections::BTreeMap<String, (Value, Value)> = (0..400)
                .map(|_| (dice.key(), dice.value()))
                .map(|(key, value)| (key.to_string(), (key, value)))
                .collect();
            let pairs: Vec<_> = pairs.into_values().collect();
            let flags = [0, 1, 3][(seed / 2) as usize % 3];
            let mut map = Bin::of(&json!({ "$map": pairs }));
            map.ask(&json!([64, flags])).unwrap();
            map.0.unwrap()
        } else {
            let values: Vec<Value> = (0..400).map(|_| dice.value()).collect();
            let mut list = Bin::of(&json!(values));
            list.ask(&json!([0, seed / 2 % 2])).unwrap();
            list.0.unwrap()
        };
        let mut before = record(None, &bin);
        for _ in 0..150 {
            let payload = if is_map {
                dice.map_op()
            } else {
                dice.list_op()
            };
            let mut bytes = Vec::new();
            tagged::pack(&payload, &mut bytes);
            let read = is_read(&payload);
            let walked = ask(&bytes, read, bin.as_ref(), Landmarks::NONE);
            // Landmarks that followed all changes, and such as are made anew.
            let anew = StoredRecord::read(before.as_bytes()).unwrap();
            for record in [&before, &anew] {
                let (value, landmarks) = long(record);
                assert_eq!(value, bin.as_ref());
                with_landmarks += u32::from(landmarks != Landmarks::NONE);
                let found = ask(&bytes, read, value, landmarks);
                assert_eq!(found, walked, "seed {seed}: {payload}");
            }
            if let Ok(Applied {
                change: Change::Set(particle),
                ..
            }) = walked
            {
                let after = record(Some(&before), &particle);
                assert_eq!(after.as_bytes(), record(None, &particle).as_bytes());
                bin = particle;
                before = after;
            }
        }
    }
    let all = u32::try_from(cases).unwrap() * 300;
    assert!(with_landmarks > all / 2, "{with_landmarks} of {all}");
}

/// What becomes of the bins of a record when one request does all these operations, and what they answer.
fn all_at_once(record: &StoredRecord, payloads: &[Vec<u8>], by_landmarks: bool) -> String {
    let bins = record.with_landmarks().map(|(bin, landmarks)| {
        let landmarks = if by_landmarks {
            landmarks
        } else {
            Landmarks::NONE
        };
        (bin.bin_name(), bin.value, landmarks)
    });
    let mut working = Working::of(bins, payloads.len());
    let digest = record.digest();
    let mut work = Unmetered::default();
    let mut surroundings = Surroundings {
        limits: Limits {
            max_particle_bytes: MAX_BYTES,
        },
        work: &mut work,
        metadata: record.metadata(&digest),
        now_ms: 1,
    };
    let mut done = String::new();
    for payload in payloads {
        let op = Op {
            op: OpCode::CDT_MODIFY,
            particle: ParticleType::BLOB,
            flags: 0,
            name: b"long",
            value: payload,
        };
        let checked = data::operation::check(&op, false, &mut Unmetered::default()).unwrap();
        let mut answers = Vec::new();
        let applied = working.apply(&checked, &mut surroundings, true, |_, _, value| {
            answers.push(value.to_particle());
        });
        done.push_str(&format!("{applied:?} {answers:?}\n"));
    }
    done + &format!("{:?}", working.iter().collect::<Vec<_>>())
}

#[test]
fn operations_of_one_request_follow_each_other() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let is_map = seed % 2 == 0;
        let bin = if is_map {
            let pairs: Vec<(i64, Value)> = (0..300).map(|key| (key, dice.value())).collect();
            stored(&json!({ "$map": pairs }))
        } else {
            let values: Vec<Value> = (0..300).map(|_| dice.value()).collect();
            stored(&json!(values))
        };
        let record = record(None, &bin);
        let mut payloads = Vec::new();
        while payloads.len() < 40 {
            let payload = if is_map {
                dice.map_op()
            } else {
                dice.list_op()
            };
            if !is_read(&payload) {
                let mut bytes = Vec::new();
                tagged::pack(&payload, &mut bytes);
                payloads.push(bytes);
            }
        }
        let [found, walked] = [true, false].map(|by| all_at_once(&record, &payloads, by));
        assert!(found == walked, "seed {seed}: {found}\n{walked}");
    }
}

/// A list of 1,000 numbers that keeps an index.
fn indexed() -> Particle {
    let numbers: Vec<i64> = (0..1_000).collect();
    let mut list = Bin::of(&json!(numbers));
    list.ask(&json!([0, 0x11])).unwrap();
    list.0.unwrap()
}

#[test]
fn a_kept_index_that_lies_is_refused() {
    let map = {
        let pairs: Vec<(i64, i64)> = (0..100).map(|n| (n, (n * 37) % 100)).collect();
        let mut map = Bin::of(&json!({ "$map": pairs }));
        map.ask(&json!([64, 0x13])).unwrap();
        map.0.unwrap()
    };
    for bin in [indexed(), map] {
        let whole = record(None, &bin);
        assert!(StoredRecord::read(whole.as_bytes()).is_ok());
        let form = whole.as_bytes();
        let begin = form.len() - bin.data.len();
        let (head, _) = long(&whole);
        let items = collection_body(head);
        let mut refused = 0;
        for at in begin + 9..form.len() - items {
            let mut lying = form.to_vec();
            lying[at] ^= 1;
            match StoredRecord::read(&lying) {
                Err(_) => refused += 1,
                // The nil behind the metadata of a map, whose value says nothing.
                Ok(_) => assert!(at + 1 >= form.len() - items, "byte {at}"),
            }
        }
        assert!(refused >= 190, "{refused}");
    }
}

/// Bytes of the items.
fn collection_body(value: ParticleRef<'_>) -> usize {
    let visible = data::operation::collection::visible(value);
    // Head, and the metadata of an order.
    match visible.first() {
        Some(0xdc | 0xde) => {
            visible.len()
                - 3
                - if value.kind == ParticleType::MAP {
                    4
                } else {
                    3
                }
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn small_records_keep_nothing_beside_them() {
    let numbers: Vec<i64> = (0..60).collect();
    let small = record(None, &stored(&json!(numbers)));
    assert_eq!(long(&small).1, Landmarks::NONE);
    assert_eq!(small.as_bytes(), AsRef::<[u8]>::as_ref(&small));
    let texts: Vec<String> = (0..1_000)
        .map(|n| format!("a text of twenty {n}"))
        .collect();
    let large = record(None, &stored(&json!(texts)));
    assert_ne!(long(&large).1, Landmarks::NONE);
    let beside = AsRef::<[u8]>::as_ref(&large).len() - large.as_bytes().len();
    assert!(beside * 20 < large.as_bytes().len(), "{beside} bytes");
}
