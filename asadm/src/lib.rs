//! The administration shell: a line → a command → a plan or a view → questions to nodes → events → text or JSON.

mod collect;
pub mod command;
pub mod manage;
pub mod options;
pub mod outcome;
pub mod parse;
pub mod plan;
pub mod program;
mod request;
pub mod session;
pub mod shell;
pub mod view;
