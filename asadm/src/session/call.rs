//! Calling a function of a module on a record: sent to the record's owner, and never a second time.

use bytes::BytesMut;
use protocol::client::Record;
use protocol::key::Digest;
use protocol::message::{FieldType, Info2, MessageHeader, MessageWriter};
use protocol::result_code::ResultCode;
use protocol::value::Value;
use tools::records::{Records, RecordsError, Repeat};

use super::Session;
use crate::plan::Call;

impl Session {
    /// The result of a call, or why there is none.
    pub(super) async fn call(&mut self, call: &Call) -> Result<Value, String> {
        let limit = self.cluster.limit();
        let connection = self.cluster.connection();
        let records = Records::connect(connection, self.cluster.is_alternate(), limit).await;
        let mut records = records.map_err(|error| error.to_string())?;
        let digest = Digest::of(&call.set, &call.key);
        let request = request(call, &digest)?;
        let sent = records.single(&call.namespace, &digest, &request, Repeat::Never, limit);
        let (node, body) = sent.await.map_err(|error| reason(&error))?;
        let record = Record::parse(&body)
            .map_err(|error| format!("{} sent a malformed answer: {error}", node.address()))?;
        if let Some(failure) = record.failure() {
            return Err(failure);
        }
        match (record.result, record.success()) {
            (ResultCode::OK, Some(particle)) => Value::from_particle(particle.as_ref())
                .map_err(|error| format!("the result cannot be read: {error}")),
            (ResultCode::OK, None) => Ok(Value::Nil),
            (code, _) => Err(format!("{} refused it: {code}", node.address())),
        }
    }
}

/// A write that did not come back may have been done all the same.
fn reason(error: &RecordsError) -> String {
    match error {
        RecordsError::Client(error) => {
            format!("{error}; the function may have run all the same")
        }
        other => other.to_string(),
    }
}

fn request(call: &Call, digest: &Digest) -> Result<BytesMut, String> {
    let arguments = Value::list(call.arguments.iter().cloned())
        .to_msgpack()
        .map_err(|error| format!("an argument cannot be sent: {error}"))?;
    let header = MessageHeader {
        info2: Info2::WRITE,
        ..MessageHeader::default()
    };
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &header);
    message.namespace(&call.namespace);
    if !call.set.is_empty() {
        message.set(&call.set);
    }
    message.digest(digest);
    message.field(FieldType::UDF_PACKAGE, call.module.as_bytes());
    message.field(FieldType::UDF_FUNCTION, call.function.as_bytes());
    message.field(FieldType::UDF_ARGLIST, &arguments);
    message.finish().map_err(|error| error.to_string())?;
    Ok(out)
}
