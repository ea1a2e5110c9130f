//! `show config` and `show statistics` without XDR: one line per parameter, one column per node.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Filter;
use super::read::{add, asked, list, name, namespaces, record, stamped};
use super::{Answers, Context, Event, Flag, Node, NodeAnswers, Path, Render, Requests, View};
use tools::answer::at_least;
use tools::sheet::{Dynamic, Field, KEEP, Layout, NODE, Record, Sheet, Value, node};

/// Columns become lines, and lines columns; every view knows it.
pub const FLIP: Flag = Flag {
    names: &["--flip", "-flip"],
    takes_value: false,
};
pub(super) const REPEAT: Flag = Flag {
    names: &["-r"],
    takes_value: false,
};
pub(super) const TOTAL: Flag = Flag {
    names: &["-t"],
    takes_value: false,
};

pub(super) const CONFIG_FLAGS: &[Flag] = &[FLIP, REPEAT];
pub(super) const CONFIG_KEYWORDS: &[&str] = &["with", "like", "diff", "for"];
pub(super) const STATISTICS_FLAGS: &[Flag] = &[FLIP, REPEAT, TOTAL];
pub(super) const STATISTICS_KEYWORDS: &[&str] = &["with", "like", "for"];

const fn config(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View {
        keywords: CONFIG_KEYWORDS,
        flags: CONFIG_FLAGS,
        ..View::of(path, help, requests, render)
    }
}

const fn statistics(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View {
        keywords: STATISTICS_KEYWORDS,
        flags: STATISTICS_FLAGS,
        ..View::of(path, help, requests, render)
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    config(
        &["show", "config"],
        "Displays security, service, network and namespace configuration.",
        |node, answers, context| {
            let mut requests: Vec<String> = CONTEXTS
                .iter()
                .map(|context| context.request.to_owned())
                .collect();
            requests.extend(namespace_config_requests(node, answers, context));
            requests
        },
        |answers, context| {
            let mut pieces: Vec<Event> = CONTEXTS
                .iter()
                .map(|one| single(answers, context, one.title, one.request))
                .collect();
            pieces.extend(by_namespace(
                answers,
                context,
                "Namespace Configuration",
                namespace_config,
            ));
            pieces
        },
    ),
    config(
        &["show", "config", "security"],
        "Displays security configuration.",
        |_, _, _| vec![SECURITY.request.to_owned()],
        |answers, context| vec![single(answers, context, SECURITY.title, SECURITY.request)],
    ),
    config(
        &["show", "config", "service"],
        "Displays service configuration.",
        |_, _, _| vec![SERVICE.request.to_owned()],
        |answers, context| vec![single(answers, context, SERVICE.title, SERVICE.request)],
    ),
    config(
        &["show", "config", "network"],
        "Displays network configuration.",
        |_, _, _| vec![NETWORK.request.to_owned()],
        |answers, context| vec![single(answers, context, NETWORK.title, NETWORK.request)],
    ),
    config(
        &["show", "config", "namespace"],
        "Displays namespace configuration.",
        namespace_config_requests,
        |answers, context| {
            by_namespace(
                answers,
                context,
                "Namespace Configuration",
                namespace_config,
            )
        },
    ),
    statistics(
        &["show", "statistics"],
        "Displays statistics of sets, service and namespaces.",
        |node, answers, context| {
            let mut requests = vec!["statistics".to_owned(), "sets".to_owned()];
            requests.extend(namespace_statistics_requests(node, answers, context));
            requests
        },
        |answers, context| {
            let mut pieces = sets(answers, context);
            pieces.push(single(answers, context, "Service Statistics", "statistics"));
            pieces.extend(by_namespace(
                answers,
                context,
                "Namespace Statistics",
                namespace_statistics,
            ));
            pieces
        },
    ),
    statistics(
        &["show", "statistics", "service"],
        "Displays service statistics.",
        |_, _, _| vec!["statistics".to_owned()],
        |answers, context| vec![single(answers, context, "Service Statistics", "statistics")],
    ),
    statistics(
        &["show", "statistics", "namespace"],
        "Displays namespace statistics.",
        namespace_statistics_requests,
        |answers, context| {
            by_namespace(
                answers,
                context,
                "Namespace Statistics",
                namespace_statistics,
            )
        },
    ),
    statistics(
        &["show", "statistics", "sets"],
        "Displays set statistics.",
        |_, _, _| vec!["sets".to_owned()],
        sets,
    ),
    statistics(
        &["show", "statistics", "sindex"],
        "Displays secondary index statistics.",
        sindex_requests,
        sindexes,
    ),
    statistics(
        &["show", "statistics", "bins"],
        "Displays bin statistics of servers before 7.0.",
        |node, _, _| {
            if has_bin_statistics(node) {
                vec!["bins".to_owned()]
            } else {
                Vec::new()
            }
        },
        bins,
    ),
];

/// A configuration context of its own sheet.
struct ConfigContext {
    title: &'static str,
    request: &'static str,
}

const SECURITY: ConfigContext = ConfigContext {
    title: "Security Configuration",
    request: "get-config:context=security",
};
const SERVICE: ConfigContext = ConfigContext {
    title: "Service Configuration",
    request: "get-config:context=service",
};
const NETWORK: ConfigContext = ConfigContext {
    title: "Network Configuration",
    request: "get-config:context=network",
};
const CONTEXTS: &[ConfigContext] = &[SECURITY, SERVICE, NETWORK];

/// The request for a namespace's configuration; the parameter was called `id` before 7.2.
pub(crate) fn namespace_config(node: &Node, namespace: &str) -> String {
    let parameter = if node.build.is_empty() || at_least(&node.build, &[7, 2]) {
        "namespace"
    } else {
        "id"
    };
    format!("get-config:context=namespace;{parameter}={namespace}")
}

fn namespace_statistics(_: &Node, namespace: &str) -> String {
    format!("namespace/{namespace}")
}

/// `namespaces`, then one request for each namespace that `for` wants.
fn each_namespace(
    node: &Node,
    answers: &NodeAnswers,
    context: &Context,
    request: fn(&Node, &str) -> String,
) -> Vec<String> {
    let mut requests = vec!["namespaces".to_owned()];
    if let Ok(wanted) = Filter::of(context, "for") {
        requests.extend(
            namespaces(answers)
                .filter(|name| wanted.matches(name))
                .map(|name| request(node, name)),
        );
    }
    requests
}

fn namespace_config_requests(node: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    each_namespace(node, answers, context, namespace_config)
}

fn namespace_statistics_requests(
    node: &Node,
    answers: &NodeAnswers,
    context: &Context,
) -> Vec<String> {
    each_namespace(node, answers, context, namespace_statistics)
}

fn sindex_requests(_: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = vec!["sindex-list:".to_owned()];
    requests.extend(
        wanted_sindexes(answers, context)
            .unwrap_or_default()
            .iter()
            .map(Sindex::request),
    );
    requests
}

fn has_bin_statistics(node: &Node) -> bool {
    !at_least(&node.build, &[7])
}

/// One sheet of the parameters in one answer per node.
fn single(answers: &Answers, context: &Context, title: &str, request: &str) -> Event {
    let records = asked(answers, context)
        .into_iter()
        .map(|(node, answers)| record(answers.text_or_nothing(request), ';').with(NODE, name(node)))
        .collect();
    parameters(title, records, context)
}

/// One sheet for each namespace, in the order of their names.
fn by_namespace(
    answers: &Answers,
    context: &Context,
    title: &str,
    request: fn(&Node, &str) -> String,
) -> Vec<Event> {
    let wanted = match Filter::of(context, "for") {
        Ok(wanted) => wanted,
        Err(piece) => return vec![piece],
    };
    let mut by_namespace: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for (node, answers) in asked(answers, context) {
        for namespace in namespaces(answers).filter(|namespace| wanted.matches(namespace)) {
            let text = answers.text_or_nothing(&request(node, namespace));
            by_namespace
                .entry(namespace)
                .or_default()
                .push(record(text, ';').with(NODE, name(node)));
        }
    }
    by_namespace
        .into_iter()
        .map(|(namespace, records)| {
            let records = with_all_nodes(records, answers, context);
            parameters(&format!("{namespace} {title}"), records, context)
        })
        .collect()
}

/// One sheet for each set, in the order in which the nodes name them.
fn sets(answers: &Answers, context: &Context) -> Vec<Event> {
    let (namespace, set) = match (
        Filter::word(context, "for", 0),
        Filter::word(context, "for", 1),
    ) {
        (Ok(namespace), Ok(set)) => (namespace, set),
        (Err(piece), _) | (_, Err(piece)) => return vec![piece],
    };
    let mut by_set: Vec<(String, Vec<Record>)> = Vec::new();
    for (node, answers) in asked(answers, context) {
        for entry in list(answers.text_or_nothing("sets"), ';') {
            let record = record(entry, ':').with(NODE, name(node));
            let (Some(ns), Some(name)) = (record.text("ns"), record.text("set")) else {
                continue;
            };
            if !namespace.matches(ns) || !set.matches(name) {
                continue;
            }
            push(&mut by_set, format!("{ns} {name} Set Statistics"), record);
        }
    }
    by_set
        .into_iter()
        .map(|(title, records)| {
            parameters(&title, with_all_nodes(records, answers, context), context)
        })
        .collect()
}

fn push(groups: &mut Vec<(String, Vec<Record>)>, title: String, record: Record) {
    match groups.iter_mut().find(|(other, _)| *other == title) {
        Some((_, records)) => records.push(record),
        None => groups.push((title, vec![record])),
    }
}

/// A secondary index as the list names it.
struct Sindex {
    namespace: String,
    set: String,
    name: String,
    /// All that the list tells about it.
    listed: String,
}

impl Sindex {
    fn request(&self) -> String {
        format!(
            "sindex-stat:namespace={};indexname={}",
            self.namespace, self.name
        )
    }
}

fn wanted_sindexes(answers: &NodeAnswers, context: &Context) -> Result<Vec<Sindex>, Event> {
    let namespace = Filter::word(context, "for", 0)?;
    let index = Filter::word(context, "for", 1)?;
    let field = |record: &Record, key: &str| record.text(key).unwrap_or_default().to_owned();
    Ok(list(answers.text_or_nothing("sindex-list:"), ';')
        .map(|entry| (entry, record(entry, ':')))
        .map(|(listed, entry)| Sindex {
            namespace: field(&entry, "ns"),
            set: field(&entry, "set"),
            name: field(&entry, "indexname"),
            listed: listed.to_owned(),
        })
        .filter(|sindex| namespace.matches(&sindex.namespace) && index.matches(&sindex.name))
        .collect())
}

fn sindexes(answers: &Answers, context: &Context) -> Vec<Event> {
    let mut by_index: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (node, answers) in asked(answers, context) {
        let sindexes = match wanted_sindexes(answers, context) {
            Ok(sindexes) => sindexes,
            Err(piece) => return vec![piece],
        };
        for sindex in sindexes {
            let mut index = Record::default().with(NODE, name(node));
            if let Some(statistics) = answers.text(&sindex.request()) {
                add(&mut index, statistics, ';');
                add(&mut index, &sindex.listed, ':');
            }
            let title = format!(
                "{} {} {} SIndex Statistics",
                sindex.namespace, sindex.set, sindex.name
            );
            by_index.entry(title).or_default().push(index);
        }
    }
    by_index
        .into_iter()
        .map(|(title, records)| {
            parameters(&title, with_all_nodes(records, answers, context), context)
        })
        .collect()
}

/// Bin statistics: entries `NS:k=v,k=v,NAME,NAME` of servers before 7.0.
fn bins(answers: &Answers, context: &Context) -> Vec<Event> {
    let asked = asked(answers, context);
    if !asked.iter().any(|(node, _)| has_bin_statistics(node)) {
        let text = "Server version 7.0 removed namespace bin-name limits and statistics.";
        return vec![Event::Error(text.to_owned())];
    }
    let mut by_namespace: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (node, answers) in asked {
        for entry in list(answers.text_or_nothing("bins"), ';') {
            let Some((namespace, statistics)) = entry.split_once(':') else {
                continue;
            };
            let mut record = Record::default().with(NODE, name(node));
            add(&mut record, statistics, ',');
            by_namespace
                .entry(namespace.to_owned())
                .or_default()
                .push(record);
        }
    }
    by_namespace
        .into_iter()
        .map(|(namespace, records)| {
            let records = with_all_nodes(records, answers, context);
            parameters(&format!("{namespace} Bin Statistics"), records, context)
        })
        .collect()
}

/// One more record, without values, for each node that was asked and has none in these.
pub(super) fn with_all_nodes(
    mut records: Vec<Record>,
    answers: &Answers,
    context: &Context,
) -> Vec<Record> {
    for (node, _) in asked(answers, context) {
        let own = name(node);
        if records.iter().all(|record| *record.get(NODE) != own) {
            records.push(Record::default().with(NODE, own));
        }
    }
    records
}

/// A sheet of parameters under the modifiers `like`, `diff` and the flags `--flip`, `-t`.
pub(super) fn parameters(title: &str, records: Vec<Record>, context: &Context) -> Event {
    match filtered(records, context) {
        Ok(records) => {
            let fields = vec![node().into(), dynamic(context)];
            Event::sheet(
                laid_out(Sheet::new(stamped(title, context), fields), context).records(records),
            )
        }
        Err(piece) => piece,
    }
}

/// The columns that come from the data.
pub(super) fn dynamic(context: &Context) -> Field {
    Field::Dynamic(Dynamic {
        convert: |_| None,
        total: context.modifiers.flag("-t"),
    })
}

/// Row style, or column style with `--flip`.
pub(super) fn laid_out(mut sheet: Sheet, context: &Context) -> Sheet {
    if !context.modifiers.flag("--flip") {
        sheet.layout = Layout::Rows;
    }
    sheet.repeat_title = context.modifiers.flag("-r");
    sheet
}

/// The records with only those fields that `like` and `diff` want.
pub(super) fn filtered(mut records: Vec<Record>, context: &Context) -> Result<Vec<Record>, Event> {
    let like = Filter::of(context, "like")?;
    for record in &mut records {
        record.retain(|name| like.matches(name));
    }
    if context.modifiers.has("diff") {
        keep_different(&mut records);
    }
    Ok(records)
}

/// Keep the fields that differ between records; the sheet stays even if none is left.
fn keep_different(records: &mut [Record]) {
    let names: BTreeSet<String> = records
        .iter()
        .flat_map(Record::keys)
        .map(ToOwned::to_owned)
        .collect();
    // Nodes that do not have a value differ from nobody.
    let differs = |name: &str| {
        let values = records.iter().map(|record| record.get(name));
        let mut values = values.filter(|value| value.is_entry() && **value != Value::Error);
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let different: BTreeSet<String> = names.into_iter().filter(|name| differs(name)).collect();
    for record in records {
        if record.has_fields() {
            record.set(KEEP, Value::Boolean(true));
        }
        record.retain(|name| different.contains(name));
    }
}
