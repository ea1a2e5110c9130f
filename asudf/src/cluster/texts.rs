//! Texts of servers as they are without one: files without the server's module directory.

use protocol::bounds::Within as _;
use protocol::particle::{Particle, ParticleType};
use protocol::value::Value;
use runtime::call::EXECUTION_ERROR;

/// What ends a directory's path to the left.
const AROUND: &[u8] = b"'\":,;()[]{}<>=";

/// A text in which names of Lua files stand without a directory.
pub(super) fn stripped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(5).position(|part| part == b".lua:") {
        let (before, after) = rest.split_at(at);
        let is_end = |byte: &u8| byte.is_ascii_whitespace() || AROUND.contains(byte);
        let word = before.iter().rposition(is_end).map_or(0, |at| at + 1);
        let name = before
            .iter()
            .rposition(|byte| *byte == b'/')
            .map_or(word, |at| (at + 1).max(word));
        out.extend(before.within(..word));
        out.extend(before.within(name..));
        let (suffix, left) = after.split_at(5);
        out.extend(suffix);
        rest = left;
    }
    out.extend(rest);
    out
}

/// Texts of failures behind which `asd` says more, where it is configured to.
const BARE: [&[u8]; 3] = [
    EXECUTION_ERROR.as_bytes(),
    b"function not found",
    b"UDF Execution Timeout",
];

/// The text of a failure without what a server adds for people: a traceback, the cause.
pub(super) fn failure(text: &[u8]) -> Vec<u8> {
    let traceback = b"\nstack traceback:";
    let end = text
        .windows(traceback.len())
        .position(|part| part == traceback);
    let text = stripped(text.get(..end.unwrap_or(text.len())).unwrap_or(text));
    let more = BARE.iter().find_map(|bare| {
        let at = text.windows(bare.len()).position(|part| part == *bare)?;
        let end = at + bare.len();
        text.get(end..)?.starts_with(b": ").then_some(end)
    });
    match more.and_then(|end| text.get(..end)) {
        Some(bare) => bare.to_vec(),
        None => text,
    }
}

/// The same of all texts in a value.
pub(super) fn particle(found: &Particle) -> Particle {
    let holds_texts = matches!(
        found.kind,
        ParticleType::STRING | ParticleType::LIST | ParticleType::MAP
    );
    if !holds_texts || !found.data.windows(5).any(|part| part == b".lua:") {
        return found.clone();
    }
    let value = Value::from_particle(found.as_ref());
    // What cannot be read is shown as such later.
    let stripped = value
        .map(value_without)
        .ok()
        .and_then(|value| value.to_particle().ok());
    stripped.unwrap_or_else(|| found.clone())
}

fn value_without(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(stripped(&text)),
        Value::List { flags, items } => Value::List {
            flags,
            items: items.into_iter().map(value_without).collect(),
        },
        Value::Map { flags, entries } => Value::Map {
            flags,
            entries: entries
                .into_iter()
                .map(|(key, value)| (key, value_without(value)))
                .collect(),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stand_without_their_directory() {
        for (text, expected) in [
            ("/opt/aerospike/usr/udf/lua/a.lua:3: no", "a.lua:3: no"),
            ("...c/d/a.lua:3: no", "a.lua:3: no"),
            (
                "UDF: Execution Error 2 : /x/a.lua:3: /y/b.lua:4: no",
                "UDF: Execution Error 2 : a.lua:3: b.lua:4: no",
            ),
            (
                "from '/x/a.lua':\n\t/x/a.lua:1: no",
                "from '/x/a.lua':\n\ta.lua:1: no",
            ),
            ("a.lua:3: a/b", "a.lua:3: a/b"),
            ("no", "no"),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&stripped(text.as_bytes())),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn failures_stand_without_what_is_added_for_people() {
        for (text, expected) in [
            (
                "/x/a.lua:3: no\nstack traceback:\n\t[C]: in function 'error'",
                "a.lua:3: no",
            ),
            (
                "function not found: did you mean `add`?",
                "function not found",
            ),
            (
                "UDF Execution Timeout: at /x/a.lua:3",
                "UDF Execution Timeout",
            ),
            (
                "UDF: Execution Error 2 : function not found",
                "UDF: Execution Error 2 : function not found",
            ),
            (
                "UDF: Execution Error 1: no such module",
                "UDF: Execution Error 1",
            ),
        ] {
            assert_eq!(
                String::from_utf8_lossy(&failure(text.as_bytes())),
                expected,
                "{text}"
            );
        }
    }
}
