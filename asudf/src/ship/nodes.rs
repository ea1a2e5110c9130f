//! The nodes of a cluster, as far as their modules go: asked all at the same time, changed through one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tools::cluster::Cluster;
use tools::terminal::safe;

use super::answers;
use super::claim::Claims;
use super::content::{Digest, Module};
use super::marker;

/// How many contents are asked for in one request: at most 22 MiB of answer.
const CONTENTS_AT_ONCE: usize = 16;

/// What a node serves under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Served {
    /// A content.
    Content(Digest),
    /// It lists the module, and does not give it. Why.
    Unreadable(String),
}

/// One node and the modules that it serves.
#[derive(Clone, Debug)]
pub(crate) struct NodeModules {
    /// Its id.
    pub(crate) id: String,
    /// Address and port.
    pub(crate) name: String,
    /// Version of the server.
    pub(crate) build: String,
    /// Name → hash, as it lists them.
    pub(crate) listed: BTreeMap<String, String>,
    /// Of those that were asked for.
    pub(crate) served: BTreeMap<String, Served>,
}

/// A name and what a node gives under it, or why it gives nothing.
type Source = (String, Result<Vec<u8>, String>);

/// What all nodes serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    /// Node by node, by id.
    pub(crate) nodes: Vec<NodeModules>,
    /// Every content that some node serves.
    pub(crate) contents: HashMap<Digest, Arc<[u8]>>,
}

impl Picture {
    /// All names that some node lists.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        let names = self.nodes.iter().flat_map(|node| node.listed.keys());
        names.map(String::as_str).collect()
    }

    /// What each node serves under a name, in the order of the nodes.
    pub(crate) fn served<'p>(&'p self, name: &'p str) -> impl Iterator<Item = Option<&'p Served>> {
        self.nodes.iter().map(move |node| node.served.get(name))
    }

    /// The content that most nodes serve; of as many the one that is on the first.
    pub(crate) fn usual(&self, name: &str) -> Option<Digest> {
        let mut counts: Vec<(Digest, usize)> = Vec::new();
        for served in self.served(name) {
            let Some(Served::Content(digest)) = served else {
                continue;
            };
            match counts.iter_mut().find(|(known, _)| known == digest) {
                Some((_, count)) => *count += 1,
                None => counts.push((*digest, 1)),
            }
        }
        counts.reverse();
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(digest, _)| digest)
    }

    /// The module that most nodes serve under a name.
    pub(crate) fn module(&self, name: &str) -> Option<Module> {
        let digest = self.usual(name)?;
        let source = Arc::clone(self.contents.get(&digest)?);
        Some(Module {
            name: name.to_owned(),
            source,
            digest,
        })
    }

    /// Whether the nodes list what they listed in another picture, locks aside.
    pub(crate) fn lists_as(&self, lists: &[BTreeMap<String, String>]) -> bool {
        let without_locks = |list: &BTreeMap<String, String>| -> Vec<(String, String)> {
            let others = list.iter().filter(|(name, _)| !marker::is_lock(name));
            others
                .map(|(name, hash)| (name.clone(), hash.clone()))
                .collect()
        };
        self.nodes.len() == lists.len()
            && self
                .nodes
                .iter()
                .zip(lists)
                .all(|(node, list)| without_locks(&node.listed) == without_locks(list))
    }
}

/// The cluster, every node of which was reached.
pub(crate) struct Nodes {
    cluster: Cluster,
    /// How long a node may take to answer, and all of them to follow a change.
    pub(crate) limit: Duration,
}

impl Nodes {
    /// Takes a cluster that was found.
    ///
    /// # Errors
    /// Nodes that were not reached: what they serve is not known.
    pub(crate) fn of(cluster: Cluster, limit: Duration) -> Result<Self, String> {
        let nodes = Self::of_some(cluster, limit);
        nodes.complete()?;
        Ok(nodes)
    }

    /// Takes a cluster of which some nodes may not have been reached.
    pub(crate) fn of_some(cluster: Cluster, limit: Duration) -> Self {
        Self { cluster, limit }
    }

    fn complete(&self) -> Result<(), String> {
        let members = &self.cluster.members;
        let mut missing: Vec<String> = self.cluster.gaps.clone();
        for member in members.iter().filter(|member| !member.node.alive) {
            let reason = member.failure.as_deref().unwrap_or("not reached");
            missing.push(format!("{}: {reason}", member.node.name));
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "not every node can be asked ({} of {}): {}",
            missing.len(),
            members.len(),
            safe::line(&missing.join("; "))
        ))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.cluster.members.len()
    }

    fn all(&self) -> Vec<usize> {
        (0..self.count()).collect()
    }

    fn name(&self, index: usize) -> String {
        let member = self.cluster.members.get(index);
        member.map_or_else(String::new, |member| member.node.name.clone())
    }

    /// Looks at the cluster again: nodes may have come or gone.
    ///
    /// # Errors
    /// Not every node was reached.
    pub(crate) async fn refresh(&mut self) -> Result<(), String> {
        if !self.cluster.is_current().await {
            self.cluster.refresh().await;
        }
        self.complete()
    }

    /// What every node lists.
    ///
    /// # Errors
    /// A node does not answer, or not with a list.
    pub(crate) async fn lists(&mut self) -> Result<Vec<BTreeMap<String, String>>, String> {
        let all = self.all();
        let answers = self.cluster.ask_all(&all, answers::LIST).await;
        let mut lists = Vec::with_capacity(answers.len());
        for (index, answer) in answers.into_iter().enumerate() {
            let list = answer.and_then(|answer| answers::listed(&answer));
            lists.push(list.map_err(|reason| self.failed(index, &reason))?);
        }
        Ok(lists)
    }

    fn failed(&self, index: usize, reason: &str) -> String {
        format!("{}: {}", self.name(index), safe::line(reason))
    }

    /// What every node serves, of the modules that are asked for.
    ///
    /// # Errors
    /// A node does not answer, or not with a list.
    pub(crate) async fn picture(
        &mut self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Picture, String> {
        let (picture, failures) = self.look(wanted).await;
        match failures.as_slice() {
            [] => Ok(picture),
            failures => Err(failures.join("; ")),
        }
    }

    /// The same of the nodes that answer; and of each other one what is wrong with it.
    pub(crate) async fn look(&mut self, wanted: impl Fn(&str) -> bool) -> (Picture, Vec<String>) {
        let all = self.all();
        let answers = self.cluster.ask_all(&all, answers::LIST).await;
        let mut lists = Vec::with_capacity(answers.len());
        let mut asked = Vec::with_capacity(answers.len());
        for answer in answers {
            let list = answer.and_then(|answer| answers::listed(&answer));
            let names = list.iter().flat_map(|list| list.keys());
            asked.push(names.filter(|name| wanted(name)).cloned().collect());
            lists.push(list);
        }
        let sources = self.sources(asked).await;
        let mut picture = Picture::default();
        let mut failures = Vec::new();
        for ((index, list), sources) in lists.into_iter().enumerate().zip(sources) {
            let node = list.and_then(|listed| Ok((listed, sources?)));
            let (listed, sources) = match node {
                Ok(node) => node,
                Err(reason) => {
                    failures.push(self.failed(index, &reason));
                    continue;
                }
            };
            let mut served = BTreeMap::new();
            for (name, source) in sources {
                let content = match source {
                    Ok(source) => {
                        let digest = Digest::of(&source);
                        picture
                            .contents
                            .entry(digest)
                            .or_insert_with(|| source.into());
                        Served::Content(digest)
                    }
                    Err(reason) => Served::Unreadable(safe::line(&reason).into_owned()),
                };
                served.insert(name, content);
            }
            let Some(member) = self.cluster.members.get(index) else {
                continue;
            };
            picture.nodes.push(NodeModules {
                id: member.node.id.clone(),
                name: member.node.name.clone(),
                build: member.node.build.clone(),
                listed,
                served,
            });
        }
        (picture, failures)
    }

    /// The contents under these names, of each node its own.
    async fn sources(&mut self, mut asked: Vec<Vec<String>>) -> Vec<Result<Vec<Source>, String>> {
        let mut found: Vec<Result<Vec<Source>, String>> =
            asked.iter().map(|_| Ok(Vec::new())).collect();
        loop {
            let mut round: Vec<(usize, Vec<String>)> = Vec::new();
            for (index, names) in asked.iter_mut().enumerate() {
                let at = names.len().saturating_sub(CONTENTS_AT_ONCE);
                let part = names.split_off(at);
                if !part.is_empty() {
                    round.push((index, part));
                }
            }
            if round.is_empty() {
                return found;
            }
            let commands = |names: &[String]| names.iter().map(|name| answers::get(name)).collect();
            let questions = round.iter().map(|(index, names)| (*index, commands(names)));
            let replies = self.cluster.ask(questions.collect()).await;
            for ((index, names), reply) in round.into_iter().zip(replies) {
                let Some(slot) = found.get_mut(index) else {
                    continue;
                };
                match (&mut *slot, reply) {
                    (Ok(sources), Ok(values)) => {
                        let values = values.iter().map(|value| answers::source(value));
                        sources.extend(names.into_iter().zip(values));
                    }
                    (slot @ Ok(_), Err(reason)) => *slot = Err(reason),
                    (Err(_), _) => {}
                }
            }
        }
    }

    /// The locks on every node.
    ///
    /// # Errors
    /// A node does not answer.
    pub(crate) async fn claims(&mut self) -> Result<Claims, String> {
        let picture = self.picture(marker::is_lock).await?;
        let claims = picture.nodes.iter().map(|node| {
            let served = node.served.iter();
            let sources = served.map(|(name, served)| match served {
                Served::Content(digest) => {
                    let source = picture.contents.get(digest);
                    (
                        name.clone(),
                        source.map_or_else(Vec::new, |source| source.to_vec()),
                    )
                }
                // Removed between the two questions, or not to be read: seen, at least.
                Served::Unreadable(_) => (name.clone(), Vec::new()),
            });
            sources.collect()
        });
        Ok(claims.collect())
    }

    /// Registers a module. That it is served everywhere is another question.
    ///
    /// # Errors
    /// The node's words.
    pub(crate) async fn put(&mut self, module: &Module) -> Result<(), String> {
        self.change(answers::put(module)).await
    }

    /// Removes a module.
    ///
    /// # Errors
    /// The node's words.
    pub(crate) async fn remove(&mut self, name: &str) -> Result<(), String> {
        self.change(answers::remove(name)).await
    }

    async fn change(&mut self, command: String) -> Result<(), String> {
        let principal = self.cluster.principal().ok_or("there is no node to ask")?;
        let mut replies = self.cluster.ask_one_each(vec![(principal, command)]).await;
        let reply = replies.pop().unwrap_or_else(|| Err("no answer".to_owned()));
        let done = reply.and_then(|answer| answers::done(&answer));
        done.map_err(|reason| self.failed(principal, &reason))
    }

    /// Of each node what it serves under one name, where its list does not tell: `expected` is the hash under which the
    /// wanted content is listed, if that is known.
    ///
    /// # Errors
    /// A node does not answer.
    pub(crate) async fn serving(
        &mut self,
        lists: &[BTreeMap<String, String>],
        module: &Module,
        expected: Option<&str>,
    ) -> Result<Vec<bool>, String> {
        let listed: Vec<Option<&String>> =
            lists.iter().map(|list| list.get(&module.name)).collect();
        let is_certain = |hash: Option<&String>| hash.map(String::as_str) == expected;
        let asked = listed.iter().map(|hash| match hash {
            Some(_) if !is_certain(*hash) => vec![module.name.clone()],
            _ => Vec::new(),
        });
        let sources = self.sources(asked.collect()).await;
        let mut serving = Vec::with_capacity(sources.len());
        for (index, (hash, sources)) in listed.iter().zip(sources).enumerate() {
            let sources = sources.map_err(|reason| self.failed(index, &reason))?;
            let source = sources.into_iter().next().map(|(_, source)| source);
            serving.push(match source {
                Some(source) => source.is_ok_and(|source| source[..] == module.source[..]),
                None => hash.is_some(),
            });
        }
        Ok(serving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_content_is_that_of_most_nodes() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        for (served, expected) in [
            (&["a", "b", "b"][..], Some("b")),
            (&["a", "b"], Some("a")),
            (&["", "b"], Some("b")),
            (&["", ""], None),
        ] {
            let nodes = served.iter().map(|text| NodeModules {
                id: String::new(),
                name: String::new(),
                build: String::new(),
                listed: BTreeMap::new(),
                served: match *text {
                    "" => BTreeMap::new(),
                    text => BTreeMap::from([("m.lua".to_owned(), Served::Content(digest(text)))]),
                },
            });
            let picture = Picture {
                nodes: nodes.collect(),
                ..Picture::default()
            };
            assert_eq!(picture.usual("m.lua"), expected.map(digest), "{served:?}");
        }
    }
}
