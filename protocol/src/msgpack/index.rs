//! The index that a stored list or map may carry as data of its order metadata, which nobody but its owner sees.

use crate::msgpack::{order, write_list_header, write_map_header, write_nil, write_order};

/// The head that clients see, and the items behind it, of a stored list or map that carries an index; `None` when it
/// carries none.
#[must_use]
pub fn without_index(stored: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (&lead, rest) = stored.split_first()?;
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
    let (size, flags, rest) = match *rest {
        [0xc7, size, flags, ref rest @ ..] => (usize::from(size), flags, rest),
        [0xc8, a, b, flags, ref rest @ ..] => {
            (usize::from(u16::from_be_bytes([a, b])), flags, rest)
        }
        [0xc9, a, b, c, d, flags, ref rest @ ..] => (
            usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?,
            flags,
            rest,
        ),
        _ => return None,
    };
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
