//! Removing all records of a set or a namespace.

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::text;
use crate::record::TruncateError;

/// `truncate:namespace=NS;set=SET[;lut=NS]`
pub(super) fn truncate(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let namespace = namespace_name(call)?;
    let set = call
        .params
        .required_at_most("set", protocol::limits::MAX_SET_NAME)?;
    run(call, namespace, Some(set), out)
}

/// `truncate-namespace:namespace=NS[;lut=NS]`
pub(super) fn truncate_namespace(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let namespace = namespace_name(call)?;
    run(call, namespace, None, out)
}

/// `truncate-undo` and `truncate-namespace-undo`: truncated records are gone, so there is nothing left to undo. Answered
/// as by a server that has nothing truncated.
pub(super) fn undo(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    namespace_name(call)?;
    text(out, "ok");
    Ok(())
}

fn namespace_name<'a>(call: &Call<'a>) -> Result<&'a str, InfoError> {
    match call.namespace_name() {
        None => Err(InfoError::new(ResultCode::NAMESPACE, "missing 'namespace'")),
        Some("") => Err(InfoError::new(
            ResultCode::NAMESPACE,
            "missing 'namespace' value",
        )),
        Some(name) => Ok(name),
    }
}

fn run(
    call: &Call<'_>,
    namespace: &str,
    set: Option<&str>,
    out: &mut BytesMut,
) -> Result<(), InfoError> {
    let lut = match call.params.get("lut") {
        None => None,
        Some(lut) => Some(
            lut.parse::<u64>()
                .ok()
                .filter(|lut| *lut > 0)
                .ok_or_else(|| InfoError::parameter(format!("bad 'lut' value {lut}")))?,
        ),
    };
    // A namespace that is not on this node is no error: the command speaks for the whole cluster.
    if let Some(namespace) = call.node.namespace(namespace) {
        let swept = namespace.truncate(set, lut).map_err(|error| match error {
            TruncateError::Future => InfoError::parameter(error.to_string()),
        })?;
        tracing::info!(
            target: "truncate",
            "{{{}|{}}} truncated {} records",
            namespace.name(),
            set.unwrap_or("-"),
            swept.truncated
        );
    }
    text(out, "ok");
    Ok(())
}
