//! `manage udfs`.

use std::fs;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::info::Failure;
use tokio::time::{Instant, sleep};

use super::{Outcome, argument, tell_principal, word};
use crate::session::Session;
use crate::view::Modifiers;

/// How long nodes may take to list a module that the principal took.
const LISTED_LIMIT: Duration = Duration::from_secs(10);
/// How long the principal may take to list a module that it took; a server that is well does so before it answers.
const OWN_LIMIT: Duration = Duration::from_millis(500);
/// Time between two looks at the lists.
const LISTED_PAUSE: Duration = Duration::from_millis(50);

/// Registers a module, and waits until every node lists it. Its bytes go to the server as they are.
pub(super) async fn add(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let name = argument(modifiers, 0);
    let source = fs::read(word(modifiers, "path")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("Failed to add UDF {name}: Path does not exist."),
        _ => format!("Failed to add UDF {name}: {error}."),
    })?;
    let failed = "Failed to add UDF";
    if session.warn && exists(session, name, failed).await? {
        let message = "You're about to write over an existing UDF module.";
        if !session.confirm(message).await {
            return Ok(());
        }
    }
    let content = STANDARD.encode(source);
    let command = format!(
        "udf-put:filename={name};udf-type=LUA;content-len={};content={content}",
        content.len()
    );
    put(session, command, failed).await?;
    if !modifiers.flag("--no-wait") {
        wait(session, name).await?;
    }
    session
        .out
        .text(&format!("Successfully added UDF {name}.\n"));
    Ok(())
}

/// Waits until every node lists the module with the hash that the principal lists. Nodes that fail are not waited for.
async fn wait(session: &mut Session, name: &str) -> Outcome {
    let failed = format!("UDF {name} was added, but the nodes cannot be compared");
    let Some(expected) = listed(session, name, &failed).await? else {
        // It said ok. Somebody else may have removed the module since.
        session
            .out
            .warning(&format!("{failed} : the principal does not list it."));
        return Ok(());
    };
    let count = session.cluster.members.len();
    let mut waiting: Vec<usize> = (0..count).collect();
    let end = Instant::now() + LISTED_LIMIT;
    loop {
        let answers = super::ask(session, &waiting, "udf-list").await;
        let mut lacking = Vec::new();
        let mut reasons = Vec::new();
        let mut hope = false;
        for (index, answer) in waiting.into_iter().zip(answers) {
            let reason = match answer {
                Ok(list) if hash(&list, name) == Some(&expected) => continue,
                Ok(list) => {
                    hope = true;
                    match hash(&list, name) {
                        Some(_) => "lists another version".to_owned(),
                        None => "does not list it".to_owned(),
                    }
                }
                Err(reason) => reason,
            };
            lacking.push(index);
            if let Some(member) = session.cluster.members.get(index) {
                reasons.push(format!("{}: {reason}", member.node.name));
            }
        }
        if lacking.is_empty() {
            return Ok(());
        }
        if !hope || Instant::now() >= end {
            return Err(format!(
                "UDF {name} was added, but not seen on {} of {count} nodes: {}",
                lacking.len(),
                reasons.join("; ")
            ));
        }
        waiting = lacking;
        sleep(LISTED_PAUSE).await;
    }
}

/// The hash under which the principal lists a module that it has just taken.
async fn listed(session: &mut Session, name: &str, failed: &str) -> Result<Option<String>, String> {
    let end = Instant::now() + OWN_LIMIT;
    loop {
        let list = tell_principal(session, "udf-list".to_owned(), failed).await?;
        let found = hash(&list, name).map(str::to_owned);
        if found.is_some() || Instant::now() >= end {
            return Ok(found);
        }
        sleep(LISTED_PAUSE).await;
    }
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

/// Sends the module; of a source that does not compile the error tells file, line and message.
async fn put(session: &mut Session, command: String, failed: &str) -> Outcome {
    let principal = session
        .cluster
        .principal()
        .ok_or_else(|| format!("{failed} : no node to ask."))?;
    let replies = super::ask(session, &[principal], &command).await;
    let answer = match replies.into_iter().next() {
        Some(Ok(answer)) => answer,
        Some(Err(reason)) => return Err(format!("{failed} : {reason}.")),
        None => return Err(format!("{failed} : no node to ask.")),
    };
    match Failure::of(&answer) {
        Some(failure) if failure.message.is_some() => Err(format!("{failed} : {failure}.")),
        Some(_) => Err(format!("{failed} : {}.", crate::view::reason(&answer))),
        None => Ok(()),
    }
}

/// Removes a module that is there.
pub(super) async fn remove(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let name = argument(modifiers, 0);
    let failed = format!("Failed to remove UDF {name}");
    if !exists(session, name, &failed).await? {
        return Err(format!("{failed} : UDF does not exist."));
    }
    let message = "You're about to remove a UDF module that may be in use.";
    if session.warn && !session.confirm(message).await {
        return Ok(());
    }
    tell_principal(session, format!("udf-remove:filename={name};"), &failed).await?;
    session
        .out
        .text(&format!("Successfully removed UDF {name}.\n"));
    Ok(())
}

async fn exists(session: &mut Session, name: &str, failed: &str) -> Result<bool, String> {
    let list = tell_principal(session, "udf-list".to_owned(), failed).await?;
    Ok(hash(&list, name).is_some())
}
