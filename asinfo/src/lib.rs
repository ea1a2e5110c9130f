//! What the command-line tools share about reaching a node: host lists, configuration files, connection options,
//! login; and how `asinfo` shows a value.
//!
//! `asadm` builds on this crate, never the other way round, so that `asinfo` stays a small program.

pub mod ask;
pub mod config;
pub mod hosts;
pub mod login;
pub mod options;
pub mod program;
pub mod prompt;
pub mod tls;
pub mod value;
