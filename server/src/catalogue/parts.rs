//! Maps by name of which one version after the other is shown, each of which costs what changes and not what there is.

use std::sync::Arc;

use protocol::bounds::Fit as _;

/// Parts of a map. A change copies one of them, and a pointer to each other.
const PARTS: usize = 64;

/// In the order of names, of which there are a few: one is found sooner than its hash is reckoned.
type Part<V> = Vec<(Arc<[u8]>, V)>;

/// Where a name is in a part, or is to be put.
fn find<V>(part: &Part<V>, name: &[u8]) -> Result<usize, usize> {
    part.binary_search_by(|(known, _)| (**known).cmp(name))
}

/// One version of a map. A clone shares everything.
#[derive(Debug)]
pub(crate) struct Parts<V>(Arc<[Arc<Part<V>>]>);

impl<V> Clone for Parts<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> Default for Parts<V> {
    fn default() -> Self {
        let empty = Arc::<Part<V>>::default();
        Self((0..PARTS).map(|_| Arc::clone(&empty)).collect())
    }
}

/// Where a name is in one version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    part: usize,
    index: usize,
}

/// Which part a name is in: FNV-1a. Names that are made to meet in one cost what all do.
fn part_of(name: &[u8]) -> usize {
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper bits depend on all bytes.
    (hash >> 58).fit()
}

impl<V: Clone> Parts<V> {
    pub(crate) fn get(&self, name: &[u8]) -> Option<&V> {
        self.at(self.place(name)?)
    }

    /// Where a name is in this version.
    pub(crate) fn place(&self, name: &[u8]) -> Option<Place> {
        let part = part_of(name);
        let index = find(self.0.get(part)?, name).ok()?;
        Some(Place { part, index })
    }

    /// What is in a place of this version.
    pub(crate) fn at(&self, place: Place) -> Option<&V> {
        self.entry(place).map(|(_, value)| value)
    }

    /// What is in a place of this version, with its name.
    pub(crate) fn entry(&self, place: Place) -> Option<(&[u8], &V)> {
        let (name, value) = self.0.get(place.part)?.get(place.index)?;
        Some((name, value))
    }

    /// The version after this one: with these values in the places of what these names had, none for what is not there
    /// any more.
    #[must_use]
    pub(crate) fn changed<'n>(
        &self,
        changes: impl IntoIterator<Item = (&'n [u8], Option<V>)>,
    ) -> Self {
        let mut parts = self.0.to_vec();
        for (name, value) in changes {
            let Some(part) = parts.get_mut(part_of(name)) else {
                continue;
            };
            // Copied when it is still that of the version before.
            let part = Arc::make_mut(part);
            match (find(part, name), value) {
                (Ok(place), Some(value)) => {
                    if let Some((_, known)) = part.get_mut(place) {
                        *known = value;
                    }
                }
                (Ok(place), None) => drop(part.remove(place)),
                (Err(place), Some(value)) => part.insert(place, (name.into(), value)),
                (Err(_), None) => {}
            }
        }
        Self(parts.into())
    }

    /// In no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        let parts = self.0.iter().flat_map(|part| part.iter());
        parts.map(|(name, value)| (&**name, value))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|part| part.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_what_changed_and_shares_all_other_parts_with_the_one_before() {
        let names: Vec<String> = (0..2_000).map(|number| format!("{number}.lua")).collect();
        let all = names.iter().zip(0..);
        let first =
            Parts::default().changed(all.map(|(name, value)| (name.as_bytes(), Some(value))));
        assert_eq!(first.len(), 2_000);
        let second = first.changed([
            (&b"7.lua"[..], None),
            (b"8.lua", Some(0)),
            (b"new", Some(1)),
        ]);
        assert_eq!(
            (first.get(b"7.lua"), second.get(b"7.lua")),
            (Some(&7), None)
        );
        assert_eq!(
            (first.get(b"8.lua"), second.get(b"8.lua")),
            (Some(&8), Some(&0))
        );
        assert_eq!((first.get(b"new"), second.get(b"new")), (None, Some(&1)));
        assert_eq!(second.iter().count(), 2_000);
        let parts = first.0.iter().zip(&*second.0);
        let copied = parts.filter(|(old, new)| !Arc::ptr_eq(old, new));
        assert!(copied.count() <= 3);
        let largest = first.0.iter().map(|part| part.len()).max();
        assert!(largest < Some(2_000 / 8), "names are spread: {largest:?}");
    }
}
