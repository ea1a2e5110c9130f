//! Administration shell.
