//! The functions of `string` that could run without bound: patterns, under the call's budget, and `rep`.

use std::ffi::c_int;

use protocol::bounds::{Fit as _, Within as _};

use crate::guard::pattern::{Capture, Matcher, PatternError, find_plain, is_plain};
use crate::machine::frame::{Body, Frame, LuaType, Raise};
use crate::machine::memory::MAX_TEXT_BYTES;
use crate::machine::shared::Abort;

/// Longest string that `string.rep` makes, bytes (as Lua's own).
const MAX_STRING: usize = i32::MAX as usize;

/// Replaces the functions in the table `string`.
pub(crate) fn define(frame: &mut Frame<'_>) {
    let functions: [(&str, Body); 5] = [
        ("find", find),
        ("gmatch", gmatch),
        ("gsub", gsub),
        ("match", match_first),
        ("rep", rep),
    ];
    frame.push_global("string");
    let table = frame.top();
    crate::machine::object::set_functions(frame, table, &functions);
    frame.pop(1);
}

fn raise(error: PatternError) -> Raise {
    match error {
        PatternError::Interrupted => Raise::Abort(Abort::Time),
        error => Raise::text(error.to_string()),
    }
}

/// A start position as Lua takes it: from the end when negative, at least 1. As an offset; `None` is beyond the end.
fn start(frame: &mut Frame<'_>, argument: c_int, length: usize) -> Result<Option<usize>, Raise> {
    let position = frame.optional_integer(argument, 1)?;
    let length_signed = length.fit::<i64>();
    let offset = match position {
        1.. => position - 1,
        0 => 0,
        _ => length_signed.saturating_add(position).max(0),
    };
    Ok(usize::try_from(offset)
        .ok()
        .filter(|offset| *offset <= length))
}

fn push_capture(frame: &mut Frame<'_>, source: &[u8], capture: Capture) {
    match capture {
        Capture::Text(from, to) => frame.push_bytes(source.within(from..to)),
        Capture::Position(at) => frame.push_integer((at + 1).fit::<i64>()),
    }
}

/// Pushes the captures of a match; `whole` pushes the match itself when the pattern has none.
fn push_captures(
    frame: &mut Frame<'_>,
    source: &[u8],
    matcher: &Matcher<'_>,
    (from, to): (usize, usize),
    whole: bool,
) -> Result<usize, Raise> {
    let count = if matcher.capture_count() == 0 && whole {
        1
    } else {
        matcher.capture_count()
    };
    frame.ensure_stack(count)?;
    for index in 0..count {
        push_capture(
            frame,
            source,
            matcher.capture(index, from, to).map_err(raise)?,
        );
    }
    Ok(count)
}

fn anchored(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern.split_first() {
        Some((b'^', rest)) => (true, rest),
        _ => (false, pattern),
    }
}

fn push_position(frame: &mut Frame<'_>, position: usize) {
    frame.push_integer(position.fit::<i64>());
}

fn find(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    search(frame, true)
}

fn match_first(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    search(frame, false)
}

fn search(frame: &mut Frame<'_>, find: bool) -> Result<usize, Raise> {
    let source = frame.check_bytes(1)?;
    let pattern = frame.check_bytes(2)?;
    let Some(init) = start(frame, 3, source.len())? else {
        frame.push_nil();
        return Ok(1);
    };
    let shared = frame.shared();
    let mut go_on = || shared.checkpoint();
    if find && (frame.boolean(4) || is_plain(pattern)) {
        return match find_plain(source, pattern, init, &mut go_on).map_err(raise)? {
            Some(at) => {
                push_position(frame, at + 1);
                push_position(frame, at + pattern.len());
                Ok(2)
            }
            None => {
                frame.push_nil();
                Ok(1)
            }
        };
    }
    let (anchor, pattern) = anchored(pattern);
    let mut matcher = Matcher::new(source, pattern, &mut go_on);
    for from in init..=source.len() {
        if let Some(to) = matcher.match_at(from).map_err(raise)? {
            if !find {
                return push_captures(frame, source, &matcher, (from, to), true);
            }
            push_position(frame, from + 1);
            push_position(frame, to);
            return Ok(2 + push_captures(frame, source, &matcher, (from, to), false)?);
        }
        if anchor {
            break;
        }
    }
    frame.push_nil();
    Ok(1)
}

/// `string.gmatch(s, pattern[, init])`: a closure over text, pattern, next start and end of the last match.
fn gmatch(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let source = frame.check_bytes(1)?;
    frame.check_bytes(2)?;
    let init = start(frame, 3, source.len())?.unwrap_or(source.len() + 1);
    frame.set_top(2);
    push_position(frame, init);
    frame.push_integer(-1);
    frame.push_closure(gmatch_step, 4);
    Ok(1)
}

fn gmatch_step(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let (Some(source), Some(pattern)) = (
        frame.bytes(Frame::upvalue(1)),
        frame.bytes(Frame::upvalue(2)),
    ) else {
        return Ok(0);
    };
    // A place behind the end ends the loop.
    let next = frame
        .integer(Frame::upvalue(3))
        .and_then(|at| usize::try_from(at).ok())
        .unwrap_or(usize::MAX);
    let last = frame
        .integer(Frame::upvalue(4))
        .and_then(|at| usize::try_from(at).ok());
    let shared = frame.shared();
    let mut go_on = || shared.checkpoint();
    let mut matcher = Matcher::new(source, pattern, &mut go_on);
    for from in next..=source.len() {
        if let Some(to) = matcher
            .match_at(from)
            .map_err(raise)?
            .filter(|to| Some(*to) != last)
        {
            push_position(frame, to);
            frame.copy(-1);
            frame.replace(Frame::upvalue(3));
            frame.replace(Frame::upvalue(4));
            return push_captures(frame, source, &matcher, (from, to), true);
        }
    }
    Ok(0)
}

fn gsub(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let source = frame.check_bytes(1)?;
    let pattern = frame.check_bytes(2)?;
    let by = frame.kind(3);
    if !matches!(
        by,
        LuaType::Number | LuaType::String | LuaType::Table | LuaType::Function
    ) {
        return Err(frame.type_error(3, "string/function/table"));
    }
    let most = frame.optional_integer(4, i64::MAX)?;
    let (anchor, pattern) = anchored(pattern);
    let shared = frame.shared();
    let mut go_on = || shared.checkpoint();
    let mut matcher = Matcher::new(source, pattern, &mut go_on);
    let mut out = Vec::new();
    let (mut at, mut last, mut count) = (0, None, 0);
    while count < most {
        match matcher
            .match_at(at)
            .map_err(raise)?
            .filter(|to| Some(*to) != last)
        {
            Some(to) => {
                count += 1;
                add_replacement(frame, by, source, &matcher, (at, to), &mut out)?;
                at = to;
                last = Some(to);
            }
            None => match source.get(at) {
                Some(byte) => {
                    out.push(*byte);
                    at += 1;
                }
                None => break,
            },
        }
        if anchor {
            break;
        }
        if out.len() > MAX_TEXT_BYTES {
            return Err(Raise::Abort(Abort::Memory));
        }
        frame.reserve(out.len().max(64) - 64)?;
        if at > source.len() {
            break;
        }
    }
    out.extend(source.within(at..));
    frame.push_bytes(&out);
    frame.push_integer(count);
    Ok(2)
}

/// Appends what takes the place of one match.
fn add_replacement(
    frame: &mut Frame<'_>,
    by: LuaType,
    source: &[u8],
    matcher: &Matcher<'_>,
    (from, to): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let original = source.within(from..to);
    match by {
        LuaType::Function => {
            frame.copy(3);
            let captures = push_captures(frame, source, matcher, (from, to), true)?;
            frame.call(captures.fit::<c_int>(), 1)?;
        }
        LuaType::Table => {
            push_capture(frame, source, matcher.capture(0, from, to).map_err(raise)?);
            frame.index(3)?;
        }
        _ => {
            let template = frame.check_bytes(3)?;
            frame.spend(template.len())?;
            return expand(template, source, matcher, (from, to), out);
        }
    }
    if !frame.boolean(-1) {
        out.extend(original);
    } else if let (LuaType::String | LuaType::Number, Some(text)) =
        (frame.kind(-1), frame.bytes(-1))
    {
        out.extend(text);
    } else {
        let mut text = b"invalid replacement value (a ".to_vec();
        text.extend(frame.type_name(-1));
        text.push(b')');
        return Err(Raise::Text(text));
    }
    frame.pop(1);
    Ok(())
}

/// Appends a replacement string with its `%0` to `%9` filled in.
fn expand(
    template: &[u8],
    source: &[u8],
    matcher: &Matcher<'_>,
    (from, to): (usize, usize),
    out: &mut Vec<u8>,
) -> Result<(), Raise> {
    let mut rest = template.iter();
    while let Some(byte) = rest.next() {
        if out.len() > MAX_TEXT_BYTES {
            return Err(Raise::Abort(Abort::Memory));
        }
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        match rest.next() {
            Some(b'%') => out.push(b'%'),
            Some(b'0') => out.extend(source.within(from..to)),
            Some(digit @ b'1'..=b'9') => {
                let index = usize::from(digit - b'1');
                match matcher.capture(index, from, to) {
                    Ok(Capture::Text(from, to)) => out.extend(source.within(from..to)),
                    Ok(Capture::Position(at)) => out.extend((at + 1).to_string().into_bytes()),
                    Err(error) => return Err(raise(error)),
                }
            }
            _ => return Err(Raise::text("invalid use of '%' in replacement string")),
        }
    }
    Ok(())
}

/// `string.rep(s, n[, sep])`
fn rep(frame: &mut Frame<'_>) -> Result<usize, Raise> {
    let text = frame.check_bytes(1)?;
    let count = frame.check_integer(2)?;
    let separator = if frame.is_absent(3) {
        &[][..]
    } else {
        frame.check_bytes(3)?
    };
    let each = text.len() + separator.len();
    let Some(count) = usize::try_from(count)
        .ok()
        .filter(|count| *count > 0 && each > 0)
    else {
        frame.push_bytes(b"");
        return Ok(1);
    };
    let Some(total) = each.checked_mul(count).filter(|total| *total < MAX_STRING) else {
        return Err(Raise::text("resulting string too large"));
    };
    if total > MAX_TEXT_BYTES {
        return Err(Raise::Abort(Abort::Memory));
    }
    frame.reserve(total.saturating_mul(2))?;
    frame.spend(total / 2)?;
    let mut out = [text, separator].concat().repeat(count);
    out.truncate(total - separator.len());
    frame.push_bytes(&out);
    Ok(1)
}
