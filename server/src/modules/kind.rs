//! Modules as a kind of named things.

use std::fmt::Write as _;

use serde::Deserialize;

use super::content::{MAX_SOURCE, decode_content};
use super::names;
use crate::catalogue::{CatalogueKind, Item, ItemError};

/// Modules, by file name.
pub static MODULES: CatalogueKind = CatalogueKind {
    name: "module",
    plural: "modules",
    target: "udf",
    registry: "UDF.smd",
    log: "UDF.log",
    hidden: "",
    accepts: |name| names::stays_inside(name.as_bytes()),
    value: metadata_value,
    content,
};

/// The metadata text that stands for a module: what the hash covers and the metadata file holds.
fn metadata_value(file_name: &str, content64: &str) -> String {
    let mut text = String::with_capacity(content64.len() + file_name.len() + 48);
    text.push_str("{\"content64\": ");
    push_json_string(&mut text, content64);
    text.push_str(", \"type\": \"LUA\", \"name\": ");
    push_json_string(&mut text, file_name);
    text.push('}');
    text
}

/// A JSON string as the real server writes it: only quote, backslash and control characters are escaped.
fn push_json_string(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{0}'..='\u{1f}' => {
                // Writing to memory cannot fail.
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

/// The text that stands for a module.
#[derive(Deserialize)]
struct Value {
    content64: String,
    name: String,
}

fn content(name: &str, value: &str) -> Result<String, String> {
    let value: Value =
        serde_json::from_str(value).map_err(|error| format!("value of `{name}`: {error}"))?;
    if value.name != name {
        return Err(format!("value of `{name}` names `{}`", value.name));
    }
    Ok(value.content64)
}

/// Checks an item that somebody else made; the source of the module unless it is a removed one.
///
/// # Errors
/// See [`ItemError`].
pub(crate) fn checked(item: &Item) -> Result<Option<Vec<u8>>, ItemError> {
    let content = item.content.as_deref();
    if content.is_some_and(|content| content.len() / 4 * 3 >= MAX_SOURCE) {
        return Err(ItemError::Content);
    }
    item.check(&MODULES)?;
    content.map(source_of).transpose()
}

/// The source that a content encodes.
///
/// # Errors
/// It is empty or no base64.
pub(crate) fn source_of(content: &str) -> Result<Vec<u8>, ItemError> {
    decode_content(content.as_bytes()).ok_or(ItemError::Content)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::catalogue::version::Version;
    use crate::catalogue::{Keeper, StoreError};

    #[test]
    fn items_are_checked_before_they_are_believed() {
        let new = |content| Item::new(&MODULES, "a.lua", Version::following(None, 5, 1), content);
        let (good, removed) = (new(Some("LS0g")), new(None));
        let changed = |change: fn(&mut Item)| {
            let mut item = good.clone();
            change(&mut item);
            checked(&item)
        };
        assert_eq!(checked(&good), Ok(Some(b"-- ".to_vec())));
        assert_eq!(checked(&removed), Ok(None));
        assert_eq!(
            changed(|item| item.content = Some("LS0h".into())),
            Err(ItemError::Hash)
        );
        assert_eq!(changed(|item| item.content = None), Err(ItemError::Hash));
        assert_eq!(
            changed(|item| item.name = "b.lua".into()),
            Err(ItemError::Hash)
        );
        assert_eq!(
            changed(|item| item.name = "../a.lua".into()),
            Err(ItemError::Name)
        );
        for content in ["", "!", &"AAAA".repeat(MAX_SOURCE / 3 + 1)] {
            assert_eq!(
                checked(&new(Some(content))),
                Err(ItemError::Content),
                "{} characters",
                content.len()
            );
        }
        let json = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Item>(&json).unwrap(), good);
    }

    #[test]
    fn hash_covers_the_metadata_text() {
        // As a real server had it (tests/golden/info.jsonl).
        let content64 = "ZnVuY3Rpb24gZihyLC4uLikgcmV0dXJuIDEgZW5k";
        assert_eq!(
            MODULES.hash("a.lua", content64).to_string(),
            "e8b445d39b0a9f2ff1c5c34d8e54d979353c25b4"
        );
        assert_eq!(
            metadata_value("q\"\\\t\u{1}ü.lua", ""),
            "{\"content64\": \"\", \"type\": \"LUA\", \"name\": \"q\\\"\\\\\\t\\u0001ü.lua\"}"
        );
    }

    fn opened(text: &str) -> Result<Keeper, StoreError> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("smd")).unwrap();
        fs::write(directory.path().join("smd/UDF.smd"), text).unwrap();
        Keeper::open(&MODULES, directory.path(), None, 1, false).map(|(keeper, _)| keeper)
    }

    #[test]
    fn registry_of_the_real_server_is_read() {
        let keeper = opened(
            r#"[ [ -123, 4 ], { "key": "\u00fc.lua",
            "value": "{\"content64\": \"LS0g\", \"type\": \"LUA\", \"name\": \"\u00fc.lua\"}",
            "generation": 1, "timestamp": 533099034374 },
            { "key": "b.lua", "value": null, "generation": 2, "timestamp": 533099034375 } ]"#,
        );
        let keeper = keeper.unwrap();
        let [first, second] = keeper.items() else {
            panic!("{:?}", keeper.items());
        };
        assert_eq!(first.content(), Some("LS0g"));
        assert_eq!(&**first.name(), "ü.lua");
        assert_eq!(first.summary().version.to_string(), "0,1,533099034374,0");
        assert_eq!(second.content(), None);
    }

    #[test]
    fn values_that_are_no_modules_are_damage() {
        for value in [r#"{}"#, r#"{\"content64\":\"LS0g\",\"name\":\"b.lua\"}"#] {
            let text = format!(
                r#"[[0,1],{{"key":"a.lua","value":"{value}","generation":1,"timestamp":1}}]"#
            );
            assert!(
                matches!(opened(&text), Err(StoreError::Damaged { .. })),
                "{value}"
            );
        }
    }
}
