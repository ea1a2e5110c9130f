//! `features`: what a cluster is used for, told from its counters and settings.

use super::filter::Filter;
use super::parameters::{FLIP, laid_out, namespace_config};
use super::read::{asked, name, namespaces, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};
use tools::sheet::{Convert, Dynamic, Field, NODE, Record, Sheet, Value, node};

/// `features`.
pub(super) const SHOW: View = View {
    path: &["features"],
    target: Target::Nodes,
    keywords: &["like", "with"],
    flags: &[FLIP],
    help: "Displays the features that are in use.",
    hidden: false,
    words: 0,
    requests,
    render: |answers, context| vec![render(answers, context).unwrap_or_else(|piece| piece)],
};

/// What tells that a feature is in use.
enum Sign {
    /// A counter of the service or a namespace with that name, or with a `*` at its end with that start, is not 0.
    Counter(&'static str),
    /// A setting has that value.
    Setting(&'static str, &'static str),
    /// A setting is there and is none of `0`, `none`, `false`, `null`, nothing.
    Set(&'static str),
}
use Sign::{Counter, Set, Setting};

/// Features in the order in which a summary names them.
const FEATURES: &[(&str, &[Sign])] = &[
    (
        "KVS",
        &[
            Counter("client_read_*"),
            Counter("client_write_*"),
            Counter("stat_read_reqs"),
            Counter("stat_write_reqs"),
        ],
    ),
    (
        "UDF",
        &[
            Counter("client_udf_complete"),
            Counter("client_udf_error"),
            Counter("udf_read_reqs"),
        ],
    ),
    (
        "Batch",
        &[
            Counter("batch_sub_*"),
            Counter("batch_initiate"),
            Counter("batch_index_initiate"),
        ],
    ),
    (
        "Scan",
        &[
            Counter("scan_basic_*"),
            Counter("scan_aggr_*"),
            Counter("scan_udf_bg_*"),
            Counter("scan_ops_bg_*"),
        ],
    ),
    ("SIndex", &[Counter("sindex-used-bytes-memory")]),
    (
        "Query",
        &[
            Counter("query_reqs"),
            Counter("query_success"),
            Counter("query_basic_*"),
        ],
    ),
    ("PIndex Query", &[Counter("pi_query_*")]),
    ("SIndex Query", &[Counter("si_query_*")]),
    (
        "Aggregation",
        &[
            Counter("query_agg"),
            Counter("query_aggr_*"),
            Counter("scan_aggr_*"),
            Counter("pi_query_aggr_*"),
            Counter("si_query_aggr_*"),
        ],
    ),
    ("LDT", &[Counter("sub_objects"), Counter("ldt_*")]),
    ("XDR Source", &[Set("dcs")]),
    (
        "XDR Destination",
        &[Counter("xdr_client_write_*"), Counter("xdr_write_success")],
    ),
    ("Rack-aware", &[Set("rack-id"), Set("self-group-id")]),
    ("Security", &[Setting("enable-security", "true")]),
    ("TLS (Heartbeat)", &[Set("heartbeat.tls-port")]),
    ("TLS (Fabric)", &[Set("fabric.tls-port")]),
    ("TLS (Service)", &[Set("service.tls-port")]),
    ("SC", &[Setting("strong-consistency", "true")]),
    ("Index-on-pmem", &[Setting("index-type", "pmem")]),
    ("Index-on-flash", &[Setting("index-type", "flash")]),
    ("Index-on-shmem", &[Setting("index-type", "shmem")]),
    ("Compression", &[Set("storage-engine.compression")]),
];

const SERVICE: &[&str] = &[
    "statistics",
    "get-config:context=service",
    "get-config:context=network",
    "get-config:context=security",
    "get-config:context=xdr",
];

/// The info commands that tell the features.
pub(super) fn requests(node: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests: Vec<String> = SERVICE
        .iter()
        .map(|request| (*request).to_owned())
        .collect();
    requests.push("namespaces".to_owned());
    for namespace in namespaces(answers) {
        requests.push(format!("namespace/{namespace}"));
        requests.push(namespace_config(node, namespace));
    }
    requests
}

/// The features of one node, in the order of [`FEATURES`], with whether they are in use.
pub(super) fn of(node: &Node, answers: &NodeAnswers) -> Vec<(&'static str, bool)> {
    let mut sources: Vec<Record> = SERVICE
        .iter()
        .filter_map(|request| answers.text(request))
        .map(fields)
        .collect();
    for namespace in namespaces(answers) {
        for request in [
            format!("namespace/{namespace}"),
            namespace_config(node, namespace),
        ] {
            sources.extend(answers.text(&request).map(fields));
        }
    }
    let in_use = |signs: &[Sign]| {
        signs
            .iter()
            .any(|sign| sources.iter().any(|source| sign.shows(source)))
    };
    FEATURES
        .iter()
        .map(|(feature, signs)| (*feature, in_use(signs)))
        .collect()
}

fn fields(text: &str) -> Record {
    record(text, ';')
}

impl Sign {
    fn shows(&self, source: &Record) -> bool {
        let counts = |name: &str| source.number(name).is_some_and(|count| count != 0.0);
        match self {
            Counter(name) => match name.strip_suffix('*') {
                Some(start) => source
                    .keys()
                    .filter(|name| name.starts_with(start))
                    .any(counts),
                None => counts(name),
            },
            Setting(name, value) => source.text(name) == Some(value),
            Set(name) => source
                .text(name)
                .is_some_and(|value| !matches!(value, "" | "0" | "none" | "false" | "null")),
        }
    }
}

fn render(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let like = Filter::of(context, "like")?;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let mut record = Record::default().with(NODE, name(node));
        // A node that was not asked, or gave no answer, does not use features, nor does it leave them.
        let features = match answers.has("statistics") {
            true => of(node, answers),
            false => Vec::new(),
        };
        for (feature, in_use) in features {
            if like.matches(feature) {
                let value = match (answers.failed("statistics"), in_use) {
                    (true, _) => Value::Error,
                    (false, true) => Value::text("YES"),
                    (false, false) => Value::text("NO"),
                };
                record.set(feature, value);
            }
        }
        records.push(record);
    }
    let dynamic = Dynamic {
        convert: |_| Some(Convert::Text),
        total: false,
    };
    let sheet = Sheet::new(
        stamped("Features", context),
        vec![node().into(), Field::Dynamic(dynamic)],
    );
    Ok(Event::sheet(laid_out(sheet.records(records), context)))
}
