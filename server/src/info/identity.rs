//! What the node is: its name, its build, what it can do.

use std::env::consts;

use bytes::BytesMut;
use protocol::info::InfoError;

use super::fields::{Fields, text};
use super::{Call, find, table};

/// The release of the reference whose behaviour this server has; clients decide by it what they may send.
pub(crate) const BUILD: &str = "8.1.2.0";
const EDITION: &str = "Aerospike Community Edition";
/// Number that nodes of one cluster compare.
pub(super) const COMPATIBILITY_ID: u32 = 15;

/// What clients look for before they use a feature.
const FEATURES: &str = "batch-any;batch-index;blob-bits;cdt-index;cdt-list;cdt-map;cluster-stable;float;geo;sindex-exists;peers;pipelining;pquery;pscans;query-show;relaxed-sc;replicas;replicas-all;replicas-master;replicas-max;truncate-namespace;udf";

pub(super) fn node(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, call.node.id);
    Ok(())
}

pub(super) fn build(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, BUILD);
    Ok(())
}

pub(super) fn version(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, format_args!("{EDITION} build {BUILD}"));
    Ok(())
}

pub(super) fn edition(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, EDITION);
    Ok(())
}

pub(super) fn release(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let mut fields = Fields::new(out, ';');
    fields.put("edition", EDITION);
    fields.put("version", BUILD);
    fields.put("os", consts::OS);
    fields.put("arch", consts::ARCH);
    fields.put("sha", SOURCE);
    Ok(())
}

/// What stands for the hash of the source: this server's own version.
const SOURCE: &str = concat!("asd-", env!("CARGO_PKG_VERSION"));

pub(super) fn build_arch(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, consts::ARCH);
    Ok(())
}

pub(super) fn build_os(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, consts::OS);
    Ok(())
}

pub(super) fn build_sha(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, SOURCE);
    Ok(())
}

/// A value that there is none of: the hash of enterprise sources, the time of a reproducible build.
pub(super) fn nothing(_: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    Ok(())
}

pub(super) fn ok(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, "ok");
    Ok(())
}

pub(super) fn compatibility_id(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, COMPATIBILITY_ID);
    Ok(())
}

pub(super) fn features(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, FEATURES);
    Ok(())
}

pub(super) fn digests(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, "RIPEMD160");
    Ok(())
}

pub(super) fn partitions(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, crate::storage::engine::PARTITIONS);
    Ok(())
}

pub(super) fn connection(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(
        out,
        format_args!("admin={}", call.connection.session().is_admin()),
    );
    Ok(())
}

pub(super) fn best_practices(_: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(out, "failed_best_practices=none");
    Ok(())
}

pub(super) fn enterprise_only(_: &Call<'_>, _: &mut BytesMut) -> Result<(), InfoError> {
    Err(InfoError::enterprise_only())
}

/// `help` names all commands; `help/NAME` and `help:NAME` say what one does.
pub(super) fn help(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let name = String::from_utf8_lossy(call.params.text);
    if name.is_empty() {
        let mut names = Fields::new(out, ';');
        for command in table() {
            names.item(command.name);
        }
        return Ok(());
    }
    let row = find(&name).ok_or_else(InfoError::unrecognized_command)?;
    text(out, row.help);
    Ok(())
}
