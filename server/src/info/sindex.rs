//! Secondary indexes: this server has none, and says so in the reference's words.

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::text;

/// `sindex-create`
pub(super) fn create(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    call.params.required("indexname")?;
    Err(InfoError::new(
        ResultCode::UNSUPPORTED_FEATURE,
        "secondary indexes are not supported by this server",
    ))
}

/// `sindex-delete`: there is no index of any name, and deleting what is not there is no error.
pub(super) fn delete(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.params.required("indexname")?;
    text(out, "ok");
    Ok(())
}

/// `sindex-exists`
pub(super) fn exists(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.params.required("indexname")?;
    text(out, "false");
    Ok(())
}

/// `sindex-list[:namespace=NS]`: nothing.
pub(super) fn list(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    list_of(call, call.namespace_name(), out);
    Ok(())
}

/// The reference answers an unknown namespace twice.
fn list_of(call: &Call<'_>, namespace: Option<&str>, out: &mut BytesMut) {
    if namespace.is_some_and(|name| call.node.namespace(name).is_none()) {
        let error = InfoError::namespace_not_found();
        text(out, format_args!("{error};{error}"));
    }
}

/// `sindex[/NS[/INDEX]]`: the older form of `sindex-list`, and with an index that of `sindex-stat`.
pub(super) fn by_path(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut path = call.params.path();
    let namespace = path.next();
    match (namespace.map(|name| call.node.namespace(name)), path.next()) {
        (Some(None), Some(_)) => Err(InfoError::namespace_not_found()),
        (Some(Some(_)), Some(_)) => Err(no_index()),
        _ => {
            list_of(call, namespace, out);
            Ok(())
        }
    }
}

fn no_index() -> InfoError {
    InfoError::new(ResultCode::SINDEX_NOT_FOUND, "no index")
}

/// `sindex-stat`
pub(super) fn stat(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    call.namespace()?;
    call.params.required("indexname")?;
    Err(no_index())
}
