//! Why a change of the modules was not acknowledged.

use thiserror::Error;

use super::registry::PutError;
use crate::catalogue::StoreError;

/// Why a change was not acknowledged.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// This node refuses it; nothing changed.
    #[error(transparent)]
    Put(#[from] PutError),
    /// Not every live node has said in time that it has the change; it is still being spread.
    #[error("not every live node has the change yet")]
    Timeout,
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Put(error.into())
    }
}
