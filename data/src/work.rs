//! Work, counted: what keeps a small request from taking long.
//!
//! Whoever goes over something that a peer sent, or that a peer's operations made (ops, elements, bytes, rows), says how
//! much that is before or while doing it. Here is no clock: who counts looks at one every so many units, may let others
//! go first meanwhile, and ends the work once the request's time is up.

use protocol::result_code::ResultCode;
use thiserror::Error;

/// What a look-up, an element, or a few bytes cost at least. A unit is about a nanosecond of a slow processor.
pub const UNITS_PER_STEP: usize = 32;

/// The time of the request is up: nothing of what was under way is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request's time is up")]
pub struct TimeIsUp;

impl From<TimeIsUp> for ResultCode {
    fn from(_: TimeIsUp) -> Self {
        Self::TIMEOUT
    }
}

/// Requests hold as much memory together as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("requests hold as much memory as they may")]
pub struct NoMemory;

impl From<NoMemory> for ResultCode {
    fn from(_: NoMemory) -> Self {
        Self::DEVICE_OVERLOAD
    }
}

/// Counts the work of one request.
pub trait Meter {
    /// Counts `units` of about a nanosecond; cheap. To be called for every step, or once for a block of steps of about
    /// ten microseconds at most.
    ///
    /// # Errors
    /// The time is up: end now, and keep nothing.
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp>;

    /// Counts so many steps of [`UNITS_PER_STEP`].
    ///
    /// # Errors
    /// As [`Meter::spend`].
    fn steps(&mut self, steps: usize) -> Result<(), TimeIsUp> {
        self.spend(steps.saturating_mul(UNITS_PER_STEP))
    }

    /// Counts memory that the request holds from now on, bytes: what operations made, which a small request may have them do
    /// again and again.
    ///
    /// # Errors
    /// There is no room for it.
    fn hold(&mut self, _bytes: usize) -> Result<(), NoMemory> {
        Ok(())
    }

    /// The request holds so many bytes no longer.
    fn let_go(&mut self, _bytes: usize) {}

    /// Counts bytes that are copied, compared or hashed: eight for a unit.
    ///
    /// # Errors
    /// As [`Meter::spend`].
    fn bytes(&mut self, bytes: usize) -> Result<(), TimeIsUp> {
        self.spend(bytes / 8)
    }
}

/// Counts, and never ends: for tests, and for work whose amount is bounded elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unmetered {
    /// What was counted so far.
    pub units: u64,
}

impl Meter for Unmetered {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.units = self.units.saturating_add(units as u64);
        Ok(())
    }
}

/// Counts, and ends after so many units: for tests of how work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitsLeft(pub u64);

impl Meter for UnitsLeft {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.0 = self.0.checked_sub(units as u64).ok_or(TimeIsUp)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_where_its_units_do() {
        let mut left = UnitsLeft(100);
        assert_eq!(left.steps(2), Ok(()));
        assert_eq!(left.bytes(80), Ok(()));
        assert_eq!(left.spend(27), Err(TimeIsUp));
        assert_eq!(left.spend(26), Ok(()));
        let mut all = Unmetered::default();
        assert_eq!(all.spend(usize::MAX), Ok(()));
        assert_eq!(all.spend(usize::MAX), Ok(()));
        assert_eq!(all.units, u64::MAX);
        assert_eq!(ResultCode::from(TimeIsUp), ResultCode::TIMEOUT);
    }
}
