//! What a module is made of, and the names by which contents are told apart.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Longest file name of a module, bytes.
const NAME_MAX: usize = 127;
/// Longest source of a module, bytes. Servers take less than this.
pub(crate) const SOURCE_MAX: usize = 1 << 20;

/// SHA-256 of a source. Equal digests are equal contents.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    /// Of a source.
    pub(crate) fn of(source: &[u8]) -> Self {
        Self(Sha256::digest(source).into())
    }

    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The first twelve digits, for people.
    pub(crate) fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A module as it is to be served.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its file name, with the extension.
    pub(crate) name: String,
    /// Its bytes.
    pub(crate) source: Arc<[u8]>,
    /// Of the source.
    pub(crate) digest: Digest,
}

impl Module {
    /// With its digest.
    pub(crate) fn new(name: impl Into<String>, source: impl Into<Arc<[u8]>>) -> Self {
        let source = source.into();
        Self {
            name: name.into(),
            digest: Digest::of(&source),
            source,
        }
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.digest.short())
    }
}

/// Why a module cannot have this name, or none. Stricter than servers are: what stands here can be sent, listed and put
/// into a file on every one of them.
pub(crate) fn wrong_name(name: &str) -> Option<&'static str> {
    let dot = name.find('.');
    if name.is_empty() || name.len() > NAME_MAX {
        Some("has to have 1 to 127 bytes")
    } else if name
        .chars()
        .any(|c| c.is_control() || matches!(c, '/' | '\\' | ';' | ':' | '=' | ','))
    {
        Some("may not have `/`, `\\`, `;`, `:`, `=`, `,` or control characters in it")
    } else if dot.is_none_or(|dot| dot == 0 || dot + 1 == name.len()) {
        Some("has to have an extension, and something before it")
    } else {
        None
    }
}

/// The hash under which servers list a module: SHA-1 of the text in which they store it. None where it is not certain
/// how they write the name in it.
pub(crate) fn listed_hash(module: &Module) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !module.name.chars().all(is_plain) {
        return None;
    }
    let content = STANDARD.encode(&module.source);
    let stored = format!(
        r#"{{"content64": "{content}", "type": "LUA", "name": "{}"}}"#,
        module.name
    );
    let hash = Sha1::digest(stored.as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_as_they_are_written() {
        let digest = Digest::of(b"return 1");
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        for text in ["", "ab", &"g".repeat(64), &"ä".repeat(32)] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn names_that_could_not_be_sent_or_stored_are_refused() {
        for (name, good) in [
            ("a.lua", true),
            ("a b.txt", true),
            (".lua", false),
            ("a.", false),
            ("plain", false),
            ("a/b.lua", false),
            ("../b.lua", false),
            ("a;b.lua", false),
            ("a\n.lua", false),
            ("", false),
        ] {
            assert_eq!(wrong_name(name).is_none(), good, "{name:?}");
        }
        assert!(wrong_name(&format!("{}.lua", "a".repeat(124))).is_some());
    }
}
