//! The patterns of `like` and `for`.

use regex::{RegexSet, RegexSetBuilder};

use super::{Context, Event};

/// Compiled memory of one keyword's patterns, in bytes.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Alternatives that are searched anywhere in a name; without alternatives every name matches.
pub(super) struct Filter(Option<RegexSet>);

impl Filter {
    /// All words of a keyword are alternatives.
    pub(super) fn of(context: &Context, keyword: &str) -> Result<Self, Event> {
        Self::new(context.modifiers.keyword(keyword))
    }

    /// Only the word at a position of the keyword: of `for` the first is the namespace, the second the set.
    pub(super) fn word(context: &Context, keyword: &str, position: usize) -> Result<Self, Event> {
        let word = context.modifiers.keyword(keyword).get(position..=position);
        Self::new(word.unwrap_or_default())
    }

    /// Alternatives from words.
    pub(super) fn new(words: &[String]) -> Result<Self, Event> {
        if words.is_empty() {
            return Ok(Self(None));
        }
        let words = words.iter().map(|word| word.replace(['\'', '"'], ""));
        RegexSetBuilder::new(words)
            .size_limit(PATTERN_BYTES_MAX)
            .build()
            .map(|set| Self(Some(set)))
            .map_err(|error| Event::Error(format!("cannot use a pattern: {error}")))
    }

    /// True if the name is wanted.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|set| set.is_match(name))
    }
}
