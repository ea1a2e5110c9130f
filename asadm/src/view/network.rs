//! `info network` and `info release`.

use std::collections::BTreeMap;

use super::read::{add, asked, fail, id, name, of, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};
use tools::answer::at_least;
use tools::sheet::{
    Field, Format, NODE, Record, Rule, Sheet, Value, boolean, count, group, integer, node, right,
    seconds, text,
};

/// `info network`.
pub(super) const NETWORK: View = View {
    path: &["info", "network"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Displays the nodes of the cluster and how each sees it.",
    hidden: false,
    words: 0,
    requests: network_requests,
    render: |answers, context| vec![network(answers, context)],
};

/// `info release`.
pub(super) const RELEASE: View = View {
    path: &["info", "release"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Displays edition, version and platform of each node.",
    hidden: false,
    words: 0,
    requests: |_, _, _| vec!["release".to_owned()],
    render: |answers, context| vec![release(answers, context)],
};

/// The version since which `release` replaces `version`.
const RELEASE_SINCE: &[u32] = &[8, 1, 1];

/// Statistics that each node reports about the cluster and that should be the same everywhere.
const SHARED: &[(&str, &str)] = &[
    ("cluster_size", " odd size"),
    ("cluster_key", " odd key"),
    ("paxos_principal", " odd principal"),
];

const STATISTICS: &[&str] = &[
    "migrate_partitions_remaining",
    "cluster_size",
    "cluster_key",
    "cluster_integrity",
    "paxos_principal",
    "client_connections",
    "uptime",
];

/// The info command that tells the edition.
pub(super) fn edition_request(node: &Node) -> &'static str {
    if at_least(&node.build, RELEASE_SINCE) {
        "release"
    } else {
        "version"
    }
}

/// The info commands of `info network`.
pub(super) fn network_requests(node: &Node, _: &NodeAnswers, _: &Context) -> Vec<String> {
    vec!["statistics".to_owned(), edition_request(node).to_owned()]
}

fn network_columns() -> Vec<Field> {
    vec![
        node().into(),
        right("Node ID", " id").into(),
        text("IP", " address").into(),
        text("Build", " build").into(),
        count("Migrations", "migrate_partitions_remaining")
            .or("migrate_progress_send")
            .rules(&[Rule(Format::YellowAlert, |value, _| {
                value.number() != Some(0.0)
            })])
            .into(),
        group(
            "Cluster",
            vec![
                integer("Size", "cluster_size")
                    .rules(&[Rule(Format::RedAlert, |_, r| r.get(" odd size").is_entry())]),
                right("Key", "cluster_key")
                    .rules(&[Rule(Format::RedAlert, |_, r| r.get(" odd key").is_entry())]),
                boolean("Integrity", "cluster_integrity")
                    .rules(&[Rule(Format::RedAlert, |value, _| {
                        *value == Value::Boolean(false)
                    })]),
                right("Principal", "paxos_principal").rules(&[Rule(Format::RedAlert, |_, r| {
                    r.get(" odd principal").is_entry()
                })]),
            ],
        ),
        integer("Client Conns", "client_connections").into(),
        seconds("Uptime", "uptime").into(),
    ]
}

/// The sheet of `info network`. Nodes that are known but were not reached have a row too, unless `with` chose others.
pub(super) fn network(answers: &Answers, context: &Context) -> Event {
    let mut records = Vec::new();
    for node in &context.nodes {
        let answers = answers.node(&node.key);
        if answers.is_none() && (node.alive || context.modifiers.has("with")) {
            continue;
        }
        let mut record = of(node)
            .with(" id", id(node))
            .with(" address", Value::text(&node.key));
        if let Some(answers) = answers.filter(|answers| answers.has("statistics")) {
            record.set(" build", build(node, answers));
            match answers.text("statistics") {
                Some(statistics) => add(&mut record, statistics, ';'),
                None => fail(&mut record, STATISTICS),
            }
        }
        records.push(record);
    }
    for (key, odd) in SHARED {
        mark_odd(&mut records, key, odd);
    }
    Event::sheet(
        Sheet::new(stamped("Network Information", context), network_columns()).records(records),
    )
}

fn build(node: &Node, answers: &NodeAnswers) -> Value {
    if node.build.is_empty() {
        return Value::Missing;
    }
    let edition = answers
        .text_or_nothing(edition_request(node))
        .to_lowercase();
    Value::Text(edition_letter(&edition).map_or_else(
        || node.build.clone(),
        |letter| format!("{letter}-{}", node.build),
    ))
}

/// The letter of the edition in a text in lower case.
pub(super) fn edition_letter(edition: &str) -> Option<char> {
    [("community", 'C'), ("enterprise", 'E'), ("federal", 'F')]
        .iter()
        .find(|(word, _)| edition.contains(word))
        .map(|(_, letter)| *letter)
}

/// Mark the records whose value is not the most frequent one.
fn mark_odd(records: &mut [Record], key: &str, odd: &'static str) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in records.iter().filter_map(|record| record.text(key)) {
        *counts.entry(value.to_owned()).or_default() += 1;
    }
    let Some((common, _)) = counts.into_iter().max_by_key(|(_, count)| *count) else {
        return;
    };
    for record in records {
        if record.text(key).is_some_and(|value| value != common) {
            record.set(odd, Value::Boolean(true));
        }
    }
}

fn release(answers: &Answers, context: &Context) -> Event {
    let asked = asked(answers, context);
    if !asked
        .iter()
        .any(|(node, _)| at_least(&node.build, RELEASE_SINCE))
    {
        return Event::Warning(
            "'info release' is not supported on aerospike versions < 8.1.1".to_owned(),
        );
    }
    let columns = vec![
        node().into(),
        text("Architecture", "arch").into(),
        text("Edition", "edition").into(),
        text("Version", "version").into(),
        text("OS", "os").into(),
        text("SHA", "sha").into(),
        text("EE SHA", "ee-sha").into(),
        text("FIPS SHA", "fips-sha").into(),
    ];
    let mut records = Vec::new();
    for (node, answers) in asked {
        let mut record = Record::default().with(NODE, name(node));
        match answers.text("release") {
            Some(release) => add(&mut record, release, ';'),
            None if !answers.has("release") => {}
            None => fail(&mut record, &["arch", "edition", "version", "os", "sha"]),
        }
        records.push(record);
    }
    Event::sheet(Sheet::new(stamped("Release Information", context), columns).records(records))
}
