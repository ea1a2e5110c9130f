use protocol::msgpack::{collection_head, extension_head};

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
        let (is_map, count, body) = collection_head(bytes)?;
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
        let Some((size, flags, rest)) = extension_head(body) else {
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
