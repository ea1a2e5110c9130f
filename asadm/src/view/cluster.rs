//! Small views of the cluster: `show pmap`, `mapping`, `best-practices`, `racks`, `roster`, `masking`, `user-agents`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::filter::Filter;
use super::parameters::FLIP;
use super::read::{
    asked, fail, id, list, name, namespaces, of, principal, principal_text, record, stamped,
};
use super::{Answers, Context, Event, Node, NodeAnswers, Path, Render, Requests, Target, View};
use tools::sheet::{
    Field, Format, Layout, NODE, Record, Rule, Sheet, Value, group, integer, node, right, text,
};

const fn view(
    path: Path,
    target: Target,
    keywords: &'static [&'static str],
    help: &'static str,
    requests: Requests,
    render: Render,
) -> View {
    View {
        target,
        keywords,
        ..View::of(path, help, requests, render)
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["show", "pmap"],
        Target::Nodes,
        &["for", "with"],
        "Displays how many partitions each node holds.",
        partition_requests,
        |answers, context| vec![partitions(answers, context).unwrap_or_else(|piece| piece)],
    ),
    view(
        &["show", "mapping"],
        Target::Nobody,
        &["like"],
        "Displays node ids and addresses.",
        |_, _, _| Vec::new(),
        |_, context| vec![addresses(context), ids(context)],
    ),
    view(
        &["show", "mapping", "ip"],
        Target::Nobody,
        &["like"],
        "Displays the node id of each address.",
        |_, _, _| Vec::new(),
        |_, context| vec![addresses(context)],
    ),
    view(
        &["show", "mapping", "node"],
        Target::Nobody,
        &["like"],
        "Displays the addresses of each node id.",
        |_, _, _| Vec::new(),
        |_, context| vec![ids(context)],
    ),
    view(
        &["show", "best-practices"],
        Target::Nodes,
        &["with"],
        "Displays the best practices that nodes do not follow.",
        |_, _, _| vec![BEST_PRACTICES.to_owned()],
        best_practices,
    ),
    view(
        &["show", "racks"],
        Target::Principal,
        &["with"],
        "Displays the racks of the namespaces.",
        |_, _, _| vec!["racks:".to_owned()],
        |answers, context| vec![racks(answers, context)],
    ),
    View {
        flags: &[FLIP],
        ..view(
            &["show", "roster"],
            Target::Nodes,
            &["for", "with", "diff"],
            "Displays the rosters of the namespaces.",
            |_, _, _| vec!["roster:".to_owned()],
            |answers, context| vec![roster(answers, context).unwrap_or_else(|piece| piece)],
        )
    },
    view(
        &["show", "masking"],
        Target::Principal,
        &["namespace", "set", "for"],
        "Displays the masking rules.",
        |_, _, context| vec![masking_request(context)],
        |answers, context| vec![masking(answers, context).unwrap_or_else(|piece| piece)],
    ),
    view(
        &["show", "user-agents"],
        Target::Nodes,
        &["with"],
        "Displays the clients that are connected.",
        |_, _, _| vec!["user-agents".to_owned()],
        |answers, context| vec![user_agents(answers, context)],
    ),
];

const NAMESPACE: &str = " namespace";

fn partition_requests(_: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = ["partition-info", "statistics", "namespaces"]
        .map(ToOwned::to_owned)
        .to_vec();
    if let Ok(wanted) = Filter::of(context, "for") {
        let names = namespaces(answers).filter(|name| wanted.matches(name));
        requests.extend(names.map(|name| format!("namespace/{name}")));
    }
    requests
}

/// Partitions of one namespace at one node.
#[derive(Default)]
struct Partitions {
    primary: i128,
    secondary: i128,
}

/// Count the partitions in a `partition-info` answer, whose first entry names the fields of the others.
fn count_partitions(text: &str, node_id: &str) -> BTreeMap<String, Partitions> {
    let mut counts: BTreeMap<String, Partitions> = BTreeMap::new();
    let mut entries = list(text, ';');
    let heading: Vec<&str> = entries.next().unwrap_or_default().split(':').collect();
    let position = |name: &str| heading.iter().position(|field| *field == name);
    let (Some(namespace), Some(replica), Some(master)) = (
        position("namespace"),
        position("replica"),
        position("working_master"),
    ) else {
        return counts;
    };
    for entry in entries {
        let fields: Vec<&str> = entry.split(':').collect();
        let (Some(namespace), Some(replica), Some(master)) = (
            fields.get(namespace),
            fields.get(replica),
            fields.get(master),
        ) else {
            continue;
        };
        let counts = counts.entry((*namespace).to_owned()).or_default();
        if *master == node_id {
            counts.primary += 1;
        } else if replica.parse::<i64>().is_ok_and(|replica| replica >= 0) {
            counts.secondary += 1;
        }
    }
    counts
}

fn partitions(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let wanted = Filter::of(context, "for")?;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let counts = count_partitions(answers.text_or_nothing("partition-info"), &node.id);
        let statistics = record(answers.text_or_nothing("statistics"), ';');
        for namespace in namespaces(answers).filter(|namespace| wanted.matches(namespace)) {
            let mut record = of(node).with(NAMESPACE, Value::text(namespace));
            record.set("cluster_key", statistics.get("cluster_key").clone());
            match counts.get(namespace) {
                Some(counts) => {
                    record.set(" primary", Value::Integer(counts.primary));
                    record.set(" secondary", Value::Integer(counts.secondary));
                }
                None => fail(&mut record, &[" primary", " secondary"]),
            }
            match answers.text(&format!("namespace/{namespace}")) {
                Some(text) => super::read::add(&mut record, text, ';'),
                None => fail(&mut record, &["unavailable_partitions", "dead_partitions"]),
            }
            records.push(record);
        }
    }
    let columns = vec![
        text("Namespace", NAMESPACE).into(),
        node().into(),
        right("Cluster Key", "cluster_key").into(),
        group(
            "Partitions",
            vec![
                integer("Primary", " primary").sum(),
                integer("Secondary", " secondary").sum(),
                integer("Unavailable", "unavailable_partitions").sum(),
                integer("Dead", "dead_partitions").sum(),
            ],
        ),
    ];
    let sheet = Sheet::new(stamped("Partition Map Analysis", context), columns);
    Ok(Event::sheet(sheet.grouped(&[NAMESPACE]).records(records)))
}

const ADDRESS: &str = " address";
const ID: &str = " id";

/// Addresses and other addresses of all nodes that are known.
fn mapping(context: &Context, matches: impl Fn(&str, &str) -> bool) -> Vec<Record> {
    let nodes = || context.nodes.iter();
    let own = nodes().map(|node| (&node.key, &node.id));
    let aliases = nodes().flat_map(|node| node.aliases.iter().map(move |alias| (alias, &node.id)));
    own.chain(aliases)
        .filter(|(address, id)| matches(address, id))
        .map(|(address, id)| {
            Record::default()
                .with(ADDRESS, Value::text(address))
                .with(ID, Value::text(id))
        })
        .collect()
}

fn addresses(context: &Context) -> Event {
    let like = match Filter::of(context, "like") {
        Ok(like) => like,
        Err(piece) => return piece,
    };
    let columns = vec![text("IP", ADDRESS).into(), text("Node ID", ID).into()];
    let sheet = Sheet::new(stamped("IP to NODE-ID Mappings", context), columns);
    Event::sheet(
        sheet
            .ordered(&[ADDRESS])
            .records(mapping(context, |address, _| like.matches(address))),
    )
}

fn ids(context: &Context) -> Event {
    let like = match Filter::of(context, "like") {
        Ok(like) => like,
        Err(piece) => return piece,
    };
    let mut by_id: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in mapping(context, |_, id| like.matches(id)) {
        let text = |key| record.text(key).unwrap_or_default().to_owned();
        by_id.entry(text(ID)).or_default().push(text(ADDRESS));
    }
    let records = by_id
        .into_iter()
        .map(|(id, addresses)| {
            Record::default()
                .with(ID, Value::text(id))
                .with(ADDRESS, Value::text(addresses.join(",")))
        })
        .collect();
    let columns = vec![text("Node ID", ID).into(), text("IP", ADDRESS).into()];
    let sheet = Sheet::new(stamped("NODE-ID to IPs Mappings", context), columns);
    Event::sheet(sheet.ordered(&[ID]).records(records))
}

const BEST_PRACTICES: &str = "best-practices";
const ADVICE: &str = "These settings decide how stable and how fast a node stays under load.\n\
     What each of them means: https://aerospike.com/docs/database/learn/best-practices\n";

fn best_practices(answers: &Answers, context: &Context) -> Vec<Event> {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let failed = answers
            .text(BEST_PRACTICES)
            .map(|answer| record(answer, ';'));
        let response = match failed
            .as_ref()
            .and_then(|answer| answer.text("failed_best_practices"))
        {
            _ if !answers.has(BEST_PRACTICES) => Value::Missing,
            Some("none") => Value::text("ok"),
            Some(failed) => Value::text(failed.split(',').collect::<Vec<_>>().join(", ")),
            None => Value::Error,
        };
        records.push(of(node).with(" response", response));
    }
    let response = text("Response", " response").rules(RESPONSE_RULES);
    let sheet = Sheet::new(
        stamped("Best Practices", context),
        vec![node().into(), response.into()],
    );
    vec![
        Event::sheet(sheet.records(records)),
        Event::Text(ADVICE.to_owned()),
    ]
}

/// `ok` is green, anything else red.
const RESPONSE_RULES: &[Rule] = &[
    Rule(Format::GreenAlert, |value, _| {
        *value == Value::Text("ok".to_owned())
    }),
    Rule(Format::RedAlert, |_, _| true),
];

fn principal_answer<'a>(answers: &'a Answers, context: &'a Context, command: &str) -> &'a str {
    principal(answers, context)
        .and_then(|(_, answers)| answers.text(command))
        .unwrap_or_default()
}

fn racks(answers: &Answers, context: &Context) -> Event {
    let mut records = Vec::new();
    for entry in list(principal_answer(answers, context, "racks:"), ';') {
        let entry = record(entry, ':');
        for rack in entry.keys().filter_map(|key| key.strip_prefix("rack_")) {
            let nodes = entry.text(&format!("rack_{rack}")).unwrap_or_default();
            records.push(
                Record::default()
                    .with("ns", entry.get("ns").clone())
                    .with(" rack", Value::text(rack))
                    .with(
                        " nodes",
                        Value::List(list(nodes, ',').map(ToOwned::to_owned).collect()),
                    ),
            );
        }
    }
    let columns = vec![
        text("Namespace", "ns").into(),
        integer("Rack ID", " rack").into(),
        text("Nodes", " nodes").into(),
    ];
    let sheet = Sheet::new(stamped("Racks", context), columns);
    Event::sheet(sheet.grouped(&["ns"]).ordered(&[" rack"]).records(records))
}

const ROSTERS: &[(&str, &str)] = &[
    ("Current Roster", "roster"),
    ("Pending Roster", "pending_roster"),
    ("Observed Nodes", "observed_nodes"),
];

fn roster(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let wanted = Filter::of(context, "for")?;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        for entry in list(answers.text_or_nothing("roster:"), ';') {
            let entry = record(entry, ':');
            let Some(namespace) = entry
                .text("ns")
                .filter(|namespace| wanted.matches(namespace))
            else {
                continue;
            };
            let mut record = Record::default()
                .with(NODE, name(node))
                .with(ID, id(node))
                .with("ns", Value::text(namespace));
            for (_, key) in ROSTERS {
                let nodes = list(entry.text(key).unwrap_or_default(), ',');
                let nodes = Value::List(nodes.map(ToOwned::to_owned).collect());
                let none = entry.text(key) == Some("null");
                let shown = if none {
                    Value::shown(nodes, "--")
                } else {
                    nodes
                };
                record.set(*key, shown);
            }
            records.push(record);
        }
    }
    if context.modifiers.has("diff") {
        let same = |record: &Record| {
            let first = record.get("roster");
            ROSTERS.iter().all(|(_, key)| record.get(key) == first)
        };
        records.retain(|record| !same(record));
    }
    let mut columns: Vec<Field> = vec![
        node().into(),
        text("Node ID", ID).into(),
        text("Namespace", "ns").into(),
    ];
    columns.extend(
        ROSTERS
            .iter()
            .map(|(title, key)| Field::from(text(title, key))),
    );
    let mut sheet = Sheet::new(stamped("Roster", context), columns);
    if context.modifiers.flag("--flip") {
        sheet.layout = Layout::Rows;
    }
    Ok(Event::sheet(sheet.ordered(&["ns", NODE]).records(records)))
}

fn masking_request(context: &Context) -> String {
    let modifiers = &context.modifiers;
    let word = |keyword: &str, position: usize| {
        let of = modifiers.keyword(keyword).first();
        of.or_else(|| modifiers.keyword("for").get(position))
            .cloned()
    };
    let namespace = word("namespace", 0).map(|namespace| format!("ns={namespace}"));
    let set = word("set", 1).map(|set| format!("set={set}"));
    let parameters: Vec<String> = namespace.into_iter().chain(set).collect();
    format!("masking-show:{}", parameters.join(";"))
}

fn masking(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let request = masking_request(context);
    let failed = "Failed to get masking rules";
    let answer = principal_text(answers, context, &request, failed)?;
    let records = list(answer, ':').map(masking_rule).collect();
    let columns: Vec<Field> = [
        ("Namespace", "ns"),
        ("Set", "set"),
        ("Bin", "bin"),
        ("Type", "type"),
        ("Function", "function"),
    ]
    .map(|(title, key)| text(title, key).into())
    .into();
    let sheet = Sheet::new(stamped("Masking Rules", context), columns);
    Ok(Event::sheet(
        sheet
            .grouped(&["ns", "set"])
            .ordered(&["bin"])
            .records(records),
    ))
}

/// A rule; the parameters of its function stand behind the function's name.
fn masking_rule(entry: &str) -> Record {
    let mut rule = Record::default();
    let mut function = Vec::new();
    for (name, value) in super::read::fields(entry, ';') {
        match name.as_str() {
            "ns" | "set" | "bin" | "type" => rule.set(name, Value::Text(value)),
            "function" => function.insert(0, value),
            _ => function.extend([name, value]),
        }
    }
    rule.with("function", Value::Text(function.join(" ")))
}

/// Entries `user-agent=<base64 of "1,CLIENT,APP">:count=N`.
fn user_agents(answers: &Answers, context: &Context) -> Event {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        for entry in list(answers.text_or_nothing("user-agents"), ';') {
            let entry = record(entry, ':');
            let decoded = entry
                .text("user-agent")
                .and_then(|agent| STANDARD.decode(agent).ok());
            let agent = String::from_utf8(decoded.unwrap_or_default()).unwrap_or_default();
            let mut parts = agent.splitn(3, ',').skip(1);
            let mut part = || Value::text(parts.next().unwrap_or("unknown"));
            records.push(
                Record::default()
                    .with(NODE, Value::text(&node.key))
                    .with(" client", part())
                    .with(" application", part())
                    .with(" count", entry.get("count").clone()),
            );
        }
    }
    let columns = vec![
        node().into(),
        text("Client Version", " client").into(),
        text("App ID", " application").into(),
        integer("Count", " count").into(),
    ];
    let sheet = Sheet::new(stamped("User Agent Information", context), columns);
    Event::sheet(sheet.ordered(&[NODE, " client"]).records(records))
}
