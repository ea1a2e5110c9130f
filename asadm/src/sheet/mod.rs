//! Sheets: tables as values, not yet text.

/// A table: title, declared columns, records.
#[derive(Debug, Clone, Default)]
pub struct Sheet {
    /// The title without time.
    pub title: String,
}
