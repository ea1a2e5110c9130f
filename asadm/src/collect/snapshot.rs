//! What one node tells, as the archive holds it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::latency::{self, Latencies};
use crate::view::{Answers, Context, Event, Node, NodeAnswers, Target, View, namespace_config};

/// All that is asked.
pub(crate) const SNAPSHOT: View = View {
    path: &["collectinfo"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: super::FLAGS,
    help: "Collects what all nodes tell into files and an archive of them, for support.",
    hidden: true,
    words: 0,
    requests,
    render: |_: &Answers, _: &Context| -> Vec<Event> { Vec::new() },
};

const ONCE: &[&str] = &[
    "node",
    "build",
    "edition",
    "version",
    "release",
    "cluster-name",
    "service-clear-std",
    "peers-clear-std",
    "peers-generation",
    "statistics",
    "namespaces",
    "sets",
    "sindex-list:",
    "bins",
    "udf-list",
    "query-show",
    "best-practices",
    "health-outliers",
    "health-stats",
    "racks:",
    "rack-ids",
    "roster:",
    "logs",
    "latencies:",
    "user-agents",
    "feature-key",
    "get-config:context=service",
    "get-config:context=network",
    "get-config:context=security",
    XDR,
];
const XDR: &str = "get-config:context=xdr";
/// Kinds of histograms: as servers call them, and as the archive does.
const HISTOGRAMS: &[(&str, &str)] = &[
    ("ttl", "ttl"),
    ("object-size-linear", "objsz"),
    ("object-size", "object-size"),
];

fn names<'a>(answers: &'a NodeAnswers, command: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let list = answers.text_or_nothing(command);
    list.split(';').filter(|name| !name.is_empty())
}

fn histogram(namespace: &str, kind: &str) -> String {
    format!("histogram:namespace={namespace};type={kind}")
}

/// The data centres of a node.
fn centres(answers: &NodeAnswers) -> Vec<String> {
    let config = fields(answers.text_or_nothing(XDR), ';');
    let list = config.get("dcs").map(String::as_str).unwrap_or_default();
    let names = list.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

fn of_centre(context: &str, dc: &str) -> String {
    format!("{context};dc={dc}")
}

const XDR_STATISTICS: &str = "get-stats:context=xdr";

/// The numbers of a node's log files.
fn sinks(answers: &NodeAnswers) -> impl Iterator<Item = (&str, &str)> {
    names(answers, "logs").filter_map(|sink| sink.split_once(':'))
}

/// Namespace and name of an index.
fn index(entry: &str) -> Option<(String, String)> {
    let index = fields(entry, ':');
    let namespace = index.get("ns").or_else(|| index.get("namespace"))?;
    Some((namespace.clone(), index.get("indexname")?.clone()))
}

fn index_statistics((namespace, name): &(String, String)) -> String {
    format!("sindex-stat:namespace={namespace};indexname={name}")
}

fn requests(node: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests: Vec<String> = ONCE.iter().map(|name| (*name).to_owned()).collect();
    for namespace in names(answers, "namespaces") {
        requests.push(format!("namespace/{namespace}"));
        requests.push(namespace_config(node, namespace));
        let kinds = HISTOGRAMS.iter();
        requests.extend(kinds.map(|(kind, _)| histogram(namespace, kind)));
    }
    let indexes = names(answers, "sindex-list:").filter_map(index);
    requests.extend(indexes.map(|index| index_statistics(&index)));
    requests.extend(sinks(answers).map(|(id, _)| format!("log/{id}")));
    for dc in centres(answers) {
        requests.push(of_centre(XDR, &dc));
        requests.push(of_centre(XDR_STATISTICS, &dc));
    }
    requests
}

/// `name=value` fields; of a name that comes again the values stand side by side.
type Fields = BTreeMap<String, String>;

fn fields(text: &str, separator: char) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in text
        .split(separator)
        .filter_map(|field| field.split_once('='))
    {
        fields
            .entry(name.to_owned())
            .and_modify(|before| {
                before.push(',');
                before.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    fields
}

/// One node in the archive.
#[derive(Debug, Serialize)]
pub(crate) struct NodeData {
    as_stat: Told,
}

#[derive(Debug, Serialize)]
struct Told {
    statistics: Statistics,
    config: Config,
    meta_data: About,
    histogram: BTreeMap<&'static str, BTreeMap<String, String>>,
    latency: Latencies,
    acl: BTreeMap<String, Fields>,
    user_agents: Vec<Fields>,
}

#[derive(Debug, Serialize)]
struct Statistics {
    service: Fields,
    namespace: BTreeMap<String, NamespaceStatistics>,
    xdr: Fields,
    dc: BTreeMap<String, Fields>,
    xdr_ns: BTreeMap<String, Fields>,
}

#[derive(Debug, Default, Serialize)]
struct NamespaceStatistics {
    service: Fields,
    set: BTreeMap<String, Fields>,
    bin: Fields,
    sindex: BTreeMap<String, Fields>,
}

#[derive(Debug, Serialize)]
struct Config {
    service: Fields,
    network: Fields,
    security: Fields,
    namespace: BTreeMap<String, NamespaceConfig>,
    xdr: Fields,
    dc: BTreeMap<String, Fields>,
    xdr_ns: BTreeMap<String, Fields>,
    xdr_filter: Fields,
    roster: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    racks: BTreeMap<String, BTreeMap<String, Rack>>,
    rack_ids: Fields,
    logging: BTreeMap<String, Fields>,
}

#[derive(Debug, Serialize)]
struct NamespaceConfig {
    service: Fields,
}

#[derive(Debug, Serialize)]
struct Rack {
    nodes: Vec<String>,
}

/// Host, port and name in the certificate.
type Endpoint = (String, u16, Option<String>);

#[derive(Debug, Serialize)]
struct About {
    asd_build: String,
    edition: String,
    release: Fields,
    node_id: String,
    node_names: String,
    ip: String,
    endpoints: Vec<Endpoint>,
    services: Vec<Endpoint>,
    udf: BTreeMap<String, Fields>,
    health: BTreeMap<String, Fields>,
    best_practices: Vec<String>,
    jobs: BTreeMap<&'static str, BTreeMap<String, Fields>>,
}

/// The name that the nodes give their cluster; `null` if they give none.
pub(crate) fn cluster_name(answers: &Answers, context: &Context) -> String {
    let nodes = context.nodes.iter();
    let told = nodes.filter_map(|node| answers.node(&node.key)?.text("cluster-name"));
    let mut names = told.filter(|name| !name.is_empty() && *name != "null");
    names.next().unwrap_or("null").to_owned()
}

/// What a node told.
pub(crate) fn of_node(node: &Node, answers: &NodeAnswers, peers: &[Node]) -> NodeData {
    let of = |command: &str| fields(answers.text_or_nothing(command), ';');
    let namespaces = || names(answers, "namespaces").map(str::to_owned);
    let by_centre = |context: &str| -> BTreeMap<String, Fields> {
        let centres = centres(answers).into_iter();
        centres
            .map(|dc| (dc.clone(), of(&of_centre(context, &dc))))
            .collect()
    };
    let histogram = HISTOGRAMS.iter().map(|(kind, name)| {
        let told = namespaces().filter_map(|namespace| {
            let text = answers.text(&histogram(&namespace, kind))?.to_owned();
            Some((namespace, text))
        });
        (*name, told.collect())
    });
    let config = Config {
        service: of("get-config:context=service"),
        network: of("get-config:context=network"),
        security: of("get-config:context=security"),
        namespace: namespaces()
            .map(|name| {
                let service = of(&namespace_config(node, &name));
                (name, NamespaceConfig { service })
            })
            .collect(),
        xdr: of(XDR),
        dc: by_centre(XDR),
        xdr_ns: BTreeMap::new(),
        xdr_filter: Fields::new(),
        roster: rosters(answers),
        racks: racks(answers),
        rack_ids: names(answers, "rack-ids")
            .filter_map(|entry| entry.split_once(':'))
            .map(|(namespace, id)| (namespace.to_owned(), id.to_owned()))
            .collect(),
        logging: sinks(answers)
            .map(|(id, file)| {
                let levels = answers.text_or_nothing(&format!("log/{id}"));
                let levels = levels.split(';').filter_map(|level| level.split_once(':'));
                let levels = levels.map(|(context, level)| (context.to_owned(), level.to_owned()));
                (file.to_owned(), levels.collect())
            })
            .collect(),
    };
    let statistics = Statistics {
        service: of("statistics"),
        namespace: namespace_statistics(answers),
        xdr: Fields::new(),
        dc: by_centre(XDR_STATISTICS),
        xdr_ns: BTreeMap::new(),
    };
    NodeData {
        as_stat: Told {
            statistics,
            config,
            meta_data: about(node, answers, peers),
            histogram: histogram.collect(),
            latency: latency::of(answers.text_or_nothing("latencies:")),
            acl: BTreeMap::new(),
            user_agents: names(answers, "user-agents")
                .map(|entry| fields(entry, ':'))
                .collect(),
        },
    }
}

fn namespace_statistics(answers: &NodeAnswers) -> BTreeMap<String, NamespaceStatistics> {
    let mut namespaces: BTreeMap<String, NamespaceStatistics> = names(answers, "namespaces")
        .map(|name| {
            let text = answers.text_or_nothing(&format!("namespace/{name}"));
            let statistics = NamespaceStatistics {
                service: fields(text, ';'),
                ..NamespaceStatistics::default()
            };
            (name.to_owned(), statistics)
        })
        .collect();
    for set in names(answers, "sets").map(|entry| fields(entry, ':')) {
        let (Some(namespace), Some(name)) = (set.get("ns").cloned(), set.get("set").cloned())
        else {
            continue;
        };
        if let Some(namespace) = namespaces.get_mut(&namespace) {
            namespace.set.insert(name, set);
        }
    }
    for entry in names(answers, "sindex-list:") {
        let Some(index) = index(entry) else { continue };
        let Some(statistics) = answers.text(&index_statistics(&index)) else {
            continue;
        };
        let mut all = fields(statistics, ';');
        all.extend(fields(entry, ':'));
        let (namespace, name) = index;
        if let Some(namespace) = namespaces.get_mut(&namespace) {
            namespace.sindex.insert(name, all);
        }
    }
    namespaces
}

fn rosters(answers: &NodeAnswers) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let entries = names(answers, "roster:").map(|entry| fields(entry, ':'));
    entries
        .filter_map(|mut entry| {
            let namespace = entry.remove("ns")?;
            let lists = entry.into_iter().map(|(name, nodes)| {
                let nodes = nodes.split(',').map(str::to_owned).collect();
                (name, nodes)
            });
            Some((namespace, lists.collect()))
        })
        .collect()
}

fn racks(answers: &NodeAnswers) -> BTreeMap<String, BTreeMap<String, Rack>> {
    let entries = names(answers, "racks:").map(|entry| fields(entry, ':'));
    entries
        .filter_map(|mut entry| {
            let namespace = entry.remove("ns")?;
            let racks = entry.into_iter().filter_map(|(name, nodes)| {
                let id = name.strip_prefix("rack_")?.to_owned();
                let nodes = nodes.split(',').map(str::to_owned).collect();
                Some((id, Rack { nodes }))
            });
            Some((namespace, racks.collect()))
        })
        .collect()
}

fn endpoint(key: &str) -> Option<Endpoint> {
    let (host, port) = tools::cluster::split_key(key);
    Some((host.to_owned(), port.parse().ok()?, None))
}

fn about(node: &Node, answers: &NodeAnswers, peers: &[Node]) -> About {
    let text = |command: &str| answers.text_or_nothing(command).to_owned();
    let release = fields(answers.text_or_nothing("release"), ';');
    let edition = release.get("edition").cloned();
    let own = answers.text_or_nothing("service-clear-std");
    let by_name = |entries: &str, separator: char, name: &str| -> BTreeMap<String, Fields> {
        let entries = entries.split(';').map(|entry| fields(entry, separator));
        entries
            .filter_map(|mut entry| Some((entry.remove(name)?, entry)))
            .collect()
    };
    let practices = fields(answers.text_or_nothing("best-practices"), ';');
    let failed = practices.get("failed_best_practices").map(String::as_str);
    let jobs = answers.text_or_nothing("query-show").split(';');
    let jobs = jobs
        .map(|job| fields(job, ':'))
        .filter_map(|job| Some((job.get("trid")?.clone(), job)));
    About {
        asd_build: text("build"),
        edition: edition.unwrap_or_else(|| text("edition")),
        release,
        node_id: text("node"),
        node_names: node.name.clone(),
        ip: node.key.clone(),
        endpoints: own.split([',', ';']).filter_map(endpoint).collect(),
        services: peers
            .iter()
            .filter(|peer| peer.key != node.key)
            .filter_map(|peer| endpoint(&peer.key))
            .collect(),
        udf: by_name(answers.text_or_nothing("udf-list"), ',', "filename"),
        health: names(answers, "health-outliers")
            .enumerate()
            .map(|(number, entry)| (format!("outlier{number}"), fields(entry, ':')))
            .collect(),
        best_practices: match failed {
            None | Some("none" | "") => Vec::new(),
            Some(failed) => failed.split(',').map(str::to_owned).collect(),
        },
        jobs: [("query", jobs.collect())].into(),
    }
}
