//! What a query asks of the values of an index.

use std::collections::BTreeSet;

use data::geo::{Fineness, GeoError, Geometry};
use data::record::StoredRecord;
use data::work::{Meter, TimeIsUp};
use protocol::particle::{ParticleRef, ParticleType};

use super::definition::{Definition, Item, ValueType, of_bytes, of_integer};

/// Longest string or blob that may be asked for, bytes, exclusive.
const MAX_ASKED_BYTES: usize = 2048;

/// Longest GeoJSON that may be asked for, bytes, exclusive.
const MAX_GEO_BYTES: usize = 1 << 20;

/// How finely a region that is asked for is covered.
const FINENESS: Fineness = Fineness {
    min_level: 1,
    max_level: 20,
    max_cells: 12,
    level_step: 1,
};

/// Why a range is none. The answer is 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PredicateError {
    /// A type that no index has.
    #[error("indexes have no values of this type")]
    Type,
    /// Bounds of other sizes than the type's, or upside down.
    #[error("the bounds are not those of the type")]
    Bounds,
    /// No geometry.
    #[error(transparent)]
    Geo(#[from] GeoError),
}

/// What a query asks of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Not less than the first, not more than the second.
    Between(i64, i64),
    /// These bytes, of a string or blob.
    Equal(ValueType, Box<[u8]>),
    /// A place inside of this region, or a region around this place.
    Geo(Box<Geometry>, Vec<(u64, u64)>),
}

impl Predicate {
    /// Reads the bounds of a query.
    ///
    /// # Errors
    /// They do not fit the type. The time is up.
    pub fn of(
        kind: ParticleType,
        begin: &[u8],
        end: &[u8],
        work: &mut dyn Meter,
    ) -> Result<Self, PredicateError> {
        match ValueType::of_particle(kind).ok_or(PredicateError::Type)? {
            ValueType::Numeric if begin.len() == 8 && end.len() == 8 => {
                let bound = |data| ParticleRef::new(kind, data).as_integer();
                match (bound(begin), bound(end)) {
                    (Some(begin), Some(end)) if begin <= end => Ok(Self::Between(begin, end)),
                    _ => Err(PredicateError::Bounds),
                }
            }
            kind @ (ValueType::String | ValueType::Blob) if begin.len() < MAX_ASKED_BYTES => {
                Ok(Self::Equal(kind, begin.into()))
            }
            ValueType::Geo2dSphere if (1..MAX_GEO_BYTES).contains(&begin.len()) => {
                let geometry = Geometry::parse(begin, work)?;
                let ranges = ranges(&geometry, work)?;
                Ok(Self::Geo(Box::new(geometry), ranges))
            }
            _ => Err(PredicateError::Bounds),
        }
    }

    /// The type of values that it asks for.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Between(..) => ValueType::Numeric,
            Self::Equal(kind, _) => *kind,
            Self::Geo(..) => ValueType::Geo2dSphere,
        }
    }

    /// Whether it asks for places in a region.
    #[must_use]
    pub fn is_region(&self) -> bool {
        matches!(self, Self::Geo(asked, _) if matches!(**asked, Geometry::Region(_)))
    }

    /// Where entries that may fit are: first and last value of each range, in order and apart from each other.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        match self {
            Self::Between(begin, end) => vec![(of_integer(*begin), of_integer(*end))],
            Self::Equal(_, bytes) => {
                let value = of_bytes(bytes);
                vec![(value, value)]
            }
            Self::Geo(_, ranges) => ranges.clone(),
        }
    }

    /// Whether a record has a value that fits.
    ///
    /// # Errors
    /// The time is up.
    pub fn holds(
        &self,
        definition: &Definition,
        record: &StoredRecord,
        work: &mut dyn Meter,
    ) -> Result<bool, TimeIsUp> {
        let mut holds = Ok(false);
        definition.each(record, &mut |item| {
            if holds == Ok(false) {
                holds = self.fits(item, work);
            }
        });
        holds
    }

    fn fits(&self, item: Item<'_>, work: &mut dyn Meter) -> Result<bool, TimeIsUp> {
        Ok(match (self, item) {
            (Self::Between(begin, end), Item::Integer(number)) => (*begin..=*end).contains(&number),
            (Self::Equal(_, asked), Item::Bytes(bytes)) => **asked == *bytes,
            (Self::Geo(asked, _), Item::Geo(text, _)) => match Geometry::parse(text, work) {
                Ok(geometry) => geometry.matches(asked, work)?,
                Err(GeoError::Time(time)) => return Err(time),
                Err(_) => false,
            },
            _ => false,
        })
    }
}

/// A region: the cells inside its covering. A place: its cell and those around it.
fn ranges(geometry: &Geometry, work: &mut dyn Meter) -> Result<Vec<(u64, u64)>, GeoError> {
    match geometry {
        Geometry::Point(place) => {
            let cells: BTreeSet<_> = (1..=data::geo::MAX_LEVEL)
                .map(|level| place.cell.parent(level).0)
                .collect();
            Ok(cells.into_iter().map(|cell| (cell, cell)).collect())
        }
        Geometry::Region(_) => {
            let cells = geometry.cover(FINENESS, work)?;
            let mut ranges: Vec<_> = cells.iter().map(|cell| cell.range()).collect();
            ranges.sort_unstable();
            Ok(ranges)
        }
    }
}
