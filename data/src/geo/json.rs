//! JSON as far as GeoJSON needs it: validates a text and finds the members of its outermost object.
//!
//! No tree is built: a position is a few numbers inside of megabytes of others, and members that nobody reads are only
//! stepped over. The rules are those of the real server's reader where they show: the last of two members of one name
//! counts, nesting ends at 2,048, integers must fit 64 bits, texts are UTF-8 without control characters and `\u0000`.

/// Deepest nesting; the outermost value has depth 1.
const MAX_DEPTH: usize = 2048;

/// Reads a text from the front. Every failure is `None`: what is wrong is told by where it happens, see [`Self::at`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Json<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes that were read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes the next byte that is not white if it is this one.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        self.white();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether nothing but white space is left.
    pub(super) fn is_finished(&mut self) -> bool {
        self.white();
        self.at == self.text.len()
    }

    /// Gives every member of the object that comes next: its name and its value's text.
    pub(super) fn members(&mut self, mut take: impl FnMut(&str, &'a [u8])) -> Option<()> {
        if !self.eat(b'{') {
            return None;
        }
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            self.white();
            let name = self.string()?;
            if !self.eat(b':') {
                return None;
            }
            self.white();
            let start = self.at;
            self.value(1)?;
            take(&name, self.text.get(start..self.at)?);
            if self.eat(b'}') {
                return Some(());
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    /// A number, integer or not.
    pub(super) fn number(&mut self) -> Option<f64> {
        self.white();
        self.step_number()
    }

    /// Steps over a value that stands `outer` levels deep. Does not recurse.
    fn value(&mut self, outer: usize) -> Option<()> {
        // What closes each open collection.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.white();
            if outer + open.len() >= MAX_DEPTH {
                return None;
            }
            match self.peek()? {
                b'{' => {
                    self.at += 1;
                    if !self.eat(b'}') {
                        open.push(b'}');
                        self.name()?;
                        continue;
                    }
                }
                b'[' => {
                    self.at += 1;
                    if !self.eat(b']') {
                        open.push(b']');
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => {
                    self.step_number()?;
                }
            }
            // A value is complete: so may be those around it.
            loop {
                let Some(close) = open.last().copied() else {
                    return Some(());
                };
                if self.eat(close) {
                    open.pop();
                } else if self.eat(b',') {
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                } else {
                    return None;
                }
            }
        }
    }

    fn name(&mut self) -> Option<()> {
        self.white();
        self.string()?;
        self.eat(b':').then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let end = self.at + word.len();
        if self.text.get(self.at..end)? != word {
            return None;
        }
        self.at = end;
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn step_number(&mut self) -> Option<f64> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = std::str::from_utf8(self.text.get(start..self.at)?).ok()?;
        if whole {
            // Must fit, and be read as what it is written as.
            text.parse::<i64>().ok()?;
        }
        let number = text.parse::<f64>().ok()?;
        number.is_finite().then_some(number)
    }

    /// A text in quotes, without its escapes.
    pub(super) fn string(&mut self) -> Option<String> {
        if self.next()? != b'"' {
            return None;
        }
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            out.push_str(std::str::from_utf8(self.text.get(start..self.at)?).ok()?);
            match self.next()? {
                b'"' => return Some(out),
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                let code = match first {
                    0 => return None,
                    0xd800..=0xdbff => {
                        self.word(b"\\u")?;
                        let second = self.hex()?;
                        if !matches!(second, 0xdc00..=0xdfff) {
                            return None;
                        }
                        0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                    }
                    first => first,
                };
                // A second half alone is no character.
                char::from_u32(code)?
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(code)
    }
}
