//! Looking into lists and maps without an operation: what indexes see of them.

use protocol::particle::{ParticleRef, ParticleType};

use super::context;
use super::stored::Stored;
use crate::operation::element;

/// Which parts of a list or map are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The elements of a list.
    Elements,
    /// The keys of a map.
    Keys,
    /// The values of a map.
    Values,
}

/// The encoded element at the end of a path, `[type, value, …]`; none when the bin is neither list nor map, or there is no
/// such element.
#[must_use]
pub fn element_at<'b>(path: &[u8], bin: ParticleRef<'b>) -> Option<&'b [u8]> {
    if !matches!(bin.kind, ParticleType::LIST | ParticleType::MAP) {
        return None;
    }
    context::element_at(path, bin.data)
}

/// Gives each part of an encoded list or map, in the order in which it is stored; nothing when it is of another kind.
pub fn each<'b>(value: &'b [u8], part: Part, mut take: impl FnMut(&'b [u8])) {
    let Some(stored) = Stored::read(value) else {
        return;
    };
    if stored.is_map != (part != Part::Elements) {
        return;
    }
    let mut at = 0;
    // What is stored was checked; a walk that does not fit ends.
    let mut next = || {
        let end = element::end(stored.body, at)?;
        let found = stored.body.get(at..end)?;
        at = end;
        Some(found)
    };
    for _ in 0..stored.count {
        let found = match part {
            Part::Elements => next(),
            Part::Keys => next().and_then(|key| next().map(|_| key)),
            Part::Values => next().and_then(|_| next()),
        };
        match found {
            Some(found) => take(found),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_paths() {
        // {"a": [1, {7: "x"}]}, the string with its type byte.
        let map = b"\x81\xa2\x03a\x92\x01\x81\x07\xa2\x03x";
        let bin = ParticleRef::new(ParticleType::MAP, map);
        let cases: [(&[u8], Option<&[u8]>); 6] = [
            (b"\x92\x22\xa2\x03a", Some(b"\x92\x01\x81\x07\xa2\x03x")),
            (b"\x94\x22\xa2\x03a\x10\x00", Some(b"\x01")),
            (b"\x96\x22\xa2\x03a\x10\xff\x22\x07", Some(b"\xa2\x03x")),
            (b"\x94\x22\xa2\x03a\x10\x02", None),
            (b"\x94\x22\xa2\x03a\x22\x00", None),
            (b"\x92\x22\xa2\x03b", None),
        ];
        for (path, found) in cases {
            assert_eq!(element_at(path, bin), found, "{path:?}");
        }
        let integer = ParticleRef::new(ParticleType::INTEGER, &[0; 8]);
        assert_eq!(element_at(b"\x92\x10\x00", integer), None);
    }

    #[test]
    fn parts_are_those_of_the_kind() {
        let of = |value: &'static [u8], part| {
            let mut found = Vec::new();
            each(value, part, |item| found.push(item));
            found
        };
        let list = b"\x94\xc7\x00\x01\x01\x92\x02\x03\x04";
        assert_eq!(
            of(list, Part::Elements),
            [&b"\x01"[..], b"\x92\x02\x03", b"\x04"]
        );
        assert!(of(list, Part::Keys).is_empty());
        let map = b"\x82\x01\xa1x\x02\x90";
        assert_eq!(of(map, Part::Keys), [b"\x01", b"\x02"]);
        assert_eq!(of(map, Part::Values), [&b"\xa1x"[..], b"\x90"]);
        assert!(of(map, Part::Elements).is_empty());
        assert!(of(b"\x05", Part::Elements).is_empty());
    }
}
