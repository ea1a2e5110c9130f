//! The secret that the nodes of a cluster share, if they have one.

use std::fmt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 32;

/// A shorter secret can be guessed.
const FEWEST_BYTES: usize = 16;

/// The file of the secret is of no use.
#[derive(Debug, Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("cannot read the `cluster-secret-file` `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is too short.
    #[error("the secret in `{0}` has fewer than {FEWEST_BYTES} bytes")]
    Short(String),
}

/// A secret: what it tags can be told from what others send.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    /// A secret of at least 16 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < FEWEST_BYTES {
            return None;
        }
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The secret in a file, without white space around it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn load(path: &str) -> Result<Self, SecretError> {
        let bytes = std::fs::read(Path::new(path)).map_err(|source| SecretError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::new(bytes.trim_ascii()).ok_or_else(|| SecretError::Short(path.to_owned()))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            // With the lengths, parts cannot be read as others.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }

    /// The tag of these parts.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; TAG_BYTES] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Whether this is the tag of these parts; takes the same time whatever is wrong with it.
    #[must_use]
    pub fn is_tag(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.mac(parts).verify_slice(tag).is_ok()
    }
}
