//! Records and what is done to them, as pure functions over bytes: no clock (time is an argument), no lock, no I/O.

pub mod operation;
pub mod work;
