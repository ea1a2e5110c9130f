//! `summary`: the cluster and its namespaces in numbers, as two sheets or as text.

use super::summary_text;
use super::usage::{DATA_KINDS, INDEX_KINDS, Totals, collect};
use super::{Answers, Context, Event, Flag, Node, NodeAnswers, Target, View};
use tools::sheet::{
    Column, Convert, Field, Format, Layout, Record, Rule, Sheet, Value, byte_count, bytes, group,
    integer, right, text,
};

/// `summary`.
pub(super) const SHOW: View = View {
    path: &["summary"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[Flag {
        names: &["-l"],
        takes_value: false,
    }],
    help: "Displays the cluster and its namespaces in numbers.",
    hidden: false,
    words: 0,
    requests,
    render,
};

fn requests(node: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = super::features::requests(node, answers, context);
    requests.push("cluster-name".to_owned());
    requests.push(super::network::edition_request(node).to_owned());
    requests
}

fn render(answers: &Answers, context: &Context) -> Vec<Event> {
    let summary = collect(answers, context);
    if context.modifiers.flag("-l") {
        return vec![Event::Text(summary_text::write(&summary))];
    }
    vec![cluster(&summary), namespaces(&summary)]
}

/// The totals of one kind of memory or storage as three values.
fn used_percent(totals: &Totals) -> Value {
    Value::or_missing(
        totals
            .used_share()
            .map(|share| Value::Decimal(share * 100.0)),
    )
}

fn available_percent(totals: &Totals) -> Value {
    Value::or_missing(
        totals
            .available_share()
            .map(|share| Value::Decimal(share * 100.0)),
    )
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates; bytes and counts are whole numbers"
)]
fn whole(number: f64) -> Value {
    Value::Integer(number.round() as i128)
}

/// A value of bytes; none if it is 0 or unknown.
fn some_bytes(number: f64) -> Value {
    if number > 0.0 {
        whole(number)
    } else {
        Value::Missing
    }
}

/// Lines of one record, each a column of its own.
#[derive(Default)]
struct Lines {
    fields: Vec<Field>,
    record: Record,
}

impl Lines {
    fn add(&mut self, title: impl Into<String>, convert: Convert, value: Value) {
        self.add_with(title, convert, value, &[]);
    }

    fn add_with(
        &mut self,
        title: impl Into<String>,
        convert: Convert,
        value: Value,
        rules: &'static [Rule],
    ) {
        let title = title.into();
        let column = Column::new(title.clone(), title.clone(), convert);
        self.fields.push(column.rules(rules).into());
        self.record.set(title, value);
    }

    /// Lines of a kind with a total: total, used, used share and, for storage, what is left.
    fn space(&mut self, title: &str, totals: &Totals) {
        if totals.total > 0.0 {
            self.add(
                format!("{title} Total"),
                Convert::Bytes,
                some_bytes(totals.total),
            );
        }
        // What has a size is shown when it is empty, too.
        let used = if totals.total > 0.0 {
            whole(totals.used)
        } else {
            some_bytes(totals.used)
        };
        self.add(format!("{title} Used"), Convert::Bytes, used);
        self.add(
            format!("{title} Used%"),
            Convert::Percent,
            used_percent(totals),
        );
        if let Some(available) = totals.available {
            self.add(
                format!("{title} Avail"),
                Convert::Bytes,
                Value::Decimal(available),
            );
            self.add(
                format!("{title} Avail%"),
                Convert::Percent,
                available_percent(totals),
            );
        }
    }
}

const FALSE: Value = Value::Boolean(false);
const GOOD_IF_FALSE: &[Rule] = &[
    Rule(Format::RedAlert, |value, _| *value != FALSE),
    Rule(Format::GreenAlert, |value, _| *value == FALSE),
];
const BAD_IF_FALSE: &[Rule] = &[Rule(Format::RedAlert, |value, _| *value == FALSE)];

fn cluster(summary: &super::usage::Summary) -> Event {
    let mut lines = Lines::default();
    let list = |items: &[String]| Value::List(items.to_vec());
    lines.add_with(
        "Migrations",
        Convert::Boolean,
        Value::Boolean(summary.migrations),
        GOOD_IF_FALSE,
    );
    lines.add("Cluster Name", Convert::Text, list(&summary.names));
    lines.add("Server Version", Convert::Text, list(&summary.versions));
    // Of other machines it would take ssh to know.
    lines.add("OS Version", Convert::Text, list(&summary.systems));
    lines.add(
        "Cluster Size",
        Convert::Text,
        Value::Integers(
            summary
                .sizes
                .iter()
                .filter_map(|size| size.parse().ok())
                .collect(),
        ),
    );
    lines.add(
        "Devices Total",
        Convert::Integer,
        Value::Integer(summary.devices.total()),
    );
    lines.add(
        "Devices Per-Node",
        Convert::Integer,
        Value::Integer(summary.devices.per_node()),
    );
    lines.add_with(
        "Devices Equal Across Nodes",
        Convert::Boolean,
        Value::Boolean(summary.devices.equal()),
        BAD_IF_FALSE,
    );
    if let Some(memory) = &summary.memory {
        lines.space("Memory (Data + Indexes)", memory);
    }
    let free = summary.system.available_share();
    let percent =
        |share: Option<f64>| Value::or_missing(share.map(|share| Value::Decimal(share * 100.0)));
    lines.add(
        "System Memory Used%",
        Convert::Percent,
        percent(free.map(|free| 1.0 - free)),
    );
    lines.add("System Memory Avail%", Convert::Percent, percent(free));
    for (kind, title) in INDEX_KINDS {
        lines.space(&format!("{title} Index"), &summary.index(kind));
    }
    for (kind, title) in INDEX_KINDS {
        lines.space(&format!("{title} Sindex"), &summary.sindex(kind));
    }
    lines.add(
        "Set Index Used",
        Convert::Bytes,
        some_bytes(summary.set_index()),
    );
    let budget = summary.budget();
    if budget.total > 0.0 {
        lines.space("Indexes Memory", &budget);
    }
    for (kind, title) in DATA_KINDS {
        lines.space(title, &summary.data(kind));
    }
    lines.add(
        "License Usage Latest",
        Convert::Bytes,
        whole(summary.license()),
    );
    lines.add(
        "Namespaces Active",
        Convert::Integer,
        Value::Integer(summary.active()),
    );
    lines.add(
        "Namespaces Total",
        Convert::Integer,
        Value::Integer(summary.total()),
    );
    lines.add(
        "Active Features",
        Convert::Text,
        Value::List(
            summary
                .features
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        ),
    );
    Event::sheet(Sheet {
        title: "Cluster Summary".to_owned(),
        layout: Layout::Rows,
        fields: lines.fields,
        records: vec![lines.record],
        ..Sheet::default()
    })
}

/// Put the totals of one kind under keys that begin with its title.
fn set_space(record: &mut Record, title: &str, totals: &Totals) {
    record.set(format!("{title} Total"), some_bytes(totals.total));
    record.set(format!("{title} Used"), some_bytes(totals.used));

    record.set(format!("{title} Used%"), used_percent(totals));
    record.set(format!("{title} Avail%"), available_percent(totals));
}

fn space_columns(title: String, columns: &[(&'static str, Convert)]) -> Field {
    let column = |(name, convert): &(&'static str, Convert)| {
        Column::new(*name, format!("{title} {name}"), *convert)
    };
    Field::Group(title.clone().into(), columns.iter().map(column).collect())
}

const INDEX_COLUMNS: &[(&str, Convert)] = &[
    ("Total", Convert::Bytes),
    ("Used", Convert::Bytes),
    ("Used%", Convert::Percent),
];
const SHARED_COLUMNS: &[(&str, Convert)] = &[
    ("Total", Convert::Bytes),
    ("Used%", Convert::Percent),
    ("Avail%", Convert::Percent),
];

fn namespace_columns() -> Vec<Field> {
    let mut columns = vec![
        text("Namespace", " namespace").rules(MIGRATING).into(),
        group(
            "Drives",
            vec![
                integer("Total", " devices"),
                integer("Per-Node", " devices per node"),
            ],
        ),
        space_columns("Memory (Data + Indexes)".to_owned(), SHARED_COLUMNS),
    ];
    for (kind, title) in INDEX_KINDS {
        // What is in shared memory is part of the memory of the node and has no column of its own.
        if *kind != "shmem" {
            columns.push(space_columns(format!("{title} Index"), INDEX_COLUMNS));
        }
    }
    for (_, title) in INDEX_KINDS {
        columns.push(space_columns(format!("{title} Sindex"), INDEX_COLUMNS));
    }
    columns.push(group("Set Index", vec![byte_count("Used", " set index")]));
    for (_, title) in DATA_KINDS {
        columns.push(space_columns((*title).to_owned(), SHARED_COLUMNS));
    }
    columns.extend([
        right("Replication Factors", " factors").into(),
        Column::new("Master Objects", " objects", Convert::Count).into(),
        Column::new("Compression Ratio", " compression", Convert::Decimal).into(),
        group("License Usage", vec![text("Latest", " license")]),
    ]);
    columns
}

const MIGRATING: &[Rule] = &[Rule(Format::RedAlert, |_, record| {
    *record.get(" migrating") == Value::Boolean(true)
})];

fn namespaces(summary: &super::usage::Summary) -> Event {
    let records = summary.namespaces.iter().map(|namespace| {
        let mut record = Record::default()
            .with(" namespace", Value::text(&namespace.name))
            .with(" migrating", Value::Boolean(namespace.migrates))
            .with(" devices", Value::Integer(namespace.devices.total()))
            .with(
                " devices per node",
                Value::Integer(namespace.devices.per_node()),
            )
            .with(" set index", some_bytes(namespace.set_index))
            .with(" factors", Value::text(namespace.factors.join(", ")))
            .with(" objects", whole(namespace.master_objects))
            .with(" compression", Value::Decimal(namespace.compression()));
        if let Some(license) = namespace.license() {
            record.set(" license", Value::shown(whole(license), bytes(license)));
        }
        if let Some(memory) = &namespace.memory {
            set_space(&mut record, "Memory (Data + Indexes)", memory);
        }
        for (kind, title) in INDEX_KINDS {
            set_space(
                &mut record,
                &format!("{title} Index"),
                &namespace.index(kind),
            );
            set_space(
                &mut record,
                &format!("{title} Sindex"),
                &namespace.sindex(kind),
            );
        }
        for (kind, title) in DATA_KINDS {
            set_space(&mut record, title, &namespace.data(kind));
        }
        record
    });
    let columns = namespace_columns();
    let sheet = Sheet::new("Namespace Summary", columns).grouped(&[" namespace"]);
    Event::sheet(sheet.records(records.collect()))
}
