//! All things of a kind in one file, in the format of the real server with two more keys, `era` and `node`, which may be missing.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

use super::super::kind::CatalogueKind;
use super::super::version::Version;
use super::error::{StoreError, io_error};
use super::files;
use super::stored::StoredItem;
use super::work::DiskWork;

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

/// All that a node knows at one moment, on its way to disk beside the changes that follow.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) kind: &'static CatalogueKind,
    pub(super) version: (i64, u64),
    pub(super) items: Vec<StoredItem>,
    pub(super) metadata_directory: PathBuf,
    /// Copies that were written since the last snapshot, and their directory.
    pub(super) copies: Vec<PathBuf>,
    pub(super) user_path: PathBuf,
    pub(super) work: Arc<DiskWork>,
}

impl Snapshot {
    /// Syncs what it stands on and writes it, not yet in its place. Blocks for as long as the disk takes.
    pub(crate) fn write(&self) -> Result<(), StoreError> {
        if !self.copies.is_empty() {
            files::sync_files(&self.work, &self.user_path, &self.copies)?;
        }
        let path = self
            .metadata_directory
            .join(self.kind.hidden(files::TEMPORARY_SNAPSHOT));
        let text = render(self.kind, self.version, &self.items);
        files::write_synced(&self.work, &path, &text).map_err(io_error("write", &path))
    }

    /// Syncs its name, once it is [in its place](super::Store::put_in_place).
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        files::sync_directory(&self.work, &self.metadata_directory)
    }
}

/// Its element of the array.
fn element(kind: &CatalogueKind, item: &StoredItem) -> String {
    let Version {
        era,
        generation,
        time_ms,
        node,
    } = item.summary().version;
    let value = item
        .content()
        .map(|content| (kind.value)(item.name(), content));
    let mut more = String::new();
    for (key, value) in [("era", format!("{era}")), ("node", format!("{node:X}"))] {
        if value != "0" {
            more.push_str(&format!(",\n      \"{key}\": \"{value}\""));
        }
    }
    format!(
        "   {{\n      \"key\": {},\n      \"value\": {},\n      \"generation\": {generation},\n      \
         \"timestamp\": {time_ms}{more}\n   }}",
        serde_json::Value::from(&**item.name()),
        serde_json::Value::from(value),
    )
}

pub(super) fn render(kind: &CatalogueKind, version: (i64, u64), items: &[StoredItem]) -> Vec<u8> {
    let contents = items.iter().filter_map(StoredItem::content);
    let size: usize = contents.map(str::len).sum();
    let mut text = Vec::with_capacity(size + 256 * items.len() + 64);
    let (cluster_key, changes) = version;
    text.extend_from_slice(
        format!("[\n   [\n      {cluster_key},\n      {changes}\n   ]").as_bytes(),
    );
    for item in items {
        text.extend_from_slice(b",\n");
        text.extend_from_slice(element(kind, item).as_bytes());
    }
    text.extend_from_slice(b"\n]\n");
    text
}

/// Reads the registry. The leading version is optional, as old releases wrote none.
pub(super) fn parse(
    kind: &CatalogueKind,
    text: &[u8],
) -> Result<((i64, u64), Vec<StoredItem>), String> {
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
        if !(kind.accepts)(&row.key) {
            return Err(format!("element {index}: bad name `{}`", row.key));
        }
        if !seen.insert(row.key.clone()) {
            return Err(format!("element {index}: `{}` occurs twice", row.key));
        }
        let content = match row.value {
            None => None,
            Some(value) => Some((kind.content)(&row.key, &value)?),
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
        items.push(StoredItem::new(kind, &row.key, version, content.as_deref()));
    }
    Ok((version, items))
}

#[cfg(test)]
mod tests {
    use super::super::super::kind::PLAIN;
    use super::*;

    fn item(name: &str, content: Option<&str>) -> StoredItem {
        let version = Version {
            era: 19,
            generation: 3,
            time_ms: 533_099_034_374,
            node: 0xBB9_0000_0000_0000,
        };
        StoredItem::new(&PLAIN, name, version, content)
    }

    #[test]
    fn registry_is_read_as_written() {
        let items = vec![item("ñ \"q\".lua", Some("LS0g")), item("gone.lua", None)];
        let text = render(&PLAIN, (-5, 7), &items);
        assert_eq!(parse(&PLAIN, &text), Ok(((-5, 7), items)));
    }
}
