//! The names that a node knows with their versions: the rule of [`version`](super::version) applied to its state.
//!
//! It has no files, sockets or clock, so that a simulation can drive it: who changes it says how the next state is
//! saved, and it goes over to that state only once it is.

use std::collections::HashMap;
use std::sync::Arc;

use super::item::Item;
use super::kind::CatalogueKind;
use super::persistence::StoredItem;
use super::version::{Decision, Summary, Version, decide};

/// Most names that a node remembers, removed ones included, before it refuses to register others.
///
/// Removed ones cannot be forgotten before their time, so this is what bounds the memory that they take.
pub(crate) const MAX_NAMES: usize = 65_536;

/// What became of an item that was offered to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It was newer. It is on disk now.
    Taken,
    /// It was there already.
    Same,
    /// There is this newer one, which whoever offered the item should take.
    Older(Summary),
}

impl Stored {
    /// What the node has now, after it was offered `offered`.
    #[must_use]
    pub fn has(self, offered: &Summary) -> Summary {
        match self {
            Self::Taken | Self::Same => *offered,
            Self::Older(newer) => newer,
        }
    }
}

/// What a put or remove on this node comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What all nodes shall have.
    pub item: Item,
    /// This node has it: the content is what it was. Other nodes may lack it.
    pub is_known: bool,
}

/// There are too many names; see [`MAX_NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The state of one node. A clone shares the contents.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    kind: &'static CatalogueKind,
    node: u64,
    /// In the order of first registration.
    items: Vec<StoredItem>,
    positions: HashMap<Arc<str>, usize>,
    /// The last version given out per name, until one as high is stored: no two changes get the same.
    proposed: HashMap<Arc<str>, Version>,
    /// Nothing is forgotten before this time, ms since 2010.
    forgets_from_ms: u64,
    /// How often something was.
    forgot: u64,
}

impl Catalogue {
    /// The state found on disk. `node` goes into the versions of changes made here.
    pub(crate) fn new(kind: &'static CatalogueKind, node: u64, items: Vec<StoredItem>) -> Self {
        let mut catalogue = Self {
            kind,
            node,
            items,
            positions: HashMap::new(),
            proposed: HashMap::new(),
            forgets_from_ms: 0,
            forgot: 0,
        };
        catalogue.index();
        catalogue
    }

    fn index(&mut self) {
        self.positions = self
            .items
            .iter()
            .enumerate()
            .map(|(position, item)| (Arc::clone(item.name()), position))
            .collect();
    }

    /// The same node without any name.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            forgets_from_ms: self.forgets_from_ms,
            ..Self::new(self.kind, self.node, Vec::new())
        }
    }

    /// In the order of first registration, removed ones included.
    pub(crate) fn items(&self) -> &[StoredItem] {
        &self.items
    }

    pub(crate) fn known(&self, name: &str) -> Option<&StoredItem> {
        let position = self.positions.get(name)?;
        self.items.get(*position)
    }

    /// What a put of `content` on this node comes to.
    pub(crate) fn propose_put(
        &mut self,
        name: &str,
        content: &str,
        now_ms: u64,
    ) -> Result<Proposal, Full> {
        let content = Some(content);
        if let Some(unchanged) = self.unchanged(name, content) {
            return Ok(unchanged);
        }
        let is_new = self.known(name).is_none() && !self.proposed.contains_key(name);
        if is_new && self.items.len() + self.proposed.len() >= MAX_NAMES {
            return Err(Full);
        }
        Ok(self.change(name, content, now_ms))
    }

    /// What a remove on this node comes to. None: there is nothing to remove.
    pub(crate) fn propose_removal(&mut self, name: &str, now_ms: u64) -> Option<Proposal> {
        if let Some(unchanged) = self.unchanged(name, None) {
            // Nodes that forgot it would take it up again.
            return Some(unchanged).filter(|known| !known.item.summary.is_expired(now_ms));
        }
        let exists = self.known(name).is_some() || self.proposed.contains_key(name);
        exists.then(|| self.change(name, None, now_ms))
    }

    fn unchanged(&self, name: &str, content: Option<&str>) -> Option<Proposal> {
        let known = self.known(name)?;
        (known.content() == content).then(|| Proposal {
            item: known.to_item(),
            is_known: true,
        })
    }

    fn change(&mut self, name: &str, content: Option<&str>, now_ms: u64) -> Proposal {
        let last = self.known(name).map(|last| last.summary().version);
        let last = last.max(self.proposed.get(name).copied());
        let version = Version::following(last, now_ms, self.node);
        self.proposed.insert(name.into(), version);
        Proposal {
            item: Item::new(self.kind, name, version, content),
            is_known: false,
        }
    }

    /// Takes what is newer of the items, which were checked; for each, in this order, what became of it.
    ///
    /// `save` gets what is known so far and what is taken, and makes that last; when it fails, or when nothing is newer,
    /// everything is as it was. This costs what is taken, whatever else is known.
    pub(crate) fn store<E>(
        &mut self,
        offered: &[Item],
        now_ms: u64,
        save: impl FnOnce(&[StoredItem], &[StoredItem]) -> Result<(), E>,
    ) -> Result<Vec<Stored>, E> {
        let mut taken: Vec<StoredItem> = Vec::new();
        let mut last: HashMap<&str, Summary> = HashMap::new();
        let mut outcomes = Vec::with_capacity(offered.len());
        for item in offered {
            let known = self.known(&item.name).map(StoredItem::summary);
            let known = last.get(&*item.name).or(known);
            outcomes.push(match decide(known, &item.summary) {
                Decision::Take => {
                    taken.push(StoredItem::from_item(item));
                    last.insert(&item.name, item.summary);
                    Stored::Taken
                }
                Decision::Same => Stored::Same,
                Decision::Older => known.map_or(Stored::Same, |known| Stored::Older(*known)),
            });
        }
        if !taken.is_empty() {
            save(&self.items, &taken)?;
            for stored in taken {
                self.take(stored);
            }
            self.forget_expired(now_ms);
        }
        Ok(outcomes)
    }

    fn take(&mut self, stored: StoredItem) {
        let name = Arc::clone(stored.name());
        if self.proposed.get(&name) <= Some(&stored.summary().version) {
            self.proposed.remove(&name);
        }
        let position = self.positions.get(&name);
        match position.and_then(|position| self.items.get_mut(*position)) {
            Some(place) => *place = stored,
            None => {
                self.positions.insert(name, self.items.len());
                self.items.push(stored);
            }
        }
    }

    /// Keeps all tombstones until then, ms since 2010.
    pub(crate) fn forget_nothing_before(&mut self, time_ms: u64) {
        self.forgets_from_ms = time_ms;
    }

    /// See [`forget_nothing_before`](Self::forget_nothing_before).
    pub(crate) fn forgets_from_ms(&self) -> u64 {
        self.forgets_from_ms
    }

    /// How often tombstones were dropped.
    pub(crate) fn forgot(&self) -> u64 {
        self.forgot
    }

    /// Drops tombstones whose life, and a day more, is over. True: there were some.
    pub(crate) fn forget_expired(&mut self, now_ms: u64) -> bool {
        if now_ms < self.forgets_from_ms {
            return false;
        }
        let before = self.items.len();
        self.items
            .retain(|item| !item.summary().is_forgotten(now_ms));
        let forgot = self.items.len() < before;
        if forgot {
            self.index();
            self.forgot += 1;
        }
        forgot
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::PLAIN;
    use super::super::version::{DAY_MS, TOMBSTONE_LIFE_MS};
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(&PLAIN, 7, Vec::new())
    }

    fn saved(_: &[StoredItem], _: &[StoredItem]) -> Result<(), ()> {
        Ok(())
    }

    fn change(catalogue: &mut Catalogue, content: Option<&str>, now_ms: u64) -> Version {
        let proposal = match content {
            Some(content) => catalogue.propose_put("a.lua", content, now_ms).unwrap(),
            None => catalogue.propose_removal("a.lua", now_ms).unwrap(),
        };
        let item = proposal.item;
        let stored = catalogue.store(std::slice::from_ref(&item), now_ms, saved);
        assert_eq!(stored, Ok(vec![Stored::Taken]));
        item.summary.version
    }

    #[test]
    fn generations_count_changes_also_over_a_removal() {
        let mut catalogue = catalogue();
        assert_eq!(catalogue.propose_removal("a.lua", 1), None);
        let versions = [Some("LS0g"), None, Some("LS0g"), Some("LS0h")]
            .map(|content| change(&mut catalogue, content, 10));
        assert_eq!(
            versions.map(|version| (version.generation, version.time_ms, version.node)),
            [(1, 10, 7), (2, 11, 7), (3, 12, 7), (4, 13, 7)]
        );
        let again = catalogue.propose_put("a.lua", "LS0h", 20).unwrap();
        assert!(again.is_known);
        assert_eq!(again.item.summary.version, versions[3]);
    }

    #[test]
    fn changes_that_are_not_stored_yet_have_different_versions() {
        let mut catalogue = catalogue();
        let first = catalogue.propose_put("a.lua", "LS0g", 1).unwrap();
        let second = catalogue.propose_put("a.lua", "LS0h", 1).unwrap();
        assert!(first.item.summary.version < second.item.summary.version);
        assert_eq!(
            catalogue.store(&[second.item.clone(), first.item], 1, saved),
            Ok(vec![Stored::Taken, Stored::Older(second.item.summary)])
        );
        assert!(catalogue.proposed.is_empty());
    }

    #[test]
    fn nothing_changes_when_it_cannot_be_saved() {
        let mut catalogue = catalogue();
        change(&mut catalogue, Some("LS0g"), 1);
        let item = catalogue.propose_removal("a.lua", 2).unwrap().item;
        assert_eq!(
            catalogue.store(std::slice::from_ref(&item), 2, |_, _| Err("full")),
            Err("full")
        );
        assert_eq!(catalogue.known("a.lua").unwrap().content(), Some("LS0g"));
        assert_eq!(catalogue.store(&[item], 2, saved), Ok(vec![Stored::Taken]));
    }

    #[test]
    fn tombstones_live_their_time_however_many_there_are() {
        let mut catalogue = catalogue();
        let items: Vec<_> = (0..3_000)
            .map(|index| {
                let version = Version::following(None, index, 1);
                Item::new(&PLAIN, &format!("{index}.lua"), version, None)
            })
            .collect();
        catalogue.store(&items, 3_000, saved).unwrap();
        assert_eq!(catalogue.items().len(), 3_000);
        let life_ms = TOMBSTONE_LIFE_MS + DAY_MS;
        assert!(!catalogue.forget_expired(life_ms));
        catalogue.forget_nothing_before(life_ms + 1_000);
        assert!(!catalogue.forget_expired(life_ms + 999));
        assert!(catalogue.forget_expired(life_ms + 1_000));
        assert_eq!(catalogue.items().len(), 2_000);
        assert!(catalogue.known("999.lua").is_none());
        assert!(catalogue.known("1000.lua").is_some());
    }

    #[test]
    fn names_are_bounded() {
        let mut catalogue = catalogue();
        for index in 0..MAX_NAMES {
            let name = format!("{index}.lua");
            assert!(catalogue.propose_put(&name, "LS0g", 1).is_ok());
        }
        assert_eq!(catalogue.propose_put("more.lua", "LS0g", 1), Err(Full));
        assert!(catalogue.propose_put("1.lua", "LS0h", 1).is_ok());
    }
}
