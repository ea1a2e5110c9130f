//! Stream UDFs: their operators, and a run of one.

pub mod call;
pub(crate) mod run;
