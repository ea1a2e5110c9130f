//! The person's side: what is typed on a terminal.

pub mod line;
pub mod prompt;
