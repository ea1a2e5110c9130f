//! Administration shell.

pub mod render;
pub mod sheet;
pub mod view;
