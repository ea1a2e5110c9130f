//! One info request to the first seed that can be reached.

use std::time::Duration;

use bytes::BytesMut;
use protocol::client::{Client, ClientError};
use protocol::header::MessageType;
use protocol::info::{ReplyError, parse_replies, write_request};
use protocol::result_code::ResultCode;
use thiserror::Error;

use crate::connection::Connection;
use crate::hosts::Seed;
use crate::login::LoginError;
use crate::tls::is_distrust;
use crate::value;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// No seed accepts connections.
    #[error("Not able to connect any cluster with {}.", shown(.0))]
    Unreachable(Vec<Seed>),
    /// A login that was refused, or a node that did not answer to it.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The node wants a login.
    #[error("Connection failed : not authenticated.")]
    NotAuthenticated,
    /// An empty answer line.
    #[error("Invalid command '{0}'")]
    Invalid(String),
    /// The node did not answer, or not with an info reply.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The reply is no answer to the command.
    #[error("{peer} sent a malformed answer: {error}")]
    Malformed {
        /// Host and port.
        peer: String,
        /// What is wrong.
        error: ReplyError,
    },
}

fn shown(seeds: &[Seed]) -> String {
    let seeds: Vec<_> = seeds.iter().map(ToString::to_string).collect();
    seeds.join(", ")
}

/// A connection to the first seed that accepts one, logged in. The limit is for each step.
///
/// # Errors
/// No seed was reached, one is not trusted, or one refused the login.
pub async fn connect(connection: &Connection, limit: Duration) -> Result<Client, AskError> {
    let mut told = None;
    let seeds = &connection.seeds;
    for seed in seeds {
        let tls = connection.tls.as_ref();
        match Connection::open(tls, &seed.host, seed.port, seed.tls_name.as_deref(), limit).await {
            Ok(mut client) => {
                let logged_in = match &connection.credential {
                    Some(credential) => credential.log_in(&mut client, limit).await,
                    None => Ok(()),
                };
                match logged_in {
                    Ok(()) => return Ok(client),
                    // This one did not answer; another may.
                    Err(LoginError::Client(error)) => told = Some(error),
                    Err(refused) => return Err(refused.into()),
                }
            }
            Err(error @ (ClientError::Resolve { .. } | ClientError::NoAddress { .. })) => {
                told = Some(error);
            }
            // Where there is no TLS, nothing can be reached by it; a certificate that is not trusted has to be told.
            Err(error @ ClientError::Tls { .. }) if is_distrust(&error) => told = Some(error),
            Err(_) => {}
        }
    }
    match told {
        Some(error) if seeds.len() == 1 || is_distrust(&error) => Err(error.into()),
        _ => Err(AskError::Unreachable(seeds.clone())),
    }
}

/// What a node answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As printed, ending with a line feed.
    pub shown: String,
    /// As received, by which errors are told.
    pub value: String,
}

/// Sends one command, or none for the summary.
pub async fn ask(
    client: &mut Client,
    command: &str,
    lines: bool,
    limit: Duration,
) -> Result<Answer, AskError> {
    let answer = |value: &str| Answer {
        shown: value::shown(value, lines) + "\n",
        value: value.to_owned(),
    };
    if command.is_empty() {
        let value = whole(client, limit).await?;
        return Ok(Answer {
            shown: value::summary(&value),
            value,
        });
    }
    let body = exchange(client, &[command], limit).await?;
    if body.iter().all(|byte| *byte == b'\n') {
        return Err(AskError::Invalid(command.to_owned()));
    }
    match parse_replies(&body, &[command]) {
        Ok(values) => Ok(answer(values.first().copied().unwrap_or_default())),
        Err(ReplyError::Refused(failure)) if failure.code == ResultCode(80) => {
            Err(AskError::NotAuthenticated)
        }
        // A node that answers for the whole request: its words are the answer.
        Err(ReplyError::Refused(_)) => Ok(answer(&String::from_utf8_lossy(&body))),
        Err(error) => Err(AskError::Malformed {
            peer: client.peer().to_owned(),
            error,
        }),
    }
}

/// What a node answers to a request without any command, as `asinfo` shows it.
///
/// # Errors
/// It does not answer within the limit, or not as the protocol says.
pub async fn summary(client: &mut Client, limit: Duration) -> Result<String, ClientError> {
    let shown = value::summary(&whole(client, limit).await?);
    Ok(shown.trim_end().to_owned())
}

async fn whole(client: &mut Client, limit: Duration) -> Result<String, ClientError> {
    let body = exchange(client, &[], limit).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn exchange(
    client: &mut Client,
    commands: &[&str],
    limit: Duration,
) -> Result<bytes::Bytes, ClientError> {
    let mut request = BytesMut::new();
    write_request(&mut request, commands)?;
    let frame = client.exchange(&request, MessageType::Info, limit).await?;
    Ok(frame.body)
}
