//! Which context an event belongs to.

use tracing::Metadata;

use super::context_position;

/// Target of lines that a record UDF logs: context `udf`, and the message brings `(file:line) text` itself.
pub const SCRIPT_UDF: &str = "udf:script";

/// Target of lines that a stream UDF logs: context `aggr`, and likewise.
pub const SCRIPT_STREAM: &str = "aggr:script";

/// Context of an event.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventContext {
    /// Place in the table of contexts.
    pub(super) position: usize,
    /// The message brings its own position.
    pub(super) is_script: bool,
}

/// Modules of this crate, and the context of their events; the first that fits.
const MODULES: &[(&str, &str)] = &[
    ("server::modules", "udf"),
    ("server::contexts", "udf"),
    ("server::info", "info"),
    ("server::config", "config"),
    ("server::record", "namespace"),
    ("server::storage", "namespace"),
    ("server::transaction", "tsvc"),
    ("server::query", "tsvc"),
    ("server::dispatch", "tsvc"),
    ("server::cluster", "clustering"),
    ("server::net", "service"),
    ("server", "as"),
];

/// Finds the context of an event by its target, else by the module it comes from.
pub(super) fn of(metadata: &Metadata<'_>) -> EventContext {
    let target = metadata.target();
    let (name, is_script) = match target {
        SCRIPT_UDF => ("udf", true),
        SCRIPT_STREAM => ("aggr", true),
        _ => (target, false),
    };
    let position = context_position(name)
        .or_else(|| {
            MODULES
                .iter()
                .find(|(module, _)| target.starts_with(module))
                .and_then(|(_, context)| context_position(context))
        })
        // The first context, `misc`, takes what fits nowhere.
        .unwrap_or(0);
    EventContext {
        position,
        is_script,
    }
}
