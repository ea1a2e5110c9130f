use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use protocol::bounds::Fit as _;
use tokio::sync::{Notify, watch};

use super::disk::{Disk, RealFile};
use super::frame::{HEADER, Header, SEGMENT_BYTES};
use super::load::{self, Damage};
use super::log::Log;
use super::{
    Control, FileEngine, FileEntry, FileOptions, Progress, Shared, cleaner, empty_partitions,
    repair, writer,
};
use crate::storage::Truncation;

/// A file has about so many segments.
const SEGMENTS: u64 = 64;

/// Smallest file: some segments to write to, and those that are reserved.
pub(crate) const FILE_BYTES_MIN: u64 = 16 << 20;

/// Why a file of records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refuses.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is something else than is expected.
    #[error("{path}: {reason}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Bytes in it are not what was written.
    #[error(
        "{path}: damaged at byte {at}: {what} ({count} places in all); nothing was changed. What is whole can be saved: \
         asd --salvage {path} --into NEWFILE"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first place.
        at: u64,
        /// What is wrong there.
        what: String,
        /// Number of places.
        count: usize,
    },
}

/// The layout of a new file of so many bytes.
pub(super) fn layout(namespace: &str, bytes: u64, segment_bytes: Option<u64>) -> Header {
    let segment = segment_bytes.unwrap_or_else(|| {
        let (least, most) = SEGMENT_BYTES;
        (bytes / SEGMENTS / least * least).clamp(least, most)
    });
    let segments = bytes.saturating_sub(HEADER as u64) / segment.max(1);
    Header {
        segment_bytes: segment.at_most(),
        segments: segments.at_most(),
        closed_at: None,
        unused_from: 0,
        namespace: namespace.to_owned(),
    }
}

impl FileEngine {
    /// Opens the file of a namespace, or makes it: at most `bytes` large. Blocks while it reads what the file holds.
    ///
    /// # Errors
    /// Another process has it, it is another namespace's, of another version or damaged: it is left as it is.
    pub fn open(
        path: &Path,
        bytes: u64,
        namespace: &str,
        options: FileOptions,
    ) -> Result<Self, OpenError> {
        let disk = RealFile::open(path, 0).map_err(|error| OpenError::Io {
            path: path.to_owned(),
            error,
        })?;
        Self::open_disk(
            Box::new(disk),
            path,
            layout(namespace, bytes, None),
            options,
        )
    }

    pub(super) fn open_disk(
        disk: Box<dyn Disk>,
        path: &Path,
        wanted: Header,
        options: FileOptions,
    ) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io {
            path: path.to_owned(),
            error,
        };
        let refused = |reason: String| OpenError::Refused {
            path: path.to_owned(),
            reason,
        };
        let damaged = |at, what, count| OpenError::Damaged {
            path: path.to_owned(),
            at,
            what,
            count,
        };
        let found = read_header(&*disk).map_err(io)?.map_err(refused)?;
        let length = disk.length().map_err(io)?;
        let mut header = match found {
            None => {
                if length != 0 && repair::has_segments(&*disk).map_err(io)? {
                    return Err(damaged(
                        0,
                        "its header is empty, and records stand behind it".to_owned(),
                        1,
                    ));
                }
                tracing::info!(target: "drv", "{}: is new", disk.name());
                wanted.clone()
            }
            Some(header) if header.namespace != wanted.namespace => {
                return Err(refused(format!(
                    "it holds the records of namespace `{}`, not of `{}`",
                    header.namespace, wanted.namespace
                )));
            }
            Some(header) if length < size(&header) => {
                let what = format!("the file ends here, it had {} bytes", size(&header));
                return Err(damaged(length, what, 1));
            }
            Some(mut header) => {
                // A larger file gets more segments; a smaller one keeps those that it has.
                let more =
                    size(&wanted).saturating_sub(HEADER as u64) / u64::from(header.segment_bytes);
                header.segments = header.segments.max(more.at_most());
                header
            }
        };
        let found = load::read(&*disk, &header, !options.in_memory).map_err(io)?;
        if let Some(Damage { at, what }) = found.damage.first() {
            return Err(damaged(*at, what.clone(), found.damage.len()));
        }
        disk.grow(size(&header)).map_err(io)?;
        if found.torn != 0 {
            tracing::warn!(
                target: "drv",
                "{}: the last write was cut off by a crash; it was not acknowledged and is left out",
                disk.name()
            );
        } else if header.closed_at.is_none() && found.end.is_some() {
            tracing::info!(target: "drv", "{}: was not closed; nothing of it is missing", disk.name());
        }
        header.closed_at = None;
        let sequences = found.segments.iter().map(|segment| segment.sequence);
        let highest = sequences.max().unwrap_or(0);
        // A life begins a segment when the one before is on disk: of the last one, none behind `highest + 1` was begun.
        header.unused_from = header.unused_from.max(highest + 1) + 1;
        disk.write(0, &header.to_bytes()).map_err(io)?;
        if let Some((segment, end)) = found.end {
            // What a crash left behind the end must not be taken for a frame, or for damage, ever.
            let segment_bytes = header.segment_bytes;
            let rest = vec![0; segment_bytes.saturating_sub(end) as usize];
            if found.has_rest {
                let position = HEADER as u64 + u64::from(segment) * u64::from(segment_bytes);
                disk.write(position + u64::from(end), &rest).map_err(io)?;
            }
        }
        disk.sync().map_err(io)?;
        let mut log = Log::new(disk.name(), &header, found.segments);
        if let Some((segment, end)) = found.end {
            log.go_on(segment, end);
        }
        log.removal_bytes = found.removal_bytes;
        log.max_token = found.max_token;
        let truncations = found.truncations.iter();
        let truncations = truncations.map(|(set, (before_ms, _))| Truncation {
            set: set.clone(),
            before_ms: *before_ms,
        });
        let opened_with = (truncations.collect(), found.max_token);
        log.truncations = found.truncations;
        let places = found
            .notes
            .iter()
            .map(|(number, (_, place))| (*number, *place));
        log.notes = places.collect();
        let notes = found
            .notes
            .into_iter()
            .map(|(number, (note, _))| (number, note));
        let partitions = empty_partitions();
        for (digest, (record, place)) in found.records {
            if let Some(partition) = partitions.get(usize::from(digest.partition_id())) {
                partition.lock().insert(FileEntry { record, place });
            }
        }
        let shared = Arc::new(Shared {
            disk,
            header,
            options,
            partitions,
            log: Mutex::new(log),
            work: Condvar::new(),
            written: Condvar::new(),
            progress: watch::Sender::new(Progress::default()),
            room: Notify::new(),
            control: Mutex::new(Control::default()),
        });
        let engine = Self {
            shared: Arc::clone(&shared),
            threads: Mutex::default(),
            opened_with,
            notes: Mutex::new(notes.collect()),
        };
        for (name, run) in [
            ("file writer", writer::run as fn(&Arc<Shared>)),
            ("file cleaner", cleaner::run),
        ] {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || run(&shared))
                .map_err(io)?;
            engine.threads.lock().push(thread);
        }
        Ok(engine)
    }
}

/// Bytes of a file of this layout.
pub(super) fn size(header: &Header) -> u64 {
    HEADER as u64 + u64::from(header.segments) * u64::from(header.segment_bytes)
}

/// The header of a file; none of one that is empty.
pub(super) fn read_header(disk: &dyn Disk) -> io::Result<Result<Option<Header>, String>> {
    let mut bytes = vec![0; HEADER];
    disk.read(0, &mut bytes)?;
    Ok(Header::read(&bytes))
}
