//! XDR: `info xdr`, `show config xdr ...`, `show statistics xdr ...`.

use std::collections::BTreeMap;

use super::filter::Filter;
use super::parameters::{
    CONFIG_FLAGS, CONFIG_KEYWORDS, FLIP, REPEAT, STATISTICS_KEYWORDS, TOTAL, dynamic, filtered,
    laid_out, parameters, with_all_nodes,
};
use super::read::{add, asked, fail, fields, list, name, of, record, stamped};
use super::{
    Answers, Context, Event, Flag, Node, NodeAnswers, Path, Render, Requests, Target, View,
};
use tools::sheet::{
    Aggregate, Field, NODE, Record, Sheet, Value, group, integer, node, seconds, text,
};

const CONFIG: &str = "get-config:context=xdr";
const STATISTICS: &str = "get-stats:context=xdr";
const BY_DC: Flag = Flag {
    names: &["--by-dc"],
    takes_value: false,
};
const XDR_STATISTICS_FLAGS: &[Flag] = &[FLIP, REPEAT, TOTAL, BY_DC];
const DATACENTER: &str = " datacenter";
const NAMESPACE: &str = " namespace";

const fn config(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View {
        keywords: CONFIG_KEYWORDS,
        flags: CONFIG_FLAGS,
        ..View::of(path, help, requests, render)
    }
}

const fn statistics(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    let (keywords, flags) = (STATISTICS_KEYWORDS, XDR_STATISTICS_FLAGS);
    View {
        keywords,
        flags,
        ..View::of(path, help, requests, render)
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    View {
        path: &["info", "xdr"],
        target: Target::Nodes,
        keywords: &["for", "with"],
        flags: &[],
        help: "Displays shipping to each data centre.",
        hidden: false,
        words: 0,
        requests: info_requests,
        render: info,
    },
    config(
        &["show", "config", "xdr"],
        "Displays XDR configuration with that of data centres and their namespaces.",
        config_namespace_requests,
        |answers, context| {
            let records = asked(answers, context)
                .into_iter()
                .map(|(node, answers)| {
                    record(answers.text_or_nothing(CONFIG), ';').with(NODE, name(node))
                })
                .collect();
            let mut pieces = vec![parameters("XDR Configuration", records, context)];
            pieces.extend(datacenters(answers, context, CONFIG, "DC Configuration"));
            pieces.extend(by_namespace(
                answers,
                context,
                CONFIG,
                "Namespace Configuration",
            ));
            pieces
        },
    ),
    config(
        &["show", "config", "xdr", "dcs"],
        "Displays the configuration of data centres.",
        |_, answers, context| datacenter_requests(answers, context, CONFIG),
        |answers, context| datacenters(answers, context, CONFIG, "DC Configuration"),
    ),
    View {
        hidden: true,
        ..config(
            &["show", "config", "dc"],
            "Replaced by `show config xdr dcs`: displays the configuration of data centres.",
            |_, answers, context| datacenter_requests(answers, context, CONFIG),
            |answers, context| {
                let mut pieces = datacenters(answers, context, CONFIG, "DC Configuration");
                pieces.push(deprecated("config", "dcs"));
                pieces
            },
        )
    },
    View {
        hidden: true,
        ..statistics(
            &["show", "statistics", "dc"],
            "Replaced by `show statistics xdr dc`: displays statistics of data centres.",
            |_, answers, context| datacenter_requests(answers, context, STATISTICS),
            |answers, context| {
                let mut pieces = datacenters(answers, context, STATISTICS, "DC Statistics");
                pieces.push(deprecated("statistics", "dc"));
                pieces
            },
        )
    },
    config(
        &["show", "config", "xdr", "namespaces"],
        "Displays the configuration of the namespaces that are shipped.",
        config_namespace_requests,
        |answers, context| by_namespace(answers, context, CONFIG, "Namespace Configuration"),
    ),
    config(
        &["show", "config", "xdr", "filters"],
        "Displays the filters of the namespaces.",
        filter_requests,
        filters,
    ),
    statistics(
        &["show", "statistics", "xdr"],
        "Displays statistics of data centres and their namespaces.",
        statistics_namespace_requests,
        |answers, context| {
            let mut pieces = datacenters(answers, context, STATISTICS, "DC Statistics");
            pieces.extend(namespace_statistics(answers, context));
            pieces
        },
    ),
    statistics(
        &["show", "statistics", "xdr", "dc"],
        "Displays statistics of data centres.",
        |_, answers, context| datacenter_requests(answers, context, STATISTICS),
        |answers, context| datacenters(answers, context, STATISTICS, "DC Statistics"),
    ),
    statistics(
        &["show", "statistics", "xdr", "namespace"],
        "Displays statistics of the namespaces that are shipped.",
        statistics_namespace_requests,
        namespace_statistics,
    ),
];

fn deprecated(family: &str, now: &str) -> Event {
    Event::Warning(format!(
        "'show {family} dc' is deprecated. Please use 'show {family} xdr {now}' instead."
    ))
}

/// The data centres that a node ships to.
fn names(answers: &NodeAnswers) -> Vec<String> {
    field(answers, CONFIG, "dcs")
}

/// The namespaces that a node ships to a data centre.
fn shipped(answers: &NodeAnswers, datacenter: &str) -> Vec<String> {
    field(answers, &of_datacenter(CONFIG, datacenter), "namespaces")
}

fn field(answers: &NodeAnswers, request: &str, wanted: &str) -> Vec<String> {
    fields(answers.text_or_nothing(request), ';')
        .into_iter()
        .find(|(name, _)| name == wanted)
        .map(|(_, values)| list(&values, ',').map(ToOwned::to_owned).collect())
        .unwrap_or_default()
}

fn of_datacenter(context: &str, datacenter: &str) -> String {
    format!("{context};dc={datacenter}")
}

fn of_namespace(context: &str, datacenter: &str, namespace: &str) -> String {
    format!("{context};dc={datacenter};namespace={namespace}")
}

/// The data centres that the words of `for` name, all of them.
fn wanted(answers: &NodeAnswers, context: &Context) -> Vec<String> {
    matching(answers, &Filter::of(context, "for"))
}

/// Those that its first word names, where the second is a namespace.
fn wanted_first(answers: &NodeAnswers, context: &Context) -> Vec<String> {
    matching(answers, &Filter::word(context, "for", 0))
}

fn matching(answers: &NodeAnswers, filter: &Result<Filter, Event>) -> Vec<String> {
    names(answers)
        .into_iter()
        .filter(|name| filter.as_ref().is_ok_and(|filter| filter.matches(name)))
        .collect()
}

fn datacenter_requests(answers: &NodeAnswers, context: &Context, of: &str) -> Vec<String> {
    let mut requests = vec![CONFIG.to_owned()];
    requests.extend(
        wanted(answers, context)
            .iter()
            .map(|name| of_datacenter(of, name)),
    );
    requests
}

/// The requests of `info xdr`.
pub(super) fn info_requests(_: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    datacenter_requests(answers, context, STATISTICS)
}

fn namespace_requests(answers: &NodeAnswers, of: &str) -> Vec<String> {
    let mut requests = vec![CONFIG.to_owned()];
    for datacenter in names(answers) {
        requests.push(of_datacenter(CONFIG, &datacenter));
        requests.push(of_datacenter(of, &datacenter));
        let namespaces = shipped(answers, &datacenter);
        requests.extend(
            namespaces
                .iter()
                .map(|namespace| of_namespace(of, &datacenter, namespace)),
        );
    }
    requests
}

fn config_namespace_requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    namespace_requests(answers, CONFIG)
}

fn statistics_namespace_requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    namespace_requests(answers, STATISTICS)
}

fn filter_request(datacenter: &str) -> String {
    format!("xdr-get-filter:dc={datacenter}")
}

fn filter_requests(_: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = vec![CONFIG.to_owned()];
    requests.extend(
        wanted_first(answers, context)
            .iter()
            .map(|name| filter_request(name)),
    );
    requests
}

/// Sheets by data centre, in the order of their names.
fn datacenters(answers: &Answers, context: &Context, of: &str, title: &str) -> Vec<Event> {
    let mut records: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (node, answers) in asked(answers, context) {
        for datacenter in wanted(answers, context) {
            let text = answers.text_or_nothing(&of_datacenter(of, &datacenter));
            records
                .entry(datacenter)
                .or_default()
                .push(record(text, ';').with(NODE, name(node)));
        }
    }
    let sheet = |(datacenter, records)| {
        let records = with_all_nodes(records, answers, context);
        parameters(&format!("XDR {datacenter} {title}"), records, context)
    };
    records.into_iter().map(sheet).collect()
}

/// One record for each node, data centre and namespace.
fn namespace_records(
    answers: &Answers,
    context: &Context,
    of: &str,
) -> Vec<(String, String, Record)> {
    let (wanted, centre) = match (
        Filter::word(context, "for", 0),
        Filter::word(context, "for", 1),
    ) {
        (Ok(namespace), Ok(centre)) => (namespace, centre),
        _ => return Vec::new(),
    };
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        for datacenter in names(answers)
            .into_iter()
            .filter(|name| centre.matches(name))
        {
            for namespace in shipped(answers, &datacenter)
                .into_iter()
                .filter(|name| wanted.matches(name))
            {
                let text = answers.text_or_nothing(&of_namespace(of, &datacenter, &namespace));
                let record = record(text, ';')
                    .with(NODE, name(node))
                    .with(DATACENTER, Value::text(&datacenter))
                    .with(NAMESPACE, Value::text(&namespace));
                records.push((datacenter.clone(), namespace, record));
            }
        }
    }
    records
}

fn by_namespace(answers: &Answers, context: &Context, of: &str, title: &str) -> Vec<Event> {
    let records = namespace_records(answers, context, of);
    let records = records
        .into_iter()
        .map(|(_, namespace, record)| (format!("XDR {namespace} {title}"), record));
    grouped(records, ("Datacenter", DATACENTER), context)
}

fn namespace_statistics(answers: &Answers, context: &Context) -> Vec<Event> {
    if !context.modifiers.flag("--by-dc") {
        return by_namespace(answers, context, STATISTICS, "Namespace Statistics");
    }
    let records = namespace_records(answers, context, STATISTICS);
    let title = |centre: &str| format!("XDR {centre} DC Namespace Statistics");
    let records = records
        .into_iter()
        .map(|(datacenter, _, record)| (title(&datacenter), record));
    grouped(records, ("Namespace", NAMESPACE), context)
}

/// One sheet for each title, its records grouped by a key.
fn grouped(
    records: impl Iterator<Item = (String, Record)>,
    (heading, key): (&'static str, &'static str),
    context: &Context,
) -> Vec<Event> {
    let mut by_title: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (title, record) in records {
        by_title.entry(title).or_default().push(record);
    }
    let sheet = |(title, records): (String, Vec<Record>)| match filtered(records, context) {
        Ok(records) => {
            let fields = vec![text(heading, key).into(), node().into(), dynamic(context)];
            let sheet = Sheet::new(stamped(&title, context), fields)
                .grouped(&[key])
                .records(records);
            Event::sheet(laid_out(sheet, context))
        }
        Err(piece) => piece,
    };
    by_title.into_iter().map(sheet).collect()
}

fn info_columns() -> Vec<Field> {
    vec![
        node().into(),
        integer("Success", "success").into(),
        group(
            "Retry",
            vec![
                integer("Connection Reset", "retry_conn_reset"),
                integer("Destination", "retry_dest"),
            ],
        ),
        integer("Recoveries Pending", "recoveries_pending")
            .sum()
            .into(),
        seconds("Lag (hh:mm:ss)", "lag").into(),
        integer("Avg Latency (ms)", "latency_ms")
            .below(Aggregate::Unknown)
            .into(),
        integer("Throughput (rec/s)", "throughput").into(),
    ]
}

/// The sheets of `info xdr`, by data centre.
pub(super) fn info(answers: &Answers, context: &Context) -> Vec<Event> {
    let mut by_centre: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for (node, answers) in asked(answers, context) {
        for datacenter in wanted(answers, context) {
            let mut record = of(node);
            match answers.text(&of_datacenter(STATISTICS, &datacenter)) {
                Some(statistics) => add(&mut record, statistics, ';'),
                None => fail(
                    &mut record,
                    &[
                        "success",
                        "recoveries_pending",
                        "lag",
                        "latency_ms",
                        "throughput",
                    ],
                ),
            }
            by_centre.entry(datacenter).or_default().push(record);
        }
    }
    let sheet = |(datacenter, mut records): (String, Vec<Record>)| {
        for node in &context.nodes {
            // Known and not reached.
            if !node.alive && answers.node(&node.key).is_some() {
                records.push(of(node));
            }
        }
        let title = stamped(&format!("XDR Information {datacenter}"), context);
        Event::sheet(Sheet::new(title, info_columns()).records(records))
    };
    by_centre.into_iter().map(sheet).collect()
}

/// Filters of the first node that tells them: they are the same on all nodes.
fn filters(answers: &Answers, context: &Context) -> Vec<Event> {
    let namespaces = Filter::word(context, "for", 1);
    let mut records = Vec::new();
    if let Some((_, answers)) = asked(answers, context).into_iter().next() {
        for datacenter in wanted_first(answers, context) {
            for entry in list(answers.text_or_nothing(&filter_request(&datacenter)), ';') {
                let mut record = Record::default().with(DATACENTER, Value::text(&datacenter));
                add(&mut record, entry, ':');
                let namespace = record.text("namespace").unwrap_or_default();
                if namespaces
                    .as_ref()
                    .is_ok_and(|filter| filter.matches(namespace))
                {
                    records.push(record);
                }
            }
        }
    }
    let columns = vec![
        text("Namespace", "namespace").into(),
        text("Datacenter", DATACENTER).into(),
        text("Base64 Expression", "b64-exp").into(),
        text("Expression", "exp").into(),
    ];
    let sheet = Sheet::new(stamped("XDR Filters", context), columns);
    vec![Event::sheet(
        sheet
            .grouped(&["namespace"])
            .ordered(&[DATACENTER])
            .records(records),
    )]
}
