//! Names of the cluster for completion.

use std::collections::BTreeMap;

use crate::view::is_error;
use tools::cluster::Cluster;

/// Scopes whose parameters are completed, as `manage config SCOPE` names them.
const SCOPES: &[&str] = &["service", "network", "security", "namespace"];

/// What there is in a cluster.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// Names and ids of nodes.
    pub(super) nodes: Vec<String>,
    /// Registered modules.
    pub(super) modules: Vec<String>,
    pub(super) namespaces: Vec<String>,
    /// By namespace.
    pub(super) sets: BTreeMap<String, Vec<String>>,
    /// By scope.
    pub(super) parameters: BTreeMap<&'static str, Vec<String>>,
}

impl Vocabulary {
    /// Asks one node, in two messages. What it does not tell is not completed.
    pub(super) async fn of(cluster: &mut Cluster) -> Self {
        let mut vocabulary = Self {
            nodes: cluster
                .members
                .iter()
                .flat_map(|member| [member.node.name.clone(), member.node.id.clone()])
                .filter(|name| name != tools::cluster::UNREACHED_ID)
                .collect(),
            ..Self::default()
        };
        let Some(node) = cluster.alive().first().copied() else {
            return vocabulary;
        };
        let first = ["namespaces", "sets", "udf-list"].map(str::to_owned);
        let answers = ask(cluster, node, first.to_vec()).await;
        let [namespaces, sets, modules] = answers.as_slice() else {
            return vocabulary;
        };
        vocabulary.namespaces = list(namespaces, ';');
        vocabulary.modules = named(modules, ',', "filename");
        for set in list(sets, ';') {
            let field = |name| named_field(&set, ':', name);
            if let (Some(namespace), Some(set)) = (field("ns"), field("set")) {
                vocabulary.sets.entry(namespace).or_default().push(set);
            }
        }
        let configs: Vec<String> = SCOPES
            .iter()
            .map(|scope| match (*scope, vocabulary.namespaces.first()) {
                ("namespace", Some(name)) => format!("get-config:context=namespace;id={name}"),
                (scope, _) => format!("get-config:context={scope}"),
            })
            .collect();
        for (scope, config) in SCOPES.iter().zip(ask(cluster, node, configs).await) {
            let names = list(&config, ';')
                .iter()
                .filter_map(|field| Some(field.split_once('=')?.0.to_owned()))
                .collect();
            vocabulary.parameters.insert(scope, names);
        }
        vocabulary
    }
}

/// The answers of one node, errors as empty texts.
async fn ask(cluster: &mut Cluster, node: usize, commands: Vec<String>) -> Vec<String> {
    let replies = cluster.ask(vec![(node, commands)]).await;
    let answers = replies.into_iter().next().and_then(Result::ok);
    answers
        .unwrap_or_default()
        .into_iter()
        .map(|answer| {
            if is_error(&answer) {
                String::new()
            } else {
                answer
            }
        })
        .collect()
}

fn list(text: &str, separator: char) -> Vec<String> {
    text.split(separator)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

fn named_field(entry: &str, separator: char, name: &str) -> Option<String> {
    entry
        .split(separator)
        .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
        .map(str::to_owned)
}

fn named(text: &str, separator: char, name: &str) -> Vec<String> {
    list(text, ';')
        .iter()
        .filter_map(|entry| named_field(entry, separator, name))
        .collect()
}
