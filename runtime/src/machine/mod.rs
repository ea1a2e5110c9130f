//! One Lua state: made, loaded, called, closed; its memory, its time, and the frame through which native functions see it.

pub(crate) mod arena;
pub mod budget;
pub(crate) mod collate;
pub mod common;
pub(crate) mod compile;
pub(crate) mod finalizers;
pub(crate) mod frame;
pub(crate) mod memory;
pub(crate) mod object;
pub(crate) mod pace;
pub(crate) mod protect;
pub mod shared;
pub(crate) mod state;
