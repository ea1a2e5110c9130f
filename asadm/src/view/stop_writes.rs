//! `show stop-writes`: how near each node is to the limits at which it refuses writes.

use super::filter::Filter;
use super::read::{asked, list, namespaces, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};
use tools::sheet::{
    Convert, Field, Format, NODE, Record, Rule, Sheet, Value, boolean, node, right, share, text,
};

/// `show stop-writes`.
pub(super) const SHOW: View = View {
    path: &["show", "stop-writes"],
    target: Target::Nodes,
    keywords: &["for", "with"],
    flags: &[],
    help: "Displays the limits at which writes stop and how near they are.",
    hidden: false,
    words: 0,
    requests,
    render: |answers, context| vec![render(answers, context).unwrap_or_else(|piece| piece)],
};

const DESCRIPTION: &str =
    "Show all stop writes - add 'for <namespace> [<set>]' for a shorter list.";
/// Clock skew at which namespaces without strong consistency are warned about, in milliseconds.
const CLOCK_SKEW_MS: f64 = 40_000.0;

const CONFIG: &str = " config";
const NAMESPACE: &str = " namespace";
const SET: &str = " set";
const STOPPED: &str = " stopped";
const METRIC: &str = " metric";
const SHARE: &str = " share";
const USAGE: &str = " usage";
const THRESHOLD: &str = " threshold";

fn requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests = ["statistics", "namespaces", "sets"]
        .map(ToOwned::to_owned)
        .to_vec();
    requests.extend(namespaces(answers).map(|namespace| format!("namespace/{namespace}")));
    requests
}

/// One limit of one namespace or set at one node.
struct Limit<'a> {
    config: Option<&'static str>,
    namespace: &'a str,
    set: Option<&'a str>,
    metric: &'static str,
    convert: Convert,
    /// Usage and threshold count what is left.
    inverted: bool,
    /// As the server tells it, like the threshold; 0 is no threshold.
    usage: f64,
    threshold: f64,
    /// Whether the server says that writes stop, where it says so.
    stopped: Option<bool>,
}

impl Limit<'_> {
    /// What is used, of a number that may count what is left.
    fn used(&self, number: f64) -> f64 {
        if self.inverted {
            100.0 - number
        } else {
            number
        }
    }

    fn shown(&self, number: f64) -> Value {
        let text = self.convert.write(&whole(self.used(number)));
        let prefix = if self.inverted { "(inverted) " } else { "" };
        Value::shown(whole(number), format!("{prefix}{text}"))
    }

    fn record(&self, node: &Node) -> Record {
        let (usage, threshold) = (self.used(self.usage), self.used(self.threshold));
        let share = if usage > 0.0 && threshold > 0.0 {
            Value::Decimal(usage / threshold)
        } else {
            Value::Missing
        };
        let reached = self.threshold > 0.0 && usage >= threshold;
        let text = |text: Option<&str>| Value::or_missing(text.map(Value::text));
        let limit = if self.threshold > 0.0 {
            self.shown(self.threshold)
        } else {
            Value::Missing
        };
        Record::default()
            .with(NODE, Value::text(&node.name))
            .with(CONFIG, text(self.config))
            .with(NAMESPACE, Value::text(self.namespace))
            .with(SET, text(self.set))
            .with(
                STOPPED,
                Value::Boolean(reached && self.stopped.unwrap_or(true)),
            )
            .with(METRIC, Value::text(self.metric))
            .with(SHARE, share)
            .with(USAGE, self.shown(self.usage))
            .with(THRESHOLD, limit)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; decimals are cut off, as all numbers of servers here are whole ones"
)]
fn whole(number: f64) -> Value {
    Value::Integer(number as i128)
}

/// The first of these keys that the statistics have, with its number.
fn first(statistics: &Record, keys: &[&'static str]) -> Option<(&'static str, f64)> {
    keys.iter()
        .find_map(|key| Some((*key, statistics.number(key)?)))
}

/// Names of storage statistics: of all kinds since 7.0, of devices, of persistent memory.
const AVAILABLE: &[&str] = &[
    "data_avail_pct",
    "device_available_pct",
    "pmem_available_pct",
];
const USED: &[&str] = &["data_used_bytes", "device_used_bytes", "pmem_used_bytes"];
const TOTAL: &[&str] = &["data_total_bytes", "device_total_bytes", "pmem_total_bytes"];
/// Names of their limits, the newer first.
const AVAILABLE_LIMIT: &[&str] = &[
    "storage-engine.stop-writes-avail-pct",
    "storage-engine.min-avail-pct",
];
const USED_LIMIT: &[&str] = &[
    "storage-engine.stop-writes-used-pct",
    "storage-engine.max-used-pct",
];
const SYSTEM_LIMIT: &[&str] = &["stop-writes-sys-memory-pct"];
const MEMORY_LIMIT: &[&str] = &["stop-writes-pct"];

/// The limits of a namespace.
fn of_namespace<'a>(namespace: &'a str, statistics: &Record, service: &Record) -> Vec<Limit<'a>> {
    let truth = |key| statistics.text(key).map(|text| text == "true");
    let bare = |metric, usage, convert| Limit {
        config: None,
        namespace,
        set: None,
        metric,
        convert,
        inverted: false,
        usage,
        threshold: 0.0,
        stopped: truth("stop_writes"),
    };
    let mut limits = Vec::new();
    if let Some((metric, skew)) = first(service, &["cluster_clock_skew_ms"]) {
        // Records that expire are kept longer than clocks may differ, but where copies are strictly consistent.
        let strict = truth("strong-consistency").unwrap_or(false);
        let expires = statistics.number("nsup-period").is_none_or(|s| s != 0.0);
        let seconds = service.number("cluster_clock_skew_stop_writes_sec");
        limits.push(Limit {
            threshold: if !strict && expires {
                CLOCK_SKEW_MS
            } else {
                seconds.unwrap_or(0.0) * 1000.0
            },
            stopped: truth("clock_skew_stop_writes"),
            ..bare(metric, skew, Convert::Milliseconds)
        });
    }
    // A limit in percent, of the whole where there is one.
    let mut add = |limit: Limit<'a>, names: &[&'static str], whole: Option<f64>| {
        if let Some((config, percent)) = first(statistics, names) {
            limits.push(Limit {
                config: Some(config),
                threshold: whole.map_or(percent, |whole| whole * percent / 100.0),
                ..limit
            });
        }
    };
    if let Some((metric, free)) = first(service, &["system_free_mem_pct"]) {
        add(
            bare(metric, 100.0 - free, Convert::Percent),
            SYSTEM_LIMIT,
            None,
        );
    }
    let total = first(statistics, TOTAL).map(|(_, total)| total);
    if let (Some((metric, used)), Some(_)) = (first(statistics, USED), total) {
        add(bare(metric, used, Convert::Bytes), USED_LIMIT, total);
    }
    if let Some((metric, available)) = first(statistics, AVAILABLE) {
        let limit = Limit {
            inverted: true,
            ..bare(metric, available, Convert::Percent)
        };
        add(limit, AVAILABLE_LIMIT, None);
    }
    let memory = statistics.number("memory-size");
    if let (Some((metric, used)), Some(_)) = (first(statistics, &["memory_used_bytes"]), memory) {
        add(bare(metric, used, Convert::Bytes), MEMORY_LIMIT, memory);
    }
    limits
}

/// The limits of a set.
fn of_set<'a>(namespace: &'a str, set: &'a str, statistics: &Record) -> Vec<Limit<'a>> {
    let limit = |config, convert, metrics: &[&'static str]| {
        let (metric, usage) = first(statistics, metrics)?;
        Some(Limit {
            config: Some(config),
            namespace,
            set: Some(set),
            metric,
            convert,
            inverted: false,
            usage,
            threshold: statistics.number(config)?,
            stopped: None,
        })
    };
    let sizes = &["data_used_bytes", "device_data_bytes", "memory_data_bytes"];
    let limits = [
        limit("stop-writes-count", Convert::Count, &["objects"]),
        limit("stop-writes-size", Convert::Bytes, sizes),
    ];
    limits.into_iter().flatten().collect()
}

fn stopped(record: &Record) -> bool {
    *record.get(STOPPED) == Value::Boolean(true)
}

fn reaches(share: &Value, limit: f64) -> bool {
    share.number().is_some_and(|share| share >= limit)
}

fn columns() -> Vec<Field> {
    const STOPPED_ROW: &[Rule] = &[Rule(Format::YellowAlert, |_, record| stopped(record))];
    const STATE: &[Rule] = &[
        Rule(Format::RedAlert, |_, record| {
            reaches(record.get(SHARE), 0.9)
        }),
        Rule(Format::YellowAlert, |_, record| stopped(record)),
    ];
    const NEAR: &[Rule] = &[
        Rule(Format::RedAlert, |value, _| reaches(value, 0.9)),
        Rule(Format::YellowAlert, |value, record| {
            reaches(value, 0.75) || stopped(record)
        }),
    ];
    vec![
        text("Config", CONFIG).rules(STOPPED_ROW).into(),
        text("Namespace", NAMESPACE).rules(STOPPED_ROW).into(),
        text("Set", SET).rules(STOPPED_ROW).into(),
        node().rules(STOPPED_ROW).into(),
        boolean("Stop-Writes", STOPPED).rules(STATE).into(),
        text("Metric", METRIC).rules(STOPPED_ROW).into(),
        share("Usage%", SHARE).rules(NEAR).into(),
        right("Usage", USAGE).rules(STOPPED_ROW).into(),
        right("Threshold", THRESHOLD).rules(STOPPED_ROW).into(),
    ]
}

/// Whether a limit is reached somewhere.
pub(super) fn any(answers: &Answers, context: &Context) -> bool {
    records(answers, context).is_ok_and(|records| records.iter().any(stopped))
}

/// In the order that operators know: first what has no share, the other way round, then by share.
fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|a, b| a.get(METRIC).order(b.get(METRIC)));
    let (with, mut without): (Vec<_>, Vec<_>) = records
        .into_iter()
        .partition(|record| record.get(SHARE).is_entry());
    without.reverse();
    let mut with = with;
    with.sort_by(|a, b| a.get(SHARE).order(b.get(SHARE)));
    without.extend(with);
    without
}

fn render(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let mut sheet = Sheet::new(stamped("Stop Writes", context), columns())
        .ordered(&[])
        .records(in_order(records(answers, context)?));
    sheet.description = Some(DESCRIPTION.to_owned());
    Ok(Event::sheet(sheet))
}

fn records(answers: &Answers, context: &Context) -> Result<Vec<Record>, Event> {
    let wanted = Filter::word(context, "for", 0)?;
    let wanted_set = Filter::word(context, "for", 1)?;
    let only_sets = context.modifiers.keyword("for").len() > 1;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let service = record(answers.text_or_nothing("statistics"), ';');
        for namespace in namespaces(answers).filter(|name| !only_sets && wanted.matches(name)) {
            let statistics = answers.text_or_nothing(&format!("namespace/{namespace}"));
            let limits = of_namespace(namespace, &record(statistics, ';'), &service);
            records.extend(limits.iter().map(|limit| limit.record(node)));
        }
        for entry in list(answers.text_or_nothing("sets"), ';') {
            let statistics = record(entry, ':');
            let (Some(namespace), Some(set)) = (statistics.text("ns"), statistics.text("set"))
            else {
                continue;
            };
            if wanted.matches(namespace) && wanted_set.matches(set) {
                records.extend(
                    of_set(namespace, set, &statistics)
                        .iter()
                        .map(|limit| limit.record(node)),
                );
            }
        }
    }
    Ok(records)
}
