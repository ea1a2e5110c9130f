//! What an index is of: whose values, of which bin or expression, of which type.

use std::sync::Arc;

use data::bin::BinName;
use data::expression::{self, Answer, Context, Expression};
use data::operation::Limits;
use data::operation::collection::{self, Part};
use data::record::StoredRecord;
use data::work::UnitsLeft;
use protocol::msgpack::{Reader, Token};
use protocol::particle::{ParticleRef, ParticleType};
use sha1::{Digest as _, Sha1};

use super::{IndexContext, Values};
use data::geo::{Fineness, Geometry};

/// Longest string or blob of a bin that is indexed, bytes.
const MAX_INDEXED_BYTES: usize = 2048;

/// Smaller records are looked into within a millisecond or so, bytes.
pub(super) const LONG_RECORD: u64 = 4096;

/// Most work for the value of one record, and most bytes of a value on the way.
const MAX_UNITS: u64 = 100_000_000;
const LIMITS: Limits = Limits {
    max_particle_bytes: 8 << 20,
};

/// Type of the values in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// Integers.
    Numeric,
    /// Strings.
    String,
    /// Blobs without a language.
    Blob,
    /// Places and regions.
    Geo2dSphere,
}

impl ValueType {
    const ALL: [(&'static str, Self); 4] = [
        ("numeric", Self::Numeric),
        ("string", Self::String),
        ("blob", Self::Blob),
        ("geo2dsphere", Self::Geo2dSphere),
    ];

    /// The type of this name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(known, kind)| known.eq_ignore_ascii_case(name).then_some(kind))
    }

    /// The type of values that such a particle is.
    #[must_use]
    pub fn of_particle(kind: ParticleType) -> Option<Self> {
        Some(match kind {
            ParticleType::INTEGER => Self::Numeric,
            ParticleType::STRING => Self::String,
            ParticleType::BLOB => Self::Blob,
            ParticleType::GEOJSON => Self::Geo2dSphere,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(name, kind)| (kind == self).then_some(name))
            .unwrap_or_default()
    }

    /// A value as clients see it in rows: that of an entry.
    #[must_use]
    pub fn shown(self, value: u64) -> i64 {
        match self {
            Self::Geo2dSphere => value.cast_signed(),
            Self::Numeric | Self::String | Self::Blob => (value ^ SIGN).cast_signed(),
        }
    }

    /// The reverse of [`Self::shown`].
    #[must_use]
    pub fn of_shown(self, shown: i64) -> u64 {
        match self {
            Self::Geo2dSphere => shown.cast_unsigned(),
            Self::Numeric | Self::String | Self::Blob => of_integer(shown),
        }
    }
}

/// Which part of the source has entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexType {
    /// The value itself.
    Default,
    /// Each element of a list.
    List,
    /// Each key of a map.
    MapKeys,
    /// Each value of a map.
    MapValues,
}

impl IndexType {
    const ALL: [(&'static str, Self); 4] = [
        ("default", Self::Default),
        ("list", Self::List),
        ("mapkeys", Self::MapKeys),
        ("mapvalues", Self::MapValues),
    ];

    /// The type of this name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(known, kind)| known.eq_ignore_ascii_case(name).then_some(kind))
    }

    /// The type of this number on the wire.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(_, kind)| *kind)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(name, kind)| (kind == self).then_some(name))
            .unwrap_or_default()
    }

    fn part(self) -> Option<Part> {
        Some(match self {
            Self::Default => return None,
            Self::List => Part::Elements,
            Self::MapKeys => Part::Keys,
            Self::MapValues => Part::Values,
        })
    }
}

/// Where values come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A bin, or an element inside of it.
    Bin {
        /// The bin.
        name: BinName,
        /// The way to the element.
        context: Option<IndexContext>,
    },
    /// The value of an expression.
    Expression {
        /// The encoded expression.
        bytes: Box<[u8]>,
        /// The same, to be evaluated.
        expression: Arc<Expression>,
    },
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Bin { name, context },
                Self::Bin {
                    name: n,
                    context: c,
                },
            ) => name == n && context == c,
            (Self::Expression { bytes, .. }, Self::Expression { bytes: b, .. }) => bytes == b,
            _ => false,
        }
    }
}

impl Source {
    /// The expression as readable text, if it is one.
    #[must_use]
    pub fn expression_text(&self) -> Option<String> {
        match self {
            Self::Bin { .. } => None,
            Self::Expression { bytes, .. } => Some(expression::describe(bytes)),
        }
    }
}

/// What an index is of. Two are the same when all of it is, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Records of this set only; none is all records of the namespace.
    pub set: Option<Box<str>>,
    /// Where values come from.
    pub source: Source,
    /// Which part of that.
    pub index_type: IndexType,
    /// Of which type.
    pub value_type: ValueType,
}

/// What has the name of an index.
#[derive(Clone, Debug, PartialEq)]
pub enum Indexed {
    /// Values of records.
    Values(Definition),
    /// The records of a set, to be found without the others.
    Set(Box<str>),
}

/// A value of a record by an index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    /// GeoJSON text, and the cells of its covering where they are stored with it.
    Geo(&'a [u8], Option<&'a [u8]>),
}

impl Definition {
    /// Whether records of this set have entries.
    #[must_use]
    pub fn is_of_set(&self, set: &str) -> bool {
        self.set.as_deref().is_none_or(|own| own == set)
    }

    /// Whether a record is of the set.
    pub(super) fn has(&self, record: &StoredRecord) -> bool {
        let set = self.set.as_deref();
        set.is_none_or(|own| own.as_bytes() == record.set_bytes())
    }

    /// Whether a record has at most one entry.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.index_type == IndexType::Default && self.value_type != ValueType::Geo2dSphere
    }

    /// Whether it may take many milliseconds to find the values of a record: where a large one is looked into by an
    /// expression, or has geometries whose cells are not stored with them.
    #[must_use]
    pub fn takes_long(&self, record: &StoredRecord) -> bool {
        if record.size() < LONG_RECORD {
            return false;
        }
        match &self.source {
            Source::Expression { .. } => true,
            Source::Bin { context, .. } => {
                let is_element = self.index_type != IndexType::Default || context.is_some();
                is_element && self.value_type == ValueType::Geo2dSphere
            }
        }
    }

    /// The values of a record, in order, each once.
    #[must_use]
    pub fn values(&self, record: &StoredRecord) -> Values {
        let (mut values, mut work) = (Values::None, UnitsLeft(MAX_UNITS));
        self.each(record, &mut |item| {
            self.add_values(item, &mut values, &mut work);
        });
        values.in_order()
    }

    /// The values of two versions of a record that are of the set; none when they are the same for sure, told without
    /// looking into them.
    pub(super) fn values_if_changed(
        &self,
        before: &StoredRecord,
        after: &StoredRecord,
    ) -> Option<(Values, Values)> {
        let Source::Bin { name, context } = &self.source else {
            return Some((self.values(before), self.values(after)));
        };
        let name = name.as_bytes();
        let (old, new) = (before.bin(name), after.bin(name));
        if old == new {
            return None;
        }
        let values = |bin: Option<ParticleRef<'_>>| {
            let (mut values, mut work) = (Values::None, UnitsLeft(MAX_UNITS));
            let mut take = |item: Item<'_>| self.add_values(item, &mut values, &mut work);
            if let Some(bin) = bin {
                self.each_of_bin(bin, context.as_ref(), &mut take);
            }
            values.in_order()
        };
        Some((values(old), values(new)))
    }

    fn add_values(&self, item: Item<'_>, values: &mut Values, work: &mut UnitsLeft) {
        match item {
            Item::Integer(number) => values.push(of_integer(number)),
            Item::Bytes(bytes) => values.push(of_bytes(bytes)),
            Item::Geo(_, Some(cells)) => {
                let (cells, _) = cells.as_chunks::<8>();
                let cells = cells.iter();
                cells.for_each(|cell| values.push(u64::from_be_bytes(*cell)));
            }
            // What is no geometry has no entry, and neither have elements behind those that take a tenth of a second.
            Item::Geo(text, None) => {
                let geometry = Geometry::parse(text, work);
                let cells = geometry.and_then(|geometry| geometry.cover(Fineness::STORED, work));
                if let Ok(cells) = cells {
                    cells.iter().for_each(|cell| values.push(cell.0));
                }
            }
        }
    }

    /// Gives each value of a record.
    pub(super) fn each(&self, record: &StoredRecord, take: &mut dyn FnMut(Item<'_>)) {
        if !self.has(record) {
            return;
        }
        match &self.source {
            Source::Bin { name, context } => {
                if let Some(bin) = record.bin(name.as_bytes()) {
                    self.each_of_bin(bin, context.as_ref(), take);
                }
            }
            Source::Expression { expression, .. } => {
                let digest = record.digest();
                let context = Context::of_record(record.metadata(&digest), Some(record), 0, LIMITS);
                let mut work = UnitsLeft(MAX_UNITS);
                // What takes longer than a tenth of a second has no entry.
                if let Ok(Answer::Value(particle)) = expression.evaluate(&context, &mut work) {
                    self.each_of(particle.as_ref(), take);
                }
            }
        }
    }

    fn each_of_bin(
        &self,
        bin: ParticleRef<'_>,
        context: Option<&IndexContext>,
        take: &mut dyn FnMut(Item<'_>),
    ) {
        match context {
            None => self.each_of(bin, take),
            Some(context) => {
                if let Some(element) = collection::element_at(context.path(), bin) {
                    self.each_of_element(element, take);
                }
            }
        }
    }

    fn each_of(&self, bin: ParticleRef<'_>, take: &mut dyn FnMut(Item<'_>)) {
        let Some(part) = self.index_type.part() else {
            if let Some(item) = self.item_of_particle(bin) {
                take(item);
            }
            return;
        };
        if matches!(bin.kind, ParticleType::LIST | ParticleType::MAP) {
            self.each_part(bin.data, part, take);
        }
    }

    fn each_of_element(&self, element: &[u8], take: &mut dyn FnMut(Item<'_>)) {
        match self.index_type.part() {
            None => {
                let item = self.item_of_element(element);
                let fits = |item: &Item<'_>| match item {
                    Item::Bytes(bytes) => bytes.len() <= MAX_INDEXED_BYTES,
                    Item::Integer(_) | Item::Geo(..) => true,
                };
                if let Some(item) = item.filter(fits) {
                    take(item);
                }
            }
            Some(part) => self.each_part(element, part, take),
        }
    }

    fn each_part(&self, value: &[u8], part: Part, take: &mut dyn FnMut(Item<'_>)) {
        collection::each(value, part, |element| {
            if let Some(item) = self.item_of_element(element) {
                take(item);
            }
        });
    }

    fn item_of_particle<'a>(&self, bin: ParticleRef<'a>) -> Option<Item<'a>> {
        if ValueType::of_particle(bin.kind) != Some(self.value_type) {
            return None;
        }
        match self.value_type {
            ValueType::Numeric => bin.as_integer().map(Item::Integer),
            ValueType::String | ValueType::Blob => {
                (bin.data.len() <= MAX_INDEXED_BYTES).then_some(Item::Bytes(bin.data))
            }
            ValueType::Geo2dSphere => {
                let text = bin.as_geojson()?;
                let cells = bin.data.get(3..bin.data.len() - text.len())?;
                Some(Item::Geo(text, (!cells.is_empty()).then_some(cells)))
            }
        }
    }

    fn item_of_element<'a>(&self, element: &'a [u8]) -> Option<Item<'a>> {
        // One that only an unsigned integer holds is not one of 64 bits with sign.
        let is_unsigned = matches!(element, [0xcf, 0x80..=0xff, ..]);
        match (Reader::new(element).token().ok()?, self.value_type) {
            (Token::Integer(number), ValueType::Numeric) if !is_unsigned => {
                Some(Item::Integer(number))
            }
            (Token::Text([3, text @ ..]), ValueType::String)
            | (Token::Text([4, text @ ..]), ValueType::Blob) => Some(Item::Bytes(text)),
            (Token::Text([23, text @ ..]), ValueType::Geo2dSphere) => Some(Item::Geo(text, None)),
            _ => None,
        }
    }
}

const SIGN: u64 = 1 << 63;

/// The value of an integer: in the same order.
pub(super) fn of_integer(number: i64) -> u64 {
    number.cast_unsigned() ^ SIGN
}

/// The value of a string or blob: part of a hash that is the same on every node and release.
pub(super) fn of_bytes(bytes: &[u8]) -> u64 {
    let hash = Sha1::digest(bytes);
    let first = hash.first_chunk::<8>();
    first.map_or(0, |first| u64::from_be_bytes(*first))
}
