//! The administration shell: a line → a command → questions to nodes → sheets → text.

pub mod clock;
pub mod cluster;
pub mod command;
pub mod document;
pub mod exit;
pub mod manage;
pub mod options;
pub mod output;
pub mod parse;
pub mod program;
pub mod render;
pub mod session;
pub mod sheet;
pub mod shell;
pub mod view;
