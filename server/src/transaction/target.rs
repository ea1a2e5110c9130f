use std::sync::Arc;

use protocol::key::Digest;

use crate::record::Namespace;

/// Where a command runs: its record and what surrounds it.
pub(crate) struct Target<'t, S> {
    pub(crate) services: &'t S,
    pub(crate) namespace: &'t Arc<Namespace>,
    pub(crate) digest: &'t Digest,
}

// Derived, these would ask the same of the services.
impl<S> Clone for Target<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Target<'_, S> {}
