//! What a message needs to be allowed.

use protocol::message::{BatchRows, FieldType, Fields, Info1, Info2, Message, MessageHeader, Ops};
use protocol::result_code::ResultCode;

use crate::access::{Permission, Session, authorize};

/// Asks whether who sent a message may have it done.
///
/// Errors: [`ResultCode::SEC_ROLE_VIOLATION`].
pub(super) fn check(session: &Session, message: &Message<'_>) -> Result<(), ResultCode> {
    if !message.header.info1.contains(Info1::BATCH) {
        let Message {
            header,
            fields,
            ops,
        } = message;
        return authorize(session, needed(header, fields, ops));
    }
    // Who may do all that rows can need not have each of them looked at.
    let all = authorize(session, Permission::ReadWriteUdf);
    match (all, message.fields.batch().map(BatchRows::parse)) {
        (Err(_), Some(Ok(rows))) => {
            // Rows behind one that is malformed do not run.
            for row in rows.map_while(Result::ok) {
                authorize(session, needed(&row.header, &row.fields, &row.ops))?;
            }
            Ok(())
        }
        (all, _) => all,
    }
}

fn needed(header: &MessageHeader, fields: &Fields<'_>, ops: &Ops<'_>) -> Permission {
    if fields.has(FieldType::UDF_PACKAGE) {
        return Permission::ReadWriteUdf;
    }
    if !header.info2.contains(Info2::WRITE) {
        return Permission::Read;
    }
    let reads = header.info1.contains(Info1::READ) || ops.iter().any(|op| op.op.is_read());
    match reads {
        true => Permission::ReadWrite,
        false => Permission::Write,
    }
}
