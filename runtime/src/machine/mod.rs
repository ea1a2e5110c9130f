//! What native functions see of a Lua state: its frame, values, memory and time.

pub(crate) mod arena;
pub mod budget;
pub(crate) mod collate;
pub mod common;
pub(crate) mod compile;
pub(crate) mod encode;
pub(crate) mod finalizers;
pub(crate) mod frame;
pub(crate) mod iteration;
pub(crate) mod memory;
pub(crate) mod object;
pub(crate) mod observe;
pub(crate) mod pace;
pub(crate) mod pages;
pub(crate) mod place;
pub(crate) mod protect;
pub(crate) mod record_call;
pub mod shared;
pub(crate) mod value;
pub(crate) mod weak;
