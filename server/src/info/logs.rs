//! The log's sinks and their levels.

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::{Fields, text};
use crate::log::{CONTEXTS, Level, Levels, context_position};

/// `logs`: `id:path` of each sink.
pub(super) fn logs(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    for (id, name) in call.node.log.names().enumerate() {
        fields.item(format_args!("{id}:{name}"));
    }
    Ok(())
}

fn levels<'a>(call: &Call<'a>, id: &str) -> Result<&'a Levels, InfoError> {
    id.parse()
        .ok()
        .and_then(|id| call.node.log.levels(id))
        .ok_or_else(|| InfoError::parameter("bad log id"))
}

/// `log/ID[/CONTEXT]` or `log:id=ID[;context=CONTEXT]`: the level of each context.
pub(super) fn log(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut path = call.params.path();
    let (id, context) = match call.params.get("id") {
        Some(id) => (Some(id), call.params.get("context")),
        None => (path.next(), path.next()),
    };
    let levels = levels(
        call,
        id.ok_or_else(|| InfoError::parameter("missing 'id'"))?,
    )?;
    let only = match context {
        None => None,
        Some(context) => {
            Some(context_position(context).ok_or_else(|| InfoError::parameter("bad log context"))?)
        }
    };
    let mut fields = Fields::new(out, ';');
    for (at, name) in CONTEXTS.iter().enumerate() {
        if only.is_none_or(|only| only == at) {
            fields.item(format_args!("{name}:{}", levels.get(at)));
        }
    }
    Ok(())
}

/// `log-set:id=ID;CONTEXT=LEVEL`, with `any` for all contexts.
pub(super) fn log_set(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let levels = levels(call, call.params.required("id")?)?;
    let mut changes = Vec::new();
    for (context, level) in call.params.pairs() {
        let context = String::from_utf8_lossy(context);
        if context == "id" {
            continue;
        }
        let level = Level::parse(&String::from_utf8_lossy(level))
            .ok_or_else(|| InfoError::parameter("bad log level"))?;
        let at = match &*context {
            "any" => None,
            name => Some(
                context_position(name).ok_or_else(|| InfoError::parameter("bad log context"))?,
            ),
        };
        changes.push((at, level));
    }
    if changes.is_empty() {
        return Err(InfoError::parameter("missing log context"));
    }
    for (at, level) in changes {
        match at {
            None => levels.set_all(level),
            Some(at) => levels.set(at, level),
        }
    }
    text(out, "ok");
    Ok(())
}
