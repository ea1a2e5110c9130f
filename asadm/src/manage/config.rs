//! `manage config`: one setting on many nodes.

use super::{Outcome, argument, ask, at_least, nodes, response, word};
use crate::command::Scope;
use crate::session::Session;
use crate::view::Modifiers;

/// Parameters that only count after a recluster.
const AFTER_RECLUSTER: &[&str] = &["prefer-uniform-balance", "rack-id", "active-rack"];

/// What is sent, and how it is called.
struct Change {
    command: String,
    title: String,
    message: String,
}

/// Sends the change to all nodes, or those of `with`.
pub(super) async fn change(session: &mut Session, scope: Scope, modifiers: &Modifiers) -> Outcome {
    let all = session.cluster.alive();
    let Some(nodes) = session.selected(modifiers, all) else {
        return Ok(());
    };
    let old_names = !at_least(session, &[7, 2]);
    let change = plan(scope, modifiers, old_names)?;
    if session.warn {
        let target = if modifiers.has("with") {
            format!("nodes: {}", nodes::addresses(session, &nodes))
        } else {
            "all nodes".to_owned()
        };
        let message = format!("{} on {target}", change.message);
        if !session.confirm(&message).await {
            return Ok(());
        }
    }
    let answers = if scope == Scope::Logging {
        set_levels(session, &nodes, modifiers).await
    } else {
        ask(session, &nodes, &change.command).await
    };
    let outcome = response::show(session, &change.title, &nodes, &answers);
    let param = word(modifiers, "param");
    if AFTER_RECLUSTER.contains(&param) {
        session.out.text(&format!(
            "Run \"manage recluster\" for your changes to {param} to take effect.\n"
        ));
    }
    outcome
}

fn plan(scope: Scope, modifiers: &Modifiers, old_names: bool) -> Result<Change, String> {
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let first = argument(modifiers, 0);
    let set = |context: &str, what: &str, prefix: &str, rest: &str| Change {
        command: format!("set-config:context={context};{rest}{prefix}{param}={value}"),
        title: format!("Set {what} {param} to {value}"),
        message: format!("Change {} {param} to {value}", what.to_lowercase()),
    };
    let sub = |name: &str| {
        if name.is_empty() {
            String::new()
        } else {
            format!("{name}.")
        }
    };
    Ok(match scope {
        Scope::Logging => set("logging", "Logging Context", "", ""),
        Scope::Service => set("service", "Service Param", "", ""),
        Scope::Network => set("network", "Network Param", &sub(first), ""),
        Scope::Security => set("security", "Security Param", &sub(first), ""),
        Scope::Namespace => namespace(modifiers, old_names),
        Scope::Xdr => set("xdr", "XDR Param", "", ""),
        Scope::XdrCreate | Scope::XdrDelete => {
            let dc = word(modifiers, "dc");
            let (action, what) = if scope == Scope::XdrCreate {
                ("create", "Create")
            } else {
                ("delete", "Delete")
            };
            Change {
                command: format!("set-config:context=xdr;dc={dc};action={action}"),
                title: format!("{what} XDR DC {dc}"),
                message: format!("{what} XDR DC {dc}"),
            }
        }
        Scope::XdrDc => data_centre(modifiers)?,
    })
}

fn namespace(modifiers: &Modifiers, old_names: bool) -> Change {
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let (namespace, set) = (argument(modifiers, 0), word(modifiers, "set"));
    let prefix = match argument(modifiers, 1) {
        "" | "storage-engine" => String::new(),
        sub => format!("{sub}."),
    };
    let key = if old_names { "id" } else { "namespace" };
    let mut command =
        format!("set-config:context=namespace;{key}={namespace};{prefix}{param}={value}");
    let mut what = "Namespace";
    if !set.is_empty() {
        command += &format!(";set={set}");
        what = "Namespace Set";
    }
    Change {
        command,
        title: format!("Set {what} Param {param} to {value}"),
        message: format!("Change {} param {param} to {value}", what.to_lowercase()),
    }
}

fn data_centre(modifiers: &Modifiers) -> Result<Change, String> {
    let dc = argument(modifiers, 0);
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let namespace = word(modifiers, "namespace");
    let node = word(modifiers, "node");
    let adds = match argument(modifiers, 1) {
        "" => None,
        "add" => Some(true),
        "remove" => Some(false),
        other => return Err(format!("expected add or remove, found `{other}`")),
    };
    let (command, title) = match (adds, namespace, node) {
        (None, "", _) if !param.is_empty() && !value.is_empty() => (
            format!("set-config:context=xdr;{param}={value};dc={dc}"),
            format!("Set XDR DC param {param} to {value}"),
        ),
        (None, namespace, _) if !param.is_empty() && !value.is_empty() => (
            format!("set-config:context=xdr;{param}={value};dc={dc};namespace={namespace}"),
            format!("Set XDR Namespace Param {param} to {value}"),
        ),
        (Some(adds), "", node) if !node.is_empty() => {
            let (action, what, toward) = direction(adds);
            (
                format!("set-config:context=xdr;dc={dc};node-address-port={node};action={action}"),
                format!("{what} XDR Node {node} {toward} DC {dc}"),
            )
        }
        (Some(adds), namespace, _) if !namespace.is_empty() => {
            let (action, what, toward) = direction(adds);
            let rewind = match word(modifiers, "rewind") {
                "" => String::new(),
                rewind => format!(";rewind={rewind}"),
            };
            (
                format!(
                    "set-config:context=xdr;dc={dc};namespace={namespace};action={action}{rewind}"
                ),
                format!("{what} XDR Namespace {namespace} {toward} DC {dc}"),
            )
        }
        _ => return Err("param and to, or a namespace or node, are required".to_owned()),
    };
    Ok(Change {
        command,
        message: title.clone(),
        title,
    })
}

fn direction(adds: bool) -> (&'static str, &'static str, &'static str) {
    if adds {
        ("add", "Add", "to")
    } else {
        ("remove", "Remove", "from")
    }
}

/// Every node numbers its log files itself.
async fn set_levels(
    session: &mut Session,
    nodes: &[usize],
    modifiers: &Modifiers,
) -> Vec<Result<String, String>> {
    let file = word(modifiers, "file");
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let mut answers = Vec::new();
    for (index, logs) in nodes.iter().zip(ask(session, nodes, "logs").await) {
        let answer = match logs.map(|logs| sink(&logs, file)) {
            Err(reason) => Err(reason),
            Ok(None) => Ok(format!("{file} does not exist")),
            Ok(Some(id)) => {
                let command = format!("log-set:id={id};{param}={value}");
                let mut answers = ask(session, &[*index], &command).await;
                answers.pop().unwrap_or_else(|| Err("no answer".to_owned()))
            }
        };
        answers.push(answer);
    }
    answers
}

/// The number of a file in `0:/path;1:/path`.
fn sink(logs: &str, file: &str) -> Option<String> {
    logs.split(';').find_map(|sink| {
        let (id, path) = sink.split_once(':')?;
        (path == file).then(|| id.to_owned())
    })
}
