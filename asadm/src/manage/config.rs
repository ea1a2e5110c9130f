//! `manage config`: one setting on many nodes.

use super::{Outcome, argument, ask, at_least, nodes, response, word};
use crate::command::{Scope, help};
use crate::session::Session;
use crate::view::Modifiers;

/// Parameters that only count after a recluster.
const AFTER_RECLUSTER: &[&str] = &[
    "prefer-uniform-balance",
    "rack-id",
    "active-rack",
    "cluster-name",
];

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
    let change = match plan(scope, modifiers, old_names) {
        Err(missing) if scope == Scope::XdrDc => {
            let path = ["manage", "config", "xdr", "dc"];
            session.out.text(&help(&path));
            return Err(missing);
        }
        change => change?,
    };
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
    let answers = match scope {
        Scope::Logging => set_levels(session, &nodes, modifiers).await,
        Scope::XdrCreate | Scope::XdrDelete => {
            let dc = word(modifiers, "dc");
            change_centres(session, &nodes, dc, scope, &change.command).await
        }
        _ => ask(session, &nodes, &change.command).await,
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
    let set = |context: &str, what: &str, sub: &str, whose: &str| Change {
        command: format!(
            "set-config:context={context};{}{param}={value}",
            prefix(sub)
        ),
        title: format!("Set {what} {param} to {value}"),
        message: format!("Change {whose} {param} to {value}"),
    };
    let whose = |context: &str| match first {
        "" => format!("{context} param"),
        sub => format!("{context} {sub} param"),
    };
    Ok(match scope {
        Scope::Logging => {
            let change = set("logging", "Logging Context", "", "logging context");
            let message = format!("{} for file {}", change.message, word(modifiers, "file"));
            Change { message, ..change }
        }
        Scope::Service => set("service", "Service Param", "", "service param"),
        Scope::Network => set("network", "Network Param", first, &whose("network")),
        Scope::Security => set("security", "Security Param", first, &whose("security")),
        Scope::Namespace => namespace(modifiers, old_names),
        Scope::Xdr => set("xdr", "XDR Param", "", "XDR param"),
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

fn prefix(sub: &str) -> String {
    if sub.is_empty() {
        String::new()
    } else {
        format!("{sub}.")
    }
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
    let mut whose = format!("namespace {namespace}");
    if !set.is_empty() {
        command += &format!(";set={set}");
        what = "Namespace Set";
        whose += &format!(" set {set}");
    } else if !argument(modifiers, 1).is_empty() {
        whose += &format!(" {}", argument(modifiers, 1));
    }
    Change {
        command,
        title: format!("Set {what} Param {param} to {value}"),
        message: format!("Change {whose} param {param} to {value}"),
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
    let (command, title, message) = match (adds, namespace, node) {
        (None, "", _) if !param.is_empty() && !value.is_empty() => (
            format!("set-config:context=xdr;{param}={value};dc={dc}"),
            format!("Set XDR DC param {param} to {value}"),
            format!("Change XDR DC {dc} param {param} to {value}"),
        ),
        (None, namespace, _) if !param.is_empty() && !value.is_empty() => (
            format!("set-config:context=xdr;{param}={value};dc={dc};namespace={namespace}"),
            format!("Set XDR Namespace Param {param} to {value}"),
            format!("Change XDR DC {dc} namespace {namespace} param {param} to {value}"),
        ),
        (Some(adds), "", node) if !node.is_empty() => {
            let (action, what, toward) = direction(adds);
            (
                format!("set-config:context=xdr;dc={dc};node-address-port={node};action={action}"),
                format!("{what} XDR Node {node} {toward} DC {dc}"),
                format!("{what} node {node} {toward} DC {dc}"),
            )
        }
        (Some(adds), namespace, _) if !namespace.is_empty() => {
            let (action, what, toward) = direction(adds);
            let (rewind, with_rewind) = match word(modifiers, "rewind") {
                "" => (String::new(), String::new()),
                rewind if rewind == "all" || rewind.parse::<u64>().is_ok() => (
                    format!(";rewind={rewind}"),
                    format!(" with rewind {rewind}"),
                ),
                _ => return Err("Invalid rewind. Must be int or \"all\"".to_owned()),
            };
            (
                format!(
                    "set-config:context=xdr;dc={dc};namespace={namespace};action={action}{rewind}"
                ),
                format!("{what} XDR Namespace {namespace} {toward} DC {dc}"),
                format!("{what} namespace {namespace} {toward} DC {dc}{with_rewind}"),
            )
        }
        _ => return Err("param and to, or a namespace or node, are required".to_owned()),
    };
    Ok(Change {
        command,
        title,
        message,
    })
}

fn direction(adds: bool) -> (&'static str, &'static str, &'static str) {
    if adds {
        ("add", "Add", "to")
    } else {
        ("remove", "Remove", "from")
    }
}

/// Creates or deletes a data centre, on the nodes that lack or have it.
async fn change_centres(
    session: &mut Session,
    nodes: &[usize],
    dc: &str,
    scope: Scope,
    command: &str,
) -> Vec<Result<String, String>> {
    let plan = |config: &str| {
        let mut fields = config.split(';');
        let centres = fields.find_map(|field| field.strip_prefix("dcs="));
        let is_there = centres.is_some_and(|centres| centres.split(',').any(|name| name == dc));
        match (is_there, scope) {
            (true, Scope::XdrCreate) => Err("DC already exists".to_owned()),
            (false, Scope::XdrDelete) => Err("DC does not exist".to_owned()),
            _ => Ok(command.to_owned()),
        }
    };
    ask_then(session, nodes, "get-config:context=xdr", plan).await
}

/// Every node numbers its log files itself.
async fn set_levels(
    session: &mut Session,
    nodes: &[usize],
    modifiers: &Modifiers,
) -> Vec<Result<String, String>> {
    let file = word(modifiers, "file");
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let plan = |logs: &str| match sink(logs, file) {
        Some(id) => Ok(format!("log-set:id={id};{param}={value}")),
        None => Err(format!("{file} does not exist")),
    };
    ask_then(session, nodes, "logs", plan).await
}

/// Asks all nodes, then at the same time those for which the plan makes a command of their answer. Where it makes none, its
/// text stands for the node's answer.
async fn ask_then(
    session: &mut Session,
    nodes: &[usize],
    question: &str,
    plan: impl Fn(&str) -> Result<String, String>,
) -> Vec<Result<String, String>> {
    let mut answers = ask(session, nodes, question).await;
    let mut asked = Vec::new();
    let mut places = Vec::new();
    for (index, place) in nodes.iter().zip(&mut answers) {
        match place.as_deref().map(&plan) {
            Ok(Ok(command)) => {
                asked.push((*index, command));
                places.push(place);
            }
            Ok(Err(text)) => *place = Ok(text),
            Err(_) => {}
        }
    }
    let replies = session.cluster.ask_one_each(asked).await;
    for (place, reply) in places.into_iter().zip(replies) {
        *place = reply;
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
