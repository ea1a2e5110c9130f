use protocol::bounds::Within as _;

use super::head::Head;

/// Items that are walked from one landmark to the next, when landmarks are made.
const STRIDE: usize = 16;

/// Most items between two landmarks: those behind a change are not walked, so that they may come to lie closer or not as
/// close.
const MOST: usize = STRIDE + STRIDE / 2;

/// Fewest items for which landmarks are kept.
const FEWEST: usize = 64;

/// Fewest bytes of items for which landmarks are kept. No shorter record has any.
pub(crate) const SMALLEST: usize = 512;

/// Bytes of a landmark.
const WIDTH: usize = 8;

/// Where about every sixteenth item of a long list or map begins, so that an item is found by a few steps.
///
/// ```text
/// landmark: place u32 │ start u32, relative to the first item          ascending, little-endian
/// ```
///
/// They are derived from a value and never leave the memory of this process: not part of the value, nor of what is written
/// to a disk or sent to another node. Nobody outside can make them lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Landmarks<'a>(&'a [u8]);

/// A value and its landmarks, from which those of a changed one are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) landmarks: Landmarks<'a>,
}

impl<'a> Landmarks<'a> {
    /// None.
    pub const NONE: Self = Self(&[]);

    /// Those that [`Landmarks::write`] has made of the value beside which they are.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len() / WIDTH
    }

    /// The landmark of this number: place and start of an item.
    #[inline]
    pub(crate) fn get(&self, number: usize) -> Option<(usize, usize)> {
        let at = number * WIDTH;
        let bytes: [u8; WIDTH] = self.0.get(at..at + WIDTH)?.try_into().ok()?;
        let [a, b, c, d, e, f, g, h] = bytes;
        let place = u32::from_le_bytes([a, b, c, d]);
        Some((place as usize, u32::from_le_bytes([e, f, g, h]) as usize))
    }

    /// The last landmark that is not behind an item: its place and its start. The first item is one, too.
    #[inline]
    pub(crate) fn before(&self, place: usize) -> (usize, usize) {
        let (mut low, mut high) = (0, self.len());
        let mut found = (0, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle) {
                Some(landmark) if landmark.0 <= place => {
                    found = landmark;
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        found
    }

    /// Appends the landmarks of a list or map to `out`, if it is long and keeps no index; false when nothing is appended.
    ///
    /// `before` is what was in its place. Where both have the same bytes, its landmarks are taken over, and only what lies
    /// around a change is walked.
    pub(crate) fn write(head: &Head<'_>, before: Option<Kept<'_>>, out: &mut Vec<u8>) -> bool {
        let is_long = head.count >= FEWEST
            && head.body.len() >= SMALLEST
            && head.index.is_empty()
            && u32::try_from(head.body.len()).is_ok();
        if !is_long {
            return false;
        }
        let begin = out.len();
        let carried = before
            .filter(|before| !before.landmarks.is_empty() && before.head.is_map == head.is_map)
            .and_then(|before| carry(head, &before, out));
        if carried.is_some() {
            return true;
        }
        out.truncate(begin);
        if walk(head, out).is_none() {
            out.truncate(begin);
        }
        out.len() > begin
    }
}

fn push(out: &mut Vec<u8>, place: usize, start: usize) -> Option<()> {
    out.extend_from_slice(&u32::try_from(place).ok()?.to_le_bytes());
    out.extend_from_slice(&u32::try_from(start).ok()?.to_le_bytes());
    Some(())
}

/// Makes all landmarks. `None`: the bytes are not so many items.
fn walk(head: &Head<'_>, out: &mut Vec<u8>) -> Option<()> {
    out.reserve_exact(head.count / STRIDE * WIDTH);
    let mut at = 0;
    for place in 0..head.count {
        if place > 0 && place % STRIDE == 0 {
            push(out, place, at)?;
        }
        at = head.after(at)?;
    }
    (at == head.body.len()).then_some(())
}

/// Makes the landmarks of a value out of those of another one. `None`: that leads nowhere.
///
/// Where an item ends follows from the bytes in front of it and from its own. So an item that begins within the bytes with
/// which both begin, begins there in both; and from an item on that begins in both where the bytes to the end are the same,
/// all items are the same.
fn carry(head: &Head<'_>, before: &Kept<'_>, out: &mut Vec<u8>) -> Option<()> {
    let (old, new) = (before.head.body, head.body);
    let same = common_prefix(old, new);
    let same_end = common_prefix_from_behind(old.get(same..)?, new.get(same..)?);
    let landmarks = before.landmarks;
    out.reserve_exact(landmarks.0.len() + 2 * WIDTH);

    let mut number = 0;
    let (mut place, mut at) = (0, 0);
    while let Some(landmark) = landmarks
        .get(number)
        .filter(|(place, start)| *start <= same && *place < head.count)
    {
        (place, at) = landmark;
        number += 1;
    }
    out.extend_from_slice(landmarks.0.get(..number * WIDTH)?);

    // From here on the items are walked, until one is a landmark of before.
    let mut since = 0;
    let first_same = old.len() - same_end;
    let (count, old_count) = (head.count, before.head.count);
    loop {
        while landmarks
            .get(number)
            .is_some_and(|(_, start)| start < first_same || start + new.len() < at + old.len())
        {
            number += 1;
        }
        if let Some((old_place, start)) = landmarks.get(number)
            && start + new.len() == at + old.len()
        {
            // As many items are behind it.
            if old_count.checked_sub(old_place)? != count.checked_sub(place)? {
                return None;
            }
            let next = landmarks.get(number + 1).map_or(old_count, |next| next.0);
            if since + next.checked_sub(old_place)? <= MOST {
                number += 1;
            }
            while let Some((later_place, later)) = landmarks.get(number) {
                push(
                    out,
                    (later_place + place).checked_sub(old_place)?,
                    (later + new.len()).checked_sub(old.len())?,
                )?;
                number += 1;
            }
            return Some(());
        }
        if place == count {
            return (at == new.len()).then_some(());
        }
        if since == STRIDE {
            push(out, place, at)?;
            since = 0;
        }
        at = head.after(at)?;
        place += 1;
        since += 1;
    }
}

/// Bytes that are compared at a time: many where most is the same, then fewer.
const BLOCKS: [usize; 3] = [2048, 64, 1];

/// How many bytes are the same at the beginning.
fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    BLOCKS.into_iter().fold(0, |same, block| {
        let left = left.within(same..);
        let right = right.within(same..);
        let blocks = left.chunks_exact(block).zip(right.chunks_exact(block));
        same + block * blocks.take_while(|(left, right)| left == right).count()
    })
}

/// How many bytes are the same at the end.
fn common_prefix_from_behind(left: &[u8], right: &[u8]) -> usize {
    BLOCKS.into_iter().fold(0, |same, block| {
        let left = left.within(..left.len() - same);
        let right = right.within(..right.len() - same);
        let blocks = left.rchunks_exact(block).zip(right.rchunks_exact(block));
        same + block * blocks.take_while(|(left, right)| left == right).count()
    })
}

#[cfg(test)]
mod tests {
    use protocol::msgpack::{write_list_header, write_map_header};

    use super::*;

    /// Where every item begins, by a walk.
    fn starts(head: &Head<'_>) -> Vec<usize> {
        let mut starts = vec![0];
        for _ in 0..head.count {
            let last = *starts.last().unwrap();
            starts.push(head.after(last).unwrap());
        }
        starts
    }

    /// Every landmark is where the walk finds the item, and none is farther from the next than it may be.
    fn check(head: &Head<'_>, landmarks: Landmarks<'_>) {
        let starts = starts(head);
        let mut last = 0;
        for number in 0..landmarks.len() {
            let (place, start) = landmarks.get(number).unwrap();
            assert!(place > last && place < head.count, "{place} behind {last}");
            assert!(place - last <= MOST, "{} items", place - last);
            assert_eq!(start, starts[place], "landmark of item {place}");
            last = place;
        }
        assert!(
            head.count - last <= MOST,
            "{} at the end",
            head.count - last
        );
        for place in [0, 1, head.count / 2, head.count - 1] {
            let (before, start) = landmarks.before(place);
            assert!(before <= place && place - before < MOST);
            assert_eq!(start, starts[before]);
        }
    }

    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % sides
        }

        /// An encoded value: a number, a text of up to 40 bytes, or a list of small numbers.
        fn value(&mut self) -> Vec<u8> {
            match self.roll(4) {
                0 => vec![self.roll(128) as u8],
                1 => vec![0x92, self.roll(128) as u8, 0xcc, 0xff],
                _ => {
                    let size = self.roll(40);
                    let mut text = vec![0xd9, size as u8];
                    // Few different bytes, so that the same ones meet by chance.
                    text.extend((0..size).map(|_| [3, 0x92, 0xa1][self.roll(3)]));
                    text
                }
            }
        }
    }

    fn encoded(is_map: bool, items: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        if is_map {
            write_map_header(&mut out, items.len() / 2);
        } else {
            write_list_header(&mut out, items.len());
        }
        out.extend(items.concat());
        out
    }

    #[test]
    fn landmarks_of_a_changed_value_are_right_whatever_changes() {
        let cases = match std::env::var("LANDMARK_CASES") {
            Ok(cases) => cases.parse().unwrap(),
            Err(_) => 60,
        };
        for seed in 0..cases {
            let mut dice = Dice(seed);
            let is_map = seed % 2 == 0;
            let each = if is_map { 2 } else { 1 };
            let mut items: Vec<Vec<u8>> = (0..each * (70 + dice.roll(400)))
                .map(|_| dice.value())
                .collect();
            let mut old = encoded(is_map, &items);
            let mut kept = Vec::new();
            assert!(Landmarks::write(
                &Head::read(&old).unwrap(),
                None,
                &mut kept
            ));
            for _ in 0..60 {
                let count = items.len() / each;
                let at = each * dice.roll(count);
                match dice.roll(8) {
                    // One is put, replaced, removed; more often than not at the same places again.
                    0 | 1 => drop(items.splice(at..at, (0..each).map(|_| dice.value()))),
                    2 => items[at] = dice.value(),
                    3 => drop(items.drain(at..at + each)),
                    4 => items.extend((0..each).map(|_| dice.value())),
                    5 => items[0] = dice.value(),
                    // Many at once.
                    6 => {
                        drop(items.splice(at..at, (0..each * dice.roll(60)).map(|_| dice.value())))
                    }
                    _ if count > 200 => {
                        drop(items.drain(each * 10..each * (10 + dice.roll(100))));
                    }
                    _ => {}
                }
                let new = encoded(is_map, &items);
                let (head, before) = (Head::read(&new).unwrap(), Head::read(&old).unwrap());
                let before = Kept {
                    head: before,
                    landmarks: Landmarks::of(&kept),
                };
                let mut next = vec![9];
                if Landmarks::write(&head, Some(before), &mut next) {
                    next.remove(0);
                    check(&head, Landmarks::of(&next));
                } else {
                    assert_eq!(next, [9], "nothing is left behind");
                    assert!(items.len() / each < FEWEST || head.body.len() < SMALLEST);
                    next.clear();
                }
                kept = next;
                old = new;
            }
        }
    }

    #[test]
    fn what_is_short_or_no_value_has_none() {
        let mut out = Vec::new();
        let short = encoded(false, &vec![vec![0xaf; 16]; FEWEST - 1]);
        let light = encoded(false, &vec![vec![7]; SMALLEST - 1]);
        let mut long = encoded(false, &vec![vec![0xaf; 16]; FEWEST]);
        for bytes in [&short, &light] {
            assert!(!Landmarks::write(
                &Head::read(bytes).unwrap(),
                None,
                &mut out
            ));
        }
        assert!(Landmarks::write(
            &Head::read(&long).unwrap(),
            None,
            &mut out
        ));
        let kept = std::mem::take(&mut out);
        // A length that leads beyond the end, and an item too few.
        for (at, byte) in [(19, 0xdb), (2, 65)] {
            let whole = long.clone();
            long[at] = byte;
            let before = Kept {
                head: Head::read(&whole).unwrap(),
                landmarks: Landmarks::of(&kept),
            };
            let head = Head::read(&long).unwrap();
            for before in [None, Some(before)] {
                assert!(!Landmarks::write(&head, before, &mut out), "{at}");
                assert!(out.is_empty());
            }
            long = whole;
        }
    }

    #[test]
    fn a_change_of_one_item_walks_a_few() {
        // What follows the change cannot be walked: its lengths lead beyond the end. Only its landmarks, which are taken
        // over, say where the items are.
        let items: Vec<Vec<u8>> = (0..1_000_u16)
            .map(|number| [vec![0xa3, 3], number.to_be_bytes().to_vec()].concat())
            .collect();
        let old = encoded(false, &items);
        let mut kept = Vec::new();
        assert!(Landmarks::write(
            &Head::read(&old).unwrap(),
            None,
            &mut kept
        ));
        let (mut old, mut new) = (old, encoded(false, &items[1..]));
        for bytes in [&mut old, &mut new] {
            let end = bytes.len();
            bytes[end - 4 * 100] = 0xdb;
        }
        let head = Head::read(&new).unwrap();
        assert!(walk(&head, &mut Vec::new()).is_none());
        let before = Kept {
            head: Head::read(&old).unwrap(),
            landmarks: Landmarks::of(&kept),
        };
        let mut next = Vec::new();
        assert!(Landmarks::write(&head, Some(before), &mut next));
    }

    #[test]
    fn bytes_in_common_are_counted_from_both_ends() {
        for (left, right, front, behind) in [
            (&b""[..], &b""[..], 0, 0),
            (b"abc", b"abd", 2, 0),
            (b"abc", b"bc", 0, 2),
            (b"abc", b"abc", 3, 3),
        ] {
            assert_eq!(common_prefix(left, right), front);
            assert_eq!(common_prefix_from_behind(left, right), behind);
        }
        let long = [[7; 5_000], [8; 5_000]].concat();
        let other = [[7; 5_000], [9; 5_000]].concat();
        assert_eq!(common_prefix(&long, &other), 5_000);
        assert_eq!(common_prefix_from_behind(&long, &long[50..]), 9_950);
    }
}
