//! Why a function was not found, for those who look for it.

use strsim::damerau_levenshtein;

use crate::guard::globals::Ground;
use crate::machine::frame::{Frame, LuaType};

/// Names that differ in more letters are not taken for each other.
const MOST_DIFFERENCES: usize = 3;

/// Globals that are looked at.
const MOST_GLOBALS: usize = 4096;

/// The one of `names` that was likely meant by `word`.
#[must_use]
pub fn likely<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One of four letters, two of five: `nope` is no misspelt `type`.
    let most = MOST_DIFFERENCES.min((word.chars().count() + 1) / 3);
    names
        .into_iter()
        .map(|name| (damerau_levenshtein(word, name), name))
        .filter(|(differences, name)| *differences <= most || name.eq_ignore_ascii_case(word))
        .min()
        .map(|(_, name)| name)
}

/// Why the module has no such function to call, and which one was likely meant.
pub(crate) fn explain(
    frame: &mut Frame<'_>,
    globals: Option<Ground>,
    module: &str,
    function: &[u8],
) -> String {
    let top = frame.top();
    let shown = String::from_utf8_lossy(function).into_owned();
    let mut text = format!("module `{module}` has no global function `{shown}`");
    frame.push_loaded();
    let loaded = frame.top();
    frame.push_bytes(module.as_bytes());
    frame.raw_get(loaded);
    let returned = frame.top();
    if frame.kind(returned) == LuaType::Table {
        frame.push_bytes(function);
        frame.raw_get(returned);
        text += match frame.kind(-1) {
            LuaType::Function => {
                ": it returns a table that has it, and only global functions can be called"
            }
            _ => ": it returns a table, and only global functions can be called",
        };
    }
    frame.set_top(top);
    let names = functions(frame, globals);
    if let Some(meant) = likely(&shown, names.iter().map(String::as_str)) {
        text += &format!("; did you mean `{meant}`?");
    }
    text
}

/// Names of the global functions.
fn functions(frame: &mut Frame<'_>, globals: Option<Ground>) -> Vec<String> {
    let top = frame.top();
    push_table(frame, globals);
    let table = frame.top();
    let mut names = Vec::new();
    frame.push_nil();
    let mut looked_at = 0;
    while looked_at < MOST_GLOBALS && frame.next(table) {
        looked_at += 1;
        if frame.kind(-2) == LuaType::String
            && frame.kind(-1) == LuaType::Function
            && let Some(name) = frame.bytes(-2)
        {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
        frame.pop(1);
    }
    frame.set_top(top);
    names
}

fn push_table(frame: &mut Frame<'_>, globals: Option<Ground>) {
    // SAFETY: the registry holds the table that `globals::seal` made.
    unsafe {
        let table = globals.map_or(mlua::ffi::LUA_RIDX_GLOBALS, |ground| ground.table.into());
        mlua::ffi::lua_rawgeti(frame.raw(), mlua::ffi::LUA_REGISTRYINDEX, table);
    }
}

#[cfg(test)]
mod tests {
    use super::likely;

    #[test]
    fn what_was_meant_differs_little() {
        for (word, names, meant) in [
            ("ad", &["add", "sub"][..], Some("add")),
            ("Counter", &["counter"], Some("counter")),
            ("increment", &["incremnet", "decrement"], Some("incremnet")),
            ("x", &["add"], None),
            ("charge", &["total"], None),
        ] {
            assert_eq!(likely(word, names.iter().copied()), meant, "{word}");
        }
    }
}
