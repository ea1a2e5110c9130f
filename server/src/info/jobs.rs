//! Query jobs: none run on this server, so every id is unknown.

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::text;

/// The id of a job: `id=` or, as older clients write, `trid=`.
fn id(call: &Call<'_>) -> Result<Option<u64>, InfoError> {
    call.params
        .get("id")
        .or_else(|| call.params.get("trid"))
        .map(|id| id.parse().map_err(|_| InfoError::parameter("bad id")))
        .transpose()
}

/// `query-show[:id=N]`
pub(super) fn show(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    match id(call)? {
        None => Ok(()),
        Some(_) => Err(InfoError::new(ResultCode::NOT_FOUND, "job not found")),
    }
}

/// `query-abort:id=N`
pub(super) fn abort(call: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    match id(call)? {
        None => Err(InfoError::parameter("missing 'id'")),
        Some(_) => Err(InfoError::new(ResultCode::NOT_FOUND, "id not active")),
    }
}

/// `query-abort-all`
pub(super) fn abort_all(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, "number-of-queries-killed:0");
    Ok(())
}
