//! Finds what will fail in Lua modules for Aerospike, or is likely a mistake, without running them.
//!
//! ```text
//! check     modules in, report out
//!   compile   what the server's compiler refuses
//!   syntax    text → tree
//!   scope     what names mean
//!   model     what scripts find: Aerospike's functions, and Lua's as the sandbox leaves them
//!   infer     what values may be, and where control goes
//!   rules     what is looked for; the table of rules with their pages
//!   project   who requires whom
//!   allow     comments that let findings pass
//! report    for people, as JSON, SARIF, annotations of GitHub
//! fix       mends what can be mended
//! ```

mod allow;
pub mod check;
mod compile;
pub mod finding;
pub mod fix;
mod infer;
mod model;
mod project;
pub mod report;
mod rules;
mod scope;
mod syntax;

pub use check::{Settings, Source, check, check_module};
pub use finding::{Finding, Level};
pub use report::{Report, Style};
/// Stubs of what scripts find, as the text of a file for the Lua language server of editors.
#[must_use]
pub fn editor_stubs() -> String {
    model::editor_stubs()
}

pub use rules::table::{Rule, rule, rules as all_rules};
pub use syntax::tree::Span;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;
