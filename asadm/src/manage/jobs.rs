//! `manage jobs kill`.

use tools::answer::{is_error, reason};
use tools::clock;
use tools::cluster::Cluster;
use tools::output::Event;
use tools::sheet::{NODE, Record, Sheet, Value, integer, node, text};

use super::{at_least, if_confirmed, response, targets, to_all};
use crate::plan::{Plan, Planned, Reply, Request};
use crate::request::{Builder, checked_name};
use crate::view::{self, Modifiers};

/// One job on one node.
struct Job {
    node: usize,
    /// The cell of the node's name.
    name: Value,
    trid: String,
    namespace: String,
    kind: String,
}

/// Aborts the jobs with these transaction ids wherever they run.
pub(super) fn by_trid(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let wanted = modifiers.words.clone();
    for trid in &wanted {
        checked_name("a transaction id", trid)?;
    }
    let nodes = cluster.alive();
    let names: Vec<Value> = nodes
        .iter()
        .filter_map(|index| cluster.members.get(*index))
        .map(|member| view::node_name(&member.node))
        .collect();
    to_all(&nodes.clone(), "query-show", move |listed| {
        let mut jobs = Vec::new();
        for ((index, name), answer) in nodes.iter().zip(&names).zip(listed) {
            let Ok(answer) = answer else { continue };
            for job in answer.split(';') {
                let field = |name: &str| {
                    job.split(':')
                        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                        .unwrap_or_default()
                        .to_owned()
                };
                let trid = field("trid");
                if wanted.contains(&trid) {
                    jobs.push(Job {
                        node: *index,
                        name: name.clone(),
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
            wanted.join(", ")
        );
        if_confirmed(warned, message, || kill(jobs))
    })
}

fn kill(jobs: Vec<Job>) -> Planned {
    let mut requests = Vec::with_capacity(jobs.len());
    for job in &jobs {
        requests.push(Request {
            node: job.node,
            command: Builder::new("query-abort").name("trid", &job.trid)?.text(),
        });
    }
    let next = move |replies: Vec<Reply>| Ok(Plan::Done(killed(&jobs, replies)));
    Ok(Plan::Send(requests, Box::new(next)))
}

fn killed(jobs: &[Job], replies: Vec<Reply>) -> Vec<Event> {
    let mut records = Vec::new();
    let mut refused = 0;
    for (job, reply) in jobs.iter().zip(replies) {
        let said = match reply {
            Ok(answer) if is_error(&answer) => {
                Value::text(format!("Failed to kill job : {}.", reason(&answer)))
            }
            Ok(answer) => Value::text(answer.to_lowercase()),
            Err(_) => Value::Error,
        };
        refused += usize::from(said != Value::text("ok"));
        records.push(
            Record::default()
                .with(NODE, job.name.clone())
                .with("trid", Value::text(&job.trid))
                .with("namespace", Value::text(&job.namespace))
                .with("type", Value::text(&job.kind))
                .with("response", said),
        );
    }
    let columns = vec![
        node().into(),
        integer("Transaction ID", "trid").into(),
        text("Namespace", "namespace").into(),
        text("Type", "type").into(),
        text("Response", "response").rules(response::RULES).into(),
    ];
    let title = format!("Kill Jobs ({} UTC)", clock::shown(clock::now().0));
    let sheet = Sheet::new(title, columns)
        .grouped(&["namespace", "type"])
        .records(records);
    let mut told = vec![Event::sheet(sheet)];
    // A job that has just ended on one node is no failure as long as another one was stopped.
    if refused == jobs.len() {
        told.push(Event::Error("no job was killed".to_owned()));
    }
    told
}

/// Aborts all queries.
pub(super) fn queries(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let target = match modifiers.keyword("with") {
        [] => "all nodes".to_owned(),
        words => format!("node(s): {}", words.join(", ")),
    };
    let message = format!("You're about to kill all query jobs on {target}.");
    all("query-abort-all", message, modifiers, cluster, warned)
}

/// Aborts all scans, where scans are something of their own.
pub(super) fn scans(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    if at_least(cluster, &[6]) {
        return Err("Killing scans is not supported on server v. 6.0 and later.".to_owned());
    }
    let message = "You're about to kill all scan jobs.".to_owned();
    all("scan-abort-all", message, modifiers, cluster, warned)
}

fn all(
    name: &str,
    message: String,
    modifiers: &Modifiers,
    cluster: &Cluster,
    warned: bool,
) -> Planned {
    let nodes = targets(modifiers, cluster)?;
    let command = Builder::new(name).text();
    let shown = response::Shown::new("Kill Jobs", &nodes, cluster);
    if_confirmed(warned, message, move || {
        to_all(&nodes, &command, move |mut replies| {
            let mut told = Vec::new();
            for answer in replies.iter_mut().flatten() {
                // Newer servers tell how many there were.
                if let Some(count) = answer
                    .rsplit(['-', ' '])
                    .next()
                    .and_then(|end| end.strip_prefix("killed:"))
                {
                    told.push(Event::Note(format!("queries killed: {}", count.trim())));
                    *answer = "ok".to_owned();
                }
            }
            told.extend(shown.events(&replies));
            Ok(Plan::Done(told))
        })
    })
}
