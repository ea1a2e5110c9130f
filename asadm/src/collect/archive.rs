//! The folder of a collection, and its archive.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A folder that is made new, for its owner only: answers of nodes are nobody else's business.
pub(crate) struct Folder {
    path: PathBuf,
    /// Begins the name of every file.
    stamp: String,
}

impl Folder {
    /// In the folder for temporary files; `stamp` is `YYYYMMDD_HHMMSS`.
    pub(crate) fn create(parent: &Path, prefix: &str, stamp: &str) -> io::Result<Self> {
        let prefix = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}_"),
        };
        let path = parent.join(format!("{prefix}collect_info_{stamp}"));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self {
            path,
            stamp: stamp.to_owned(),
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of that kind, which is not there yet.
    pub(crate) fn write(&self, kind: &str, content: &[u8]) -> io::Result<()> {
        let path = self.path.join(format!("{}_{kind}", self.stamp));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(path)?.write_all(content)
    }

    /// Copies a file.
    pub(crate) fn copy(&self, kind: &str, from: &Path) -> io::Result<()> {
        self.write(kind, &fs::read(from)?)
    }

    /// Packs the folder into a file beside it.
    pub(crate) fn pack(&self) -> io::Result<PathBuf> {
        let name = self.path.file_name().unwrap_or_default();
        let target = self.path.with_extension("tgz");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let file: File = options.open(&target)?;
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        archive.append_dir_all(name, &self.path)?;
        archive.into_inner()?.finish()?.sync_all()?;
        Ok(target)
    }
}
