//! Lua 5.4 patterns, matched under a budget.
//!
//! Lua's own matcher backtracks without bound (`("a"):rep(30):find(("a-"):rep(30) .. "b")` runs for hours) and no hook can
//! interrupt it. This one gives the same matches, captures and error texts, and asks its caller every `STEPS_PER_TICK`
//! steps whether to go on. It knows no Lua state: bytes in, positions out.
//!
//! Source: Lua 5.4 reference manual, section 6.4.1.

use protocol::bounds::Fit as _;

/// Captures that one pattern may hold.
pub const MAX_CAPTURES: usize = 32;

/// Nested matches (captures, optional items, balanced tails) before a pattern counts as too complex.
const MAX_DEPTH: u32 = 200;

/// Steps between two questions to the budget.
const STEPS_PER_TICK: u32 = 2_048;

/// Bytes that a plain search compares between two questions to the budget.
const BYTES_PER_TICK: usize = 1 << 17;

/// Bytes that a plain search compares at once.
const COMPARED_AT_ONCE: usize = 256;

/// Bytes of a set or a back reference that take about as long as a step.
const BYTES_PER_STEP: usize = 8;

/// The escape character of patterns.
const ESCAPE: u8 = b'%';

/// Bytes that make a text more than a plain one.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// Why matching stopped without an answer. The texts are Lua's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// An escape with nothing after it.
    #[error("malformed pattern (ends with '%')")]
    EndsWithEscape,
    /// A set that is not closed.
    #[error("malformed pattern (missing ']')")]
    MissingBracket,
    /// `%b` without its two characters.
    #[error("malformed pattern (missing arguments to '%b')")]
    MissingBalanceArguments,
    /// `%f` without a set.
    #[error("missing '[' after '%f' in pattern")]
    MissingFrontierSet,
    /// A `%1`…`%9`, in the pattern or asked for by the caller, that names no finished capture; the number is as written.
    #[error("invalid capture index %{0}")]
    CaptureIndex(usize),
    /// A closing parenthesis without an opening one.
    #[error("invalid pattern capture")]
    Unbalanced,
    /// A capture that was opened and never closed.
    #[error("unfinished capture")]
    Unfinished,
    /// More than [`MAX_CAPTURES`].
    #[error("too many captures")]
    TooManyCaptures,
    /// Nested deeper than Lua goes.
    #[error("pattern too complex")]
    TooComplex,
    /// The budget said no; the caller raises what fits.
    #[error("pattern matching interrupted")]
    Interrupted,
}

/// One capture of a successful match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// A part of the source, as a byte range.
    Text(usize, usize),
    /// `()`: a position, counted from 0.
    Position(usize),
}

#[derive(Clone, Copy)]
enum Extent {
    Open,
    Position,
    Closed(usize),
}

/// Whether `pattern` holds no special byte, so that a plain search finds the same.
#[must_use]
pub fn is_plain(pattern: &[u8]) -> bool {
    !pattern.iter().any(|byte| SPECIALS.contains(byte))
}

/// Finds `needle` in `haystack` from `from` on, byte for byte.
///
/// Cost: linear in the haystack for needles whose first byte is rare, at worst their product; the budget is asked as in matching.
///
/// # Errors
/// [`PatternError::Interrupted`] when the budget says no.
pub fn find_plain(
    haystack: &[u8],
    needle: &[u8],
    from: usize,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<usize>, PatternError> {
    let Some((first, rest)) = needle.split_first() else {
        return Ok((from <= haystack.len()).then_some(from));
    };
    let mut at = from;
    let mut work = 0_usize;
    while let Some(offset) = haystack
        .get(at..)
        .and_then(|tail| tail.iter().position(|byte| byte == first))
    {
        at += offset;
        work += offset;
        let Some(candidate) = haystack.get(at + 1..at + 1 + rest.len()) else {
            return Ok(None);
        };
        // In parts, so that what is compared in vain is counted.
        let mut parts = candidate
            .chunks(COMPARED_AT_ONCE)
            .zip(rest.chunks(COMPARED_AT_ONCE));
        let same = parts.all(|(left, right)| {
            work += right.len();
            left == right
        });
        if same {
            return Ok(Some(at));
        }
        at += 1;
        if work > BYTES_PER_TICK {
            work = 0;
            if !go_on() {
                return Err(PatternError::Interrupted);
            }
        }
    }
    Ok(None)
}

/// A pattern at work on a source.
pub struct Matcher<'a> {
    source: &'a [u8],
    pattern: &'a [u8],
    captures: [(usize, Extent); MAX_CAPTURES],
    level: usize,
    depth: u32,
    steps: u32,
    go_on: &'a mut dyn FnMut() -> bool,
}

impl<'a> Matcher<'a> {
    /// `pattern` without a leading `^`: anchoring is the caller's loop. `go_on` answers whether there is budget left.
    pub fn new(source: &'a [u8], pattern: &'a [u8], go_on: &'a mut dyn FnMut() -> bool) -> Self {
        Self {
            source,
            pattern,
            captures: [(0, Extent::Open); MAX_CAPTURES],
            level: 0,
            depth: 0,
            steps: 0,
            go_on,
        }
    }

    /// Tries a match that begins exactly at `start`; the answer is where it ends.
    ///
    /// # Errors
    /// A malformed pattern, or no budget.
    pub fn match_at(&mut self, start: usize) -> Result<Option<usize>, PatternError> {
        self.level = 0;
        self.depth = 0;
        self.run(start, 0)
    }

    /// Captures that the last match took.
    #[must_use]
    pub fn capture_count(&self) -> usize {
        self.level
    }

    /// Capture `index` (from 0) of the last match, which covered `start..end`. Index 0 of a pattern without captures is the match.
    ///
    /// # Errors
    /// No such capture, or one that was never closed.
    pub fn capture(&self, index: usize, start: usize, end: usize) -> Result<Capture, PatternError> {
        if index >= self.level {
            return if index == 0 {
                Ok(Capture::Text(start, end))
            } else {
                Err(PatternError::CaptureIndex(index + 1))
            };
        }
        match self.captures.get(index) {
            Some(&(from, Extent::Closed(length))) => Ok(Capture::Text(from, from + length)),
            Some(&(from, Extent::Position)) => Ok(Capture::Position(from)),
            _ => Err(PatternError::Unfinished),
        }
    }

    fn step(&mut self) -> Result<(), PatternError> {
        self.steps_for(0)
    }

    /// A step that also looks at so many bytes of a set or of a text.
    fn steps_for(&mut self, bytes: usize) -> Result<(), PatternError> {
        let more = (bytes / BYTES_PER_STEP).at_most::<u32>();
        self.steps = self.steps.saturating_add(more).saturating_add(1);
        if self.steps >= STEPS_PER_TICK {
            self.steps = 0;
            if !(self.go_on)() {
                return Err(PatternError::Interrupted);
            }
        }
        Ok(())
    }

    fn pattern_at(&self, at: usize) -> Option<u8> {
        self.pattern.get(at).copied()
    }

    fn source_at(&self, at: usize) -> Option<u8> {
        self.source.get(at).copied()
    }

    /// Matches `pattern[p..]` at `s`; one level of nesting.
    fn run(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        if self.depth >= MAX_DEPTH {
            return Err(PatternError::TooComplex);
        }
        self.depth += 1;
        let result = self.run_items(s, p);
        self.depth -= 1;
        result
    }

    fn run_items(&mut self, mut s: usize, mut p: usize) -> Result<Option<usize>, PatternError> {
        loop {
            self.step()?;
            let Some(item) = self.pattern_at(p) else {
                return Ok(Some(s));
            };
            match (item, self.pattern_at(p + 1)) {
                (b'(', Some(b')')) => return self.open_capture(s, p + 2, Extent::Position),
                (b'(', _) => return self.open_capture(s, p + 1, Extent::Open),
                (b')', _) => return self.close_capture(s, p + 1),
                (b'$', None) => return Ok((s == self.source.len()).then_some(s)),
                (ESCAPE, Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(after) => {
                        s = after;
                        p += 4;
                    }
                    None => return Ok(None),
                },
                (ESCAPE, Some(b'f')) => {
                    p += 2;
                    if self.pattern_at(p) != Some(b'[') {
                        return Err(PatternError::MissingFrontierSet);
                    }
                    let end = self.class_end(p)?;
                    self.steps_for(end - p)?;
                    let before = s
                        .checked_sub(1)
                        .and_then(|at| self.source_at(at))
                        .unwrap_or(0);
                    let here = self.source_at(s).unwrap_or(0);
                    if self.in_set(before, p, end) || !self.in_set(here, p, end) {
                        return Ok(None);
                    }
                    p = end;
                }
                (ESCAPE, Some(digit @ b'0'..=b'9')) => match self.back_reference(s, digit)? {
                    Some(after) => {
                        s = after;
                        p += 2;
                    }
                    None => return Ok(None),
                },
                _ => {
                    let end = self.class_end(p)?;
                    self.steps_for(end - p)?;
                    match self.pattern_at(end) {
                        Some(b'?') => {
                            if self.single(s, p, end)
                                && let Some(after) = self.run(s + 1, end + 1)?
                            {
                                return Ok(Some(after));
                            }
                            p = end + 1;
                        }
                        Some(b'+') => {
                            return if self.single(s, p, end) {
                                self.longest(s + 1, p, end)
                            } else {
                                Ok(None)
                            };
                        }
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'-') => return self.shortest(s, p, end),
                        _ if self.single(s, p, end) => {
                            s += 1;
                            p = end;
                        }
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    /// Where the single-character class at `p` ends.
    fn class_end(&self, p: usize) -> Result<usize, PatternError> {
        match self.pattern_at(p) {
            Some(ESCAPE) => match self.pattern_at(p + 1) {
                Some(_) => Ok(p + 2),
                None => Err(PatternError::EndsWithEscape),
            },
            Some(b'[') => {
                let mut at = p + 1;
                if self.pattern_at(at) == Some(b'^') {
                    at += 1;
                }
                // The first character of a set belongs to it, whatever it is.
                loop {
                    match self.pattern_at(at) {
                        None => return Err(PatternError::MissingBracket),
                        Some(ESCAPE) => at += 2,
                        Some(_) => at += 1,
                    }
                    if self.pattern_at(at) == Some(b']') {
                        return Ok(at + 1);
                    }
                }
            }
            _ => Ok(p + 1),
        }
    }

    /// Whether the class `pattern[p..end]` takes the byte at `s`.
    fn single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(byte) = self.source_at(s) else {
            return false;
        };
        match self.pattern_at(p) {
            Some(b'.') => true,
            Some(ESCAPE) => self
                .pattern_at(p + 1)
                .is_some_and(|class| in_class(byte, class)),
            Some(b'[') => self.in_set(byte, p, end),
            Some(literal) => literal == byte,
            None => false,
        }
    }

    /// Whether the set that begins at `p` and ends before `end` holds `byte`.
    fn in_set(&self, byte: u8, p: usize, end: usize) -> bool {
        let close = end.saturating_sub(1);
        let negated = self.pattern_at(p + 1) == Some(b'^');
        let mut at = if negated { p + 2 } else { p + 1 };
        while at < close {
            let Some(first) = self.pattern_at(at) else {
                break;
            };
            if first == ESCAPE {
                if self
                    .pattern_at(at + 1)
                    .is_some_and(|class| in_class(byte, class))
                {
                    return !negated;
                }
                at += 2;
            } else if self.pattern_at(at + 1) == Some(b'-') && at + 2 < close {
                if self
                    .pattern_at(at + 2)
                    .is_some_and(|last| (first..=last).contains(&byte))
                {
                    return !negated;
                }
                at += 3;
            } else {
                if first == byte {
                    return !negated;
                }
                at += 1;
            }
        }
        negated
    }

    fn longest(&mut self, s: usize, p: usize, end: usize) -> Result<Option<usize>, PatternError> {
        let mut count = 0;
        while self.single(s + count, p, end) {
            self.steps_for(end - p)?;
            count += 1;
        }
        loop {
            if let Some(after) = self.run(s + count, end + 1)? {
                return Ok(Some(after));
            }
            if count == 0 {
                return Ok(None);
            }
            count -= 1;
        }
    }

    fn shortest(
        &mut self,
        mut s: usize,
        p: usize,
        end: usize,
    ) -> Result<Option<usize>, PatternError> {
        loop {
            if let Some(after) = self.run(s, end + 1)? {
                return Ok(Some(after));
            }
            self.steps_for(end - p)?;
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    fn open_capture(
        &mut self,
        s: usize,
        p: usize,
        extent: Extent,
    ) -> Result<Option<usize>, PatternError> {
        let level = self.level;
        let slot = self
            .captures
            .get_mut(level)
            .ok_or(PatternError::TooManyCaptures)?;
        *slot = (s, extent);
        self.level = level + 1;
        let result = self.run(s, p)?;
        if result.is_none() {
            self.level -= 1;
        }
        Ok(result)
    }

    fn close_capture(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        let open = self
            .captures
            .get(..self.level)
            .and_then(|taken| {
                taken
                    .iter()
                    .rposition(|(_, extent)| matches!(extent, Extent::Open))
            })
            .ok_or(PatternError::Unbalanced)?;
        self.set_extent(open, Some(s));
        let result = self.run(s, p)?;
        if result.is_none() {
            self.set_extent(open, None);
        }
        Ok(result)
    }

    fn set_extent(&mut self, index: usize, end: Option<usize>) {
        if let Some((from, extent)) = self.captures.get_mut(index) {
            *extent = end.map_or(Extent::Open, |end| Extent::Closed(end - *from));
        }
    }

    fn balanced(&mut self, s: usize, p: usize) -> Result<Option<usize>, PatternError> {
        let (Some(open), Some(close)) = (self.pattern_at(p), self.pattern_at(p + 1)) else {
            return Err(PatternError::MissingBalanceArguments);
        };
        if self.source_at(s) != Some(open) {
            return Ok(None);
        }
        let mut nesting = 1_usize;
        let mut at = s + 1;
        while let Some(byte) = self.source_at(at) {
            self.step()?;
            if byte == close {
                nesting -= 1;
                if nesting == 0 {
                    return Ok(Some(at + 1));
                }
            } else if byte == open {
                nesting += 1;
            }
            at += 1;
        }
        Ok(None)
    }

    fn back_reference(&mut self, s: usize, digit: u8) -> Result<Option<usize>, PatternError> {
        let written = usize::from(digit - b'0');
        let taken = written
            .checked_sub(1)
            .filter(|index| *index < self.level)
            .and_then(|index| self.captures.get(index).copied());
        let Some((from, Extent::Closed(length))) = taken else {
            return Err(PatternError::CaptureIndex(written));
        };
        self.steps_for(length)?;
        let same = self.source.get(from..from + length) == self.source.get(s..s + length);
        Ok((same && s + length <= self.source.len()).then_some(s + length))
    }
}

/// Whether `byte` is in the class that `%class` names; an upper-case letter is the complement.
fn in_class(byte: u8, class: u8) -> bool {
    let inside = match class.to_ascii_lowercase() {
        b'a' => byte.is_ascii_alphabetic(),
        b'c' => byte.is_ascii_control(),
        b'd' => byte.is_ascii_digit(),
        b'g' => byte.is_ascii_graphic(),
        b'l' => byte.is_ascii_lowercase(),
        b'p' => byte.is_ascii_punctuation(),
        b's' => byte.is_ascii_whitespace() || byte == 0x0b,
        b'u' => byte.is_ascii_uppercase(),
        b'w' => byte.is_ascii_alphanumeric(),
        b'x' => byte.is_ascii_hexdigit(),
        _ => return class == byte,
    };
    inside != class.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = Result<Option<(usize, usize, Vec<Result<Capture, PatternError>>)>, PatternError>;

    fn find(source: &[u8], pattern: &[u8]) -> Found {
        let (anchored, body) = match pattern.split_first() {
            Some((b'^', rest)) => (true, rest),
            _ => (false, pattern),
        };
        let mut go_on = || true;
        let mut matcher = Matcher::new(source, body, &mut go_on);
        for start in 0..=source.len() {
            if let Some(end) = matcher.match_at(start)? {
                let captures = (0..matcher.capture_count())
                    .map(|index| matcher.capture(index, start, end))
                    .collect();
                return Ok(Some((start, end, captures)));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    /// What Lua itself says: start, end and captures of `string.find`, or the error text without its position.
    fn oracle(lua: &mlua::Lua, source: &[u8], pattern: &[u8]) -> Result<Vec<String>, String> {
        let chunk = lua.load(
            "local s, p = ... \
             local r = table.pack(pcall(string.find, s, p)) \
             if not r[1] then return {n = -1, tostring(r[2])} end \
             local out = {n = r.n - 1} \
             for i = 2, r.n do out[i - 1] = math.type(r[i]) and ('#' .. r[i]) or (r[i] and ('s' .. r[i]) or 'nil') end \
             return out",
        );
        let (source, pattern) = (
            lua.create_string(source).unwrap(),
            lua.create_string(pattern).unwrap(),
        );
        let table: mlua::Table = chunk.call((source, pattern)).unwrap();
        let values: Vec<String> = (1..=table.raw_len())
            .map(|at| {
                String::from_utf8_lossy(&table.get::<mlua::LuaString>(at).unwrap().as_bytes())
                    .into_owned()
            })
            .collect();
        if table.get::<i64>("n").unwrap() < 0 {
            Err(values[0].clone())
        } else {
            Ok(values)
        }
    }

    fn ours(source: &[u8], pattern: &[u8]) -> Result<Vec<String>, String> {
        let text =
            |from: usize, to: usize| format!("s{}", String::from_utf8_lossy(&source[from..to]));
        match find(source, pattern) {
            Err(error) => Err(error.to_string()),
            Ok(None) => Ok(vec!["nil".to_owned()]),
            Ok(Some((start, end, captures))) => {
                let mut out = vec![format!("#{}", start + 1), format!("#{end}")];
                for capture in captures {
                    match capture {
                        Ok(Capture::Text(from, to)) => out.push(text(from, to)),
                        Ok(Capture::Position(at)) => out.push(format!("#{}", at + 1)),
                        Err(error) => return Err(error.to_string()),
                    }
                }
                Ok(out)
            }
        }
    }

    fn check(lua: &mlua::Lua, source: &[u8], pattern: &[u8]) {
        if is_plain(pattern) {
            let at = find_plain(source, pattern, 0, &mut || true).unwrap();
            let expected = oracle(lua, source, pattern).unwrap();
            let found = at.map_or("nil".to_owned(), |at| format!("#{}", at + 1));
            assert_eq!(found, expected[0], "plain {source:?} {pattern:?}");
            return;
        }
        let (mine, lua_says) = (ours(source, pattern), oracle(lua, source, pattern));
        assert_eq!(
            mine,
            lua_says,
            "source {:?} pattern {:?}",
            String::from_utf8_lossy(source),
            String::from_utf8_lossy(pattern)
        );
    }

    #[test]
    fn matches_as_lua_does() {
        let lua = mlua::Lua::new();
        let sources: [&[u8]; 7] = [
            b"",
            b"hello world",
            b"THE (quick) fox",
            b"key = value",
            b"aaa",
            b"a.b-c_d 12 0x1F\n",
            b"f(a(b)c)d",
        ];
        let patterns: [&str; 45] = [
            "",
            "o",
            "^h",
            "^",
            "$",
            "d$",
            ".-",
            ".*",
            "(.-)%s",
            "(%a+) (%a+)",
            "()ll()",
            "%f[%w]%w+",
            "%f[%a]",
            "%b()",
            "%bxy",
            "%b",
            "[",
            "[a",
            "[]]",
            "[^]]+",
            "[%a-z]",
            "[a-]",
            "[^%s]+",
            "%",
            "a%",
            "(",
            ")",
            "()",
            "(()",
            "%1",
            "(a)%1",
            "(a*)%1",
            "(%w+)%s*=%s*(%w+)",
            "a?a?a?aaa",
            "a-a-$",
            "%S+$",
            "[+-]?%d+",
            "x*",
            "%w+",
            "[%]]",
            "%f",
            "(a",
            "%0",
            "[a-%%]",
            "[%",
        ];
        for source in sources {
            for pattern in patterns {
                check(&lua, source, pattern.as_bytes());
            }
        }
    }

    #[test]
    fn counts_captures_and_depth_as_lua_does() {
        let lua = mlua::Lua::new();
        check(&lua, b"a", "()".repeat(32).as_bytes());
        check(&lua, b"a", "()".repeat(33).as_bytes());
        check(
            &lua,
            "a".repeat(300).as_bytes(),
            "a?".repeat(190).as_bytes(),
        );
        check(
            &lua,
            "a".repeat(300).as_bytes(),
            "a?".repeat(250).as_bytes(),
        );
    }

    #[test]
    fn stops_when_the_budget_says_no() {
        let source = b"a".repeat(30);
        let pattern = [b"a-".repeat(30), b"b".to_vec()].concat();
        let mut ticks = 0;
        let mut go_on = || {
            ticks += 1;
            ticks < 5
        };
        let mut matcher = Matcher::new(&source, &pattern, &mut go_on);
        assert_eq!(matcher.match_at(0), Err(PatternError::Interrupted));
        assert_eq!(ticks, 5);
        let haystack = b"a".repeat(1 << 20);
        let needle = [b"a".repeat(1 << 10), b"b".to_vec()].concat();
        assert_eq!(
            find_plain(&haystack, &needle, 0, &mut || false),
            Err(PatternError::Interrupted)
        );
    }

    proptest! {
        #[test]
        fn agrees_with_lua_on_any_pattern(
            source in proptest::collection::vec(proptest::sample::select(b"ab1 (=)x".to_vec()), 0..12),
            pattern in proptest::collection::vec(proptest::sample::select(b"ab1 .%()[]^$*+-?wdfbs".to_vec()), 0..9),
        ) {
            thread_local!(static LUA: mlua::Lua = mlua::Lua::new());
            LUA.with(|lua| check(lua, &source, &pattern));
        }
    }
}
