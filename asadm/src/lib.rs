//! The administration shell: a line → a command → questions to nodes → sheets → text.

pub mod command;
pub mod manage;
pub mod options;
pub mod parse;
pub mod program;
pub mod session;
pub mod shell;
pub mod view;
