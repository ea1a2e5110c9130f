//! `manage udfs`.

use std::fs;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::info::Failure;

use super::{Outcome, argument, tell_principal, word};
use crate::session::Session;
use crate::view::Modifiers;

/// Registers a module. Its bytes go to the server as they are.
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
    session
        .out
        .text(&format!("Successfully added UDF {name}.\n"));
    Ok(())
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
    Ok(list.split(';').any(|module| {
        module
            .split(',')
            .any(|field| field.strip_prefix("filename=") == Some(name))
    }))
}
