//! Which counter a finished command raises.

use protocol::result_code::ResultCode;

use std::time::Duration;

use super::request::Origin;
use crate::record::Namespace;
use crate::stats::{BusyCounter, Counter, Histogram, NamespaceLatency, NamespaceStats};

/// What a command was, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandKind {
    Read,
    Write,
    Delete,
    Function,
}

/// What a record UDF that succeeded has done, or that Lua failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Read,
    Write,
    Delete,
    Failed,
}

macro_rules! family {
    ($stats:expr, $success:ident, $error:ident, $timeout:ident, $filtered:ident $(, $not_found:ident)?) => {
        Family {
            success: &$stats.$success,
            error: &$stats.$error,
            timeout: &$stats.$timeout,
            filtered_out: &$stats.$filtered,
            not_found: family!(@optional $stats $(, $not_found)?),
        }
    };
    (@optional $stats:expr) => { None };
    (@optional $stats:expr, $not_found:ident) => { Some(&$stats.$not_found) };
}

/// The counters of one kind of command.
struct Family<'a> {
    success: &'a BusyCounter,
    error: &'a Counter,
    timeout: &'a Counter,
    filtered_out: &'a Counter,
    not_found: Option<&'a BusyCounter>,
}

#[rustfmt::skip]
fn family(stats: &NamespaceStats, origin: Origin, kind: CommandKind) -> Family<'_> {
    use {CommandKind::{Delete, Function, Read, Write}, Origin::{Background, Batch, Client}};
    match (origin, kind) {
        (Client, Read) => family!(stats, client_read_success, client_read_error, client_read_timeout, client_read_filtered_out, client_read_not_found),
        (Client, Write) => family!(stats, client_write_success, client_write_error, client_write_timeout, client_write_filtered_out),
        (Client, Delete) => family!(stats, client_delete_success, client_delete_error, client_delete_timeout, client_delete_filtered_out, client_delete_not_found),
        (Client, Function) => family!(stats, client_udf_complete, client_udf_error, client_udf_timeout, client_udf_filtered_out),
        (Batch, Read) => family!(stats, batch_sub_read_success, batch_sub_read_error, batch_sub_read_timeout, batch_sub_read_filtered_out, batch_sub_read_not_found),
        (Batch, Write) => family!(stats, batch_sub_write_success, batch_sub_write_error, batch_sub_write_timeout, batch_sub_write_filtered_out),
        (Batch, Delete) => family!(stats, batch_sub_delete_success, batch_sub_delete_error, batch_sub_delete_timeout, batch_sub_delete_filtered_out, batch_sub_delete_not_found),
        (Batch, Function) => family!(stats, batch_sub_udf_complete, batch_sub_udf_error, batch_sub_udf_timeout, batch_sub_udf_filtered_out),
        (Background, Function) => family!(stats, udf_sub_udf_complete, udf_sub_udf_error, udf_sub_udf_timeout, udf_sub_udf_filtered_out),
        (Background, Read | Write | Delete) => family!(stats, ops_sub_write_success, ops_sub_write_error, ops_sub_write_timeout, ops_sub_write_filtered_out),
    }
}

/// The histogram of a command; those of background queries are not kept.
fn histogram(latency: &NamespaceLatency, origin: Origin, kind: CommandKind) -> Option<&Histogram> {
    Some(match (origin, kind) {
        (Origin::Client, CommandKind::Read) => &latency.read,
        (Origin::Client, CommandKind::Write | CommandKind::Delete) => &latency.write,
        (Origin::Client, CommandKind::Function) => &latency.udf,
        (Origin::Batch, CommandKind::Read) => &latency.batch_sub_read,
        (Origin::Batch, CommandKind::Write | CommandKind::Delete) => &latency.batch_sub_write,
        (Origin::Batch, CommandKind::Function) => &latency.batch_sub_udf,
        (Origin::Background, _) => return None,
    })
}

/// Counts how a command ended, and after what time.
pub(crate) fn finished(
    namespace: &Namespace,
    origin: Origin,
    kind: CommandKind,
    result: ResultCode,
    took: Duration,
) {
    if let Some(histogram) = histogram(&namespace.latency, origin, kind) {
        histogram.record(took);
    }
    let stats = &namespace.stats;
    let family = family(stats, origin, kind);
    match (result, family.not_found) {
        (ResultCode::OK, _) => family.success.inc(),
        (ResultCode::TIMEOUT, _) => family.timeout.inc(),
        (ResultCode::FILTERED_OUT, _) => family.filtered_out.inc(),
        (ResultCode::NOT_FOUND, Some(not_found)) => not_found.inc(),
        _ => family.error.inc(),
    }
    match result {
        ResultCode::GENERATION => stats.fail_generation.inc(),
        ResultCode::KEY_BUSY => stats.fail_key_busy.inc(),
        ResultCode::RECORD_TOO_BIG => stats.fail_record_too_big.inc(),
        _ => {}
    }
}

/// Counts what a record UDF did.
pub(crate) fn ran(stats: &NamespaceStats, origin: Origin, ran: Ran) {
    let counter = match (origin, ran) {
        (Origin::Client, Ran::Read) => &stats.client_lang_read_success,
        (Origin::Client, Ran::Write) => &stats.client_lang_write_success,
        (Origin::Client, Ran::Delete) => &stats.client_lang_delete_success,
        (Origin::Client, Ran::Failed) => return stats.client_lang_error.inc(),
        (Origin::Batch, Ran::Read) => &stats.batch_sub_lang_read_success,
        (Origin::Batch, Ran::Write) => &stats.batch_sub_lang_write_success,
        (Origin::Batch, Ran::Delete) => &stats.batch_sub_lang_delete_success,
        (Origin::Batch, Ran::Failed) => return stats.batch_sub_lang_error.inc(),
        (Origin::Background, Ran::Read) => &stats.udf_sub_lang_read_success,
        (Origin::Background, Ran::Write) => &stats.udf_sub_lang_write_success,
        (Origin::Background, Ran::Delete) => &stats.udf_sub_lang_delete_success,
        (Origin::Background, Ran::Failed) => return stats.udf_sub_lang_error.inc(),
    };
    counter.inc();
}
