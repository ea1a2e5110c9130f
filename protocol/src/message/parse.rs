use crate::cursor::Cursor;
use crate::message::error::{Mistake, Part};
use crate::message::{Fields, MESSAGE_HEADER_SIZE, MessageHeader, Ops, ParseError};

/// A record message whose structure is checked, borrowed from the body of a frame.
///
/// ```
/// use protocol::message::{Message, OpCode};
///
/// let body = b"\x16\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\xe8\0\x01\0\x01\
///              \0\0\0\x05\0test\
///              \0\0\0\x0d\x02\x01\0\x01a\0\0\0\0\0\0\0\x07";
/// let message = Message::parse(body)?;
/// assert_eq!(message.fields.namespace()?, Some("test"));
/// let op = message.ops.iter().next().unwrap();
/// assert_eq!((op.op, op.name, op.particle_ref().as_integer()), (OpCode::WRITE, &b"a"[..], Some(7)));
/// # Ok::<(), protocol::message::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The fixed part.
    pub header: MessageHeader,
    /// The fields.
    pub fields: Fields<'a>,
    /// The ops of a request, or the bins of a reply.
    pub ops: Ops<'a>,
}

impl<'a> Message<'a> {
    /// Reads a body that is exactly one message.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        match Self::parse_first(body)? {
            (message, []) => Ok(message),
            (_, rest) => Err(ParseError {
                row: None,
                part: Part::End,
                offset: body.len() - rest.len(),
                mistake: Mistake::Trailing(rest.len()),
            }),
        }
    }

    /// Reads the first message of a body that may hold several, as replies to queries and batches do; gives the rest too.
    pub fn parse_first(body: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let mut cursor = Cursor::new(body);
        let header =
            MessageHeader::read(&mut cursor).ok_or_else(|| MessageHeader::too_short(body.len()))?;
        let fields = Fields::read(&mut cursor, header.n_fields, MESSAGE_HEADER_SIZE)?;
        let at = body.len() - cursor.len();
        let ops = Ops::read(&mut cursor, header.n_ops, at)?;
        Ok((
            Self {
                header,
                fields,
                ops,
            },
            cursor.rest(),
        ))
    }

    /// Reads all messages of a body, until the end or the first error.
    pub fn parse_all(body: &'a [u8]) -> impl Iterator<Item = Result<Self, ParseError>> + use<'a> {
        let mut rest = body;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            Some(match Self::parse_first(rest) {
                Ok((message, after)) => {
                    rest = after;
                    Ok(message)
                }
                Err(error) => {
                    rest = &[];
                    Err(error)
                }
            })
        })
    }
}
