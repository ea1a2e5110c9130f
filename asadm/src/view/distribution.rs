//! `show distribution`.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Filter;
use super::read::{asked, namespaces, stamped};
use super::{Answers, Context, Event, Flag, Node, NodeAnswers, Path, Render, Requests, View};
use tools::answer::at_least;
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

const fn view(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View {
        keywords: &["for", "with"],
        flags: &[BYTES, RANGES],
        ..View::of(path, help, requests, render)
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["show", "distribution"],
        "Displays distributions of time to live and object size.",
        |node, answers, context| {
            let mut requests = requests(node, answers, context, &TIME_TO_LIVE);
            requests.extend(self::requests(node, answers, context, size(context)));
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
        |node, answers, context| requests(node, answers, context, &TIME_TO_LIVE),
        |answers, context| distributions(answers, context, &TIME_TO_LIVE),
    ),
    view(
        &["show", "distribution", "object_size"],
        "Displays the distribution of object sizes.",
        |node, answers, context| requests(node, answers, context, size(context)),
        |answers, context| distributions(answers, context, size(context)),
    ),
];

/// A kind of histogram.
struct DistributionKind {
    parameter: &'static str,
    /// The name before 4.2.
    old: &'static str,
    title: &'static str,
    /// What is counted, in the words of the description.
    what: &'static str,
    /// The unit in title and description; without one the server's word for it.
    unit: Option<&'static str>,
    shape: Shape,
}

/// What the columns are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Percentages of records; cells are bounds of buckets, which belong to them.
    Bounds,
    /// The same; cells are the largest values of buckets.
    Largest,
    /// Ranges of values; cells are counts of records.
    Ranges,
}

const TIME_TO_LIVE: DistributionKind = DistributionKind {
    parameter: "ttl",
    old: "ttl",
    title: "TTL Distribution",
    what: "ttl",
    unit: Some("Seconds"),
    shape: Shape::Bounds,
};
const SIZE_LINEAR: DistributionKind = DistributionKind {
    parameter: "object-size-linear",
    old: "objsz",
    title: "Object Size Distribution",
    what: "objsz",
    unit: None,
    shape: Shape::Largest,
};
const SIZE_RANGES: DistributionKind = DistributionKind {
    parameter: "object-size",
    old: "objsz",
    title: "Object Size Distribution",
    what: "objsz",
    unit: Some("Bytes"),
    shape: Shape::Ranges,
};

/// The unit of servers that do not name one.
const BLOCKS: &str = "Record Blocks";
/// The version since which histograms name their unit.
const NAMED_SINCE: &[u32] = &[4, 2];

fn size(context: &Context) -> &'static DistributionKind {
    if context.modifiers.flag("-b") {
        &SIZE_RANGES
    } else {
        &SIZE_LINEAR
    }
}

fn request(node: &Node, kind: &DistributionKind, namespace: &str) -> String {
    if node.build.is_empty() || at_least(&node.build, NAMED_SINCE) {
        format!("histogram:namespace={namespace};type={}", kind.parameter)
    } else {
        format!("hist-dump:ns={namespace};hist={}", kind.old)
    }
}

fn requests(
    node: &Node,
    answers: &NodeAnswers,
    context: &Context,
    kind: &DistributionKind,
) -> Vec<String> {
    let mut requests = vec!["namespaces".to_owned()];
    if let Ok(wanted) = Filter::of(context, "for") {
        requests.extend(
            namespaces(answers)
                .filter(|name| wanted.matches(name))
                .map(|name| request(node, kind, name)),
        );
    }
    requests
}

/// One sheet for each namespace, in the order in which the nodes name them. Every node that was asked has a row.
fn distributions(answers: &Answers, context: &Context, kind: &DistributionKind) -> Vec<Event> {
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
        let texts: Vec<(&Node, Option<&str>)> = asked
            .iter()
            .map(|(node, answers)| (*node, answers.text(&request(node, kind, namespace))))
            .collect();
        if texts.iter().all(|(_, text)| text.is_none()) {
            return None;
        }
        let unit = match kind.unit {
            Some(unit) => unit,
            None => match unit(&texts) {
                Ok(unit) => unit,
                Err(piece) => return Some(piece),
            },
        };
        let title = format!("{namespace} - {} in {unit}", kind.title);
        let what = kind.what;
        let (columns, records, description) = if kind.shape == Shape::Ranges {
            let (columns, records) = ranges(&texts);
            let description =
                format!("Number of records having {what} in the range measured in {unit}");
            (columns, records, description)
        } else {
            let (columns, records) = percentages(&texts, kind.shape);
            let description = format!(
                "Percentage of records having {what} less than or equal to value measured in {unit}"
            );
            (columns, records, description)
        };
        let mut sheet = Sheet::new(stamped(&title, context), columns).records(records);
        sheet.description = Some(description);
        Some(Event::sheet(sheet))
    };
    names.into_iter().filter_map(sheet).collect()
}

/// The unit that the answers name. All of them have to be of one form.
fn unit<'a>(texts: &[(&Node, Option<&'a str>)]) -> Result<&'a str, Event> {
    let answers = || texts.iter().filter_map(|(_, text)| *text);
    let named: Vec<&str> = answers().filter_map(|text| field(text, "units")).collect();
    match named.last() {
        Some(_) if named.len() < answers().count() => {
            let text = "Different histogram formats on different nodes";
            Err(Event::Error(text.to_owned()))
        }
        Some(unit) => Ok(unit),
        None => Ok(BLOCKS),
    }
}

fn node_column() -> Field {
    node().rules(&[Rule(Format::Bold, |_, _| true)]).into()
}

fn number(number: u64) -> Value {
    Value::Integer(number.into())
}

/// `10%` to `100%`: the bucket below whose end that share of the records lies; 0 without records.
fn percentages(texts: &[(&Node, Option<&str>)], shape: Shape) -> (Vec<Field>, Vec<Record>) {
    let mut columns = vec![node_column()];
    for percent in (10..=100).step_by(10) {
        let title = format!("{percent}%");
        columns.push(Column::new(title.clone(), title, Convert::Integer).into());
    }
    let records = texts
        .iter()
        .map(|(node, text)| {
            let mut record = Record::default().with(NODE, Value::text(&node.name));
            if let Some((width, buckets)) = text.and_then(linear) {
                for (percent, bucket) in (10..=100).step_by(10).zip(percentiles(&buckets)) {
                    let end = bucket.saturating_mul(width);
                    let shown = match shape {
                        Shape::Largest => end.saturating_sub(1),
                        Shape::Bounds | Shape::Ranges => end,
                    };
                    record.set(format!("{percent}%"), number(shown));
                }
            }
            record
        })
        .collect();
    (columns, records)
}

fn field<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    text.split(':')
        .filter_map(|field| field.split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value)
}

/// The bucket width and the buckets of `units=U:hist-width=W:bucket-width=B:buckets=N,N,...`, or of servers before 4.2
/// `NS:HIST=LENGTH,B,N,N,...;`.
fn linear(text: &str) -> Option<(u64, Vec<u64>)> {
    let numbers = |list: &str| -> Option<Vec<u64>> {
        list.split(',')
            .map(|count| count.trim_end_matches(';').parse().ok())
            .collect()
    };
    if let Some(width) = field(text, "bucket-width") {
        return Some((width.parse().ok()?, numbers(field(text, "buckets")?)?));
    }
    let (_, rest) = text.split(';').next()?.split_once(',')?;
    let (width, buckets) = rest.split_once(',')?;
    Some((width.parse().ok()?, numbers(buckets)?))
}

/// For each tenth of the records how many buckets hold it.
///
/// A tenth is added up ten times, and each sum is a little off: a bucket that ends exactly at three tenths does not hold
/// them. Scripts know the numbers so.
fn percentiles(buckets: &[u64]) -> Vec<u64> {
    #[expect(clippy::cast_precision_loss, reason = "shares of record counts")]
    let share = |count: u128, total: u128| count as f64 / total as f64;
    let total: u128 = buckets.iter().map(|count| u128::from(*count)).sum();
    let mut found = Vec::with_capacity(10);
    let (mut seen, mut tenth) = (0_u128, 0.1);
    for (count, position) in buckets.iter().zip(1..) {
        seen += u128::from(*count);
        while total > 0 && found.len() < 10 && share(seen, total) >= tenth {
            tenth += 0.1;
            found.push(position);
        }
    }
    found.resize(10, 0);
    found
}

/// Ranges in use on any node, by their lower bound: `[64-128)=135` is column `64-128`.
fn ranges(texts: &[(&Node, Option<&str>)]) -> (Vec<Field>, Vec<Record>) {
    let mut ranges: BTreeSet<(u64, String)> = BTreeSet::new();
    let mut rows: Vec<(&Node, Option<BTreeMap<String, u64>>)> = Vec::new();
    for (node, text) in texts {
        let Some(text) = text else {
            rows.push((node, None));
            continue;
        };
        let mut row = BTreeMap::new();
        for (range, count) in text.split(':').filter_map(|field| field.split_once('=')) {
            let range = range.trim_matches(['[', ')']);
            let (Some((low, _)), Ok(count)) =
                (range.split_once('-'), count.trim_end_matches(';').parse())
            else {
                continue;
            };
            let Some(low) = scaled(low) else { continue };
            ranges.insert((low, range.to_owned()));
            row.insert(range.to_owned(), count);
        }
        rows.push((node, Some(row)));
    }
    let mut columns = vec![node_column()];
    columns.extend(ranges.iter().map(|(_, range)| {
        Field::from(Column::new(range.clone(), range.clone(), Convert::Integer))
    }));
    let records = rows
        .into_iter()
        .map(|(node, row)| {
            let mut record = Record::default().with(NODE, Value::text(&node.name));
            if let Some(row) = row {
                for (_, range) in &ranges {
                    // A range that the node does not name holds nothing.
                    record.set(range.clone(), number(row.get(range).copied().unwrap_or(0)));
                }
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
