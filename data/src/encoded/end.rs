/// Where the value ends that begins at `at`. Steps over it without recursion.
#[inline]
pub(crate) fn end(bytes: &[u8], at: usize) -> Option<usize> {
    // Most elements are scalars with a short head.
    let next = match bytes.get(at)? {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => at + 1,
        lead @ 0xa0..=0xbf => at + 1 + usize::from(lead & 0x1f),
        0xcc | 0xd0 => at + 2,
        0xcd | 0xd1 => at + 3,
        0xce | 0xd2 | 0xca => at + 5,
        0xcf | 0xd3 | 0xcb => at + 9,
        0xd9 => at + 2 + usize::from(*bytes.get(at + 1)?),
        _ => return end_of_any(bytes, at),
    };
    (next <= bytes.len()).then_some(next)
}

fn end_of_any(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut open = 1_usize;
    while open > 0 {
        open -= 1;
        let sized = |width: usize| -> Option<usize> {
            let field = bytes.get(at + 1..at + 1 + width)?;
            Some(
                field
                    .iter()
                    .fold(0, |sum, byte| (sum << 8) | usize::from(*byte)),
            )
        };
        let lead = *bytes.get(at)?;
        at = match lead {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => at + 1,
            0x80..=0x8f => {
                open = open.checked_add(2 * usize::from(lead & 0x0f))?;
                at + 1
            }
            0x90..=0x9f => {
                open = open.checked_add(usize::from(lead & 0x0f))?;
                at + 1
            }
            0xa0..=0xbf => at + 1 + usize::from(lead & 0x1f),
            0xc1 => return None,
            0xc4 | 0xd9 => at + 2 + sized(1)?,
            0xc5 | 0xda => at + 3 + sized(2)?,
            0xc6 | 0xdb => at + 5 + sized(4)?,
            0xc7 => at + 3 + sized(1)?,
            0xc8 => at + 4 + sized(2)?,
            0xc9 => at + 6 + sized(4)?,
            0xcc | 0xd0 => at + 2,
            0xcd | 0xd1 => at + 3,
            0xce | 0xd2 | 0xca => at + 5,
            0xcf | 0xd3 | 0xcb => at + 9,
            0xd4 => at + 3,
            0xd5 => at + 4,
            0xd6 => at + 6,
            0xd7 => at + 10,
            0xd8 => at + 18,
            0xdc | 0xdd => {
                let width = if lead == 0xdc { 2 } else { 4 };
                open = open.checked_add(sized(width)?)?;
                at + 1 + width
            }
            0xde | 0xdf => {
                let width = if lead == 0xde { 2 } else { 4 };
                open = open.checked_add(2 * sized(width)?)?;
                at + 1 + width
            }
        };
        // Every value still open has at least one byte, so a lying count ends the walk at once.
        if at > bytes.len() || open > bytes.len() - at {
            return None;
        }
    }
    Some(at)
}
