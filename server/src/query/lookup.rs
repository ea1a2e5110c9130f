//! Queries by secondary index: which index, and what of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data::bin::BinName;
use data::expression::Expression;
use data::geo::GeoError;
use data::record::StoredRecord;
use data::work::Unmetered;
use protocol::message::FieldType;
use protocol::result_code::ResultCode;

use crate::index::{
    Entry, Index, IndexContext, IndexType, Predicate, PredicateError, Slot, Source, ValueType,
};
use crate::record::Namespace;
use crate::stats::NamespaceStats;
use crate::transaction::request::Request;
use crate::transaction::work::Work;

/// Longest name of an index.
const MAX_NAME: usize = 63;

/// How long the question whether a value fits may take where the query itself has no limit: a record is no larger than that
/// takes.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How a query says which index it wants.
#[derive(Clone, Debug)]
enum Which<'a> {
    Named(&'a [u8]),
    /// None where no index can have such a definition.
    Defined(Option<(Source, IndexType)>),
}

/// What the fields of a query say about an index. They are well-formed.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    which: Which<'a>,
    predicate: Predicate,
}

/// An index, and what a query wants of it.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) index: Arc<Index>,
    predicate: Predicate,
    ranges: Vec<(u64, u64)>,
}

/// The fields of a query that are about indexes; none when it asks for no range.
///
/// Errors: 4 for what is malformed.
pub(crate) fn asked<'a>(request: &Request<'a>) -> Result<Option<Asked<'a>>, ResultCode> {
    let malformed = ResultCode::PARAMETER;
    let fields = &request.fields;
    let Some(range) = fields.index_range().map_err(|_| malformed)? else {
        return Ok(None);
    };
    let name = fields.get(FieldType::INDEX_NAME);
    let expression = fields.get(FieldType::INDEX_EXPRESSION);
    let is_by_bin = name.is_none() && expression.is_none();
    let bin = BinName::new(range.bin).ok_or(malformed)?;
    if range.bin.is_empty() == is_by_bin {
        return Err(malformed);
    }
    let mut work = Work::until(request.deadline);
    let predicate = Predicate::of(range.kind, range.begin, range.end, &mut work);
    let predicate = predicate.map_err(|error| match error {
        PredicateError::Geo(GeoError::Time(time)) => time.into(),
        _ => malformed,
    })?;
    let index_type = match fields.get(FieldType::INDEX_TYPE) {
        None => Some(IndexType::Default),
        Some([number, ..]) => IndexType::of_number(*number),
        Some([]) => return Err(malformed),
    };
    if expression.is_some_and(<[u8]>::is_empty) {
        return Err(malformed);
    }
    let context = fields.get(FieldType::INDEX_CONTEXT);
    let context = context.map(|path| IndexContext::parse(path).map_err(|_| malformed));
    let context = context.transpose()?;
    let which = match (name, expression) {
        (Some(name), _) => Which::Named(name),
        (None, Some(bytes)) => Which::Defined(
            Expression::parse(bytes, &mut work)
                .ok()
                .map(|expression| Source::Expression {
                    bytes: bytes.into(),
                    expression: Arc::new(expression),
                })
                .zip(index_type),
        ),
        (None, None) => Which::Defined(Some(Source::Bin { name: bin, context }).zip(index_type)),
    };
    Ok(Some(Asked { which, predicate }))
}

/// The name of an index, which counts only with a range.
///
/// Errors: 4 for one that no index has, and one beside another way to say which index.
pub(crate) fn check_name(request: &Request<'_>) -> Result<(), ResultCode> {
    let fields = &request.fields;
    let Some(name) = fields.get(FieldType::INDEX_NAME) else {
        return Ok(());
    };
    let has_range = fields.has(FieldType::INDEX_RANGE);
    let twice = fields.has(FieldType::INDEX_EXPRESSION) || fields.has(FieldType::INDEX_CONTEXT);
    if name.is_empty() || name.len() > MAX_NAME || has_range && twice {
        return Err(ResultCode::PARAMETER);
    }
    Ok(())
}

impl Asked<'_> {
    /// Finds the index for a query of this set.
    ///
    /// Errors: 201 when there is none; 203 while it is built, and for one that has no values.
    pub(crate) fn find(
        self,
        namespace: &Namespace,
        set: Option<&str>,
    ) -> Result<Lookup, ResultCode> {
        let value_type = self.predicate.value_type();
        let index = match self.which {
            Which::Named(name) => {
                let name = std::str::from_utf8(name).ok();
                match name.and_then(|name| namespace.indexes.named(name)) {
                    Some(Slot::Values(index)) => Some(index),
                    Some(Slot::Set(_)) => return Err(ResultCode::SINDEX_NOT_READABLE),
                    None => None,
                }
            }
            Which::Defined(definition) => definition.and_then(|(source, index_type)| {
                namespace
                    .indexes
                    .defined(set, &source, index_type, value_type)
            }),
        };
        let index = index.ok_or(ResultCode::SINDEX_NOT_FOUND)?;
        if !index.is_ready() {
            return Err(ResultCode::SINDEX_NOT_READABLE);
        }
        let own_set = index.definition.set.as_deref();
        let is_other_set = set.is_some() && own_set.is_some() && set != own_set;
        let fits = !is_other_set && index.definition.value_type == value_type;
        let ranges = match fits {
            true => self.predicate.ranges(),
            false => Vec::new(),
        };
        Ok(Lookup {
            index,
            predicate: self.predicate,
            ranges,
        })
    }
}

impl Lookup {
    /// What the index has of some partitions of a sheet at one moment, see [`Index::find`]: of each record the first entry.
    /// Whether it fits still has to be asked.
    pub(crate) fn entries(&self, sheet: u16, wanted: u64) -> Vec<Entry> {
        let entries = self.index.find(sheet, wanted, &self.ranges);
        self.keep_first(entries, |_| 0)
    }

    /// The same for a client. As from a real server, a record with several places in a region comes once for each cell of
    /// the region's covering that has one of them.
    pub(crate) fn entries_for_client(&self, sheet: u16, wanted: u64) -> Vec<Entry> {
        if !self.predicate.is_region() {
            return self.entries(sheet, wanted);
        }
        let entries = self.index.find(sheet, wanted, &self.ranges);
        self.keep_first(entries, |value| {
            self.ranges.partition_point(|(_, last)| *last < value)
        })
    }

    /// Keeps of the entries of each record the first in each part of the values.
    fn keep_first(&self, mut entries: Vec<Entry>, part: impl Fn(u64) -> usize) -> Vec<Entry> {
        if !self.index.definition.is_single() {
            let mut seen = HashSet::with_capacity(entries.len());
            entries.retain(|entry| seen.insert((part(entry.value), entry.handle)));
        }
        entries
    }

    /// Type of the values.
    pub(crate) fn value_type(&self) -> ValueType {
        self.index.definition.value_type
    }

    /// Counts a query that asks for places or regions, and the cells in which it looks.
    pub(crate) fn count_query(&self, stats: &NamespaceStats) {
        if self.index.definition.value_type == ValueType::Geo2dSphere {
            stats.geo_region_query_reqs.inc();
            stats.geo_region_query_cells.add(self.ranges.len() as u64);
        }
    }

    /// Counts an entry that such a query found, and whether its record fits.
    pub(crate) fn count(&self, stats: &NamespaceStats, fits: bool) {
        if self.index.definition.value_type == ValueType::Geo2dSphere {
            stats.geo_region_query_points.inc();
            if !fits {
                stats.geo_region_query_falsepos.inc();
            }
        }
    }

    /// Whether a record has a value that fits, as far as that is known at `deadline`. Long work steps aside.
    pub(crate) fn holds(&self, record: &StoredRecord, deadline: Option<Instant>) -> bool {
        let definition = &self.index.definition;
        let held = match definition.value_type {
            ValueType::Geo2dSphere => {
                let deadline = deadline.unwrap_or_else(|| Instant::now() + LONGEST_LOOK);
                let mut work = Work::until(deadline);
                self.predicate.holds(definition, record, &mut work)
            }
            // To compare is no work.
            ValueType::Numeric | ValueType::String | ValueType::Blob => {
                let mut work = Unmetered::default();
                self.predicate.holds(definition, record, &mut work)
            }
        };
        // The query ends where it looks at the time next.
        held.unwrap_or(false)
    }
}
