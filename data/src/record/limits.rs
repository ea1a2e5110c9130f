//! The limits that a version must keep to be stored.

use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;
use thiserror::Error;

use super::{FormError, Parts, StoredRecord};

/// Most bins of a record.
const MAX_BINS: usize = 32_767;

/// Why a version is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    /// Above `max-record-size`.
    #[error("the record has {size} bytes, {limit} is the limit (`max-record-size`)")]
    TooBig {
        /// Size of the refused version, see [`StoredRecord::size`].
        size: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Too many bins.
    #[error("the record has {0} bins, {MAX_BINS} is the limit")]
    TooManyBins(usize),
    /// A part of it is larger than records can say.
    #[error(transparent)]
    Form(#[from] FormError),
}

impl LimitError {
    /// The code with which a request is answered.
    #[must_use]
    pub fn result_code(self) -> ResultCode {
        match self {
            Self::TooBig { .. } | Self::Form(_) => ResultCode::RECORD_TOO_BIG,
            Self::TooManyBins(_) => ResultCode::BIN_NAME,
        }
    }
}

impl StoredRecord {
    /// Makes a version of its parts that may be stored where records have at most `max_size` bytes, and gives its size too.
    /// `before` is the version that it follows, `scratch` room to write in; its content is lost.
    ///
    /// # Errors
    /// It is above a limit.
    pub fn within<'b>(
        max_size: u64,
        before: Option<&Self>,
        parts: &Parts<'_>,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        scratch: &mut Vec<u8>,
    ) -> Result<(Self, u64), LimitError> {
        if bins.len() > MAX_BINS {
            return Err(LimitError::TooManyBins(bins.len()));
        }
        let (record, size) = Self::new_after(before, parts, bins, scratch)?;
        if size > max_size {
            let limit = max_size;
            return Err(LimitError::TooBig { size, limit });
        }
        Ok((record, size))
    }
}
