//! Texts that a node publishes by name, and those of others.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::datagram::{Text, fitting};

/// Texts of one node, most.
const MOST: usize = 70_000;

/// Bytes of a name and of a value, most.
const LONGEST_NAME: usize = 1_024;
const LONGEST_VALUE: usize = 16 << 10;

/// What this node publishes. Each change has a version; what is deleted stays as a name without a value.
#[derive(Debug, Default)]
pub(super) struct OwnTexts {
    by_name: BTreeMap<String, (u64, Option<String>)>,
    by_version: BTreeMap<u64, String>,
    version: u64,
}

impl OwnTexts {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Sets a text, or deletes it.
    pub(super) fn set(&mut self, name: &str, value: Option<&str>) {
        let known = self.by_name.get(name);
        let same = known.map(|(_, known)| known.as_deref()) == Some(value);
        if same || (known.is_none() && value.is_none()) {
            return;
        }
        self.version += 1;
        let replaced = self
            .by_name
            .insert(name.to_owned(), (self.version, value.map(str::to_owned)));
        if let Some((version, _)) = replaced {
            self.by_version.remove(&version);
        }
        self.by_version.insert(self.version, name.to_owned());
    }

    /// The first changes after a version, as many as one beat takes.
    pub(super) fn after(&self, version: u64) -> Vec<Text> {
        let changes = || {
            self.by_version
                .range(version.saturating_add(1)..)
                .filter_map(|(version, name)| {
                    let (_, value) = self.by_name.get(name)?;
                    Some((*version, name, value))
                })
        };
        let few = fitting(changes().map(|(_, name, value)| (name.as_str(), value.as_deref())));
        changes()
            .take(few)
            .map(|(version, name, value)| (version, name.clone(), value.clone()))
            .collect()
    }
}

/// What another node has published.
#[derive(Debug, Clone, Default)]
pub(super) struct Texts {
    pub(super) values: Arc<BTreeMap<String, String>>,
    pub(super) version: u64,
}

impl Texts {
    /// Takes in changes that follow after a version; true if there were any.
    pub(super) fn take(&mut self, after: u64, texts: Vec<Text>) -> bool {
        if after > self.version {
            // Something in between is lacking, and comes again.
            return false;
        }
        let mut changed = false;
        for (version, name, value) in texts {
            let fits = name.len() <= LONGEST_NAME
                && value
                    .as_ref()
                    .is_none_or(|value| value.len() <= LONGEST_VALUE);
            if version <= self.version || !fits {
                continue;
            }
            self.version = version;
            changed = true;
            let values = Arc::make_mut(&mut self.values);
            match value {
                Some(value) if values.len() < MOST => {
                    values.insert(name, value);
                }
                Some(_) => {}
                None => {
                    values.remove(&name);
                }
            }
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_arrive_in_parts_and_in_any_order() {
        let mut own = OwnTexts::default();
        for number in 0..3_000 {
            own.set(&format!("module/{number}"), Some(&"x".repeat(60)));
        }
        own.set("module/1", None);
        own.set("module/2", Some("new"));
        own.set("module/2", Some("new"));
        own.set("never", None);
        assert_eq!(own.version(), 3_002);
        let mut other = Texts::default();
        let mut parts = 0;
        while other.version < own.version() {
            let texts = own.after(other.version);
            let after = other.version;
            // What skips something is not taken, what comes twice does no harm.
            assert!(!other.clone().take(after + 1, texts.clone()));
            assert!(other.take(after, texts.clone()));
            assert!(!other.take(after, texts));
            parts += 1;
        }
        assert!(parts > 5);
        assert_eq!(other.values.len(), 2_999);
        assert_eq!(
            other.values.get("module/2").map(String::as_str),
            Some("new")
        );
    }
}
