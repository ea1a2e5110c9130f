use data::bin::{BinName, Bins};
use data::encoded::Landmarks;
use data::expression::Context;
use data::operation::{Checked, NameIndex, Operation, OperationError};
use data::work::Meter;
use protocol::key::Digest;
use protocol::message::{BodyWriter, Info1, Info2, Info3, OpCode};
use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;

use super::reply::{Outcome, ReplyTo, check_size};
use super::request::Request;
use super::work::{Work, checked};
use super::write::LIMITS;
use super::{read_touch, refusal};
use crate::record::Namespace;
use data::record::StoredRecord;

/// Answers a read. It sees the version that was stored last, and waits for nobody but the engine, unless it is one that
/// gives the record its life anew.
pub(crate) async fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let header = &request.header;
    // Linearised reads need a namespace of strong consistency.
    if header.info3.contains(Info3::SC_READ_TYPE) && !header.info3.contains(Info3::SC_READ_RELAX) {
        return reply.plain(ResultCode::ENTERPRISE_ONLY.into());
    }
    let record = match namespace.find(digest).await {
        Ok(Some(record)) => record,
        Ok(None) => return reply.plain(ResultCode::NOT_FOUND.into()),
        Err(error) => return reply.plain(error.result_code().into()),
    };
    let checked = request
        .check_reader(digest, &record, || namespace.now_ms())
        .and_then(|()| read_touch::due(namespace, header.record_ttl, &record));
    let life = match checked {
        Ok(life) => life,
        Err(code) => return reply.plain(Outcome::about(&record, code)),
    };
    let code = write(namespace, digest, request, &record, reply);
    if let Some(seconds) = life {
        // Few reads come here: what they need to wait is not carried about by the others.
        Box::pin(read_touch::touch(
            namespace,
            digest,
            seconds,
            request.deadline,
        ))
        .await;
    }
    code
}

fn write(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    record: &StoredRecord,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let found = Outcome::about(record, ResultCode::OK);
    let wanted = request.header.info1;
    if wanted.contains(Info1::GET_NO_BINS) {
        return reply.plain(found);
    }
    reply.write(|message| {
        if wanted.contains(Info1::GET_ALL) {
            write_all(message, record);
            return Ok(found);
        }
        write_named(message, digest, request, record, namespace.now_ms())
            .map(|()| found)
            .map_err(|code| Outcome::about(record, code))
    })
}

/// Writes every bin in storage order.
pub(crate) fn write_all(message: &mut BodyWriter<'_>, record: &StoredRecord) {
    for bin in record.bins() {
        message.op(OpCode::READ, bin.name, bin.value);
    }
}

/// Writes what each op of a request reads.
///
/// Errors: 4 where there is no op, or one that does not read; 21 for a name that no bin has.
fn write_named(
    message: &mut BodyWriter<'_>,
    digest: &Digest,
    request: &Request<'_>,
    record: &StoredRecord,
    now_ms: u64,
) -> Result<(), ResultCode> {
    if request.ops.is_empty() {
        return Err(ResultCode::PARAMETER);
    }
    let respond_all = request.header.info2.contains(Info2::RESPOND_ALL_OPS);
    let mut work = Work::until(request.deadline);
    let bins = ReadBins::of(record, request.ops.len());
    let context = Context::of_record(record.metadata(digest), Some(&bins), now_ms, LIMITS);
    let mut reader = BinReader::new(&bins, context, respond_all, &mut work);
    for op in request.ops.iter() {
        if !op.op.is_read() {
            return Err(ResultCode::PARAMETER);
        }
        let checked = checked(&op, false, reader.work).map_err(|error| error.code)?;
        let written = message.written();
        reader.answer(&checked, message)?;
        reader.work.hold(message.written() - written)?;
    }
    Ok(())
}

/// The bins of a record, with an index where many of them are looked for.
pub(crate) struct ReadBins<'r> {
    record: &'r StoredRecord,
    /// The values, and their places by name.
    index: Option<(NameIndex, Vec<ParticleRef<'r>>)>,
}

impl<'r> ReadBins<'r> {
    /// For so many operations.
    pub(crate) fn of(record: &'r StoredRecord, operations: usize) -> Self {
        let index = NameIndex::is_worth_it(operations, record.bin_count()).then(|| {
            let names = NameIndex::of(record.bins().map(|bin| bin.bin_name()));
            (names, record.bins().map(|bin| bin.value).collect())
        });
        Self { record, index }
    }

    fn find(&self, name: &[u8]) -> Option<ParticleRef<'r>> {
        match &self.index {
            Some((names, values)) => values.get(names.place(&BinName::new(name)?)?).copied(),
            None => self.record.bin(name),
        }
    }
}

impl Bins for ReadBins<'_> {
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        self.find(name)
    }

    fn landmarks(&self, value: ParticleRef<'_>) -> Landmarks<'_> {
        self.record.landmarks(value)
    }

    fn steps_of_a_look_up(&self) -> usize {
        match &self.index {
            Some(_) => 1,
            None => self.record.bin_count(),
        }
    }
}

/// Does reading operations on a record.
pub(crate) struct BinReader<'r> {
    bins: &'r ReadBins<'r>,
    record: Context<'r>,
    respond_all: bool,
    work: &'r mut dyn Meter,
}

impl<'r> BinReader<'r> {
    /// With `respond_all` each operation answers, if need be nil.
    pub(crate) fn new(
        bins: &'r ReadBins<'r>,
        record: Context<'r>,
        respond_all: bool,
        work: &'r mut dyn Meter,
    ) -> Self {
        Self {
            bins,
            record,
            respond_all,
            work,
        }
    }

    /// Does an operation and writes its answer; a missing bin is left out, or is nil where each operation answers.
    ///
    /// Errors: the operation fails, or the reply has become too large.
    pub(crate) fn answer(
        &mut self,
        checked: &Checked<'_>,
        message: &mut BodyWriter<'_>,
    ) -> Result<(), ResultCode> {
        self.work.steps(1)?;
        let written = message.written();
        let value = self.bins.find(checked.bin.as_bytes());
        let refused =
            |error: &OperationError| refusal::of_operation(checked.code, &checked.bin, error);
        let operation = checked.operation.as_ref().map_err(refused)?;
        let name = checked.bin.as_bytes();
        match (operation, value) {
            // Without a copy in between.
            (Operation::Read, Some(value)) => {
                message.op(checked.code, name, value);
            }
            _ => {
                let landmarks = value.map_or(Landmarks::NONE, |value| self.bins.landmarks(value));
                let applied = operation.apply(value, landmarks, &self.record, self.work);
                match applied.map_err(|error| refused(&error))?.reply {
                    Some(value) => {
                        message.op(checked.code, name, value.as_ref());
                    }
                    None if self.respond_all => {
                        message.op(checked.code, name, ParticleRef::NIL);
                    }
                    None => {}
                }
            }
        }
        // A short request may ask for the same large value again and again.
        self.work.bytes(message.written() - written)?;
        check_size(message)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use data::record::Parts;
    use data::work::Unmetered;
    use protocol::message::{MessageHeader, Op};
    use protocol::particle::{Particle, ParticleType};

    use super::*;

    #[test]
    fn a_value_that_is_asked_for_again_and_again_counts_as_often() {
        const BYTES: usize = 100_000;
        const TIMES: usize = 50;
        let digest = Digest([7; 20]);
        let parts = Parts {
            digest,
            token: 1,
            generation: 1,
            void_time: 0,
            last_update_ms: 0,
            set: "s",
            key: None,
        };
        let value = Particle::new(ParticleType::BLOB, vec![7; BYTES]);
        let bins = std::iter::once((&b"b"[..], value.as_ref()));
        let record = StoredRecord::new(&parts, bins, &mut Vec::new()).unwrap();
        let bins = ReadBins::of(&record, TIMES);
        let context = Context::of_record(record.metadata(&digest), Some(&bins), 0, LIMITS);
        let op = Op {
            op: OpCode::READ,
            particle: ParticleType::NIL,
            flags: 0,
            name: b"b",
            value: &[],
        };
        let mut work = Unmetered::default();
        let checked = checked(&op, false, &mut Unmetered::default()).unwrap();
        let mut out = BytesMut::new();
        let mut message = BodyWriter::new(&mut out, &MessageHeader::default());
        let mut reader = BinReader::new(&bins, context, false, &mut work);
        for _ in 0..TIMES {
            reader.answer(&checked, &mut message).unwrap();
        }
        message.finish().unwrap();
        assert!(out.len() > TIMES * BYTES);
        assert!(work.units >= (TIMES * BYTES / 8) as u64);
    }
}
