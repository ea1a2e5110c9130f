//! `manage udfs`.

use std::fs;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::info::Failure;
use tools::answer::reason;
use tools::cluster::Cluster;
use tools::output::Event;

use super::{argument, good, if_confirmed, to_principal, word};
use crate::plan::{Plan, Planned, Poll, Polled, Reply, Request};
use crate::request::Builder;
use crate::view::Modifiers;

/// How long nodes may take to list a module that the principal took.
const LISTED_LIMIT: Duration = Duration::from_secs(10);
/// How long the principal may take to list a module that it took; a server that is well does so before it answers.
const OWN_LIMIT: Duration = Duration::from_millis(500);
/// Time between two looks at the lists.
const LISTED_PAUSE: Duration = Duration::from_millis(50);

const LIST: &str = "udf-list";
const FAILED: &str = "Failed to add UDF";

/// What is waited for after a module was taken.
struct Waiting {
    module: String,
    principal: usize,
    /// All nodes that are known, by position.
    names: Vec<String>,
}

/// Registers a module, and waits until every node lists it. Its bytes go to the server as they are.
pub(super) fn add(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let name = argument(modifiers, 0).to_owned();
    let source = fs::read(word(modifiers, "path")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{FAILED} {name}: Path does not exist."),
        _ => format!("{FAILED} {name}: {error}."),
    })?;
    let warnings = match modifiers.flag("--check") {
        true => checked(&name, &source)?,
        false => Vec::new(),
    };
    let content = STANDARD.encode(source);
    let command = Builder::new("udf-put")
        .name("filename", &name)?
        .fixed("udf-type", "LUA")
        .fixed("content-len", &content.len().to_string())
        .fixed("content", &content)
        .text();
    let Some(principal) = cluster.principal() else {
        return Err(format!("{FAILED} : no node to ask."));
    };
    let waiting = (!modifiers.flag("--no-wait")).then(|| Waiting {
        module: name.clone(),
        principal,
        names: cluster
            .members
            .iter()
            .map(|member| member.node.name.clone())
            .collect(),
    });
    let module = name.clone();
    let next = move |replies: Vec<Reply>| {
        taken(replies)?;
        match waiting {
            Some(waiting) => own_list(waiting),
            None => added(&module),
        }
    };
    let request = Request {
        node: principal,
        command,
    };
    let send = Ok(Plan::Send(vec![request], Box::new(next)));
    let send = match warnings.is_empty() {
        true => send,
        false => send.map(|plan| Plan::Tell(warnings, Box::new(plan))),
    };
    if !warned {
        return send;
    }
    to_principal(cluster, LIST.to_owned(), FAILED, move |list| {
        let message = "You're about to write over an existing UDF module.";
        if_confirmed(hash(&list, &name).is_some(), message, || send)
    })
}

/// Looks a module through: what is likely a mistake is told, what will fail is a refusal.
fn checked(name: &str, source: &[u8]) -> Result<Vec<Event>, String> {
    let report = lint::check_module(name, source);
    let lines = report.lines();
    if report.worst() == Some(lint::Level::Error) {
        return Err(format!(
            "{FAILED} {name}: the check found what will fail.\n{}",
            lines.join("\n")
        ));
    }
    Ok(lines.into_iter().map(Event::Warning).collect())
}

/// Whether the principal took the module; of a source that does not compile the error tells file, line and message.
fn taken(replies: Vec<Reply>) -> Result<(), String> {
    let answer = match replies.into_iter().next() {
        Some(Ok(answer)) => answer,
        Some(Err(reason)) => return Err(format!("{FAILED} : {reason}.")),
        None => return Err(format!("{FAILED} : no node to ask.")),
    };
    match Failure::of(&answer) {
        Some(failure) if failure.message.is_some() => Err(format!("{FAILED} : {failure}.")),
        Some(_) => Err(format!("{FAILED} : {}.", reason(&answer))),
        None => Ok(()),
    }
}

fn added(module: &str) -> Planned {
    Plan::done(format!("Successfully added UDF {module}."))
}

fn list_of(nodes: &[usize]) -> Vec<Request> {
    let request = |node: &usize| Request {
        node: *node,
        command: LIST.to_owned(),
    };
    nodes.iter().map(request).collect()
}

/// Waits for the hash under which the principal lists the module.
fn own_list(waiting: Waiting) -> Planned {
    let requests = list_of(&[waiting.principal]);
    let again = requests.clone();
    let mut waiting = Some(waiting);
    Ok(Plan::Poll(Poll {
        requests,
        limit: OWN_LIMIT,
        pause: LISTED_PAUSE,
        judge: Box::new(move |replies, is_over| {
            let Some(module) = waiting.as_ref().map(|waiting| waiting.module.clone()) else {
                return Polled::Again(Vec::new());
            };
            let failed = format!("UDF {module} was added, but the nodes cannot be compared");
            let list = match good(replies, &failed) {
                Ok(list) => list,
                Err(error) => return Polled::Next(Err(error)),
            };
            match hash(&list, &module) {
                Some(hash) => match waiting.take() {
                    Some(waiting) => Polled::Next(all_lists(waiting, hash.to_owned())),
                    None => Polled::Next(added(&module)),
                },
                None if !is_over => Polled::Again(again.clone()),
                // It said ok. Somebody else may have removed the module since.
                None => {
                    let warning = format!("{failed} : the principal does not list it.");
                    Polled::Next(
                        added(&module)
                            .map(|plan| Plan::Tell(vec![Event::Warning(warning)], Box::new(plan))),
                    )
                }
            }
        }),
    }))
}

/// Waits until every node lists the module with that hash. Nodes that fail are not waited for.
fn all_lists(waiting: Waiting, expected: String) -> Planned {
    let Waiting { module, names, .. } = waiting;
    let mut nodes: Vec<usize> = (0..names.len()).collect();
    Ok(Plan::Poll(Poll {
        requests: list_of(&nodes),
        limit: LISTED_LIMIT,
        pause: LISTED_PAUSE,
        judge: Box::new(move |replies, is_over| {
            let mut lacking = Vec::new();
            let mut reasons = Vec::new();
            let mut hope = false;
            for (node, reply) in nodes.iter().zip(replies) {
                let reason = match reply {
                    Ok(list) => match hash(&list, &module) {
                        Some(found) if found == expected => continue,
                        Some(_) => {
                            hope = true;
                            "lists another version".to_owned()
                        }
                        None => {
                            hope = true;
                            "does not list it".to_owned()
                        }
                    },
                    Err(reason) => reason,
                };
                lacking.push(*node);
                let name = names.get(*node).map_or("", String::as_str);
                reasons.push(format!("{name}: {reason}"));
            }
            if lacking.is_empty() {
                return Polled::Next(added(&module));
            }
            if !hope || is_over {
                return Polled::Next(Err(format!(
                    "UDF {module} was added, but not seen on {} of {} nodes: {}",
                    lacking.len(),
                    names.len(),
                    reasons.join("; ")
                )));
            }
            nodes = lacking;
            Polled::Again(list_of(&nodes))
        }),
    }))
}

/// The hash of a module in an `udf-list` answer.
fn hash<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let module = list.split(';').find(|module| {
        module
            .split(',')
            .any(|field| field.strip_prefix("filename=") == Some(name))
    })?;
    module
        .split(',')
        .find_map(|field| field.strip_prefix("hash="))
}

/// Removes a module that is there.
pub(super) fn remove(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let name = argument(modifiers, 0).to_owned();
    let failed = format!("Failed to remove UDF {name}");
    let command = Builder::new("udf-remove").name("filename", &name)?.text() + ";";
    let done = format!("Successfully removed UDF {name}.");
    let send = to_principal(cluster, command, failed.clone(), |_| Plan::done(done));
    to_principal(cluster, LIST.to_owned(), failed.clone(), move |list| {
        if hash(&list, &name).is_none() {
            return Err(format!("{failed} : UDF does not exist."));
        }
        let message = "You're about to remove a UDF module that may be in use.";
        if_confirmed(warned, message, || send)
    })
}
