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

/// `sindex-list[:namespace=NS]` and `sindex[/NS]`: nothing. The reference answers an unknown namespace twice.
pub(super) fn list(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    if let Some(name) = call.namespace_name()
        && call.node.namespace(name).is_none()
    {
        let error = InfoError::namespace_not_found();
        text(out, format_args!("{error};{error}"));
    }
    Ok(())
}

/// `sindex-stat`
pub(super) fn stat(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    call.namespace()?;
    call.params.required("indexname")?;
    Err(InfoError::new(ResultCode::SINDEX_NOT_FOUND, "no index"))
}
