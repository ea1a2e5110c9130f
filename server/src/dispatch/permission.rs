//! What a message needs to be allowed.

use protocol::message::{BatchRows, FieldType, Fields, Info1, Info2, Message, MessageHeader, Ops};
use protocol::result_code::ResultCode;

use crate::access::{Permission, Session, authorize};

/// Asks whether who sent a message may have it done.
///
/// Errors: [`ResultCode::SEC_ROLE_VIOLATION`].
pub(super) fn check(session: &Session, message: &Message<'_>) -> Result<(), ResultCode> {
    // Who may do all that there is need not have each command looked at.
    let Err(refused) = authorize(session, Permission::ReadWriteUdf) else {
        return Ok(());
    };
    if !message.header.info1.contains(Info1::BATCH) {
        let Message {
            header,
            fields,
            ops,
        } = message;
        return authorize(session, needed(header, fields, ops));
    }
    let Some(Ok(rows)) = message.fields.batch().map(BatchRows::parse) else {
        return Err(refused);
    };
    // Rows behind one that is malformed do not run.
    for row in rows.map_while(Result::ok) {
        authorize(session, needed(&row.header, &row.fields, &row.ops))?;
    }
    Ok(())
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
