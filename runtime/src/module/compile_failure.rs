//! Why a chunk was not accepted, in the shape that clients read.

/// Longest message of an error with a position, bytes.
const MAX_MESSAGE: usize = 1_023;
/// Longest message of an error without a position, bytes.
const MAX_LINE: usize = 256;
/// Longest file field: a chunk name as Lua shows it has at most 60 bytes, a faked one may have any length.
const MAX_FILE: usize = 127;

/// A chunk that did not compile, or whose main body failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileFailure {
    /// Chunk name as Lua shows it; empty when the error has no position in the chunk.
    pub file: Vec<u8>,
    /// Line in the chunk; 0 when the error has no position in it.
    pub line: u32,
    /// What Lua says, without the position.
    pub message: Vec<u8>,
}

impl CompileFailure {
    /// Takes apart a Lua error value. `text` is none when the value is neither string nor number.
    #[must_use]
    pub fn of_error_value(text: Option<&[u8]>) -> Self {
        let Some(text) = text else {
            return Self::without_position(b"(Null error message returned by lua)");
        };
        Self::with_position(text).unwrap_or_else(|| Self::without_position(text))
    }

    /// A failure that has no place in the chunk.
    #[must_use]
    pub fn without_position(text: &[u8]) -> Self {
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Self {
            file: Vec::new(),
            line: 0,
            message: cut(line, MAX_LINE),
        }
    }

    /// Reads `[string "F"]:N: M`. None when the text has another form, or a file name that would break the answer.
    fn with_position(text: &[u8]) -> Option<Self> {
        if !text.starts_with(b"[") {
            return None;
        }
        let (_, rest) = split_once(text, b"\"")?;
        let (file, rest) = split_once(rest, b"\"")?;
        let rest = match rest.strip_prefix(b"]:") {
            Some(rest) => rest,
            // The name holds a quote: the position follows the last part of the name.
            None => split_once(rest, b"]:")?.1,
        };
        let (line, message) = split_once(rest, b": ")?;
        let line = std::str::from_utf8(line).ok()?.parse::<u32>().ok()?;
        if file.iter().any(|byte| matches!(byte, b';' | b'\n' | b'\t')) {
            return None;
        }
        Some(Self {
            file: cut(file, MAX_FILE),
            line,
            message: cut(message, MAX_MESSAGE),
        })
    }
}

fn cut(text: &[u8], max: usize) -> Vec<u8> {
    text.get(..max).unwrap_or(text).to_vec()
}

fn split_once<'t>(text: &'t [u8], separator: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = text
        .windows(separator.len())
        .position(|window| window == separator)?;
    Some((text.get(..at)?, text.get(at + separator.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_values_are_taken_apart() {
        let long = "e".repeat(2_000);
        let flood = format!("[\"{}\":1:x", "A".repeat(5_000));
        let digits = format!("[string \"a.lua\"]:{}: x", "9".repeat(5_000));
        let fake = format!("[string \"{}\"]:3: x", "B".repeat(5_000));
        let positioned = format!("[string \"a.lua\"]:7: {long}");
        let cases: &[(Option<&str>, &str, u32, &str)] = &[
            (
                Some("[string \"b.lua\"]:1: unexpected symbol near '='"),
                "b.lua",
                1,
                "unexpected symbol near '='",
            ),
            (
                Some("[string \"b.lua\"]:1: first\nsecond"),
                "b.lua",
                1,
                "first\nsecond",
            ),
            (Some("[string \"b.lua\"]:2: a: b: c"), "b.lua", 2, "a: b: c"),
            (Some("[string \"b.lua\"]:1: "), "b.lua", 1, ""),
            (Some("[string \"names]b.lua\"]:1: x"), "names]b.lua", 1, "x"),
            (Some("[string \"names\"q.lua\"]:4: x"), "names", 4, "x"),
            (Some("boom"), "", 0, "boom"),
            (Some("first\nsecond"), "", 0, "first"),
            (Some(""), "", 0, ""),
            (Some(&long), "", 0, &long[..256]),
            (Some(&positioned), "a.lua", 7, &long[..1_023]),
            (Some("say \"x\":7: hi"), "", 0, "say \"x\":7: hi"),
            (Some("[not a position"), "", 0, "[not a position"),
            (
                Some("[string \"a;b\"]:1: x"),
                "",
                0,
                "[string \"a;b\"]:1: x",
            ),
            (Some(&flood), "", 0, &flood[..256]),
            (Some(&digits), "", 0, &digits[..256]),
            (Some(&fake), &fake[9..9 + 127], 3, "x"),
            (None, "", 0, "(Null error message returned by lua)"),
        ];
        for (text, file, line, message) in cases {
            let failure = CompileFailure::of_error_value(text.map(str::as_bytes));
            let expected = CompileFailure {
                file: file.as_bytes().to_vec(),
                line: *line,
                message: message.as_bytes().to_vec(),
            };
            assert_eq!(failure, expected, "{text:?}");
        }
    }
}
