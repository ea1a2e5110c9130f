//! `manage sindex`.

use super::{Outcome, argument, ask, at_least, context, number, tell_principal, word};
use crate::session::Session;
use crate::view::Modifiers;

const TYPES: &[&str] = &["integer", "numeric", "string", "geo2dsphere", "blob"];

/// Creates an index.
pub(super) async fn create(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let command = plan(session, modifiers)?;
    let name = modifiers.words.last().map_or("", String::as_str).to_owned();
    let message = "Adding a secondary index will cause longer restart times.";
    if session.warn && !session.confirm(message).await {
        return Ok(());
    }
    let failed = format!("Failed to create sindex {name}");
    tell_principal(session, command, &failed).await?;
    session.out.text(&format!(
        "Use 'show sindex' to confirm {name} was created successfully.\n"
    ));
    Ok(())
}

fn plan(session: &Session, modifiers: &Modifiers) -> Result<String, String> {
    let wrong_type = "bin-type is required. Must be one of: integer, string, geo2dsphere, blob ('numeric' is a deprecated alias for 'integer'). To create a set-based index, use: <index-name> ns <ns> set <set>";
    let (kind, name) = match modifiers.words.as_slice() {
        [name] => (None, name),
        [kind, name] if TYPES.contains(&kind.as_str()) => (Some(kind.as_str()), name),
        _ => return Err(wrong_type.to_owned()),
    };
    let set = word(modifiers, "set");
    if kind.is_none() && (set.is_empty() || modifiers.has("bin")) {
        return Err(wrong_type.to_owned());
    }
    let key = if at_least(session, &[7, 2]) {
        "namespace"
    } else {
        "ns"
    };
    let mut command = format!("sindex-create:indexname={name};");
    let within = match (kind, word(modifiers, "in")) {
        (None, _) => "set",
        (Some(_), within) => within,
    };
    if !within.is_empty() {
        command += &format!("indextype={};", within.to_lowercase());
    }
    command += &format!("{key}={};", word(modifiers, "ns"));
    if !set.is_empty() {
        command += &format!("set={set};");
    }
    let path = match modifiers.keyword("ctx") {
        [] => word(modifiers, "ctx_base64").to_owned(),
        items => context::encode(items)?,
    };
    if !path.is_empty() {
        command += &format!("context={path};");
    }
    let Some(kind) = kind else {
        return Ok(command);
    };
    let (bin, expression) = (word(modifiers, "bin"), word(modifiers, "exp_base64"));
    let has_place = !bin.is_empty() || !path.is_empty();
    if has_place && !expression.is_empty() {
        return Err("An expression goes neither with a bin nor with a context.".to_owned());
    }
    command += &match (bin, expression) {
        ("", "") => return Err("bin is required".to_owned()),
        ("", expression) => format!("exp={expression};type={kind}"),
        (bin, _) if at_least(session, &[8, 1]) => format!("bin={bin};type={kind}"),
        (bin, _) => format!("indexdata={bin},{kind}"),
    };
    Ok(command)
}

/// Removes an index that is there.
pub(super) async fn delete(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let (name, namespace) = (argument(modifiers, 0), word(modifiers, "ns"));
    let key = if at_least(session, &[7, 2]) {
        "namespace"
    } else {
        "ns"
    };
    let failed = format!("Failed to delete sindex {name}");
    let list = tell_principal(session, "sindex-list:".to_owned(), &failed).await?;
    let exists = list.split(';').any(|index| {
        let has = |wanted: &str| index.split(':').any(|field| field == wanted);
        has(&format!("indexname={name}")) && has(&format!("ns={namespace}"))
    });
    if !exists {
        return Err(format!("{failed} : sindex does not exist."));
    }
    if session.warn {
        let nodes = session.cluster.alive();
        let command = format!("sindex-stat:{key}={namespace};indexname={name}");
        let answers = ask(session, &nodes, &command).await;
        let keys: u64 = answers
            .iter()
            .flatten()
            .map(|answer| number(answer, "entries", ';'))
            .sum();
        let message = format!("The secondary index {name} has {keys} keys indexed.");
        if !session.confirm(&message).await {
            return Ok(());
        }
    }
    let set = match word(modifiers, "set") {
        "" => String::new(),
        set => format!(";set={set}"),
    };
    let command = format!("sindex-delete:{key}={namespace}{set};indexname={name}");
    tell_principal(session, command, &failed).await?;
    session
        .out
        .text(&format!("Successfully deleted sindex {name}.\n"));
    Ok(())
}
