//! Rules about time to live and generation, as pure functions of what is given.

use protocol::message::Info2;
use protocol::result_code::ResultCode;

/// Request ttl: the default of the set, else of the namespace.
const TTL_DEFAULT: u32 = 0;
/// Request ttl: never expire.
const TTL_NEVER: u32 = u32::MAX;
/// Request ttl: leave the void-time as it is.
const TTL_KEEP: u32 = u32::MAX - 1;
/// Longest ttl, in seconds: ten years of 365 days.
const TTL_MAX: u32 = 10 * 365 * 24 * 3600;

/// What a namespace says about expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlRules {
    /// ttl of records that are written without one, in seconds; 0 never expire.
    pub default_ttl: u32,
    /// Whether records may get a ttl at all: expired ones are removed (`nsup-period` is not 0), or the configuration
    /// allows it nevertheless (`allow-ttl-without-nsup`).
    pub expiry_allowed: bool,
}

impl TtlRules {
    /// The void-time that a write at `now` gives a record, both in seconds since 2010-01-01 UTC; 0 is never.
    ///
    /// `current` is the void-time of the record that is written over, `None` when it is new.
    ///
    /// Errors: 4 for a ttl above `TTL_MAX` that is none of the special values, 22 for one where none is allowed.
    pub fn void_time(self, ttl: u32, current: Option<u32>, now: u32) -> Result<u32, ResultCode> {
        let from_default = || {
            if self.default_ttl == 0 {
                0
            } else {
                now.saturating_add(self.default_ttl)
            }
        };
        match ttl {
            TTL_DEFAULT => Ok(from_default()),
            TTL_NEVER => Ok(0),
            TTL_KEEP => Ok(current.unwrap_or_else(from_default)),
            1..=TTL_MAX if self.expiry_allowed => Ok(now.saturating_add(ttl)),
            1..=TTL_MAX => Err(ResultCode::FORBIDDEN),
            _ => Err(ResultCode::PARAMETER),
        }
    }
}

/// Largest request ttl of a read: it is a percentage.
const READ_TTL_MAX: u32 = 100;

/// The life in seconds that a read gives a record anew, if it does: that of its last write, when what is left of it is at
/// most so many percent of the whole.
///
/// `sent` is the ttl of the request: a percentage, 0 for `default_percent` (asked only then; 0 is never), `TTL_NEVER` for
/// never. Of a record that lives for ever it is not looked at. `now` in seconds, `last_update_ms` in milliseconds since
/// 2010-01-01 UTC.
///
/// Errors: 4 for a percentage above 100.
pub fn read_touch(
    sent: u32,
    default_percent: impl FnOnce() -> u32,
    (void_time, last_update_ms): (u32, u64),
    now: impl FnOnce() -> u32,
) -> Result<Option<u32>, ResultCode> {
    if void_time == 0 || sent == TTL_NEVER {
        return Ok(None);
    }
    let percent = match sent {
        TTL_DEFAULT => default_percent(),
        1..=READ_TTL_MAX => sent,
        _ => return Err(ResultCode::PARAMETER),
    };
    if percent == 0 {
        return Ok(None);
    }
    let life = void_time.saturating_sub(super::seconds(last_update_ms));
    let left = void_time.saturating_sub(now());
    let is_due = u64::from(left) <= u64::from(life) * u64::from(percent) / 100;
    Ok((is_due && life != 0).then_some(life))
}

/// Whether a record counts as missing because of its void-time. `now` in seconds since 2010-01-01 UTC.
#[must_use]
pub fn is_expired(void_time: u32, now: u32) -> bool {
    void_time != 0 && void_time < now
}

/// The generation after one more write; `None` is a record that does not exist.
#[must_use]
pub fn next_generation(current: Option<u16>) -> u16 {
    match current {
        None | Some(u16::MAX) => 1,
        Some(current) => current + 1,
    }
}

/// Whether a write with these flags and this expected generation may go on. A missing record counts as generation 0.
///
/// All 32 bits of `expected` count, though generations have 16: what is larger equals none and is greater than all. With
/// both flags the generation must be equal.
#[must_use]
pub fn generation_permits(flags: Info2, expected: u32, current: Option<u16>) -> bool {
    let current = u32::from(current.unwrap_or(0));
    if flags.contains(Info2::GENERATION) {
        expected == current
    } else if flags.contains(Info2::GENERATION_GT) {
        expected > current
    } else {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn void_time_follows_the_requested_ttl() {
        const NOW: u32 = 500_000_000;
        let open = TtlRules {
            default_ttl: 0,
            expiry_allowed: true,
        };
        let hour = TtlRules {
            default_ttl: 3600,
            expiry_allowed: true,
        };
        let closed = TtlRules {
            default_ttl: 0,
            expiry_allowed: false,
        };
        let cases = [
            (open, 0, None, Ok(0)),
            (open, 0, Some(NOW + 5), Ok(0)),
            (hour, 0, None, Ok(NOW + 3600)),
            (hour, 0, Some(NOW + 5), Ok(NOW + 3600)),
            (hour, TTL_NEVER, Some(NOW + 5), Ok(0)),
            (hour, TTL_KEEP, Some(NOW + 5), Ok(NOW + 5)),
            (hour, TTL_KEEP, Some(0), Ok(0)),
            (hour, TTL_KEEP, None, Ok(NOW + 3600)),
            (open, TTL_KEEP, None, Ok(0)),
            (open, 1, None, Ok(NOW + 1)),
            (open, TTL_MAX, None, Ok(NOW + TTL_MAX)),
            (open, TTL_MAX + 1, None, Err(ResultCode::PARAMETER)),
            (open, u32::MAX - 2, None, Err(ResultCode::PARAMETER)),
            (closed, 1, None, Err(ResultCode::FORBIDDEN)),
            (closed, TTL_MAX + 1, None, Err(ResultCode::PARAMETER)),
            (closed, 0, None, Ok(0)),
            (closed, TTL_NEVER, None, Ok(0)),
            (closed, TTL_KEEP, Some(NOW + 9), Ok(NOW + 9)),
        ];
        for (rules, ttl, current, expected) in cases {
            assert_eq!(
                rules.void_time(ttl, current, NOW),
                expected,
                "{rules:?} ttl {ttl} current {current:?}"
            );
        }
    }

    #[test]
    fn a_read_near_the_end_of_a_life_gives_it_anew() {
        // A life of 100 seconds from 500 on.
        let of = |sent, default, now| {
            read_touch(sent, || default, (600, 500_999), || now).map_err(|code| code.0)
        };
        for (sent, default, now, expected) in [
            (20, 0, 579, Ok(None)),
            (20, 0, 580, Ok(Some(100))),
            (20, 0, 600, Ok(Some(100))),
            (100, 0, 500, Ok(Some(100))),
            (0, 0, 600, Ok(None)),
            (0, 20, 579, Ok(None)),
            (0, 20, 580, Ok(Some(100))),
            (10, 20, 580, Ok(None)),
            (TTL_NEVER, 20, 600, Ok(None)),
            (101, 0, 600, Err(4)),
            (TTL_KEEP, 0, 600, Err(4)),
        ] {
            assert_eq!(of(sent, default, now), expected, "{sent} {default} {now}");
        }
        for sent in [0, 50, 101] {
            assert_eq!(read_touch(sent, || 50, (0, 0), || 600), Ok(None), "{sent}");
        }
    }

    #[test]
    fn a_record_is_missing_from_the_second_after_its_void_time() {
        for (void_time, now, expired) in [
            (0, 10, false),
            (10, 9, false),
            (10, 10, false),
            (10, 11, true),
        ] {
            assert_eq!(
                is_expired(void_time, now),
                expired,
                "void time {void_time} at {now}"
            );
        }
    }

    #[test]
    fn generations_count_from_one_and_wrap_to_one() {
        for (current, next) in [
            (None, 1),
            (Some(1), 2),
            (Some(65534), 65535),
            (Some(65535), 1),
        ] {
            assert_eq!(next_generation(current), next);
        }
    }

    #[test]
    fn generation_checks_take_a_missing_record_for_zero() {
        let (none, equal, greater) = (Info2::WRITE, Info2::GENERATION, Info2::GENERATION_GT);
        let cases = [
            (none, 9, Some(1), true),
            (equal, 0, None, true),
            (equal, 5, None, false),
            (equal, 5, Some(5), true),
            (equal, 4, Some(5), false),
            (equal, 0x1_0005, Some(5), false),
            (greater, 0x1_0005, Some(5), true),
            (greater, 0x1_0000, None, true),
            (greater, 5, None, true),
            (greater, 0, None, false),
            (greater, 5, Some(4), true),
            (greater, 5, Some(5), false),
            (greater, 5, Some(6), false),
        ];
        for (flags, expected, current, permitted) in cases {
            assert_eq!(
                generation_permits(flags, expected, current),
                permitted,
                "{flags:?} {expected} {current:?}"
            );
        }
    }
}
