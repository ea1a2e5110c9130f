//! `manage masking`.

use super::{Outcome, argument, tell_principal, word};
use crate::session::Session;
use crate::view::Modifiers;

/// The beginning that both commands share.
fn rule(modifiers: &Modifiers) -> String {
    let kind = match word(modifiers, "type") {
        "" => "string",
        kind => kind,
    };
    format!(
        "masking:namespace={};set={};bin={};type={kind}",
        word(modifiers, "namespace"),
        word(modifiers, "set"),
        word(modifiers, "bin")
    )
}

/// Adds a rule.
pub(super) async fn add(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let mut command = format!("{};function={}", rule(modifiers), argument(modifiers, 0));
    for pair in modifiers.words.get(1..).unwrap_or_default().chunks(2) {
        let [key, value] = pair else {
            return Err("every parameter of a masking function needs a value".to_owned());
        };
        command += &format!(";{key}={value}");
    }
    if session.warn && !session.confirm("You're about to add a masking rule.").await {
        return Ok(());
    }
    tell_principal(session, command, "Failed to add masking rule").await?;
    session
        .out
        .text("Successfully added masking rule. Use 'show masking' to view the rules.\n");
    Ok(())
}

/// Removes a rule.
pub(super) async fn drop_rule(session: &mut Session, modifiers: &Modifiers) -> Outcome {
    let command = format!("{};function=remove", rule(modifiers));
    if session.warn
        && !session
            .confirm("You're about to drop a masking rule.")
            .await
    {
        return Ok(());
    }
    tell_principal(session, command, "Failed to drop masking rule").await?;
    session.out.text("Successfully dropped masking rule.\n");
    Ok(())
}
