//! How values are written in case files.
//!
//! | value | written |
//! |---|---|
//! | nil, booleans | `nil` `true` `false` |
//! | integer, float | `7` `-1` · `1.0` `1e+300` `inf` `nan` |
//! | string | `"a\n\x00"` |
//! | blob; of another type | `blob(0A FF)` · `blob:9(0A FF)` |
//! | GeoJSON | `geojson("…")` |
//! | list; ordered | `[1, "a"]` · `ordered[1, 2]` |
//! | map; ordered | `{1: "a", "b": 2}` · `ordered{1: 2}` |

use protocol::particle::ParticleType;
use protocol::value::Value;

/// The value that a text begins with, and the rest of the text.
pub(crate) fn value(text: &str) -> Result<(Value, &str), String> {
    let mut parser = Parser(text.trim_start());
    let value = parser.value()?;
    Ok((value, parser.0))
}

/// A list's elements or a map's pairs up to the closing bracket, after the opening one.
pub(crate) fn values(text: &str, close: char) -> Result<(Vec<Value>, &str), String> {
    let mut parser = Parser(text);
    let items = parser.until(close, Parser::value)?;
    Ok((items, parser.0))
}

struct Parser<'t>(&'t str);

impl Parser<'_> {
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        if self.skip(text) {
            Ok(())
        } else {
            Err(format!("{text} expected before {}", self.0))
        }
    }

    fn until<T>(
        &mut self,
        close: char,
        read: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        while !self.skip(&close.to_string()) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(read(self)?);
        }
        Ok(items)
    }

    fn value(&mut self) -> Result<Value, String> {
        self.0 = self.0.trim_start();
        let flags = u8::from(self.skip("ordered"));
        if self.skip("[") {
            let items = self.until(']', Self::value)?;
            return Ok(Value::List { flags, items });
        }
        if self.skip("{") {
            let pair = |parser: &mut Self| {
                let key = parser.value()?;
                parser.expect(":")?;
                Ok((key, parser.value()?))
            };
            let entries = self.until('}', pair)?;
            return Ok(Value::Map { flags, entries });
        }
        if self.skip("\"") {
            return Ok(Value::String(self.string()?));
        }
        if self.skip("geojson(\"") {
            let text = self.string()?;
            self.expect(")")?;
            return Ok(Value::GeoJson(text));
        }
        if self.skip("blob") {
            return self.blob();
        }
        let end = self.0.find([',', ']', '}', ')', ':', ' ']);
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        let value = match word {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => match word.parse() {
                Ok(integer) => Value::Integer(integer),
                Err(_) => Value::Float(word.parse().map_err(|_| format!("no value: {word}"))?),
            },
        };
        Ok(value)
    }

    fn blob(&mut self) -> Result<Value, String> {
        let (kind, rest) = self.0.split_once('(').ok_or("( expected after blob")?;
        let (digits, rest) = rest.split_once(')').ok_or(") expected after a blob")?;
        self.0 = rest;
        let kind = match kind.strip_prefix(':') {
            Some(number) => ParticleType(number.parse().map_err(|_| "no particle type")?),
            None => ParticleType::BLOB,
        };
        Ok(Value::Blob {
            kind,
            bytes: bytes(digits)?,
        })
    }

    /// After the opening quote.
    fn string(&mut self) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        let mut rest = self.0.char_indices();
        while let Some((at, char)) = rest.next() {
            let escaped = match char {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(text);
                }
                '\\' => rest.next().map(|(_, char)| char),
                char => {
                    text.extend(char.to_string().bytes());
                    continue;
                }
            };
            match escaped {
                Some('n') => text.push(b'\n'),
                Some('x') => {
                    let digits: String = rest.by_ref().take(2).map(|(_, char)| char).collect();
                    text.extend(bytes(&digits)?);
                }
                Some(char) => text.extend(char.to_string().bytes()),
                None => break,
            }
        }
        Err("a string without end".to_owned())
    }
}

/// The bytes of hexadecimal digits, with or without spaces.
pub(crate) fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    digits
        .chunks(2)
        .map(|pair| {
            let pair = String::from_utf8_lossy(pair);
            u8::from_str_radix(&pair, 16).map_err(|_| format!("no digits: {pair}"))
        })
        .collect()
}

/// The value as it is written.
pub(crate) fn written(value: &Value) -> String {
    let ordered = |flags: u8| if flags == 0 { "" } else { "ordered" };
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(integer) => integer.to_string(),
        Value::Float(float) if float.is_nan() => "nan".to_owned(),
        Value::Float(float) => format!("{float:?}"),
        Value::String(text) => quoted(text),
        Value::Blob { kind, bytes } => {
            let kind = match *kind {
                ParticleType::BLOB => String::new(),
                kind => format!(":{}", kind.0),
            };
            let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("blob{kind}({})", digits.join(" "))
        }
        Value::GeoJson(text) => format!("geojson({})", quoted(text)),
        Value::List { flags, items } => {
            let items: Vec<_> = items.iter().map(written).collect();
            format!("{}[{}]", ordered(*flags), items.join(", "))
        }
        Value::Map { flags, entries } => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", written(key), written(value)))
                .collect();
            format!("{}{{{}}}", ordered(*flags), entries.join(", "))
        }
    }
}

fn quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => quoted.extend(['\\', char]),
                '\n' => quoted.push_str("\\n"),
                char if char.is_ascii_control() => {
                    quoted.push_str(&format!("\\x{:02X}", u32::from(char)));
                }
                char => quoted.push(char),
            }
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02X}"));
        }
    }
    quoted.push('"');
    quoted
}

#[test]
fn values_are_read_as_they_are_written() {
    for text in [
        "nil",
        "true",
        "-9223372036854775808",
        "1.0",
        "1e300",
        "-inf",
        "nan",
        r#""a\"\\\n\x00\xFFé""#,
        "blob(0A FF)",
        "blob:9()",
        r#"geojson("{}")"#,
        r#"ordered[1, [], {1: "a", blob(00): nil}]"#,
        r#"ordered{"a": ordered[]}"#,
    ] {
        let (read, rest) = value(text).unwrap();
        assert_eq!((written(&read).as_str(), rest), (text, ""));
    }
    for text in ["", "[1", "[1 2]", "{1}", "\"a", "blob(0", "blob(0G)", "x"] {
        assert!(value(text).is_err(), "{text}");
    }
}
