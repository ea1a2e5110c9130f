//! A client for one node: connect, ask, read the answer, each within a time limit.
//!
//! Requests go one at a time. After an error that leaves it unclear what the connection will yield next (a time-out, a
//! malformed answer, a call that was dropped half-way) the connection is closed and every further call says so:
//! nobody can get the answer to another's question.
//!
//! There are no retries and no cluster here; addresses are chosen, and errors judged, by the caller.

mod error;
mod record;
mod stream;

use crate::bounds::Fit as _;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};
#[cfg(feature = "tls")]
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};
use tokio_util::codec::Decoder;

pub use error::{ClientError, TimedOut};
pub use record::{Record, RecordKey};

use stream::Stream;

use crate::codec::{Frame, FrameCodec};
use crate::header::MessageType;
use crate::result_code::ResultCode;
use crate::{info, security};

/// Longest list of users or roles, bytes.
const MAX_LIST_BYTES: usize = 16 << 20;

/// A connection to one node.
#[derive(Debug)]
pub struct Client {
    /// `None` after an error, and while a call is under way: a call that is dropped leaves it so.
    connection: Option<Connection>,
    peer: String,
}

#[derive(Debug)]
struct Connection {
    stream: Stream,
    received: BytesMut,
    codec: FrameCodec,
}

impl Client {
    /// Connects to a host, by name or address, trying all of its addresses within the limit.
    ///
    /// Errors: the name cannot be resolved; every address refused or could not be reached (the last one is told); the
    /// limit passed.
    pub async fn connect(host: &str, port: u16, limit: Duration) -> Result<Self, ClientError> {
        let (stream, peer) = reach(host, port, limit).await?;
        Ok(Self::over(Stream::Clear(stream), peer))
    }

    /// The same, encrypted; connecting and the handshake are within the limit. The node has to have a certificate of this
    /// name, as the connector judges it.
    ///
    /// Errors: those of [`Client::connect`], and a handshake that failed.
    #[cfg(feature = "tls")]
    pub async fn connect_tls(
        host: &str,
        port: u16,
        connector: &TlsConnector,
        name: ServerName<'static>,
        limit: Duration,
    ) -> Result<Self, ClientError> {
        let end = Instant::now() + limit;
        let (stream, peer) = reach(host, port, limit).await?;
        match timeout_at(end, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Self::over(Stream::Tls(Box::new(stream)), peer)),
            Ok(Err(source)) => Err(ClientError::Tls { peer, source }),
            Err(_) => Err(ClientError::TimedOut {
                peer,
                during: TimedOut::Connect,
                limit,
            }),
        }
    }

    fn over(stream: Stream, peer: String) -> Self {
        Self {
            connection: Some(Connection {
                stream,
                received: BytesMut::new(),
                codec: FrameCodec::default(),
            }),
            peer,
        }
    }

    /// Host and port, as given to [`Client::connect`].
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Whether further calls are possible.
    pub fn is_usable(&self) -> bool {
        self.connection.is_some()
    }

    /// Asks for info commands; gives the values in their order. An error value is a value here, see
    /// [`info::Failure::of`].
    pub async fn info<C: AsRef<str>>(
        &mut self,
        commands: &[C],
        limit: Duration,
    ) -> Result<Vec<String>, ClientError> {
        let mut request = BytesMut::new();
        info::write_request(&mut request, commands)?;
        let reply = self.exchange(&request, MessageType::Info, limit).await?;
        match info::parse_replies(&reply.body, commands) {
            Ok(values) => Ok(values.into_iter().map(str::to_owned).collect()),
            // The server was understood; the connection is in order.
            Err(info::ReplyError::Refused(failure)) => Err(ClientError::Refused {
                peer: self.peer.clone(),
                failure,
            }),
            Err(error) => Err(self.malformed(error)),
        }
    }

    /// Sends whole frames, as they stand in `request`, and reads one frame of the type given.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        expected: MessageType,
        limit: Duration,
    ) -> Result<Frame, ClientError> {
        let end = Instant::now() + limit;
        self.send_until(request, end, limit).await?;
        self.receive_until(expected, end, limit).await
    }

    /// Reads one more frame, for replies of several.
    pub async fn receive(
        &mut self,
        expected: MessageType,
        limit: Duration,
    ) -> Result<Frame, ClientError> {
        self.receive_until(expected, Instant::now() + limit, limit)
            .await
    }

    /// Sends a login or another security request and reads the result and fields of its reply.
    ///
    /// `use_reply` gets the first unit of the reply whatever its result is.
    pub async fn security<T>(
        &mut self,
        command: security::Command,
        fields: &[(security::FieldId, &[u8])],
        limit: Duration,
        use_reply: impl FnOnce(security::Unit<'_>) -> T,
    ) -> Result<T, ClientError> {
        let mut request = BytesMut::new();
        security::write_unit(&mut request, ResultCode::OK, command, fields)?;
        let reply = self
            .exchange(&request, MessageType::Security, limit)
            .await?;
        match security::Unit::parse_first(&reply.body) {
            Ok((unit, _)) => Ok(use_reply(unit)),
            Err(error) => Err(self.malformed(error)),
        }
    }

    /// Sends a request whose reply is a list of units, in one frame or several, up to one with a result other than 0.
    /// The limit is for the whole list, which is no longer than 16 MiB. That result comes instead of the list, unless it is the [end of the list](ResultCode::SEC_OK_LAST).
    pub async fn security_list<T>(
        &mut self,
        command: security::Command,
        fields: &[(security::FieldId, &[u8])],
        limit: Duration,
        read: impl Fn(&security::Unit<'_>) -> Result<T, security::SecurityError>,
    ) -> Result<Result<Vec<T>, ResultCode>, ClientError> {
        let mut request = BytesMut::new();
        security::write_unit(&mut request, ResultCode::OK, command, fields)?;
        let end = Instant::now() + limit;
        self.send_until(&request, end, limit).await?;
        let mut list = Vec::new();
        let mut bytes = 0;
        loop {
            // A node that never stops would be read as long as it is fast enough.
            if Instant::now() >= end {
                return Err(self.timed_out(TimedOut::Receive, limit));
            }
            let frame = self
                .receive_until(MessageType::Security, end, limit)
                .await?;
            bytes += frame.body.len();
            if bytes > MAX_LIST_BYTES {
                return Err(self.malformed(format!("a list of more than {MAX_LIST_BYTES} bytes")));
            }
            let mut rest = &frame.body[..];
            while !rest.is_empty() {
                let (unit, after) = match security::Unit::parse_first(rest) {
                    Ok(parsed) => parsed,
                    Err(error) => return Err(self.malformed(error)),
                };
                match unit.result {
                    ResultCode::OK => match read(&unit) {
                        Ok(entry) => list.push(entry),
                        Err(error) => return Err(self.malformed(error)),
                    },
                    ResultCode::SEC_OK_LAST => return Ok(Ok(list)),
                    refused => return Ok(Err(refused)),
                }
                rest = after;
            }
        }
    }

    async fn send_until(
        &mut self,
        request: &[u8],
        end: Instant,
        limit: Duration,
    ) -> Result<(), ClientError> {
        let mut connection = self.take()?;
        if !connection.received.is_empty() {
            return Err(self.malformed("bytes that nobody asked for came after the last answer"));
        }
        let sending = async {
            connection.stream.write_all(request).await?;
            connection.stream.flush().await
        };
        let sent = timeout_at(end, sending).await;
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(source)) => {
                return Err(ClientError::Io {
                    peer: self.peer.clone(),
                    source,
                });
            }
            Err(_) => return Err(self.timed_out(TimedOut::Send, limit)),
        }
        self.connection = Some(connection);
        Ok(())
    }

    async fn receive_until(
        &mut self,
        expected: MessageType,
        end: Instant,
        limit: Duration,
    ) -> Result<Frame, ClientError> {
        let mut connection = self.take()?;
        let frame = loop {
            match connection.codec.decode(&mut connection.received) {
                Ok(Some(frame)) => break frame,
                Ok(None) => {}
                Err(error) => return Err(self.malformed(error)),
            }
            connection.received.reserve(1);
            match timeout_at(end, connection.stream.read_buf(&mut connection.received)).await {
                Ok(Ok(0)) => {
                    return Err(ClientError::Closed {
                        peer: self.peer.clone(),
                    });
                }
                Ok(Ok(_)) => {}
                // Without TLS this is an end without words.
                Ok(Err(source)) if source.kind() == ErrorKind::UnexpectedEof => {
                    return Err(ClientError::Closed {
                        peer: self.peer.clone(),
                    });
                }
                Ok(Err(source)) => {
                    return Err(ClientError::Io {
                        peer: self.peer.clone(),
                        source,
                    });
                }
                Err(_) => return Err(self.timed_out(TimedOut::Receive, limit)),
            }
        };
        if frame.kind != expected {
            let found = u8::from(frame.kind);
            return Err(self.malformed(format!(
                "message type {found}, expected {}",
                u8::from(expected)
            )));
        }
        self.connection = Some(connection);
        Ok(frame)
    }

    fn take(&mut self) -> Result<Connection, ClientError> {
        self.connection.take().ok_or_else(|| ClientError::Unusable {
            peer: self.peer.clone(),
        })
    }

    fn timed_out(&self, during: TimedOut, limit: Duration) -> ClientError {
        ClientError::TimedOut {
            peer: self.peer.clone(),
            during,
            limit,
        }
    }

    fn malformed(&mut self, error: impl ToString) -> ClientError {
        self.connection = None;
        ClientError::Malformed {
            peer: self.peer.clone(),
            reason: error.to_string(),
        }
    }
}

/// A connection to the first address of a host that accepts one, and the host as it is shown.
async fn reach(host: &str, port: u16, limit: Duration) -> Result<(TcpStream, String), ClientError> {
    let peer = if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    };
    let end = Instant::now() + limit;
    let timed_out = || ClientError::TimedOut {
        peer: peer.clone(),
        during: TimedOut::Connect,
        limit,
    };

    let resolved = timeout_at(end, lookup_host((host, port)))
        .await
        .map_err(|_| timed_out())?;
    let addresses: Vec<_> = resolved
        .map_err(|source| ClientError::Resolve {
            host: host.to_owned(),
            source,
        })?
        .collect();

    let mut last = None;
    for (index, address) in addresses.iter().enumerate() {
        // An address that swallows packets must not use up the time of those after it.
        let left = end.saturating_duration_since(Instant::now());
        let share = left / (addresses.len() - index).fit::<u32>();
        match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return prepared(stream, peer),
            Ok(Err(source)) => {
                last = Some(ClientError::Connect {
                    peer: peer.clone(),
                    source,
                })
            }
            Err(_) => last = Some(timed_out()),
        }
    }
    Err(last.unwrap_or(ClientError::NoAddress {
        host: host.to_owned(),
    }))
}

fn prepared(stream: TcpStream, peer: String) -> Result<(TcpStream, String), ClientError> {
    // Requests are written whole, so waiting for more to send only costs time.
    match stream.set_nodelay(true) {
        Ok(()) => Ok((stream, peer)),
        Err(source) => Err(ClientError::Connect { peer, source }),
    }
}
