//! The indexes of a namespace, by name and by definition.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use data::record::StoredRecord;
use parking_lot::Mutex;

use super::definition::{Indexed, LONG_RECORD};
use super::{Index, IndexType, Source, ValueType};

/// Most indexes of bins and expressions in a namespace.
const MAX_INDEXES: usize = 256;

/// Why a definition is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The name has another definition.
    #[error("'indexname' already exists with different definition")]
    OtherDefinition,
    /// The name has more than one: nodes were told of them at the same moment.
    #[error("'indexname' already exists with multiple definitions")]
    Several,
    /// The name has more than one definition, so it does not say which is meant.
    #[error("'indexname' is not unique")]
    NotUnique,
    /// There are as many as there may be.
    #[error("already at sindex definition limit")]
    TooMany,
}

/// A set whose records are to be found without the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetIndex {
    /// Its name.
    pub name: Box<str>,
    /// The set.
    pub set: Box<str>,
}

/// What has a name.
#[derive(Clone, Debug)]
pub enum Slot {
    /// An index of values.
    Values(Arc<Index>),
    /// A set.
    Set(SetIndex),
}

#[derive(Debug, Default)]
struct Table {
    /// In order of creation; what goes leaves a gap, which the next one takes.
    slots: Vec<Option<Arc<Index>>>,
    sets: Vec<SetIndex>,
}

/// The indexes of a namespace.
#[derive(Debug, Default)]
pub struct Indexes {
    table: Mutex<Table>,
    /// Those that records are entered into; what a change of a record reads.
    live: ArcSwap<Vec<Arc<Index>>>,
    /// How many these are. Most namespaces have none, and every write asks.
    count: AtomicUsize,
}

impl Indexes {
    /// Whether there is any index of values.
    #[must_use]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether [`Self::update`] may take many milliseconds.
    #[must_use]
    pub fn take_long(&self, before: Option<&StoredRecord>, after: Option<&StoredRecord>) -> bool {
        let large = |record: &&StoredRecord| record.size() >= LONG_RECORD;
        let Some(record) = before.filter(large).or(after.filter(large)) else {
            return false;
        };
        let live = self.live.load();
        live.iter().any(|index| index.definition.takes_long(record))
    }

    /// Brings all entries of a record from one version to another. To be called after the change, by who holds the
    /// record's lock.
    pub fn update(&self, before: Option<&StoredRecord>, after: Option<&StoredRecord>) {
        let live = self.live.load();
        for index in live.iter() {
            index.update(before, after);
        }
    }

    /// Whether this may have the name, as far as is known here.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub fn check(&self, name: &str, indexed: &Indexed) -> Result<(), DefinitionError> {
        let table = self.table.lock();
        let mut named = table.named(name);
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(DefinitionError::Several),
            (Some(one), None) if one == *indexed => Ok(()),
            (Some(_), None) => Err(DefinitionError::OtherDefinition),
            (None, _) => {
                let is_new = match indexed {
                    Indexed::Set(_) => false,
                    Indexed::Values(definition) => {
                        table.all().all(|index| index.definition != *definition)
                    }
                };
                if is_new && table.all().count() >= MAX_INDEXES {
                    return Err(DefinitionError::TooMany);
                }
                Ok(())
            }
        }
    }

    /// Makes an index, or gives that of the same definition this name. What is new has no entries but those of records
    /// that change from now on.
    pub fn put(&self, name: &str, indexed: Indexed) -> Option<Arc<Index>> {
        let mut table = self.table.lock();
        match indexed {
            Indexed::Set(set) => {
                match table.sets.iter_mut().find(|index| index.set == set) {
                    Some(index) => index.name = name.into(),
                    None => table.sets.push(SetIndex {
                        name: name.into(),
                        set,
                    }),
                }
                None
            }
            Indexed::Values(definition) => {
                let same = table.all().find(|index| index.definition == definition);
                if let Some(same) = same {
                    same.rename(name);
                    return None;
                }
                let index = Arc::new(Index::new(name, definition));
                let entry = Some(Arc::clone(&index));
                match table.slots.iter_mut().find(|slot| slot.is_none()) {
                    Some(gap) => *gap = entry,
                    None => table.slots.push(entry),
                }
                self.publish(&table);
                Some(index)
            }
        }
    }

    /// Takes an index away; false when there is none.
    pub fn remove(&self, indexed: &Indexed) -> bool {
        let mut table = self.table.lock();
        match indexed {
            Indexed::Set(set) => {
                let before = table.sets.len();
                table.sets.retain(|index| index.set != *set);
                table.sets.len() < before
            }
            Indexed::Values(definition) => {
                let fits = |slot: &Option<Arc<Index>>| {
                    slot.as_ref()
                        .is_some_and(|index| index.definition == *definition)
                };
                let Some(place) = table.slots.iter().position(fits) else {
                    return false;
                };
                let gone = table.slots.get_mut(place).and_then(Option::take);
                while table.slots.last().is_some_and(Option::is_none) {
                    table.slots.pop();
                }
                self.publish(&table);
                if let Some(gone) = gone {
                    gone.drop_it();
                }
                true
            }
        }
    }

    /// What has this name, where only one thing has.
    ///
    /// # Errors
    /// More than one has.
    pub fn only(&self, name: &str) -> Result<Option<Indexed>, DefinitionError> {
        let table = self.table.lock();
        let mut named = table.named(name);
        match (named.next(), named.next()) {
            (Some(_), Some(_)) => Err(DefinitionError::NotUnique),
            (one, _) => Ok(one),
        }
    }

    fn publish(&self, table: &Table) {
        let live: Vec<_> = table.all().cloned().collect();
        let count = live.len();
        self.live.store(Arc::new(live));
        self.count.store(count, Ordering::Release);
    }

    /// What has this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Slot> {
        self.table.lock().find(name)
    }

    /// The index of a definition: first that of the set, then one of all sets.
    #[must_use]
    pub fn defined(
        &self,
        set: Option<&str>,
        source: &Source,
        index_type: IndexType,
        value_type: ValueType,
    ) -> Option<Arc<Index>> {
        let table = self.table.lock();
        let find = |set: Option<&str>| {
            let fits = |index: &&Arc<Index>| {
                let own = &index.definition;
                own.set.as_deref() == set
                    && own.index_type == index_type
                    && own.value_type == value_type
                    && own.source == *source
            };
            table.all().find(fits).map(Arc::clone)
        };
        find(set).or_else(|| set.and_then(|_| find(None)))
    }

    /// All of them, in order; set indexes last.
    #[must_use]
    pub fn all(&self) -> Vec<Slot> {
        let table = self.table.lock();
        let values = table.all().cloned().map(Slot::Values);
        values
            .chain(table.sets.iter().cloned().map(Slot::Set))
            .collect()
    }

    /// Bytes that all entries take at most, without a look at them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let live = self.live.load();
        live.iter().map(|index| index.memory()).sum()
    }

    /// The sets that have a set index.
    #[must_use]
    pub fn indexed_sets(&self) -> Vec<Box<str>> {
        let table = self.table.lock();
        table.sets.iter().map(|index| index.set.clone()).collect()
    }

    /// Number of indexes of values that are of this set only.
    #[must_use]
    pub fn of_set(&self, set: &str) -> usize {
        let table = self.table.lock();
        let values = table.all();
        let values = values.filter(|index| index.definition.set.as_deref() == Some(set));
        values.count()
    }
}

impl Table {
    fn all(&self) -> impl Iterator<Item = &Arc<Index>> {
        self.slots.iter().flatten()
    }

    /// Everything of this name.
    fn named(&self, name: &str) -> impl Iterator<Item = Indexed> {
        let values = self.all().filter(move |index| *index.name() == *name);
        let values = values.map(|index| Indexed::Values(index.definition.clone()));
        let sets = self.sets.iter().filter(move |index| *index.name == *name);
        values.chain(sets.map(|index| Indexed::Set(index.set.clone())))
    }

    fn find(&self, name: &str) -> Option<Slot> {
        let values = self.all().find(|index| *index.name() == *name);
        let values = values.map(|index| Slot::Values(Arc::clone(index)));
        values.or_else(|| {
            let set = self.sets.iter().find(|index| *index.name == *name);
            set.cloned().map(Slot::Set)
        })
    }
}
