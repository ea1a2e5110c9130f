//! All modules in one file, in the format of the real server with two more keys, `era` and `node`, which may be missing.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Deserialize;

use super::super::module::metadata_value;
use super::super::names;
use super::super::version::Version;
use super::error::{StoreError, io_error};
use super::files;
use super::stored::StoredItem;

/// One element of the array after the version.
#[derive(Deserialize)]
struct Row {
    key: String,
    value: Option<String>,
    generation: u64,
    timestamp: u64,
    /// Where the change was made, hexadecimal. A real server writes none.
    node: Option<String>,
    /// See [`Version::era`]. A real server writes none.
    era: Option<String>,
}

/// The text inside [`Row::value`].
#[derive(Deserialize)]
struct Value {
    content64: String,
    name: String,
}
/// All that a node knows at one moment, on its way to disk beside the changes that follow.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) version: (i64, u64),
    pub(super) items: Vec<StoredItem>,
    pub(super) metadata_directory: PathBuf,
    /// Copies that were written since the last snapshot, and their directory.
    pub(super) copies: Vec<PathBuf>,
    pub(super) user_path: PathBuf,
}

impl Snapshot {
    /// Syncs what it stands on and writes it, not yet in its place. Blocks for as long as the disk takes.
    pub(crate) fn write(&self) -> Result<(), StoreError> {
        if !self.copies.is_empty() {
            files::sync_files(&self.user_path, &self.copies)?;
        }
        let path = self.metadata_directory.join(files::TEMPORARY_SNAPSHOT);
        files::write_synced(&path, &render(self.version, &self.items))
            .map_err(io_error("write", &path))
    }

    /// Syncs its name, once it is [in its place](super::Store::put_in_place).
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        files::sync_directory(&self.metadata_directory)
    }
}

/// Its element of the array.
fn element(item: &StoredItem) -> String {
    let Version {
        era,
        generation,
        time_ms,
        node,
    } = item.summary().version;
    let value = item
        .content64()
        .map(|content64| metadata_value(item.file_name(), content64));
    let mut more = String::new();
    for (key, value) in [("era", format!("{era}")), ("node", format!("{node:X}"))] {
        if value != "0" {
            more.push_str(&format!(",\n      \"{key}\": \"{value}\""));
        }
    }
    format!(
        "   {{\n      \"key\": {},\n      \"value\": {},\n      \"generation\": {generation},\n      \
         \"timestamp\": {time_ms}{more}\n   }}",
        serde_json::Value::from(&**item.file_name()),
        serde_json::Value::from(value),
    )
}

pub(super) fn render(version: (i64, u64), items: &[StoredItem]) -> Vec<u8> {
    let contents = items.iter().filter_map(StoredItem::content64);
    let size: usize = contents.map(str::len).sum();
    let mut text = Vec::with_capacity(size + 256 * items.len() + 64);
    let (cluster_key, changes) = version;
    text.extend_from_slice(
        format!("[\n   [\n      {cluster_key},\n      {changes}\n   ]").as_bytes(),
    );
    for item in items {
        text.extend_from_slice(b",\n");
        text.extend_from_slice(element(item).as_bytes());
    }
    text.extend_from_slice(b"\n]\n");
    text
}

/// Reads the registry. The leading version is optional, as old releases wrote none.
pub(super) fn parse(text: &[u8]) -> Result<((i64, u64), Vec<StoredItem>), String> {
    let elements: Vec<serde_json::Value> =
        serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let mut version = (0, 1);
    let mut items = Vec::with_capacity(elements.len());
    let mut seen = HashSet::new();
    for (index, element) in elements.into_iter().enumerate() {
        if index == 0 && element.is_array() {
            version =
                serde_json::from_value(element).map_err(|error| format!("version: {error}"))?;
            continue;
        }
        let row: Row =
            serde_json::from_value(element).map_err(|error| format!("element {index}: {error}"))?;
        if !names::stays_inside(row.key.as_bytes()) {
            return Err(format!("element {index}: bad file name `{}`", row.key));
        }
        if !seen.insert(row.key.clone()) {
            return Err(format!("element {index}: `{}` occurs twice", row.key));
        }
        let content64 = match row.value {
            None => None,
            Some(value) => {
                let value: Value = serde_json::from_str(&value)
                    .map_err(|error| format!("value of `{}`: {error}", row.key))?;
                if value.name != row.key {
                    return Err(format!("value of `{}` names `{}`", row.key, value.name));
                }
                Some(value.content64)
            }
        };
        let number = |key: &str, text: Option<&str>, radix| {
            u64::from_str_radix(text.unwrap_or("0"), radix)
                .map_err(|error| format!("{key} of `{}`: {error}", row.key))
        };
        let version = Version {
            era: number("era", row.era.as_deref(), 10)?,
            generation: row.generation,
            time_ms: row.timestamp,
            node: number("node", row.node.as_deref(), 16)?,
        };
        items.push(StoredItem::new(&row.key, version, content64.as_deref()));
    }
    Ok((version, items))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(file_name: &str, content64: Option<&str>) -> StoredItem {
        let version = Version {
            era: 19,
            generation: 3,
            time_ms: 533_099_034_374,
            node: 0xBB9_0000_0000_0000,
        };
        StoredItem::new(file_name, version, content64)
    }

    #[test]
    fn registry_is_read_as_written() {
        let items = vec![item("ñ \"q\".lua", Some("LS0g")), item("gone.lua", None)];
        let text = render((-5, 7), &items);
        assert_eq!(parse(&text), Ok(((-5, 7), items)));
    }

    #[test]
    fn registry_of_the_real_server_is_read() {
        let text = br#"[ [ -123, 4 ], { "key": "\u00fc.lua",
            "value": "{\"content64\": \"LS0g\", \"type\": \"LUA\", \"name\": \"\u00fc.lua\"}",
            "generation": 1, "timestamp": 533099034374 },
            { "key": "b.lua", "value": null, "generation": 2, "timestamp": 533099034375 } ]"#;
        let (version, items) = parse(text).unwrap();
        assert_eq!(version, (-123, 4));
        assert_eq!(items[0].content64(), Some("LS0g"));
        assert_eq!(&**items[0].file_name(), "ü.lua");
        assert_eq!(items[0].summary().version.to_string(), "0,1,533099034374,0");
        assert_eq!(items[1].content64(), None);
    }
}
