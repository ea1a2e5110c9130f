//! One row of a result.

use protocol::value::Value;

/// What is told of a record besides its bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The digest in base64; not of records that were asked for by key.
    pub digest: Option<String>,
    /// The set; the same.
    pub set: Option<String>,
    /// Seconds to live; -1 for ever.
    pub ttl: i64,
    /// Generation.
    pub generation: u32,
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The record's key, where it is known.
    pub key: Option<Value>,
    /// Bins, or the columns of an info answer; without a value where the answer has none.
    pub bins: Vec<(String, Option<Value>)>,
    /// Printed behind the bins, if wanted.
    pub metadata: Option<Metadata>,
    /// Namespace and set of a record, as a statement has them, where that is asked for.
    pub place: Option<String>,
    /// Only this is printed of the record, with its key.
    pub digest: Option<String>,
}

impl Row {
    /// Columns with their values, in their order.
    pub(super) fn columns(&self) -> Vec<(String, Option<&Value>)> {
        let key = self.key.iter().map(|key| ("PK".to_owned(), Some(key)));
        let bins = self
            .bins
            .iter()
            .map(|(name, value)| (name.clone(), value.as_ref()));
        key.chain(bins).collect()
    }

    /// This row with what is told besides as further bins, as tables and raw output show it.
    pub(super) fn flattened(mut self) -> Self {
        let text = |text: String| Some(Value::String(text.into_bytes()));
        if let Some(digest) = self.digest.take() {
            self.bins = vec![("{digest}".to_owned(), text(digest))];
        } else if let Some(metadata) = self.metadata.take() {
            if let Some(digest) = metadata.digest {
                self.bins.push(("{edigest}".to_owned(), text(digest)));
            }
            if let Some(set) = metadata.set {
                self.bins.push(("{set}".to_owned(), text(set)));
            }
            let generation = i64::from(metadata.generation);
            self.bins
                .push(("{ttl}".to_owned(), Some(Value::Integer(metadata.ttl))));
            self.bins
                .push(("{gen}".to_owned(), Some(Value::Integer(generation))));
        }
        self
    }
}
