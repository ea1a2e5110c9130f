//! ```text
//! | u32 size = 1 + n | u8 type | n bytes of data |
//! ```

use super::field_type::FieldType;
use crate::bounds::{Fit as _, Within as _};
use crate::cursor::{Cursor, length};
use crate::key::{DIGEST_SIZE, Digest};
use crate::message::error::{Mistake, ParseError, Part, wrong_size};
use crate::particle::{ParticleRef, ParticleType};

/// One field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// What the data means.
    pub kind: FieldType,
    /// The data, without size and type.
    pub data: &'a [u8],
}

impl<'a> Field<'a> {
    pub(crate) fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let size = length(cursor.u32()?);
        let (kind, data) = cursor.take(size)?.split_first()?;
        Some(Self {
            kind: FieldType(*kind),
            data,
        })
    }
}

/// The fields of a checked message. Where a type occurs twice, the first counts.
///
/// Text accessors fail with result 4 when the bytes are not UTF-8, the others when the size does not fit; a field that
/// is absent is `None`. Limits of names are policy and not checked here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    pub(crate) count: u16,
    /// Where they begin, for errors.
    at: u32,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// No fields.
    pub const EMPTY: Self = Self {
        count: 0,
        at: 0,
        bytes: &[],
    };

    /// Takes `count` fields off the cursor, which stands at byte `at` of what is read, checking each.
    pub(crate) fn read(cursor: &mut Cursor<'a>, count: u16, at: usize) -> Result<Self, ParseError> {
        let all = cursor.rest();
        for index in 0..count {
            let field = *cursor;
            Field::read(cursor).ok_or_else(|| ParseError {
                row: None,
                part: Part::Field(index),
                offset: at + all.len() - field.len(),
                mistake: wrong_size(field).unwrap_or(Mistake::Shape {
                    expected: "the byte of its type",
                    found: 0,
                }),
            })?;
        }
        let used = all.len() - cursor.len();
        Ok(Self {
            count,
            // No body is so long.
            at: at.fit::<u32>(),
            bytes: all.within(..used),
        })
    }

    /// The bytes of the fields, as they stand in the message.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All fields in the order of the message.
    pub fn iter(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.bytes);
        std::iter::from_fn(move || Field::read(&mut cursor))
    }

    /// Data of the first field of this type.
    pub fn get(&self, kind: FieldType) -> Option<&'a [u8]> {
        self.iter()
            .find(|field| field.kind == kind)
            .map(|field| field.data)
    }

    /// Whether there is a field of this type.
    pub fn has(&self, kind: FieldType) -> bool {
        self.get(kind).is_some()
    }

    /// The data of the first field of this type has not the shape that it must have.
    #[cold]
    fn misshapen(&self, kind: FieldType, expected: &'static str) -> ParseError {
        let mut offset = length(self.at);
        let mut found = 0;
        for field in self.iter() {
            // Size and type stand before the data.
            offset += 5;
            if field.kind == kind {
                found = field.data.len();
                break;
            }
            offset += field.data.len();
        }
        ParseError {
            row: None,
            part: Part::Data(kind),
            offset,
            mistake: Mistake::Shape { expected, found },
        }
    }

    fn text(&self, kind: FieldType) -> Result<Option<&'a str>, ParseError> {
        self.get(kind)
            .map(|data| {
                std::str::from_utf8(data).map_err(|_| self.misshapen(kind, "text in UTF-8"))
            })
            .transpose()
    }

    fn array<const N: usize>(&self, kind: FieldType) -> Result<Option<[u8; N]>, ParseError> {
        self.get(kind)
            .map(|data| {
                let expected = const { size_in_words(N) };
                data.try_into().map_err(|_| self.misshapen(kind, expected))
            })
            .transpose()
    }

    fn chunks<const N: usize>(&self, kind: FieldType) -> Result<&'a [[u8; N]], ParseError> {
        match self.get(kind).unwrap_or_default().as_chunks::<N>() {
            (chunks, []) => Ok(chunks),
            _ => Err(self.misshapen(kind, const { items_in_words(N) })),
        }
    }

    /// Namespace.
    pub fn namespace(&self) -> Result<Option<&'a str>, ParseError> {
        self.text(FieldType::NAMESPACE)
    }

    /// Set; an empty set is the same as none and comes as `Some("")`.
    pub fn set(&self) -> Result<Option<&'a str>, ParseError> {
        self.text(FieldType::SET)
    }

    /// Digest of the record's key.
    pub fn digest(&self) -> Result<Option<Digest>, ParseError> {
        Ok(self.array::<DIGEST_SIZE>(FieldType::DIGEST)?.map(Digest))
    }

    /// The key itself: its type, and the bytes that are hashed. The field without a single byte is an error.
    pub fn key(&self) -> Result<Option<ParticleRef<'a>>, ParseError> {
        let Some(data) = self.get(FieldType::KEY) else {
            return Ok(None);
        };
        let (kind, data) = data
            .split_first()
            .ok_or_else(|| self.misshapen(FieldType::KEY, "a particle type and the key"))?;
        Ok(Some(ParticleRef {
            kind: ParticleType(*kind),
            data,
        }))
    }

    /// Number that the client gave to a query.
    pub fn task_id(&self) -> Result<Option<u64>, ParseError> {
        Ok(self.array(FieldType::TASK_ID)?.map(u64::from_be_bytes))
    }

    /// Milliseconds that a blocked send may take; 0 is no limit.
    pub fn socket_timeout(&self) -> Result<Option<u32>, ParseError> {
        Ok(self
            .array(FieldType::SOCKET_TIMEOUT)?
            .map(u32::from_be_bytes))
    }

    /// Speed limit of a query; 0 is none.
    pub fn records_per_second(&self) -> Result<Option<u32>, ParseError> {
        Ok(self
            .array(FieldType::RECORDS_PER_SECOND)?
            .map(u32::from_be_bytes))
    }

    /// Most records that a query returns; 0 is no limit.
    pub fn max_records(&self) -> Result<Option<u64>, ParseError> {
        Ok(self.array(FieldType::MAX_RECORDS)?.map(u64::from_be_bytes))
    }

    /// Partitions that a query reads from the start; empty when the field is absent. Range and repetition are not checked,
    /// and an odd byte at the end is not looked at.
    pub fn partition_ids(&self) -> impl ExactSizeIterator<Item = u16> + use<'a> {
        let (chunks, _odd) = self
            .get(FieldType::PID_ARRAY)
            .unwrap_or(&[])
            .as_chunks::<2>();
        chunks.iter().map(|bytes| u16::from_le_bytes(*bytes))
    }

    /// Records after which a query goes on in their partitions; empty when the field is absent.
    pub fn resume_digests(
        &self,
    ) -> Result<impl ExactSizeIterator<Item = Digest> + use<'a>, ParseError> {
        Ok(self
            .chunks(FieldType::DIGEST_ARRAY)?
            .iter()
            .map(|bytes| Digest(*bytes)))
    }

    /// Index values that belong to [`Fields::resume_digests`], in the same order; empty when the field is absent.
    pub fn resume_values(
        &self,
    ) -> Result<impl ExactSizeIterator<Item = i64> + use<'a>, ParseError> {
        Ok(self
            .chunks(FieldType::BVAL_ARRAY)?
            .iter()
            .map(|bytes| i64::from_le_bytes(*bytes)))
    }

    /// Name of the secondary index to use.
    pub fn index_name(&self) -> Result<Option<&'a str>, ParseError> {
        self.text(FieldType::INDEX_NAME)
    }

    /// Range of an index query.
    pub fn index_range(&self) -> Result<Option<IndexRange<'a>>, ParseError> {
        self.get(FieldType::INDEX_RANGE)
            .map(|data| {
                IndexRange::parse(data)
                    .ok_or_else(|| self.misshapen(FieldType::INDEX_RANGE, "exactly one range"))
            })
            .transpose()
    }

    /// Kind of index: 0 default, 1 list, 2 map keys, 3 map values.
    pub fn index_type(&self) -> Result<Option<u8>, ParseError> {
        Ok(self.array(FieldType::INDEX_TYPE)?.map(|[byte]| byte))
    }

    /// UDF module, without extension.
    pub fn udf_package(&self) -> Result<Option<&'a str>, ParseError> {
        self.text(FieldType::UDF_PACKAGE)
    }

    /// UDF function.
    pub fn udf_function(&self) -> Result<Option<&'a str>, ParseError> {
        self.text(FieldType::UDF_FUNCTION)
    }

    /// Arguments of the UDF: a msgpack list, or no bytes.
    pub fn udf_arglist(&self) -> Option<&'a [u8]> {
        self.get(FieldType::UDF_ARGLIST)
    }

    /// 0 record, 1 aggregate, 2 background.
    pub fn udf_op(&self) -> Result<Option<u8>, ParseError> {
        Ok(self.array(FieldType::UDF_OP)?.map(|[byte]| byte))
    }

    /// Filter expression, msgpack.
    pub fn filter_exp(&self) -> Option<&'a [u8]> {
        self.get(FieldType::FILTER_EXP)
    }

    /// Rows of a batch, from either of the two fields; of several the last counts.
    pub fn batch(&self) -> Option<&'a [u8]> {
        const KINDS: [FieldType; 2] = [FieldType::BATCH_INDEX, FieldType::BATCH_WITH_SET];
        let fields = self.iter().filter(|field| KINDS.contains(&field.kind));
        fields.last().map(|field| field.data)
    }

    /// Bins that a query projects, in the form of older clients; empty when the field is absent.
    pub fn bin_list(&self) -> Result<impl Iterator<Item = &'a [u8]> + use<'a>, ParseError> {
        let data = self.get(FieldType::QUERY_BINLIST).unwrap_or(&[0]);
        let mut cursor = Cursor::new(data);
        let malformed = || self.misshapen(FieldType::QUERY_BINLIST, "as many names as it counts");
        let count = cursor.u8().ok_or_else(malformed)?;
        let names = cursor;
        for _ in 0..count {
            let size = cursor.u8().ok_or_else(malformed)?;
            cursor.take(size.into()).ok_or_else(malformed)?;
        }
        if !cursor.is_empty() {
            return Err(malformed());
        }
        let mut cursor = names;
        Ok(std::iter::from_fn(move || {
            let size = cursor.u8()?;
            cursor.take(size.into())
        }))
    }
}

/// The size that a field of `size` bytes must have, for errors.
const fn size_in_words(size: usize) -> &'static str {
    match size {
        1 => "1 byte",
        4 => "4 bytes",
        8 => "8 bytes",
        20 => "20 bytes",
        _ => "another size",
    }
}

/// The items of `size` bytes that a field must consist of, for errors.
const fn items_in_words(size: usize) -> &'static str {
    match size {
        8 => "items of 8 bytes",
        20 => "items of 20 bytes",
        _ => "whole items",
    }
}

/// Range of an index query (field 22).
///
/// ```text
/// | u8 1 | u8 n | n bytes bin | u8 particle type | u32 m | m bytes begin | u32 k | k bytes end |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexRange<'a> {
    /// Bin; empty when the index is given by name or expression.
    pub bin: &'a [u8],
    /// Type of the two bounds.
    pub kind: ParticleType,
    /// Lower bound, included.
    pub begin: &'a [u8],
    /// Upper bound, included. Only integers have one; what stands there otherwise means nothing.
    pub end: &'a [u8],
}

impl<'a> IndexRange<'a> {
    /// Reads the data of the field; exactly one range is possible. Bytes behind it mean nothing.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(data);
        if cursor.u8()? != 1 {
            return None;
        }
        let size = cursor.u8()?;
        let bin = cursor.take(size.into())?;
        let kind = ParticleType(cursor.u8()?);
        let size = length(cursor.u32()?);
        let begin = cursor.take(size)?;
        // Where only equality can be asked for, the second bound means nothing.
        let end = cursor.u32().and_then(|size| cursor.take(length(size)));
        let end = match kind {
            ParticleType::INTEGER => end?,
            _ => end.unwrap_or_default(),
        };
        Some(Self {
            bin,
            kind,
            begin,
            end,
        })
    }
}
