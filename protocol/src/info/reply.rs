use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::header::{BodyTooLarge, MessageType, OpenFrame};
use crate::info::{Command, Failure};

/// The reply to one request, written answer by answer into an output buffer.
///
/// ```
/// use bytes::BytesMut;
/// use protocol::info::{ReplyWriter, commands};
///
/// let mut out = BytesMut::new();
/// let mut reply = ReplyWriter::new(&mut out);
/// for command in commands(b"build\n") {
///     reply.answer(&command, "8.1.2.0");
/// }
/// reply.finish()?;
/// assert_eq!(&out[..], b"\x02\x01\0\0\0\0\0\x0ebuild\t8.1.2.0\n");
/// # Ok::<(), protocol::header::BodyTooLarge>(())
/// ```
#[derive(Debug)]
#[must_use = "the size is missing until `finish`"]
pub struct ReplyWriter<'o> {
    out: &'o mut BytesMut,
    frame: OpenFrame,
}

impl<'o> ReplyWriter<'o> {
    /// Writes the frame header.
    pub fn new(out: &'o mut BytesMut) -> Self {
        let frame = OpenFrame::begin(out, MessageType::Info);
        Self { out, frame }
    }

    /// Repeats the command and answers it. The value must not hold a line feed.
    pub fn answer(&mut self, command: &Command<'_>, value: impl AsRef<[u8]>) {
        self.answer_with(command, |out| out.put_slice(value.as_ref()));
    }

    /// The same, for values that are written piece by piece.
    pub fn answer_with(&mut self, command: &Command<'_>, write_value: impl FnOnce(&mut BytesMut)) {
        self.out.put_slice(command.text);
        self.out.put_u8(b'\t');
        write_value(self.out);
        self.out.put_u8(b'\n');
    }

    /// A line without a command, like `ERROR:80:not authenticated`, which stands for the whole reply.
    pub fn line(&mut self, text: impl AsRef<[u8]>) {
        self.out.put_slice(text.as_ref());
        self.out.put_u8(b'\n');
    }

    /// Bytes that the output holds so far, with what was in it before.
    pub fn written(&self) -> usize {
        self.out.len()
    }

    /// Fills in the size.
    pub fn finish(self) -> Result<(), BodyTooLarge> {
        self.frame.finish(self.out)
    }
}

/// Why a reply does not answer the request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// One error instead of answers.
    #[error("the server refused the whole request: {0}")]
    Refused(Failure),
    /// No answer to this command where it should stand.
    #[error("the server's reply has no answer to `{0}`")]
    Missing(String),
    /// Text behind the last answer.
    #[error("the server's reply goes on after the last answer")]
    Trailing,
    /// An answer that is not UTF-8.
    #[error("the server's answer to `{0}` is not UTF-8")]
    NotText(String),
}

/// Takes a reply apart: the values, in the order of the commands that were asked.
///
/// Answers are told apart by the exact repetition of their command, so a value may even hold line feeds. An answer
/// without a TAB has an empty value.
pub fn parse_replies<'a, C: AsRef<str>>(
    body: &'a [u8],
    commands: &[C],
) -> Result<Vec<&'a str>, ReplyError> {
    let mut rest = body;
    let mut values = Vec::with_capacity(commands.len());
    for (index, command) in commands.iter().enumerate() {
        let command = command.as_ref();
        let Some(after) = strip_echo(rest, command) else {
            let whole = std::str::from_utf8(rest)
                .unwrap_or_default()
                .trim_end_matches('\n');
            return Err(match Failure::of(whole) {
                Some(failure) => ReplyError::Refused(failure),
                None => ReplyError::Missing(command.to_owned()),
            });
        };
        let after = after.strip_prefix(b"\t").unwrap_or(after);
        let end = match commands.get(index + 1) {
            Some(next) => line_ends(after).find(|end| {
                after
                    .get(end + 1..)
                    .is_some_and(|line| strip_echo(line, next.as_ref()).is_some())
            }),
            None => after.strip_suffix(b"\n").map(<[u8]>::len),
        };
        // Without the next answer, the value ends with its line and the next round tells what is missing.
        let end = end
            .or_else(|| line_ends(after).next())
            .unwrap_or(after.len());
        let (value, left) = after.split_at_checked(end).unwrap_or((after, &[]));
        values
            .push(std::str::from_utf8(value).map_err(|_| ReplyError::NotText(command.to_owned()))?);
        rest = left.strip_prefix(b"\n").unwrap_or(left);
    }
    if rest.is_empty() {
        Ok(values)
    } else {
        Err(ReplyError::Trailing)
    }
}

fn line_ends(text: &[u8]) -> impl Iterator<Item = usize> {
    text.iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at)
}

/// What stands behind the repetition of the command, when there is one: a TAB, a line feed, or nothing.
fn strip_echo<'a>(text: &'a [u8], command: &str) -> Option<&'a [u8]> {
    let rest = text.strip_prefix(command.as_bytes())?;
    matches!(rest.first(), None | Some(b'\t' | b'\n')).then_some(rest)
}
