//! `show distribution`.

use std::collections::BTreeMap;

use super::filter::Filter;
use super::read::{asked, namespaces, stamped};
use super::{Answers, Context, Flag, Node, NodeAnswers, Piece, Target, View};
use tools::sheet::{Column, Convert, Field, Format, NODE, Record, Rule, Sheet, Value, node};

const BYTES: Flag = Flag {
    names: &["-b"],
    takes_value: false,
};
/// Accepted for scripts; the ranges of the server are shown as they are, as the reference does.
const RANGES: Flag = Flag {
    names: &["-k"],
    takes_value: true,
};

const fn view(
    path: &'static [&'static str],
    help: &'static str,
    requests: fn(&Node, &NodeAnswers, &Context) -> Vec<String>,
    render: fn(&Answers, &Context) -> Vec<Piece>,
) -> View {
    View {
        path,
        target: Target::Nodes,
        keywords: &["for", "with"],
        flags: &[BYTES, RANGES],
        help,
        requests,
        render,
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["show", "distribution"],
        "Displays distributions of time to live and object size.",
        |_, answers, context| {
            let mut requests = requests(answers, context, &TIME_TO_LIVE);
            requests.extend(self::requests(answers, context, size(context)));
            requests
        },
        |answers, context| {
            let mut pieces = distributions(answers, context, &TIME_TO_LIVE);
            pieces.extend(distributions(answers, context, size(context)));
            pieces
        },
    ),
    view(
        &["show", "distribution", "time_to_live"],
        "Displays the distribution of time to live.",
        |_, answers, context| requests(answers, context, &TIME_TO_LIVE),
        |answers, context| distributions(answers, context, &TIME_TO_LIVE),
    ),
    view(
        &["show", "distribution", "object_size"],
        "Displays the distribution of object sizes.",
        |_, answers, context| requests(answers, context, size(context)),
        |answers, context| distributions(answers, context, size(context)),
    ),
];

/// A kind of histogram.
struct Kind {
    parameter: &'static str,
    title: &'static str,
    description: &'static str,
    /// Columns are ranges of values, not percentages of records.
    ranges: bool,
}

const TIME_TO_LIVE: Kind = Kind {
    parameter: "ttl",
    title: "TTL Distribution in Seconds",
    description: "Percentage of records having ttl less than or equal to value measured in Seconds",
    ranges: false,
};
const SIZE_LINEAR: Kind = Kind {
    parameter: "object-size-linear",
    title: "Object Size Distribution in Bytes",
    description: "Percentage of records having objsz less than or equal to value measured in Bytes",
    ranges: false,
};
const SIZE_RANGES: Kind = Kind {
    parameter: "object-size",
    title: "Object Size Distribution in Bytes",
    description: "Number of records having objsz in the range measured in Bytes",
    ranges: true,
};

fn size(context: &Context) -> &'static Kind {
    if context.modifiers.flag("-b") {
        &SIZE_RANGES
    } else {
        &SIZE_LINEAR
    }
}

fn request(kind: &Kind, namespace: &str) -> String {
    format!("histogram:namespace={namespace};type={}", kind.parameter)
}

fn requests(answers: &NodeAnswers, context: &Context, kind: &Kind) -> Vec<String> {
    let mut requests = vec!["namespaces".to_owned()];
    if let Ok(wanted) = Filter::of(context, "for") {
        requests.extend(
            namespaces(answers)
                .filter(|name| wanted.matches(name))
                .map(|name| request(kind, name)),
        );
    }
    requests
}

/// One sheet for each namespace, in the order in which the nodes name them.
fn distributions(answers: &Answers, context: &Context, kind: &Kind) -> Vec<Piece> {
    let wanted = match Filter::of(context, "for") {
        Ok(wanted) => wanted,
        Err(piece) => return vec![piece],
    };
    let asked = asked(answers, context);
    let mut names: Vec<&str> = Vec::new();
    for (_, answers) in &asked {
        for name in namespaces(answers).filter(|name| wanted.matches(name)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let sheet = |namespace: &str| {
        let texts: Vec<(&Node, &str)> = asked
            .iter()
            .filter_map(|(node, answers)| Some((*node, answers.text(&request(kind, namespace))?)))
            .collect();
        let (columns, records) = if kind.ranges {
            ranges(&texts)
        } else {
            percentages(&texts)
        };
        let title = stamped(&format!("{namespace} - {}", kind.title), context);
        let mut sheet = Sheet::new(title, columns).records(records);
        sheet.description = Some(kind.description.to_owned());
        Piece::sheet(sheet)
    };
    names.into_iter().map(sheet).collect()
}

fn node_column() -> Field {
    node().rules(&[Rule(Format::Bold, |_, _| true)]).into()
}

fn number(number: u64) -> Value {
    Value::Integer(number.into())
}

/// `10%` to `100%`: the upper bound of the bucket below which that share of the records lies; 0 without records.
fn percentages(texts: &[(&Node, &str)]) -> (Vec<Field>, Vec<Record>) {
    let mut columns = vec![node_column()];
    for percent in (10..=100).step_by(10) {
        let title = format!("{percent}%");
        columns.push(Column::new(title.clone(), title, Convert::Integer).into());
    }
    let records = texts
        .iter()
        .filter_map(|(node, text)| {
            let (width, buckets) = linear(text)?;
            let mut record = Record::default().with(NODE, Value::text(&node.name));
            let total: u64 = buckets
                .iter()
                .fold(0, |total, count| total.saturating_add(*count));
            for percent in (10..=100).step_by(10) {
                let bound = bound(&buckets, total, percent).saturating_mul(width);
                record.set(format!("{percent}%"), number(bound));
            }
            Some(record)
        })
        .collect();
    (columns, records)
}

/// The bucket width and the buckets of `units=U:hist-width=W:bucket-width=B:buckets=N,N,...`.
fn linear(text: &str) -> Option<(u64, Vec<u64>)> {
    let field = |wanted: &str| {
        text.split(':')
            .filter_map(|field| field.split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    let width = field("bucket-width")?.parse().ok()?;
    let buckets = field("buckets")?
        .split(',')
        .map(|count| count.trim_end_matches(';').parse().ok());
    Some((width, buckets.collect::<Option<_>>()?))
}

/// How many buckets hold that percentage of the records.
fn bound(buckets: &[u64], total: u64, percent: u64) -> u64 {
    let mut seen = 0u128;
    for (count, position) in buckets.iter().zip(1..) {
        seen += u128::from(*count);
        if total > 0 && seen * 100 >= u128::from(total) * u128::from(percent) {
            return position;
        }
    }
    0
}

/// Ranges in use on any node, by their lower bound: `[64-128)=135` is column `64-128`.
fn ranges(texts: &[(&Node, &str)]) -> (Vec<Field>, Vec<Record>) {
    let mut ranges: BTreeMap<(u64, String), ()> = BTreeMap::new();
    let mut rows: Vec<(&Node, BTreeMap<String, u64>)> = Vec::new();
    for (node, text) in texts {
        let mut row = BTreeMap::new();
        for (range, count) in text.split(':').filter_map(|field| field.split_once('=')) {
            let range = range.trim_matches(['[', ')']);
            let (Some((low, _)), Ok(count)) =
                (range.split_once('-'), count.trim_end_matches(';').parse())
            else {
                continue;
            };
            let Some(low) = scaled(low) else { continue };
            ranges.insert((low, range.to_owned()), ());
            row.insert(range.to_owned(), count);
        }
        rows.push((node, row));
    }
    let mut columns = vec![node_column()];
    columns.extend(ranges.keys().map(|(_, range)| {
        Field::from(Column::new(range.clone(), range.clone(), Convert::Integer))
    }));
    let records = rows
        .into_iter()
        .map(|(node, row)| {
            let mut record = Record::default().with(NODE, Value::text(&node.name));
            for (_, range) in ranges.keys() {
                record.set(range.clone(), number(row.get(range).copied().unwrap_or(0)));
            }
            record
        })
        .collect();
    (columns, records)
}

/// `16K` as a number.
fn scaled(text: &str) -> Option<u64> {
    let (digits, factor) = match text.chars().last()? {
        'K' => (text.strip_suffix('K')?, 1 << 10),
        'M' => (text.strip_suffix('M')?, 1 << 20),
        'G' => (text.strip_suffix('G')?, 1 << 30),
        _ => (text, 1u64),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}
