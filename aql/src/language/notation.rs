//! Values as text, without loss: JSON, and beside it what JSON has no words for.
//!
//! ```text
//! value  = NIL | NULL | true | false | number | inf | -inf | nan | text | list | map | kind "(" text ")"
//! kind   = BLOB | HLL       hexadecimal digits, blanks between bytes do not matter
//!        | GEOJSON
//! list   = [ ORDERED ] "[" value, … "]"
//! map    = [ KEY_ORDERED | KEY_VALUE_ORDERED ] "{" value ":" value, … "}"
//! text   = '"' … '"'        with the escapes of JSON, and \xNN for a byte
//! ```
//!
//! Words may be written in any case. A number without fraction and exponent is an integer, if one holds it.

use std::fmt::Write as _;

use protocol::bounds::Within as _;
use protocol::limits::MAX_DEPTH;
use protocol::msgpack::order;
use protocol::particle::ParticleType;
use protocol::value::Value;

/// Reads a value that must be all there is. None: it is none.
#[must_use]
pub fn parse(text: &str) -> Option<Value> {
    let mut reader = NotationReader { text, at: 0 };
    let value = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

/// The bytes of hexadecimal digits, with blanks between bytes or without.
#[must_use]
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text
        .chars()
        .filter(|character| !character.is_whitespace())
        .map(|digit| digit.to_digit(16))
        .collect();
    digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect()
}

/// The bytes of a text with escapes.
#[must_use]
pub fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut out)?,
            plain => out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(out)
}

/// What stands behind a backslash.
fn escape(rest: &mut std::str::Chars<'_>, out: &mut Vec<u8>) -> Option<()> {
    const HIGH: std::ops::RangeInclusive<u32> = 0xd800..=0xdbff;
    let character = match rest.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        same @ ('"' | '\'' | '\\' | '/') => same,
        'x' => {
            out.push(u8::try_from(digits(rest, 2)?).ok()?);
            return Some(());
        }
        'u' => match digits(rest, 4)? {
            high if HIGH.contains(&high) => {
                // The other half of the character follows.
                (rest.next()? == '\\' && rest.next()? == 'u').then_some(())?;
                let low = digits(rest, 4)?.checked_sub(0xdc00)?;
                (low < 0x400).then_some(())?;
                char::from_u32(0x1_0000 + ((high - HIGH.start()) << 10) + low)?
            }
            unit => char::from_u32(unit)?,
        },
        _ => return None,
    };
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize) -> Option<u32> {
    let mut number = 0;
    for _ in 0..count {
        number = number * 16 + rest.next()?.to_digit(16)?;
    }
    Some(number)
}

struct NotationReader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> NotationReader<'t> {
    fn rest(&self) -> &'t str {
        self.text.within(self.at..)
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Passes over this sign, and blanks in front of it, if it is there.
    fn take(&mut self, sign: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    /// A word or number; empty where none stands.
    fn word(&mut self) -> &'t str {
        self.blanks();
        let rest = self.rest();
        let end = rest
            .find(|sign: char| !sign.is_ascii_alphanumeric() && !"_+-.".contains(sign))
            .unwrap_or(rest.len());
        self.at += end;
        rest.within(..end)
    }

    /// A text in quotes.
    fn text(&mut self) -> Option<Vec<u8>> {
        self.take('"').then_some(())?;
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().find_map(|(at, sign)| match sign {
            _ if escaped => {
                escaped = false;
                None
            }
            '\\' => {
                escaped = true;
                None
            }
            '"' => Some(at),
            _ => None,
        })?;
        self.at += end + 1;
        unescaped(rest.get(..end)?)
    }

    /// Items between an opening sign, which was read, and this closing one.
    fn items<T>(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::new();
        if self.take(close) {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.take(close) {
                return Some(items);
            }
            self.take(',').then_some(())?;
        }
    }

    fn list(&mut self, flags: u8, depth: usize) -> Option<Value> {
        let items = self.items(']', |reader| reader.value(depth + 1))?;
        Some(Value::List { flags, items })
    }

    fn map(&mut self, flags: u8, depth: usize) -> Option<Value> {
        let mut entries = self.items('}', |reader| {
            let key = reader.value(depth + 1)?;
            reader.take(':').then_some(())?;
            Some((key, reader.value(depth + 1)?))
        })?;
        // Of pairs with the same key the last one counts.
        entries.reverse();
        entries.sort_by(|(left, _), (right, _)| left.compare(right));
        entries.dedup_by(|(left, _), (right, _)| left.compare(right).is_eq());
        Some(Value::Map { flags, entries })
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.blanks();
        match self.rest().chars().next()? {
            '"' => return self.text().map(Value::String),
            '[' => {
                self.at += 1;
                return self.list(0, depth);
            }
            '{' => {
                self.at += 1;
                return self.map(0, depth);
            }
            _ => {}
        }
        let word = self.word();
        let kind = word.to_ascii_uppercase();
        match kind.as_str() {
            "NIL" | "NULL" => Some(Value::Nil),
            "TRUE" => Some(Value::Bool(true)),
            "FALSE" => Some(Value::Bool(false)),
            "ORDERED" if self.take('[') => self.list(order::KEY, depth),
            "KEY_ORDERED" if self.take('{') => self.map(order::KEY, depth),
            "KEY_VALUE_ORDERED" if self.take('{') => self.map(order::KEY | order::VALUE, depth),
            "BLOB" | "HLL" | "GEOJSON" => {
                self.take('(').then_some(())?;
                let text = self.text()?;
                self.take(')').then_some(())?;
                Some(match kind.as_str() {
                    "GEOJSON" => Value::GeoJson(text),
                    kind => Value::Blob {
                        kind: match kind {
                            "HLL" => ParticleType::HLL,
                            _ => ParticleType::BLOB,
                        },
                        bytes: hex(std::str::from_utf8(&text).ok()?)?,
                    },
                })
            }
            _ => number(word),
        }
    }
}

/// A number, as JSON or `inf`, `-inf`, `nan`.
fn number(word: &str) -> Option<Value> {
    match word.parse::<i64>() {
        Ok(number) => Some(Value::Integer(number)),
        Err(_) => word.parse().ok().map(Value::Float),
    }
}

/// A double that is read as the same one.
fn double(value: f64) -> String {
    match value {
        value if value.is_nan() => "nan".to_owned(),
        value => format!("{value:?}"),
    }
}

/// Bytes as the inside of a text in double quotes. Single quotes are escaped, too, so that it can stand in those.
fn escaped(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '"' | '\'' => {
                    // Writing to memory does not fail.
                    let _ = write!(out, "\\x{:02x}", u32::from(character));
                }
                control if control.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(control));
                }
                plain => out.push(plain),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Writes a value as it can stand inside a list or map.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Nil => out.push_str("NIL"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&double(*value)),
        Value::String(bytes) => {
            out.push('"');
            out.push_str(&escaped(bytes));
            out.push('"');
        }
        Value::Blob { kind, bytes } => {
            let name = if *kind == ParticleType::HLL {
                "HLL"
            } else {
                "BLOB"
            };
            let _ = write!(out, "{name}(\"{}\")", hex_of(bytes));
        }
        Value::GeoJson(bytes) => {
            let _ = write!(out, "GEOJSON(\"{}\")", escaped(bytes));
        }
        Value::List { flags, items } => {
            out.push_str(if flags & order::KEY == 0 {
                "["
            } else {
                "ORDERED["
            });
            for (position, item) in items.iter().enumerate() {
                out.push_str(if position > 0 { ", " } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Value::Map { flags, entries } => {
            out.push_str(match flags & (order::KEY | order::VALUE) {
                0 => "{",
                order::KEY => "KEY_ORDERED{",
                _ => "KEY_VALUE_ORDERED{",
            });
            for (position, (key, value)) in entries.iter().enumerate() {
                out.push_str(if position > 0 { ", " } else { "" });
                write(key, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// A value as it can be typed into a statement. Blobs of programming languages become plain ones.
#[must_use]
pub fn literal(value: &Value) -> String {
    let whole = |value: &Value| {
        let mut out = String::new();
        write(value, &mut out);
        out
    };
    match value {
        Value::Nil => "NULL".to_owned(),
        Value::Bool(_) | Value::Integer(_) => whole(value),
        Value::Float(number) => {
            let text = double(*number);
            let is_plain = text
                .chars()
                .all(|sign| sign.is_ascii_digit() || "+-.".contains(sign));
            match is_plain {
                true => text,
                false => format!("FLOAT('{text}')"),
            }
        }
        Value::String(bytes) => text_literal(bytes),
        Value::Blob { kind, bytes } => {
            let name = if *kind == ParticleType::HLL {
                "HLL"
            } else {
                "BLOB"
            };
            format!("{name}('{}')", hex_of(bytes))
        }
        Value::GeoJson(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if is_plain(text, '\'') => format!("GEOJSON('{text}')"),
            // The value itself, as it stands in collections.
            _ => format!("EXACT('{}')", whole(value)),
        },
        Value::List { .. } => format!("LIST('{}')", whole(value)),
        Value::Map { .. } => format!("MAP('{}')", whole(value)),
    }
}

/// A key as it can be typed into a statement.
#[must_use]
pub fn key_literal(key: &Value) -> String {
    match key {
        Value::String(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => quoted(text),
            Err(_) => literal(key),
        },
        key => literal(key),
    }
}

/// Whether a text can stand in these quotes as it is.
fn is_plain(text: &str, quote: char) -> bool {
    !text.contains(|sign: char| sign == quote || sign.is_control())
}

/// A text in quotes; where it cannot stand in them as it is, with escapes.
#[must_use]
pub fn text_literal(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => match quoted(text) {
            // A text in quotes that begins so is taken for JSON.
            quoted if text.starts_with("JSON") && !quoted.starts_with('E') => {
                format!("TEXT({quoted})")
            }
            quoted => quoted,
        },
        Err(_) => format!("ESCAPED('{}')", escaped(bytes)),
    }
}

fn quoted(text: &str) -> String {
    match ['\'', '"'].into_iter().find(|quote| is_plain(text, *quote)) {
        Some(quote) => format!("{quote}{text}{quote}"),
        None => format!("ESCAPED('{}')", escaped(text.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let text = |text: &str| Value::String(text.into());
        for (written, value) in [
            (
                "[1, -2, 3.5, 1e2]",
                Value::list([1.into(), (-2).into(), 3.5.into(), 100.0.into()]),
            ),
            (
                "[true, FALSE, null, NIL]",
                Value::list([true.into(), false.into(), Value::Nil, Value::Nil]),
            ),
            (
                "{\"b\": 1, \"a\": 2, \"b\": 3}",
                Value::map([(text("a"), 2.into()), (text("b"), 3.into())]),
            ),
            (
                "{1: [\"x\"]}",
                Value::map([(1.into(), Value::list([text("x")]))]),
            ),
            (
                "\"a\\u00e4\\ud83d\\ude00\\x41\\n\"",
                text("a\u{e4}\u{1f600}A\n"),
            ),
            (
                "9223372036854775808",
                Value::Float(9_223_372_036_854_775_808.0),
            ),
            (
                "ORDERED[1]",
                Value::List {
                    flags: order::KEY,
                    items: vec![1.into()],
                },
            ),
            ("BLOB(\"01 ff\")", Value::blob([1, 255])),
            (
                "[inf, -inf]",
                Value::list([f64::INFINITY.into(), f64::NEG_INFINITY.into()]),
            ),
            (" [ ] ", Value::list([])),
        ] {
            assert_eq!(parse(written), Some(value), "{written}");
        }
        for written in [
            "",
            "[1,",
            "[1,]",
            "{1}",
            "x",
            "\"open",
            "[1] 2",
            "\"\\q\"",
            "\"\\ud83d\"",
            "BLOB(\"1\")",
            "ORDERED",
            "1-2",
        ] {
            assert_eq!(parse(written), None, "{written}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }

    #[test]
    fn literals_are_as_people_write_them() {
        for (value, expected) in [
            (Value::String("it's".into()), "\"it's\""),
            (Value::String("plain".into()), "'plain'"),
            (
                Value::String("a'b\"c\n".into()),
                "ESCAPED('a\\x27b\\x22c\\n')",
            ),
            (Value::String("JSON[1]".into()), "TEXT('JSON[1]')"),
            (Value::Float(3.0), "3.0"),
            (Value::Float(1e20), "FLOAT('1e20')"),
            (Value::blob([1, 171]), "BLOB('01AB')"),
            (
                Value::list([Value::Nil, "x".into()]),
                "LIST('[NIL, \"x\"]')",
            ),
        ] {
            assert_eq!(literal(&value), expected);
        }
    }
}
