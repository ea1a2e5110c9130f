//! `show stop-writes`: how near each node is to the limits at which it refuses writes.

use super::filter::Filter;
use super::read::{asked, list, namespaces, record, stamped};
use super::{Answers, Context, Node, NodeAnswers, Piece, Target, View};
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
    /// Usage and threshold count what is left, turned round.
    inverted: bool,
    usage: f64,
    threshold: f64,
}

impl Limit<'_> {
    fn shown(&self, number: f64) -> Value {
        let number = if self.convert == Convert::Percent {
            Value::Decimal(number)
        } else {
            whole(number)
        };
        let text = self.convert.write(&number);
        let prefix = if self.inverted { "(inverted) " } else { "" };
        Value::shown(number, format!("{prefix}{text}"))
    }

    fn record(&self, node: &Node) -> Record {
        let limited = self.threshold > 0.0;
        let share = if limited && (self.config.is_some() || self.usage > 0.0) {
            Value::Decimal(self.usage / self.threshold)
        } else {
            Value::Missing
        };
        Record::default()
            .with(NODE, Value::text(&node.name))
            .with(CONFIG, Value::or_missing(self.config.map(Value::text)))
            .with(NAMESPACE, Value::text(self.namespace))
            .with(SET, Value::or_missing(self.set.map(Value::text)))
            .with(
                STOPPED,
                Value::Boolean(limited && self.usage >= self.threshold),
            )
            .with(METRIC, Value::text(self.metric))
            .with(SHARE, share)
            .with(USAGE, self.shown(self.usage))
            .with(
                THRESHOLD,
                if limited {
                    self.shown(self.threshold)
                } else {
                    Value::Missing
                },
            )
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; counts and bytes are whole numbers"
)]
fn whole(number: f64) -> Value {
    Value::Integer(number.round() as i128)
}

/// The limits of a namespace.
fn of_namespace<'a>(namespace: &'a str, statistics: &Record, service: &Record) -> Vec<Limit<'a>> {
    let limit = |config, metric, convert, usage: Option<f64>, threshold: Option<f64>| {
        let (usage, threshold) = (usage?, threshold?);
        Some(Limit {
            config,
            namespace,
            set: None,
            metric,
            convert,
            inverted: false,
            usage,
            threshold,
        })
    };
    let skew_limit = service
        .number("cluster_clock_skew_stop_writes_sec")
        .filter(|seconds| *seconds > 0.0)
        .map_or(CLOCK_SKEW_MS, |seconds| seconds * 1000.0);
    let total =
        statistics.first_number(&["data_total_bytes", "device_total_bytes", "pmem_total_bytes"]);
    let used_limit = statistics.number("storage-engine.stop-writes-used-pct");
    let rest = |percent: f64| 100.0 - percent;
    let limits = [
        limit(
            None,
            "cluster_clock_skew_ms",
            Convert::Milliseconds,
            service.number("cluster_clock_skew_ms"),
            Some(skew_limit),
        ),
        limit(
            Some("stop-writes-sys-memory-pct"),
            "system_free_mem_pct",
            Convert::Percent,
            service.number("system_free_mem_pct").map(rest),
            statistics.number("stop-writes-sys-memory-pct"),
        ),
        limit(
            Some("storage-engine.stop-writes-used-pct"),
            "data_used_bytes",
            Convert::Bytes,
            statistics.first_number(&["data_used_bytes", "device_used_bytes", "pmem_used_bytes"]),
            total
                .zip(used_limit)
                .map(|(total, percent)| total * percent / 100.0),
        ),
        limit(
            Some("storage-engine.stop-writes-avail-pct"),
            "data_avail_pct",
            Convert::Percent,
            statistics
                .first_number(&[
                    "data_avail_pct",
                    "device_available_pct",
                    "pmem_available_pct",
                ])
                .map(rest),
            statistics
                .number("storage-engine.stop-writes-avail-pct")
                .map(rest),
        )
        .map(|limit| Limit {
            inverted: true,
            ..limit
        }),
        limit(
            Some("stop-writes-pct"),
            "memory_used_bytes",
            Convert::Bytes,
            statistics.number("memory_used_bytes"),
            statistics
                .number("memory-size")
                .zip(statistics.number("stop-writes-pct"))
                .map(|(total, percent)| total * percent / 100.0),
        ),
    ];
    limits.into_iter().flatten().collect()
}

/// The limits of a set.
fn of_set<'a>(namespace: &'a str, set: &'a str, statistics: &Record) -> Vec<Limit<'a>> {
    let limit = |config, metric, convert, usage: &[&str]| {
        let (usage, threshold) = (statistics.first_number(usage)?, statistics.number(config)?);
        let config = Some(config);
        Some(Limit {
            config,
            namespace,
            set: Some(set),
            metric,
            convert,
            inverted: false,
            usage,
            threshold,
        })
    };
    let limits = [
        limit("stop-writes-count", "objects", Convert::Count, &["objects"]),
        limit(
            "stop-writes-size",
            "data_used_bytes",
            Convert::Bytes,
            &["data_used_bytes", "device_data_bytes", "memory_data_bytes"],
        ),
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
            stopped(record) || reaches(record.get(SHARE), 0.9)
        }),
        Rule(Format::YellowAlert, |_, record| {
            reaches(record.get(SHARE), 0.75)
        }),
    ];
    const NEAR: &[Rule] = &[
        Rule(Format::RedAlert, |value, _| reaches(value, 0.9)),
        Rule(Format::YellowAlert, |value, _| reaches(value, 0.75)),
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

fn render(answers: &Answers, context: &Context) -> Result<Piece, Piece> {
    let mut sheet = Sheet::new(stamped("Stop Writes", context), columns())
        .ordered(&[SHARE, METRIC])
        .records(records(answers, context)?);
    sheet.description = Some(DESCRIPTION.to_owned());
    Ok(Piece::sheet(sheet))
}

fn records(answers: &Answers, context: &Context) -> Result<Vec<Record>, Piece> {
    let wanted = Filter::word(context, "for", 0)?;
    let wanted_set = Filter::word(context, "for", 1)?;
    let only_sets = context.modifiers.keyword("for").len() > 1;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let service = record(answers.text("statistics").unwrap_or_default(), ';');
        for namespace in namespaces(answers).filter(|name| !only_sets && wanted.matches(name)) {
            let statistics = answers
                .text(&format!("namespace/{namespace}"))
                .unwrap_or_default();
            let limits = of_namespace(namespace, &record(statistics, ';'), &service);
            records.extend(limits.iter().map(|limit| limit.record(node)));
        }
        for entry in list(answers.text("sets").unwrap_or_default(), ';') {
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
