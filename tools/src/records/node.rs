//! A node with the connections to it that are not in use.

use std::time::Duration;

use parking_lot::Mutex;
use protocol::client::{Client, ClientError};

use crate::connection::Connection;
use crate::hosts::Seed;
use crate::login::{Credential, LoginError};
use crate::tls::Tls;

/// Connections that are kept for later.
const KEPT_MAX: usize = 8;

/// One node of the cluster.
pub struct Node {
    id: String,
    address: String,
    host: String,
    port: u16,
    tls_name: Option<String>,
    tls: Option<Tls>,
    credential: Option<Credential>,
    kept: Mutex<Vec<Client>>,
}

impl Node {
    pub(super) fn new(
        connection: &Connection,
        id: String,
        host: String,
        port: u16,
        tls_name: Option<String>,
    ) -> Self {
        let address = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Self {
            id,
            address,
            host,
            port,
            tls_name,
            tls: connection.tls.clone(),
            credential: connection.credential.clone(),
            kept: Mutex::default(),
        }
    }

    /// The node id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `host:port`, an IPv6 address in brackets.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where it is reached.
    pub(super) fn seed(&self) -> Seed {
        Seed {
            host: self.host.clone(),
            port: self.port,
            tls_name: self.tls_name.clone(),
        }
    }

    /// A connection, logged in: one that was kept, else a new one.
    pub(super) async fn take(&self, limit: Duration) -> Result<Client, ClientError> {
        let kept = self.kept.lock().pop();
        if let Some(client) = kept {
            return Ok(client);
        }
        let tls_name = self.tls_name.as_deref();
        let tls = self.tls.as_ref();
        let mut client = Connection::open(tls, &self.host, self.port, tls_name, limit).await?;
        if let Some(credential) = &self.credential {
            match credential.log_in(&mut client, limit).await {
                Ok(()) => {}
                Err(LoginError::Client(error)) => return Err(error),
                Err(refused) => {
                    return Err(ClientError::Malformed {
                        peer: self.address.clone(),
                        reason: refused.to_string(),
                    });
                }
            }
        }
        Ok(client)
    }

    /// Keeps a connection for later, if it can still be used.
    pub(super) fn keep(&self, client: Client) {
        let mut kept = self.kept.lock();
        if client.is_usable() && kept.len() < KEPT_MAX {
            kept.push(client);
        }
    }

    /// Takes over the connections of an older picture of the same node.
    pub(super) fn inherit(&self, older: &Self) {
        *self.kept.lock() = std::mem::take(&mut *older.kept.lock());
    }
}
