//! Time of day as text, and back. The only reader of the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use protocol::bounds::Fit as _;

/// Seconds since 1970 and the nanoseconds of the second.
pub fn now() -> (i64, u32) {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    (since.as_secs().fit::<i64>(), since.subsec_nanos())
}

/// `YYYY-MM-DD HH:MM:SS`, UTC.
pub fn shown(seconds: i64) -> String {
    spelled(seconds, "%Y-%m-%d %H:%M:%S")
}

/// A time in seconds since 1970, UTC, in a form of `strftime`; the bare number outside of the years -9999 to 9999.
pub fn spelled(seconds: i64, form: &str) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => Offset::UTC.to_datetime(time).strftime(form).to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// Days since 1970-01-01; `None` if there is no such day in the years 1 to 9999.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1 {
        return None;
    }
    let (year, month, day) = (
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    );
    let midnight = Date::new(year, month, day)
        .ok()?
        .to_datetime(Time::midnight());
    let time = Offset::UTC.to_timestamp(midnight).ok()?;
    Some(time.as_second().div_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_are_those_of_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2000-02-29 12:34:56", 951_827_696),
            ("2023-11-14 22:13:20", 1_700_000_000),
            ("1969-12-31 23:59:59", -1),
        ] {
            assert_eq!(shown(seconds), text);
        }
        for (date, day) in [
            ((1970, 1, 1), Some(0)),
            ((2000, 2, 29), Some(11_016)),
            ((1969, 12, 31), Some(-1)),
            ((1, 1, 1), Some(-719_162)),
            ((9999, 12, 30), Some(2_932_895)),
            ((0, 1, 1), None),
            ((10_000, 1, 1), None),
        ] {
            assert_eq!(days(date.0, date.1, date.2), day, "{date:?}");
        }
        assert_eq!(shown(i64::MAX), i64::MAX.to_string());
        assert_eq!(days(2023, 2, 29), None);
        assert_eq!(days(2023, 13, 1), None);
    }
}
