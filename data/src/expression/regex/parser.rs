//! The syntax of `regcomp`, as the GNU C library has it.

use protocol::bounds::Within as _;

use super::set::{ByteSet, is_space, is_word};
use super::{Assertion, Node, PatternError};

/// Deepest nesting of groups: parsing recurses.
const MAX_DEPTH: usize = 100;

/// Largest number in an interval.
const MAX_REPEAT: u32 = 0x7fff;

/// How a pattern is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) extended: bool,
    pub(super) ignore_case: bool,
    pub(super) newline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    End,
    Byte(u8),
    Any,
    Bracket,
    Open,
    Close,
    Either,
    /// With the byte that it is where there is nothing to repeat.
    Star,
    Plus,
    Question,
    OpenInterval,
    CloseInterval,
    Assert(Assertion),
    Reference(usize),
    Set(ByteSet),
}

struct Parser<'p> {
    pattern: &'p [u8],
    at: usize,
    options: Options,
    groups: usize,
    complete: Vec<usize>,
}

/// Parses a whole pattern.
pub(super) fn parse(pattern: &[u8], options: Options) -> Result<Node, PatternError> {
    let mut parser = Parser {
        pattern,
        at: 0,
        options,
        groups: 0,
        complete: Vec::new(),
    };
    parser.alternatives(0)
}

impl Parser<'_> {
    /// A byte of the pattern, as upper case where case is ignored; escapes and names of classes are read as they stand.
    fn byte(&self, at: usize) -> Option<u8> {
        let byte = *self.pattern.get(at)?;
        Some(if self.options.ignore_case {
            byte.to_ascii_uppercase()
        } else {
            byte
        })
    }

    /// The next token and its length. `first`: a caret may be an anchor here also in the basic syntax.
    fn peek(&self, first: bool) -> Result<(Token, usize), PatternError> {
        let Some(byte) = self.byte(self.at) else {
            return Ok((Token::End, 0));
        };
        if byte == b'\\' {
            let escaped = *self
                .pattern
                .get(self.at + 1)
                .ok_or(PatternError::Backslash)?;
            return Ok((self.escaped(escaped), 2));
        }
        let extended = self.options.extended;
        let token = match byte {
            b'|' if extended => Token::Either,
            b'*' => Token::Star,
            b'+' if extended => Token::Plus,
            b'?' if extended => Token::Question,
            b'{' if extended => Token::OpenInterval,
            b'}' if extended => Token::CloseInterval,
            b'(' if extended => Token::Open,
            b')' if extended => Token::Close,
            b'[' => Token::Bracket,
            b'.' => Token::Any,
            b'^' if extended || first || self.at == 0 => Token::Assert(self.line_start()),
            b'$' if extended || self.dollar_is_anchor() => Token::Assert(self.line_end()),
            byte => Token::Byte(byte),
        };
        Ok((token, 1))
    }

    fn escaped(&self, byte: u8) -> Token {
        let basic = !self.options.extended;
        match byte {
            b'|' if basic => Token::Either,
            b'(' if basic => Token::Open,
            b')' if basic => Token::Close,
            b'{' if basic => Token::OpenInterval,
            b'}' if basic => Token::CloseInterval,
            b'+' if basic => Token::Plus,
            b'?' if basic => Token::Question,
            b'1'..=b'9' => Token::Reference(usize::from(byte - b'0')),
            b'<' => Token::Assert(Assertion::WordStart),
            b'>' => Token::Assert(Assertion::WordEnd),
            b'b' => Token::Assert(Assertion::WordEdge),
            b'B' => Token::Assert(Assertion::NotWordEdge),
            b'`' => Token::Assert(Assertion::Start),
            b'\'' => Token::Assert(Assertion::End),
            b'w' => Token::Set(ByteSet::of(is_word)),
            b'W' => Token::Set(ByteSet::of(|byte| !is_word(byte))),
            b's' => Token::Set(ByteSet::of(is_space)),
            b'S' => Token::Set(ByteSet::of(|byte| !is_space(byte))),
            byte => Token::Byte(byte),
        }
    }

    fn line_start(&self) -> Assertion {
        if self.options.newline {
            Assertion::LineStart
        } else {
            Assertion::Start
        }
    }

    fn line_end(&self) -> Assertion {
        if self.options.newline {
            Assertion::LineEnd
        } else {
            Assertion::End
        }
    }

    /// In the basic syntax: at the end, and before `\)` and `\|`.
    fn dollar_is_anchor(&self) -> bool {
        matches!(
            self.pattern.get(self.at + 1..),
            Some([] | [b'\\', b')' | b'|', ..])
        )
    }

    fn negated(&self, set: ByteSet) -> ByteSet {
        ByteSet::of(|byte| !(set.contains(byte) || self.options.newline && byte == b'\n'))
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, PatternError> {
        if depth > MAX_DEPTH {
            return Err(PatternError::TooLarge);
        }
        let mut nodes = vec![self.sequence(depth)?];
        while self.peek(false)?.0 == Token::Either {
            self.at += self.peek(false)?.1;
            nodes.push(self.sequence(depth)?);
        }
        Ok(match (nodes.pop(), nodes.is_empty()) {
            (Some(node), true) => node,
            (node, _) => {
                nodes.extend(node);
                Node::Either(nodes)
            }
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        let mut first = true;
        loop {
            let (token, size) = self.peek(first)?;
            match token {
                Token::End | Token::Either => break,
                Token::Close if depth > 0 => break,
                token => {
                    self.at += size;
                    nodes.push(self.expression(token, depth)?);
                }
            }
            first = false;
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            _ => Node::Sequence(nodes),
        })
    }

    /// An expression that begins with this token, with what repeats it.
    fn expression(&mut self, token: Token, depth: usize) -> Result<Node, PatternError> {
        let literal = |byte| match self.options.extended {
            // There is nothing to repeat.
            true => Err(PatternError::Repeat),
            false => Ok(self.one(byte)),
        };
        let node = match token {
            Token::Byte(byte) => self.one(byte),
            Token::Set(set) => Node::Set(set),
            Token::Any => Node::Set(ByteSet::of(|byte| !(self.options.newline && byte == b'\n'))),
            Token::Bracket => Node::Set(self.bracket()?),
            Token::Open => self.group(depth)?,
            Token::Close if self.options.extended => self.one(b')'),
            Token::Close => return Err(PatternError::Parenthesis),
            Token::CloseInterval => self.one(b'}'),
            Token::OpenInterval => return Err(PatternError::Repeat),
            Token::Star => literal(b'*')?,
            Token::Plus => literal(b'+')?,
            Token::Question => literal(b'?')?,
            Token::Reference(group) if self.complete.contains(&group) => Node::Reference(group),
            Token::Reference(_) => return Err(PatternError::Reference),
            // An anchor is not repeated: what follows it begins anew.
            Token::Assert(assertion) => return Ok(Node::Assert(assertion)),
            Token::End | Token::Either => Node::Empty,
        };
        self.repeated(node)
    }

    fn one(&self, byte: u8) -> Node {
        let ignore_case = self.options.ignore_case;
        Node::Set(ByteSet::of(|other| {
            byte == if ignore_case {
                other.to_ascii_uppercase()
            } else {
                other
            }
        }))
    }

    fn group(&mut self, depth: usize) -> Result<Node, PatternError> {
        self.groups += 1;
        let number = self.groups;
        let inner = self.alternatives(depth + 1)?;
        let (token, size) = self.peek(false)?;
        if token != Token::Close {
            return Err(PatternError::Parenthesis);
        }
        self.at += size;
        self.complete.push(number);
        Ok(Node::Group(number, Box::new(inner)))
    }

    fn repeated(&mut self, mut node: Node) -> Result<Node, PatternError> {
        let mut times = 0;
        loop {
            let (token, size) = self.peek(false)?;
            let (least, most) = match token {
                Token::Star => (0, None),
                Token::Plus => (1, None),
                Token::Question => (0, Some(1)),
                Token::OpenInterval => {
                    self.at += size;
                    let (least, most) = self.interval()?;
                    node = Node::Repeat(Box::new(node), least, most);
                    self.after_repeat()?;
                    times += 1;
                    if times > MAX_DEPTH {
                        return Err(PatternError::TooLarge);
                    }
                    continue;
                }
                _ => return Ok(node),
            };
            self.at += size;
            node = match node {
                // A repeat of the same kind adds nothing, however many there are.
                Node::Repeat(inner, 0, None) if most.is_none() || least == 0 => {
                    Node::Repeat(inner, 0, None)
                }
                node => Node::Repeat(Box::new(node), least, most),
            };
            self.after_repeat()?;
            times += 1;
            if times > MAX_DEPTH {
                return Err(PatternError::TooLarge);
            }
        }
    }

    /// The basic syntax has no star and no interval behind a repeat.
    fn after_repeat(&self) -> Result<(), PatternError> {
        match self.peek(false)?.0 {
            Token::Star | Token::OpenInterval if !self.options.extended => {
                Err(PatternError::Repeat)
            }
            _ => Ok(()),
        }
    }

    /// What stands between braces, and the closing one.
    fn interval(&mut self) -> Result<(u32, Option<u32>), PatternError> {
        let least = self.number()?;
        let comma = self.byte(self.at) == Some(b',');
        let (least, most) = if comma {
            self.at += 1;
            (least.unwrap_or(0), self.number()?)
        } else {
            let least = least.ok_or(PatternError::Interval)?;
            (least, Some(least))
        };
        let (token, size) = self.peek(false)?;
        if token != Token::CloseInterval || most.is_some_and(|most| most < least) {
            return Err(PatternError::Interval);
        }
        if most.unwrap_or(least) > MAX_REPEAT {
            return Err(PatternError::TooLarge);
        }
        self.at += size;
        Ok((least, most))
    }

    fn number(&mut self) -> Result<Option<u32>, PatternError> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.byte(self.at) {
            let value = number.unwrap_or(0) * 10 + u32::from(digit - b'0');
            number = Some(value.min(MAX_REPEAT + 1));
            self.at += 1;
        }
        Ok(number)
    }

    /// A set in brackets whose opening one is taken.
    fn bracket(&mut self) -> Result<ByteSet, PatternError> {
        let mut set = ByteSet::default();
        let negated = self.byte(self.at) == Some(b'^');
        self.at += usize::from(negated);
        let mut first = true;
        loop {
            match self.byte(self.at).ok_or(PatternError::Bracket)? {
                b']' if !first => {
                    self.at += 1;
                    break;
                }
                // Only at either end is a hyphen itself.
                b'-' if !first && self.byte(self.at + 1) != Some(b']') => {
                    return Err(match self.byte(self.at + 1) {
                        None => PatternError::Bracket,
                        Some(_) => PatternError::Range,
                    });
                }
                _ => {}
            }
            first = false;
            let start = self.bracket_element(&mut set)?;
            let range = self.byte(self.at) == Some(b'-')
                && !matches!(self.byte(self.at + 1), Some(b']') | None);
            if !range {
                if let Some(byte) = start {
                    set.insert(byte);
                }
                continue;
            }
            self.at += 1;
            let mut rest = ByteSet::default();
            match (start, self.bracket_element(&mut rest)?) {
                (Some(low), Some(high)) if low <= high => {
                    (low..=high).for_each(|byte| set.insert(byte));
                }
                _ => return Err(PatternError::Range),
            }
        }
        let ignore_case = self.options.ignore_case;
        let folded = ByteSet::of(|byte| {
            set.contains(if ignore_case {
                byte.to_ascii_uppercase()
            } else {
                byte
            })
        });
        Ok(if negated {
            self.negated(folded)
        } else {
            folded
        })
    }

    /// One byte, or a class that goes into the set: then none.
    fn bracket_element(&mut self, set: &mut ByteSet) -> Result<Option<u8>, PatternError> {
        let byte = self.byte(self.at).ok_or(PatternError::Bracket)?;
        let kind = self.byte(self.at + 1);
        if byte != b'[' || !matches!(kind, Some(b'.' | b'=' | b':')) {
            self.at += 1;
            return Ok(Some(byte));
        }
        let kind = kind.unwrap_or(b':');
        let start = self.at + 2;
        let mut end = start;
        while self.byte(end) != Some(kind) || self.byte(end + 1) != Some(b']') {
            if self.byte(end).is_none() {
                return Err(PatternError::Bracket);
            }
            end += 1;
        }
        let name = self.pattern.within(start..end);
        self.at = end + 2;
        if kind != b':' {
            // In the "C" locale every element is one byte.
            return match name {
                [_] => Ok(self.byte(start)),
                _ => Err(PatternError::Class),
            };
        }
        let name = match name {
            b"upper" | b"lower" if self.options.ignore_case => b"alpha",
            name => name,
        };
        let class = ByteSet::class(name).ok_or(PatternError::Class)?;
        for byte in 0..=u8::MAX {
            if class.contains(byte) {
                set.insert(if self.options.ignore_case {
                    byte.to_ascii_uppercase()
                } else {
                    byte
                });
            }
        }
        Ok(None)
    }
}
