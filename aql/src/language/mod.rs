//! The language of statements: lexer, parser, and what statements say. Pure: nothing is sent and nothing printed.

mod accounts;
mod call;
mod indexes;
pub mod lexer;
mod modify;
pub mod notation;
pub mod parse;
pub mod parser;
pub mod secret;
mod select;
mod settings;
pub mod statement;
pub mod value;
