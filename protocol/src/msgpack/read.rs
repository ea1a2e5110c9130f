use crate::cursor::{Cursor, length};
use crate::limits::MAX_DEPTH;
use crate::msgpack::{MsgpackError, order};

/// One step of reading: a whole scalar, or the head of a list or map whose elements follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// No value.
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer; unsigned ones above `i64::MAX` have wrapped. [`super::compare`] orders those last.
    Integer(i64),
    /// A double.
    Double(f64),
    /// A float of 4 bytes.
    Float(f32),
    /// Content of the str and bin families, with its type byte, if it has any.
    Text(&'a [u8]),
    /// A list of so many elements, order metadata included. Not more than there are bytes left.
    List(usize),
    /// A map of so many pairs, order metadata included. Not more than half of the bytes left.
    Map(usize),
    /// An extension.
    Extension {
        /// Its type.
        kind: u8,
        /// Its data.
        data: &'a [u8],
    },
    /// Order metadata, `c7 00 <flags>`.
    Order(u8),
}

/// Reads values one token at a time. After an error the position is undefined; stop.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(bytes),
        }
    }

    /// What is not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.cursor.rest()
    }

    /// Whether everything is read.
    pub fn is_empty(&self) -> bool {
        self.cursor.is_empty()
    }

    /// Fails unless everything is read.
    pub fn finish(&self) -> Result<(), MsgpackError> {
        match self.cursor.len() {
            0 => Ok(()),
            left => Err(MsgpackError::Trailing(left)),
        }
    }

    /// The next token.
    pub fn token(&mut self) -> Result<Token<'a>, MsgpackError> {
        let lead = self.cursor.u8().ok_or(MsgpackError::Truncated)?;
        if matches!(lead, 0xc1) {
            return Err(MsgpackError::Lead(lead));
        }
        self.after_lead(lead).ok_or(MsgpackError::Truncated)
    }

    /// `None` means that too few bytes are left.
    fn after_lead(&mut self, lead: u8) -> Option<Token<'a>> {
        let cursor = &mut self.cursor;
        Some(match lead {
            0x00..=0x7f => Token::Integer(lead.into()),
            0x80..=0x8f => self.map((lead & 0x0f).into())?,
            0x90..=0x9f => self.list((lead & 0x0f).into())?,
            0xa0..=0xbf => Token::Text(cursor.take((lead & 0x1f).into())?),
            // 0xc1 is refused before.
            0xc0 | 0xc1 => Token::Nil,
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc4 | 0xd9 => {
                let size = cursor.u8()?;
                Token::Text(cursor.take(size.into())?)
            }
            0xc5 | 0xda => {
                let size = cursor.u16()?;
                Token::Text(cursor.take(size.into())?)
            }
            0xc6 | 0xdb => {
                let size = cursor.u32()?;
                Token::Text(cursor.take(length(size))?)
            }
            0xc7 => {
                let size = cursor.u8()?;
                let kind = cursor.u8()?;
                match size {
                    0 => Token::Order(kind),
                    _ => Token::Extension {
                        kind,
                        data: cursor.take(size.into())?,
                    },
                }
            }
            0xc8 => {
                let size = cursor.u16()?;
                self.extension(size.into())?
            }
            0xc9 => {
                let size = cursor.u32()?;
                self.extension(length(size))?
            }
            0xca => Token::Float(f32::from_be_bytes(cursor.array()?)),
            0xcb => Token::Double(f64::from_be_bytes(cursor.array()?)),
            0xcc => Token::Integer(cursor.u8()?.into()),
            0xcd => Token::Integer(cursor.u16()?.into()),
            0xce => Token::Integer(cursor.u32()?.into()),
            0xcf | 0xd3 => Token::Integer(i64::from_be_bytes(cursor.array()?)),
            0xd0 => Token::Integer(i8::from_be_bytes(cursor.array()?).into()),
            0xd1 => Token::Integer(i16::from_be_bytes(cursor.array()?).into()),
            0xd2 => Token::Integer(i32::from_be_bytes(cursor.array()?).into()),
            0xd4 => self.extension(1)?,
            0xd5 => self.extension(2)?,
            0xd6 => self.extension(4)?,
            0xd7 => self.extension(8)?,
            0xd8 => self.extension(16)?,
            0xdc => {
                let count = cursor.u16()?;
                self.list(count.into())?
            }
            0xdd => {
                let count = cursor.u32()?;
                self.list(length(count))?
            }
            0xde => {
                let count = cursor.u16()?;
                self.map(count.into())?
            }
            0xdf => {
                let count = cursor.u32()?;
                self.map(length(count))?
            }
            0xe0..=0xff => Token::Integer(i8::from_be_bytes([lead]).into()),
        })
    }

    fn extension(&mut self, size: usize) -> Option<Token<'a>> {
        let kind = self.cursor.u8()?;
        Some(Token::Extension {
            kind,
            data: self.cursor.take(size)?,
        })
    }

    /// An element has at least one byte.
    fn list(&self, count: usize) -> Option<Token<'a>> {
        (count <= self.cursor.len()).then_some(Token::List(count))
    }

    fn map(&self, count: usize) -> Option<Token<'a>> {
        (count <= self.cursor.len() / 2).then_some(Token::Map(count))
    }

    /// Steps over one value with all that it holds, and gives its bytes. Does not recurse.
    pub fn value(&mut self) -> Result<&'a [u8], MsgpackError> {
        let all = self.cursor.rest();
        // How many values are open at each level; the depth is bounded, so is the array.
        let mut open = [0_usize; MAX_DEPTH];
        let mut depth = 0_usize;
        loop {
            let inner = match self.token()? {
                Token::List(count) => count,
                Token::Map(count) => count * 2,
                _ => 0,
            };
            if inner > 0 {
                *open.get_mut(depth).ok_or(MsgpackError::Depth)? = inner;
                depth += 1;
                continue;
            }
            // A value is complete: so may be the ones around it.
            while let Some(left) = depth.checked_sub(1).and_then(|level| open.get_mut(level)) {
                *left -= 1;
                if *left > 0 {
                    break;
                }
                depth -= 1;
            }
            if depth == 0 {
                let used = all.len() - self.cursor.len();
                return all.get(..used).ok_or(MsgpackError::Truncated);
            }
        }
    }

    /// Takes the order metadata of a list whose head has just been read. Gives its flags (0 without metadata) and how
    /// many elements follow.
    ///
    /// An extension in first place is metadata whatever its data, which means nothing; its type is the flags. One of a
    /// single byte is an element like any other.
    pub fn list_order(&mut self, count: usize) -> Result<(u8, usize), MsgpackError> {
        match self.metadata(count)? {
            Some(flags) => Ok((flags, count - 1)),
            None => Ok((0, count)),
        }
    }

    /// Takes the order metadata of a map whose head has just been read. Gives its flags (0 without metadata) and how
    /// many pairs follow. The value that belongs to the metadata means nothing.
    pub fn map_order(&mut self, count: usize) -> Result<(u8, usize), MsgpackError> {
        match self.metadata(count)? {
            Some(flags) => {
                self.value()?;
                Ok((flags, count - 1))
            }
            None => Ok((0, count)),
        }
    }

    /// Whether an extension that can be metadata comes next.
    pub(crate) fn at_metadata(&self) -> bool {
        matches!(
            self.cursor.peek(),
            Some(0xc7 | 0xc8 | 0xc9 | 0xd5 | 0xd7 | 0xd8)
        )
    }

    /// The flags of the metadata that comes next.
    fn metadata(&mut self, count: usize) -> Result<Option<u8>, MsgpackError> {
        if count == 0 || !self.at_metadata() {
            return Ok(None);
        }
        match self.token()? {
            // That an index is kept concerns nobody but who keeps it.
            Token::Order(flags) | Token::Extension { kind: flags, .. } => {
                Ok(Some(flags & !order::PERSIST_INDEX))
            }
            _ => Err(MsgpackError::Order),
        }
    }

    /// Whether an integer comes next that only an unsigned one of 64 bits holds: as a signed one it has wrapped.
    pub(crate) fn at_large_unsigned(&self) -> bool {
        matches!(self.rest(), [0xcf, 0x80..=0xff, ..])
    }
}

/// The bytes of the first value, and what follows them.
pub fn first_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), MsgpackError> {
    let mut reader = Reader::new(bytes);
    let value = reader.value()?;
    Ok((value, reader.rest()))
}

/// Steps over one value that must be all there is.
pub fn skip_value(bytes: &[u8]) -> Result<(), MsgpackError> {
    let mut reader = Reader::new(bytes);
    reader.value()?;
    reader.finish()
}
