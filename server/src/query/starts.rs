//! Where a query begins.

use protocol::key::Digest;
use protocol::message::FieldType;
use protocol::result_code::ResultCode;

use crate::storage::engine::PARTITIONS;
use crate::transaction::request::Request;

/// Where a partition is to be read from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) partition: u16,
    pub(crate) after: Option<Digest>,
    /// The value that the record had at which the query stopped.
    pub(crate) value: Option<i64>,
}

impl Start {
    /// A partition from its beginning.
    pub(crate) fn whole(partition: u16) -> Self {
        Self {
            partition,
            after: None,
            value: None,
        }
    }
}

/// The partitions to read, each once.
pub(crate) fn starts(request: &Request<'_>) -> Result<Vec<Start>, ResultCode> {
    let malformed = |_| ResultCode::PARAMETER;
    let whole = request.fields.partition_ids();
    let resumed = request.fields.resume_digests().map_err(malformed)?;
    let no_partition = request.fields.has(FieldType::PID_ARRAY) && whole.len() == 0;
    let no_digest = request.fields.has(FieldType::BVAL_ARRAY) && resumed.len() == 0;
    let by_index = request.fields.has(FieldType::INDEX_RANGE);
    let mut values = request.fields.resume_values().map_err(malformed)?;
    let too_few = by_index && values.len() < resumed.len();
    let none = request.fields.has(FieldType::DIGEST_ARRAY) && resumed.len() == 0;
    if no_partition || no_digest || none || too_few {
        return Err(ResultCode::PARAMETER);
    }
    if whole.len() + resumed.len() > usize::from(PARTITIONS) {
        return Err(ResultCode::PARAMETER);
    }
    let mut starts: Vec<_> = whole
        .map(Start::whole)
        .chain(resumed.map(|digest| Start {
            partition: digest.partition_id(),
            after: Some(digest),
            value: values.next(),
        }))
        .collect();
    starts.sort_by_key(|start| start.partition);
    let repeated = starts.windows(2).any(|pair| match pair {
        [first, second] => first.partition == second.partition,
        _ => false,
    });
    let beyond = starts
        .last()
        .is_some_and(|start| start.partition >= PARTITIONS);
    if repeated || beyond {
        Err(ResultCode::PARAMETER)
    } else {
        Ok(starts)
    }
}
