//! What a question of a test file is answered with, and how calls and results are shown.

use std::time::Duration;

use protocol::particle::Particle;
use protocol::value::Value;
use runtime::call::Cause;

use super::words::{Told, Words};
use crate::place::{Called, Did, Policy, Seen, readable};
use crate::show;

/// What goes wrong in an answer: raised in the test.
pub(super) type Answer = Result<Particle, String>;

pub(super) fn equal(words: &mut Words) -> Answer {
    let (found, expected) = (words.value()?, words.value()?);
    if show::equal(&found, &expected) {
        return Ok(Particle::NIL);
    }
    let differences = show::differences(&found, &expected);
    let mut text = format!(
        "found     {}\nexpected  {}",
        show::value(&found),
        show::value(&expected)
    );
    if matches!(found, Value::List { .. } | Value::Map { .. }) {
        for line in differences {
            text += &format!("\n{line}");
        }
    } else if let [line] = differences.as_slice()
        && let Some((_, kinds)) = line.rsplit_once(" (")
        && line.ends_with(')')
        && kinds.starts_with('a')
    {
        text += &format!(" ({kinds}");
    }
    Ok(Particle::string(text))
}

pub(super) fn bins_of(entries: Vec<(Value, Value)>) -> Result<Vec<(Vec<u8>, Particle)>, String> {
    let mut bins = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let Value::String(name) = name else {
            return Err(format!("{} is no name of a bin", show::value(&name)));
        };
        if data::bin::BinName::new(&name).is_none() {
            let name = String::from_utf8_lossy(&name);
            return Err(format!("the bin name `{name}` has more than 15 bytes"));
        }
        let value = value.to_particle().map_err(|error| error.to_string())?;
        bins.push((name, value));
    }
    Ok(bins)
}

/// A ttl of the wire: -1 is never, -2 keep.
pub(super) fn wire_ttl(ttl: i64) -> Result<u32, String> {
    match ttl {
        -2 | -1 => Ok((u32::MAX).wrapping_sub(u32::from(ttl == -2))),
        ttl => u32::try_from(ttl).map_err(|_| {
            "a ttl is a number of seconds, 0 for the default, -1 for ever, -2 to keep".to_owned()
        }),
    }
}

pub(super) fn policy_of(told: &mut Told) -> Result<Policy, String> {
    let time = told.take_integer("time_ms")?;
    Ok(Policy {
        // Without one the record lives as long as the namespace says.
        ttl: wire_ttl(told.take_integer("ttl")?.unwrap_or(0))?,
        sends_key: told.take_flag("send_key")?,
        durable_delete: told.take_flag("durable_delete")?,
        time_limit: match time {
            None | Some(0) => None,
            Some(ms) => Some(Duration::from_millis(
                u64::try_from(ms).map_err(|_| "`time_ms` is not negative")?,
            )),
        },
    })
}

pub(super) fn property_of(seen: Option<&Seen>, name: &str) -> Answer {
    let Some(seen) = seen else {
        return Ok(match name {
            "exists" => Particle::bool(false),
            _ => Particle::NIL,
        });
    };
    match name {
        "exists" => Ok(Particle::bool(true)),
        "generation" => Ok(Particle::integer(seen.generation.into())),
        "ttl" => Ok(Particle::integer(seen.ttl.map_or(-1, i64::from))),
        "bins" => seen
            .bins_as_map()
            .to_particle()
            .map_err(|error| error.to_string()),
        other => Err(format!("a record has no `{other}`")),
    }
}

pub(super) fn map_particle<const N: usize>(entries: [(&str, Value); N]) -> Answer {
    let entries = entries
        .into_iter()
        .map(|(name, value)| (Value::String(name.into()), value));
    Value::map(entries)
        .to_particle()
        .map_err(|error| error.to_string())
}

pub(super) fn list_of_texts(lines: Vec<String>) -> Answer {
    Value::list(lines.into_iter().map(|line| Value::String(line.into())))
        .to_particle()
        .map_err(|error| error.to_string())
}

/// What the library makes its verdicts of.
///
/// # Errors
/// The value is nested more deeply than an answer may be.
pub(super) fn result_of(code: u8, value: &Particle, failure: &[u8], did: Did) -> Answer {
    let value = readable(value.as_ref());
    map_particle([
        ("code", Value::Integer(code.into())),
        ("value", value),
        ("error", Value::String(failure.into())),
        ("created", Value::Bool(did == Did::Created)),
        ("updated", Value::Bool(did == Did::Updated)),
        ("deleted", Value::Bool(did == Did::Deleted)),
    ])
}

/// What is known of a failure besides its text.
pub(super) fn why(failure: &[u8], cause: &Cause) -> Option<String> {
    let has_place = String::from_utf8_lossy(failure).contains(".lua:");
    match (&cause.text, &cause.place) {
        (Some(text), _) => Some(text.clone()),
        (None, Some(place)) if !has_place => Some(format!("at {place}")),
        _ => None,
    }
}

pub(super) fn outcome_of(called: &Called) -> String {
    match called.code.0 {
        0 => show::particle(called.value.as_ref()),
        code => failure_shown(code, &called.failure),
    }
}

pub(super) fn failure_shown(code: u8, failure: &[u8]) -> String {
    match failure.is_empty() {
        true => format!("result {code}"),
        false => format!("result {code}: {}", String::from_utf8_lossy(failure)),
    }
}

pub(super) fn shown_call(module: &str, name: &[u8], arguments: &Particle) -> String {
    let arguments = match Value::from_particle(arguments.as_ref()) {
        Ok(Value::List { items, .. }) => {
            let shown: Vec<String> = items.iter().map(show::value).collect();
            shown.join(", ")
        }
        _ => "…".to_owned(),
    };
    format!("{module}.{}({arguments})", String::from_utf8_lossy(name))
}
