//! One name of the registry with its version and content.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::item::Item;
use super::super::kind::CatalogueKind;
use super::super::version::{Summary, Version};

/// One entry of the registry: a thing, or what is left of a removed one. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredItem {
    name: Arc<str>,
    summary: Summary,
    content: Option<Arc<str>>,
}

impl StoredItem {
    /// `content` is none once removed.
    pub(crate) fn new(
        kind: &CatalogueKind,
        name: &str,
        version: Version,
        content: Option<&str>,
    ) -> Self {
        let hash = content.map(|content| kind.hash(name, content));
        Self {
            name: name.into(),
            summary: Summary { version, hash },
            content: content.map(Arc::from),
        }
    }

    /// An item that was checked.
    pub(crate) fn from_item(item: &Item) -> Self {
        Self {
            name: item.name.as_str().into(),
            summary: item.summary,
            content: item.content.as_deref().map(Arc::from),
        }
    }

    /// For other nodes, and for the log.
    pub(crate) fn to_item(&self) -> Item {
        Item {
            name: self.name.as_ref().to_owned(),
            summary: self.summary,
            content: self.content.as_deref().map(str::to_owned),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Content as registered; none once removed.
    pub(crate) fn content(&self) -> Option<&str> {
        self.content.as_deref()
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
        .map(|(position, item)| (Arc::clone(&item.name), position))
        .collect();
    for item in later {
        let position = positions.get(&item.name);
        match position.and_then(|position| items.get_mut(*position)) {
            Some(place) => *place = item,
            None => {
                positions.insert(Arc::clone(&item.name), items.len());
                items.push(item);
            }
        }
    }
    items
}
