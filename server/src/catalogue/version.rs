//! Which version of a name wins, on every node alike.
//!
//! Each name has one [`Summary`] on a node: the [`Version`] of the last put or remove that the node knows, and
//! the hash of the content, or none once removed. A removed module stays as such a tombstone for [`TOMBSTONE_LIFE_MS`],
//! so that a node that was away learns of the removal and does not bring the module back.
//!
//! After its life a tombstone is kept for another day, as clocks disagree. A name that is put again
//! after that begins with generation 1 in a later era, so that it wins over the tombstone where that is still known.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Margin for clocks that disagree and nodes that do not start or stop at the same time, ms.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How long a removed module is remembered, ms: 30 days from its removal.
pub const TOMBSTONE_LIFE_MS: u64 = 30 * DAY_MS;

/// Length of an era, ms: 28 days. Shorter than tombstones live.
pub const ERA_MS: u64 = 28 * DAY_MS;

/// Longest time that a node may be away and still bring its own modules along, ms: 29 days. A day less than tombstones
/// live.
pub const LONGEST_OUTAGE_MS: u64 = TOMBSTONE_LIFE_MS - DAY_MS;

/// A text that is no version, hash or summary.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not `era,generation,time_ms,NODEHEX`.
    #[error("a version is `era,generation,time_ms,node id`")]
    Version,
    /// Not 40 hexadecimal digits.
    #[error("a content hash is 40 hexadecimal digits")]
    Hash,
    /// Not `VERSION,HASH` or `VERSION,-`.
    #[error(
        "a summary is `era,generation,time_ms,node id,hash`, with `-` as the hash of a removed module"
    )]
    Summary,
}

/// One change of a module. The higher wins: by era, then generation, then time, then node.
///
/// As a text, in JSON too: `era,generation,time_ms,NODEHEX`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// In which stretch of 28 days since 2010 the name was put for the first time, as far as was known; 0 in a registry
    /// of a real server. All changes that follow on one another have the same.
    pub era: u64,
    /// Number of changes of this name, as far as the node knew where the change was made.
    pub generation: u64,
    /// When it was made by that node's clock, ms since 2010; later than that of the version it follows.
    pub time_ms: u64,
    /// Number of that node's identity; 0 in a registry that a real server wrote.
    pub node: u64,
}

impl Version {
    /// The version of a change made now on `node`, where `known` is the last version of the name.
    #[must_use]
    pub fn following(known: Option<Version>, now_ms: u64, node: u64) -> Self {
        let known = known.unwrap_or(Self {
            era: now_ms / ERA_MS,
            ..Self::default()
        });
        Self {
            era: known.era,
            generation: known.generation.saturating_add(1),
            time_ms: now_ms.max(known.time_ms.saturating_add(1)),
            node,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{},{},{},{:X}",
            self.era, self.generation, self.time_ms, self.node
        )
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut parts = text.split(',');
        let mut number = |radix| {
            let part = parts.next().filter(|part| !part.starts_with('+'));
            part.and_then(|part| u64::from_str_radix(part, radix).ok())
                .ok_or(ParseError::Version)
        };
        let version = Self {
            era: number(10)?,
            generation: number(10)?,
            time_ms: number(10)?,
            node: number(16)?,
        };
        match parts.next() {
            None => Ok(version),
            Some(_) => Err(ParseError::Version),
        }
    }
}

/// SHA-1 of the text that stands for a thing, for a module its metadata, the hash that `udf-list` shows; see [`CatalogueKind::hash`](super::CatalogueKind::hash).
///
/// As a text, in JSON too: 40 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContentHash(pub [u8; 20]);

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl FromStr for ContentHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut hash = [0; 20];
        if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseError::Hash);
        }
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digits = str::from_utf8(digits).map_err(|_| ParseError::Hash)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| ParseError::Hash)?;
        }
        Ok(Self(hash))
    }
}

/// What a node has under one name.
///
/// Ordered by version. Two contents of one version cannot come from nodes that keep the rule, but may from registries
/// that were edited or carried over: the order of the hashes then decides, so that all nodes still choose the same.
///
/// As a text, in JSON and in gossip too: `era,generation,time_ms,NODEHEX,HASH`, or `-` in place of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Summary {
    /// The last change.
    pub version: Version,
    /// Hash of the content; none once removed.
    pub hash: Option<ContentHash>,
}

impl Summary {
    /// A tombstone whose life is over at this time, ms since 2010.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.hash.is_none() && now_ms.saturating_sub(self.version.time_ms) > TOMBSTONE_LIFE_MS
    }

    /// A tombstone that is to be forgotten at this time, ms since 2010: it was expired a day ago.
    #[must_use]
    pub fn is_forgotten(&self, now_ms: u64) -> bool {
        self.is_expired(now_ms.saturating_sub(DAY_MS))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hash {
            Some(hash) => write!(formatter, "{},{hash}", self.version),
            None => write!(formatter, "{},-", self.version),
        }
    }
}

impl FromStr for Summary {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (version, hash) = text.rsplit_once(',').ok_or(ParseError::Summary)?;
        Ok(Self {
            version: version.parse()?,
            hash: match hash {
                "-" => None,
                hash => Some(hash.parse()?),
            },
        })
    }
}

/// [`Display`](fmt::Display) and [`FromStr`] for serde.
macro_rules! as_text {
    ($($name:ty),+) => {$(
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }
    )+};
}

as_text!(Version, ContentHash, Summary);

/// What a node does with a module that another one offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is newer: take it.
    Take,
    /// It is what the node has.
    Same,
    /// The node has a newer one, and answers with it.
    Older,
}

/// The rule: the higher wins.
#[must_use]
pub fn decide(known: Option<&Summary>, offered: &Summary) -> Decision {
    match known.map(|known| offered.cmp(known)) {
        None | Some(Ordering::Greater) => Decision::Take,
        Some(Ordering::Equal) => Decision::Same,
        Some(Ordering::Less) => Decision::Older,
    }
}

/// Every name that a node knows, tombstones included.
pub type Summaries = BTreeMap<Arc<str>, Summary>;

/// The names that a node with `ours` must fetch from one with `theirs`.
///
/// A tombstone that is to be forgotten at this time, ms since 2010, is fetched only over what it removes: who forgot it
/// already does not take it up again from a node that has yet to. None: the node forgets nothing yet.
#[must_use]
pub fn missing(ours: &Summaries, theirs: &Summaries, now_ms: Option<u64>) -> Vec<Arc<str>> {
    theirs
        .iter()
        .filter(|(name, offered)| {
            let known = ours.get(*name);
            decide(known, offered) == Decision::Take
                && (known.is_some() || now_ms.is_none_or(|now_ms| !offered.is_forgotten(now_ms)))
        })
        .map(|(name, _)| Arc::clone(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(generation: u64, time_ms: u64, node: u64, hash: Option<u8>) -> Summary {
        Summary {
            version: Version {
                era: 7,
                generation,
                time_ms,
                node,
            },
            hash: hash.map(|byte| ContentHash([byte; 20])),
        }
    }

    #[test]
    fn the_higher_era_then_generation_then_time_then_node_wins() {
        let mut later = summary(1, 1, 1, None);
        later.version.era += 1;
        let ascending = [
            summary(1, 9, 9, None),
            summary(2, 1, 9, Some(9)),
            summary(2, 2, 1, Some(9)),
            summary(2, 2, 2, None),
            summary(2, 2, 2, Some(1)),
            summary(2, 2, 2, Some(2)),
            summary(3, 0, 0, None),
            later,
        ];
        for (low, known) in ascending.iter().enumerate() {
            for (high, offered) in ascending.iter().enumerate() {
                let expected = match high.cmp(&low) {
                    Ordering::Greater => Decision::Take,
                    Ordering::Equal => Decision::Same,
                    Ordering::Less => Decision::Older,
                };
                assert_eq!(decide(Some(known), offered), expected, "{known} {offered}");
            }
        }
        assert_eq!(decide(None, &ascending[0]), Decision::Take);
    }

    #[test]
    fn what_is_put_after_a_tombstone_was_forgotten_is_newer() {
        for put_ms in [0, ERA_MS - 1, ERA_MS] {
            let put = Version::following(None, put_ms, 9);
            let removal = Summary {
                version: Version::following(Some(put), put_ms, 9),
                hash: None,
            };
            let forgotten_ms = removal.version.time_ms + TOMBSTONE_LIFE_MS + DAY_MS;
            assert!(!removal.is_forgotten(forgotten_ms));
            assert!(removal.is_forgotten(forgotten_ms + 1));
            let anew = Version::following(None, forgotten_ms, 1);
            assert!(anew > removal.version);
        }
    }

    #[test]
    fn a_version_follows_what_is_known_even_when_the_clock_stands_behind() {
        let first = Version::following(None, 100, 7);
        assert_eq!(
            (first.era, first.generation, first.time_ms, first.node),
            (0, 1, 100, 7)
        );
        let second = Version::following(Some(first), 50, 3);
        assert_eq!(
            (second.generation, second.time_ms, second.node),
            (2, 101, 3)
        );
    }

    #[test]
    fn texts_are_read_as_written() {
        for (value, text) in [
            (
                summary(1, 533_099_034_374, 0xBB9_0000_0000_0000, None),
                "7,1,533099034374,BB9000000000000,-",
            ),
            (
                summary(u64::MAX, 0, 10, Some(0xaf)),
                "7,18446744073709551615,0,A,afafafafafafafafafafafafafafafafafafafaf",
            ),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(text.parse(), Ok(value));
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), value);
        }
        for text in [
            "",
            "-",
            ",,,,-",
            "0,1,2,3",
            "1,2,3,-",
            "0,1,2,3,4,-",
            "0,1,2,3,",
            "0,+1,2,3,-",
            "0,1,-2,3,-",
            "0,1,2,G,-",
            "0,1,2,3,afaf",
            "0,99999999999999999999,2,3,-",
            "0,1,2,3,éafafafafafafafafafafafafafafafafafafafa",
        ] {
            assert!(text.parse::<Summary>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_newer_or_unknown_is_fetched_and_no_tombstone_that_was_forgotten() {
        let now_ms = TOMBSTONE_LIFE_MS + DAY_MS + 1_000;
        let names = |pairs: &[(&str, Summary)]| -> Summaries {
            pairs
                .iter()
                .map(|(name, summary)| ((*name).into(), *summary))
                .collect()
        };
        let ours = names(&[
            ("same", summary(1, 1, 1, Some(1))),
            ("newer here", summary(3, 1, 1, Some(1))),
            ("newer there", summary(1, 1, 1, Some(1))),
            ("removed there", summary(1, 1, 1, Some(1))),
        ]);
        let theirs = names(&[
            ("same", summary(1, 1, 1, Some(1))),
            ("newer here", summary(2, 1, 1, Some(1))),
            ("newer there", summary(2, 1, 1, Some(1))),
            ("removed there", summary(2, 999, 1, None)),
            ("unknown", summary(1, 1, 1, Some(1))),
            ("unknown and just removed", summary(2, 1_000, 1, None)),
            ("unknown and long removed", summary(2, 999, 1, None)),
        ]);
        let fetched = missing(&ours, &theirs, Some(now_ms));
        assert_eq!(
            fetched.iter().map(|name| &**name).collect::<Vec<_>>(),
            [
                "newer there",
                "removed there",
                "unknown",
                "unknown and just removed"
            ]
        );
        assert_eq!(missing(&ours, &theirs, None).len(), 5);
    }
}
