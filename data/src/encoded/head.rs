use super::end::end;

/// The head of a list or map, and what is behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) is_map: bool,
    /// Order flags, that of a kept index included.
    pub(crate) flags: u8,
    /// Number of elements or pairs.
    pub(crate) count: usize,
    /// The items.
    pub(crate) body: &'a [u8],
    /// The index, empty where none is kept.
    pub(crate) index: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the head. `bytes` is exactly one value; `None` when it is neither list nor map.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&lead, rest) = bytes.split_first()?;
        let number = |width: usize| -> Option<(usize, &'a [u8])> {
            let (number, rest) = rest.split_at_checked(width)?;
            let number = number
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            Some((number, rest))
        };
        let (is_map, (count, body)) = match lead {
            0x80..=0x8f => (true, (usize::from(lead & 0x0f), rest)),
            0x90..=0x9f => (false, (usize::from(lead & 0x0f), rest)),
            0xdc => (false, number(2)?),
            0xdd => (false, number(4)?),
            0xde => (true, number(2)?),
            0xdf => (true, number(4)?),
            _ => return None,
        };
        let plain = Self {
            is_map,
            flags: 0,
            count,
            body,
            index: &[],
        };
        if count == 0 {
            return Some(plain);
        }
        let metadata = match *body {
            [0xc7, size, flags, ref rest @ ..] => Some((usize::from(size), flags, rest)),
            [0xc8, a, b, flags, ref rest @ ..] => {
                Some((usize::from(u16::from_be_bytes([a, b])), flags, rest))
            }
            [0xc9, a, b, c, d, flags, ref rest @ ..] => {
                let size = u32::from_be_bytes([a, b, c, d]);
                Some((usize::try_from(size).ok()?, flags, rest))
            }
            _ => None,
        };
        let Some((size, flags, rest)) = metadata else {
            return Some(plain);
        };
        let (index, body) = rest.split_at_checked(size)?;
        Some(Self {
            flags,
            count: count - 1,
            // A nil stands behind the metadata of a map.
            body: if is_map { body.get(1..)? } else { body },
            index,
            ..plain
        })
    }

    /// Where the item ends that begins at `at` of the body.
    #[inline]
    pub(crate) fn after(&self, at: usize) -> Option<usize> {
        let end_of_first = end(self.body, at)?;
        if self.is_map {
            end(self.body, end_of_first)
        } else {
            Some(end_of_first)
        }
    }
}
