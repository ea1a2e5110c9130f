//! The info commands on modules: `udf-put`, `udf-get`, `udf-list`, `udf-remove`, `udf-clear-cache`, `udf-stats`,
//! `udf-status`.
//!
//! Each writes its answer, without the command and without a line end. Checks and answers stand in the order of the real
//! server's (`tests/golden/info.jsonl`). `udf-put`, `udf-remove` and `udf-status` block.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};
use protocol::bounds::Within as _;
use protocol::info::{Command, InfoError, Params};
use runtime::module::compile_failure::CompileFailure;

use super::{Call, ConnectionState, udf_status as status_text};
use crate::catalogue::StoreError;
use crate::contexts::commands::ModuleCommands;
use crate::modules::changes::ChangeError;
use crate::modules::content::MAX_SOURCE;
use crate::modules::names::{self, MAX_FILE_NAME};
use crate::modules::patience;
use crate::modules::registry::PutError;
use crate::node::Node;

/// Longest `content-len`, characters.
const MAX_CONTENT_LEN: usize = 10;

const INVALID_FILE_NAME: &str = "error=invalid_filename";
const INVALID_CONTENT_LEN: &str = "error=invalid_content_len";
const TIMEOUT: &str = "error=timeout";
const OK: &str = "ok";

pub(super) fn put(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let begin = out.len();
    udf_put(&*call.node.modules, &call.params, out);
    tell(call, "udf-put", out.within(begin..));
    Ok(())
}

pub(super) fn get(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    udf_get(&*call.node.modules, &call.params, out);
    Ok(())
}

pub(super) fn list(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    udf_list(&*call.node.modules, &call.params, out);
    Ok(())
}

pub(super) fn remove(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let begin = out.len();
    udf_remove(&*call.node.modules, &call.params, out);
    tell(call, "udf-remove", out.within(begin..));
    Ok(())
}

pub(super) fn clear_cache(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    udf_clear_cache(&*call.node.modules, &call.params, out);
    Ok(())
}

pub(super) fn stats(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    udf_stats(&*call.node.modules, &call.params, out);
    Ok(())
}

pub(super) fn status(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    udf_status(&*call.node.modules, &call.params, out);
    Ok(())
}

/// The module that a command names, and how lines of the log show it. Empty where none is named, which is refused.
fn file_name<'p>(params: &Params<'p>) -> (&'p [u8], String) {
    let name = params.bytes("filename").unwrap_or_default();
    let shown = String::from_utf8_lossy(name).escape_debug().to_string();
    (name, shown)
}

/// One line for a change of the modules, or for one that was refused.
fn tell(call: &Call<'_>, command: &str, answer: &[u8]) {
    if patience::has_run_out() {
        // It is tried once more.
        return;
    }
    let (name, shown) = file_name(&call.params);
    let (node, peer) = (call.node.id, call.connection.peer());
    if answer == OK.as_bytes() {
        let modules = call.node.modules.modules();
        let hash = modules.of_file(name).map_or("-", |module| module.hash());
        let done = match command {
            "udf-put" => "registered",
            _ => "removed",
        };
        tracing::info!(target: "udf", "{command}: module `{shown}` {done}: node={node} peer={peer} hash={hash}");
        return;
    }
    tracing::warn!(
        target: "udf",
        "{command}: module `{shown}` refused: node={node} peer={peer}: {}",
        readable(answer)
    );
}

/// A change that goes on, but took longer than anybody waits.
pub(super) fn late(
    node: &Node,
    connection: &ConnectionState,
    command: &Command<'_>,
    out: &mut BytesMut,
) {
    let (_, shown) = file_name(&command.params);
    tracing::warn!(
        target: "udf",
        "{}: module `{shown}` is still being stored here: node={} peer={}",
        command.name,
        node.id,
        connection.peer()
    );
    out.put_slice(TIMEOUT.as_bytes());
}

/// A refusal with its message in words.
fn readable(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    let Some((before, encoded)) = text.split_once(";message=") else {
        return text.into_owned();
    };
    match STANDARD.decode(encoded) {
        Ok(message) => format!("{before}: {}", String::from_utf8_lossy(&message)),
        Err(_) => text.into_owned(),
    }
}

/// `udf-put:filename=F;content=B64;content-len=N;udf-type=LUA`: `ok`, or `error=…` and nothing changed.
///
/// Beyond the errors of the real server: `error=file_exists` when a file that the server did not write is in the
/// way, and `error=not_stored` when the registry cannot be written; both with a `message` like `compile_error`.
pub fn udf_put(modules: &dyn ModuleCommands, params: &Params<'_>, out: &mut BytesMut) {
    if let Err(refusal) = register(modules, params) {
        match refusal {
            Refusal::Text(text) => out.put_slice(text.as_bytes()),
            Refusal::Explained(error, failure) => explain(error, &failure, out),
        }
        return;
    }
    out.put_slice(OK.as_bytes());
}

enum Refusal {
    Text(&'static str),
    Explained(&'static str, CompileFailure),
}

impl From<&'static str> for Refusal {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

fn register(modules: &dyn ModuleCommands, params: &Params<'_>) -> Result<(), Refusal> {
    let unsafe_lua = modules.allows_unsafe();
    let file_name = params
        .bytes("filename")
        .filter(|name| names::may_be_registered(name, unsafe_lua))
        .ok_or(INVALID_FILE_NAME)?;
    let content_len = params
        .bytes("content-len")
        .filter(|text| text.len() <= MAX_CONTENT_LEN)
        .ok_or(INVALID_CONTENT_LEN)?;
    if params.bytes("udf-type").is_some_and(|kind| kind != b"LUA") {
        return Err("error=invalid_udf_type".into());
    }
    let content_len = parse_length(content_len).ok_or(INVALID_CONTENT_LEN)?;
    let content = params
        .bytes("content")
        .filter(|content| content.len() == content_len)
        .ok_or("error=invalid_content")?;
    if content_len / 4 * 3 >= MAX_SOURCE {
        return Err("error=invalid_udf_content_len,>1M".into());
    }
    let content64 = std::str::from_utf8(content).map_err(|_| "error=invalid_base64_content")?;
    let Ok(file_name) = std::str::from_utf8(file_name) else {
        return Err("error=json_error".into());
    };
    modules
        .put(file_name, content64)
        .map_err(|error| match error {
            ChangeError::Put(PutError::Name) => INVALID_FILE_NAME.into(),
            ChangeError::Put(PutError::Base64) => "error=invalid_base64_content".into(),
            ChangeError::Put(PutError::Compile(failure)) => {
                Refusal::Explained("compile_error", failure)
            }
            ChangeError::Put(PutError::Store(error)) => refused_by_store(file_name, &error),
            ChangeError::Timeout => TIMEOUT.into(),
        })
}

fn refused_by_store(file_name: &str, error: &StoreError) -> Refusal {
    let kind = match error {
        StoreError::ForeignFile { .. } => "file_exists",
        StoreError::Io { .. }
        | StoreError::InUse { .. }
        | StoreError::Damaged { .. }
        | StoreError::TooMany { .. }
        | StoreError::TooLarge { .. }
        | StoreError::Unsettled
        | StoreError::Item { .. } => {
            tracing::error!(target: "udf", "`{file_name}` was not registered: {error}");
            "not_stored"
        }
    };
    Refusal::Explained(
        kind,
        CompileFailure {
            file: file_name.as_bytes().to_vec(),
            line: 0,
            message: error.to_string().into_bytes(),
        },
    )
}

/// Decimal digits with at most one suffix `k`, `m` or `g`; below 2^32 and a multiple of 4. No digits are 0.
fn parse_length(text: &[u8]) -> Option<usize> {
    let (digits, shift) = match text.split_last() {
        Some((b'k' | b'K', digits)) => (digits, 10),
        Some((b'm' | b'M', digits)) => (digits, 20),
        Some((b'g' | b'G', digits)) => (digits, 30),
        _ => (text, 0),
    };
    let number = digits.iter().try_fold(0_u64, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })?;
    let length = u32::try_from(number << shift).ok()?;
    (length % 4 == 0).then_some(length as usize)
}

/// `udf-get:filename=F`: `type=LUA;content=B64;`.
pub fn udf_get(modules: &dyn ModuleCommands, params: &Params<'_>, out: &mut BytesMut) {
    let Some(file_name) = named(params) else {
        out.put_slice(INVALID_FILE_NAME.as_bytes());
        return;
    };
    match modules.modules().of_file(file_name) {
        Some(module) => {
            out.put_slice(b"type=LUA;content=");
            out.put_slice(module.encoded().as_bytes());
            out.put_slice(b";");
        }
        None => out.put_slice(b"error=not_found"),
    }
}

/// `udf-list`: for each module `filename=F,hash=H,type=LUA;`, in the order of first registration.
pub fn udf_list(modules: &dyn ModuleCommands, _params: &Params<'_>, out: &mut BytesMut) {
    for module in modules.modules().in_order() {
        out.put_slice(b"filename=");
        out.put_slice(module.file_name().as_bytes());
        out.put_slice(b",hash=");
        out.put_slice(module.hash().as_bytes());
        out.put_slice(b",type=LUA;");
    }
}

/// `udf-remove:filename=F`: `ok`, also when there is no such module.
pub fn udf_remove(modules: &dyn ModuleCommands, params: &Params<'_>, out: &mut BytesMut) {
    let Some(file_name) = asked_for(params) else {
        out.put_slice(INVALID_FILE_NAME.as_bytes());
        return;
    };
    // A name that is not UTF-8 was never registered.
    let Ok(file_name) = std::str::from_utf8(file_name) else {
        out.put_slice(OK.as_bytes());
        return;
    };
    match modules.remove(file_name) {
        Ok(()) => out.put_slice(OK.as_bytes()),
        Err(ChangeError::Timeout) => out.put_slice(TIMEOUT.as_bytes()),
        Err(error) => {
            tracing::error!(target: "udf", "`{file_name}` was not removed: {error}");
            let failure = CompileFailure {
                file: file_name.as_bytes().to_vec(),
                line: 0,
                message: error.to_string().into_bytes(),
            };
            explain("not_removed", &failure, out);
        }
    }
}

/// Writes `error=<error>;file=F;line=N;message=<base64>`.
fn explain(error: &str, failure: &CompileFailure, out: &mut BytesMut) {
    out.put_slice(b"error=");
    out.put_slice(error.as_bytes());
    out.put_slice(b";file=");
    out.put_slice(&failure.file);
    out.put_slice(format!(";line={};message=", failure.line).as_bytes());
    out.put_slice(STANDARD.encode(&failure.message).as_bytes());
}

/// A name to look up. One with a slash is the name of no module; nothing is opened by it, so it is no mistake to ask.
fn named<'p>(params: &Params<'p>) -> Option<&'p [u8]> {
    params.bytes("filename").filter(|name| {
        name.len() <= MAX_FILE_NAME && (names::stays_inside(name) || name.contains(&b'/'))
    })
}

fn asked_for<'p>(params: &Params<'p>) -> Option<&'p [u8]> {
    params
        .bytes("filename")
        .filter(|name| name.len() <= MAX_FILE_NAME && names::stays_inside(name))
}

/// `udf-clear-cache`: `ok`. Every context is built anew, in the background or by the call that needs it first.
pub fn udf_clear_cache(modules: &dyn ModuleCommands, _params: &Params<'_>, out: &mut BytesMut) {
    modules.clear_cache();
    out.put_slice(OK.as_bytes());
}

/// `udf-stats`, of this server only: for each module `filename=F:version=V:contexts-idle=N:…;`, in the order of
/// `udf-list`. With `filename=F` only that one.
pub fn udf_stats(modules: &dyn ModuleCommands, params: &Params<'_>, out: &mut BytesMut) {
    let only = params.bytes("filename");
    let memory = modules.totals().memory;
    for module in modules.counts() {
        if only.is_some_and(|name| name != module.file_name.as_bytes()) {
            continue;
        }
        out.put_slice(
            format!("filename={}:version={}", module.file_name, module.version).as_bytes(),
        );
        for (name, value) in module.counts.named() {
            out.put_slice(format!(":{name}={value}").as_bytes());
        }
        // Of all modules together.
        let held = format!(
            ":script-memory-held={}:script-memory-limit={}",
            memory.held, memory.limit
        );
        out.put_slice(held.as_bytes());
        out.put_slice(b";");
    }
}

/// `udf-status[:filename=F]`; see `status_text::write`.
pub fn udf_status(modules: &dyn ModuleCommands, params: &Params<'_>, out: &mut BytesMut) {
    status_text::write(&modules.status(), params.get("filename"), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_lengths_are_read_as_the_real_server_does() {
        for (text, length) in [
            ("", Some(0)),
            ("4", Some(4)),
            ("04", Some(4)),
            ("0000000004", Some(4)),
            ("1k", Some(1_024)),
            ("1M", Some(1 << 20)),
            ("2g", Some(1 << 31)),
            ("k", Some(0)),
            ("3", None),
            ("-4", None),
            ("+4", None),
            (" 4", None),
            ("0x4", None),
            ("4.0", None),
            ("4x", None),
            ("4kk", None),
            ("k4", None),
            ("4294967300", None),
            ("9999999999", None),
            ("999999999g", None),
        ] {
            assert_eq!(parse_length(text.as_bytes()), length, "{text:?}");
        }
    }
}
