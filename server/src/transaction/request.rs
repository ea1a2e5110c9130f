use std::time::Instant;

use protocol::key::Digest;
use protocol::limits::MAX_SET_NAME;
use protocol::message::{BatchRow, FieldType, Fields, Message, MessageHeader, Ops};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use super::filter::Filter;
use data::record::Record;

/// Whether a command stands alone, is a row of a batch or is done by a background query; they are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    Batch,
    Background,
}

/// One command on one record, with its fields at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) header: MessageHeader,
    pub(crate) fields: Fields<'a>,
    pub(crate) ops: Ops<'a>,
    pub(crate) namespace: Option<&'a str>,
    /// `Some("")` says that the record is in no set.
    pub(crate) set: Option<&'a str>,
    pub(crate) digest: Option<Digest>,
    pub(crate) key: Option<SentKey<'a>>,
    pub(crate) filter: Option<Filter>,
    /// When the caller stops waiting.
    pub(crate) deadline: Instant,
    pub(crate) origin: Origin,
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
        filter: Option<Filter>,
        deadline: Instant,
    ) -> Result<Self, ResultCode> {
        let mut request = Self::new(row.header, row.fields, row.ops, deadline, Origin::Batch)?;
        request.digest = Some(row.digest);
        request.filter = request.filter.or(filter);
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
            set: None,
            digest: None,
            key: None,
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
                FieldType::SET if request.set.is_none() => request.set = Some(set_name(data)?),
                FieldType::DIGEST if request.digest.is_none() => {
                    request.digest =
                        Some(Digest(data.try_into().map_err(|_| ResultCode::PARAMETER)?));
                }
                FieldType::KEY => request.key = request.key.or(Some(SentKey(data))),
                FieldType::FILTER_EXP if request.filter.is_none() => {
                    request.filter = Some(Filter::parse(data)?)
                }
                _ => {}
            }
        }
        Ok(request)
    }

    /// The set that a record written by this request is in, `""` for none.
    pub(crate) fn set_name(&self) -> &'a str {
        self.set.unwrap_or("")
    }

    /// The checks that an existing record must pass for a read or a plain delete, which may leave out the set.
    pub(crate) fn check_reader(&self, record: &Record) -> Result<(), ResultCode> {
        if self.set.is_some_and(|set| set != record.set_name()) {
            return Err(ResultCode::PARAMETER);
        }
        self.check_filter()?;
        self.check_key(record)
    }

    /// A write must name the record's set.
    pub(crate) fn check_set(&self, record: &Record) -> Result<(), ResultCode> {
        if self.set_name() == record.set_name() {
            Ok(())
        } else {
            Err(ResultCode::PARAMETER)
        }
    }

    /// The filter must hold for an existing record.
    pub(crate) fn check_filter(&self) -> Result<(), ResultCode> {
        match self.filter {
            Some(Filter::Constant(false)) => Err(ResultCode::FILTERED_OUT),
            Some(Filter::Constant(true)) | None => Ok(()),
        }
    }

    /// A key that is sent must be the stored one, if one is stored.
    pub(crate) fn check_key(&self, record: &Record) -> Result<(), ResultCode> {
        match (&self.key, &record.key) {
            (Some(sent), Some(stored)) if !sent.is(stored) => Err(ResultCode::KEY_MISMATCH),
            _ => Ok(()),
        }
    }

    /// The key that a write stores: the one that is stored already, else the one sent.
    ///
    /// Errors: 16 for a field without a single byte, 4 for a type that no key has.
    pub(crate) fn key_to_store(
        &self,
        existing: Option<&Record>,
    ) -> Result<Option<Particle>, ResultCode> {
        if let Some(stored) = existing.and_then(|record| record.key.as_ref()) {
            return Ok(Some(stored.clone()));
        }
        self.key.map(|sent| sent.to_particle()).transpose()
    }
}

fn set_name(data: &[u8]) -> Result<&str, ResultCode> {
    if data.len() > MAX_SET_NAME {
        return Err(ResultCode::PARAMETER);
    }
    std::str::from_utf8(data).map_err(|_| ResultCode::PARAMETER)
}

impl SentKey<'_> {
    fn is(&self, stored: &Particle) -> bool {
        self.0
            .split_first()
            .is_some_and(|(kind, data)| *kind == stored.kind.0 && *data == *stored.data)
    }

    fn to_particle(self) -> Result<Particle, ResultCode> {
        let (kind, data) = self
            .0
            .split_first()
            .ok_or(ResultCode::UNSUPPORTED_FEATURE)?;
        let kind = ParticleType(*kind);
        match kind {
            ParticleType::INTEGER | ParticleType::FLOAT | ParticleType::STRING => {}
            kind if kind.is_blob() => {}
            _ => return Err(ResultCode::PARAMETER),
        }
        Ok(ParticleRef::new(kind, data).to_particle())
    }
}
