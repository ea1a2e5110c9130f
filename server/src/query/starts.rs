//! Where a query begins.

use protocol::key::Digest;
use protocol::message::FieldType;
use protocol::result_code::ResultCode;

use crate::index::SHEET;
use crate::storage::engine::PARTITIONS;
use crate::transaction::request::Request;

/// Sheets of an index.
const SHEETS: usize = (PARTITIONS / SHEET) as usize;

/// Where a partition goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resume {
    /// Behind the record of this digest.
    pub(crate) after: Digest,
    /// The value that the record had at which a query by index stopped.
    pub(crate) value: Option<i64>,
}

/// The partitions to read.
#[derive(Debug)]
pub(crate) struct Starts {
    /// Those that are read from their beginning: a word for each sheet, a bit for each partition.
    whole: [u64; SHEETS],
    /// Where the others go on, in order of partition.
    resumed: Vec<Resume>,
}

impl Starts {
    /// The partitions that a request names.
    ///
    /// Errors: 4 for fields that are malformed or contradict each other, for partitions that are none, and for one that is
    /// named twice.
    pub(crate) fn of(request: &Request<'_>) -> Result<Self, ResultCode> {
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
        let mut starts = Self {
            whole: [0; SHEETS],
            resumed: Vec::with_capacity(resumed.len().min(PARTITIONS.into())),
        };
        let mut seen = [0; SHEETS];
        for partition in whole {
            take(&mut seen, partition)?;
        }
        starts.whole = seen;
        for digest in resumed {
            take(&mut seen, digest.partition_id())?;
            starts.resumed.push(Resume {
                after: digest,
                value: values.next(),
            });
        }
        let partition = |resume: &Resume| resume.after.partition_id();
        starts.resumed.sort_unstable_by_key(partition);
        Ok(starts)
    }

    /// Partitions that are read from their beginning, and those that go on.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let whole = self.whole.iter().map(|word| word.count_ones()).sum::<u32>();
        (whole as usize, self.resumed.len())
    }

    /// All of them in order, each with the record behind which it goes on.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u16, Option<&Digest>)> + Send {
        (0..PARTITIONS / SHEET).flat_map(move |sheet| {
            let (bits, resumed) = (self.in_sheet(sheet), self.resumed_in(sheet));
            let partitions = (sheet * SHEET..(sheet + 1) * SHEET).zip(0_u32..);
            let wanted = partitions.filter(move |(_, place)| bits >> place & 1 == 1);
            wanted.map(move |(partition, _)| {
                let mut resumed = resumed.iter().map(|resume| &resume.after);
                let after = resumed.find(|after| after.partition_id() == partition);
                (partition, after)
            })
        })
    }

    /// The partitions of a sheet, as bits.
    pub(crate) fn in_sheet(&self, sheet: u16) -> u64 {
        let whole = self.whole.get(usize::from(sheet)).copied().unwrap_or(0);
        let resumed = self.resumed_in(sheet).iter();
        resumed.fold(whole, |bits, resume| {
            bits | 1 << (resume.after.partition_id() % SHEET)
        })
    }

    /// Where partitions of a sheet go on.
    pub(crate) fn resumed_in(&self, sheet: u16) -> &[Resume] {
        let before = |sheet| {
            let is_before = |resume: &Resume| resume.after.partition_id() / SHEET < sheet;
            self.resumed.partition_point(is_before)
        };
        let range = before(sheet)..before(sheet + 1);
        self.resumed.get(range).unwrap_or_default()
    }
}

/// Notes a partition; an error when there is none of this number, or it was named before.
fn take(seen: &mut [u64; SHEETS], partition: u16) -> Result<(), ResultCode> {
    let word = seen.get_mut(usize::from(partition / SHEET));
    let word = word.ok_or(ResultCode::PARAMETER)?;
    let bit = 1 << (partition % SHEET);
    if *word & bit != 0 {
        return Err(ResultCode::PARAMETER);
    }
    *word |= bit;
    Ok(())
}
