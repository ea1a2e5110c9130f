//! What is said of copies of partitions, kept beside their records.
//!
//! A note a partition says which copy is in the file, and an empty one that none is: then what stands there of it is left
//! over. One note more says that these notes are complete. Each is in every namespace that outlives the process; where
//! several do not say the same, the process ended while it wrote, and nothing had come of what it was to say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::ownership::Holding;
use super::{Records, wire};
use crate::record::Namespace;
use crate::storage::StorageError;
use crate::storage::engine::PARTITIONS;

/// The number of the note that says that the others are complete.
const COMPLETE: u16 = PARTITIONS;

/// What a file says of a partition.
enum Said {
    /// Nothing, and it has no record of it.
    Nothing,
    /// Nothing, as nothing was ever noted; it has records.
    Unknown,
    /// It has no copy. Records that stand there are left over.
    None,
    Copy(Holding),
}

/// What was found of copies when the namespaces were opened.
pub(super) struct Found {
    /// Partitions with their copies; none where records are there of which nothing was ever noted.
    pub(super) stored: Vec<(u16, Option<Holding>)>,
    /// All namespaces say the same, and all of it.
    pub(super) is_complete: bool,
}

fn lasting(namespaces: &[Arc<Namespace>]) -> impl Iterator<Item = &Arc<Namespace>> {
    namespaces
        .iter()
        .filter(|namespace| namespace.keeps().persisted)
}

fn note(holding: Option<&Holding>) -> Vec<u8> {
    let mut note = Vec::new();
    if let Some(holding) = holding {
        wire::put_holding(holding, &mut note);
    }
    note
}

/// What the files of namespaces say of copies.
pub(super) fn found(namespaces: &[Arc<Namespace>]) -> Found {
    let mut said: Vec<Vec<Said>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
    let mut is_complete = true;
    for namespace in lasting(namespaces) {
        let mut notes = namespace.take_notes();
        let was_noted = notes.remove(&COMPLETE).is_some_and(|note| !note.is_empty());
        is_complete &= was_noted;
        for (partition, said) in (0..).zip(&mut said) {
            let has_records = namespace.partition_objects(partition) != 0;
            let copy = notes.remove(&partition).filter(|_| was_noted);
            let copy = copy.and_then(|note| wire::read_holding(&mut note.as_slice()));
            said.push(match (copy, was_noted, has_records) {
                (Some(copy), _, _) => Said::Copy(copy),
                (None, true, _) => Said::None,
                (None, false, true) => Said::Unknown,
                (None, false, false) => Said::Nothing,
            });
        }
    }
    let mut stored = Vec::new();
    for (partition, said) in (0..).zip(said) {
        let copies = said.iter().filter_map(|said| match said {
            Said::Copy(copy) => Some(copy),
            _ => None,
        });
        let is_left_over = said.iter().any(|said| matches!(said, Said::None));
        // Nothing had come yet of the later ones.
        let earliest = copies.reduce(|one, other| if one.replaces(other) { other } else { one });
        if said.iter().any(|said| matches!(said, Said::Unknown)) {
            stored.push((partition, None));
        } else if let Some(copy) = earliest.filter(|_| !is_left_over) {
            is_complete &= !said
                .iter()
                .any(|said| matches!(said, Said::Copy(other) if other != copy));
            stored.push((partition, Some(copy.clone())));
        }
    }
    Found {
        stored,
        is_complete,
    }
}

/// Has namespaces of a node that is in no cluster forget what was said of copies: nobody has a part of them from now on.
/// What was left over of copies that others have goes first.
///
/// # Errors
/// A namespace cannot be read or written.
pub async fn forget_copies(namespaces: &[Arc<Namespace>]) -> Result<(), StorageError> {
    for namespace in lasting(namespaces) {
        let mut notes = namespace.take_notes();
        if notes.remove(&COMPLETE).is_none_or(|note| note.is_empty()) {
            continue;
        }
        for partition in 0..PARTITIONS {
            if notes.get(&partition).is_none_or(Vec::is_empty) {
                remove_all(namespace, partition).await?;
            }
        }
        namespace.note(COMPLETE, Vec::new()).await?;
        namespace.flush().await?;
    }
    Ok(())
}

/// Removes the records of a partition that nobody is served from.
async fn remove_all(namespace: &Namespace, partition: u16) -> Result<(), StorageError> {
    while namespace.partition_objects(partition) != 0 {
        let page = namespace.scan(partition, None).outlines().page().await?;
        if page.is_empty() {
            break;
        }
        for record in page {
            namespace.remove(&record.digest()).await?;
        }
    }
    Ok(())
}

impl Records {
    /// Has what is stored outlive a crash.
    pub(super) async fn flush(&self) -> Result<(), String> {
        for namespace in lasting(&self.node.namespaces) {
            namespace.flush().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Notes which copies are here, where that has changed. The caller holds `copying`: notes are written in the order of
    /// what they are about.
    pub(super) async fn note_copies(&self) -> Result<(), String> {
        let unnoted = self.rule.with(|ownership, _| ownership.unnoted());
        let was_complete = self.is_complete.load(Ordering::Acquire);
        if unnoted.is_empty() && was_complete {
            return Ok(());
        }
        for namespace in lasting(&self.node.namespaces) {
            let failed = |error: StorageError| error.to_string();
            for (partition, holding) in &unnoted {
                let note = note(holding.as_ref());
                namespace.note(*partition, note).await.map_err(failed)?;
            }
            if !was_complete {
                namespace.note(COMPLETE, vec![1]).await.map_err(failed)?;
            }
        }
        self.flush().await?;
        self.is_complete.store(true, Ordering::Release);
        self.rule.with(|ownership, _| ownership.noted(&unnoted));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::record::NamespaceSettings;
    use crate::storage::file::{FileEngine, FileOptions};

    async fn namespace(path: &Path, name: &str) -> Arc<Namespace> {
        let options = FileOptions {
            in_memory: true,
            commit: false,
            flush_after: Duration::from_secs(1),
            write_cache: 1 << 20,
            clean_below_pct: 50,
        };
        let engine = FileEngine::open(&path.join(name), 16 << 20, name, options).unwrap();
        let settings = Arc::new(NamespaceSettings::new(name));
        let namespace = Namespace::with(name, settings, Box::new(engine), Clock::default());
        namespace.load(|_| ()).await.unwrap();
        Arc::new(namespace)
    }

    fn copy(number: u32) -> Holding {
        Holding::from_parts(7, number, vec![(5, 6)])
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_namespaces_say_differently_was_never_gone_on_from() {
        let said = |number| Some(note(Some(&copy(number))));
        let none = || Some(note(None));
        // What each of two says of a copy, and what is found then. The second of the last case is new.
        let cases = [
            ([said(1), said(1)], Some(copy(1)), true),
            ([said(2), said(1)], Some(copy(1)), false),
            ([said(1), none()], None, true),
            ([none(), none()], None, true),
            ([said(1), None], Some(copy(1)), false),
        ];
        for (notes, expected, is_complete) in cases {
            let directory = tempfile::tempdir().unwrap();
            for (name, note) in ["a", "b"].into_iter().zip(notes) {
                let namespace = namespace(directory.path(), name).await;
                if let Some(note) = note {
                    namespace.note(9, note.clone()).await.unwrap();
                    namespace.note(COMPLETE, vec![1]).await.unwrap();
                }
                namespace.close().await.unwrap();
            }
            let both = [
                namespace(directory.path(), "a").await,
                namespace(directory.path(), "b").await,
            ];
            let found = found(&both);
            let expected: Vec<_> = expected.into_iter().map(|copy| (9, Some(copy))).collect();
            assert_eq!((found.stored, found.is_complete), (expected, is_complete));
        }
    }
}
