//! `show jobs`.

use super::filter::Filter;
use super::parameters::{FLIP, laid_out};
use super::read::{asked, list, name, record, stamped};
use super::{Answers, Context, Event, Node, Path, Render, Requests, View};
use tools::answer::at_least;
use tools::sheet::{
    Column, Convert, Dynamic, Field, Format, NODE, Record, Rule, Sheet, Value, integer, node,
    percentage, text,
};

const fn view(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View {
        keywords: &["where", "--where", "for", "like", "trid", "with"],
        flags: &[FLIP],
        ..View::of(path, help, requests, render)
    }
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["show", "jobs"],
        "Displays queries, scans and index builders.",
        |node, _, _| KINDS.iter().filter_map(|kind| kind.request(node)).collect(),
        |answers, context| {
            let shown = KINDS
                .iter()
                .filter(|kind| kind.known_to_any(answers, context));
            shown.map(|kind| jobs(answers, context, kind)).collect()
        },
    ),
    view(
        &["show", "jobs", "queries"],
        "Displays queries.",
        |node, _, _| QUERIES.request(node).into_iter().collect(),
        |answers, context| vec![jobs(answers, context, &QUERIES)],
    ),
    view(
        &["show", "jobs", "scans"],
        "Displays scans of servers before 6.0.",
        |node, _, _| SCANS.request(node).into_iter().collect(),
        |answers, context| vec![jobs(answers, context, &SCANS)],
    ),
    view(
        &["show", "jobs", "sindex-builder"],
        "Displays secondary index builders of servers before 5.7.",
        |node, _, _| BUILDERS.request(node).into_iter().collect(),
        |answers, context| vec![jobs(answers, context, &BUILDERS)],
    ),
];

/// A kind of job.
struct JobsKind {
    title: &'static str,
    /// The command since 5.7.
    request: Option<&'static str>,
    /// The module of `jobs:module=M` before 5.7.
    module: &'static str,
    /// The version that removed the kind, and what to say then.
    removed: Option<(&'static [u32], &'static str)>,
}

const QUERIES: JobsKind = JobsKind {
    title: "Query Jobs",
    request: Some("query-show"),
    module: "query",
    removed: None,
};
const SCANS: JobsKind = JobsKind {
    title: "Scan Jobs",
    request: Some("scan-show"),
    module: "scan",
    removed: Some((
        &[6],
        "Scans were unified into queries in server v. 6.0 and later. Use 'show jobs queries' instead.",
    )),
};
const BUILDERS: JobsKind = JobsKind {
    title: "SIndex Builder Jobs",
    request: None,
    module: "sindex-builder",
    removed: Some((
        &[5, 7],
        "SIndex builder jobs were removed in server v. 5.7 and later.",
    )),
};
const KINDS: &[JobsKind] = &[QUERIES, SCANS, BUILDERS];

impl JobsKind {
    /// What to ask a node; `None` if its version does not know the kind.
    fn request(&self, node: &Node) -> Option<String> {
        if self
            .removed
            .is_some_and(|(version, _)| at_least(&node.build, version))
        {
            return None;
        }
        match self.request {
            Some(request) if at_least(&node.build, &[5, 7]) => Some(request.to_owned()),
            _ => Some(format!("jobs:module={}", self.module)),
        }
    }

    fn known_to_any(&self, answers: &Answers, context: &Context) -> bool {
        asked(answers, context)
            .iter()
            .any(|(node, _)| self.request(node).is_some())
    }
}

fn columns() -> Vec<Field> {
    const DONE: &[Rule] = &[
        Rule(Format::GreenAlert, |value, _| value.number() == Some(100.0)),
        Rule(Format::YellowAlert, |_, _| true),
    ];
    vec![
        node().into(),
        text("Namespace", "ns").into(),
        text("Module", "module").into(),
        text("Type", "job-type").into(),
        percentage("Progress%", "job-progress").rules(DONE).into(),
        integer("Transaction ID", "trid").into(),
        Column::new("Time Since Done", "time-since-done", Convert::Milliseconds).into(),
        Field::Dynamic(Dynamic {
            convert: conversion,
            total: false,
        }),
    ]
}

/// The conversion of a field of a job, by words in its name.
fn conversion(name: &str) -> Option<Convert> {
    let has = |word| name.contains(word);
    if has("recs") || has("rps") || has("pids") {
        Some(Convert::Count)
    } else if has("bytes") {
        Some(Convert::Bytes)
    } else if has("time") {
        Some(Convert::Milliseconds)
    } else {
        None
    }
}

fn jobs(answers: &Answers, context: &Context, kind: &JobsKind) -> Event {
    if let (false, Some((_, text))) = (kind.known_to_any(answers, context), kind.removed) {
        return Event::Error(text.to_owned());
    }
    match records(answers, context, kind) {
        Ok(records) => {
            let sheet = Sheet::new(stamped(kind.title, context), columns())
                .grouped(&["ns", "module", "job-type"])
                .ordered(&["job-progress", "time-since-done", NODE])
                .records(records);
            Event::sheet(laid_out(sheet, context))
        }
        Err(piece) => piece,
    }
}

fn records(answers: &Answers, context: &Context, kind: &JobsKind) -> Result<Vec<Record>, Event> {
    let namespace = Filter::of(context, "for")?;
    let like = Filter::of(context, "like")?;
    let transactions = context.modifiers.keyword("trid");
    let conditions = conditions(context)?;
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        let Some(request) = kind.request(node) else {
            continue;
        };
        for entry in list(answers.text_or_nothing(&request), ';') {
            let mut job = record(entry, ':');
            let field = |key: &str| job.text(key).unwrap_or_default();
            let wanted = namespace.matches(field("ns"))
                && (transactions.is_empty() || transactions.iter().any(|id| id == field("trid")))
                && conditions
                    .iter()
                    .all(|(key, filter)| filter.matches(field(key)));
            if !wanted {
                continue;
            }
            job.retain(|key| FIXED.contains(&key) || like.matches(key));
            records.push(job.with(NODE, Value::or_missing(Some(name(node)))));
        }
    }
    Ok(records)
}

/// Fields with a column of their own: `like` does not hide them.
const FIXED: &[&str] = &[
    "ns",
    "module",
    "job-type",
    "job-progress",
    "trid",
    "time-since-done",
];

/// The conditions `FIELD=PATTERN` of `where`.
fn conditions(context: &Context) -> Result<Vec<(String, Filter)>, Event> {
    let split = |word: &String| {
        let (field, pattern) = word.split_once('=').ok_or_else(|| {
            Event::Error(format!("where: expected FIELD=PATTERN, found '{word}'"))
        })?;
        Ok((field.to_owned(), Filter::new(&[pattern.to_owned()])?))
    };
    let words = |keyword| context.modifiers.keyword(keyword).iter();
    words("where").chain(words("--where")).map(split).collect()
}
