//! Definitions on disk: `<work-directory>/smd/sindex.smd`, a JSON array, replaced as a whole.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data::bin::BinName;
use data::expression::Expression;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::{Definition, IndexContext, IndexType, Slot, Source, ValueType};

/// Why definitions are not read or written.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The system refused.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried, a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not what this server writes. It is not overwritten.
    #[error("`{path}` is damaged: {reason}; repair it, or move it away to start without indexes")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A definition in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    namespace: String,
    name: String,
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

/// A definition that was read.
#[derive(Clone, Debug)]
pub(super) enum Read {
    Values(Definition),
    Set(Box<str>),
}

/// The file of a node's definitions, or none. Whoever changes definitions holds it for so long.
#[derive(Debug, Default)]
pub struct SavedDefinitions {
    path: Option<PathBuf>,
    changing: Mutex<()>,
}

impl SavedDefinitions {
    /// The file below this work directory.
    #[must_use]
    pub fn below(work_directory: &str) -> Self {
        Self {
            path: Some(PathBuf::from(work_directory).join("smd/sindex.smd")),
            changing: Mutex::default(),
        }
    }

    /// Keeps others from changing definitions.
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    /// Gives every definition of the file: namespace, and what defines it there.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged. A file that is not there is an empty one.
    pub fn load<'n>(
        &self,
        namespace: impl Fn(&str) -> Option<&'n super::Indexes>,
    ) -> Result<Vec<(String, Arc<super::Index>)>, SavedError> {
        let Some(path) = &self.path else {
            return Ok(Vec::new());
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                let path = path.clone();
                let action = "read";
                return Err(SavedError::Io {
                    action,
                    path,
                    source,
                });
            }
        };
        let damaged = |reason: String| SavedError::Damaged {
            path: path.clone(),
            reason,
        };
        let rows: Vec<Row> =
            serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        let mut made = Vec::new();
        for row in rows {
            let name = &row.name;
            let read = row.read();
            let read = read.ok_or_else(|| damaged(format!("the definition of `{name}`")))?;
            let Some(indexes) = namespace(&row.namespace) else {
                tracing::warn!(target: "sindex", "index `{name}` is of namespace `{}`, which is not configured", row.namespace);
                continue;
            };
            let change = match read {
                Read::Values(definition) => indexes.define(name, definition),
                Read::Set(set) => indexes.define_set(name, &set),
            };
            match change {
                Ok(super::Change::Made(index)) => made.push((row.namespace, index)),
                Ok(_) => {}
                Err(error) => return Err(damaged(format!("index `{name}`: {error}"))),
            }
        }
        Ok(made)
    }

    /// Writes all definitions.
    ///
    /// # Errors
    /// The file cannot be written; the old one is still there.
    pub fn save<'n>(
        &self,
        all: impl Iterator<Item = (&'n str, Vec<Slot>)>,
    ) -> Result<(), SavedError> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let rows: Vec<Row> = all
            .flat_map(|(namespace, slots)| {
                slots.into_iter().map(move |slot| Row::of(namespace, &slot))
            })
            .collect();
        let failed = |source: io::Error| SavedError::Io {
            action: "write",
            path: path.clone(),
            source,
        };
        let text = serde_json::to_string_pretty(&rows).map_err(|error| failed(error.into()))?;
        let directory = path.parent().unwrap_or(path);
        std::fs::create_dir_all(directory).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

impl Row {
    fn of(namespace: &str, slot: &Slot) -> Self {
        let empty = Self {
            namespace: namespace.to_owned(),
            name: String::new(),
            set: None,
            bin: None,
            context: None,
            exp: None,
            index_type: "set".to_owned(),
            value_type: None,
        };
        match slot {
            Slot::Set(index) => Self {
                name: index.name.to_string(),
                set: Some(index.set.to_string()),
                ..empty
            },
            Slot::Values(index) => {
                let definition = &index.definition;
                let (bin, context, exp) = match &definition.source {
                    Source::Bin { name, context } => (
                        Some(STANDARD.encode(name.as_bytes())),
                        context.as_ref().map(|path| STANDARD.encode(path.given())),
                        None,
                    ),
                    Source::Expression { bytes, .. } => (None, None, Some(STANDARD.encode(bytes))),
                };
                Self {
                    name: index.name().to_string(),
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

    fn read(&self) -> Option<Read> {
        if self.index_type == "set" {
            return Some(Read::Set(self.set.as_deref()?.into()));
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
                let expression = Arc::new(Expression::parse(&bytes).ok()?);
                Source::Expression {
                    bytes: bytes.into(),
                    expression,
                }
            }
            _ => return None,
        };
        Some(Read::Values(Definition {
            set: self.set.as_deref().map(Into::into),
            source,
            index_type: IndexType::of_name(&self.index_type)?,
            value_type: ValueType::of_name(self.value_type.as_deref()?)?,
        }))
    }
}
