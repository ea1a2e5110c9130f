use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::BytesMut;
use protocol::message::{BodyWriter, Info3, MessageHeader, MessageWriter};
use protocol::result_code::ResultCode;

use data::record::StoredRecord;

/// Where replies go: a buffer, and a way to send what it holds when a reply is long.
pub trait ReplyStream: Send {
    /// The buffer to append to. It may hold earlier replies.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Sends what the buffer holds, as far as the stream has a peer.
    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    /// The peer, if there is one.
    fn peer(&self) -> Option<SocketAddr> {
        None
    }

    /// Whether the peer has closed its side: nobody waits for the reply any more.
    fn is_abandoned(&self) -> bool {
        false
    }
}

/// A stream of any type, for long replies: what answers with them is there once, not once for each type of stream.
pub(crate) struct AnyStream<'s>(&'s mut dyn Stream);

impl<'s> AnyStream<'s> {
    /// This stream, whatever its type.
    pub(crate) fn new(stream: &'s mut impl ReplyStream) -> Self {
        Self(stream)
    }
}

impl ReplyStream for AnyStream<'_> {
    fn buffer(&mut self) -> &mut BytesMut {
        self.0.any_buffer()
    }

    fn flush(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        self.0.any_flush()
    }

    fn peer(&self) -> Option<SocketAddr> {
        self.0.any_peer()
    }

    fn is_abandoned(&self) -> bool {
        self.0.any_is_abandoned()
    }
}

/// [`ReplyStream`], callable without its type.
trait Stream: Send {
    fn any_buffer(&mut self) -> &mut BytesMut;
    fn any_flush(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>>;
    fn any_peer(&self) -> Option<SocketAddr>;
    fn any_is_abandoned(&self) -> bool;
}

impl<S: ReplyStream> Stream for S {
    fn any_buffer(&mut self) -> &mut BytesMut {
        self.buffer()
    }

    fn any_flush(&mut self) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
        Box::pin(self.flush())
    }

    fn any_peer(&self) -> Option<SocketAddr> {
        self.peer()
    }

    fn any_is_abandoned(&self) -> bool {
        self.is_abandoned()
    }
}

/// A plain buffer keeps everything.
impl ReplyStream for BytesMut {
    fn buffer(&mut self) -> &mut BytesMut {
        self
    }

    async fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Largest reply to one command, in bytes. Far above any record; it stops requests that name one large bin over and over.
const MAX_REPLY_BYTES: usize = 64 << 20;

/// Whether the reply has become too large, for loops that write an op for each op of the request.
pub(crate) fn check_size(message: &BodyWriter<'_>) -> Result<(), ResultCode> {
    if message.written() > MAX_REPLY_BYTES {
        Err(ResultCode::RECORD_TOO_BIG)
    } else {
        Ok(())
    }
}

/// How a command on one record ended, as the reply header says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: ResultCode,
    /// Generation of the record, 0 when there is none.
    pub(crate) generation: u16,
    /// Void-time of the record, 0 when there is none or it never expires.
    pub(crate) void_time: u32,
}

impl Outcome {
    /// A result that says nothing about a record.
    pub(crate) fn of(result: ResultCode) -> Self {
        Self {
            result,
            generation: 0,
            void_time: 0,
        }
    }

    /// A result about this record.
    pub(crate) fn about(record: &StoredRecord, result: ResultCode) -> Self {
        Self {
            result,
            generation: record.generation(),
            void_time: record.void_time(),
        }
    }
}

impl From<ResultCode> for Outcome {
    fn from(result: ResultCode) -> Self {
        Self::of(result)
    }
}

/// The place of the reply to one command: a frame of its own, or a row in the open frame of a batch.
#[derive(Debug)]
pub(crate) struct ReplyTo<'o> {
    out: &'o mut BytesMut,
    row: Option<u32>,
}

impl<'o> ReplyTo<'o> {
    /// A frame of its own.
    pub(crate) fn single(out: &'o mut BytesMut) -> Self {
        Self { out, row: None }
    }

    /// A message in the frame that the batch has open at the end of `out`.
    pub(crate) fn row(out: &'o mut BytesMut, index: u32) -> Self {
        Self {
            out,
            row: Some(index),
        }
    }

    /// Writes a reply whose ops come from `work`, which also says how the command ended. When it fails, or the reply
    /// becomes too large, what it wrote is taken back and only the outcome is sent.
    pub(crate) fn write(
        self,
        work: impl FnOnce(&mut BodyWriter<'_>) -> Result<Outcome, Outcome>,
    ) -> ResultCode {
        let start = self.out.len();
        let blank = MessageHeader::default();
        let outcome = match self.row {
            None => {
                let mut message = MessageWriter::new(self.out, &blank);
                work(&mut message).and_then(|outcome| {
                    message.set_header(&header(outcome, None));
                    message
                        .finish()
                        .map(|()| outcome)
                        .map_err(|_| Outcome::of(ResultCode::UNKNOWN))
                })
            }
            Some(index) => {
                let mut message = BodyWriter::new(self.out, &blank);
                work(&mut message).and_then(|outcome| {
                    message.set_header(&header(outcome, Some(index)));
                    message
                        .finish()
                        .map(|()| outcome)
                        .map_err(|_| Outcome::of(ResultCode::UNKNOWN))
                })
            }
        };
        match outcome {
            Ok(outcome) => outcome.result,
            Err(outcome) => {
                self.out.truncate(start);
                Self {
                    out: self.out,
                    row: self.row,
                }
                .plain(outcome)
            }
        }
    }

    /// The same place once more, and where it begins, for a reply that may have to be taken back.
    pub(crate) fn begin(&mut self) -> (usize, ReplyTo<'_>) {
        let start = self.out.len();
        let again = ReplyTo {
            out: self.out,
            row: self.row,
        };
        (start, again)
    }

    /// Takes back what was written since it began, and writes a reply without ops.
    pub(crate) fn instead(self, start: usize, outcome: Outcome) -> ResultCode {
        self.out.truncate(start);
        self.plain(outcome)
    }

    /// Writes a reply without ops.
    pub(crate) fn plain(self, outcome: Outcome) -> ResultCode {
        let header = header(outcome, self.row);
        // A message of 22 bytes fits every limit.
        let _ = match self.row {
            None => MessageWriter::new(self.out, &header).finish(),
            Some(_) => BodyWriter::new(self.out, &header).finish(),
        };
        outcome.result
    }
}

fn header(outcome: Outcome, row: Option<u32>) -> MessageHeader {
    MessageHeader {
        result: outcome.result,
        generation: outcome.generation.into(),
        record_ttl: outcome.void_time,
        transaction_ttl: row.unwrap_or(0),
        ..MessageHeader::default()
    }
}

/// Writes a reply that carries nothing but a code, in a frame of its own.
pub(crate) fn refuse(out: &mut BytesMut, result: ResultCode) {
    ReplyTo::single(out).plain(Outcome::of(result));
}

/// Writes the message that ends a reply of several, in a frame of its own.
pub(crate) fn last(out: &mut BytesMut, result: ResultCode) {
    let header = MessageHeader {
        info3: Info3::LAST,
        result,
        ..MessageHeader::default()
    };
    // A message of 22 bytes fits every limit.
    let _ = MessageWriter::new(out, &header).finish();
}
