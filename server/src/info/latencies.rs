//! `latencies:`: how long work took in the last slice of `ticker-interval` seconds.

use bytes::BytesMut;
use protocol::info::InfoError;

use super::Call;
use super::fields::Fields;
use crate::record::Namespace;
use crate::stats::Scale;

/// Histograms of the stages of work, which this server does not keep: their names with empty values.
const STAGES: &[(&str, &[&str])] = &[
    (
        "read",
        &[
            "start",
            "restart",
            "dup-res",
            "repl-ping",
            "local",
            "response",
        ],
    ),
    (
        "write",
        &[
            "start",
            "restart",
            "dup-res",
            "master",
            "repl-write",
            "response",
        ],
    ),
    (
        "udf",
        &[
            "start",
            "restart",
            "dup-res",
            "master",
            "repl-write",
            "response",
        ],
    ),
    (
        "udf-sub",
        &[
            "start",
            "restart",
            "dup-res",
            "master",
            "repl-write",
            "response",
        ],
    ),
    (
        "ops-sub",
        &[
            "start",
            "restart",
            "dup-res",
            "master",
            "repl-write",
            "response",
        ],
    ),
    (
        "batch-sub",
        &[
            "prestart",
            "start",
            "restart",
            "dup-res",
            "repl-ping",
            "read-local",
            "write-master",
            "udf-master",
            "repl-write",
            "response",
        ],
    ),
];

/// Channels and stages of messages between nodes, likewise.
const FABRIC_CHANNELS: &[&str] = &["bulk", "ctrl", "meta", "rw"];
const FABRIC_STAGES: &[&str] = &["send-init", "send-fragment", "recv-fragment", "recv-cb"];

pub(super) fn latencies(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let scale = if call.node.config.service.microsecond_histograms() {
        Scale::Microseconds
    } else {
        Scale::Milliseconds
    };
    let batch = || format!("batch-index:{}", call.node.stats.batch_latency.row(scale));
    let mut fields = Fields::new(out, ';');
    let Some(wanted) = call.params.get("hist") else {
        fields.item(batch());
        for namespace in &call.node.namespaces {
            for (kind, histogram) in namespace.latency.table() {
                fields.item(format_args!(
                    "{{{}}}-{kind}:{}",
                    namespace.name(),
                    histogram.row(scale)
                ));
            }
        }
        return Ok(());
    };
    match wanted {
        "batch-index" => fields.item(batch()),
        // Of info commands nothing is kept (`enable-hist-info`).
        "info" => fields.item("info:"),
        "benchmarks-fabric" => {
            for channel in FABRIC_CHANNELS {
                for stage in FABRIC_STAGES {
                    fields.item(format_args!("fabric-{channel}-{stage}:"));
                }
            }
        }
        wanted => {
            let (namespace, kind) = of_namespace(call, wanted).ok_or_else(bad_name)?;
            one(&mut fields, namespace, kind, scale)?;
        }
    }
    Ok(())
}

fn bad_name() -> InfoError {
    InfoError::parameter("bad hist name")
}

/// Splits `{ns}-kind`.
fn of_namespace<'a, 'w>(call: &Call<'a>, wanted: &'w str) -> Option<(&'a Namespace, &'w str)> {
    let (name, kind) = wanted.strip_prefix('{')?.split_once("}-")?;
    Some((call.node.namespace(name)?, kind))
}

fn one(
    fields: &mut Fields<'_>,
    namespace: &Namespace,
    kind: &str,
    scale: Scale,
) -> Result<(), InfoError> {
    let name = namespace.name();
    if let Some((_, histogram)) = namespace
        .latency
        .table()
        .iter()
        .find(|(known, _)| *known == kind)
    {
        fields.item(format_args!("{{{name}}}-{kind}:{}", histogram.row(scale)));
        return Ok(());
    }
    // Kept only by servers that hand requests to other nodes or repeat them.
    if matches!(kind, "proxy" | "re-repl") {
        fields.item(format_args!("{{{name}}}-{kind}:"));
        return Ok(());
    }
    let work = kind.strip_prefix("benchmarks-").ok_or_else(bad_name)?;
    let (_, stages) = STAGES
        .iter()
        .find(|(known, _)| *known == work)
        .ok_or_else(bad_name)?;
    for stage in *stages {
        fields.item(format_args!("{{{name}}}-{work}-{stage}:"));
    }
    Ok(())
}
