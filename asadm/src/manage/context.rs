//! The path to a nested value, as `ctx` items and as the server takes it: base64 of a msgpack list of pairs.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::bounds::Fit as _;

/// Names of items and their numbers on the wire.
const ITEMS: &[(&str, u8)] = &[
    ("list_index", 0x10),
    ("list_rank", 0x11),
    ("list_value", 0x13),
    ("map_index", 0x20),
    ("map_rank", 0x21),
    ("map_key", 0x22),
    ("map_value", 0x23),
];

/// Type byte of a text inside a msgpack string.
const PARTICLE_STRING: u8 = 3;
/// Type byte of bytes inside a msgpack string.
const PARTICLE_BLOB: u8 = 4;
/// Most items of a path.
const ITEMS_MAX: usize = 7;

/// Encodes items like `map_key(a)` and `list_index(-1)`.
pub(super) fn encode(items: &[String]) -> Result<String, String> {
    if items.len() > ITEMS_MAX {
        return Err(format!("a context has at most {ITEMS_MAX} items"));
    }
    let mut packed = vec![0x90 | (items.len() * 2).fit::<u8>()];
    for item in items {
        let wrong = || format!("cannot read the context item `{item}`, expected name(value)");
        let (name, value) = item
            .strip_suffix(')')
            .and_then(|item| item.split_once('('))
            .ok_or_else(wrong)?;
        let (_, number) = ITEMS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(wrong)?;
        packed.push(*number);
        if name.ends_with("_key") || name.ends_with("_value") {
            value_of(value, &mut packed).ok_or_else(wrong)?;
        } else {
            integer(value.parse().map_err(|_| wrong())?, &mut packed);
        }
    }
    Ok(STANDARD.encode(packed))
}

/// A key or value: `int(7)`, `str(a)`, `bytes(<base64>)`, `bool(true)`, `float(1.5)`, or text.
fn value_of(value: &str, out: &mut Vec<u8>) -> Option<()> {
    let cast = value
        .strip_suffix(')')
        .and_then(|inner| inner.split_once('('));
    match cast {
        Some(("int", number)) => integer(number.parse().ok()?, out),
        Some(("float", number)) => {
            out.push(0xcb);
            out.extend(number.parse::<f64>().ok()?.to_be_bytes());
        }
        Some(("bool", truth)) => out.push(match truth.to_lowercase().as_str() {
            "true" => 0xc3,
            "false" => 0xc2,
            _ => return None,
        }),
        Some(("bytes", text)) => text_of(PARTICLE_BLOB, &STANDARD.decode(text).ok()?, out)?,
        Some(("str" | "string", text)) => text_of(PARTICLE_STRING, text.as_bytes(), out)?,
        _ => text_of(PARTICLE_STRING, value.as_bytes(), out)?,
    }
    Some(())
}

fn text_of(kind: u8, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let size = u16::try_from(text.len() + 1).ok()?;
    match u8::try_from(size) {
        Ok(size) if size < 32 => out.push(0xa0 | size),
        Ok(size) => out.extend([0xd9, size]),
        Err(_) => {
            out.push(0xda);
            out.extend(size.to_be_bytes());
        }
    }
    out.push(kind);
    out.extend(text);
    Some(())
}

/// The shortest form, as servers compare paths by their bytes.
fn integer(number: i64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let (mark, size) = match number {
        -32..=127 => (None, 1),
        128..=0xff => (Some(0xcc), 1),
        0x100..=0xffff => (Some(0xcd), 2),
        0x1_0000..=0xffff_ffff => (Some(0xce), 4),
        0x1_0000_0000.. => (Some(0xcf), 8),
        -0x80..-32 => (Some(0xd0), 1),
        -0x8000..-0x80 => (Some(0xd1), 2),
        -0x8000_0000..-0x8000 => (Some(0xd2), 4),
        ..-0x8000_0000 => (Some(0xd3), 8),
    };
    out.extend(mark);
    out.extend(bytes.iter().skip(bytes.len() - size));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_as_recorded() {
        for (items, expected) in [
            (&["map_key(zip)"][..], "kiKkA3ppcA=="),
            (&["list_index(-1)", "map_value(int(7))"], "lBD/Iwc="),
        ] {
            let items: Vec<_> = items.iter().map(|item| (*item).to_owned()).collect();
            assert_eq!(encode(&items).unwrap(), expected);
        }
        for item in [
            "",
            "map_key",
            "nosuch(1)",
            "list_index(a)",
            "map_value(int(a))",
        ] {
            assert!(encode(&[item.to_owned()]).is_err(), "{item}");
        }
    }
}
