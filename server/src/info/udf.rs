//! Rows of the commands on modules; what they do stands in [`crate::modules::changes`].

use bytes::BytesMut;
use protocol::info::{InfoError, Params};

use super::Call;
use crate::contexts::factory::ContextFactory;
use crate::contexts::stats::UdfTotals;
use crate::modules::changes as info;
use crate::modules::service::Service;

/// The module registry as info commands see it: whatever builds its contexts.
pub trait ModuleCommands: Send + Sync {
    /// `udf-put`
    fn put(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-get`
    fn get(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-list`
    fn list(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-remove`
    fn remove(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-clear-cache`
    fn clear_cache(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-stats`
    fn stats(&self, params: &Params<'_>, out: &mut BytesMut);
    /// `udf-status`
    fn status(&self, params: &Params<'_>, out: &mut BytesMut);
    /// Numbers of all modules together, for `statistics`.
    fn totals(&self) -> UdfTotals;
}

impl<F: ContextFactory> ModuleCommands for Service<F> {
    fn put(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_put(self, self, params, out);
    }

    fn get(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_get(self, params, out);
    }

    fn list(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_list(self, params, out);
    }

    fn remove(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_remove(self, params, out);
    }

    fn clear_cache(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_clear_cache(self, params, out);
    }

    fn stats(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_stats(self, params, out);
    }

    fn status(&self, params: &Params<'_>, out: &mut BytesMut) {
        info::udf_status(self, params, out);
    }

    fn totals(&self) -> UdfTotals {
        Service::totals(self)
    }
}

pub(super) fn put(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.put(&call.params, out);
    Ok(())
}

pub(super) fn get(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.get(&call.params, out);
    Ok(())
}

pub(super) fn list(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.list(&call.params, out);
    Ok(())
}

pub(super) fn remove(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.remove(&call.params, out);
    Ok(())
}

pub(super) fn clear_cache(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.clear_cache(&call.params, out);
    Ok(())
}

pub(super) fn stats(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.stats(&call.params, out);
    Ok(())
}

pub(super) fn status(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    call.node.modules.status(&call.params, out);
    Ok(())
}
