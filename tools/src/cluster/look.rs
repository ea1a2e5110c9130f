//! Looking at one node: its address, identity and peers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::bounds::Within as _;
use protocol::client::{Client, ClientError};
use thiserror::Error;

use super::Approach;
use super::names;
use super::peers::{self, Peer};
use crate::answer::{at_least, is_error};
use crate::connection::Connection;
use crate::login::{Credential, LoginError};

/// What a node told about itself.
pub(super) struct Found {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) id: String,
    pub(super) build: String,
    pub(super) admin: bool,
    pub(super) services: Vec<(String, u16)>,
    /// Peers of a server that tells addresses only.
    pub(super) old_peers: Vec<Peer>,
    /// Answers that name peers with their node ids.
    pub(super) peers: Vec<String>,
    /// The refusal to name peers that can be reached over TLS.
    pub(super) no_peers: Option<String>,
    /// Changes when its peers do.
    pub(super) generation: String,
    pub(super) client: Client,
}

/// Who said that there is a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The person.
    Seed,
    /// Another node.
    Peer,
    /// The picture before this one; it may be gone, which is no failure.
    Known,
}

/// Where to look for a node.
#[derive(Clone)]
pub(super) struct Lead {
    pub(super) addresses: Vec<(String, u16)>,
    pub(super) origin: Origin,
    /// The node id that has to answer there, where peers told it.
    pub(super) id: Option<String>,
    /// Name in the node's certificate, where that is not its host.
    pub(super) tls_name: Option<String>,
}

/// Where one connection goes.
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    /// Name in the certificate, where that is not the host.
    pub(super) tls_name: Option<String>,
}

/// The info command whose answer changes when the peers of a node do.
pub(super) const GENERATION: &str = "peers-generation";

/// How many addresses of one node are tried, which bounds the time that one node takes.
const ADDRESSES_MAX: usize = 8;

#[derive(Debug, Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Login(LoginError),
    #[error("no address")]
    NoAddress,
    #[error("answers as node {told}, where {expected} was expected")]
    OtherNode { told: String, expected: String },
    #[error("does not tell a node id")]
    NoId,
}

impl From<LoginError> for LookError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Client(error) => Self::Client(error),
            error => Self::Login(error),
        }
    }
}

/// The reason alone: where it happened stands beside it.
pub(super) fn short(error: &LookError) -> String {
    match error {
        LookError::Client(ClientError::TimedOut { limit, .. }) => {
            format!("timeout after {limit:?}")
        }
        LookError::Client(ClientError::Closed { .. }) => "connection closed".to_owned(),
        LookError::Client(ClientError::Connect { source, .. })
            if source.kind() == std::io::ErrorKind::ConnectionRefused =>
        {
            "connection refused".to_owned()
        }
        error => error.to_string(),
    }
}

pub(super) async fn connect(place: &Place, approach: &Approach) -> Result<Client, LookError> {
    let mut client = Connection::open(
        approach.tls.as_ref(),
        &place.host,
        place.port,
        place.tls_name.as_deref(),
        approach.limit,
    )
    .await?;
    if let Some(credential) = &approach.credential {
        credential.log_in(&mut client, approach.limit).await?;
    }
    Ok(client)
}

/// Tries the addresses of a lead, then moves to an address that the node itself names.
pub(super) async fn look(lead: &Lead, approach: &Approach) -> Result<Found, LookError> {
    let mut last = LookError::NoAddress;
    for (host, port) in lead.addresses.iter().take(ADDRESSES_MAX) {
        let place = Place {
            host: host.clone(),
            port: *port,
            tls_name: lead.tls_name.clone(),
        };
        match inquire(&place, approach).await {
            Ok(found) if lead.id.as_ref().is_some_and(|id| *id != found.id) => {
                last = LookError::OtherNode {
                    told: found.id,
                    expected: lead.id.clone().unwrap_or_default(),
                }
            }
            Ok(found) => {
                let mut found = settle(found, lead.tls_name.as_ref(), approach).await;
                introduce(&mut found, approach).await;
                return Ok(found);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn settle(mut found: Found, tls_name: Option<&String>, approach: &Approach) -> Found {
    let here = (found.host.clone(), found.port);
    if found.services.is_empty() || found.services.contains(&here) {
        return found;
    }
    for (host, port) in found.services.clone().into_iter().take(ADDRESSES_MAX) {
        let place = Place {
            host,
            port,
            tls_name: tls_name.cloned(),
        };
        let Ok(mut client) = connect(&place, approach).await else {
            continue;
        };
        // Behind address translation another node may stand there.
        let told = client.info(&["node"], approach.limit).await;
        if told.is_ok_and(|told| told.first() == Some(&found.id)) {
            (found.host, found.port, found.client) = (place.host, place.port, client);
            break;
        }
    }
    found
}

/// Whether the text can be a node id: hexadecimal digits, or a name.
fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Tells the node who is asking, where nodes keep count of that (`show user-agents`).
async fn introduce(found: &mut Found, approach: &Approach) {
    if !at_least(&found.build, &[8, 1]) {
        return;
    }
    let user = approach
        .credential
        .as_ref()
        .and_then(Credential::user)
        .unwrap_or("unknown");
    let agent = format!("1,{},{user}", approach.agent);
    let command = format!("user-agent-set:value={}", STANDARD.encode(agent));
    // A courtesy: whatever the node says to it, it can be worked with.
    let _ = found.client.info(&[command], approach.limit).await;
}

/// Servers that do not know `peers-…` name addresses without node ids.
async fn old_peers(client: &mut Client, approach: &Approach) -> Result<Vec<Peer>, LookError> {
    let command = if approach.alternate {
        "services-alternate"
    } else {
        "services"
    };
    let answers = client.info(&[command], approach.limit).await?;
    let addresses = answers.first().map_or("", String::as_str);
    Ok(peers::services(addresses)
        .into_iter()
        .map(|(host, port)| Peer {
            id: names::key(&host, port),
            id_known: false,
            tls_name: None,
            addresses: vec![(host, port)],
        })
        .collect())
}

async fn inquire(place: &Place, approach: &Approach) -> Result<Found, LookError> {
    let mut client = connect(place, approach).await?;
    let transport = if approach.tls.is_some() {
        "tls"
    } else {
        "clear"
    };
    let kind = if approach.alternate { "alt" } else { "std" };
    let kind = format!("{transport}-{kind}");
    let commands = [
        "node".to_owned(),
        "build".to_owned(),
        "connection".to_owned(),
        format!("service-{kind}"),
        format!("peers-{kind}"),
        GENERATION.to_owned(),
        format!("alumni-{kind}"),
    ];
    let asked = if approach.alumni { 7 } else { 6 };
    let commands = commands.within(..asked);
    let answers = client.info(commands, approach.limit).await?;
    let answer = |index: usize| answers.get(index).map_or("", String::as_str);
    if !is_id(answer(0)) {
        return Err(LookError::NoId);
    }
    let admin = answer(2).split(';').any(|field| field == "admin=true");
    let mut found = Found {
        host: place.host.clone(),
        port: place.port,
        id: answer(0).to_owned(),
        build: answer(1).to_owned(),
        admin,
        services: Vec::new(),
        old_peers: Vec::new(),
        peers: Vec::new(),
        no_peers: None,
        generation: answer(5).to_owned(),
        client,
    };
    if !admin {
        found.services = peers::services(answer(3));
        if is_error(answer(4)) && approach.tls.is_some() {
            // A community server behind something that decrypts for it.
            found.no_peers = Some(answer(4).to_owned());
        } else if is_error(answer(4)) {
            found.old_peers = old_peers(&mut found.client, approach).await?;
        } else {
            found.peers.push(answer(4).to_owned());
        }
        if approach.alumni && !is_error(answer(6)) {
            found.peers.push(answer(6).to_owned());
        }
    }
    Ok(found)
}
