//! `info transactions`: namespaces with strong consistency.

use super::read::{add, asked, namespaces, of, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Path, Render, View};
use tools::sheet::{
    Field, Format, Record, Rule, Sheet, Value, byte_count, count, group, node, text,
};

const fn view(path: Path, help: &'static str, render: Render) -> View {
    View::of(path, help, requests, render)
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["info", "transactions"],
        "Displays transaction monitors and provisionals.",
        |answers, context| vec![monitors(answers, context), provisionals(answers, context)],
    ),
    view(
        &["info", "transactions", "monitors"],
        "Displays transaction monitors.",
        |answers, context| vec![monitors(answers, context)],
    ),
    view(
        &["info", "transactions", "provisionals"],
        "Displays transaction provisionals.",
        |answers, context| vec![provisionals(answers, context)],
    ),
];

const NAMESPACE: &str = " namespace";

/// The set that holds the monitors of a namespace.
fn monitor_set(namespace: &str) -> String {
    format!("sets/{namespace}/<ERO~MRT")
}

/// Statistics of a namespace if it is strongly consistent.
fn consistent(answers: &NodeAnswers, namespace: &str) -> Option<Record> {
    let statistics = record(answers.text(&format!("namespace/{namespace}"))?, ';');
    (statistics.text("strong-consistency") == Some("true")).then_some(statistics)
}

fn requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests = vec!["namespaces".to_owned()];
    for namespace in namespaces(answers) {
        requests.push(format!("namespace/{namespace}"));
        if consistent(answers, namespace).is_some() {
            requests.push(monitor_set(namespace));
        }
    }
    requests
}

fn records(answers: &Answers, context: &Context) -> Vec<Record> {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        for namespace in namespaces(answers) {
            if consistent(answers, namespace).is_none() {
                continue;
            }
            let mut entry = of(node).with(NAMESPACE, Value::text(namespace));
            add(
                &mut entry,
                answers.text_or_nothing(&format!("namespace/{namespace}")),
                ';',
            );
            let set = record(
                answers
                    .text_or_nothing(&monitor_set(namespace))
                    .trim_end_matches(';'),
                ':',
            );
            // A set that is not there yet is empty and has no limits.
            for (key, of_set) in [
                (" monitor bytes", "data_used_bytes"),
                (COUNT_LIMIT, "stop-writes-count"),
                (SIZE_LIMIT, "stop-writes-size"),
            ] {
                let number = set.number(of_set).unwrap_or(0.0);
                entry.set(key, whole(number));
            }
            records.push(entry);
        }
    }
    records
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; counts and bytes are whole numbers"
)]
fn whole(number: f64) -> Value {
    Value::Integer(number as i128)
}

const COUNT_LIMIT: &str = " count limit";
const SIZE_LIMIT: &str = " size limit";

/// More than a part of a limit, where there is one.
fn over(value: &Value, record: &Record, limit: &str, part: f64) -> bool {
    let limit = record.number(limit).filter(|limit| *limit > 0.0);
    limit
        .zip(value.number())
        .is_some_and(|(limit, number)| number > part * limit)
}

const NEAR_COUNT: &[Rule] = &[
    Rule(Format::RedAlert, |value, record| {
        over(value, record, COUNT_LIMIT, 0.9)
    }),
    Rule(Format::YellowAlert, |value, record| {
        over(value, record, COUNT_LIMIT, 0.7)
    }),
];
const NEAR_SIZE: &[Rule] = &[
    Rule(Format::RedAlert, |value, record| {
        over(value, record, SIZE_LIMIT, 0.9)
    }),
    Rule(Format::YellowAlert, |value, record| {
        over(value, record, SIZE_LIMIT, 0.7)
    }),
];
const ACTIVE: &[Rule] = &[Rule(Format::YellowAlert, |value, _| {
    value.number().is_some_and(|count| count > 0.0)
})];

fn outcomes(title: &'static str, keys: [&'static str; 3]) -> Field {
    let [success, error, timeout] = keys;
    group(
        title,
        vec![
            count("Success", success),
            count("Error", error),
            count("Timeout", timeout),
        ],
    )
}

fn sheet(title: &str, columns: Vec<Field>, answers: &Answers, context: &Context) -> Event {
    let sheet = Sheet::new(stamped(title, context), columns);
    Event::sheet(
        sheet
            .grouped(&[NAMESPACE])
            .records(records(answers, context)),
    )
}

fn monitors(answers: &Answers, context: &Context) -> Event {
    let columns = vec![
        text("Namespace", NAMESPACE).into(),
        node().into(),
        count("Count", "mrt_monitors").rules(NEAR_COUNT).into(),
        count("Active", "mrt_monitors_active").rules(ACTIVE).into(),
        count("Tombstones", "mrt_monitor_roll_tombstone_creates").into(),
        byte_count("Storage", " monitor bytes")
            .rules(NEAR_SIZE)
            .into(),
        outcomes(
            "Monitor Roll Back",
            [
                "mrt_monitor_roll_back_success",
                "mrt_monitor_roll_back_error",
                "mrt_monitor_roll_back_timeout",
            ],
        ),
        outcomes(
            "Monitor Roll Forward",
            [
                "mrt_monitor_roll_forward_success",
                "mrt_monitor_roll_forward_error",
                "mrt_monitor_roll_forward_timeout",
            ],
        ),
    ];
    sheet("Transaction Monitor Metrics", columns, answers, context)
}

fn provisionals(answers: &Answers, context: &Context) -> Event {
    let columns = vec![
        text("Namespace", NAMESPACE).into(),
        node().into(),
        count("Provisionals", "mrt_provisionals").into(),
        count("Transaction Blocked", "fail_mrt_blocked").into(),
        count("Version Mismatch", "fail_mrt_version_mismatch").into(),
        outcomes(
            "Verify Read",
            [
                "mrt_verify_read_success",
                "mrt_verify_read_error",
                "mrt_verify_read_timeout",
            ],
        ),
        outcomes(
            "Roll Back",
            [
                "mrt_roll_back_success",
                "mrt_roll_back_error",
                "mrt_roll_back_timeout",
            ],
        ),
        outcomes(
            "Roll Forward",
            [
                "mrt_roll_forward_success",
                "mrt_roll_forward_error",
                "mrt_roll_forward_timeout",
            ],
        ),
    ];
    sheet(
        "Transaction Provisionals Metrics",
        columns,
        answers,
        context,
    )
}
