use std::sync::Arc;
use std::time::Instant;

use protocol::key::Digest;
use protocol::limits::MAX_SET_NAME;
use protocol::message::{BatchRow, FieldType, Fields, Message, MessageHeader, Ops};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::refusal;
use super::work::{FilterWork, UNITS_PER_READ_BYTE, Work};
use data::filter::{Filter, Holds, MAX_UNITS};
use data::record::StoredRecord;
use data::work::{Meter as _, TimeIsUp};

/// Whether a command stands alone, is a row of a batch or is done by a background query; they are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    Batch,
    Background,
}

/// One command on one record, with its fields at hand.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) header: MessageHeader,
    pub(crate) fields: Fields<'a>,
    pub(crate) ops: Ops<'a>,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) set: SentSet<'a>,
    pub(crate) digest: Option<Digest>,
    pub(crate) key: Option<SentKey<'a>>,
    /// Whose function is called, and with what.
    pub(crate) package: Option<&'a [u8]>,
    pub(crate) function: Option<&'a [u8]>,
    pub(crate) arglist: Option<&'a [u8]>,
    /// What is wrong with it counts only where it would be asked, for records that exist.
    pub(crate) filter: Option<Arc<Result<Filter, ResultCode>>>,
    /// When the caller stops waiting.
    pub(crate) deadline: Instant,
    pub(crate) origin: Origin,
}

/// The set that a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SentSet<'a> {
    /// No field, or an empty one.
    None,
    /// This one.
    Named(&'a str),
    /// A name that no set can have: more than 63 bytes, a zero byte, or no text. No record is in it.
    Unfit,
}

impl<'a> SentSet<'a> {
    fn of(data: &'a [u8]) -> Self {
        match std::str::from_utf8(data) {
            Ok("") => Self::None,
            Ok(name) if name.len() <= MAX_SET_NAME && !data.contains(&0) => Self::Named(name),
            _ => Self::Unfit,
        }
    }

    /// The set of a record, `""` for one in none.
    pub(crate) fn of_record(name: &'a str) -> Self {
        match name {
            "" => Self::None,
            name => Self::Named(name),
        }
    }

    /// Whether a record is in this set.
    pub(crate) fn is_of(self, record: &StoredRecord) -> bool {
        let set = record.set_bytes();
        match self {
            Self::None => set.is_empty(),
            Self::Named(sent) => sent.as_bytes() == set,
            Self::Unfit => false,
        }
    }
}

/// Data of a KEY field, unchecked: a type byte and the key's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentKey<'a>(&'a [u8]);

impl<'a> Request<'a> {
    /// The command that a message of its own holds.
    pub(crate) fn of_message(message: &Message<'a>, deadline: Instant) -> Result<Self, ResultCode> {
        Self::new(
            message.header,
            message.fields,
            message.ops,
            deadline,
            Origin::Client,
        )
    }

    /// The command of a batch row; the filter of the batch counts where the row has none.
    pub(crate) fn of_row(
        row: &BatchRow<'a>,
        filter: Option<&Arc<Result<Filter, ResultCode>>>,
        deadline: Instant,
    ) -> Result<Self, ResultCode> {
        let mut request = Self::new(row.header, row.fields, row.ops, deadline, Origin::Batch)?;
        request.digest = Some(row.digest);
        request.filter = request.filter.or_else(|| filter.cloned());
        Ok(request)
    }

    fn new(
        header: MessageHeader,
        fields: Fields<'a>,
        ops: Ops<'a>,
        deadline: Instant,
        origin: Origin,
    ) -> Result<Self, ResultCode> {
        let mut request = Self {
            header,
            fields,
            ops,
            namespace: None,
            set: SentSet::None,
            digest: None,
            key: None,
            package: None,
            function: None,
            arglist: None,
            filter: None,
            deadline,
            origin,
        };
        // One walk over the fields instead of one for each; where a type occurs twice, the first counts.
        for field in fields.iter() {
            let data = field.data;
            match field.kind {
                FieldType::NAMESPACE => {
                    request.namespace = request.namespace.or(std::str::from_utf8(data).ok())
                }
                FieldType::SET if request.set == SentSet::None => request.set = SentSet::of(data),
                FieldType::DIGEST if request.digest.is_none() => {
                    request.digest =
                        Some(Digest(data.try_into().map_err(|_| ResultCode::PARAMETER)?));
                }
                FieldType::UDF_PACKAGE => request.package = request.package.or(Some(data)),
                FieldType::UDF_FUNCTION => request.function = request.function.or(Some(data)),
                FieldType::UDF_ARGLIST => request.arglist = request.arglist.or(Some(data)),
                FieldType::KEY => request.key = request.key.or(Some(SentKey(data))),
                FieldType::FILTER_EXP if request.filter.is_none() => {
                    request.filter = Some(Arc::new(parse_filter(data, deadline)));
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// The set that a record written by this request is in, `""` for none.
    ///
    /// Errors: 4 for a name that no set can have.
    pub(crate) fn set_name(&self) -> Result<&'a str, ResultCode> {
        match self.set {
            SentSet::None => Ok(""),
            SentSet::Named(name) => Ok(name),
            SentSet::Unfit => Err(ResultCode::PARAMETER),
        }
    }

    /// The checks that an existing record must pass for a read or a plain delete, which may leave out the set.
    pub(crate) fn check_reader(
        &self,
        digest: &Digest,
        record: &StoredRecord,
        now_ms: impl FnOnce() -> u64,
    ) -> Result<(), ResultCode> {
        if self.set != SentSet::None && !self.set.is_of(record) {
            return Err(ResultCode::PARAMETER);
        }
        self.check_filter(digest, record, now_ms)?;
        self.check_key(record)
    }

    /// A write must name the record's set.
    pub(crate) fn check_set(&self, record: &StoredRecord) -> Result<(), ResultCode> {
        if self.set.is_of(record) {
            Ok(())
        } else {
            Err(ResultCode::PARAMETER)
        }
    }

    /// The filter must hold for an existing record.
    pub(crate) fn check_filter(
        &self,
        digest: &Digest,
        record: &StoredRecord,
        now_ms: impl FnOnce() -> u64,
    ) -> Result<(), ResultCode> {
        let Some(filter) = &self.filter else {
            return Ok(());
        };
        let filter = filter.as_ref().as_ref().map_err(|code| *code)?;
        let mut work = Work::until(self.deadline);
        let mut work = FilterWork::new(&mut work, MAX_UNITS);
        let metadata = record.metadata(digest);
        match filter.holds_within(&metadata, Some(record), now_ms(), &mut work) {
            Ok(Holds::Yes) => Ok(()),
            Err(TimeIsUp) if Instant::now() >= self.deadline => Err(ResultCode::TIMEOUT),
            // What takes more work than a filter may is unknown, too.
            Ok(Holds::No | Holds::Unknown) | Err(TimeIsUp) => Err(ResultCode::FILTERED_OUT),
        }
    }

    /// A filter, if there is one, must be one.
    pub(crate) fn check_filter_form(&self) -> Result<(), ResultCode> {
        match self.filter.as_deref() {
            Some(Err(code)) => Err(*code),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// A key that is sent must be the stored one, if one is stored.
    pub(crate) fn check_key(&self, record: &StoredRecord) -> Result<(), ResultCode> {
        match (&self.key, record.key()) {
            (Some(sent), Some(stored)) if !sent.is(stored) => Err(ResultCode::KEY_MISMATCH),
            _ => Ok(()),
        }
    }

    /// The key that a write stores: the one that is stored already, else the one sent.
    ///
    /// Errors: 16 for a field without a single byte, and for an integer of other than 8 bytes. Other types are not looked
    /// into.
    pub(crate) fn key_to_store<'k>(
        &'k self,
        existing: Option<&'k StoredRecord>,
    ) -> Result<Option<ParticleRef<'k>>, ResultCode> {
        match existing.and_then(StoredRecord::key) {
            Some(stored) => Ok(Some(stored)),
            None => self.key.map(SentKey::particle).transpose(),
        }
    }
}

/// Checks a filter of a request; what is wrong with it is logged.
pub(crate) fn parse_filter(data: &[u8], deadline: Instant) -> Result<Filter, ResultCode> {
    let mut work = Work::until(deadline);
    work.spend(data.len() * UNITS_PER_READ_BYTE)?;
    let parsed = Filter::parse(data, &mut work);
    parsed.map_err(|error| refusal::of_filter(&error))
}

fn unfit(why: &str) -> ResultCode {
    refusal::because(ResultCode::UNSUPPORTED_FEATURE, why)
}

impl<'a> SentKey<'a> {
    fn is(&self, stored: ParticleRef<'_>) -> bool {
        self.0
            .split_first()
            .is_some_and(|(kind, data)| *kind == stored.kind.0 && *data == *stored.data)
    }

    fn particle(self) -> Result<ParticleRef<'a>, ResultCode> {
        let (kind, data) = self
            .0
            .split_first()
            .ok_or_else(|| unfit("a key without its type byte"))?;
        let kind = ParticleType(*kind);
        if kind == ParticleType::INTEGER && data.len() != 8 {
            return Err(unfit("an integer key that is not of 8 bytes"));
        }
        Ok(ParticleRef::new(kind, data))
    }
}
