//! The indexes of a namespace, by name and by definition.

use std::sync::Arc;

use arc_swap::ArcSwap;
use data::record::StoredRecord;
use parking_lot::Mutex;

use super::{Definition, Index, IndexType, Source, ValueType};

/// Most indexes of bins and expressions in a namespace.
const MAX_INDEXES: usize = 256;

/// Why a definition is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// The name has another definition.
    #[error("'indexname' already exists with different definition")]
    OtherDefinition,
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

/// What a definition has changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// Nothing: it was there.
    Nothing,
    /// A name, or a set index.
    Listed,
    /// There is a new index, which has no entries yet but those of records that change from now on.
    Made(Arc<Index>),
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
}

impl Indexes {
    /// Whether there is any index of values.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.live.load().is_empty()
    }

    /// Brings all entries of a record from one version to another. To be called after the change, by who holds the
    /// record's lock.
    pub fn update(&self, before: Option<&StoredRecord>, after: Option<&StoredRecord>) {
        let live = self.live.load();
        for index in live.iter() {
            index.update(before, after);
        }
    }

    /// Makes an index, or gives one of the same definition this name.
    ///
    /// # Errors
    /// The name is taken, or there are too many.
    pub fn define(&self, name: &str, definition: Definition) -> Result<Change, DefinitionError> {
        let mut table = self.table.lock();
        let same = table.all().find(|index| index.definition == definition);
        let same = same.map(Arc::clone);
        match (table.find(name), same) {
            (Some(Slot::Values(named)), Some(same)) if Arc::ptr_eq(&named, &same) => {
                Ok(Change::Nothing)
            }
            (Some(_), _) => Err(DefinitionError::OtherDefinition),
            (None, Some(same)) => {
                same.rename(name);
                Ok(Change::Listed)
            }
            (None, None) => {
                if table.all().count() >= MAX_INDEXES {
                    return Err(DefinitionError::TooMany);
                }
                let index = Arc::new(Index::new(name, definition));
                let entry = Some(Arc::clone(&index));
                match table.slots.iter_mut().find(|slot| slot.is_none()) {
                    Some(gap) => *gap = entry,
                    None => table.slots.push(entry),
                }
                self.publish(&table);
                Ok(Change::Made(index))
            }
        }
    }

    /// Makes a set index, or gives that of the set this name.
    ///
    /// # Errors
    /// The name is taken.
    pub fn define_set(&self, name: &str, set: &str) -> Result<Change, DefinitionError> {
        let mut table = self.table.lock();
        match table.find(name) {
            Some(Slot::Set(index)) if *index.set == *set => return Ok(Change::Nothing),
            Some(_) => return Err(DefinitionError::OtherDefinition),
            None => {}
        }
        match table.sets.iter_mut().find(|index| *index.set == *set) {
            Some(index) => index.name = name.into(),
            None => table.sets.push(SetIndex {
                name: name.into(),
                set: set.into(),
            }),
        }
        Ok(Change::Listed)
    }

    /// Takes away what has this name; false when nothing has.
    pub fn remove(&self, name: &str) -> bool {
        let mut table = self.table.lock();
        match table.find(name) {
            None => false,
            Some(Slot::Set(_)) => {
                table.sets.retain(|index| *index.name != *name);
                true
            }
            Some(Slot::Values(index)) => {
                for slot in &mut table.slots {
                    if slot.as_ref().is_some_and(|slot| Arc::ptr_eq(slot, &index)) {
                        *slot = None;
                    }
                }
                while table.slots.last().is_some_and(Option::is_none) {
                    table.slots.pop();
                }
                self.publish(&table);
                index.drop_it();
                true
            }
        }
    }

    fn publish(&self, table: &Table) {
        self.live.store(Arc::new(table.all().cloned().collect()));
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

    fn find(&self, name: &str) -> Option<Slot> {
        let values = self.all().find(|index| *index.name() == *name);
        let values = values.map(|index| Slot::Values(Arc::clone(index)));
        values.or_else(|| {
            let set = self.sets.iter().find(|index| *index.name == *name);
            set.cloned().map(Slot::Set)
        })
    }
}
