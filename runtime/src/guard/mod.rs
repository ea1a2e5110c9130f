//! What replaces or surrounds Lua's own library, so that no script escapes its limits or changes what others see.

pub(crate) mod bounds;
pub(crate) mod elements;
pub(crate) mod globals;
pub mod pattern;
pub(crate) mod sealed;
pub(crate) mod sort;
pub(crate) mod strings;
pub(crate) mod tables;
