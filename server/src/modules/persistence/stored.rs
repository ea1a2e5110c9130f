//! One name of the registry with its version and content.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::item::ModuleItem;
use super::super::module::hash_of;
use super::super::version::{Summary, Version};

/// One entry of the registry: a module, or what is left of a removed one. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredItem {
    file_name: Arc<str>,
    summary: Summary,
    content64: Option<Arc<str>>,
}

impl StoredItem {
    /// `content64` is none once removed.
    pub(crate) fn new(file_name: &str, version: Version, content64: Option<&str>) -> Self {
        let hash = content64.map(|content64| hash_of(file_name, content64));
        Self {
            file_name: file_name.into(),
            summary: Summary { version, hash },
            content64: content64.map(Arc::from),
        }
    }

    /// An item that was checked.
    pub(crate) fn from_item(item: &ModuleItem) -> Self {
        Self {
            file_name: item.file_name.as_str().into(),
            summary: item.summary,
            content64: item.content64.as_deref().map(Arc::from),
        }
    }

    /// For other nodes, and for the log.
    pub(crate) fn to_item(&self) -> ModuleItem {
        ModuleItem {
            file_name: self.file_name.as_ref().to_owned(),
            summary: self.summary,
            content64: self.content64.as_deref().map(str::to_owned),
        }
    }

    pub(crate) fn file_name(&self) -> &Arc<str> {
        &self.file_name
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Content as registered, base64; none once removed.
    pub(crate) fn content64(&self) -> Option<&str> {
        self.content64.as_deref()
    }
}

/// The items with later ones in the places of those that they follow; new names come last.
pub(crate) fn followed_by(
    mut items: Vec<StoredItem>,
    later: impl IntoIterator<Item = StoredItem>,
) -> Vec<StoredItem> {
    let mut positions: HashMap<Arc<str>, usize> = items
        .iter()
        .enumerate()
        .map(|(position, item)| (Arc::clone(&item.file_name), position))
        .collect();
    for item in later {
        let position = positions.get(&item.file_name);
        match position.and_then(|position| items.get_mut(*position)) {
            Some(place) => *place = item,
            None => {
                positions.insert(Arc::clone(&item.file_name), items.len());
                items.push(item);
            }
        }
    }
    items
}
