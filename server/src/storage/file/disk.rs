//! What an engine needs of a file: the real one, and in tests one that fails and forgets.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use rustix::io::{Errno, ReadWriteFlags};

/// A file of a fixed size whose parts take room only once they are allocated.
pub(super) trait Disk: Send + Sync + Debug {
    /// What messages call it.
    fn name(&self) -> String;

    /// Bytes of the file.
    fn length(&self) -> io::Result<u64>;

    /// Makes it so large, if it is smaller.
    fn grow(&self, size: u64) -> io::Result<()>;

    /// Reads so many bytes; what was never written, or stands behind the end, is zero.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Reads if that needs no wait; false if it does, or cannot be told.
    fn read_at_hand(&self, _at: u64, _buffer: &mut [u8]) -> bool {
        false
    }

    /// Writes; whether it outlives a crash is not known before [`Disk::sync`] has returned.
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has all that was written outlive a crash.
    fn sync(&self) -> io::Result<()>;

    /// Takes room, so that a write to it does not fail for want of it.
    fn allocate(&self, at: u64, length: u64) -> io::Result<()>;

    /// Gives room back; it reads as zeros.
    fn discard(&self, at: u64, length: u64) -> io::Result<()>;

    /// Whether a restart would find it: nobody has removed it, or put another in its place.
    fn is_in_place(&self) -> bool {
        true
    }
}

/// A file of a file system, of mode 0600, that no other process has.
#[derive(Debug)]
pub(super) struct RealFile {
    path: PathBuf,
    file: File,
}

impl RealFile {
    /// Opens a file, or makes it. It is locked as long as it is open.
    pub(super) fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        file.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                io::Error::new(io::ErrorKind::ResourceBusy, "another process has it open")
            }
            std::fs::TryLockError::Error(error) => error,
        })?;
        let file = Self {
            path: path.to_owned(),
            file,
        };
        file.grow(size)?;
        Ok(file)
    }

    /// Opens a file that is only read. It may be open elsewhere.
    pub(super) fn open_to_read(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: File::open(path)?,
        })
    }
}

impl Disk for RealFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn grow(&self, size: u64) -> io::Result<()> {
        if self.file.metadata()?.len() < size {
            self.file.set_len(size)?;
        }
        Ok(())
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        let (mut at, mut rest) = (at, buffer);
        while !rest.is_empty() {
            match self.file.read_at(rest, at) {
                Ok(0) => {
                    rest.fill(0);
                    break;
                }
                Ok(read) => {
                    at += read as u64;
                    rest = rest.split_at_mut(read).1;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_at_hand(&self, at: u64, buffer: &mut [u8]) -> bool {
        let wanted = buffer.len();
        let mut parts = [io::IoSliceMut::new(buffer)];
        let read = rustix::io::preadv2(&self.file, &mut parts, at, ReadWriteFlags::NOWAIT);
        read.is_ok_and(|read| read == wanted)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn allocate(&self, at: u64, length: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, at, length) {
            // Such a file system tells at the write.
            Err(Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    fn is_in_place(&self) -> bool {
        let (Ok(here), Ok(there)) = (self.file.metadata(), std::fs::metadata(&self.path)) else {
            return false;
        };
        (here.dev(), here.ino()) == (there.dev(), there.ino())
    }

    fn discard(&self, at: u64, length: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::fs::fallocate(&self.file, flags, at, length) {
            Err(Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }
}
