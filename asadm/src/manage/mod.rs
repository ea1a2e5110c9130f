//! Commands that change something in the cluster.
//!
//! Changes of modules, indexes and the like go to the principal and spread from there; settings go to every node.

mod acl;
mod config;
mod context;
mod jobs;
mod masking;
mod nodes;
mod response;
mod roster;
mod sindex;
mod time;
mod truncate;
mod udfs;

use crate::command::Manage;
use crate::session::Session;
use crate::view::{Modifiers, is_error, reason};

/// Runs one of the commands. What it needs is there: [`crate::command::Command::required`].
pub async fn run(session: &mut Session, action: Manage, modifiers: &Modifiers) {
    let result = match action {
        Manage::Acl(change) => acl::change(session, change, modifiers).await,
        Manage::UdfAdd => udfs::add(session, modifiers).await,
        Manage::UdfRemove => udfs::remove(session, modifiers).await,
        Manage::SindexCreate => sindex::create(session, modifiers).await,
        Manage::SindexDelete => sindex::delete(session, modifiers).await,
        Manage::Config(scope) => config::change(session, scope, modifiers).await,
        Manage::Truncate => truncate::run(session, modifiers).await,
        Manage::Recluster => recluster(session).await,
        Manage::Quiesce { undo } => nodes::quiesce(session, undo, modifiers).await,
        Manage::Revive => nodes::revive(session, modifiers).await,
        Manage::Roster(change) => roster::change(session, change, modifiers).await,
        Manage::KillJobs => jobs::by_trid(session, modifiers).await,
        Manage::KillQueries => jobs::queries(session, modifiers).await,
        Manage::KillScans => jobs::scans(session, modifiers).await,
        Manage::MaskingAdd => masking::add(session, modifiers).await,
        Manage::MaskingDrop => masking::drop_rule(session, modifiers).await,
    };
    if let Err(text) = result {
        session.out.error(&text);
    }
}

/// The end of a command: nothing more to say, or an error for the person.
type Outcome = Result<(), String>;

/// The first word of a modifier; empty if there is none.
fn word<'a>(modifiers: &'a Modifiers, keyword: &str) -> &'a str {
    modifiers
        .keyword(keyword)
        .first()
        .map_or("", String::as_str)
}

/// A word before the first modifier; empty if there is none.
fn argument(modifiers: &Modifiers, position: usize) -> &str {
    modifiers.words.get(position).map_or("", String::as_str)
}

/// Sends to the principal. `failed` begins the error when there is no answer or an error answer.
async fn tell_principal(
    session: &mut Session,
    command: String,
    failed: &str,
) -> Result<String, String> {
    let principal = session
        .cluster
        .principal()
        .ok_or_else(|| format!("{failed} : no node to ask."))?;
    let reply = session.cluster.ask_all(&[principal], &command).await;
    match reply.into_iter().next() {
        Some(Ok(answer)) if is_error(&answer) => Err(format!("{failed} : {}.", reason(&answer))),
        Some(Ok(answer)) => Ok(answer),
        Some(Err(reason)) => Err(format!("{failed} : {reason}.")),
        None => Err(format!("{failed} : no node to ask.")),
    }
}

/// Answers of these nodes to one command.
async fn ask(session: &mut Session, nodes: &[usize], command: &str) -> Vec<Result<String, String>> {
    session.cluster.ask_all(nodes, command).await
}

/// The number under a name in `name=value` fields.
fn number(answer: &str, name: &str, separator: char) -> u64 {
    answer
        .split(separator)
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        .unwrap_or(0)
}

/// Whether the principal's version is at least this.
fn at_least(session: &Session, wanted: &[u32]) -> bool {
    session
        .cluster
        .members
        .iter()
        .find(|member| member.node.principal)
        .is_some_and(|member| crate::view::at_least(&member.node.build, wanted))
}

async fn recluster(session: &mut Session) -> Outcome {
    let failed = "Failed to recluster";
    let answer = tell_principal(session, "recluster:".to_owned(), failed).await?;
    if answer == "ignored-by-non-principal" {
        return Err(format!("{failed} : {answer}."));
    }
    session.out.text("Successfully started recluster\n");
    Ok(())
}
