//! The order in which modules are registered: those that others require come first.
//!
//! A source is read as tokens, not as a grammar, so that one that does not compile still has its place: the server is who
//! tells what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use protocol::bounds::Within as _;

use super::content::Module;

/// What a source requires, as names of modules without `.lua`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requires {
    /// While it is loaded.
    pub(crate) at_load: BTreeSet<String>,
    /// Inside of functions, or through `pcall`: it can be registered without.
    pub(crate) later: BTreeSet<String>,
}

/// A token that matters here.
#[derive(Debug, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s [u8]),
    Text(Vec<u8>),
    Mark(u8),
}

struct Tokens<'s> {
    rest: &'s [u8],
}

impl<'s> Tokens<'s> {
    /// Takes the bytes up to what is behind the first `end`, or all that are left.
    fn skip_past(&mut self, end: &[u8]) -> &'s [u8] {
        let at = self.rest.windows(end.len()).position(|part| part == end);
        let (taken, rest) = match at {
            Some(at) => (self.rest.within(..at), self.rest.within(at + end.len()..)),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        taken
    }

    /// The content of `[[…]]`, `[=[…]=]` if one begins here.
    fn long_bracket(&mut self) -> Option<&'s [u8]> {
        let inner = self.rest.strip_prefix(b"[")?;
        let level = inner.iter().take_while(|byte| **byte == b'=').count();
        let content = inner.get(level..)?.strip_prefix(b"[")?;
        let end = [&b"]"[..], &vec![b'='; level], b"]"].concat();
        self.rest = content;
        Some(self.skip_past(&end))
    }

    fn quoted(&mut self, quote: u8) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some((byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            match byte {
                b'\\' => {
                    // Names of modules have no escapes in them: what follows only must not end the text.
                    text.extend(self.rest.first());
                    // The source may end here.
                    self.rest = self.rest.get(1..).unwrap_or_default();
                }
                b'\n' => break,
                byte if *byte == quote => break,
                byte => text.push(*byte),
            }
        }
        text
    }
}

impl<'s> Iterator for Tokens<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            let rest = self.rest.trim_ascii_start();
            self.rest = rest;
            let first = *rest.first()?;
            if let Some(comment) = rest.strip_prefix(b"--") {
                self.rest = comment;
                if self.long_bracket().is_none() {
                    self.skip_past(b"\n");
                }
                continue;
            }
            if let Some(content) = self.long_bracket() {
                return Some(Token::Text(content.to_vec()));
            }
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let length = rest.iter().take_while(|byte| is_word(byte)).count();
            if length > 0 {
                let (word, after) = rest.split_at(length);
                self.rest = after;
                return Some(Token::Word(word));
            }
            self.rest = rest.within(1..);
            return Some(match first {
                b'"' | b'\'' => Token::Text(self.quoted(first)),
                mark => Token::Mark(mark),
            });
        }
    }
}

/// What a source requires by names that stand in it.
pub(crate) fn requires(source: &[u8]) -> Requires {
    let mut found = Requires::default();
    // A block that is open: whether it is the body of a function.
    let mut blocks: Vec<bool> = Vec::new();
    let mut before = None;
    let mut tokens = Tokens { rest: source }.peekable();
    while let Some(token) = tokens.next() {
        match &token {
            Token::Word(b"function") => blocks.push(true),
            Token::Word(b"if" | b"do" | b"repeat") => blocks.push(false),
            Token::Word(b"end" | b"until") => {
                blocks.pop();
            }
            Token::Word(b"require") if !matches!(before, Some(Token::Mark(b'.' | b':'))) => {
                // `require "x"`, `require("x")`, `pcall(require, "x")`
                let mark = tokens.next_if(|next| matches!(next, Token::Mark(b'(' | b',')));
                let named = tokens.next_if(|next| matches!(next, Token::Text(_)));
                if let Some(Token::Text(name)) = named
                    && let Ok(name) = String::from_utf8(name)
                {
                    let later = mark == Some(Token::Mark(b',')) || blocks.contains(&true);
                    match later {
                        true => found.later.insert(name),
                        false => found.at_load.insert(name),
                    };
                }
            }
            _ => {}
        }
        before = Some(token);
    }
    found.later.retain(|name| !found.at_load.contains(name));
    found
}

/// Modules in an order in which each can be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// Required ones first; otherwise by name.
    pub(crate) modules: Vec<Module>,
    /// What is required at load and is not among them: who, and the file name of what.
    pub(crate) absent: Vec<(String, String)>,
}

/// Puts modules into order.
///
/// # Errors
/// Modules that require each other in a circle while they are loaded, in that order: none can be the first.
pub(crate) fn ordered(modules: Vec<Module>) -> Result<Ordered, Vec<String>> {
    let names: BTreeSet<String> = modules.iter().map(|module| module.name.clone()).collect();
    let mut at_load = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut absent = Vec::new();
    for module in &modules {
        let required = requires(&module.source);
        let files = |names: &BTreeSet<String>| -> BTreeSet<String> {
            names.iter().map(|name| format!("{name}.lua")).collect()
        };
        let (first, later) = (files(&required.at_load), files(&required.later));
        for file in first.difference(&names) {
            absent.push((module.name.clone(), file.clone()));
        }
        let known = |files: BTreeSet<String>| -> BTreeSet<String> {
            let known = files.into_iter().filter(|file| names.contains(file));
            known.filter(|file| *file != module.name).collect()
        };
        all.insert(
            module.name.clone(),
            known(first.union(&later).cloned().collect()),
        );
        // A module that requires itself while it is loaded is a circle too.
        let first: BTreeSet<String> = first.intersection(&names).cloned().collect();
        at_load.insert(module.name.clone(), first);
    }
    absent.sort();
    // Calls work from the first moment on if what functions require is there as well.
    let order = sorted(at_load).map(|at_load| sorted(all).unwrap_or(at_load))?;
    let mut modules: BTreeMap<String, Module> = modules
        .into_iter()
        .map(|module| (module.name.clone(), module))
        .collect();
    let modules = order.iter().filter_map(|name| modules.remove(name));
    Ok(Ordered {
        modules: modules.collect(),
        absent,
    })
}

/// Names so that each comes behind what it requires, or a circle.
fn sorted(mut required: BTreeMap<String, BTreeSet<String>>) -> Result<Vec<String>, Vec<String>> {
    let mut order = Vec::with_capacity(required.len());
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, needs) in &required {
        for need in needs {
            users.entry(need.clone()).or_default().push(name.clone());
        }
    }
    let free = required.iter().filter(|(_, needs)| needs.is_empty());
    let mut ready: BTreeSet<String> = free.map(|(name, _)| name.clone()).collect();
    while let Some(name) = ready.pop_first() {
        required.remove(&name);
        for user in users.remove(&name).unwrap_or_default() {
            if let Some(needs) = required.get_mut(&user) {
                needs.remove(&name);
                if needs.is_empty() {
                    ready.insert(user);
                }
            }
        }
        order.push(name);
    }
    if required.is_empty() {
        return Ok(order);
    }
    Err(circle(&required))
}

/// A circle in what is left, where every name needs another one that is left.
fn circle(required: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    let mut name = required.keys().next().cloned();
    while let Some(current) = name {
        if let Some(at) = path.iter().position(|passed| *passed == current) {
            path.drain(..at);
            path.push(current);
            break;
        }
        name = required
            .get(&current)
            .and_then(|needs| needs.iter().find(|need| required.contains_key(*need)))
            .cloned();
        path.push(current);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(set: &BTreeSet<String>) -> String {
        set.iter().cloned().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn requires_are_found_where_lua_sees_them() {
        for (source, at_load, later) in [
            ("local a = require('a')", "a", ""),
            ("require \"a\" require 'b'", "a b", ""),
            ("require[[a]] require ( [==[b]==] )", "a b", ""),
            ("-- require('a')\nrequire('b')", "b", ""),
            ("--[[ require('a')\n]] require('b')", "b", ""),
            ("--[==[ ]] require('a') ]==] require('b')", "b", ""),
            ("x = \"require('a')\" y = [[require('b')]]", "", ""),
            ("x = 'it\\'s' require('a')", "a", ""),
            (
                "function f() return require('a') end require('b')",
                "b",
                "a",
            ),
            (
                "local f = function() if x then y() end require('a') end",
                "",
                "a",
            ),
            (
                "if x then require('a') end for i = 1, 2 do require('b') end",
                "a b",
                "",
            ),
            (
                "repeat require('a') until true function f() end require('b')",
                "a b",
                "",
            ),
            ("local ok, m = pcall(require, 'a')", "", "a"),
            ("t.require('a') t:require('b') my_require('c')", "", ""),
            ("require(name) require()", "", ""),
            ("require('a') function f() require('a') end", "a", ""),
            ("require('a", "a", ""),
            ("require", "", ""),
            ("--[[ never closed require('a')", "", ""),
            ("end end end require('a')", "a", ""),
            ("\u{feff}require('a') \0 require('b')", "a b", ""),
        ] {
            let found = requires(source.as_bytes());
            assert_eq!(
                (names(&found.at_load).as_str(), names(&found.later).as_str()),
                (at_load, later),
                "{source}"
            );
        }
    }

    fn order_of(modules: &[(&str, &str)]) -> Result<String, String> {
        let modules = modules
            .iter()
            .map(|(name, source)| Module::new(*name, source.as_bytes()));
        let names = |modules: Vec<Module>| {
            let names: Vec<_> = modules.into_iter().map(|module| module.name).collect();
            names.join(" ")
        };
        match ordered(modules.collect()) {
            Ok(ordered) => Ok(names(ordered.modules)),
            Err(circle) => Err(circle.join(" ")),
        }
    }

    #[test]
    fn what_is_required_comes_first() {
        for (modules, expected) in [
            (&[("b.lua", ""), ("a.lua", "")][..], Ok("a.lua b.lua")),
            (
                &[
                    ("a.lua", "require 'b'"),
                    ("b.lua", "require 'c'"),
                    ("c.lua", ""),
                ],
                Ok("c.lua b.lua a.lua"),
            ),
            // Only inside of functions: no circle while loading, b can be first.
            (
                &[
                    ("a.lua", "require 'b'"),
                    ("b.lua", "function f() require 'a' end"),
                ],
                Ok("b.lua a.lua"),
            ),
            (
                &[("a.lua", "function f() require 'b' end"), ("b.lua", "")],
                Ok("b.lua a.lua"),
            ),
            (
                &[
                    ("a.lua", "require 'b'"),
                    ("b.lua", "require 'c'"),
                    ("c.lua", "require 'b'"),
                    ("d.lua", ""),
                ],
                Err("b.lua c.lua b.lua"),
            ),
            (&[("a.lua", "require 'a'")], Err("a.lua a.lua")),
            (&[("a.lua", "function f() require 'a' end")], Ok("a.lua")),
            (&[("a.lua", "require 'nowhere'")], Ok("a.lua")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(order_of(modules), expected, "{modules:?}");
        }
        let one = vec![Module::new("a.lua", &b"require 'nowhere'"[..])];
        assert_eq!(
            ordered(one).unwrap().absent,
            [("a.lua".to_owned(), "nowhere.lua".to_owned())]
        );
    }
}
