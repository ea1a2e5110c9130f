//! Places and sizes that this program worked out itself: they are in bounds, or there is a bug in it.
//!
//! A debug build stops at such a bug, so that tests and fuzzing see it. A release build goes on with what harms
//! least: nothing in place of a part, the largest number in place of a larger one. What comes from a peer, a file, a
//! script or a person is no case for these: it is checked, and refused with an error.

use std::fmt::Display;
use std::slice::SliceIndex;

/// A part of bytes or text that is known to be there.
pub trait Within<Range> {
    /// The part, which is within `self`.
    #[must_use]
    fn within(&self, range: Range) -> &Self;
}

impl<T, Range: SliceIndex<[T], Output = [T]>> Within<Range> for [T] {
    #[inline]
    #[track_caller]
    fn within(&self, range: Range) -> &Self {
        let part = self.get(range);
        debug_assert!(part.is_some(), "a part of {} that is not there", self.len());
        part.unwrap_or_default()
    }
}

impl<Range: SliceIndex<str, Output = str>> Within<Range> for str {
    #[inline]
    #[track_caller]
    fn within(&self, range: Range) -> &Self {
        let part = self.get(range);
        debug_assert!(part.is_some(), "a part of {} that is not there", self.len());
        part.unwrap_or_default()
    }
}

/// Integers that a number can be fitted into.
pub trait Integer: Copy {
    /// The largest one.
    const LARGEST: Self;
}

macro_rules! integers {
    ($($kind:ty),*) => {
        $(impl Integer for $kind {
            const LARGEST: Self = Self::MAX;
        })*
    };
}

integers!(u8, u16, u32, u64, usize, i32, i64);

/// A number in another type.
pub trait Fit: Copy + Display {
    /// The same number, which is known to fit.
    #[inline]
    #[must_use]
    #[track_caller]
    fn fit<To: Integer + TryFrom<Self>>(self) -> To {
        let fitted = To::try_from(self).ok();
        debug_assert!(fitted.is_some(), "{self} does not fit");
        fitted.unwrap_or(To::LARGEST)
    }

    /// The number, or the largest of the type where more makes no difference: a limit in time that a person gave, a
    /// size that a peer claims and that is compared with what there is.
    #[inline]
    #[must_use]
    fn at_most<To: Integer + TryFrom<Self>>(self) -> To {
        To::try_from(self).unwrap_or(To::LARGEST)
    }
}

impl<Number: Copy + Display> Fit for Number {}

#[cfg(test)]
mod tests {
    use super::{Fit, Within};

    #[test]
    fn what_is_there_comes_as_it_is() {
        assert_eq!(b"abcd".within(1..3), b"bc");
        assert_eq!("abcd".within(4..), "");
        assert_eq!(255_usize.fit::<u8>(), 255);
        assert_eq!(u64::MAX.at_most::<u32>(), u32::MAX);
        assert_eq!(7_u64.at_most::<u32>(), 7);
    }

    #[test]
    #[cfg(debug_assertions)]
    fn a_debug_build_stops_at_a_bug() {
        for bug in [
            || !b"abcd".within(2..9).is_empty(),
            || !"\u{e9}".within(1..).is_empty(),
            || 256_usize.fit::<u8>() != 0,
            || (-1_i64).fit::<u64>() != 0,
        ] as [fn() -> bool; 4]
        {
            assert!(std::panic::catch_unwind(bug).is_err());
        }
    }
}
