//! Expressions as readable text, operators in front: `gt(bin_int("i"), 4)`.

use std::fmt::Write as _;

use protocol::msgpack::{Reader, Token};

/// Deepest nesting that is written out.
const MAX_DEPTH: usize = 64;

/// Names of operations whose arguments are written as they come.
const NAMES: &[(i64, &str)] = &[
    (0, "unknown"),
    (1, "eq"),
    (2, "ne"),
    (3, "gt"),
    (4, "ge"),
    (5, "lt"),
    (6, "le"),
    (7, "cmp_regex"),
    (8, "cmp_geo"),
    (9, "in_list"),
    (16, "and"),
    (17, "or"),
    (18, "not"),
    (19, "exclusive"),
    (20, "add"),
    (21, "sub"),
    (22, "mul"),
    (23, "div"),
    (24, "pow"),
    (25, "log"),
    (26, "mod"),
    (27, "abs"),
    (28, "floor"),
    (29, "ceil"),
    (30, "to_int"),
    (31, "to_float"),
    (32, "int_and"),
    (33, "int_or"),
    (34, "int_xor"),
    (35, "int_not"),
    (36, "int_lshift"),
    (37, "int_rshift"),
    (38, "int_arshift"),
    (39, "int_count"),
    (40, "int_lscan"),
    (41, "int_rscan"),
    (50, "min"),
    (51, "max"),
    (64, "digest_modulo"),
    (65, "device_size"),
    (66, "last_update"),
    (67, "since_update"),
    (68, "void_time"),
    (69, "ttl"),
    (70, "set_name"),
    (71, "key_exists"),
    (72, "is_tombstone"),
    (73, "memory_size"),
    (74, "record_size"),
    (100, "remove"),
    (101, "map_keys"),
    (102, "map_values"),
    (122, "var_builtin"),
    (123, "cond"),
    (124, "var"),
    (125, "let"),
    (126, "quote"),
    (127, "call"),
];

/// Names of types, in the order of their numbers.
const TYPES: &[&str] = &[
    "nil", "bool", "int", "str", "list", "map", "blob", "float", "geojson", "hll",
];

/// The text of an encoded expression. What is no expression, or too deep, ends in `...`.
#[must_use]
pub fn describe(expression: &[u8]) -> String {
    let mut out = String::new();
    if write(&mut Reader::new(expression), &mut out, 0).is_none() {
        out.push_str("...");
    }
    out
}

fn write(reader: &mut Reader<'_>, out: &mut String, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match reader.token().ok()? {
        Token::List(count) => operation(reader, count, out, depth),
        token => literal(&token, reader, out),
    }
}

fn operation(reader: &mut Reader<'_>, count: usize, out: &mut String, depth: usize) -> Option<()> {
    let Token::Integer(code) = reader.token().ok()? else {
        return None;
    };
    let mut arguments = count.checked_sub(1)?;
    match code {
        80 | 81 if arguments > 0 => {
            out.push_str(if code == 80 { "key_" } else { "bin_" });
            let Token::Integer(kind) = reader.token().ok()? else {
                return None;
            };
            out.push_str(TYPES.get(usize::try_from(kind).ok()?)?);
            arguments -= 1;
        }
        82 => out.push_str("bin_type"),
        code => match NAMES.iter().find(|(number, _)| *number == code) {
            Some((_, name)) => out.push_str(name),
            None => write!(out, "op_{code}").ok()?,
        },
    }
    out.push('(');
    for argument in 0..arguments {
        if argument > 0 {
            out.push_str(", ");
        }
        if matches!(code, 80..=82 | 124 | 125 | 7)
            && let Token::Text(name) = reader.clone().token().ok()?
        {
            reader.token().ok()?;
            write!(out, "\"{}\"", name.escape_ascii()).ok()?;
            continue;
        }
        write(reader, out, depth + 1)?;
    }
    out.push(')');
    Some(())
}

fn literal(token: &Token<'_>, reader: &mut Reader<'_>, out: &mut String) -> Option<()> {
    match token {
        Token::Nil => out.push_str("nil"),
        Token::Bool(value) => write!(out, "{value}").ok()?,
        Token::Integer(value) => write!(out, "{value}").ok()?,
        Token::Double(value) => write!(out, "{value}").ok()?,
        Token::Float(value) => write!(out, "{value}").ok()?,
        Token::Text([3, text @ ..]) => write!(out, "\"{}\"", text.escape_ascii()).ok()?,
        Token::Text([kind, text @ ..]) => {
            let kind = if *kind == 23 { "geojson" } else { "blob" };
            write!(out, "<{kind}#{}>", text.len()).ok()?;
        }
        Token::Text([]) => out.push_str("\"\""),
        Token::Map(count) => {
            for _ in 0..2 * count {
                reader.value().ok()?;
            }
            write!(out, "<map#{count}>").ok()?;
        }
        Token::Extension { data: [0], .. } => out.push_str("wildcard"),
        Token::Extension { data: [1], .. } => out.push_str("inf"),
        Token::List(_) | Token::Extension { .. } | Token::Order(_) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_stand_in_front() {
        let cases: [(&[u8], &str); 7] = [
            (b"\x93\x51\x02\xa1i", "bin_int(\"i\")"),
            (b"\x93\x51\x08\xa1g", "bin_geojson(\"g\")"),
            (b"\x92\x40\x03", "digest_modulo(3)"),
            (b"\x93\x14\x93\x51\x02\xa1i\x0a", "add(bin_int(\"i\"), 10)"),
            (
                b"\x94\x7b\x93\x03\x93\x51\x02\xa1i\x04\x93\x51\x02\xa1i\x91\x00",
                "cond(gt(bin_int(\"i\"), 4), bin_int(\"i\"), unknown())",
            ),
            (b"\xa3\x03ab", "\"ab\""),
            // A list that says it is longer than its bytes is none.
            (b"\x93\x14\x01", "..."),
        ];
        for (bytes, text) in cases {
            assert_eq!(describe(bytes), text);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = b"\x92\x12".repeat(5000);
        assert!(describe(&deep).ends_with("..."));
    }
}
