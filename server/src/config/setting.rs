//! What a setting is: its type, range, default and use; and how its text is read and written.

/// Type and range of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false` (in files also `yes`, `no`).
    Flag,
    /// A whole number; `K M G T P` multiply by powers of 1024.
    Number {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// Bytes; `K M G T P` multiply by powers of 1024.
    Bytes {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// Seconds; `s m h d` multiply by 1, 60, 3600, 86400.
    Seconds {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One word; without it the answer is `null`.
    Text,
    /// A word for each time that the key stands in the file.
    List,
}

/// When a setting can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// By `set-config` at any time.
    Dynamic,
    /// Only in the file.
    Static,
}

/// What a setting does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It works; the sentence says what it does.
    Works(&'static str),
    /// It belongs to a feature that is not here: kept and reported, without effect.
    Reported,
}

/// One row of the table of settings.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Aerospike's name, with the names of the blocks below the context in front: `heartbeat.interval`.
    pub name: &'static str,
    /// Type and range.
    pub kind: SettingKind,
    /// Default, spelled as in a file. Empty for a list without entries, `null` for no text.
    pub default: &'static str,
    /// Dynamic or static.
    pub change: Change,
    /// What it does here.
    pub support: Support,
}

/// Why a text is not a value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not `true` or `false`.
    #[error("expected `true` or `false`, found `{0}`")]
    Flag(String),
    /// Not a number with an optional unit.
    #[error("expected a number{units}, found `{found}`")]
    Number {
        /// The units that the setting takes, as a part of the sentence.
        units: &'static str,
        /// What stood there.
        found: String,
    },
    /// A number outside the range.
    #[error("{found} is outside {min} to {max}")]
    Range {
        /// The number found.
        found: u64,
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// None of the words.
    #[error("expected one of {expected}, found `{found}`")]
    Choice {
        /// The words.
        expected: String,
        /// What stood there.
        found: String,
    },
    /// Nothing at all.
    #[error("expected a value")]
    Empty,
    /// Longer than any value may be.
    #[error("a value of {0} bytes is longer than 1023 bytes")]
    TooLong(usize),
}

/// A value taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SettingValue {
    /// Flags (0, 1), numbers, and the place of a word in its choice.
    Number(u64),
    /// Texts and entries of lists; `None` is `null`.
    Text(Option<String>),
}

/// Longest value of a setting, bytes.
const VALUE_BYTES_MAX: usize = 1_023;

impl SettingKind {
    /// Reads the text of a value.
    ///
    /// # Errors
    /// [`ValueError`] says what was expected.
    pub(crate) fn read(self, text: &str) -> Result<SettingValue, ValueError> {
        if text.is_empty() {
            return Err(ValueError::Empty);
        }
        if text.len() > VALUE_BYTES_MAX {
            return Err(ValueError::TooLong(text.len()));
        }
        match self {
            Self::Flag => match text {
                "true" | "yes" => Ok(SettingValue::Number(1)),
                "false" | "no" => Ok(SettingValue::Number(0)),
                _ => Err(ValueError::Flag(text.to_owned())),
            },
            Self::Number { min, max } | Self::Bytes { min, max } => number(
                text,
                size_unit,
                " with an optional unit K, M, G, T or P",
                min,
                max,
            ),
            Self::Seconds { min, max } => number(
                text,
                time_unit,
                " of seconds with an optional unit s, m, h or d",
                min,
                max,
            ),
            Self::Choice(words) => words
                .iter()
                .position(|word| *word == text)
                .and_then(|at| u64::try_from(at).ok())
                .map(SettingValue::Number)
                .ok_or_else(|| ValueError::Choice {
                    expected: words.join(", "),
                    found: text.to_owned(),
                }),
            Self::Text if text == "null" => Ok(SettingValue::Text(None)),
            Self::Text | Self::List => Ok(SettingValue::Text(Some(text.to_owned()))),
        }
    }

    /// Writes a number as answers show it.
    pub(crate) fn show(self, number: u64) -> String {
        match self {
            Self::Flag => (number != 0).to_string(),
            Self::Choice(words) => usize::try_from(number)
                .ok()
                .and_then(|at| words.get(at))
                .map_or_else(|| number.to_string(), |word| (*word).to_owned()),
            _ => number.to_string(),
        }
    }
}

fn size_unit(letter: char) -> Option<u64> {
    match letter.to_ascii_uppercase() {
        'K' => Some(1 << 10),
        'M' => Some(1 << 20),
        'G' => Some(1 << 30),
        'T' => Some(1 << 40),
        'P' => Some(1 << 50),
        _ => None,
    }
}

fn time_unit(letter: char) -> Option<u64> {
    match letter.to_ascii_lowercase() {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    }
}

fn number(
    text: &str,
    unit: fn(char) -> Option<u64>,
    units: &'static str,
    min: u64,
    max: u64,
) -> Result<SettingValue, ValueError> {
    let wrong = || ValueError::Number {
        units,
        found: text.to_owned(),
    };
    let mut digits = text.chars();
    let factor = match digits.clone().next_back() {
        Some(last) if !last.is_ascii_digit() => {
            digits.next_back();
            unit(last).ok_or_else(wrong)?
        }
        _ => 1,
    };
    let digits = digits.as_str();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let found = digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .unwrap_or(u64::MAX);
    if (min..=max).contains(&found) {
        Ok(SettingValue::Number(found))
    } else {
        Err(ValueError::Range { found, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::{SettingKind, SettingValue};

    const WIDE: SettingKind = SettingKind::Number {
        min: 0,
        max: u64::MAX,
    };
    const LIFE: SettingKind = SettingKind::Seconds {
        min: 0,
        max: 315_360_000,
    };
    const SIZE: SettingKind = SettingKind::Bytes {
        min: 1 << 20,
        max: 1 << 47,
    };

    #[test]
    fn reads_values() {
        let cases: &[(SettingKind, &str, u64)] = &[
            (SettingKind::Flag, "true", 1),
            (SettingKind::Flag, "no", 0),
            (WIDE, "0", 0),
            (WIDE, "15000", 15_000),
            (WIDE, "15K", 15_360),
            (SIZE, "4G", 4 << 30),
            (SIZE, "1m", 1 << 20),
            (SIZE, "2T", 2 << 40),
            (
                SettingKind::Bytes {
                    min: 0,
                    max: u64::MAX,
                },
                "1P",
                1 << 50,
            ),
            (LIFE, "30d", 2_592_000),
            (LIFE, "2h", 7_200),
            (LIFE, "5m", 300),
            (LIFE, "9s", 9),
            (SettingKind::Choice(&["off", "one"]), "one", 1),
        ];
        for (kind, text, expected) in cases {
            assert_eq!(
                kind.read(text),
                Ok(SettingValue::Number(*expected)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_values() {
        let cases: &[(SettingKind, &str, &str)] = &[
            (
                SettingKind::Flag,
                "1",
                "expected `true` or `false`, found `1`",
            ),
            (
                WIDE,
                "x",
                "expected a number with an optional unit K, M, G, T or P, found `x`",
            ),
            (
                WIDE,
                "-1",
                "expected a number with an optional unit K, M, G, T or P, found `-1`",
            ),
            (
                WIDE,
                "1d",
                "expected a number with an optional unit K, M, G, T or P, found `1d`",
            ),
            (
                WIDE,
                "K",
                "expected a number with an optional unit K, M, G, T or P, found `K`",
            ),
            (
                LIFE,
                "1K",
                "expected a number of seconds with an optional unit s, m, h or d, found `1K`",
            ),
            (
                LIFE,
                "11y",
                "expected a number of seconds with an optional unit s, m, h or d, found `11y`",
            ),
            (LIFE, "4000d", "345600000 is outside 0 to 315360000"),
            (
                SIZE,
                "99999999999999999999P",
                "18446744073709551615 is outside 1048576 to 140737488355328",
            ),
            (
                SettingKind::Choice(&["off", "one"]),
                "two",
                "expected one of off, one, found `two`",
            ),
            (SettingKind::Text, "", "expected a value"),
            (
                WIDE,
                "1é",
                "expected a number with an optional unit K, M, G, T or P, found `1é`",
            ),
        ];
        for (kind, text, expected) in cases {
            let found = kind.read(text).map_err(|error| error.to_string());
            assert_eq!(found, Err((*expected).to_owned()), "{text}");
        }
    }
}
