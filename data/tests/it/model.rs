//! Random sequences of operations, compared with plain models: a vector, a sorted map.
//!
//! After every operation the stored form is what storing the visible value anew would give, whether an index is kept or not.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocol::particle::Particle;
use serde_json::{Value, json};

use crate::asked::{Bin, stored};
use crate::tagged;

/// Order flags and whether an index is kept.
const LIST_KINDS: [u64; 4] = [0, 1, 0x10, 0x11];
const MAP_KINDS: [u64; 6] = [0, 1, 3, 0x10, 0x11, 0x13];

#[derive(Clone, Debug)]
enum ListOp {
    Append(i64),
    AppendItems(Vec<i64>, u64),
    Insert(i64, i64),
    Set(i64, i64),
    Pop(i64),
    RemoveRange(i64, u64),
    Trim(i64, u64),
    Increment(i64, i64),
    Sort(u64),
    RemoveByValue(i64),
    RemoveByInterval(i64, i64, bool),
    RemoveByRanks(i64, u64),
    RemoveByValues(Vec<i64>, bool),
    GetByRanks(i64, u64),
    GetByIndexes(i64, u64),
    GetRelative(i64, i64, u64),
}

fn list_op() -> impl Strategy<Value = ListOp> {
    let value = || -3_i64..12;
    let index = || -9_i64..9;
    let count = || 0_u64..6;
    prop_oneof![
        value().prop_map(ListOp::Append),
        (
            prop::collection::vec(value(), 0..5),
            prop::sample::select(vec![0_u64, 1, 5, 13])
        )
            .prop_map(|(values, flags)| ListOp::AppendItems(values, flags)),
        (index(), value()).prop_map(|(at, value)| ListOp::Insert(at, value)),
        (index(), value()).prop_map(|(at, value)| ListOp::Set(at, value)),
        index().prop_map(ListOp::Pop),
        (index(), count()).prop_map(|(at, count)| ListOp::RemoveRange(at, count)),
        (index(), 2_u64..9).prop_map(|(at, count)| ListOp::Trim(at, count)),
        (index(), value()).prop_map(|(at, value)| ListOp::Increment(at, value)),
        (0_u64..3).prop_map(ListOp::Sort),
        value().prop_map(ListOp::RemoveByValue),
        (value(), value(), any::<bool>())
            .prop_map(|(a, b, inverted)| ListOp::RemoveByInterval(a, b, inverted)),
        (index(), count()).prop_map(|(at, count)| ListOp::RemoveByRanks(at, count)),
        (prop::collection::vec(value(), 0..4), any::<bool>())
            .prop_map(|(values, inverted)| ListOp::RemoveByValues(values, inverted)),
        (index(), count()).prop_map(|(at, count)| ListOp::GetByRanks(at, count)),
        (index(), count()).prop_map(|(at, count)| ListOp::GetByIndexes(at, count)),
        (value(), index(), count())
            .prop_map(|(value, at, count)| ListOp::GetRelative(value, at, count)),
    ]
}

/// Start and end of a range as the operations see it.
fn range(first: i64, number: u64, count: usize) -> std::ops::Range<usize> {
    let n = i64::try_from(count).unwrap();
    let number = i64::try_from(number).unwrap();
    let (start, end) = if first >= n {
        (n, n)
    } else if first >= 0 {
        (first, first + number)
    } else {
        (first + n, first + n + number)
    };
    let clip = |at: i64| usize::try_from(at.clamp(0, n)).unwrap();
    clip(start)..clip(end).max(clip(start))
}

fn relative(place: usize, first: i64, number: u64, count: usize) -> std::ops::Range<usize> {
    let n = i64::try_from(count).unwrap();
    let start = i64::try_from(place).unwrap() + first;
    let end = start + i64::try_from(number).unwrap();
    let clip = |at: i64| usize::try_from(at.clamp(0, n)).unwrap();
    clip(start)..clip(end).max(clip(start))
}

#[derive(Clone, Debug, Default)]
struct ListModel {
    elements: Vec<i64>,
    ordered: bool,
}

impl ListModel {
    fn place(&self, index: i64) -> Result<usize, u8> {
        let n = i64::try_from(self.elements.len()).unwrap();
        let at = if index < 0 { index + n } else { index };
        if (0..n).contains(&at) {
            Ok(usize::try_from(at).unwrap())
        } else {
            Err(26)
        }
    }

    fn fix(&mut self) {
        if self.ordered {
            self.elements.sort_unstable();
        }
    }

    fn count(&self) -> Value {
        json!(self.elements.len())
    }

    /// The answer in tagged JSON, or the code.
    fn apply(&mut self, op: &ListOp) -> Result<Value, u8> {
        let n = self.elements.len();
        let mut sorted = self.elements.clone();
        sorted.sort_unstable();
        match op {
            ListOp::Append(value) => {
                self.elements.push(*value);
                self.fix();
                Ok(self.count())
            }
            ListOp::AppendItems(values, flags) => self.append_items(values, *flags),
            ListOp::Insert(at, value) | ListOp::Set(at, value) => {
                if self.ordered {
                    return Err(26);
                }
                let set = matches!(op, ListOp::Set(..));
                if let Ok(place) = self.place(*at) {
                    if set {
                        self.elements[place] = *value;
                    } else {
                        self.elements.insert(place, *value);
                    }
                } else if *at == i64::try_from(n).unwrap() {
                    self.elements.push(*value);
                } else {
                    // A gap would hold nils, which this model does not have: see the payload.
                    return Err(26);
                }
                Ok(if set {
                    json!({"$nil": true})
                } else {
                    self.count()
                })
            }
            ListOp::Pop(at) => {
                let place = self.place(*at)?;
                Ok(json!(self.elements.remove(place)))
            }
            ListOp::RemoveRange(at, count) => {
                let range = range(*at, *count, n);
                Ok(json!(self.elements.drain(range).count()))
            }
            ListOp::Trim(at, count) => {
                let range = range(*at, *count, n);
                self.elements = self.elements[range].to_vec();
                Ok(json!(n - self.elements.len()))
            }
            ListOp::Increment(at, value) => {
                let place = self.place(*at)?;
                self.elements[place] += value;
                let sum = self.elements[place];
                self.fix();
                Ok(json!(sum))
            }
            ListOp::Sort(flags) => {
                self.elements = sorted;
                if flags & 2 != 0 {
                    self.elements.dedup();
                }
                if flags & 1 != 0 && !self.ordered {
                    self.elements.reverse();
                }
                Ok(json!({"$nil": true}))
            }
            ListOp::RemoveByValue(value) => Ok(self.remove(|element| element == value)),
            ListOp::RemoveByInterval(from, to, inverted) => {
                Ok(self.remove(|element| (from..to).contains(&element) != *inverted))
            }
            ListOp::RemoveByRanks(at, count) => {
                for value in &sorted[range(*at, *count, n)] {
                    // Which of equal ones goes is the business of the recordings; they are equal.
                    let place = self.elements.iter().position(|element| element == value);
                    self.elements.remove(place.unwrap());
                }
                Ok(json!(n - self.elements.len()))
            }
            ListOp::RemoveByValues(values, inverted) => {
                Ok(self.remove(|element| values.contains(element) != *inverted))
            }
            ListOp::GetByRanks(at, count) => Ok(json!(sorted[range(*at, *count, n)])),
            ListOp::GetByIndexes(at, count) => Ok(json!(self.elements[range(*at, *count, n)])),
            ListOp::GetRelative(value, at, count) => {
                let place = sorted.iter().filter(|element| *element < value).count();
                Ok(json!(sorted[relative(place, *at, *count, n)]))
            }
        }
    }

    fn remove(&mut self, drop: impl Fn(&i64) -> bool) -> Value {
        let n = self.elements.len();
        self.elements.retain(|element| !drop(element));
        json!(n - self.elements.len())
    }

    fn append_items(&mut self, values: &[i64], flags: u64) -> Result<Value, u8> {
        let mut values = values.to_vec();
        if self.ordered {
            values.sort_unstable();
            if flags == 1 && values.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(26);
            }
        }
        let mut added = Vec::new();
        for value in values {
            let listed = self.elements.contains(&value);
            let again = added.contains(&value);
            if flags != 0 && (listed || again) {
                match flags {
                    1 => return Err(if listed { 24 } else { 26 }),
                    5 => return Ok(self.count()),
                    _ => continue,
                }
            }
            added.push(value);
        }
        self.elements.extend(added);
        self.fix();
        Ok(self.count())
    }
}

fn list_payload(op: &ListOp) -> Value {
    const INVERTED: u64 = 0x10000;
    let inverted = |inverted: &bool| if *inverted { INVERTED } else { 0 };
    match op {
        ListOp::Append(value) => json!([1, value]),
        ListOp::AppendItems(values, flags) => json!([2, values, 0, flags]),
        // Bounded, so that there are no gaps.
        ListOp::Insert(at, value) => json!([3, at, value, 2]),
        ListOp::Set(at, value) => json!([9, at, value, 2]),
        ListOp::Pop(at) => json!([5, at]),
        ListOp::RemoveRange(at, count) => json!([8, at, count]),
        ListOp::Trim(at, count) => json!([10, at, count]),
        ListOp::Increment(at, value) => json!([12, at, value]),
        ListOp::Sort(flags) => json!([13, flags]),
        ListOp::RemoveByValue(value) => json!([35, 5, value]),
        ListOp::RemoveByInterval(from, to, not) => json!([38, 5 + inverted(not), from, to]),
        ListOp::RemoveByRanks(at, count) => json!([39, 5, at, count]),
        ListOp::RemoveByValues(values, not) => json!([36, 5 + inverted(not), values]),
        ListOp::GetByRanks(at, count) => json!([26, 7, at, count]),
        ListOp::GetByIndexes(at, count) => json!([24, 7, at, count]),
        ListOp::GetRelative(value, at, count) => json!([27, 7, value, at, count]),
    }
}

/// Increments beyond the end make elements, which the model of a list leaves out.
fn is_modelled(op: &ListOp, model: &ListModel) -> bool {
    match op {
        ListOp::Increment(at, _) => model.place(*at).is_ok() || *at < 0,
        _ => true,
    }
}

fn sorted_integers(particle: &Particle) -> Vec<i64> {
    match protocol::value::Value::from_particle(particle.as_ref()) {
        Ok(protocol::value::Value::List { items, .. }) => {
            let mut all: Vec<i64> = items
                .iter()
                .map(|item| match item {
                    protocol::value::Value::Integer(number) => *number,
                    other => panic!("{other:?}"),
                })
                .collect();
            all.sort_unstable();
            all
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn lists(kind in prop::sample::select(LIST_KINDS.to_vec()), ops in prop::collection::vec(list_op(), 1..40)) {
        let mut model = ListModel { elements: Vec::new(), ordered: kind & 1 != 0 };
        let mut bin = Bin::default();
        bin.ask(&json!([0, kind])).unwrap();
        for op in &ops {
            if !is_modelled(op, &model) {
                continue;
            }
            let payload = list_payload(op);
            let wanted = model.apply(op);
            let got = bin.ask(&payload);
            match (&wanted, &got) {
                // The sequence of values by rank is the business of the recordings.
                (Ok(wanted), Ok(got)) if matches!(op, ListOp::GetByRanks(..) | ListOp::GetRelative(..)) => {
                    let wanted = sorted_integers(&tagged::particle(wanted));
                    prop_assert_eq!(wanted, sorted_integers(got), "{}", payload);
                }
                (Ok(wanted), Ok(got)) => prop_assert_eq!(&tagged::particle(wanted), got, "{}", payload),
                (wanted, got) => prop_assert_eq!(wanted.clone().err(), got.clone().err(), "{}", payload),
            }
            // Of equal elements by rank the reference's choice goes; in what stays that is seen.
            if matches!(op, ListOp::RemoveByRanks(..)) && !model.ordered {
                prop_assert_eq!(sorted_integers(&bin.shown()), sorted_integers(&stored(&json!(model.elements))));
                model.elements = in_order(&bin.shown());
            }
            let whole = if model.ordered {
                json!({"$list": model.elements, "flags": 1})
            } else {
                json!(model.elements)
            };
            prop_assert_eq!(bin.shown(), stored(&whole), "{}", payload);
            let mut anew = Bin::of(&whole);
            anew.ask(&json!([0, kind])).unwrap();
            prop_assert_eq!(&bin.0, &anew.0, "{}", payload);
        }
    }
}

fn in_order(list: &Particle) -> Vec<i64> {
    match protocol::value::Value::from_particle(list.as_ref()) {
        Ok(protocol::value::Value::List { items, .. }) => items
            .iter()
            .map(|item| match item {
                protocol::value::Value::Integer(number) => *number,
                other => panic!("{other:?}"),
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug)]
enum MapOp {
    Put(String, i64, u64),
    PutItems(BTreeMap<String, i64>, u64),
    Increment(String, i64),
    RemoveByKey(String),
    RemoveByKeys(Vec<String>, bool),
    RemoveByValue(i64),
    RemoveByIndexes(i64, u64),
    RemoveByRanks(i64, u64),
    RemoveByKeyInterval(String, String),
    GetByKey(String),
    GetByIndex(i64),
    GetByRank(i64),
    GetByRanks(i64, u64),
    GetByValues(i64, i64),
    GetRelative(i64, i64, u64),
    RankOf(String),
}

fn map_op() -> impl Strategy<Value = MapOp> {
    let key = || "[a-f]{1,2}";
    let value = || -3_i64..8;
    let index = || -9_i64..9;
    let count = || 0_u64..6;
    let flags = || prop::sample::select(vec![0_u64, 1, 2, 5, 6, 13]);
    prop_oneof![
        4 => (key(), value(), flags()).prop_map(|(key, value, flags)| MapOp::Put(key, value, flags)),
        2 => (prop::collection::btree_map(key(), value(), 0..5), flags())
            .prop_map(|(items, flags)| MapOp::PutItems(items, flags)),
        2 => (key(), value()).prop_map(|(key, value)| MapOp::Increment(key, value)),
        1 => key().prop_map(MapOp::RemoveByKey),
        1 => (prop::collection::vec(key(), 0..4), prop::bool::weighted(0.2))
            .prop_map(|(keys, inverted)| MapOp::RemoveByKeys(keys, inverted)),
        1 => value().prop_map(MapOp::RemoveByValue),
        1 => (index(), count()).prop_map(|(at, count)| MapOp::RemoveByIndexes(at, count)),
        1 => (index(), count()).prop_map(|(at, count)| MapOp::RemoveByRanks(at, count)),
        1 => (key(), key()).prop_map(|(a, b)| MapOp::RemoveByKeyInterval(a, b)),
        1 => key().prop_map(MapOp::GetByKey),
        1 => index().prop_map(MapOp::GetByIndex),
        1 => index().prop_map(MapOp::GetByRank),
        1 => (index(), count()).prop_map(|(at, count)| MapOp::GetByRanks(at, count)),
        1 => (value(), value()).prop_map(|(a, b)| MapOp::GetByValues(a, b)),
        1 => (value(), index(), count()).prop_map(|(value, at, count)| MapOp::GetRelative(value, at, count)),
        1 => key().prop_map(MapOp::RankOf),
    ]
}

fn map_payload(op: &MapOp) -> Value {
    match op {
        MapOp::Put(key, value, flags) => json!([67, key, value, 0, flags]),
        MapOp::PutItems(items, flags) => json!([68, items, 0, flags]),
        MapOp::Increment(key, value) => json!([73, key, value]),
        MapOp::RemoveByKey(key) => json!([76, 5, key]),
        MapOp::RemoveByKeys(keys, not) => json!([81, if *not { 0x10005 } else { 5 }, keys]),
        MapOp::RemoveByValue(value) => json!([82, 5, value]),
        MapOp::RemoveByIndexes(at, count) => json!([85, 5, at, count]),
        MapOp::RemoveByRanks(at, count) => json!([87, 5, at, count]),
        MapOp::RemoveByKeyInterval(a, b) => json!([84, 5, a, b]),
        MapOp::GetByKey(key) => json!([97, 7, key]),
        MapOp::GetByIndex(at) => json!([98, 6, at]),
        MapOp::GetByRank(at) => json!([100, 6, at]),
        MapOp::GetByRanks(at, count) => json!([106, 6, at, count]),
        MapOp::GetByValues(a, b) => json!([105, 17, a, b]),
        MapOp::GetRelative(value, at, count) => json!([110, 6, value, at, count]),
        MapOp::RankOf(key) => json!([97, 3, key]),
    }
}

type MapModel = BTreeMap<String, i64>;

/// The keys by value, then by key.
fn by_rank(model: &MapModel) -> Vec<String> {
    let mut pairs: Vec<_> = model.iter().collect();
    pairs.sort_by_key(|(key, value)| (**value, (*key).clone()));
    pairs.into_iter().map(|(key, _)| key.clone()).collect()
}

fn place(index: i64, count: usize) -> Result<usize, u8> {
    let n = i64::try_from(count).unwrap();
    let at = if index < 0 { index + n } else { index };
    if (0..n).contains(&at) {
        Ok(usize::try_from(at).unwrap())
    } else {
        Err(26)
    }
}

fn put(model: &mut MapModel, items: &MapModel, flags: u64) -> Result<Value, u8> {
    let before = model.clone();
    // Into an empty map the reference puts what it was to leave out.
    let all = before.is_empty() && flags == 14;
    for (key, value) in items {
        let there = before.contains_key(key);
        let code = match (flags & 3, there) {
            (1, true) => 24,
            (2, false) if !all => 23,
            _ => 0,
        };
        if code == 0 {
            model.insert(key.clone(), *value);
        } else if flags & 4 == 0 {
            *model = before;
            return Err(code);
        } else if flags & 8 == 0 {
            *model = before;
            break;
        }
    }
    Ok(json!(model.len()))
}

fn map_apply(model: &mut MapModel, op: &MapOp) -> Result<Value, u8> {
    let n = model.len();
    let keys: Vec<String> = model.keys().cloned().collect();
    let ranked = by_rank(model);
    let mut remove = |doomed: &[String]| {
        model.retain(|key, _| !doomed.contains(key));
        Ok(json!(n - model.len()))
    };
    match op {
        MapOp::Put(key, value, flags) => {
            put(model, &BTreeMap::from([(key.clone(), *value)]), *flags)
        }
        MapOp::PutItems(items, flags) => put(model, items, *flags),
        MapOp::Increment(key, value) => {
            *model.entry(key.clone()).or_insert(0) += value;
            Ok(json!(model[key]))
        }
        MapOp::RemoveByKey(key) => remove(std::slice::from_ref(key)),
        MapOp::RemoveByKeys(doomed, false) => remove(doomed),
        MapOp::RemoveByKeys(kept, true) => {
            let doomed: Vec<String> = keys.into_iter().filter(|key| !kept.contains(key)).collect();
            remove(&doomed)
        }
        MapOp::RemoveByValue(value) => {
            model.retain(|_, own| own != value);
            Ok(json!(n - model.len()))
        }
        MapOp::RemoveByIndexes(at, count) => remove(&keys[range(*at, *count, n)]),
        MapOp::RemoveByRanks(at, count) => remove(&ranked[range(*at, *count, n)]),
        MapOp::RemoveByKeyInterval(a, b) => {
            model.retain(|key, _| !(a..b).contains(&key));
            Ok(json!(n - model.len()))
        }
        MapOp::GetByKey(key) => Ok(model
            .get(key)
            .map_or(json!({"$nil": true}), |value| json!(value))),
        MapOp::GetByIndex(at) => Ok(json!(keys[place(*at, n)?])),
        MapOp::GetByRank(at) => Ok(json!(ranked[place(*at, n)?])),
        MapOp::GetByRanks(at, count) => Ok(json!(ranked[range(*at, *count, n)])),
        MapOp::GetByValues(a, b) => {
            let pairs: Vec<_> = model
                .iter()
                .filter(|(_, value)| (a..b).contains(value))
                .collect();
            Ok(json!({"$map": pairs, "flags": 1}))
        }
        MapOp::GetRelative(value, at, count) => {
            let smaller = model.values().filter(|own| *own < value).count();
            Ok(json!(ranked[relative(smaller, *at, *count, n)]))
        }
        MapOp::RankOf(key) => {
            let rank = ranked.iter().position(|own| own == key);
            Ok(json!(rank.map_or(-1, |rank| i64::try_from(rank).unwrap())))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn maps(kind in prop::sample::select(MAP_KINDS.to_vec()), ops in prop::collection::vec(map_op(), 1..40)) {
        let mut model = MapModel::new();
        let mut bin = Bin::default();
        bin.ask(&json!([64, kind])).unwrap();
        for op in &ops {
            let payload = map_payload(op);
            let wanted = map_apply(&mut model, op).map(|value| tagged::particle(&value));
            prop_assert_eq!(wanted, bin.ask(&payload), "{}", payload);
            let pairs: Vec<_> = model.iter().collect();
            let whole = json!({"$map": pairs, "flags": kind & 3});
            prop_assert_eq!(bin.shown(), stored(&whole), "{}", payload);
            let mut anew = Bin::of(&whole);
            anew.ask(&json!([64, kind])).unwrap();
            prop_assert_eq!(&bin.0, &anew.0, "{}", payload);
        }
    }

    /// A nested list behaves as one in a bin of its own, and nothing around it changes.
    #[test]
    fn nested(ops in prop::collection::vec(list_op(), 1..20), ordered in any::<bool>()) {
        let kind = u64::from(ordered);
        let mut alone = Bin::default();
        alone.ask(&json!([0, kind])).unwrap();
        let mut outer = Bin::of(&json!({"a": [1, 2], "m": {"y": 1}, "z": "end"}));
        let way = json!([0x22, "m", 0x22, "x"]);
        outer.ask(&json!([255, json!([0x22, "m", 0x62, "x"]), [0, kind]])).unwrap();
        for op in &ops {
            let payload = list_payload(op);
            let wanted = alone.ask(&payload);
            prop_assert_eq!(wanted, outer.ask(&json!([255, way, payload])), "{}", payload);
            let mut inner = outer.clone();
            let read = inner.ask(&json!([255, way, [18, 0]])).unwrap();
            prop_assert_eq!(alone.ask(&json!([18, 0])), Ok(read), "{}", payload);
            prop_assert_eq!(inner.ask(&json!([97, 7, "z"])), Ok(Particle::string("end")));
            prop_assert_eq!(inner.ask(&json!([96])), Ok(Particle::integer(3)));
        }
    }
}
