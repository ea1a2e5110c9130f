//! Flags and modifiers of a view's command line: what follows the command words.

use std::collections::BTreeMap;

/// A flag that a view knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// All spellings, the first one is the name: `["--flip", "-flip"]`.
    pub names: &'static [&'static str],
    /// True if the next word is its value.
    pub takes_value: bool,
}

/// A parsed tail of a command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// Words before the first keyword that are no flags (`counter.lua` in `show udfs counter.lua`).
    pub words: Vec<String>,
    /// Flags by name; the value is empty for a flag without one.
    pub flags: BTreeMap<&'static str, String>,
    /// Keyword → the words after it (`like`, `for`, `with`, …).
    pub keywords: BTreeMap<&'static str, Vec<String>>,
}

impl Modifiers {
    /// Split the words after the command words.
    ///
    /// Every keyword takes the words up to the next keyword; flags are taken out wherever they stand. Repeated words of
    /// one keyword are dropped; if there are several, a trailing `,` of each is removed.
    pub fn parse(words: &[String], keywords: &[&'static str], flags: &[Flag]) -> Self {
        let mut modifiers = Self::default();
        let mut current: Option<&'static str> = None;
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if let Some(flag) = flags
                .iter()
                .find(|flag| flag.names.contains(&word.as_str()))
            {
                let value = if flag.takes_value {
                    rest.next().cloned().unwrap_or_default()
                } else {
                    String::new()
                };
                if let Some(name) = flag.names.first() {
                    modifiers.flags.insert(name, value);
                }
            } else if let Some(keyword) = keywords.iter().find(|keyword| *keyword == word) {
                current = Some(keyword);
                modifiers.keywords.entry(keyword).or_default();
            } else if let Some(keyword) = current {
                let values = modifiers.keywords.entry(keyword).or_default();
                if !values.contains(word) {
                    values.push(word.clone());
                }
            } else {
                modifiers.words.push(word.clone());
            }
        }
        for values in modifiers
            .keywords
            .values_mut()
            .filter(|values| values.len() > 1)
        {
            for value in values.iter_mut() {
                if value.ends_with(',') {
                    value.pop();
                }
            }
        }
        modifiers
    }

    /// True if the flag of that name is set.
    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    /// The value of a flag that takes a number; `None` if it is absent.
    ///
    /// # Errors
    /// What was given is no number.
    pub fn number(&self, name: &str) -> Result<Option<usize>, &str> {
        let given = self.flags.get(name).map(String::as_str);
        given
            .map(|given| given.parse().map_err(|_| given))
            .transpose()
    }

    /// The words after a keyword; empty if it is absent.
    pub fn keyword(&self, name: &str) -> &[String] {
        self.keywords
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// True if the keyword stands in the line, with or without words.
    pub fn has(&self, name: &str) -> bool {
        self.keywords.contains_key(name)
    }
}
