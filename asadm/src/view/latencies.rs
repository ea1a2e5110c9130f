//! `show latencies`.

use std::collections::BTreeSet;

use super::filter::Filter;
use super::read::{asked, list, namespaces, stamped};
use super::{Answers, Context, Event, Flag, Node, NodeAnswers, Target, View};
use tools::answer::at_least;
use tools::sheet::{
    Aggregate, Column, Convert, Field, Format, NODE, Record, Rule, Sheet, Value, node, read_number,
    text,
};

/// `show latencies`.
pub(super) const SHOW: View = View {
    path: &["show", "latencies"],
    target: Target::Nodes,
    keywords: &["for", "like", "with"],
    flags: &[
        Flag {
            names: &["-e"],
            takes_value: true,
        },
        Flag {
            names: &["-b"],
            takes_value: true,
        },
        Flag {
            names: &["-v"],
            takes_value: false,
        },
    ],
    help: "Displays operations per second and how many were slower than 2^N units.",
    hidden: false,
    words: 0,
    requests,
    render: |answers, context| vec![render(answers, context).unwrap_or_else(|piece| piece)],
};

/// Servers before 5.1 have another command whose answers cannot be compared.
const SINCE: &[u32] = &[5, 1];
const ALL: &str = "latencies:";
/// Histograms that are off by default, for each namespace.
const OPTIONAL: &[&str] = &[
    "proxy",
    "benchmarks-ops-sub",
    "benchmarks-read",
    "benchmarks-write",
    "benchmarks-udf",
    "benchmarks-udf-sub",
    "benchmarks-batch-sub",
];
const FABRIC: &str = "latencies:hist=benchmarks-fabric";
/// Bounds of a histogram: 2^0 to 2^16 units.
const BOUNDS: usize = 17;
const NAMESPACE: &str = " namespace";
const HISTOGRAM: &str = " histogram";
const OPS: &str = " ops";

fn requests(_: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = vec![ALL.to_owned()];
    if context.modifiers.flag("-v") {
        requests.push("namespaces".to_owned());
        requests.extend(optional(answers));
    }
    requests
}

fn optional(answers: &NodeAnswers) -> Vec<String> {
    let of_namespace = |namespace: &str| {
        let request = |kind: &&str| format!("latencies:hist={{{namespace}}}-{kind}");
        OPTIONAL.iter().map(request).collect::<Vec<_>>()
    };
    namespaces(answers)
        .flat_map(of_namespace)
        .chain([FABRIC.to_owned()])
        .collect()
}

/// One histogram of one node.
struct Histogram<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    unit: &'a str,
    /// Operations per second, then the percentage that was slower than each bound.
    numbers: Vec<&'a str>,
}

/// Parse `{NS}-NAME:UNIT,OPS,P0,...`; `None` for a histogram without numbers.
fn parse(entry: &str) -> Option<Histogram<'_>> {
    let (name, rest) = entry.split_once(':')?;
    let mut numbers = rest.split(',');
    let unit = numbers.next().filter(|unit| !unit.is_empty())?;
    let (namespace, name) = match name
        .strip_prefix('{')
        .and_then(|name| name.split_once("}-"))
    {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    Some(Histogram {
        namespace,
        name,
        unit,
        numbers: numbers.collect(),
    })
}

fn render(answers: &Answers, context: &Context) -> Result<Event, Event> {
    let like = Filter::of(context, "like")?;
    let wanted = Filter::of(context, "for")?;
    let number = |flag| {
        let number = context.modifiers.number(flag);
        number.map_err(|given| Event::Error(format!("{flag} takes a number, not `{given}`")))
    };
    let step = number("-e")?.unwrap_or(3).max(1);
    let count = number("-b")?.unwrap_or(3);
    let bounds: Vec<usize> = (0..BOUNDS).step_by(step).take(count).collect();
    let mut records = Vec::new();
    let mut unit = None;
    let asked = asked(answers, context);
    if !asked.iter().any(|(node, _)| at_least(&node.build, SINCE)) {
        return Err(Event::Error(
            "'show latencies' needs servers of version 5.1 or later.".to_owned(),
        ));
    }
    for (node, answers) in asked {
        let mut seen = BTreeSet::new();
        let requests = [ALL.to_owned()].into_iter().chain(optional(answers));
        for request in requests {
            for histogram in list(answers.text_or_nothing(&request), ';').filter_map(parse) {
                let in_namespace = match histogram.namespace {
                    Some(namespace) => wanted.matches(namespace),
                    None => !context.modifiers.has("for"),
                };
                if !in_namespace
                    || !like.matches(histogram.name)
                    || !seen.insert((
                        histogram.namespace.map(str::to_owned),
                        histogram.name.to_owned(),
                    ))
                {
                    continue;
                }
                unit.get_or_insert_with(|| if histogram.unit == "usec" { "us" } else { "ms" });
                records.push(record(node, &histogram, &bounds));
            }
        }
    }
    let sheet = Sheet::new(
        stamped("Latency ", context),
        columns(&bounds, unit.unwrap_or("ms")),
    );
    let mut sheet = sheet.grouped(&[NAMESPACE, HISTOGRAM]).records(records);
    sheet.repeat_groups = false;
    Ok(Event::sheet(sheet))
}

fn record(node: &Node, histogram: &Histogram<'_>, bounds: &[usize]) -> Record {
    let number = |position: usize| {
        Value::or_missing(
            histogram
                .numbers
                .get(position)
                .map(|text| read_number((*text).to_owned())),
        )
    };
    let mut record = Record::default()
        .with(NODE, Value::text(&node.name))
        .with(
            NAMESPACE,
            Value::or_missing(histogram.namespace.map(Value::text)),
        )
        .with(HISTOGRAM, Value::text(histogram.name))
        .with(OPS, number(0));
    for bound in bounds {
        record.set(bound.to_string(), number(bound + 1));
    }
    record
}

/// Nodes stand out, without a marker.
const BOLD: &[Rule] = &[Rule(Format::Bold, |_, _| true)];

fn columns(bounds: &[usize], unit: &str) -> Vec<Field> {
    let mut columns: Vec<Field> = vec![
        text("Namespace", NAMESPACE).into(),
        text("Histogram", HISTOGRAM).into(),
        node().rules(BOLD).into(),
        Column::new("ops/sec", OPS, Convert::Decimal)
            .below(Aggregate::RoundedSum)
            .into(),
    ];
    columns.extend(bounds.iter().map(|bound| {
        let title = format!(">{}{unit}", 1u64 << bound);
        Column::new(title, bound.to_string(), Convert::Decimal)
            .below(Aggregate::RoundedAverage(OPS))
            .into()
    }));
    columns
}
