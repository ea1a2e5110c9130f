//! Queries that run or ran.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::{Fields, text};
use crate::query::jobs::{Job, JobKind};

/// Longest id, characters.
const MAX_ID: usize = 24;

/// The id of a job: `id=` or, as older clients write, `trid=`.
fn id(call: &Call<'_>) -> Result<Option<u64>, InfoError> {
    let Some(id) = call.params.get("id").or_else(|| call.params.get("trid")) else {
        return Ok(None);
    };
    match id.len() {
        0 => return Err(InfoError::parameter("missing 'id' value")),
        1..=MAX_ID => {}
        _ => return Err(InfoError::parameter("'id' value too long")),
    }
    match number(id) {
        Some(id) if id != 0 => Ok(Some(id)),
        _ => Err(InfoError::parameter("bad id")),
    }
}

/// A number as C reads it: decimal, `0x` hexadecimal, octal behind a zero; a minus wraps.
fn number(text: &str) -> Option<u64> {
    let (digits, is_negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let lower = digits.to_ascii_lowercase();
    let number = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(digits), _) => u64::from_str_radix(digits, 16),
        (None, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8),
        _ => lower.parse(),
    };
    let number = number.ok()?;
    Some(if is_negative {
        number.wrapping_neg()
    } else {
        number
    })
}

/// `query-show[:id=N]`
pub(super) fn show(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    match id(call)? {
        None => {
            let mut jobs = Fields::new(out, ';');
            for job in call.node.jobs.all() {
                let mut row = BytesMut::new();
                write(&job, &mut row);
                jobs.item(String::from_utf8_lossy(&row));
            }
        }
        Some(id) => match call.node.jobs.find(id) {
            Some(job) => write(&job, out),
            None => return Err(InfoError::new(ResultCode::NOT_FOUND, "job not found")),
        },
    }
    Ok(())
}

/// `query-abort:id=N`
pub(super) fn abort(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    match id(call)? {
        None => Err(InfoError::parameter("missing 'id'")),
        Some(id) if call.node.jobs.abort(id) => {
            text(out, "ok");
            Ok(())
        }
        Some(_) => Err(InfoError::new(ResultCode::NOT_FOUND, "id not active")),
    }
}

/// `query-abort-all`
pub(super) fn abort_all(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    text(
        out,
        format_args!("number-of-queries-killed:{}", call.node.jobs.abort_all()),
    );
    Ok(())
}

/// A name that a client chose, without what separates fields and rows here.
fn shown(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            ':' | ';' => '+',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

fn write(job: &Job, out: &mut BytesMut) {
    let (spec, counts) = (&job.spec, &job.counts);
    let mut fields = Fields::new(out, ':');
    fields.put("trid", job.id);
    fields.put("ns", &spec.namespace);
    if let Some(set) = &spec.set {
        fields.put("set", shown(set));
    }
    if let Some(index) = &spec.index {
        fields.put("sindex-name", shown(index));
    }
    if let Some((whole, resumed)) = spec.requested {
        fields.put("n-pids-requested", whole);
        fields.put("n-keyds-requested", resumed);
    }
    fields.put("rps", spec.records_per_second);
    fields.put("active-threads", job.threads.load(Ordering::Relaxed));
    let end = job.end();
    let status = end.map_or("active(ok)", |(_, how)| how.text());
    fields.put("status", status);
    fields.put("job-progress", format_args!("{:.2}", job.progress()));
    fields.put("run-time", job.run_time().as_millis());
    fields.put(
        "time-since-done",
        end.map_or(0, |(since, _)| since.as_millis()),
    );
    fields.put("recs-throttled", counts.throttled.get());
    fields.put("recs-filtered-meta", counts.filtered_meta.get());
    fields.put("recs-filtered-bins", counts.filtered_bins.get());
    fields.put("recs-succeeded", counts.succeeded.get());
    fields.put("recs-failed", counts.failed.get());
    let from = spec.from.map(|from| from.to_string().replace(':', "+"));
    fields.put("from", from.unwrap_or_default());
    let kind = match spec.kind {
        JobKind::Basic => "basic",
        JobKind::Aggregation => "aggregation",
        JobKind::BackgroundUdf { .. } => "background-udf",
        JobKind::BackgroundOperations => "background-ops",
    };
    fields.put("job-type", kind);
    fields.put("net-io-bytes", counts.reply_bytes.get());
    if matches!(spec.kind, JobKind::Basic | JobKind::Aggregation) {
        fields.put("net-io-time", counts.reply_us.get() / 1000);
    }
    fields.put("socket-timeout", spec.socket_timeout_ms);
    let active = job.active.load(Ordering::Relaxed);
    match &spec.kind {
        JobKind::BackgroundUdf { module, function } => {
            fields.put("udf-filename", shown(module));
            fields.put("udf-function", shown(function));
            fields.put("udf-active", active);
        }
        JobKind::BackgroundOperations => fields.put("ops-active", active),
        JobKind::Basic | JobKind::Aggregation => {}
    }
    // Behind what the reference knows, which says that all is well.
    if spec.kind.is_background() && counts.failed.get() > 0 {
        fields.put("state", "records-failed");
    }
    if let Some(error) = job.last_error() {
        fields.put("last-error", shown(&error));
    }
}
