//! `info set`.

use super::namespace::NEARLY_FULL;
use super::read::{add, asked, fail, list, of, stamped};
use super::{Answers, Context, Event, Target, View};
use tools::sheet::{
    Aggregate, Field, Format, NODE, Record, Rule, Sheet, Value, boolean, byte_count, count, group,
    integer, node, share, text,
};

/// `info set`.
pub(super) const INFO: View = View {
    path: &["info", "set"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Displays size and settings of the sets.",
    hidden: false,
    words: 0,
    requests: |_, _, _| vec!["sets".to_owned()],
    render: |answers, context| vec![sets(answers, context)],
};

const SIZE_SHARE: &str = " size share";
const COUNT_SHARE: &str = " count share";
const QUOTA_RULES: &[Rule] = &[
    NEARLY_FULL,
    Rule(Format::YellowAlert, |value, _| {
        value.number().is_some_and(|share| share >= 0.75)
    }),
];

fn set_columns() -> Vec<Field> {
    vec![
        text("Namespace", "ns").or("ns_name").into(),
        text("Set", "set").or("set_name").into(),
        node().into(),
        boolean("Set Delete", "deleting").or("set-delete").into(),
        byte_count("Storage Engine Used", "data_used_bytes")
            .sum()
            .into(),
        byte_count("Memory Used", "memory_data_bytes").sum().into(),
        byte_count("Disk Used", "device_data_bytes").sum().into(),
        group(
            "Size Quota",
            vec![
                byte_count("Total", "stop-writes-size").sum(),
                share("Used%", SIZE_SHARE)
                    .below(Aggregate::Average("stop-writes-size"))
                    .rules(QUOTA_RULES),
            ],
        ),
        count("Total Records", "objects").sum().into(),
        group(
            "Records Quota",
            vec![
                integer("Total", "stop-writes-count"),
                share("Used%", COUNT_SHARE)
                    .below(Aggregate::Average("stop-writes-count"))
                    .rules(QUOTA_RULES),
            ],
        ),
        boolean("Disable Eviction", "disable-eviction")
            .or("set-disable-eviction")
            .into(),
        boolean("Set Enable XDR", "set-enable-xdr").into(),
        text("Set Index", " index").into(),
    ]
}

/// The sheet of `info set`.
fn sets(answers: &Answers, context: &Context) -> Event {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        if answers.failed("sets") {
            let mut record = of(node);
            fail(
                &mut record,
                &[
                    "ns",
                    "set",
                    "objects",
                    "stop-writes-count",
                    "disable-eviction",
                    " index",
                ],
            );
            records.push(record);
        }
        for set in list(answers.text_or_nothing("sets"), ';') {
            let mut record = of(node);
            add(&mut record, set, ':');
            let used =
                record.first_number(&["data_used_bytes", "device_data_bytes", "memory_data_bytes"]);
            for (share, quota, used) in [
                (SIZE_SHARE, "stop-writes-size", used),
                (COUNT_SHARE, "stop-writes-count", record.number("objects")),
            ] {
                let quota = record.number(quota).filter(|quota| *quota != 0.0);
                if let (Some(used), Some(quota)) = (used, quota) {
                    record.set(share, Value::Decimal(used / quota));
                }
            }
            record.set(" index", Value::or_missing(index_state(&record)));
            records.push(record);
        }
    }
    let sheet = Sheet::new(stamped("Set Information", context), set_columns());
    Event::sheet(
        sheet
            .grouped(&["ns", "set"])
            .ordered(&[NODE])
            .records(records),
    )
}

/// `No`, `Building` or `Yes`.
fn index_state(record: &Record) -> Option<Value> {
    let state = match (
        record.text("enable-index")?,
        record.text("index_populating"),
    ) {
        ("false", _) => "No",
        (_, Some("true")) => "Building",
        _ => "Yes",
    };
    Some(Value::text(state))
}
