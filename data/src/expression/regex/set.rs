/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByteSet {
    words: [u64; 4],
}

impl ByteSet {
    /// Those for which this holds.
    pub(super) fn of(holds: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        for byte in 0..=u8::MAX {
            if holds(byte) {
                set.insert(byte);
            }
        }
        set
    }

    pub(super) fn insert(&mut self, byte: u8) {
        if let Some(word) = self.words.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.words
            .get(usize::from(byte >> 6))
            .is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// The bytes of a class between `[:` and `:]`, as the "C" locale has them.
    pub(super) fn class(name: &[u8]) -> Option<Self> {
        let holds: fn(u8) -> bool = match name {
            b"alnum" => |byte| byte.is_ascii_alphanumeric(),
            b"alpha" => |byte| byte.is_ascii_alphabetic(),
            b"blank" => |byte| matches!(byte, b' ' | b'\t'),
            b"cntrl" => |byte| byte.is_ascii_control(),
            b"digit" => |byte| byte.is_ascii_digit(),
            b"graph" => |byte| byte.is_ascii_graphic(),
            b"lower" => |byte| byte.is_ascii_lowercase(),
            b"print" => |byte| byte == b' ' || byte.is_ascii_graphic(),
            b"punct" => |byte| byte.is_ascii_punctuation(),
            b"space" => is_space,
            b"upper" => |byte| byte.is_ascii_uppercase(),
            b"xdigit" => |byte| byte.is_ascii_hexdigit(),
            _ => return None,
        };
        Some(Self::of(holds))
    }

    /// Its bytes as ranges, first and last of each.
    pub(super) fn ranges(&self) -> Vec<(u8, u8)> {
        let mut ranges = Vec::new();
        let mut open: Option<u8> = None;
        for byte in 0..=u8::MAX {
            match (self.contains(byte), open) {
                (true, None) => open = Some(byte),
                (false, Some(first)) => {
                    ranges.push((first, byte - 1));
                    open = None;
                }
                _ => {}
            }
        }
        ranges.extend(open.map(|first| (first, u8::MAX)));
        ranges
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | 9..=13)
}
