//! Looking at one node: its address, identity and peers.

use asinfo::login::{Credential, LoginError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocol::client::{Client, ClientError};
use thiserror::Error;

use super::Approach;
use super::names;
use super::peers::{self, Peer};
use crate::view::{at_least, is_error};

/// What a node told about itself.
pub(super) struct Found {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) id: String,
    pub(super) build: String,
    pub(super) admin: bool,
    pub(super) services: Vec<(String, u16)>,
    pub(super) peers: Vec<Peer>,
    pub(super) client: Client,
}

/// Where to look for a node.
#[derive(Clone)]
pub(super) struct Lead {
    pub(super) addresses: Vec<(String, u16)>,
    pub(super) seed: bool,
}

#[derive(Debug, Error)]
pub(super) enum LookError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Login(LoginError),
    #[error("no address")]
    NoAddress,
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

pub(super) async fn connect(
    host: &str,
    port: u16,
    approach: &Approach,
) -> Result<Client, LookError> {
    let mut client = Client::connect(host, port, approach.limit).await?;
    if let Some(credential) = &approach.credential {
        credential.log_in(&mut client, approach.limit).await?;
    }
    Ok(client)
}

/// Tries the addresses of a lead, then moves to an address that the node itself names.
pub(super) async fn look(lead: &Lead, approach: &Approach) -> Result<Found, LookError> {
    let mut last = LookError::NoAddress;
    for (host, port) in &lead.addresses {
        match inquire(host, *port, approach).await {
            Ok(found) => {
                let mut found = settle(found, approach).await;
                introduce(&mut found, approach).await;
                return Ok(found);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn settle(mut found: Found, approach: &Approach) -> Found {
    let here = (found.host.clone(), found.port);
    if found.services.is_empty() || found.services.contains(&here) {
        return found;
    }
    for (host, port) in found.services.clone() {
        if let Ok(client) = connect(&host, port, approach).await {
            (found.host, found.port, found.client) = (host, port, client);
            break;
        }
    }
    found
}

/// Tells the node who is asking, where nodes keep count of that (`show user-agents`).
async fn introduce(found: &mut Found, approach: &Approach) {
    if !at_least(&found.build, &[8, 1]) {
        return;
    }
    let user = approach
        .credential
        .as_ref()
        .map_or("unknown", Credential::user);
    let agent = format!("1,asadm-{},{user}", env!("CARGO_PKG_VERSION"));
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
            addresses: vec![(host, port)],
        })
        .collect())
}

async fn inquire(host: &str, port: u16, approach: &Approach) -> Result<Found, LookError> {
    let mut client = connect(host, port, approach).await?;
    let kind = if approach.alternate { "alt" } else { "std" };
    let commands = [
        "node".to_owned(),
        "build".to_owned(),
        "connection".to_owned(),
        format!("service-clear-{kind}"),
        format!("peers-clear-{kind}"),
        if approach.alumni {
            format!("alumni-clear-{kind}")
        } else {
            "peers-generation".to_owned()
        },
    ];
    let answers = client.info(&commands, approach.limit).await?;
    let answer = |index: usize| answers.get(index).map_or("", String::as_str);
    let admin = answer(2).split(';').any(|field| field == "admin=true");
    let mut found = Found {
        host: host.to_owned(),
        port,
        id: answer(0).to_owned(),
        build: answer(1).to_owned(),
        admin,
        services: Vec::new(),
        peers: Vec::new(),
        client,
    };
    if !admin {
        found.services = peers::services(answer(3));
        found.peers = match is_error(answer(4)) {
            false => peers::peers(answer(4)),
            true => old_peers(&mut found.client, approach).await?,
        };
        if approach.alumni {
            found.peers.extend(peers::peers(answer(5)));
        }
    }
    Ok(found)
}
