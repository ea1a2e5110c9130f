//! `manage masking`.

use tools::cluster::Cluster;

use super::{argument, if_confirmed, to_principal, word};
use crate::plan::{Plan, Planned};
use crate::request::Builder;
use crate::view::Modifiers;

/// The beginning that both commands share.
fn rule(modifiers: &Modifiers) -> Result<Builder, String> {
    let kind = match word(modifiers, "type") {
        "" => "string",
        kind => kind,
    };
    Builder::new("masking")
        .name("namespace", word(modifiers, "namespace"))?
        .name("set", word(modifiers, "set"))?
        .name("bin", word(modifiers, "bin"))?
        .name("type", kind)
}

/// Adds a rule.
pub(super) fn add(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let mut command = rule(modifiers)?.name("function", argument(modifiers, 0))?;
    // Without a function there are no parameters either.
    for pair in modifiers.words.get(1..).unwrap_or_default().chunks(2) {
        let [key, value] = pair else {
            return Err("every parameter of a masking function needs a value".to_owned());
        };
        command = command.typed(key, value)?;
    }
    let send = to_principal(
        cluster,
        command.text(),
        "Failed to add masking rule",
        |_| Plan::done("Successfully added masking rule. Use 'show masking' to view the rules."),
    );
    if_confirmed(warned, "You're about to add a masking rule.", || send)
}

/// Removes a rule.
pub(super) fn drop_rule(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let command = rule(modifiers)?.fixed("function", "remove").text();
    let send = to_principal(cluster, command, "Failed to drop masking rule", |_| {
        Plan::done("Successfully dropped masking rule.")
    });
    if_confirmed(warned, "You're about to drop a masking rule.", || send)
}
