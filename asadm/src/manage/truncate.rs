//! `manage truncate`.

use tools::clock;
use tools::cluster::Cluster;

use super::time::Before;
use super::{if_confirmed, left_out, missed, number, silent, to_all, to_principal, word};
use crate::plan::{Plan, Planned};
use crate::request::{Builder, checked_name};
use crate::view::Modifiers;

/// Truncates a set or a namespace, or takes that back. Asks for confirmation unless told not to.
pub(super) fn run(modifiers: &Modifiers, cluster: &Cluster) -> Planned {
    let namespace = checked_name("ns", word(modifiers, "ns"))?.to_owned();
    let set = checked_name("set", word(modifiers, "set"))?.to_owned();
    let undo = modifiers.has("undo");
    // What is not understood here could be all that keeps a whole namespace from being truncated.
    if let Some(extra) = not_understood(modifiers) {
        return Err(format!("Unrecognized input: {extra}"));
    }
    if undo && modifiers.has("before") {
        return Err("\"undo\" and \"before\" are mutually exclusive.".to_owned());
    }
    let before = modifiers
        .has("before")
        .then(|| Before::parse(modifiers.keyword("before"), clock::now().0))
        .transpose()?;
    let send = change(&namespace, &set, undo, before.as_ref(), cluster);
    if modifiers.flag("--no-warn") {
        return send;
    }
    if undo {
        return if_confirmed(true, "", || send);
    }
    let lut = before.map_or(String::new(), |time| {
        format!(" with LUT before {}", time.shown())
    });
    let of_set = if set.is_empty() {
        String::new()
    } else {
        format!("set {set} for ")
    };
    let rest = format!("records from {of_set}namespace {namespace}{lut}");
    let missed = missed(cluster);
    count(namespace, set, cluster.alive(), move |records, silent| {
        let left_out = left_out(missed + silent);
        let message = format!("You're about to truncate up to {records} {rest}{left_out}");
        if_confirmed(true, message, || send)
    })
}

fn change(
    namespace: &str,
    set: &str,
    undo: bool,
    before: Option<&Before>,
    cluster: &Cluster,
) -> Planned {
    let (what, of) = if set.is_empty() {
        ("truncate-namespace", format!("namespace {namespace}"))
    } else {
        ("truncate", format!("set {set} of namespace {namespace}"))
    };
    let name = if undo {
        format!("{what}-undo")
    } else {
        what.to_owned()
    };
    let mut command = Builder::new(&name).name("namespace", namespace)?;
    if !set.is_empty() {
        command = command.name("set", set)?;
    }
    if let Some(time) = before {
        command = command.fixed("lut", &time.nanoseconds().to_string());
    }
    let (failed, done) = if undo {
        (
            format!("Failed to undo truncation for {of}"),
            format!("Successfully triggered undoing truncation for {of} on next cold restart"),
        )
    } else {
        (
            format!("Failed to truncate {of}"),
            format!("Successfully started truncation for {of}"),
        )
    };
    to_principal(cluster, command.text(), failed, |_| Plan::done(done))
}

/// Words that belong to nothing, or a modifier without its one value.
fn not_understood(modifiers: &Modifiers) -> Option<String> {
    if !modifiers.words.is_empty() {
        return Some(modifiers.words.join(" "));
    }
    let wrong = |(keyword, count): &(&str, usize)| {
        let values = modifiers.keyword(keyword);
        (modifiers.has(keyword) && values.len() != *count)
            .then(|| [&[(*keyword).to_owned()], values].concat().join(" "))
    };
    [("ns", 1), ("set", 1), ("undo", 0)].iter().find_map(wrong)
}

/// How many records there are, each counted once and not once a replica, and how many nodes did not say how many they have.
fn count(
    namespace: String,
    set: String,
    nodes: Vec<usize>,
    next: impl FnOnce(u64, usize) -> Planned + 'static,
) -> Planned {
    let of_namespace = format!("namespace/{namespace}");
    to_all(&nodes.clone(), &of_namespace, move |answers| {
        let silent = silent(&answers);
        let numbers = |name: &'static str| {
            let answers = answers.iter().flatten();
            answers.map(move |answer| number(answer, name, ';'))
        };
        if set.is_empty() {
            return next(numbers("master_objects").sum(), silent);
        }
        let copies = numbers("effective_replication_factor").max();
        let copies = copies.filter(|copies| *copies > 0).unwrap_or(1);
        to_all(&nodes, &format!("sets/{namespace}/{set}"), move |answers| {
            let silent = self::silent(&answers).max(silent);
            let objects: u64 = answers
                .iter()
                .flatten()
                .map(|answer| number(answer.trim_end_matches(';'), "objects", ':'))
                .sum();
            next(objects / copies, silent)
        })
    })
}
