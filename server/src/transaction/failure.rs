//! Failed calls of UDFs: one line each in the log, and the cause in the reply where the configuration wants it there.

use protocol::result_code::ResultCode;
use runtime::call::{Cause, EXECUTION_ERROR};

use crate::log::peer;

/// Bytes of an error text that the log takes.
const MAX_TEXT_BYTES: usize = 2048;

/// Texts of replies that do not say why: their cause may follow. What comes before is common to record and stream UDFs.
const BARE_TEXTS: [&str; 3] = [
    EXECUTION_ERROR,
    "function not found",
    "UDF Execution Timeout",
];

/// Names and arguments of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) package: &'a [u8],
    pub(crate) function: &'a [u8],
    pub(crate) arglist: &'a [u8],
}

/// Writes the line of a call that failed, or that has something to tell.
pub(crate) fn log(names: &Names<'_>, result: ResultCode, text: &[u8], cause: &Cause) {
    let shown = |text: &[u8]| {
        let text = text.get(..MAX_TEXT_BYTES).unwrap_or(text);
        String::from_utf8_lossy(text).into_owned()
    };
    let place = cause.place.clone();
    let place = place
        .or_else(|| position(text))
        .unwrap_or_else(|| "-".to_owned());
    let mut what = shown(text);
    if let Some(more) = &cause.text {
        if !what.is_empty() {
            what += ": ";
        }
        what += more;
    }
    tracing::warn!(
        target: "udf",
        "lua-error: module={} function={} at={place} result={} peer={}: {what}",
        shown(names.package),
        shown(names.function),
        result.0,
        peer::shown(),
    );
}

/// The `file:line` that a text begins with, as Lua puts it there.
fn position(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let end = text.find(".lua:")? + ".lua:".len();
    let digits = text.get(end..)?.bytes().take_while(u8::is_ascii_digit);
    let count = digits.count();
    let begin = text
        .get(..end)?
        .rfind([' ', '\n', '\t'])
        .map_or(0, |at| at + 1);
    (count > 0).then(|| text.get(begin..end + count).map(str::to_owned))?
}

/// The text of the reply: with `detail` one that says nothing is followed by its cause.
pub(crate) fn reply_text(text: Vec<u8>, cause: &Cause, detail: bool) -> Vec<u8> {
    let bare = BARE_TEXTS
        .iter()
        .any(|bare| text.ends_with(bare.as_bytes()));
    if !detail || !bare {
        return text;
    }
    let why = match (&cause.text, &cause.place) {
        (Some(text), _) => text.clone(),
        (None, Some(place)) => format!("at {place}"),
        (None, None) => return text,
    };
    [text.as_slice(), b": ", why.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_follows_a_text_that_says_nothing() {
        let cause = |place: Option<&str>, text: Option<&str>| Cause {
            place: place.map(str::to_owned),
            text: text.map(str::to_owned),
        };
        for (text, cause, shown) in [
            (
                "function not found",
                cause(None, Some("no `a`")),
                "function not found: no `a`",
            ),
            (
                "UDF: Execution Error 2 : function not found",
                cause(None, Some("no `a`")),
                "UDF: Execution Error 2 : function not found: no `a`",
            ),
            (
                "UDF Execution Timeout",
                cause(Some("/m/a.lua:3"), None),
                "UDF Execution Timeout: at /m/a.lua:3",
            ),
            (
                "UDF: Execution Error 1",
                cause(None, None),
                "UDF: Execution Error 1",
            ),
            (
                "/m/a.lua:3: no",
                cause(Some("/m/a.lua:3"), None),
                "/m/a.lua:3: no",
            ),
        ] {
            let reply = |detail| reply_text(text.as_bytes().to_vec(), &cause, detail);
            assert_eq!(reply(true), shown.as_bytes(), "{text}");
            assert_eq!(reply(false), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn positions_are_found_in_texts() {
        for (text, found) in [
            ("/m/a.lua:3: no", Some("/m/a.lua:3")),
            (
                "UDF: Execution Error 2 : /m/a.lua:12: no",
                Some("/m/a.lua:12"),
            ),
            (
                "module 'x' not found:\n\tno registered module 'x.lua'",
                None,
            ),
            ("no", None),
        ] {
            assert_eq!(position(text.as_bytes()).as_deref(), found, "{text}");
        }
    }
}
