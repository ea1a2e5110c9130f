//! What is kept in memory behind the stored form of a record: the landmarks of its long lists and maps.
//!
//! ```text
//! for each of them, ascending: place of the bin u16 │ bytes of its landmarks u32 │ landmarks
//! ```
//!
//! The numbers are little-endian. All of it is derived from the form, and made whenever a record comes into memory, so it
//! is never written to a disk or sent to another node.

use protocol::particle::ParticleType;

use super::form::{BinRef, bins_of};
use crate::encoded::{Head, Kept, Landmarks, SMALLEST};

/// Bytes in front of the landmarks of a bin.
const HEAD: usize = 6;

/// Whether values of this type may have landmarks.
pub(super) fn may_have(kind: ParticleType) -> bool {
    matches!(kind, ParticleType::LIST | ParticleType::MAP)
}

/// What is kept beside a form, which was checked. `before` are the bins of the version that it follows; a value is looked
/// for at its own place, where it is but after a removal.
pub(super) fn of<'b, Before>(form: &[u8], before: impl FnOnce() -> Option<Before>) -> Vec<u8>
where
    Before: Iterator<Item = (BinRef<'b>, Landmarks<'b>)>,
{
    let mut out = Vec::new();
    if form.len() < SMALLEST {
        return out;
    }
    let mut before = before();
    for (place, bin) in bins_of(form).enumerate() {
        let old = before.as_mut().and_then(Iterator::next);
        if !may_have(bin.value.kind) || bin.value.data.len() < SMALLEST {
            continue;
        }
        let Some(head) = Head::read(bin.value.data) else {
            continue;
        };
        let old = old
            .filter(|(old, landmarks)| old.name == bin.name && *landmarks != Landmarks::NONE)
            .and_then(|(old, landmarks)| {
                let head = Head::read(old.value.data)?;
                Some(Kept { head, landmarks })
            });
        write(&mut out, place, &head, old);
    }
    out
}

fn write(out: &mut Vec<u8>, place: usize, head: &Head<'_>, before: Option<Kept<'_>>) {
    let begin = out.len();
    // A form has fewer bins than that.
    let Ok(place) = u16::try_from(place) else {
        return;
    };
    out.extend_from_slice(&place.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let made = Landmarks::write(head, before, out);
    let size = u32::try_from(out.len() - begin - HEAD);
    match (size, out.get_mut(begin + 2..begin + HEAD)) {
        (Ok(size), Some(slot)) if made => slot.copy_from_slice(&size.to_le_bytes()),
        _ => out.truncate(begin),
    }
}

/// Gives the landmarks of one bin after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    rest: &'a [u8],
}

impl<'a> Beside<'a> {
    /// What [`of`] has made.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The landmarks of the bin at this place. Places are asked for in ascending order.
    pub(super) fn next_of(&mut self, place: usize) -> Landmarks<'a> {
        let [a, b, c, d, e, f, ref rest @ ..] = *self.rest else {
            return Landmarks::NONE;
        };
        if usize::from(u16::from_le_bytes([a, b])) != place {
            return Landmarks::NONE;
        }
        let size = u32::from_le_bytes([c, d, e, f]) as usize;
        match rest.split_at_checked(size) {
            Some((landmarks, rest)) => {
                self.rest = rest;
                Landmarks::of(landmarks)
            }
            None => Landmarks::NONE,
        }
    }
}
