use std::str;

use crate::bounds::Within as _;
use bytes::{BufMut, BytesMut};
use memchr::{memchr, memchr3};
use thiserror::Error;

use crate::header::{BodyTooLarge, MessageType, OpenFrame};
use crate::info::InfoError;

/// What a request without a body asks for, in this order.
pub const SUMMARY_COMMANDS: [&str; 15] = [
    "features",
    "node",
    "compatibility-id",
    "edition",
    "build_ee_sha",
    "build_sha",
    "build_arch",
    "build_time",
    "build_os",
    "build",
    "version",
    "statistics",
    "services-alumni",
    "services",
    "partition-generation",
];

/// The commands of a request body. What stands after the last LF is no command.
///
/// An empty body is a request for [`SUMMARY_COMMANDS`]; it yields nothing here.
pub fn commands(body: &[u8]) -> impl Iterator<Item = Command<'_>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let (line, after) = rest.split_at_checked(end)?;
        rest = after.within(1..);
        Some(Command::parse(line))
    })
}

/// One command, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// The whole text, which the reply repeats. It ends at the first NUL of the line.
    pub text: &'a [u8],
    /// What stands before the separator. Empty when it is not UTF-8: there is no command of that name either.
    pub name: &'a str,
    /// `/`, `:` or `;`, if the command has one.
    pub separator: Option<u8>,
    /// What stands after the separator.
    pub params: Params<'a>,
}

impl<'a> Command<'a> {
    /// Splits one line without its LF.
    pub fn parse(line: &'a [u8]) -> Self {
        let text = memchr(0, line).map_or(line, |end| line.within(..end));
        let end = memchr3(b'/', b':', b';', text).unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
        let (separator, params) = match rest.split_first() {
            Some((separator, params)) => (Some(*separator), params),
            None => (None, rest),
        };
        Self {
            text,
            name: str::from_utf8(name).unwrap_or_default(),
            separator,
            params: Params { text: params },
        }
    }
}

/// The part of a command after the separator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params<'a> {
    /// All of it, as received.
    pub text: &'a [u8],
}

impl<'a> Params<'a> {
    /// All of it as a path, for commands like `sets/test/demo`: without the empty ones, the parts between the slashes.
    /// A part that is not UTF-8 comes as an empty one, which names nothing.
    pub fn path(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.text
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty())
            .map(|part| str::from_utf8(part).unwrap_or_default())
    }

    /// Every `key=value`, in order. A part without `=` comes with an empty value.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.text
            .split(|byte| *byte == b';')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let end = part
                    .iter()
                    .position(|byte| *byte == b'=')
                    .unwrap_or(part.len());
                let (key, value) = part.split_at_checked(end).unwrap_or((part, &[]));
                // Behind the `=`, where there is one.
                (key, value.get(1..).unwrap_or_default())
            })
    }

    /// Bytes of the first value with exactly this key. A part without `=` is no key.
    pub fn bytes(&self, key: &str) -> Option<&'a [u8]> {
        let mut rest = self.text;
        loop {
            let end = memchr(b';', rest);
            let part = end.map_or(rest, |end| rest.within(..end));
            let named = part.strip_prefix(key.as_bytes());
            if let Some(value) = named.and_then(|rest| rest.strip_prefix(b"=")) {
                return Some(value);
            }
            rest = rest.within(end? + 1..);
        }
    }

    /// Text of the first value with exactly this key. A value that is not UTF-8 reads as an empty one.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.bytes(key)
            .map(|value| str::from_utf8(value).unwrap_or_default())
    }

    /// A value that must be there and not be empty. The error is the server's answer.
    pub fn required(&self, key: &str) -> Result<&'a str, InfoError> {
        match self.get(key) {
            None => Err(InfoError::parameter(format!("missing '{key}'"))),
            Some("") => Err(InfoError::parameter(format!("missing '{key}' value"))),
            Some(value) => Ok(value),
        }
    }

    /// A value that must be there, not be empty, and have at most `max` bytes.
    pub fn required_at_most(&self, key: &str, max: usize) -> Result<&'a str, InfoError> {
        let value = self.required(key)?;
        if value.len() > max {
            return Err(InfoError::parameter(format!("'{key}' value too long")));
        }
        Ok(value)
    }
}

/// Why a request cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RequestError {
    /// A command that would be read as several, or cut.
    #[error("command `{0}` holds a line feed or a NUL byte")]
    Text(String),
    /// All commands together are too much.
    #[error(transparent)]
    TooLarge(#[from] BodyTooLarge),
}

/// Writes one frame with these commands. Nothing is written when there is an error.
pub fn write_request<C: AsRef<str>>(
    out: &mut BytesMut,
    commands: &[C],
) -> Result<(), RequestError> {
    if let Some(bad) = commands
        .iter()
        .find(|command| command.as_ref().contains(['\n', '\0']))
    {
        return Err(RequestError::Text(bad.as_ref().escape_debug().to_string()));
    }
    let frame = OpenFrame::begin(out, MessageType::Info);
    for command in commands {
        out.put_slice(command.as_ref().as_bytes());
        out.put_u8(b'\n');
    }
    Ok(frame.finish(out)?)
}
