//! The picture of the cluster: found from the seeds, refreshed, selected from.
//!
//! A node is known by its id. Its connection is opened at an address that the node itself names, kept between commands,
//! and opened anew after an error.

mod ask;
mod look;
mod names;
mod node;
pub(crate) mod peers;

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::client::Client;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::hosts::Seed;
use crate::login::Credential;
use crate::tls::{Tls, is_distrust};

pub use ask::NodeReply;
use look::{Found, Lead, LookError, Origin, Place, look, short};
pub use names::split_key;
pub use node::Node;
use peers::Peer;

/// The id of a peer that was not reached.
pub const UNREACHED_ID: &str = "000000000000000";
/// How many nodes a picture holds at most; a larger answer is no cluster.
const NODES_MAX: usize = 4096;

/// How nodes are looked for and reached.
#[derive(Clone)]
pub struct Approach {
    /// Name and version of the program, told to nodes that keep count of who asks: `asadm-1.0`.
    pub agent: String,
    /// Where to begin.
    pub seeds: Vec<Seed>,
    /// Who logs in.
    pub credential: Option<Credential>,
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// For each step: connecting, login, an answer.
    pub limit: Duration,
    /// Only the first seed that answers, no peers.
    pub single: bool,
    /// Alternate addresses.
    pub alternate: bool,
    /// Former members too.
    pub alumni: bool,
}

/// Why no cluster was found. The seeds' refusals come first, each a line.
#[derive(Debug, Error)]
#[error("Not able to connect any cluster with [{seeds}].")]
pub struct NotFound {
    seeds: String,
    /// Logins that were refused, and nodes that are not trusted.
    pub refusals: Vec<String>,
}

/// One node and the way to it.
#[derive(Debug)]
pub struct Member {
    /// What views see.
    pub node: Node,
    /// Address without port.
    pub ip: String,
    /// Port.
    pub port: u16,
    /// Name without port, if there is one.
    pub fqdn: Option<String>,
    /// Why it was not reached, when it is not alive.
    pub failure: Option<String>,
    /// Name in its certificate, where that is not its host.
    pub tls_name: Option<String>,
    /// As it was when the node was asked for its peers.
    generation: String,
    client: Option<Client>,
}

impl Member {
    fn place(&self) -> Place {
        Place {
            host: self.ip.clone(),
            port: self.port,
            tls_name: self.tls_name.clone(),
        }
    }
}

/// The cluster.
pub struct Cluster {
    approach: Approach,
    /// By id, those that were not reached last.
    pub members: Vec<Member>,
    /// Reached through a port for administration, where there are no peers.
    pub admin: bool,
    /// Seeds that did not answer although others did, and that no peer names.
    pub warnings: Vec<String>,
    /// Why nodes may be missing from the picture.
    pub gaps: Vec<String>,
}

impl Cluster {
    /// Finds the cluster from the seeds.
    ///
    /// # Errors
    /// No seed was reached.
    pub async fn find(approach: Approach) -> Result<Self, NotFound> {
        Self::find_from(approach, Vec::new()).await
    }

    /// The same, from further leads too.
    async fn find_from(approach: Approach, further: Vec<Lead>) -> Result<Self, NotFound> {
        let mut cluster = Self {
            approach,
            members: Vec::new(),
            admin: false,
            warnings: Vec::new(),
            gaps: Vec::new(),
        };
        let leads = cluster
            .approach
            .seeds
            .iter()
            .map(|seed| Lead {
                addresses: vec![(seed.host.clone(), seed.port)],
                origin: Origin::Seed,
                id: None,
                tls_name: seed.tls_name.clone(),
            })
            .chain(further)
            .collect();
        let refusals = cluster.follow(leads).await;
        if cluster.members.iter().any(|member| member.node.alive) {
            cluster.finish().await;
            return Ok(cluster);
        }
        let seeds: Vec<_> = cluster
            .approach
            .seeds
            .iter()
            .map(ToString::to_string)
            .collect();
        Err(NotFound {
            seeds: seeds.join(", "),
            refusals,
        })
    }

    /// Follows leads and the peers that they name until nothing is new. Gives what seeds refused.
    async fn follow(&mut self, mut leads: Vec<Lead>) -> Vec<String> {
        let mut met = BTreeSet::new();
        let mut refusals = Vec::new();
        let mut silent = Vec::new();
        while !leads.is_empty() && met.len() < NODES_MAX {
            let mut looking = JoinSet::new();
            for (index, lead) in leads.drain(..).enumerate() {
                let approach = self.approach.clone();
                looking.spawn(async move { (index, look(&lead, &approach).await, lead) });
            }
            let mut round = Vec::new();
            while let Some(done) = looking.join_next().await {
                match done {
                    Ok(looked) => round.push(looked),
                    // A bug: without the node that it was about the picture would be wrong.
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                }
            }
            round.sort_by_key(|(index, ..)| *index);
            let mut peers: Vec<Peer> = Vec::new();
            for (_, result, lead) in round {
                match result {
                    Ok(found) => {
                        self.admin |= found.admin;
                        for answer in &found.peers {
                            let (named, whole) = peers::peers(answer, |id| met.contains(id));
                            peers.extend(named);
                            if !whole {
                                let key = names::key(&found.host, found.port);
                                self.gaps.push(format!("{key} names its peers in a way that cannot be read, so nodes may be missing"));
                            }
                        }
                        if let Some(answer) = &found.no_peers {
                            let key = names::key(&found.host, found.port);
                            self.warnings.push(format!(
                                "{key} names no peers that can be reached over TLS: {answer}"
                            ));
                        }
                        peers.extend(found.old_peers.iter().cloned());
                        met.insert(found.id.clone());
                        if self.members.iter().all(|known| known.node.id != found.id) {
                            self.members.push(reached(found, &lead));
                        }
                        if self.approach.single {
                            return refusals;
                        }
                    }
                    Err(LookError::Login(error)) if lead.origin == Origin::Seed => {
                        refusals.push(error.to_string())
                    }
                    Err(LookError::Client(error))
                        if lead.origin == Origin::Seed && is_distrust(&error) =>
                    {
                        refusals.push(error.to_string());
                    }
                    Err(failure) if lead.origin == Origin::Seed => {
                        silent.extend(unreached(&lead, &failure))
                    }
                    Err(_) if lead.origin == Origin::Known => {}
                    Err(failure) => self.members.extend(unreached(&lead, &failure)),
                }
            }
            for peer in peers {
                if peer.addresses.is_empty() || met.contains(&peer.id) {
                    continue;
                }
                if met.len() >= NODES_MAX {
                    self.gaps.push(format!(
                        "more than {NODES_MAX} nodes are named, the others are left out"
                    ));
                    break;
                }
                met.insert(peer.id.clone());
                leads.push(Lead {
                    addresses: peer.addresses,
                    origin: Origin::Peer,
                    id: peer.id_known.then_some(peer.id),
                    tls_name: peer.tls_name,
                });
            }
        }
        for seed in silent {
            if self
                .members
                .iter()
                .all(|known| known.node.key != seed.node.key)
            {
                let reason = seed.failure.unwrap_or_default();
                self.warnings
                    .push(format!("seed {} did not answer: {reason}", seed.node.key));
            }
        }
        refusals
    }

    /// Order, names, principal.
    async fn finish(&mut self) {
        self.members.sort_by_key(|member| {
            (
                !member.node.alive,
                member.node.id.clone(),
                member.node.key.clone(),
            )
        });
        names::give(&mut self.members).await;
        let principal = self
            .members
            .iter()
            .filter(|member| member.node.alive)
            .map(|member| format!("{:0>16}", member.node.id))
            .max();
        for member in &mut self.members {
            member.node.principal =
                member.node.alive && Some(format!("{:0>16}", member.node.id)) == principal;
        }
    }

    /// The whole picture, for views.
    pub fn nodes(&self) -> Vec<Node> {
        self.members
            .iter()
            .map(|member| member.node.clone())
            .collect()
    }

    /// Positions of the nodes that were reached.
    pub fn alive(&self) -> Vec<usize> {
        self.members
            .iter()
            .enumerate()
            .filter(|(_, member)| member.node.alive)
            .map(|(index, _)| index)
            .collect()
    }

    /// Position of the expected principal.
    pub fn principal(&self) -> Option<usize> {
        self.members.iter().position(|member| member.node.principal)
    }

    /// The nodes that the words of `with` name, in the order of the words.
    pub fn select(&self, words: &[String]) -> Result<Vec<usize>, SelectError> {
        let mut selected = Vec::new();
        let mut unknown = Vec::new();
        for word in words {
            let found = self.matching(word);
            if found.is_empty() {
                unknown.push(word.as_str());
            }
            for index in found {
                if !selected.contains(&index) {
                    selected.push(index);
                }
            }
        }
        match unknown.first() {
            _ if selected.is_empty() => Err(SelectError::Nothing),
            Some(_) => Err(SelectError::Unknown(unknown.join("`, `"))),
            None => Ok(selected),
        }
    }

    fn matching(&self, word: &str) -> Vec<usize> {
        let of = |test: &dyn Fn(&Member) -> bool| -> Vec<usize> {
            self.members
                .iter()
                .enumerate()
                .filter(|(_, member)| test(member))
                .map(|(index, _)| index)
                .collect()
        };
        if word == "all" {
            return self.alive();
        }
        if let Some(start) = word.strip_suffix('*') {
            return of(&|member| names::of(member).any(|name| name.starts_with(start)));
        }
        let exact = of(&|member| names::of(member).any(|name| name == word));
        if !exact.is_empty() {
            return exact;
        }
        let bare = of(&|member| member.ip == word || member.fqdn.as_deref() == Some(word));
        if bare.len() == 1 { bare } else { Vec::new() }
    }

    /// The way to the nodes that were reached, for a client of their records.
    pub fn connection(&self) -> Connection {
        let alive = self.members.iter().filter(|member| member.node.alive);
        Connection {
            seeds: alive
                .map(|member| Seed {
                    host: member.ip.clone(),
                    port: member.port,
                    tls_name: member.tls_name.clone(),
                })
                .collect(),
            credential: self.approach.credential.clone(),
            tls: self.approach.tls.clone(),
            problem: None,
            exposes_password: false,
        }
    }

    /// Whether alternate addresses are used.
    pub fn is_alternate(&self) -> bool {
        self.approach.alternate
    }

    /// The time for each step with a node.
    pub fn limit(&self) -> Duration {
        self.approach.limit
    }

    /// Whether the picture is as the nodes would draw it now: all of them answer, and none has other peers than before. One
    /// short question to each, over connections that are open.
    pub async fn is_current(&mut self) -> bool {
        if self.members.iter().any(|member| !member.node.alive) {
            return false;
        }
        let nodes = self.alive();
        let told = self.ask_all(&nodes, look::GENERATION).await;
        let members = self.members.iter();
        members
            .zip(told)
            .all(|(member, told)| told.is_ok_and(|told| told == member.generation))
    }

    /// Looks again, from the seeds and from the nodes that were there before: a seed may be gone. Keeps the old picture
    /// when nobody answers.
    pub async fn refresh(&mut self) {
        let known = self.members.iter().filter(|member| member.node.alive);
        let known = known.map(|member| Lead {
            addresses: vec![(member.ip.clone(), member.port)],
            origin: Origin::Known,
            id: Some(member.node.id.clone()),
            tls_name: member.tls_name.clone(),
        });
        let known = if self.approach.single {
            Vec::new()
        } else {
            known.collect()
        };
        if let Ok(found) = Self::find_from(self.approach.clone(), known).await {
            *self = found;
        }
    }
}

/// `with` words that do not name nodes.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SelectError {
    /// None of them.
    #[error("Unable to find any Aerospike nodes")]
    Nothing,
    /// Some of them.
    #[error("no node matches `{0}`, so nothing was sent")]
    Unknown(String),
}

fn reached(found: Found, lead: &Lead) -> Member {
    let key = names::key(&found.host, found.port);
    let asked = lead.addresses.first();
    let aliases = lead
        .addresses
        .iter()
        .map(|(host, port)| names::key(host, *port))
        .filter(|alias| lead.origin == Origin::Seed && *alias != key && names::is_address(alias))
        .collect();
    let this = lead.origin == Origin::Seed
        && asked
            .is_some_and(|(host, _)| matches!(host.as_str(), "127.0.0.1" | "localhost" | "::1"));
    Member {
        node: Node {
            key,
            id: found.id,
            build: found.build,
            aliases,
            alive: true,
            this,
            ..Node::default()
        },
        ip: found.host,
        port: found.port,
        fqdn: None,
        failure: None,
        tls_name: lead.tls_name.clone(),
        generation: found.generation,
        client: Some(found.client),
    }
}

fn unreached(lead: &Lead, failure: &LookError) -> Option<Member> {
    let (host, port) = lead.addresses.first()?;
    Some(Member {
        node: Node {
            key: names::key(host, *port),
            id: UNREACHED_ID.to_owned(),
            ..Node::default()
        },
        ip: host.clone(),
        port: *port,
        fqdn: None,
        failure: Some(short(failure)),
        tls_name: lead.tls_name.clone(),
        generation: String::new(),
        client: None,
    })
}
