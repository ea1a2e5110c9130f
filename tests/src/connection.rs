//! A blocking connection that can send anything, also what a well-behaved client would not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use protocol::header::{HEADER_SIZE, Header, MessageType};
use protocol::message::{Message, MessageHeader};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;

use crate::error::{Error, Result};

/// How long one answer may take before a test gives up. Generous: debug builds on a busy machine.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(180);

/// One connection to a server, one request at a time.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

/// Reply to a record message.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Fixed part: result code, generation, void time.
    pub header: MessageHeader,
    /// Names and values in the order of the wire.
    pub bins: Vec<(Vec<u8>, Particle)>,
}

impl Reply {
    /// The result code.
    pub fn code(&self) -> ResultCode {
        self.header.result
    }

    /// The value of a bin.
    pub fn bin(&self, name: &str) -> Option<&Particle> {
        self.bins
            .iter()
            .find(|(bin, _)| bin == name.as_bytes())
            .map(|(_, value)| value)
    }
}

impl Connection {
    /// Connects; every read and write has [`ANSWER_DEADLINE`].
    pub fn open(address: SocketAddr) -> Result<Self> {
        let what = || format!("connect to {address}");
        let stream =
            TcpStream::connect_timeout(&address, ANSWER_DEADLINE).map_err(Error::io(what()))?;
        stream.set_nodelay(true).map_err(Error::io(what()))?;
        let connection = Self { stream };
        connection.set_deadline(ANSWER_DEADLINE)?;
        Ok(connection)
    }

    /// Changes how long a single read or write may take.
    pub fn set_deadline(&self, deadline: Duration) -> Result<()> {
        self.stream
            .set_read_timeout(Some(deadline))
            .and_then(|()| self.stream.set_write_timeout(Some(deadline)))
            .map_err(Error::io("set a deadline"))
    }

    /// The same connection once more, for a thread that reads while another writes.
    pub fn second(&self) -> Result<Self> {
        let stream = self
            .stream
            .try_clone()
            .map_err(Error::io("share a connection"))?;
        Ok(Self { stream })
    }

    /// Reads and forgets what is there, waits for it if nothing is; says how much it was, 0 at the end.
    pub fn skip(&mut self) -> Result<usize> {
        let mut bytes = vec![0; 64 << 10];
        self.stream
            .read(&mut bytes)
            .map_err(Error::io("read what comes"))
    }

    /// Ends it in both directions, for all who share it.
    pub fn close(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .write_all(bytes)
            .map_err(Error::io("send a request"))
    }

    /// Receives one frame.
    pub fn receive(&mut self) -> Result<(MessageType, Vec<u8>)> {
        let mut header = [0; HEADER_SIZE];
        self.stream
            .read_exact(&mut header)
            .map_err(Error::io("read the header of an answer"))?;
        let header = Header::parse(header).map_err(|error| Error::Unexpected(error.to_string()))?;
        let mut body = Vec::new();
        let read = (&mut self.stream)
            .take(header.size)
            .read_to_end(&mut body)
            .map_err(Error::io("read the body of an answer"))?;
        if read as u64 != header.size {
            return Err(Error::Io {
                what: format!("read an answer of {} bytes, got {read}", header.size),
                source: std::io::ErrorKind::UnexpectedEof.into(),
            });
        }
        Ok((header.kind, body))
    }

    /// Sends the body of an info request, returns the body of the answer.
    pub fn info_body(&mut self, body: &[u8]) -> Result<Vec<u8>> {
        let header = Header::new(MessageType::Info, body.len() as u64);
        self.send(&[&header.to_bytes(), body].concat())?;
        match self.receive()? {
            (MessageType::Info, body) => Ok(body),
            (kind, _) => Err(Error::Unexpected(format!(
                "an info request was answered by {kind:?}"
            ))),
        }
    }

    /// The value that one info command answers.
    pub fn info(&mut self, command: &str) -> Result<String> {
        let body = self.info_body(format!("{command}\n").as_bytes())?;
        let text = String::from_utf8_lossy(&body);
        text.strip_prefix(command)
            .and_then(|rest| rest.strip_prefix('\t'))
            .and_then(|rest| rest.strip_suffix('\n'))
            .map(str::to_owned)
            .ok_or_else(|| Error::Unexpected(format!("`{command}` was answered by {text:?}")))
    }

    /// Sends a whole frame with a record message, returns the single reply.
    pub fn message(&mut self, frame: &BytesMut) -> Result<Reply> {
        self.send(frame)?;
        self.reply()
    }

    /// Receives the single reply to a record message that was sent.
    pub fn reply(&mut self) -> Result<Reply> {
        let (kind, body) = self.receive()?;
        if kind != MessageType::Message {
            return Err(Error::Unexpected(format!(
                "a record message was answered by {kind:?}"
            )));
        }
        let message =
            Message::parse(&body).map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(Reply {
            header: message.header,
            bins: message
                .ops
                .iter()
                .map(|op| (op.name.to_vec(), op.particle_ref().to_particle()))
                .collect(),
        })
    }
}
