//! `manage config`: one setting on many nodes.

use tools::cluster::Cluster;
use tools::output::Event;

use super::{argument, at_least, if_confirmed, nodes, response, targets, to_all, word};
use crate::command::{Scope, help};
use crate::plan::{Plan, Planned, Reply, Request};
use crate::request::{Builder, checked_name, checked_value};
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

/// What has to be known of a node before its command can be made.
enum Inquiry {
    /// Nothing: the command is the same for all.
    None,
    /// Every node numbers its log files itself.
    Sink {
        file: String,
        param: String,
        value: String,
    },
    /// Data centres are created where they lack, and deleted where they are.
    Centre {
        dc: String,
        creates: bool,
        command: String,
    },
}

impl Inquiry {
    fn of(scope: Scope, modifiers: &Modifiers, command: &str) -> Result<Self, String> {
        Ok(match scope {
            Scope::Logging => Self::Sink {
                file: word(modifiers, "file").to_owned(),
                param: checked_name("param", word(modifiers, "param"))?.to_owned(),
                value: checked_value("to", word(modifiers, "to"))?.to_owned(),
            },
            Scope::XdrCreate | Scope::XdrDelete => Self::Centre {
                dc: word(modifiers, "dc").to_owned(),
                creates: scope == Scope::XdrCreate,
                command: command.to_owned(),
            },
            Scope::Service
            | Scope::Network
            | Scope::Security
            | Scope::Namespace
            | Scope::Xdr
            | Scope::XdrDc => Self::None,
        })
    }

    fn question(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Sink { .. } => Some("logs"),
            Self::Centre { .. } => Some("get-config:context=xdr"),
        }
    }

    /// The command for a node that answered so, or what stands in the place of its answer.
    fn command(&self, answer: &str) -> Result<String, String> {
        match self {
            Self::None => Ok(String::new()),
            Self::Sink { file, param, value } => match sink(answer, file) {
                Some(id) => Ok(format!("log-set:id={id};{param}={value}")),
                None => Err(format!("{file} does not exist")),
            },
            Self::Centre {
                dc,
                creates,
                command,
            } => {
                let mut fields = answer.split(';');
                let centres = fields.find_map(|field| field.strip_prefix("dcs="));
                let is_there =
                    centres.is_some_and(|centres| centres.split(',').any(|name| name == dc));
                match (is_there, creates) {
                    (true, true) => Err("DC already exists".to_owned()),
                    (false, false) => Err("DC does not exist".to_owned()),
                    _ => Ok(command.clone()),
                }
            }
        }
    }
}

/// Sends the change to all nodes, or those of `with`.
pub(super) fn change(
    scope: Scope,
    modifiers: &Modifiers,
    cluster: &Cluster,
    warned: bool,
) -> Planned {
    let nodes = targets(modifiers, cluster)?;
    let old_names = !at_least(cluster, &[7, 2]);
    let change = match made(scope, modifiers, old_names) {
        Err(missing) if scope == Scope::XdrDc => {
            let path = ["manage", "config", "xdr", "dc"];
            let told = vec![Event::Text(help(&path)), Event::Error(missing)];
            return Ok(Plan::Done(told));
        }
        change => change?,
    };
    let target = if modifiers.keyword("with").is_empty() {
        "all nodes".to_owned()
    } else {
        format!("nodes: {}", nodes::addresses(cluster, &nodes))
    };
    let message = format!("{} on {target}", change.message);
    let shown = response::Shown::new(change.title.clone(), &nodes, cluster);
    let inquiry = Inquiry::of(scope, modifiers, &change.command)?;
    let param = word(modifiers, "param").to_owned();
    let finish = move |replies: Vec<Reply>| {
        let mut told = shown.events(&replies);
        if AFTER_RECLUSTER.contains(&param.as_str()) {
            // Behind the sheet, before the error.
            told.insert(
                1,
                Event::Text(format!(
                    "Run \"manage recluster\" for your changes to {param} to take effect.\n"
                )),
            );
        }
        Ok(Plan::Done(told))
    };
    if_confirmed(warned, message, move || match inquiry.question() {
        None => to_all(&nodes, &change.command, finish),
        Some(question) => to_all(&nodes.clone(), question, move |answers| {
            Ok(follow(&inquiry, &nodes, answers, finish))
        }),
    })
}

/// Sends, at the same time, to each node the command that its answer leads to; where there is none, its text stands for the
/// node's answer.
fn follow(
    inquiry: &Inquiry,
    nodes: &[usize],
    mut answers: Vec<Reply>,
    finish: impl FnOnce(Vec<Reply>) -> Planned + 'static,
) -> Plan {
    let mut requests = Vec::new();
    let mut places = Vec::new();
    for (place, (node, answer)) in nodes.iter().zip(&mut answers).enumerate() {
        let Ok(text) = answer else { continue };
        match inquiry.command(text) {
            Ok(command) => {
                requests.push(Request {
                    node: *node,
                    command,
                });
                places.push(place);
            }
            Err(text) => *answer = Ok(text),
        }
    }
    let next = move |replies: Vec<Reply>| {
        for (place, reply) in places.into_iter().zip(replies) {
            if let Some(answer) = answers.get_mut(place) {
                *answer = reply;
            }
        }
        finish(answers)
    };
    Plan::Send(requests, Box::new(next))
}

/// The number of a file in `0:/path;1:/path`.
fn sink(logs: &str, file: &str) -> Option<String> {
    logs.split(';').find_map(|sink| {
        let (id, path) = sink.split_once(':')?;
        (path == file).then(|| id.to_owned())
    })
}

fn made(scope: Scope, modifiers: &Modifiers, old_names: bool) -> Result<Change, String> {
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let first = argument(modifiers, 0);
    let set = |context: &str, what: &str, sub: &str, whose: &str| {
        Ok::<Change, String>(Change {
            command: Builder::new("set-config")
                .fixed("context", context)
                .typed(&format!("{}{param}", prefix(sub)), value)?
                .text(),
            title: format!("Set {what} {param} to {value}"),
            message: format!("Change {whose} {param} to {value}"),
        })
    };
    let whose = |context: &str| match first {
        "" => format!("{context} param"),
        sub => format!("{context} {sub} param"),
    };
    Ok(match scope {
        Scope::Logging => {
            let change = set("logging", "Logging Context", "", "logging context")?;
            let message = format!("{} for file {}", change.message, word(modifiers, "file"));
            Change { message, ..change }
        }
        Scope::Service => set("service", "Service Param", "", "service param")?,
        Scope::Network => set("network", "Network Param", first, &whose("network"))?,
        Scope::Security => set("security", "Security Param", first, &whose("security"))?,
        Scope::Namespace => namespace(modifiers, old_names)?,
        Scope::Xdr => set("xdr", "XDR Param", "", "XDR param")?,
        Scope::XdrCreate | Scope::XdrDelete => {
            let dc = word(modifiers, "dc");
            let (action, what) = if scope == Scope::XdrCreate {
                ("create", "Create")
            } else {
                ("delete", "Delete")
            };
            Change {
                command: xdr().name("dc", dc)?.fixed("action", action).text(),
                title: format!("{what} XDR DC {dc}"),
                message: format!("{what} XDR DC {dc}"),
            }
        }
        Scope::XdrDc => data_centre(modifiers)?,
    })
}

fn xdr() -> Builder {
    Builder::new("set-config").fixed("context", "xdr")
}

fn prefix(sub: &str) -> String {
    if sub.is_empty() {
        String::new()
    } else {
        format!("{sub}.")
    }
}

fn namespace(modifiers: &Modifiers, old_names: bool) -> Result<Change, String> {
    let (param, value) = (word(modifiers, "param"), word(modifiers, "to"));
    let (namespace, set) = (argument(modifiers, 0), word(modifiers, "set"));
    let prefix = match argument(modifiers, 1) {
        "" | "storage-engine" => String::new(),
        sub => format!("{sub}."),
    };
    let key = if old_names { "id" } else { "namespace" };
    let mut command = Builder::new("set-config")
        .fixed("context", "namespace")
        .name(key, namespace)?
        .typed(&format!("{prefix}{param}"), value)?;
    let mut what = "Namespace";
    let mut whose = format!("namespace {namespace}");
    if !set.is_empty() {
        command = command.name("set", set)?;
        what = "Namespace Set";
        whose += &format!(" set {set}");
    } else if !argument(modifiers, 1).is_empty() {
        whose += &format!(" {}", argument(modifiers, 1));
    }
    Ok(Change {
        command: command.text(),
        title: format!("Set {what} Param {param} to {value}"),
        message: format!("Change {whose} param {param} to {value}"),
    })
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
    let has_param = !param.is_empty() && !value.is_empty();
    let (command, title, message) = match (adds, namespace, node) {
        (None, "", _) if has_param => (
            xdr().typed(param, value)?.name("dc", dc)?,
            format!("Set XDR DC param {param} to {value}"),
            format!("Change XDR DC {dc} param {param} to {value}"),
        ),
        (None, namespace, _) if has_param => (
            xdr()
                .typed(param, value)?
                .name("dc", dc)?
                .name("namespace", namespace)?,
            format!("Set XDR Namespace Param {param} to {value}"),
            format!("Change XDR DC {dc} namespace {namespace} param {param} to {value}"),
        ),
        (Some(adds), "", node) if !node.is_empty() => {
            let (action, what, toward) = direction(adds);
            (
                xdr()
                    .name("dc", dc)?
                    .value("node-address-port", node)?
                    .fixed("action", action),
                format!("{what} XDR Node {node} {toward} DC {dc}"),
                format!("{what} node {node} {toward} DC {dc}"),
            )
        }
        (Some(adds), namespace, _) if !namespace.is_empty() => {
            let (action, what, toward) = direction(adds);
            let mut command = xdr()
                .name("dc", dc)?
                .name("namespace", namespace)?
                .fixed("action", action);
            let mut message = format!("{what} namespace {namespace} {toward} DC {dc}");
            match word(modifiers, "rewind") {
                "" => {}
                rewind if rewind == "all" || rewind.parse::<u64>().is_ok() => {
                    command = command.fixed("rewind", rewind);
                    message += &format!(" with rewind {rewind}");
                }
                _ => return Err("Invalid rewind. Must be int or \"all\"".to_owned()),
            }
            (
                command,
                format!("{what} XDR Namespace {namespace} {toward} DC {dc}"),
                message,
            )
        }
        _ => return Err("param and to, or a namespace or node, are required".to_owned()),
    };
    Ok(Change {
        command: command.text(),
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
