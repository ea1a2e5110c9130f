//! `manage udfs run`: a function of a module on one record.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::key::Key;
use protocol::value::Value;
use tools::bin_json;

use super::{argument, if_confirmed, word};
use crate::plan::{Call, Plan, Planned};
use crate::view::Modifiers;

/// Calls the function and prints its result.
pub(super) fn run(modifiers: &Modifiers, warned: bool) -> Planned {
    let module = argument(modifiers, 0);
    let module = module.strip_suffix(".lua").unwrap_or(module);
    let function = argument(modifiers, 1);
    let failed = format!("Failed to run {module}.{function}");
    let (namespace, set) = match word(modifiers, "on").split_once('.') {
        Some((namespace, set)) => (namespace, set),
        None => (word(modifiers, "on"), ""),
    };
    let key = match value(word(modifiers, "key"))? {
        Value::Integer(number) => Key::Integer(number),
        Value::String(text) => Key::String(text),
        Value::Blob { bytes, .. } => Key::Blob(bytes),
        _ => return Err(format!("{failed} : a key is an integer, a text or bytes.")),
    };
    let arguments = modifiers.keyword("args").iter();
    let call = Call {
        module: module.to_owned(),
        function: function.to_owned(),
        namespace: namespace.to_owned(),
        set: set.to_owned(),
        key,
        arguments: arguments
            .map(|text| value(text))
            .collect::<Result<_, _>>()?,
    };
    let message = format!("You're about to run {module}.{function} on a record.");
    if_confirmed(warned, message, move || {
        Ok(Plan::Call {
            call,
            next: Box::new(move |called| match called {
                Ok(value) => Plan::done(bin_json::to_json(&value).to_string()),
                Err(reason) => Err(format!("{failed} : {reason}")),
            }),
        })
    })
}

/// A word as a value: `int(7)`, `str(7)`, `float(1.5)`, `bool(true)`, `bytes(<base64>)`; else what it looks like: a number,
/// `true`, `false`, `nil`, a list or map in JSON, or text.
fn value(word: &str) -> Result<Value, String> {
    let wrong = |what: &str| format!("`{word}` is no {what}, so nothing was done");
    let cast = word
        .strip_suffix(')')
        .and_then(|inner| inner.split_once('('));
    Ok(match cast {
        Some(("int", number)) => Value::Integer(number.parse().map_err(|_| wrong("integer"))?),
        Some(("float", number)) => Value::Float(number.parse().map_err(|_| wrong("number"))?),
        Some(("bool", truth)) => Value::Bool(truth.parse().map_err(|_| wrong("truth value"))?),
        Some(("bytes", text)) => Value::blob(STANDARD.decode(text).map_err(|_| wrong("base64"))?),
        Some(("str" | "string", text)) => Value::String(text.as_bytes().to_vec()),
        _ if word.starts_with(['[', '{']) => serde_json::from_str(word)
            .ok()
            .as_ref()
            .and_then(bin_json::from_json)
            .ok_or_else(|| wrong("JSON"))?,
        _ => plain(word),
    })
}

fn plain(word: &str) -> Value {
    let is_number = word.starts_with(|sign: char| sign.is_ascii_digit() || "+-.".contains(sign));
    match word {
        "nil" => Value::Nil,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ if is_number => match (word.parse(), word.parse()) {
            (Ok(integer), _) => Value::Integer(integer),
            (_, Ok(number)) => Value::Float(number),
            _ => Value::String(word.as_bytes().to_vec()),
        },
        _ => Value::String(word.as_bytes().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_values() {
        let text = |text: &str| Value::String(text.into());
        for (word, expected) in [
            ("7", Value::Integer(7)),
            ("-7", Value::Integer(-7)),
            ("1.5", Value::Float(1.5)),
            ("7a", text("7a")),
            ("inf", text("inf")),
            ("str(7)", text("7")),
            ("int(7)", Value::Integer(7)),
            ("float(7)", Value::Float(7.0)),
            ("bool(false)", Value::Bool(false)),
            ("true", Value::Bool(true)),
            ("nil", Value::Nil),
            ("bytes(/w==)", Value::blob([255])),
            ("f(x)", text("f(x)")),
            ("", text("")),
            (
                "[1, {\"a\": null}]",
                Value::list([1.into(), Value::map([("a".into(), Value::Nil)])]),
            ),
        ] {
            assert_eq!(value(word), Ok(expected), "{word}");
        }
        for word in ["int(a)", "float()", "bool(1)", "bytes(!)", "[1", "{a}"] {
            assert!(value(word).is_err(), "{word}");
        }
    }
}
