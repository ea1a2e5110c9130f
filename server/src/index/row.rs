//! Definitions as named things: what stands in `sindex.smd`, and travels between nodes.
//!
//! The name of such a thing says what is indexed: namespace and a hash of the definition. Its content has the name of the
//! index. So a definition has one name on all nodes, and another name for it is a change like any other.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::bin::BinName;
use data::expression::Expression;
use data::filter;
use data::work::UnitsLeft;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};

use super::IndexContext;
use super::definition::{Definition, IndexType, Indexed, Source, ValueType};
use crate::catalogue::version::ContentHash;
use crate::catalogue::{CatalogueKind, Item, ItemError};

/// Longest name of a thing, bytes: a namespace and 40 digits.
const MAX_KEY: usize = 31 + 1 + 40;

/// Longest content, bytes: an expression and names.
const MAX_CONTENT: usize = 64 << 10;

/// Definitions of secondary indexes.
pub static INDEXES: CatalogueKind = CatalogueKind {
    name: "index",
    plural: "indexes",
    target: "sindex",
    registry: "sindex.smd",
    log: "sindex.log",
    hidden: "-sindex",
    accepts: |name| name.len() <= MAX_KEY && name.contains('|'),
    value: |_, content| content.to_owned(),
    content: |name, value| match parse(name, value) {
        Some(_) => Ok(value.to_owned()),
        None => Err(format!("value of `{name}` is no definition of it")),
    },
};

/// What is indexed, and its name, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bin: Option<String>,
    /// base64
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    /// base64
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exp: Option<String>,
    /// `set` for a set index.
    index_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_type: Option<String>,
}

impl Row {
    pub(super) fn of(namespace: &str, name: &str, indexed: &Indexed) -> Self {
        let empty = Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            set: None,
            bin: None,
            context: None,
            exp: None,
            index_type: "set".to_owned(),
            value_type: None,
        };
        match indexed {
            Indexed::Set(set) => Self {
                set: Some(set.to_string()),
                ..empty
            },
            Indexed::Values(definition) => {
                let (bin, context, exp) = match &definition.source {
                    Source::Bin { name, context } => (
                        Some(STANDARD.encode(name.as_bytes())),
                        context.as_ref().map(|path| STANDARD.encode(path.given())),
                        None,
                    ),
                    Source::Expression { bytes, .. } => (None, None, Some(STANDARD.encode(bytes))),
                };
                Self {
                    set: definition.set.as_deref().map(str::to_owned),
                    bin,
                    context,
                    exp,
                    index_type: definition.index_type.name().to_owned(),
                    value_type: Some(definition.value_type.name().to_owned()),
                    ..empty
                }
            }
        }
    }

    /// The content of the thing.
    pub(super) fn content(&self) -> String {
        // A struct of texts can always be said as JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn read(&self) -> Option<Indexed> {
        if self.index_type == "set" {
            return Some(Indexed::Set(self.set.as_deref()?.into()));
        }
        let decode = |text: &String| STANDARD.decode(text).ok();
        let source = match (&self.bin, &self.exp) {
            (Some(bin), None) => Source::Bin {
                name: BinName::new(&decode(bin)?)?,
                context: match &self.context {
                    None => None,
                    Some(context) => Some(IndexContext::parse(&decode(context)?).ok()?),
                },
            },
            (None, Some(exp)) => {
                let bytes = decode(exp)?;
                let expression =
                    Arc::new(Expression::parse(&bytes, &mut UnitsLeft(filter::MAX_UNITS)).ok()?);
                Source::Expression {
                    bytes: bytes.into(),
                    expression,
                }
            }
            _ => return None,
        };
        Some(Indexed::Values(Definition {
            set: self.set.as_deref().map(Into::into),
            source,
            index_type: IndexType::of_name(&self.index_type)?,
            value_type: ValueType::of_name(self.value_type.as_deref()?)?,
        }))
    }
}

/// The name of the thing that says what is indexed.
pub(super) fn key_of(namespace: &str, indexed: &Indexed) -> String {
    let mut hash = Sha1::new();
    let mut part = |bytes: Option<&[u8]>| {
        match bytes {
            None => hash.update([0]),
            Some(bytes) => {
                hash.update([1]);
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
        };
    };
    match indexed {
        Indexed::Set(set) => {
            part(Some(b"set"));
            part(Some(set.as_bytes()));
        }
        Indexed::Values(definition) => {
            part(Some(definition.index_type.name().as_bytes()));
            part(Some(definition.value_type.name().as_bytes()));
            part(definition.set.as_deref().map(str::as_bytes));
            match &definition.source {
                Source::Bin { name, context } => {
                    part(Some(b"bin"));
                    part(Some(name.as_bytes()));
                    part(context.as_ref().map(IndexContext::path));
                }
                Source::Expression { bytes, .. } => {
                    part(Some(b"expression"));
                    part(Some(bytes));
                }
            }
        }
    }
    format!("{namespace}|{}", ContentHash(hash.finalize().into()))
}

/// What a content says, if it belongs to this name.
pub(super) fn parse(key: &str, content: &str) -> Option<(Row, Indexed)> {
    let row: Row = serde_json::from_str(content).ok()?;
    let indexed = row.read()?;
    (key_of(&row.namespace, &indexed) == key).then_some((row, indexed))
}

/// Checks an item that somebody else made; none is a removed one.
pub(super) fn checked(item: &Item) -> Result<Option<(Row, Indexed)>, ItemError> {
    let content = item.content.as_deref();
    if content.is_some_and(|content| content.len() > MAX_CONTENT) {
        return Err(ItemError::Content);
    }
    item.check(&INDEXES)?;
    let row = content.map(|content| parse(&item.name, content).ok_or(ItemError::Content));
    row.transpose()
}
