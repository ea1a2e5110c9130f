//! The index that a stored list or map may carry as data of its order metadata, which nobody but its owner sees.

use crate::msgpack::{order, write_list_header, write_map_header, write_nil, write_order};

/// What the head of a list or map says, whether it is a map and the number of its elements or pairs, and what is behind
/// it; `None` of any other value.
#[inline]
#[must_use]
pub fn collection_head(bytes: &[u8]) -> Option<(bool, usize, &[u8])> {
    let (&lead, rest) = bytes.split_first()?;
    let number = |width: usize| {
        let (number, rest) = rest.split_at_checked(width)?;
        let number = number
            .iter()
            .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
        Some((number, rest))
    };
    let (is_map, (count, rest)) = match lead {
        0x80..=0x8f => (true, (usize::from(lead & 0x0f), rest)),
        0x90..=0x9f => (false, (usize::from(lead & 0x0f), rest)),
        0xdc => (false, number(2)?),
        0xdd => (false, number(4)?),
        0xde => (true, number(2)?),
        0xdf => (true, number(4)?),
        _ => return None,
    };
    Some((is_map, count, rest))
}

/// The size and the type of an extension that may stand here, and what is behind its head; `None` where none does, or one
/// of the fixed sizes, which order metadata never has.
#[inline]
#[must_use]
pub fn extension_head(bytes: &[u8]) -> Option<(usize, u8, &[u8])> {
    Some(match *bytes {
        [0xc7, size, kind, ref rest @ ..] => (usize::from(size), kind, rest),
        [0xc8, a, b, kind, ref rest @ ..] => (u16::from_be_bytes([a, b]).into(), kind, rest),
        [0xc9, a, b, c, d, kind, ref rest @ ..] => {
            let size = u32::from_be_bytes([a, b, c, d]);
            (usize::try_from(size).ok()?, kind, rest)
        }
        _ => return None,
    })
}

/// The head that clients see, and the items behind it, of a stored list or map that carries an index; `None` when it
/// carries none.
#[must_use]
pub fn without_index(stored: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (is_map, count, rest) = collection_head(stored)?;
    let (size, flags, rest) = extension_head(rest)?;
    // Above these bits there are types of other extensions.
    if flags & order::PERSIST_INDEX == 0 || flags >= 2 * order::PERSIST_INDEX {
        return None;
    }
    let items = rest.get(size..)?;
    let items = if is_map { items.get(1..)? } else { items };
    let flags = flags & !order::PERSIST_INDEX;
    let count = count.checked_sub(1)? + usize::from(flags != 0);
    let mut head = Vec::with_capacity(9);
    if is_map {
        write_map_header(&mut head, count);
    } else {
        write_list_header(&mut head, count);
    }
    if flags != 0 {
        write_order(&mut head, flags);
        if is_map {
            write_nil(&mut head);
        }
    }
    Some((head, items))
}
