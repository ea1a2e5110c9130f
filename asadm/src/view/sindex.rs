//! `info sindex` and `show sindex`.

use super::filter::Filter;
use super::read::{add, asked, fail, list, name, of, principal_text, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};
use tools::sheet::{
    Aggregate, NODE, Record, Sheet, Value, byte_count, count, group, integer, node, text,
};

const LIST: &str = "sindex-list:";

/// `info sindex`.
pub(super) const INFO: View = View {
    path: &["info", "sindex"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Displays state and size of the secondary indexes.",
    hidden: false,
    words: 0,
    requests,
    render: |answers, context| vec![info(answers, context)],
};

/// `show sindex`.
pub(super) const SHOW: View = View {
    path: &["show", "sindex"],
    target: Target::Principal,
    keywords: &["like"],
    flags: &[],
    help: "Displays the secondary indexes.",
    hidden: false,
    words: 0,
    requests: |_, _, _| vec![LIST.to_owned()],
    render: |answers, context| vec![show(answers, context).unwrap_or_else(|piece| piece)],
};

/// The indexes in a list, `null` fields left out.
fn indexes(text: &str) -> impl Iterator<Item = Record> {
    list(text, ';').map(|entry| {
        let mut index = record(entry, ':');
        let nulls: Vec<String> = index
            .keys()
            .filter(|key| index.text(key) == Some("null"))
            .map(ToOwned::to_owned)
            .collect();
        index.retain(|key| !nulls.iter().any(|null| null == key));
        index
    })
}

fn statistics_request(index: &Record) -> String {
    let field = |key| index.text(key).unwrap_or_default();
    format!(
        "sindex-stat:namespace={};indexname={}",
        field("ns"),
        field("indexname")
    )
}

fn requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests = vec![LIST.to_owned()];
    requests.extend(indexes(answers.text_or_nothing(LIST)).map(|index| statistics_request(&index)));
    // The storage type is a setting of the namespace.
    let namespaces = indexes(answers.text_or_nothing(LIST)).filter_map(|index| {
        index
            .text("ns")
            .map(|namespace| format!("namespace/{namespace}"))
    });
    for request in namespaces {
        if !requests.contains(&request) {
            requests.push(request);
        }
    }
    requests
}

fn info(answers: &Answers, context: &Context) -> Event {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        if answers.failed(LIST) {
            let mut record = of(node);
            fail(
                &mut record,
                &["indexname", "ns", "set", "bin", "type", " state", "entries"],
            );
            records.push(record);
        }
        for mut index in indexes(answers.text_or_nothing(LIST)) {
            match answers.text(&statistics_request(&index)) {
                Some(statistics) => add(&mut index, statistics, ';'),
                None => fail(
                    &mut index,
                    &[
                        "entries",
                        "entries_per_rec",
                        "entries_per_bval",
                        "used_bytes",
                    ],
                ),
            }
            let namespace = format!("namespace/{}", index.text("ns").unwrap_or_default());
            let namespace = record(answers.text_or_nothing(&namespace), ';');
            index.set("sindex-type", namespace.get("sindex-type").clone());
            index.set(NODE, name(node));
            index.set(
                " state",
                Value::or_missing(
                    index
                        .text("state")
                        .map(|state| Value::shown(Value::text(state), long_state(state))),
                ),
            );
            if let Some(keys) = keys(&index) {
                index.set(" keys", Value::Decimal(keys));
            }
            records.push(index);
        }
    }
    let columns = vec![
        text("Index Name", "indexname").into(),
        text("Namespace", "ns").into(),
        text("Set", "set").into(),
        node().into(),
        text("Bin", "bin").or("bins").into(),
        integer("Num Bins", "num_bins").into(),
        text("Bin Type", "type").into(),
        text("State", " state").into(),
        text("Sync State", "sync_state").into(),
        count("Keys", " keys").or("keys").into(),
        group(
            "Entries",
            vec![
                count("Total", "entries").sum(),
                count("Avg Per Rec", "entries_per_rec"),
                count("Avg Per Bin Val", "entries_per_bval").below(Aggregate::Sum),
            ],
        ),
        group(
            "Storage",
            vec![
                text("Type", "sindex-type"),
                byte_count("Used", "used_bytes")
                    .or("ibtr_memory_used")
                    .sum(),
            ],
        ),
        text("Context", "context").into(),
        text("Expression", "exp").into(),
    ];
    let sheet = Sheet::new(stamped("Secondary Index Information", context), columns);
    Event::sheet(
        sheet
            .grouped(&["ns", "set"])
            .ordered(&["indexname", NODE])
            .records(records),
    )
}

fn long_state(state: &str) -> &str {
    match state {
        "RW" => "Read-Write",
        "WO" => "Write-Only",
        other => other,
    }
}

/// Distinct keys: entries for each bin value.
fn keys(index: &Record) -> Option<f64> {
    let per_value = index
        .number("entries_per_bval")
        .filter(|per_value| *per_value != 0.0)?;
    Some(index.number("entries")? / per_value)
}

fn show(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let like = Filter::of(context, "like")?;
    let answer = principal_text(answers, context, LIST, "Failed to list secondary indexes")?;
    let records = indexes(answer)
        .filter(|index| {
            index
                .text("indexname")
                .is_some_and(|name| like.matches(name))
        })
        .collect();
    let columns = vec![
        text("Index Name", "indexname").into(),
        text("Namespace", "ns").into(),
        text("Set", "set").into(),
        integer("Bin", "bin").or("bins").into(),
        text("Bin Type", "type").into(),
        text("Index Type", "indextype").into(),
        text("State", "state").into(),
        text("Context", "context").into(),
        text("Expression", "exp").into(),
    ];
    let sheet = Sheet::new(stamped("Secondary Indexes", context), columns);
    Ok(Event::sheet(
        sheet
            .grouped(&["ns", "set"])
            .ordered(&["indexname"])
            .records(records),
    ))
}
