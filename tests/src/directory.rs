//! A directory for one figure.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A directory below that of temporary files. It goes with the figure.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one for this program.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(program: &str) -> Result<Self> {
        let name = format!("asd-{program}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // What an earlier figure left.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(Error::io("make a directory"))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
