use protocol::key::Digest;
use protocol::message::{BodyWriter, Info1, Info2, OpCode};
use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;

use super::reply::{Outcome, ReplyTo, check_size};
use super::request::Request;
use crate::record::Namespace;
use data::record::Record;

/// Which bins are asked for.
enum Wanted {
    None,
    All,
    Named,
}

/// Answers a read. Never waits: it sees the version that was stored last.
pub(crate) fn answer(
    namespace: &Namespace,
    digest: &Digest,
    request: &Request<'_>,
    reply: ReplyTo<'_>,
) -> ResultCode {
    let wanted = match wanted(request) {
        Ok(wanted) => wanted,
        Err(code) => return reply.plain(code.into()),
    };
    let Some(record) = namespace.find(digest) else {
        return reply.plain(ResultCode::NOT_FOUND.into());
    };
    if let Err(code) = request.check_reader(&record) {
        return reply.plain(Outcome::about(&record, code));
    }
    let found = Outcome::about(&record, ResultCode::OK);
    match wanted {
        Wanted::None => reply.plain(found),
        Wanted::All => reply.write(|message| {
            write_all(message, &record);
            Ok(found)
        }),
        Wanted::Named => reply.write(|message| {
            let respond_all = request.header.info2.contains(Info2::RESPOND_ALL_OPS);
            for op in request.ops.iter() {
                write_named(message, &record, op.name, respond_all);
                check_size(message).map_err(|code| Outcome::about(&record, code))?;
            }
            Ok(found)
        }),
    }
}

fn wanted(request: &Request<'_>) -> Result<Wanted, ResultCode> {
    let info1 = request.header.info1;
    if info1.contains(Info1::GET_NO_BINS) {
        return Ok(Wanted::None);
    }
    if info1.contains(Info1::GET_ALL) {
        return Ok(Wanted::All);
    }
    if request.ops.is_empty() {
        return Err(ResultCode::PARAMETER);
    }
    for op in request.ops.iter() {
        if op.op != OpCode::READ {
            return Err(if op.op.is_read() {
                ResultCode::UNSUPPORTED_FEATURE
            } else {
                ResultCode::PARAMETER
            });
        }
    }
    Ok(Wanted::Named)
}

/// Writes every bin in storage order.
pub(crate) fn write_all(message: &mut BodyWriter<'_>, record: &Record) {
    for bin in &record.bins {
        message.op(OpCode::READ, bin.name.as_bytes(), bin.particle.as_ref());
    }
}

/// Writes one bin; a missing one is left out, or is nil where every op gets an answer.
fn write_named(message: &mut BodyWriter<'_>, record: &Record, name: &[u8], respond_all: bool) {
    match record.bin(name) {
        Some(bin) => {
            message.op(OpCode::READ, name, bin.particle.as_ref());
        }
        None if respond_all => {
            message.op(OpCode::READ, name, ParticleRef::NIL);
        }
        None => {}
    }
}
