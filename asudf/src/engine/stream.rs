//! Stream UDFs without a server: a run for each partition that has a record, then the client's part over what they gave.
//!
//! A reducer must not care how records are spread and in which order partial results come. The first round spreads them as
//! a cluster does, by digest; others at random. Where each round ends with one value at most and these differ, the test
//! is told so.

use std::collections::BTreeMap;

use data::record::StoredRecord;
use protocol::particle::{Particle, ParticleRef};
use protocol::result_code::ResultCode;
use protocol::value::Value;
use runtime::call::stream::{StreamCall, StreamSource, StreamStep};
use runtime::call::{Cause, RecordView};

use super::bench::Bench;
use crate::place::{Function, Streamed, Trouble};
use crate::random::Random;
use crate::show;

/// Rounds in which records are spread at random.
const RANDOM_ROUNDS: usize = 3;

/// How a round ended.
enum Round {
    Values(Vec<Particle>),
    Failed(Vec<u8>, Cause),
}

/// Runs a function over a set.
pub(super) fn run(
    bench: &mut Bench,
    set: &str,
    function: Function<'_>,
    seed: u64,
) -> Result<Streamed, Trouble> {
    let mut random = Random::new(seed);
    let records = bench.records_of(set);
    let mut by_partition: BTreeMap<u16, Vec<StoredRecord>> = BTreeMap::new();
    for record in &records {
        let partition = record.digest().partition_id();
        by_partition
            .entry(partition)
            .or_default()
            .push(record.clone());
    }
    let mut groups: Vec<Vec<StoredRecord>> = by_partition.into_values().collect();
    random.shuffle(&mut groups);
    let first = match round(bench, function, groups, &mut random) {
        Round::Values(values) => values,
        Round::Failed(failure, cause) => {
            return Ok(Streamed {
                code: ResultCode::UDF_EXECUTION,
                values: Vec::new(),
                failure,
                cause,
            });
        }
    };
    for _ in 0..RANDOM_ROUNDS {
        if records.len() < 2 || first.len() > 1 {
            break;
        }
        let groups = spread(records.clone(), &mut random);
        let shape: Vec<usize> = groups.iter().map(Vec::len).collect();
        let found = match round(bench, function, groups, &mut random) {
            Round::Values(values) => values,
            Round::Failed(text, _) => {
                let text = String::from_utf8_lossy(&text);
                return Err(Trouble(format!(
                    "the result depends on how the records are spread: with partitions of {shape:?} records it fails: {text}"
                )));
            }
        };
        if found.len() > 1 || found.len() == first.len() && alike(&found, &first) {
            continue;
        }
        let shown = |values: &[Particle]| match values.first() {
            Some(value) => show::particle(value.as_ref()),
            None => "nothing".to_owned(),
        };
        return Err(Trouble(format!(
            "the result depends on how the records are spread or in which order partial results come: {} where they lie by \
             digest, {} in partitions of {shape:?} records; a reducer must be associative and commutative",
            shown(&first),
            shown(&found),
        )));
    }
    Ok(Streamed {
        code: ResultCode::OK,
        values: first,
        failure: Vec::new(),
        cause: Cause::default(),
    })
}

/// Records in a random number of partitions, each with one at least.
fn spread(mut records: Vec<StoredRecord>, random: &mut Random) -> Vec<Vec<StoredRecord>> {
    random.shuffle(&mut records);
    let count = 1 + random.below(records.len());
    let mut groups: Vec<Vec<StoredRecord>> = Vec::new();
    groups.resize_with(count, Vec::new);
    for (number, record) in records.into_iter().enumerate() {
        let place = match number < count {
            true => number,
            false => random.below(count),
        };
        if let Some(group) = groups.get_mut(place) {
            group.push(record);
        }
    }
    groups
}

/// Sums of floats differ by their order.
fn alike(left: &[Particle], right: &[Particle]) -> bool {
    left.iter().zip(right).all(|(left, right)| {
        let values = (
            Value::from_particle(left.as_ref()),
            Value::from_particle(right.as_ref()),
        );
        match values {
            (Ok(left), Ok(right)) => show::about_equal(&left, &right),
            _ => left == right,
        }
    })
}

/// A run for each group, then the client's part over what they gave, in random order.
fn round(
    bench: &mut Bench,
    function: Function<'_>,
    groups: Vec<Vec<StoredRecord>>,
    random: &mut Random,
) -> Round {
    let mut given = Vec::new();
    for group in groups {
        let mut views = group.into_iter().map(view);
        let records = StreamSource::Records(Box::new(move || views.next()));
        match part(bench, function, records) {
            Ok(values) => given.extend(values),
            Err((text, cause)) => return Round::Failed(text, cause),
        }
    }
    if given.is_empty() {
        return Round::Values(given);
    }
    random.shuffle(&mut given);
    match of_client(bench, function, given) {
        Ok(values) => Round::Values(values),
        Err((text, cause)) => Round::Failed(text, cause),
    }
}

/// The client's part, over what partitions gave.
pub(super) fn of_client(
    bench: &mut Bench,
    function: Function<'_>,
    given: Vec<Particle>,
) -> Result<Vec<Particle>, (Vec<u8>, Cause)> {
    let mut given = given.into_iter();
    let values = StreamSource::Values(Box::new(move || given.next()));
    part(bench, function, values)
}

/// Runs a part of a stream UDF to its end.
fn part(
    bench: &mut Bench,
    function: Function<'_>,
    source: StreamSource,
) -> Result<Vec<Particle>, (Vec<u8>, Cause)> {
    let mut context = bench.take(function.module)?;
    let call = StreamCall {
        function: function.name,
        arguments: function.arguments,
        source,
        time_per_record: bench.terms.time_limit,
        now: bench.now(),
    };
    let mut values = Vec::new();
    let mut ended = context.begin_stream(call);
    while ended.is_ok() {
        match context.next_value() {
            StreamStep::Value(value) => values.push(value),
            StreamStep::End => break,
            StreamStep::Failure(text) => ended = Err(text),
        }
    }
    let cause = context.take_cause();
    context.end_stream();
    bench.give_back(function.module, context);
    match ended {
        Ok(()) => Ok(values),
        Err(text) => Err((text, cause)),
    }
}

fn view(record: StoredRecord) -> RecordView {
    RecordView {
        digest: record.digest(),
        set: None,
        key: record.key().map(ParticleRef::to_particle),
        stored: Some(record),
        in_memory: true,
        persisted: false,
        write_refusal: None,
    }
}
