//! Records of a cluster: each request goes to the node that owns its partition, over connections that are kept.
//!
//! ```text
//! seeds → nodes with their addresses → who owns which partition, per namespace
//! request → owner's connection (kept, or a new one) → reply
//! ```
//!
//! A request that may have changed something is sent again only when the first try cannot have reached the node. The
//! picture is taken anew before a second try.

mod node;
mod picture;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::client::ClientError;
use protocol::header::MessageType;
use protocol::key::Digest;
use protocol::message::{Info3, Message, ParseError};
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId, SecurityError, Unit};
use thiserror::Error;

use crate::ask::AskError;
use crate::connection::Connection;

pub use node::Node;
pub use picture::Picture;

/// How often a request is tried at least, counting the first time. There are more tries while its time lasts.
const TRIES: usize = 3;

/// Age of the picture at which it is taken anew before it is used.
const PICTURE_AGE_MAX: Duration = Duration::from_secs(1);

/// Pause before another try: the cluster may be about to agree on a new owner.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether a request may reach a node twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads.
    Safe,
    /// It changes something: only tries that cannot have reached the node are followed by another.
    Never,
}

/// Why a request has no reply.
#[derive(Debug, Error)]
pub enum RecordsError {
    /// No node of the picture owns the partition of this namespace.
    #[error("no node owns the partition of the record")]
    NoOwner,
    /// The namespace is on no node.
    #[error("no node has the namespace `{0}`")]
    NoNamespace(String),
    /// The cluster was not reached.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The node was not reached, or did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What the node sent is no reply to this.
    #[error("{peer} sent a malformed answer: {error}")]
    Malformed {
        /// Host and port.
        peer: String,
        /// What is wrong.
        error: ParseError,
    },
}

/// A cluster whose records can be asked for.
pub struct Records {
    connection: Connection,
    alternate: bool,
    limit: Duration,
    picture: Picture,
    taken: Instant,
}

impl Records {
    /// Finds the cluster from the seeds. `limit` is for each connection and each question about the cluster.
    ///
    /// # Errors
    /// No seed could be reached, or one refused the login.
    pub async fn connect(
        connection: Connection,
        alternate: bool,
        limit: Duration,
    ) -> Result<Self, AskError> {
        let picture = Picture::take(&connection, alternate, limit).await?;
        Ok(Self {
            connection,
            alternate,
            limit,
            picture,
            taken: Instant::now(),
        })
    }

    /// The nodes and who owns what, as last seen.
    #[must_use]
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// Takes the picture anew; keeps the connections of nodes that are still there. Where no seed answers, the nodes that
    /// are known are asked.
    ///
    /// # Errors
    /// As [`Records::connect`]; the old picture stays.
    pub async fn look_again(&mut self) -> Result<(), AskError> {
        let seen = match Picture::take(&self.connection, self.alternate, self.limit).await {
            Ok(seen) => seen,
            Err(error) => {
                let known = Connection {
                    seeds: self.picture.seeds(),
                    ..self.connection.clone()
                };
                let seen = Picture::take(&known, self.alternate, self.limit).await;
                seen.map_err(|_| error)?
            }
        };
        self.picture = seen.with_connections_of(&self.picture);
        self.taken = Instant::now();
        Ok(())
    }

    /// Takes the picture anew if it is older than a second.
    ///
    /// # Errors
    /// As [`Records::look_again`].
    pub async fn freshen(&mut self) -> Result<(), AskError> {
        match self.taken.elapsed() < PICTURE_AGE_MAX {
            true => Ok(()),
            false => self.look_again().await,
        }
    }

    /// Sends a message about one record to its owner; gives the node and the body of the reply. It is tried for as long as
    /// the limit says.
    ///
    /// # Errors
    /// No owner is known, or the node did not answer; after an error of a request that is not [`Repeat::Safe`] it may
    /// still have been done.
    pub async fn single(
        &mut self,
        namespace: &str,
        digest: &Digest,
        request: &[u8],
        repeat: Repeat,
        limit: Duration,
    ) -> Result<(Arc<Node>, Bytes), RecordsError> {
        let mut failed = RecordsError::NoOwner;
        let mut refused = None;
        let end = Instant::now() + limit;
        for attempt in 0.. {
            if attempt > 0 {
                if attempt >= TRIES && Instant::now() >= end {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
                // The picture of before may do; the try itself will tell.
                if let Err(error) = self.look_again().await {
                    failed = error.into();
                    continue;
                }
            }
            let owner = match self.picture.owner(namespace, digest.partition_id()) {
                Ok(owner) => Arc::clone(owner),
                Err(error) => {
                    failed = error;
                    continue;
                }
            };
            let mut client = match owner.take(self.limit).await {
                Ok(client) => client,
                Err(error) => {
                    failed = error.into();
                    continue;
                }
            };
            match client.exchange(request, MessageType::Message, limit).await {
                Ok(frame) => {
                    owner.keep(client);
                    if was_not_done(&frame.body) {
                        refused = Some((owner, frame.body));
                        continue;
                    }
                    return Ok((owner, frame.body));
                }
                Err(error) if repeat == Repeat::Safe => failed = error.into(),
                Err(error) => return Err(error.into()),
            }
        }
        refused.ok_or(failed)
    }

    /// The user that logs in, if one does.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.connection.credential.as_ref()?.user()
    }

    /// Sends a security message to the first node; gives the result.
    ///
    /// # Errors
    /// There is no node, it was not reached or did not answer.
    pub async fn security(
        &mut self,
        command: Command,
        fields: &[(FieldId, &[u8])],
        limit: Duration,
    ) -> Result<ResultCode, RecordsError> {
        let node = self.picture.nodes().first().ok_or(RecordsError::NoOwner)?;
        let mut client = node.take(self.limit).await?;
        let result = client
            .security(command, fields, limit, |unit| unit.result)
            .await?;
        node.keep(client);
        Ok(result)
    }

    /// A list of users or roles from the first node, or the code with which it refused.
    ///
    /// # Errors
    /// The node was not reached or did not answer.
    pub async fn security_list<T>(
        &mut self,
        command: Command,
        fields: &[(FieldId, &[u8])],
        limit: Duration,
        read: impl Fn(&Unit<'_>) -> Result<T, SecurityError>,
    ) -> Result<Result<Vec<T>, ResultCode>, ClientError> {
        let Some(node) = self.picture.nodes().first() else {
            return Ok(Ok(Vec::new()));
        };
        let mut client = node.take(self.limit).await?;
        let list = client.security_list(command, fields, limit, read).await?;
        node.keep(client);
        Ok(list)
    }

    /// Asks a node for an info command.
    ///
    /// # Errors
    /// The node was not reached or did not answer.
    pub async fn info(&self, node: &Arc<Node>, command: &str) -> Result<String, ClientError> {
        let mut client = node.take(self.limit).await?;
        let answers = client.info(&[command], self.limit).await?;
        node.keep(client);
        // There is one for each command, else the reply is malformed.
        answers
            .into_iter()
            .next()
            .ok_or_else(|| ClientError::Malformed {
                peer: node.address().to_owned(),
                reason: "an info reply without an answer".to_owned(),
            })
    }
}

/// Whether a node says that it has not done the request because the partition is not its own, or not yet.
fn was_not_done(body: &[u8]) -> bool {
    Message::parse_first(body)
        .is_ok_and(|(message, _)| message.header.result == ResultCode::UNAVAILABLE)
}

/// Sends a query to one node and hands on each message of the reply, until the last one. `limit` is for each frame.
///
/// `on_message` ends the query by saying false; its connection is closed then, which ends it on the node too.
///
/// # Errors
/// The node was not reached, stopped sending, or sent something else.
pub async fn query(
    node: &Arc<Node>,
    request: &[u8],
    limit: Duration,
    mut on_message: impl FnMut(&Message<'_>) -> bool,
) -> Result<ResultCode, RecordsError> {
    let mut client = node.take(limit).await?;
    let mut frame = client
        .exchange(request, MessageType::Message, limit)
        .await?;
    loop {
        for message in Message::parse_all(&frame.body) {
            let message = message.map_err(|error| RecordsError::Malformed {
                peer: node.address().to_owned(),
                error,
            })?;
            let header = &message.header;
            // A query that is refused at once is answered without that mark.
            let is_refusal = header.result != ResultCode::OK
                && message.ops.is_empty()
                && !header.info3.contains(Info3::PARTITION_DONE);
            if header.info3.contains(Info3::LAST) || is_refusal {
                node.keep(client);
                return Ok(message.header.result);
            }
            if !on_message(&message) {
                return Ok(ResultCode::OK);
            }
        }
        frame = client.receive(MessageType::Message, limit).await?;
    }
}
