use protocol::key::Digest;
use protocol::msgpack::{
    write_bool, write_float, write_integer, write_list_header, write_map_header, write_nil,
    write_text,
};
use protocol::particle::{ParticleRef, ParticleType};
use serde_json::{Value as Json, json};

use super::*;
use crate::bin::Bins;
use crate::metadata::Metadata;
use crate::operation::Limits;
use crate::work::{UnitsLeft, Unmetered};

/// Writes an expression: `"$a"` is a string without type byte, as names are; `{"b": hex}` bytes as they stand.
fn write(out: &mut Vec<u8>, json: &Json) {
    match json {
        Json::Null => write_nil(out),
        Json::Bool(value) => write_bool(out, *value),
        Json::Number(number) => match number.as_i64() {
            Some(value) => write_integer(out, value),
            None => write_float(out, number.as_f64().unwrap()),
        },
        Json::String(text) => match text.strip_prefix('$') {
            Some(name) => {
                out.push(0xd9);
                out.push(u8::try_from(name.len()).unwrap());
                out.extend_from_slice(name.as_bytes());
            }
            None => write_text(out, ParticleType::STRING, text.as_bytes()),
        },
        Json::Array(list) => {
            write_list_header(out, list.len());
            list.iter().for_each(|element| write(out, element));
        }
        Json::Object(map) => {
            if let Some(Json::String(hex)) = map.get("b") {
                out.extend(
                    (0..hex.len() / 2)
                        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()),
                );
                return;
            }
            write_map_header(out, map.len());
            for (key, value) in map {
                write_text(out, ParticleType::STRING, key.as_bytes());
                write(out, value);
            }
        }
    }
}

fn encoded(json: &Json) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, json);
    out
}

/// A record: i 5, f 2.5, s "hello", t true, l [3, 1], g a point.
struct Sample(Vec<(&'static str, Particle)>);

impl Sample {
    fn new() -> Self {
        Self(vec![
            ("i", Particle::integer(5)),
            ("f", Particle::float(2.5)),
            ("s", Particle::string("hello")),
            ("t", Particle::bool(true)),
            (
                "l",
                Particle::new(ParticleType::LIST, encoded(&json!([3, 1]))),
            ),
            (
                "g",
                crate::geo::stored(
                    &Particle::geojson(br#"{"type":"Point","coordinates":[5,5]}"#).data,
                    &mut Unmetered::default(),
                )
                .unwrap(),
            ),
        ])
    }
}

impl Bins for Sample {
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        let found = self.0.iter().find(|(bin, _)| bin.as_bytes() == name);
        found.map(|(_, particle)| particle.as_ref())
    }
}

const DIGEST: Digest = Digest([7; 20]);

fn metadata() -> Metadata<'static> {
    Metadata {
        digest: &DIGEST,
        set: b"golden",
        key: Some(ParticleRef::new(ParticleType::STRING, b"k")),
        generation: 3,
        void_time: 1000,
        last_update_ms: 400_000,
        size: &64_u64,
    }
}

fn context<'r>(bins: Option<&'r dyn Bins>) -> Context<'r> {
    let limits = Limits {
        max_particle_bytes: 1 << 20,
    };
    Context::of_record(metadata(), bins, 500_000, limits)
}

fn answer(json: &Json) -> Result<Answer, Cause> {
    let sample = Sample::new();
    let expression = Expression::parse(&encoded(json), &mut Unmetered::default())
        .map_err(|error| error.cause)?;
    Ok(expression
        .evaluate(&context(Some(&sample)), &mut Unmetered::default())
        .unwrap())
}

/// A value: what the expression gives. `"unknown"`: that; `"bad"`: it does not build.
fn check(cases: Json) {
    for case in cases.as_array().unwrap() {
        let (expression, expected) = (&case[0], &case[1]);
        let found = answer(expression);
        let fits = match (&found, expected) {
            (Err(_), Json::String(text)) => text == "bad",
            (Ok(Answer::Unknown | Answer::Remove), Json::String(text)) => text == "unknown",
            (Ok(Answer::Value(particle)), Json::Null) => particle.kind == ParticleType::NIL,
            (Ok(Answer::Value(particle)), Json::Bool(value)) => {
                particle.as_ref().as_bool() == Some(*value)
            }
            (Ok(Answer::Value(particle)), Json::Number(number)) => match number.as_i64() {
                Some(value) => particle.as_ref().as_integer() == Some(value),
                None => particle.as_ref().as_float() == number.as_f64(),
            },
            (Ok(Answer::Value(particle)), Json::String(text)) => {
                particle.as_ref().as_string() == Some(text.as_bytes())
            }
            (Ok(Answer::Value(particle)), Json::Array(_)) => particle.data == encoded(expected),
            _ => false,
        };
        assert!(fits, "{expression} gives {found:?} instead of {expected}");
    }
}

#[test]
fn metadata_is_known() {
    check(json!([
        [[64, 7], 117_901_063 % 7],
        [[64, -7], 117_901_063 % 7],
        [[64, 0], "bad"],
        [[65], 0],
        [[66], (1_262_304_000_000_i64 + 400_000) * 1_000_000],
        [[67], 100_000],
        [[68], (1_262_304_000_i64 + 1000) * 1_000_000_000],
        [[69], 500],
        [[70], "golden"],
        [[71], true],
        [[72], false],
        [[73], 64],
        [[74], 64],
        [[75], "bad"],
        [[80, 3], "k"],
        [[80, 2], "unknown"],
        [[80, 4], "bad"],
    ]));
}

#[test]
fn types_are_checked_when_an_expression_is_built() {
    check(json!([
        [[1, [81, 2, "$i"], 5], true],
        [[1, [81, 2, "$i"], "x"], "bad"],
        [[1, [0], 5], "bad"],
        [[1, 5], "bad"],
        [[1, 5, 5, 5], "bad"],
        [[16, true], "bad"],
        [[16, true, 1], "bad"],
        [[20, 1, 2.5], "bad"],
        [[20], "bad"],
        [[24, 2, 2], "bad"],
        [[40, 1, 1], "bad"],
        [[1, [81, 8, "$g"], [81, 8, "$g"]], "bad"],
        [[1, [100], [100]], "bad"],
        [[1, {"b": "d4ff00"}, {"b": "d4ff00"}], "bad"],
        [[123, true, 1], "bad"],
        [[123, true, 1, "a"], "bad"],
        [[123, true, 1, [0]], 1],
        [[123, false, 1, [0]], "unknown"],
        [[125, "$x", 5, [20, [124, "$x"], 1]], 6],
        [[125, "$x", [124, "$x"], 1], "bad"],
        [[125, "$x", 1, [125, "$x", 2, 3]], "bad"],
        [[20, [125, "$x", 1, [124, "$x"]], [125, "$x", 2, [124, "$x"]]], 3],
        [[125, "$x", [125, "$y", 1, [124, "$y"]], "$y", 2, [20, [124, "$x"], [124, "$y"]]], 3],
        [[125, "$1x", 5, 6], "bad"],
        [[126, [1, 2]], [1, 2]],
        [[126, 5], "bad"],
        [[1, 2], "bad"],
        [[], "bad"],
        [[128, 1], "bad"],
        [[-1, 1], "bad"],
        [{"b": "a0"}, "bad"],
        [{"b": "c7000100"}, "bad"],
        [[81, 10, "$i"], "bad"],
        [[81, 2, "$0123456789abcdef"], "bad"],
        [[7, 1, "$(", "x"], "bad"],
        [{"b": "a3177b7d"}, "bad"],
    ]));
}

#[test]
fn unknown_goes_as_far_as_it_must() {
    let unknown = json!([1, [81, 2, "$none"], 5]);
    check(json!([
        [[81, 3, "$i"], "unknown"],
        [[82, "$none"], 0],
        [[82, "$l"], 20],
        [[16, unknown, false], false],
        [[16, unknown, true], "unknown"],
        [[16, false, unknown], false],
        [[16, unknown, unknown, false, unknown], false],
        [[17, unknown, true], true],
        [[17, unknown, false], "unknown"],
        [[17, true, unknown], true],
        [[18, unknown], "unknown"],
        [[19, true, true, unknown], false],
        [[19, true, unknown, true], "unknown"],
        [[19, false, true], true],
        [[123, unknown, 1, 2], "unknown"],
        [[123, false, [81, 2, "$none"], true, 7, 8], 7],
        [[125, "$x", [81, 2, "$none"], 7], 7],
        [[20, 1, [81, 2, "$none"]], "unknown"],
        [[23, 1, 0], "unknown"],
        [[26, 1, 0], "unknown"],
        [[3, [126, [{"a": 1}]], [126, [{"a": 1}]]], "unknown"],
        [[3, [126, [2, {"a": 1}]], [126, [1, {"a": 1}]]], true],
        [[2, [126, [{"a": 1}]], [126, [1]]], "unknown"],
        [[2, [126, [{}]], [126, [1]]], true],
        [[9, [126, [1]], [126, [[1], 2]]], true],
        [[9, 3, [81, 4, "$l"]], true],
        [[9, 3.5, [81, 4, "$l"]], false],
        [[122, 2, 1], "unknown"],
        [[100], "unknown"],
    ]));
}

#[test]
fn numbers_are_those_of_64_bits() {
    let (least, most) = (i64::MIN, i64::MAX);
    check(json!([
        [[20, most, 1], least],
        [[21, 5], -5],
        [[21, 10, 3, 2], 5],
        [[22, most, 2], -2],
        [[23, -7, 2], -3],
        [[23, 2], 0],
        [[26, -7, 2], -1],
        // These two stop the real server.
        [[23, least, -1], least],
        [[26, least, -1], 0],
        [[27, least], least],
        [[30, -2.9], -2],
        [[30, 1e300], least],
        [[31, 3], 3.0],
        [[32, 12, 10], 8],
        [[34, 12, 10, 1], 7],
        [[35, 0], -1],
        [[36, 1, 65], 2],
        [[37, -8, 1], 9_223_372_036_854_775_804_i64],
        [[38, -8, 1], -4],
        [[39, -1], 64],
        [[40, 1, true], 63],
        [[40, 0, true], -1],
        [[41, 1, false], 62],
        [[50, 3, 1, 2], 1],
        [[51, 1.5, 2.5], 2.5],
        [[25, 8.0, 2.0], 3.0],
        [[28, -1.5], -2.0],
    ]));
}

#[test]
fn bins_are_compared_in_one_step_only_where_nothing_jumps_between() {
    check(json!([
        [[3, [81, 2, "$i"], 4], true],
        [[1, [123, true, 1, [81, 2, "$i"]], 5], false],
        [[1, [123, false, 1, [81, 2, "$i"]], 5], true],
        [[1, [20, [81, 2, "$i"]], 5], true],
        [[1, 5, [81, 2, "$i"]], true],
    ]));
}

#[test]
fn places_lie_in_regions() {
    let geo = |text: &str| {
        let mut out = Vec::new();
        write_text(&mut out, ParticleType::GEOJSON, text.as_bytes());
        json!({ "b": out.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
    };
    let around = geo(r#"{"type":"AeroCircle","coordinates":[[5,5],1000]}"#);
    let elsewhere = geo(r#"{"type":"AeroCircle","coordinates":[[50,5],1000]}"#);
    check(json!([
        [[8, [81, 8, "$g"], around], true],
        [[8, around, [81, 8, "$g"]], true],
        [[8, [81, 8, "$g"], elsewhere], false],
        [[8, around, elsewhere], false],
        [[8, [81, 8, "$none"], around], "unknown"],
        [[8, around, 5], "bad"],
    ]));
}

/// Without bins an expression tells what metadata tells, and never what bins contradict.
#[test]
fn metadata_alone_decides_what_it_can() {
    let bin = json!([1, [81, 2, "$i"], 5]);
    let cases = [
        (json!([16, [3, [69], 100], bin]), Truth::Unknown, Truth::Yes),
        (json!([16, [3, [69], 1000], bin]), Truth::No, Truth::No),
        (json!([17, [3, [69], 100], bin]), Truth::Yes, Truth::Yes),
        (json!([3, [69], 100]), Truth::Yes, Truth::Yes),
        (bin, Truth::Unknown, Truth::Yes),
        (json!([1, [80, 3], "k"]), Truth::Unknown, Truth::Yes),
        (json!([1, [82, "$none"], 0]), Truth::Unknown, Truth::Yes),
        (json!(false), Truth::No, Truth::No),
    ];
    let sample = Sample::new();
    for (json, alone, together) in cases {
        let expression = Expression::parse(&encoded(&json), &mut Unmetered::default()).unwrap();
        let ask = |bins| expression.holds(&context(bins), &mut Unmetered::default());
        assert_eq!(ask(None), Ok(alone), "{json}");
        assert_eq!(ask(Some(&sample)), Ok(together), "{json}");
    }
}

/// A thousand levels take no stack; what is larger than the real server takes is refused, not tried.
#[test]
fn depth_and_size_are_bounded() {
    let nested = |levels: usize| [&[0x92, 18].repeat(levels)[..], &[0xc3]].concat();
    for levels in [1, 200, 50_000] {
        let expression = Expression::parse(&nested(levels), &mut Unmetered::default()).unwrap();
        let truth = expression.holds(&context(None), &mut Unmetered::default());
        assert_eq!(
            truth,
            Ok(if levels % 2 == 1 {
                Truth::No
            } else {
                Truth::Yes
            })
        );
        let mut little = UnitsLeft(levels as u64);
        assert_eq!(expression.holds(&context(None), &mut little), Err(TimeIsUp));
        let mut little = UnitsLeft(levels as u64);
        let error = Expression::parse(&nested(levels), &mut little).unwrap_err();
        assert_eq!(error.cause, Cause::Time(TimeIsUp));
        assert_eq!(error.result_code(), ResultCode::TIMEOUT);
    }
    let error = Expression::parse(&nested(100_000), &mut Unmetered::default()).unwrap_err();
    assert_eq!(error.cause, Cause::TooLarge);
    // Values do not count, whatever their size.
    let long = [&[0xdb, 0, 0x40, 0, 1, 4][..], &vec![7; 1 << 22]].concat();
    let quoted = [&[0x92, 126, 0x91], &long[..]].concat();
    for value in [&long, &quoted] {
        let equal = [&[0x93, 1], &value[..], &value[..]].concat();
        let expression = Expression::parse(&equal, &mut Unmetered::default()).unwrap();
        let truth = expression.holds(&context(None), &mut Unmetered::default());
        assert_eq!(truth, Ok(Truth::Yes));
    }
    // Patterns do, by what they are compiled to.
    let patterns = |times: u16, count| {
        let head = [&[0x94, 7, 1, 0xda], &times.to_be_bytes()[..]].concat();
        let pattern = [head, vec![b'a'; times.into()]].concat();
        [pattern.repeat(count), vec![0x93, 81, 3, 0xa1, b's']].concat()
    };
    for (times, count) in [(1000, 70), (1, 2000)] {
        let error =
            Expression::parse(&patterns(times, count), &mut Unmetered::default()).unwrap_err();
        assert_eq!(error.cause, Cause::TooLarge, "{count} of {times}");
    }
    let variables: Vec<Json> = (0..20_000)
        .flat_map(|i| [json!(format!("$v{i}")), json!(i)])
        .collect();
    let json = Json::Array([vec![json!(125)], variables, vec![json!([124, "$v19999"])]].concat());
    check(json!([[json, 19_999]]));
}

/// More than 16 arguments that are expressions stop the real server.
#[test]
fn a_call_has_at_most_16_arguments_that_are_expressions() {
    let call = |count: usize| {
        let mut arguments = vec![json!(19)];
        arguments.extend(vec![json!([20, 1]); count]);
        json!([127, 2, 0, arguments, [81, 4, "$l"]])
    };
    check(json!([[call(16), "unknown"], [call(17), "bad"]]));
}

/// Any bytes are an expression or are not, in bounded work, and no expression brings anything down.
#[test]
fn any_bytes_are_handled() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let whole = encoded(&json!([
        16,
        [3, [20, [81, 2, "$i"], 1], 5],
        [7, 1, "$^h(.)\\1?", [81, 3, "$s"]],
        [123, [1, [82, "$l"], 20], [9, 3, [81, 4, "$l"]], [71]],
        [
            125,
            "$x",
            [127, 2, 0, [19, 7, [20, 0]], [81, 4, "$l"]],
            [1, [124, "$x"], 3]
        ],
        [127, 1, 0, [255, [16, 0], [19, 13, 0]], [81, 4, "$l"]],
        [
            1,
            [
                127,
                4,
                64,
                [254, [4, [3, [122, 2, 1], 1]], 4, [100]],
                [81, 4, "$l"]
            ],
            [126, [1]]
        ],
    ]));
    assert!(Expression::parse(&whole, &mut Unmetered::default()).is_ok());
    let sample = Sample::new();
    let mut built = 0;
    for _ in 0..30_000 {
        let mut bytes = whole.clone();
        for _ in 0..=next() % 4 {
            let at = next() as usize % bytes.len();
            match next() % 4 {
                0 => bytes[at] = next() as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes[at] = bytes[next() as usize % bytes.len()],
                _ => {
                    let from = next() as usize % bytes.len();
                    let piece = bytes[from..(from + 9).min(bytes.len())].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        if let Ok(expression) = Expression::parse(&bytes, &mut Unmetered::default()) {
            built += 1;
            let mut work = Unmetered::default();
            expression
                .evaluate(&context(Some(&sample)), &mut work)
                .unwrap();
            assert!(work.units < 10_000_000, "{} units", work.units);
        }
    }
    assert!(built > 1000, "{built} were expressions");
}

/// A condition of three values, and the same as the specification says it.
#[derive(Clone, Debug)]
enum Condition {
    Known(bool),
    Unknown,
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Exclusive(Vec<Condition>),
    If(Box<[Condition; 3]>),
    Let(Box<[Condition; 2]>),
}

impl Condition {
    fn encode(&self) -> Json {
        let list = |code: u8, all: &[Condition]| {
            let mut list = vec![json!(code)];
            list.extend(all.iter().map(Condition::encode));
            Json::Array(list)
        };
        match self {
            // A bin that is true or is not, so that the answer needs bins, or none.
            Self::Known(true) => json!([1, [81, 2, "$i"], 5]),
            Self::Known(false) => json!([5, [69], 0]),
            Self::Unknown => json!([1, [81, 2, "$none"], 5]),
            Self::Not(inner) => json!([18, inner.encode()]),
            Self::And(all) => list(16, all),
            Self::Or(all) => list(17, all),
            Self::Exclusive(all) => list(19, all),
            Self::If(parts) => list(123, &parts[..]),
            Self::Let(parts) => json!([
                125,
                "$v",
                parts[0].encode(),
                [16, [124, "$v"], shielded(&parts[1])]
            ]),
        }
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown => None,
            Self::Not(inner) => inner.truth().map(|value| !value),
            Self::And(all) if all.iter().any(|one| one.truth() == Some(false)) => Some(false),
            Self::Or(all) if all.iter().any(|one| one.truth() == Some(true)) => Some(true),
            Self::And(all) | Self::Or(all) => {
                let mut values = all.iter().map(Self::truth);
                let first = values.next()?;
                values.all(|value| value.is_some()).then_some(first?)
            }
            Self::Exclusive(all) => {
                let mut found = 0;
                for one in all {
                    match one.truth() {
                        Some(true) if found == 1 => return Some(false),
                        value => found += usize::from(value?),
                    }
                }
                Some(found == 1)
            }
            Self::If(parts) => match parts[0].truth()? {
                true => parts[1].truth(),
                false => parts[2].truth(),
            },
            Self::Let(parts) => Self::And(parts.to_vec()).truth(),
        }
    }
}

/// The same without variables, whose name is taken.
fn shielded(condition: &Condition) -> Json {
    match condition.truth() {
        Some(value) => json!(value),
        None => json!([0]),
    }
}

fn condition() -> impl proptest::strategy::Strategy<Value = Condition> {
    use proptest::prelude::*;
    let leaf = prop_oneof![
        any::<bool>().prop_map(Condition::Known),
        Just(Condition::Unknown)
    ];
    leaf.prop_recursive(5, 60, 4, |inner| {
        let several = || prop::collection::vec(inner.clone(), 2..5);
        prop_oneof![
            inner.clone().prop_map(|one| Condition::Not(Box::new(one))),
            several().prop_map(Condition::And),
            several().prop_map(Condition::Or),
            several().prop_map(Condition::Exclusive),
            [inner.clone(), inner.clone(), inner.clone()]
                .prop_map(|parts| Condition::If(Box::new(parts))),
        ]
    })
    .prop_flat_map(|condition| {
        let with = condition.clone();
        prop_oneof![
            3 => Just(condition),
            1 => Just(Condition::Let(Box::new([with, Condition::Known(true)]))),
        ]
    })
}

proptest::proptest! {
    /// Jumps and shortcuts change nothing; without bins no other answer comes than with them.
    #[test]
    fn truth_is_that_of_the_table(condition in condition()) {
        let expression = Expression::parse(&encoded(&condition.encode()), &mut Unmetered::default()).unwrap();
        let sample = Sample::new();
        let ask = |bins| expression.holds(&context(bins), &mut Unmetered::default()).unwrap();
        let expected = match condition.truth() {
            Some(true) => Truth::Yes,
            Some(false) => Truth::No,
            None => Truth::Unknown,
        };
        proptest::prop_assert_eq!(ask(Some(&sample)), expected);
        let alone = ask(None);
        proptest::prop_assert!(alone == Truth::Unknown || alone == expected);
    }

    /// Any arithmetic gives what 64 bits give.
    #[test]
    fn sums_and_products_wrap(a in proptest::num::i64::ANY, b in proptest::num::i64::ANY) {
        let value = |code: u8| match answer(&json!([code, a, b])) {
            Ok(Answer::Value(particle)) => particle.as_ref().as_integer(),
            _ => None,
        };
        proptest::prop_assert_eq!(value(20), Some(a.wrapping_add(b)));
        proptest::prop_assert_eq!(value(21), Some(a.wrapping_sub(b)));
        proptest::prop_assert_eq!(value(22), Some(a.wrapping_mul(b)));
        proptest::prop_assert_eq!(value(23), (b != 0).then(|| a.wrapping_div(b)));
        proptest::prop_assert_eq!(value(26), (b != 0).then(|| a.wrapping_rem(b)));
        proptest::prop_assert_eq!(value(50), Some(a.min(b)));
    }
}

#[test]
fn what_one_run_makes_is_bounded() {
    // Each variable is a list of some 900 kB.
    let sizes = |variables: usize, asked: usize| {
        let name = |number: usize| format!("$v{number}");
        let mut all = vec![json!(125)];
        for number in 0..variables {
            all.push(json!(name(number)));
            all.push(json!([127, 4, 64, [9, 900_000, 1], [81, 4, "$l"]]));
        }
        all.push(json!([127, 2, 0, [16], [124, name(asked)]]));
        json!(all)
    };
    check(json!([
        [sizes(60, 59), 900_001],
        [sizes(80, 59), 900_001],
        [sizes(80, 79), "unknown"],
    ]));
}
