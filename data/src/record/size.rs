use protocol::particle::{ParticleRef, ParticleType};

/// Sizes are rounded up to this.
const UNIT: usize = 16;

/// Bytes that every record counts for besides set, key and bins: what stands in front, and a mark at the end.
const FIXED: usize = 35 + 4;

/// Reckons the bytes that a record counts for, in limits and statistics; a multiple of 16.
///
/// About what the form takes, counted as the reference does: an integer by the fewest bytes that hold it (golden case
/// `record_meta/size_value`: two small bins in a set of six letters count for 64). Reckoned for both versions of every
/// write: of the new one while it is written, of the old one by a walk over its bins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(usize);

impl Size {
    /// What a record counts for without its bins, of which there are so many.
    pub(super) fn of(
        set: usize,
        key: Option<ParticleRef<'_>>,
        has_void_time: bool,
        bins: usize,
    ) -> Self {
        let set = match set {
            0 => 0,
            length => 1 + length,
        };
        // Numbers below 128 take one byte, these take two.
        let number = |number: usize| if number < 128 { 1 } else { 2 };
        let key = key.map_or(0, |key| {
            let size = 1 + key.data.len();
            number(size) + size
        });
        let void_time = if has_void_time { 4 } else { 0 };
        Self(FIXED + set + key + void_time + number(bins))
    }

    /// Adds a bin.
    #[inline]
    pub(super) fn add(&mut self, name: usize, value: ParticleRef<'_>) {
        self.0 += 1 + name + of_value(value);
    }

    /// The size.
    pub(super) fn bytes(self) -> u64 {
        self.0.next_multiple_of(UNIT) as u64
    }
}

/// Bytes that a value counts for, with its type: the fewest that hold an integer, and their number; most others with a
/// length in front.
#[inline]
fn of_value(value: ParticleRef<'_>) -> usize {
    match (value.kind, value.as_integer()) {
        (ParticleType::INTEGER, Some(integer)) => match integer.cast_unsigned() {
            0..=0xff => 3,
            0x100..=0xffff => 4,
            0x1_0000..=0xffff_ffff => 6,
            _ => 10,
        },
        (ParticleType::FLOAT | ParticleType::BOOL, _) => 1 + value.data.len(),
        _ => 5 + value.data.len(),
    }
}
