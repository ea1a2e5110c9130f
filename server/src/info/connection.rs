//! What a connection has told about itself.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use parking_lot::Mutex;
use protocol::bounds::Fit as _;
use protocol::info::InfoError;

use crate::access::Session;
use crate::cluster::{Follower, Followers};
use crate::node::UserAgents;

use super::Call;
use super::fields::text;

/// Characters of a user agent at most, as sent.
const USER_AGENT_BYTES_MAX: usize = 87;

/// The state of one connection; when it is dropped, the connection no longer counts.
#[derive(Debug, Default)]
pub struct ConnectionState {
    /// Who asks.
    session: Session,
    /// Where from, for the log.
    peer: String,
    /// Time that its long commands have taken so far, µs.
    long_us: AtomicU64,
    agent: Mutex<Option<(Arc<UserAgents>, String)>>,
    follower: OnceLock<Arc<Follower>>,
}

impl ConnectionState {
    /// A connection of this session.
    #[must_use]
    pub fn new(session: Session) -> Self {
        Self {
            session,
            peer: String::new(),
            long_us: AtomicU64::new(0),
            agent: Mutex::default(),
            follower: OnceLock::new(),
        }
    }

    /// The same, from there.
    #[must_use]
    pub fn from(mut self, peer: SocketAddr) -> Self {
        self.peer = peer.to_string();
        self
    }

    /// Time that the connection's long commands have taken so far.
    pub(super) fn long_time(&self) -> Duration {
        Duration::from_micros(self.long_us.load(Ordering::Relaxed))
    }

    /// Counts more of it.
    pub(super) fn add_long_time(&self, time: Duration) {
        let more = time.as_micros().fit::<u64>();
        self.long_us.fetch_add(more, Ordering::Relaxed);
    }

    /// Where the connection is from, for the log.
    pub(super) fn peer(&self) -> &str {
        if self.peer.is_empty() {
            "-"
        } else {
            &self.peer
        }
    }

    /// Counts a question of a client that follows the cluster.
    pub(super) fn follows(&self, followers: &Followers) {
        match self.follower.get() {
            Some(follower) => follower.ask(),
            None => drop(self.follower.set(followers.come())),
        }
    }

    /// Who asks.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        if let Some((agents, agent)) = self.agent.get_mut() {
            agents.leave(agent);
        }
    }
}

pub(super) fn user_agent_set(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let value = call
        .params
        .required_at_most("value", USER_AGENT_BYTES_MAX)?;
    STANDARD
        .decode(value)
        .map_err(|_| InfoError::parameter("'value' invalid base64"))?;
    let mut agent = call.connection.agent.lock();
    if agent.is_some() {
        return Err(InfoError::parameter("already set"));
    }
    call.node.user_agents.come(value);
    *agent = Some((Arc::clone(&call.node.user_agents), value.to_owned()));
    text(out, "ok");
    Ok(())
}

pub(super) fn user_agents(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    for (agent, count) in call.node.user_agents.counts() {
        text(out, format_args!("user-agent={agent}:count={count};"));
    }
    Ok(())
}
