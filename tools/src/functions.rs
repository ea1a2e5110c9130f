//! The functions of a module, as far as its text tells: those that are defined at the outermost level and are not local,
//! which are the ones that can be called from outside.

use protocol::bounds::Within as _;

/// A function that can be called from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its parameters as they are written, the record or stream among them.
    pub parameters: Vec<String>,
    /// The line of its name, from 1.
    pub line: usize,
}

/// A part of a Lua text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LuaToken<'s> {
    /// A name or a keyword.
    Word(&'s str),
    /// One sign, or a number or string, which do not matter here.
    Other(char),
}

/// Reads the tokens of a text; comments are passed over.
struct LuaTokens<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> LuaTokens<'s> {
    fn rest(&self) -> &'s str {
        self.text.within(self.at..)
    }

    /// Passes over `[[ … ]]` and `[=[ … ]=]` if one begins here.
    fn long_bracket(&mut self) -> bool {
        let rest = self.rest();
        let Some(inner) = rest.strip_prefix('[') else {
            return false;
        };
        let level = inner.len() - inner.trim_start_matches('=').len();
        let signs = "=".repeat(level);
        let Some(body) = inner.get(level..).and_then(|body| body.strip_prefix('[')) else {
            return false;
        };
        let close = format!("]{signs}]");
        let end = body.find(&close).map_or(body.len(), |at| at + close.len());
        self.at = self.text.len() - body.len() + end;
        true
    }

    /// Passes over a string in these quotes, which begins here.
    fn string(&mut self, quote: char) {
        let mut escaped = false;
        for (at, character) in self.rest().char_indices().skip(1) {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                // A string that is not closed ends with its line.
                end if end == quote || end == '\n' => {
                    self.at += at + end.len_utf8();
                    return;
                }
                _ => {}
            }
        }
        self.at = self.text.len();
    }
}

impl<'s> Iterator for LuaTokens<'s> {
    type Item = (LuaToken<'s>, usize);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.rest();
            let first = rest.chars().next()?;
            let start = self.at;
            if first.is_whitespace() {
                self.at += first.len_utf8();
            } else if rest.starts_with("--") {
                self.at += 2;
                if !self.long_bracket() {
                    let line = self.rest();
                    self.at += line.find('\n').unwrap_or(line.len());
                }
            } else if first.is_ascii_alphabetic() || first == '_' {
                let end = rest
                    .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                    .unwrap_or(rest.len());
                self.at += end;
                return Some((LuaToken::Word(rest.within(..end)), start));
            } else if first.is_ascii_digit() {
                // `1e5` and `0x1f` hold no words.
                let end = rest
                    .find(|character: char| !character.is_ascii_alphanumeric() && character != '.')
                    .unwrap_or(rest.len());
                self.at += end;
                return Some((LuaToken::Other('0'), start));
            } else if matches!(first, '\'' | '"') {
                self.string(first);
                return Some((LuaToken::Other('"'), start));
            } else if self.long_bracket() {
                return Some((LuaToken::Other('"'), start));
            } else {
                self.at += first.len_utf8();
                return Some((LuaToken::Other(first), start));
            }
        }
    }
}

/// The functions of a module, in the order of its text. A text that is no Lua gives what looks like some.
#[must_use]
pub fn of_module(source: &str) -> Vec<Function> {
    let tokens: Vec<(LuaToken<'_>, usize)> = LuaTokens {
        text: source,
        at: 0,
    }
    .collect();
    let token = |at: usize| tokens.get(at).map(|(token, _)| *token);
    let mut functions: Vec<Function> = Vec::new();
    let mut depth = 0_usize;
    // Braces and parentheses: a function in a table or an argument is none of the module's.
    let mut brackets = 0_usize;
    for (at, (found, start)) in tokens.iter().enumerate() {
        match found {
            LuaToken::Other('(' | '{') => brackets += 1,
            LuaToken::Other(')' | '}') => brackets = brackets.saturating_sub(1),
            LuaToken::Word("function") => {
                let before = |back: usize| at.checked_sub(back).and_then(token);
                let name = match (token(at + 1), before(1)) {
                    (Some(LuaToken::Word(name)), before)
                        if before != Some(LuaToken::Word("local")) =>
                    {
                        // `function t.f()` belongs to a table.
                        (token(at + 2) == Some(LuaToken::Other('('))).then_some((name, at + 2))
                    }
                    (Some(LuaToken::Other('(')), Some(LuaToken::Other('='))) => match before(2) {
                        Some(LuaToken::Word(name))
                            if before(3) != Some(LuaToken::Word("local")) =>
                        {
                            let is_member = matches!(before(3), Some(LuaToken::Other('.' | ':')));
                            (!is_member).then_some((name, at + 1))
                        }
                        _ => None,
                    },
                    _ => None,
                };
                if let (0, 0, Some((name, open))) = (depth, brackets, name) {
                    let parameters = tokens
                        .iter()
                        .skip(open)
                        .take_while(|(token, _)| *token != LuaToken::Other(')'))
                        .filter_map(|(token, _)| match token {
                            LuaToken::Word(name) => Some((*name).to_owned()),
                            _ => None,
                        });
                    let function = Function {
                        name: name.to_owned(),
                        parameters: parameters.collect(),
                        line: source.within(..*start).matches('\n').count() + 1,
                    };
                    // A later definition takes the place of an earlier one.
                    functions.retain(|known| known.name != function.name);
                    functions.push(function);
                }
                depth += 1;
            }
            LuaToken::Word("if" | "do" | "repeat") => depth += 1,
            LuaToken::Word("end" | "until") => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        of_module(source)
            .iter()
            .map(|function| {
                let parameters = function.parameters.join(", ");
                format!("{}({parameters}):{}", function.name, function.line)
            })
            .collect()
    }

    #[test]
    fn functions_that_can_be_called_are_found() {
        for (source, expected) in [
            (
                "function add(rec, bin, by)\n  return 1\nend\n",
                &["add(rec, bin, by):1"][..],
            ),
            (
                "local function hidden() end\nfunction seen(rec) end",
                &["seen(rec):2"],
            ),
            (
                "add = function(rec) end\nlocal x = function() end",
                &["add(rec):1"],
            ),
            (
                "local t = {}\nfunction t.f() end\nfunction t:g() end\nt.h = function() end",
                &[],
            ),
            (
                "local t = { f = function(a) end }\ncall(function() end)\nfunction g() end",
                &["g():3"],
            ),
            (
                "function a(s)\n  if x then\n    while true do break end\n    for i = 1, 2 do end\n    repeat x() until y\n  elseif z then end\n  local function inner() end\n  helper = function() end\nend\nfunction b() end",
                &["a(s):1", "b():10"],
            ),
            (
                "-- function no() end\n--[[ function no() end ]]\n--[==[ ]] function no() end ]==]\nfunction yes() end",
                &["yes():4"],
            ),
            (
                "local s = 'function no() end'\nlocal l = [[\nfunction no() end]]\nlocal e = \"a\\\"\"\nfunction yes() end",
                &["yes():5"],
            ),
            ("function f(a) end\nfunction f(b) end", &["f(b):2"]),
            ("function f(a, ...) end", &["f(a):1"]),
            ("local n = 0x1f + 1e5\nfunction f() end", &["f():2"]),
            ("this is no lua (", &[]),
            ("function", &[]),
            ("'open", &[]),
            ("[[open", &[]),
        ] {
            assert_eq!(shown(source), expected, "{source}");
        }
    }
}
