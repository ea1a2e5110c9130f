//! `manage jobs kill`.

use super::{Outcome, ask, at_least, response};
use crate::session::Session;
use crate::view::{Modifiers, is_error, reason};
use tools::clock;
use tools::sheet::{Marker, NODE, Record, Sheet, Value, node, text};

/// One job on one node.
struct Job {
    node: usize,
    trid: String,
    namespace: String,
    kind: String,
}

/// Aborts the jobs with these transaction ids wherever they run.
pub(super) async fn by_trid(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let nodes = session.cluster.alive();
    let listed = ask(session, &nodes, "query-show").await;
    let mut jobs = Vec::new();
    for (index, answer) in nodes.iter().zip(listed) {
        for job in answer.unwrap_or_default().split(';') {
            let field = |name: &str| {
                job.split(':')
                    .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or_default()
                    .to_owned()
            };
            let trid = field("trid");
            if modifiers.words.contains(&trid) {
                jobs.push(Job {
                    node: *index,
                    trid,
                    namespace: field("ns"),
                    kind: field("job-type"),
                });
            }
        }
    }
    if jobs.is_empty() {
        return Err("The provided trid(s) could not be found.".to_owned());
    }
    let message = format!(
        "You're about to kill the following transactions: {}",
        modifiers.words.join(", ")
    );
    if session.warn && !session.confirm(&message).await {
        return Ok(());
    }
    let mut records = Vec::new();
    let mut refused = 0;
    for job in &jobs {
        let command = format!("query-abort:trid={}", job.trid);
        let answer = ask(session, &[job.node], &command).await.pop();
        let said = match answer {
            Some(Ok(answer)) if is_error(&answer) => {
                Value::text(format!("Failed to kill job : {}.", reason(&answer)))
            }
            Some(Ok(answer)) => Value::text(answer.to_lowercase()),
            _ => Value::Error,
        };
        refused += usize::from(said != Value::text("ok"));
        let Some(member) = session.cluster.members.get(job.node) else {
            continue;
        };
        let marker = if member.node.principal {
            Marker::Principal
        } else if member.node.this {
            Marker::This
        } else {
            Marker::None
        };
        records.push(
            Record::default()
                .with(NODE, Value::Node(member.node.name.clone(), marker))
                .with("trid", Value::text(&job.trid))
                .with("namespace", Value::text(&job.namespace))
                .with("type", Value::text(&job.kind))
                .with("response", said),
        );
    }
    let columns = vec![
        node().into(),
        tools::sheet::integer("Transaction ID", "trid").into(),
        text("Namespace", "namespace").into(),
        text("Type", "type").into(),
        text("Response", "response").rules(response::RULES).into(),
    ];
    let title = format!("Kill Jobs ({} UTC)", clock::shown(clock::now().0));
    session.out.sheet(
        &Sheet::new(title, columns)
            .grouped(&["namespace", "type"])
            .records(records),
    );
    // A job that has just ended on one node is no failure as long as another one was stopped.
    if refused == jobs.len() {
        return Err("no job was killed".to_owned());
    }
    Ok(())
}

/// Aborts all queries.
pub(super) async fn queries(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let all = session.cluster.alive();
    let Some(nodes) = session.selected(modifiers, all) else {
        return Ok(());
    };
    let target = if modifiers.has("with") {
        format!("node(s): {}", modifiers.keyword("with").join(", "))
    } else {
        "all nodes".to_owned()
    };
    let message = format!("You're about to kill all query jobs on {target}.");
    if session.warn && !session.confirm(&message).await {
        return Ok(());
    }
    let mut answers = ask(session, &nodes, "query-abort-all:").await;
    for answer in answers.iter_mut().flatten() {
        // Newer servers tell how many there were.
        if let Some(count) = answer
            .rsplit(['-', ' '])
            .next()
            .and_then(|end| end.strip_prefix("killed:"))
        {
            session
                .out
                .note(&format!("queries killed: {}", count.trim()));
            *answer = "ok".to_owned();
        }
    }
    response::show(session, "Kill Jobs", &nodes, &answers)
}

/// Aborts all scans, where scans are something of their own.
pub(super) async fn scans(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    if at_least(session, &[6]) {
        return Err("Killing scans is not supported on server v. 6.0 and later.".to_owned());
    }
    let all = session.cluster.alive();
    let Some(nodes) = session.selected(modifiers, all) else {
        return Ok(());
    };
    let message = "You're about to kill all scan jobs.";
    if session.warn && !session.confirm(message).await {
        return Ok(());
    }
    let answers = ask(session, &nodes, "scan-abort-all:").await;
    response::show(session, "Kill Jobs", &nodes, &answers)
}
