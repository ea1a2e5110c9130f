//! Queries: what goes through the records of a namespace, for a reply or in the background.

pub(crate) mod aggregate;
pub(crate) mod background;
pub(crate) mod basic;
mod by_index;
mod found;
pub(crate) mod job;
pub mod jobs;
pub(crate) mod lookup;
mod pace;
mod starts;
mod turn;

use std::sync::Arc;

use crate::transaction::Services;
use jobs::Jobs;

/// What queries need from the node that they run on, besides what all commands need.
pub trait QueryServices: Services {
    /// The queries that run or ran.
    fn jobs(&self) -> &Arc<Jobs>;

    /// Queries that may run at a time (`query-threads-limit`), and those that ended and are still listed
    /// (`query-max-done`).
    fn query_limits(&self) -> (usize, usize);
}
