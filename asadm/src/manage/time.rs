//! Times as `before` takes them.

use tools::clock;

/// A point in time and its distance from UTC as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    seconds: i64,
    nanoseconds: u32,
    /// Seconds east of Greenwich.
    offset_s: i64,
}

/// Aerospike counts from 2010-01-01.
const EARLIEST_S: i64 = 1_262_304_000;

impl Before {
    /// Reads `TIME FORMAT`; `now_s` is the current time in seconds since 1970.
    pub(super) fn parse(words: &[String], now_s: i64) -> Result<Self, String> {
        let unrecognized = || format!("Unrecognized input: {}", words.join(" "));
        let found = match words {
            // In either order.
            [time, format] | [format, time] if format == "unix-epoch" => {
                epoch(time).ok_or_else(unrecognized)?
            }
            [time, format] | [format, time] if format == "iso-8601" => {
                iso(time)?.ok_or_else(unrecognized)?
            }
            _ => return Err(unrecognized()),
        };
        if found.seconds < EARLIEST_S {
            return Err("Date provided is too far in the past.".to_owned());
        }
        if found.seconds > now_s {
            return Err("Date provided is too far in the future.".to_owned());
        }
        Ok(found)
    }

    /// Nanoseconds since 1970.
    pub(super) fn nanoseconds(&self) -> i128 {
        i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanoseconds)
    }

    /// For a person: `22:13:20.000000 UTC+01:00 on November 14, 2023`.
    pub(super) fn shown(&self) -> String {
        let local = self.seconds + self.offset_s;
        let zone = match self.offset_s {
            0 => String::new(),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                let minutes = offset.abs() / 60;
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        };
        format!(
            "{}.{:06} UTC{zone} on {}",
            clock::spelled(local, "%H:%M:%S"),
            self.nanoseconds / 1000,
            clock::spelled(local, "%B %d, %Y"),
        )
    }
}

fn epoch(text: &str) -> Option<Before> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some(Before {
        seconds: seconds.parse().ok()?,
        nanoseconds: fraction_of(fraction)?,
        offset_s: 0,
    })
}

/// The digits behind the point, as nanoseconds.
fn fraction_of(digits: &str) -> Option<u32> {
    if digits.len() > 9 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`; an error if only the zone is missing.
fn iso(text: &str) -> Result<Option<Before>, String> {
    let no_zone = || "iso-8601 format must contain a timezone.".to_owned();
    let Some((day, time)) = text.split_once(['T', ' ']) else {
        return Ok(None);
    };
    let at = time.find(['Z', 'z', '+', '-']).ok_or_else(no_zone)?;
    let (time, zone) = time.split_at(at);
    Ok(read_iso(day, time, zone))
}

fn read_iso(day: &str, time: &str, zone: &str) -> Option<Before> {
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let numbers = |text: &str, separator: char| -> Option<Vec<i64>> {
        let parts = text.split(separator);
        parts
            .map(|part| {
                part.parse()
                    .ok()
                    .filter(|number| (0..=9999).contains(number))
            })
            .collect()
    };
    let [year, month, dom] = *numbers(day, '-')? else {
        return None;
    };
    let (hour, minute, second) = match *numbers(time, ':')? {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset_s = match zone {
        "Z" | "z" => 0,
        zone => {
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            let digits = zone.get(1..)?.replace(':', "");
            let (hours, minutes) = digits.split_at_checked(2)?;
            let minutes = if minutes.is_empty() { "0" } else { minutes };
            let hours: i64 = hours.parse().ok().filter(|hours| (0..24).contains(hours))?;
            let minutes: i64 = minutes.parse().ok().filter(|m| (0..60).contains(m))?;
            sign * (hours * 3600 + minutes * 60)
        }
    };
    let days = clock::days(year, month, dom)?;
    Some(Before {
        seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset_s,
        nanoseconds: fraction_of(fraction)?,
        offset_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        for (text, expected) in [
            ("1700000000 unix-epoch", "1700000000000000000"),
            ("1700000000.5 unix-epoch", "1700000000500000000"),
            ("unix-epoch 1700000000", "1700000000000000000"),
            (
                "2023-11-14T22:13:20.25+00:00 iso-8601",
                "1700000000250000000",
            ),
            ("2023-11-14T23:13:20+01:00 iso-8601", "1700000000000000000"),
            ("2023-11-14T22:13:20Z iso-8601", "1700000000000000000"),
            (
                "2023-11-14T22:13:20 iso-8601",
                "iso-8601 format must contain a timezone.",
            ),
            (
                "2023-02-30T00:00:00Z iso-8601",
                "Unrecognized input: 2023-02-30T00:00:00Z iso-8601",
            ),
            ("1700000000", "Unrecognized input: 1700000000"),
            ("12345 unix-epoch", "Date provided is too far in the past."),
            (
                "99999999999 unix-epoch",
                "Date provided is too far in the future.",
            ),
        ] {
            let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
            let found = Before::parse(&words, 1_800_000_000);
            let shown = found.map_or_else(|error| error, |time| time.nanoseconds().to_string());
            assert_eq!(shown, expected, "{text}");
        }
    }

    #[test]
    fn shows_the_time_in_its_own_zone() {
        let words = [
            "2023-11-14T22:13:20+01:00".to_owned(),
            "iso-8601".to_owned(),
        ];
        assert_eq!(
            Before::parse(&words, 1_800_000_000).unwrap().shown(),
            "22:13:20.000000 UTC+01:00 on November 14, 2023"
        );
    }
}
