//! The person's side: what is typed on a terminal, and what may be shown on one.

pub mod held;
pub mod line;
pub mod prompt;
pub mod safe;
