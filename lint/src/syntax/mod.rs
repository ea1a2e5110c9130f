//! Lua 5.4 read into a tree.
//!
//! The parser is our own. The crate `full_moon` was tried first: its version 3.0 refuses `;;` and a `break` that is not the last
//! statement of its block, both legal since Lua 5.2, takes only UTF-8, and needs more than 40 KB of stack for each level that
//! statements nest. This one takes every byte that Lua takes, in time that grows with the length of the file, and refuses what
//! nests deeper than [`MOST_LEVELS`] or chains longer than [`MOST_HEIGHT`] before anything recurses that far.

mod expressions;
mod lexer;
pub(crate) mod number;
mod parser;
mod text;
pub(crate) mod tree;

use tree::{Span, Tree};

/// How deep statements and expressions nest at most. Lua itself refuses more than 200.
pub(crate) const MOST_LEVELS: u32 = 220;

/// How many operators, calls and indexes stand in one expression at most, each being an operand of the next.
pub(crate) const MOST_HEIGHT: u32 = 1_000;

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// A sign that Lua does not have.
    Character,
    /// A malformed number.
    Number,
    /// An escape sequence that Lua does not have.
    Escape,
    /// A string or comment that does not end.
    Unfinished,
    /// Something else is expected here.
    Unexpected,
    /// It nests deeper than this can read.
    Deep,
}

/// Why and where a text cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where.
    pub(crate) span: Span,
    /// Why.
    pub(crate) why: Why,
}

/// Reads a module.
///
/// # Errors
/// It is not Lua 5.4, or nests too deep. Rules that are not of grammar (labels, attributes, numbers of locals) are not checked.
pub(crate) fn parse(source: &[u8]) -> Result<Tree<'_>, Refusal> {
    parser::Parser::new(source)?.module()
}

#[cfg(test)]
mod tests {
    use super::{MOST_HEIGHT, Why, parse};

    #[test]
    fn all_of_lua_5_4_is_read() {
        for source in [
            "",
            ";;; f();; g()",
            "while true do break; x() end",
            "while a do if b then break end break x = 1 end",
            "local a <const>, b <close>, c = 1, nil, ...",
            "local c = a // 2 ~ 3 | 4 & ~5 << 1 >> 2",
            "goto done; do local x end ::done:: ::again::",
            "local function f(...) return end",
            "function a.b.c:d(x, ...) return self, ... end",
            "f'x' f{1} f[[y]] a.b:c'd':e{...}",
            "local t = {1,2;3,[4]=5,x=6,f = function() end,}",
            "if not (a<b) ~= c then elseif d then else return end",
            "for i = 1, 10, 2 do end for k, v in pairs(t) do end",
            "repeat local x = 1 until x",
            "(f or g)(1) ; (a).b = 2",
            "return -2 ^ -3 .. 4 .. 5, #t, 0x.1p4",
            "--[==[ a\n]==] x = 1 -- b",
            "a, b.c, d[1] = 1",
            "x = '\u{e4}' .. \"\\xff\"",
        ] {
            if let Err(refusal) = parse(source.as_bytes()) {
                panic!("{source}: {refusal:?}");
            }
        }
        assert!(parse(b"x = '\xff\xfe' -- \xff").is_ok());
    }

    #[test]
    fn what_is_not_lua_is_refused() {
        for (source, why) in [
            ("x = = 1", Why::Unexpected),
            ("function (", Why::Unexpected),
            ("x", Why::Unexpected),
            ("f() = 1", Why::Unexpected),
            ("a.b", Why::Unexpected),
            ("return 1 f()", Why::Unexpected),
            ("if x != 1 then end", Why::Character),
            ("x = 12abc", Why::Number),
            ("x = '\\q'", Why::Escape),
            ("x = [[", Why::Unfinished),
            ("local a <static", Why::Unexpected),
        ] {
            assert_eq!(
                parse(source.as_bytes())
                    .map(|_| ())
                    .map_err(|refusal| refusal.why),
                Err(why),
                "{source}"
            );
        }
    }

    #[test]
    fn what_is_too_deep_is_refused_before_the_stack_ends() {
        let deep = 1_000_000;
        for source in [
            format!("return {}1{}", "(".repeat(deep), ")".repeat(deep)),
            format!("return {}1", "- ".repeat(deep)),
            format!("return 1{}", " .. 1".repeat(deep)),
            format!("return 1{}", "+1".repeat(deep)),
            format!("return f{}", "()".repeat(deep)),
            format!("return f{}", ".a".repeat(deep)),
            format!("return {}{}", "{".repeat(deep), "}".repeat(deep)),
            "do ".repeat(deep),
            // Each function within a chain of calls, and a chain in each.
            format!(
                "return f{}",
                format!("{}(function() return f", "()".repeat(500)).repeat(150)
            ),
            "local function f() ".repeat(deep),
            "if a then else ".repeat(deep),
        ] {
            let refused = parse(source.as_bytes())
                .map(|_| ())
                .map_err(|refusal| refusal.why);
            assert_eq!(
                refused,
                Err(Why::Deep),
                "{}",
                source.get(..20).unwrap_or_default()
            );
        }
        let chain = format!("return 1{}", "+1".repeat(MOST_HEIGHT as usize - 2));
        assert!(parse(chain.as_bytes()).is_ok());
        let branches = format!("if a then {} end", "elseif b then ".repeat(100_000));
        assert!(parse(branches.as_bytes()).is_ok());
    }
}
