//! `manage truncate`.

use super::time::Before;
use super::{Outcome, ask, number, tell_principal, word};
use crate::session::Session;
use crate::view::Modifiers;
use tools::clock;

/// Truncates a set or a namespace, or takes that back. Asks for confirmation unless told not to.
pub(super) async fn run(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let (namespace, set) = (word(modifiers, "ns"), word(modifiers, "set"));
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
    let (what, target) = if set.is_empty() {
        ("truncate-namespace", format!("namespace={namespace}"))
    } else {
        ("truncate", format!("namespace={namespace};set={set}"))
    };
    let confirmed = modifiers.flag("--no-warn") || {
        let message = match undo {
            true => String::new(),
            false => message(session, namespace, set, before.as_ref()).await,
        };
        session.confirm(&message).await
    };
    if !confirmed {
        return Ok(());
    }
    let of = if set.is_empty() {
        format!("namespace {namespace}")
    } else {
        format!("set {set} of namespace {namespace}")
    };
    if undo {
        let failed = format!("Failed to undo truncation for {of}");
        tell_principal(session, format!("{what}-undo:{target}"), &failed).await?;
        session.out.text(&format!(
            "Successfully triggered undoing truncation for {of} on next cold restart\n"
        ));
        return Ok(());
    }
    let lut = before.map_or(String::new(), |time| format!(";lut={}", time.nanoseconds()));
    let failed = format!("Failed to truncate {of}");
    tell_principal(session, format!("{what}:{target}{lut}"), &failed).await?;
    session
        .out
        .text(&format!("Successfully started truncation for {of}\n"));
    Ok(())
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

async fn message(
    session: &mut Session,
    namespace: &str,
    set: &str,
    before: Option<&Before>,
) -> String {
    let records = records(session, namespace, set).await;
    let of_set = if set.is_empty() {
        String::new()
    } else {
        format!("set {set} for ")
    };
    let lut = before.map_or(String::new(), |time| {
        format!(" with LUT before {}", time.shown())
    });
    format!(
        "You're about to truncate up to {records} records from {of_set}namespace {namespace}{lut}"
    )
}

/// How many records there are, each counted once and not once a replica.
async fn records(session: &mut Session, namespace: &str, set: &str) -> u64 {
    let nodes = session.cluster.alive();
    let answers = ask(session, &nodes, &format!("namespace/{namespace}")).await;
    if set.is_empty() {
        return answers
            .iter()
            .flatten()
            .map(|answer| number(answer, "master_objects", ';'))
            .sum();
    }
    let replicas = answers
        .iter()
        .flatten()
        .map(|answer| number(answer, "effective_replication_factor", ';'))
        .max()
        .unwrap_or(1)
        .max(1);
    let answers = ask(session, &nodes, &format!("sets/{namespace}/{set}")).await;
    let objects: u64 = answers
        .iter()
        .flatten()
        .map(|answer| number(answer.trim_end_matches(';'), "objects", ':'))
        .sum();
    objects / replicas
}
