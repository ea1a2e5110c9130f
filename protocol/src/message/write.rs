//! Writers append to a `BytesMut` and fill in sizes and counts at the end.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::header::{BodyTooLarge, MessageType, OpenFrame};
use crate::key::Digest;
use crate::message::{FieldType, Info3, MESSAGE_HEADER_SIZE, MessageHeader, OpCode};
use crate::msgpack::without_index;
use crate::particle::{ParticleRef, ParticleType};
use crate::result_code::ResultCode;

/// Why a message could not be written; the buffer is then as it was before the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WriteError {
    /// The body would be above the limit.
    #[error(transparent)]
    TooLarge(#[from] BodyTooLarge),
    /// A part does not fit its length prefix, or there are too many parts.
    #[error("a part of the message does not fit its length or count")]
    Part,
}

/// One message, without a frame of its own. Fields first, then ops.
#[derive(Debug)]
#[must_use = "the counts are missing until `finish`"]
pub struct BodyWriter<'o> {
    out: &'o mut BytesMut,
    start: usize,
    /// Where the counts go, behind `start`.
    counts: usize,
    n_fields: usize,
    n_ops: usize,
    unfit: bool,
}

impl<'o> BodyWriter<'o> {
    /// Writes the header; its counts are filled in by [`BodyWriter::finish`].
    pub fn new(out: &'o mut BytesMut, header: &MessageHeader) -> Self {
        let start = out.len();
        out.put_slice(&header.to_bytes());
        Self {
            out,
            start,
            counts: MESSAGE_HEADER_SIZE - 4,
            n_fields: 0,
            n_ops: 0,
            unfit: false,
        }
    }

    /// The fields and ops of a batch row, whose counts stand before them without a message header.
    pub(super) fn of_row(out: &'o mut BytesMut) -> Self {
        let start = out.len();
        out.put_u32(0);
        Self {
            out,
            start,
            counts: 0,
            n_fields: 0,
            n_ops: 0,
            unfit: false,
        }
    }

    /// Replaces the header that was written first, for replies whose outcome is known only after their ops. The counts
    /// stay for [`BodyWriter::finish`].
    pub fn set_header(&mut self, header: &MessageHeader) -> &mut Self {
        debug_assert!(self.counts != 0, "a batch row has no header of its own");
        if let Some(written) = self
            .out
            .get_mut(self.start..self.start + MESSAGE_HEADER_SIZE)
        {
            written.copy_from_slice(&header.to_bytes());
        }
        self
    }

    /// Appends a field. Fields must come before ops.
    pub fn field(&mut self, kind: FieldType, data: &[u8]) -> &mut Self {
        debug_assert!(self.n_ops == 0, "fields come before ops");
        self.size(1, data.len());
        self.out.put_u8(kind.0);
        self.out.put_slice(data);
        self.n_fields += 1;
        self
    }

    /// Appends the namespace.
    pub fn namespace(&mut self, name: &str) -> &mut Self {
        self.field(FieldType::NAMESPACE, name.as_bytes())
    }

    /// Appends the set.
    pub fn set(&mut self, name: &str) -> &mut Self {
        self.field(FieldType::SET, name.as_bytes())
    }

    /// Appends the digest.
    pub fn digest(&mut self, digest: &Digest) -> &mut Self {
        self.field(FieldType::DIGEST, &digest.0)
    }

    /// Appends the key: its type and bytes.
    pub fn key(&mut self, key: ParticleRef<'_>) -> &mut Self {
        self.size(2, key.data.len());
        self.out.put_u8(FieldType::KEY.0);
        self.out.put_u8(key.kind.0);
        self.out.put_slice(key.data);
        self.n_fields += 1;
        self
    }

    /// Appends an op, or in a reply a bin. A list or map goes without the index that it may carry in storage.
    pub fn op(&mut self, op: OpCode, name: &[u8], value: ParticleRef<'_>) -> &mut Self {
        if matches!(value.kind, ParticleType::LIST | ParticleType::MAP)
            && let Some((head, items)) = without_index(value.data)
        {
            return self.op_parts(op, name, value.kind.0, &[&head, items]);
        }
        self.op_parts(op, name, value.kind.0, &[value.data])
    }

    /// Appends an op whose value is the parts one after the other.
    fn op_parts(&mut self, op: OpCode, name: &[u8], particle: u8, value: &[&[u8]]) -> &mut Self {
        let Ok(name_len) = u8::try_from(name.len()) else {
            self.unfit = true;
            return self;
        };
        self.size(
            4,
            name.len() + value.iter().map(|part| part.len()).sum::<usize>(),
        );
        self.out.put_slice(&[op.0, particle, 0, name_len]);
        self.out.put_slice(name);
        for part in value {
            self.out.put_slice(part);
        }
        self.n_ops += 1;
        self
    }

    fn size(&mut self, fixed: usize, data: usize) {
        let size = u32::try_from(fixed + data);
        self.unfit |= size.is_err();
        self.out.reserve(4 + fixed + data);
        self.out.put_u32(size.unwrap_or(0));
    }

    /// Bytes of the message so far, header included.
    pub fn written(&self) -> usize {
        self.out.len().saturating_sub(self.start)
    }

    /// Fills in the counts.
    pub fn finish(self) -> Result<(), WriteError> {
        let (Ok(n_fields), Ok(n_ops), false) = (
            u16::try_from(self.n_fields),
            u16::try_from(self.n_ops),
            self.unfit,
        ) else {
            self.out.truncate(self.start);
            return Err(WriteError::Part);
        };
        let [f0, f1] = n_fields.to_be_bytes();
        let [o0, o1] = n_ops.to_be_bytes();
        if let Some(counts) = self
            .out
            .get_mut(self.start + self.counts..)
            .and_then(|rest| rest.get_mut(..4))
        {
            counts.copy_from_slice(&[f0, f1, o0, o1]);
        }
        Ok(())
    }
}

/// One message in a frame of its own: a request, or a single reply.
///
/// ```
/// use bytes::BytesMut;
/// use protocol::key::{Digest, Key};
/// use protocol::message::{Info1, MessageHeader, MessageWriter};
///
/// let mut out = BytesMut::new();
/// let header = MessageHeader { info1: Info1::READ | Info1::GET_ALL, ..Default::default() };
/// let mut get = MessageWriter::new(&mut out, &header);
/// get.namespace("test").set("demo").digest(&Digest::of("demo", &Key::String("k1".into())));
/// get.finish()?;
/// assert_eq!(out.len(), 8 + 65);
/// # Ok::<(), protocol::message::WriteError>(())
/// ```
#[derive(Debug)]
#[must_use = "sizes are missing until `finish`"]
pub struct MessageWriter<'o> {
    frame: OpenFrame,
    body: BodyWriter<'o>,
}

impl<'o> MessageWriter<'o> {
    /// Writes the frame header and the message header.
    pub fn new(out: &'o mut BytesMut, header: &MessageHeader) -> Self {
        let frame = OpenFrame::begin(out, MessageType::Message);
        Self {
            frame,
            body: BodyWriter::new(out, header),
        }
    }

    /// Fills in size and counts.
    pub fn finish(self) -> Result<(), WriteError> {
        let BodyWriter {
            out,
            start,
            counts,
            n_fields,
            n_ops,
            unfit,
        } = self.body;
        let body = BodyWriter {
            out: &mut *out,
            start,
            counts,
            n_fields,
            n_ops,
            unfit,
        };
        if let Err(error) = body.finish() {
            self.frame.cancel(out);
            return Err(error);
        }
        Ok(self.frame.finish(out)?)
    }
}

impl<'o> std::ops::Deref for MessageWriter<'o> {
    type Target = BodyWriter<'o>;
    fn deref(&self) -> &Self::Target {
        &self.body
    }
}

impl std::ops::DerefMut for MessageWriter<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.body
    }
}

/// A frame of several messages, one piece of the reply to a batch or query.
///
/// The caller decides how much goes into a piece: finish and send it when [`ReplyWriter::body_len`] is large enough.
#[derive(Debug)]
#[must_use = "the size is missing until `finish`"]
pub struct ReplyWriter<'o> {
    out: &'o mut BytesMut,
    frame: OpenFrame,
}

impl<'o> ReplyWriter<'o> {
    /// Writes the frame header.
    pub fn new(out: &'o mut BytesMut) -> Self {
        let frame = OpenFrame::begin(out, MessageType::Message);
        Self { out, frame }
    }

    /// Begins the next message.
    pub fn message(&mut self, header: &MessageHeader) -> BodyWriter<'_> {
        BodyWriter::new(self.out, header)
    }

    /// Writes the message that ends the whole reply.
    pub fn last(&mut self, result: ResultCode) {
        self.out.put_slice(
            &MessageHeader {
                info3: Info3::LAST,
                result,
                ..Default::default()
            }
            .to_bytes(),
        );
    }

    /// Bytes of body written so far.
    pub fn body_len(&self) -> usize {
        self.frame.body_len(self.out)
    }

    /// Fills in the size.
    pub fn finish(self) -> Result<(), WriteError> {
        Ok(self.frame.finish(self.out)?)
    }
}

/// Writes a whole single reply: frame, header, one op of code 1 a bin.
///
/// `void_time` is in seconds since 2010-01-01 UTC, 0 never. Errors that come before the record was found have 0 for
/// `generation` and `void_time`.
pub fn write_reply<'a>(
    out: &mut BytesMut,
    result: ResultCode,
    generation: u32,
    void_time: u32,
    bins: impl IntoIterator<Item = (&'a [u8], ParticleRef<'a>)>,
) -> Result<(), WriteError> {
    let header = MessageHeader {
        result,
        generation,
        record_ttl: void_time,
        ..Default::default()
    };
    let mut reply = MessageWriter::new(out, &header);
    for (name, value) in bins {
        reply.op(OpCode::READ, name, value);
    }
    reply.finish()
}
