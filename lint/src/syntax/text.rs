//! Strings as Lua 5.4 writes them.

use protocol::bounds::Within as _;

use super::Why;

/// The number of equals signs if a long bracket opens here.
pub(super) fn long_level(text: &[u8]) -> Option<usize> {
    let inner = text.strip_prefix(b"[")?;
    let level = inner.iter().take_while(|byte| **byte == b'=').count();
    (inner.get(level) == Some(&b'[')).then_some(level)
}

/// Reads a long bracket; answers its length and content, or none if it does not end.
pub(super) fn long(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    let level = long_level(text)?;
    let open = level + 2;
    let mut at = open;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b']')?;
        let inner = text.get(at + 1..)?;
        let signs = inner.iter().take_while(|byte| **byte == b'=').count();
        if signs == level && inner.get(level) == Some(&b']') {
            break;
        }
        at += 1 + signs;
    }
    let mut content = text.get(open..at)?;
    for newline in [&b"\r\n"[..], b"\n\r", b"\n", b"\r"] {
        if let Some(rest) = content.strip_prefix(newline) {
            content = rest;
            break;
        }
    }
    Some((at + open, content.to_vec()))
}

/// Reads a string in quotes; answers its length and content, or how far it was read and why not.
pub(super) fn quoted(text: &[u8], quote: u8) -> Result<(usize, Vec<u8>), (usize, Why)> {
    let mut content = Vec::new();
    let mut at = 1;
    loop {
        let rest = text.within(at..);
        let plain = rest
            .iter()
            .position(|byte| matches!(byte, b'\\' | b'\n' | b'\r') || *byte == quote)
            .ok_or((text.len(), Why::Unfinished))?;
        content.extend(rest.within(..plain));
        at += plain;
        match text.get(at) {
            Some(byte) if *byte == quote => return Ok((at + 1, content)),
            Some(b'\\') => {
                let escape = text.within(at + 1..);
                let length = self::escape(escape, &mut content)
                    .ok_or((at + 1 + usize::from(!escape.is_empty()), Why::Escape))?;
                at += 1 + length;
            }
            _ => return Err((at, Why::Unfinished)),
        }
    }
}

/// Reads what follows a backslash; answers its length.
fn escape(text: &[u8], content: &mut Vec<u8>) -> Option<usize> {
    let (first, rest) = text.split_first()?;
    let plain = match first {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'"' | b'\'' => *first,
        b'\n' | b'\r' => {
            content.push(b'\n');
            let pair = matches!(
                (first, rest.first()),
                (b'\n', Some(b'\r')) | (b'\r', Some(b'\n'))
            );
            return Some(1 + usize::from(pair));
        }
        b'z' => {
            let space = |byte: &&u8| byte.is_ascii_whitespace() || **byte == 0x0b;
            return Some(1 + rest.iter().take_while(space).count());
        }
        b'x' => {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            content.push(u8::from_str_radix(digits, 16).ok()?);
            return Some(3);
        }
        b'u' => {
            let inner = rest.strip_prefix(b"{")?;
            let length = inner.iter().position(|byte| *byte == b'}')?;
            let digits = std::str::from_utf8(inner.get(..length)?).ok()?;
            if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return None;
            }
            let digits = digits.trim_start_matches('0');
            let code =
                u64::from_str_radix(if digits.is_empty() { "0" } else { digits }, 16).ok()?;
            encode(
                u32::try_from(code).ok().filter(|code| *code < 1 << 31)?,
                content,
            );
            return (length > 0).then_some(length + 3);
        }
        b'0'..=b'9' => {
            let length = text
                .iter()
                .take(3)
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            let digits = std::str::from_utf8(text.get(..length)?).ok()?;
            content.push(digits.parse().ok()?);
            return Some(length);
        }
        _ => return None,
    };
    content.push(plain);
    Some(1)
}

/// Writes a code in UTF-8 of up to six bytes, as Lua does it.
fn encode(code: u32, content: &mut Vec<u8>) {
    if code < 0x80 {
        content.extend(u8::try_from(code));
        return;
    }
    let length = match code {
        0..0x800 => 2,
        0x800..0x1_0000 => 3,
        0x1_0000..0x20_0000 => 4,
        0x20_0000..0x400_0000 => 5,
        _ => 6_u32,
    };
    for place in (0..length).rev() {
        let bits = code >> (6 * place);
        let byte = if place == length - 1 {
            (0xff00 >> length) & 0xff | bits
        } else {
            0x80 | bits & 0x3f
        };
        content.extend(u8::try_from(byte & 0xff));
    }
}

#[cfg(test)]
mod tests {
    use super::{long, quoted};

    #[test]
    fn strings_are_read_as_lua_reads_them() {
        for (text, content) in [
            (r#""a\n\65\x41\u{48}""#, Some(&b"a\nAAH"[..])),
            ("\"a\\z  \n  b\"", Some(b"ab")),
            (r#""\u{2603}""#, Some("☃".as_bytes())),
            (r#""\q""#, None),
            (r#""\300""#, None),
            ("\"a\nb\"", None),
            ("\"a", None),
            ("\"\\", None),
        ] {
            let read = quoted(text.as_bytes(), b'"').ok();
            assert_eq!(
                read.as_ref().map(|(_, content)| &content[..]),
                content,
                "{text}"
            );
        }
        for (text, content) in [
            ("[[a]]", Some(&b"a"[..])),
            ("[==[\n a ]] ]=] ]==]", Some(b" a ]] ]=] ")),
            ("[[a]", None),
            ("[=[a]]", None),
        ] {
            let read = long(text.as_bytes());
            assert_eq!(
                read.as_ref().map(|(_, content)| &content[..]),
                content,
                "{text}"
            );
        }
    }
}
