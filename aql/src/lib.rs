//! `aql`: records, modules and indexes of a cluster in statements.
//!
//! ```text
//! options, config ─→ program ─→ run (session: what each statement sends) ─→ show (the four modes)
//!                                 └─ language (lexer, parser, statements: pure)
//! ```

mod config;
pub mod help;
pub mod language;
mod options;
pub mod program;
pub mod run;
pub mod settings;
mod shell;
pub mod show;
