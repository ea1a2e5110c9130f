//! What a configuration may ask for that is not served here and that nobody should believe to be there: the start is
//! refused, instead of running without it.

use super::parser::Statement;
use super::table::Section;

const TLS: &str =
    "this server has no TLS: clients would send in the clear what the file wants encrypted";

/// Why a whole section refuses the start.
pub(crate) fn section(name: &str) -> Option<&'static str> {
    (name == "security").then_some(
        "this server has no users and logins: everybody who reaches it could do everything",
    )
}

/// Why a setting with this value refuses the start.
pub(crate) fn setting(section: Section, name: &str, value: &str) -> Option<&'static str> {
    match (section, name) {
        (Section::Network, "tls") => Some(TLS),
        (
            Section::Network,
            "service.tls-port" | "admin.tls-port" | "heartbeat.tls-port" | "fabric.tls-port",
        ) => (value != "0").then_some(TLS),
        (Section::Namespace, "strong-consistency") => (value == "true").then_some(
            "this server has no strong consistency: a split of the cluster can undo writes",
        ),
        _ => None,
    }
}

/// Why a storage engine of this kind refuses the start, and the statement that says so: who asks for records that are kept
/// does not get some that are not.
pub(crate) fn unkept<'s>(
    engine: &'s Statement,
    kind: &str,
) -> Option<(&'s Statement, &'static str)> {
    let inside = |key: &str| engine.block.iter().flatten().find(|inner| inner.key == key);
    if inside("file").is_some() {
        return None;
    }
    if kind != "memory" {
        return Some((
            engine,
            "records would not be kept: this server keeps them in a file, and none is named (`file PATH` and `filesize SIZE`)",
        ));
    }
    let commits = inside("commit-to-device")?;
    let is_asked_for = commits.words.first().is_none_or(|word| word == "true");
    is_asked_for.then_some((
        commits,
        "nothing would be synced: no `file` is named that records are kept in",
    ))
}
