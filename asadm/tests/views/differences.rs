//! Cases in which this tool differs on purpose.

/// Case and reason. All of them are recorded as defects of the reference.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    (
        "info-network-with",
        "nodes that `with` did not choose have no rows",
    ),
    (
        "with-info-network",
        "nodes that `with` did not choose have no rows",
    ),
    (
        "fault-down-namespace",
        "a node that is down has no row of errors under a namespace `~~`",
    ),
    (
        "info-with",
        "`info with NODE` chooses nodes, as its help says",
    ),
    ("show-jobs-queries-where-word", "`where` filters"),
    (
        "show-stop-writes-with",
        "nodes that `with` did not choose have no rows",
    ),
    (
        "fault-udf-list",
        "the server's reason is told instead of a trace",
    ),
];
