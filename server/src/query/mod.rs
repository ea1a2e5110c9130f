//! Queries: what goes through the records of a namespace, for a reply or in the background.

pub(crate) mod aggregate;
pub(crate) mod background;
pub(crate) mod basic;
pub(crate) mod job;
pub mod jobs;
