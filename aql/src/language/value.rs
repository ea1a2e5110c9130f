//! Values as they are written in statements.

use protocol::msgpack::order;
use protocol::particle::ParticleType;
use protocol::value::Value;

use super::lexer::TokenKind;
use super::notation;
use super::parser::{ParseError, Parsed, Parser, unquoted};
use super::statement::{JsonKind, Literal, RecordName};

/// What a type name in a cast makes of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cast {
    Integer,
    Float,
    Bool,
    Text,
    Json(JsonKind),
    GeoJson,
    Ordered(u8),
    Blob(ParticleType),
    Escaped,
    Exact,
}

/// The names of types.
const CASTS: &[(&str, Cast)] = &[
    ("DECIMAL", Cast::Integer),
    ("INT", Cast::Integer),
    ("NUMERIC", Cast::Integer),
    ("FLOAT", Cast::Float),
    ("REAL", Cast::Float),
    ("BOOL", Cast::Bool),
    ("CHAR", Cast::Text),
    ("STRING", Cast::Text),
    ("TEXT", Cast::Text),
    ("VARCHAR", Cast::Text),
    ("JSON", Cast::Json(JsonKind::Either)),
    ("LIST", Cast::Json(JsonKind::List)),
    ("MAP", Cast::Json(JsonKind::Map)),
    ("GEOJSON", Cast::GeoJson),
    ("KEY_ORDERED_MAP", Cast::Ordered(order::KEY)),
    (
        "KEY_VALUE_ORDERED_MAP",
        Cast::Ordered(order::KEY | order::VALUE),
    ),
    ("BLOB", Cast::Blob(ParticleType::BLOB)),
    ("HLL", Cast::Blob(ParticleType::HLL)),
    ("ESCAPED", Cast::Escaped),
    ("EXACT", Cast::Exact),
];

/// The names of types, for completion.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    CASTS.iter().map(|(name, _)| *name)
}

fn cast_of(name: &str) -> Option<Cast> {
    CASTS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, cast)| *cast)
}

/// A value; goes on behind it.
pub(super) fn value(parser: &mut Parser<'_>) -> Parsed<Literal> {
    if parser.is("CAST") {
        parser.advance();
        parser.expect("(")?;
        if parser.at_end() {
            return Err(parser.mistake());
        }
        let (word, kind) = (parser.word().to_owned(), parser.kind());
        parser.advance();
        parser.expect("AS")?;
        let Some(cast) = cast_of(parser.word()) else {
            return Err(cast_error(parser, None));
        };
        parser.advance();
        return closed(parser, &word, kind, cast);
    }
    if parser.kind() == Some(TokenKind::Word)
        && let Some(cast) = cast_of(parser.word())
    {
        parser.advance();
        parser.expect("(")?;
        if parser.at_end() || parser.is(")") {
            let mistake = parser.mistake();
            return Err(match mistake {
                // `LIST()`: told as if the statement ended there.
                ParseError::Unexpected { shown, at } => ParseError::Ended {
                    shown: shown.into_bytes(),
                    at,
                },
                other => other,
            });
        }
        let (word, kind) = (parser.word().to_owned(), parser.kind());
        parser.advance();
        return closed(parser, &word, kind, cast);
    }
    plain(parser)
}

/// Converts the word of a cast, and passes over the closing parenthesis.
fn closed(
    parser: &mut Parser<'_>,
    word: &str,
    kind: Option<TokenKind>,
    cast: Cast,
) -> Parsed<Literal> {
    if parser.at_end() {
        return Err(parser.mistake());
    }
    if !parser.is(")") {
        return Err(cast_error(parser, None));
    }
    let literal = match converted(word, kind, cast) {
        Ok(literal) => literal,
        Err(text) => return Err(cast_error(parser, Some(text))),
    };
    parser.advance();
    Ok(literal)
}

fn cast_error(parser: &Parser<'_>, text: Option<String>) -> ParseError {
    ParseError::Cast {
        text,
        then: Box::new(parser.mistake()),
    }
}

fn converted(word: &str, kind: Option<TokenKind>, cast: Cast) -> Result<Literal, String> {
    let text = unquoted(word);
    let refused = |kind: &str| {
        // The opening quote is gone, the closing one is not.
        let shown = word.trim_start_matches(['\'', '"']);
        format!("Error!  Cannot cast \"{shown}\" to {kind}!")
    };
    if word.eq_ignore_ascii_case("NULL") {
        return Ok(Literal::Null);
    }
    Ok(match cast {
        Cast::Integer => match text.parse::<f64>().is_ok() && !text.contains(['.', 'e', 'E']) {
            true => Literal::Integer(integer(text)),
            false => return Err(refused("int")),
        },
        Cast::Float => Literal::Float(text.parse().map_err(|_| refused("float"))?),
        Cast::Bool => match text.to_ascii_lowercase().as_str() {
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            number => Literal::Bool(number.parse::<i64>().map_err(|_| refused("bool"))? != 0),
        },
        Cast::Text => Literal::Text(text.to_owned()),
        Cast::Json(of) => Literal::Json(of, text.to_owned()),
        Cast::GeoJson if kind == Some(TokenKind::Text) => Literal::GeoJson(text.to_owned()),
        Cast::GeoJson => return Err(refused("geojson")),
        Cast::Ordered(flags) => match notation::parse(text) {
            Some(Value::Map { entries, .. }) => Literal::Exact(Value::Map { flags, entries }),
            _ => return Err(refused("map")),
        },
        Cast::Blob(kind) => {
            let bytes = notation::hex(text).ok_or_else(|| refused("blob"))?;
            Literal::Exact(Value::Blob { kind, bytes })
        }
        Cast::Escaped => Literal::Exact(Value::String(
            notation::unescaped(text).ok_or_else(|| refused("text"))?,
        )),
        Cast::Exact => Literal::Exact(notation::parse(text).ok_or_else(|| refused("value"))?),
    })
}

/// A word that stands for itself.
fn plain(parser: &mut Parser<'_>) -> Parsed<Literal> {
    let word = parser.word();
    let literal = match parser.kind() {
        Some(TokenKind::Text) => {
            let text = unquoted(word);
            match text.strip_prefix("JSON") {
                Some(json) => Literal::Json(JsonKind::Either, json.to_owned()),
                None => Literal::Text(text.to_owned()),
            }
        }
        Some(TokenKind::Integer) => Literal::Integer(integer(word)),
        Some(TokenKind::Float) => match word.parse() {
            Ok(number) => Literal::Float(number),
            Err(_) => return Err(parser.mistake()),
        },
        Some(TokenKind::Word) => match word.to_ascii_uppercase().as_str() {
            "TRUE" => Literal::Bool(true),
            "FALSE" => Literal::Bool(false),
            "NULL" => Literal::Null,
            _ => return Err(parser.mistake()),
        },
        _ => return Err(parser.mistake()),
    };
    parser.advance();
    Ok(literal)
}

/// The key of a record: a string or an integer, or a cast to what a string can be; goes on behind it.
pub(super) fn key(parser: &mut Parser<'_>) -> Parsed<Literal> {
    if parser.kind() == Some(TokenKind::Word)
        && let Some(Cast::Escaped | Cast::Blob(_)) = cast_of(parser.word())
    {
        return value(parser);
    }
    match parser.kind() {
        Some(TokenKind::Text | TokenKind::Integer) => {}
        Some(TokenKind::Float) => {
            parser.advance();
            return Err(ParseError::Explained {
                text: "Error: (-1) PK cannot be floating point value".to_owned(),
                then: Some(Box::new(parser.mistake())),
            });
        }
        _ => return Err(parser.mistake()),
    }
    match parser.kind() {
        Some(TokenKind::Text) => {
            let text = unquoted(parser.word()).to_owned();
            parser.advance();
            Ok(Literal::Text(text))
        }
        _ => plain(parser),
    }
}

/// `PK = …`, `DIGEST = …` or `EDIGEST = …`. None when the word at hand is none of these.
pub(super) fn record_name(parser: &mut Parser<'_>) -> Parsed<Option<RecordName>> {
    let make: fn(String) -> RecordName = match parser.word().to_uppercase().as_str() {
        "PK" => {
            parser.advance();
            parser.expect("=")?;
            return key(parser).map(|key| Some(RecordName::Key(key)));
        }
        "DIGEST" => RecordName::Digest,
        "EDIGEST" => RecordName::EncodedDigest,
        _ => return Ok(None),
    };
    parser.advance();
    parser.expect("=")?;
    parser.name().map(|text| Some(make(text)))
}

/// A number as C reads it: decimal, `0x` hexadecimal, `0` octal; too large ones are the largest, or the least.
pub(super) fn integer(word: &str) -> i64 {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.trim_start_matches('+')),
    };
    let (digits, radix) = match digits.to_ascii_lowercase() {
        hex if hex.starts_with("0x") => (hex.trim_start_matches("0x").to_owned(), 16),
        octal if octal.starts_with('0') => {
            // C stops at the first digit that is not octal.
            (
                octal
                    .chars()
                    .take_while(|digit| digit.is_digit(8))
                    .collect(),
                8,
            )
        }
        decimal => (decimal, 10),
    };
    let limit = if negative { i64::MIN } else { i64::MAX };
    match i128::from_str_radix(&digits, radix) {
        Ok(number) => {
            let number = if negative { -number } else { number };
            i64::try_from(number).unwrap_or(limit)
        }
        Err(_) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::integer;

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, number) in [
            ("0", 0),
            ("12", 12),
            ("-12", -12),
            ("+3", 3),
            ("0x1f", 31),
            ("-0x1F", -31),
            ("010", 8),
            ("099", 0),
            ("9223372036854775808", i64::MAX),
            ("-9223372036854775809", i64::MIN),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
    }
}
