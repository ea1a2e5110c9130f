//! `manage sindex`.

use tools::cluster::Cluster;

use super::{
    argument, at_least, context, if_confirmed, left_out, missed, number, silent, to_all,
    to_principal, word,
};
use crate::plan::{Plan, Planned};
use crate::request::Builder;
use crate::view::Modifiers;

const TYPES: &[&str] = &["integer", "numeric", "string", "geo2dsphere", "blob"];
const WRONG_TYPE: &str = "bin-type is required. Must be one of: integer, string, geo2dsphere, blob ('numeric' is a deprecated alias for 'integer'). To create a set-based index, use: <index-name> ns <ns> set <set>";

/// What servers call the namespace.
fn namespace_key(cluster: &Cluster) -> &'static str {
    if at_least(cluster, &[7, 2]) {
        "namespace"
    } else {
        "ns"
    }
}

/// Creates an index.
pub(super) fn create(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let command = creation(modifiers, cluster)?;
    let name = modifiers.words.last().map_or("", String::as_str).to_owned();
    let failed = format!("Failed to create sindex {name}");
    let send = to_principal(cluster, command, failed, move |_| {
        Plan::done(format!(
            "Use 'show sindex' to confirm {name} was created successfully."
        ))
    });
    let message = "Adding a secondary index will cause longer restart times.";
    if_confirmed(warned, message, || send)
}

fn creation(modifiers: &Modifiers, cluster: &Cluster) -> Result<String, String> {
    let (kind, name) = match modifiers.words.as_slice() {
        [name] => (None, name),
        [kind, name] if TYPES.contains(&kind.as_str()) => (Some(kind.as_str()), name),
        _ => return Err(WRONG_TYPE.to_owned()),
    };
    let set = word(modifiers, "set");
    if kind.is_none() && (set.is_empty() || modifiers.has("bin")) {
        return Err(WRONG_TYPE.to_owned());
    }
    let mut command = Builder::new("sindex-create").name("indexname", name)?;
    let within = match (kind, word(modifiers, "in")) {
        (None, _) => "set",
        (Some(_), within) => within,
    };
    if !within.is_empty() {
        command = command.name("indextype", &within.to_lowercase())?;
    }
    command = command.name(namespace_key(cluster), word(modifiers, "ns"))?;
    if !set.is_empty() {
        command = command.name("set", set)?;
    }
    let path = match modifiers.keyword("ctx") {
        [] => word(modifiers, "ctx_base64").to_owned(),
        items => context::encode(items)?,
    };
    if !path.is_empty() {
        command = command.value("context", &path)?;
    }
    let Some(kind) = kind else {
        // Servers take the parameters of a set index with a last separator only.
        return Ok(command.text() + ";");
    };
    let (bin, expression) = (word(modifiers, "bin"), word(modifiers, "exp_base64"));
    let has_place = !bin.is_empty() || !path.is_empty();
    if has_place && !expression.is_empty() {
        return Err("An expression goes neither with a bin nor with a context.".to_owned());
    }
    let command = match (bin, expression) {
        ("", "") => return Err("bin is required".to_owned()),
        ("", expression) => command.value("exp", expression)?.fixed("type", kind),
        (bin, _) if at_least(cluster, &[8, 1]) => command.name("bin", bin)?.fixed("type", kind),
        (bin, _) => command.name("indexdata", &format!("{bin},{kind}"))?,
    };
    Ok(command.text())
}

/// Removes an index that is there.
pub(super) fn delete(modifiers: &Modifiers, cluster: &Cluster, warned: bool) -> Planned {
    let (name, namespace) = (
        argument(modifiers, 0).to_owned(),
        word(modifiers, "ns").to_owned(),
    );
    let key = namespace_key(cluster);
    let failed = format!("Failed to delete sindex {name}");
    let statistics = Builder::new("sindex-stat")
        .name(key, &namespace)?
        .name("indexname", &name)?
        .text();
    let mut command = Builder::new("sindex-delete").name(key, &namespace)?;
    if modifiers.has("set") {
        command = command.name("set", word(modifiers, "set"))?;
    }
    let command = command.name("indexname", &name)?.text();
    let done = format!("Successfully deleted sindex {name}.");
    let send = to_principal(cluster, command, failed.clone(), |_| Plan::done(done));
    let (nodes, missed) = (cluster.alive(), missed(cluster));
    let list = "sindex-list:".to_owned();
    to_principal(cluster, list, failed.clone(), move |list| {
        let exists = list.split(';').any(|index| {
            let has = |wanted: &str| index.split(':').any(|field| field == wanted);
            has(&format!("indexname={name}")) && has(&format!("ns={namespace}"))
        });
        if !exists {
            return Err(format!("{failed} : sindex does not exist."));
        }
        if !warned {
            return send;
        }
        to_all(&nodes, &statistics, move |answers| {
            let keys: u64 = answers
                .iter()
                .flatten()
                .map(|answer| number(answer, "entries", ';'))
                .sum();
            let message = format!(
                "The secondary index {name} has {keys} keys indexed.{}",
                left_out(missed + silent(&answers))
            );
            if_confirmed(true, message, || send)
        })
    })
}
