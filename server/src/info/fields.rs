//! Writing `name=value;name=value`.

use std::fmt::{Display, Write};

use bytes::BytesMut;

/// Writes fields with a separator between them and none at the end.
#[derive(Debug)]
pub(super) struct Fields<'o> {
    out: &'o mut BytesMut,
    separator: char,
    first: bool,
}

impl<'o> Fields<'o> {
    pub(super) fn new(out: &'o mut BytesMut, separator: char) -> Self {
        Self {
            out,
            separator,
            first: true,
        }
    }

    /// Adds `name=value`.
    pub(super) fn put(&mut self, name: impl Display, value: impl Display) {
        self.item(format_args!("{name}={value}"));
    }

    /// Adds anything.
    pub(super) fn item(&mut self, item: impl Display) {
        if !self.first {
            text(self.out, self.separator);
        }
        self.first = false;
        text(self.out, item);
    }

    /// Adds fields that were written elsewhere, each followed by the separator.
    pub(super) fn all(&mut self, fields: &str) {
        let fields = fields.strip_suffix(self.separator).unwrap_or(fields);
        if !fields.is_empty() {
            self.item(fields);
        }
    }
}

/// Writes a text. Writing to memory cannot fail.
pub(super) fn text(out: &mut BytesMut, text: impl Display) {
    let _ = write!(out, "{text}");
}

/// A name that clients chose, as it stands in a field: what would end the field, the line or the command is written out.
/// In such a name `=` is too, for those who look for `key=value` anywhere in an answer.
pub(super) fn chosen(name: &str) -> String {
    let ends = |character: char| matches!(character, ';' | ':') || character.is_control();
    let has_ends = name.contains(ends);
    let mut out = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ';' | ':' | '=' if has_ends => {
                let _ = write!(out, "\\x{:02x}", u32::from(character));
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// Percent of a part, rounded down; 0 of nothing.
pub(super) fn percent(part: u64, whole: u64) -> u64 {
    u128::from(part)
        .saturating_mul(100)
        .checked_div(u128::from(whole))
        .and_then(|percent| u64::try_from(percent).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_name_ends_nothing() {
        for (name, shown) in [
            ("demo", "demo"),
            ("größe 1-a_b.c", "größe 1-a_b.c"),
            ("a=b", "a=b"),
            ("a;ns=test:set=b", "a\\x3bns\\x3dtest\\x3aset\\x3db"),
            ("x\nbuild\t9.9\r", "x\\nbuild\\t9.9\\r"),
            ("\u{1b}[2J\u{9b}", "\\u{1b}[2J\\u{9b}"),
        ] {
            assert_eq!(chosen(name), shown);
        }
    }
}
