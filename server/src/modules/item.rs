//! A module, or what is left of a removed one, as it travels between nodes.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::content::MAX_SOURCE;
use super::content::decode_content;
use super::module::hash_of;
use super::names;
use super::version::{Summary, Version};

/// Why an item of another node is refused. It never is for what its script does: the node where it was put validated it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ItemError {
    /// The name leaves the module directory or is too long.
    #[error("the file name is not allowed")]
    Name,
    /// Content and hash do not belong together: it was damaged on the way.
    #[error("the content does not match its hash")]
    Hash,
    /// The content is empty, no base64 or too long.
    #[error("the content is not base64 or too long")]
    Content,
}

/// One name with its version and content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleItem {
    /// File name, with its extension.
    pub file_name: String,
    /// Version, and hash of the content.
    pub summary: Summary,
    /// Content as the client sent it, base64; none once removed.
    pub content64: Option<String>,
}

impl ModuleItem {
    /// An item with the hash of its content.
    #[must_use]
    pub fn new(file_name: &str, version: Version, content64: Option<&str>) -> Self {
        Self {
            file_name: file_name.to_owned(),
            summary: Summary {
                version,
                hash: content64.map(|content64| hash_of(file_name, content64)),
            },
            content64: content64.map(str::to_owned),
        }
    }

    /// Checks an item that somebody else made; the source of the module unless it is a removed one.
    ///
    /// # Errors
    /// See [`ItemError`].
    pub fn checked(&self) -> Result<Option<Vec<u8>>, ItemError> {
        if !names::stays_inside(self.file_name.as_bytes()) {
            return Err(ItemError::Name);
        }
        let Some(content64) = &self.content64 else {
            return match self.summary.hash {
                None => Ok(None),
                Some(_) => Err(ItemError::Hash),
            };
        };
        if content64.len() / 4 * 3 >= MAX_SOURCE {
            return Err(ItemError::Content);
        }
        if self.summary.hash != Some(hash_of(&self.file_name, content64)) {
            return Err(ItemError::Hash);
        }
        decode_content(content64.as_bytes())
            .map(Some)
            .ok_or(ItemError::Content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_checked_before_they_are_believed() {
        let good = ModuleItem::new("a.lua", Version::following(None, 5, 1), Some("LS0g"));
        let removed = ModuleItem::new("a.lua", Version::following(None, 5, 1), None);
        let changed = |change: fn(&mut ModuleItem)| {
            let mut item = good.clone();
            change(&mut item);
            item.checked()
        };
        assert_eq!(good.checked(), Ok(Some(b"-- ".to_vec())));
        assert_eq!(removed.checked(), Ok(None));
        assert_eq!(
            changed(|item| item.content64 = Some("LS0h".into())),
            Err(ItemError::Hash)
        );
        assert_eq!(changed(|item| item.content64 = None), Err(ItemError::Hash));
        assert_eq!(
            changed(|item| item.file_name = "b.lua".into()),
            Err(ItemError::Hash)
        );
        assert_eq!(
            changed(|item| item.file_name = "../a.lua".into()),
            Err(ItemError::Name)
        );
        let version = good.summary.version;
        for content64 in ["", "!", &"AAAA".repeat(MAX_SOURCE / 3 + 1)] {
            let item = ModuleItem::new("a.lua", version, Some(content64));
            assert_eq!(
                item.checked(),
                Err(ItemError::Content),
                "{} characters",
                content64.len()
            );
        }
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<ModuleItem>(&json).unwrap(), good);
    }
}
