use data::operation::{Checked, Operation, OperationError};
use protocol::message::{Info1, Info2, Info3, OpCode};
use protocol::result_code::ResultCode;

use super::request::Request;
use super::work::{Work, checked};

/// A checked write: all that can be found wrong, or prepared, before the record is looked at.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// What is done, one after the other.
    pub(crate) steps: Vec<Checked<'a>>,
    /// Bins that existed before are dropped.
    pub(crate) replace: bool,
    /// The record must not exist.
    pub(crate) create_only: bool,
    /// The record must exist.
    pub(crate) must_exist: bool,
    /// Every op gets an answer.
    pub(crate) respond_all: bool,
}

impl<'a> Plan<'a> {
    /// Errors: 4 for ops and flags that contradict each other, 21 for a name that no bin has. What is wrong with an op by
    /// itself shows only when it is its turn.
    pub(crate) fn of(request: &Request<'a>) -> Result<Self, ResultCode> {
        let header = &request.header;
        let reads = header.info1.contains(Info1::READ);
        let get_all = header.info1.contains(Info1::GET_ALL);
        let mut plan = Self {
            steps: Vec::with_capacity(request.ops.len()),
            replace: header
                .info3
                .intersects(Info3::CREATE_OR_REPLACE | Info3::REPLACE_ONLY),
            create_only: header.info2.contains(Info2::CREATE_ONLY),
            must_exist: header
                .info3
                .intersects(Info3::UPDATE_ONLY | Info3::REPLACE_ONLY),
            respond_all: header.info2.contains(Info2::RESPOND_ALL_OPS),
        };
        let mut seen = Seen::default();
        let mut work = Work::until(request.deadline);
        for op in request.ops.iter() {
            let checked = checked(&op, get_all, &mut work).map_err(refused)?;
            if plan.replace && !fits_replace(&checked) {
                return Err(ResultCode::PARAMETER);
            }
            seen.note(&checked);
            plan.must_exist |= op.op == OpCode::TOUCH;
            plan.steps.push(checked);
        }
        let answers_bins = seen.answering_writes > 0 || plan.respond_all;
        let fits = !plan.steps.is_empty()
            && (seen.reads == 0 || reads)
            && (!get_all || (seen.reads_of_all == 1 && seen.named_reads == 0))
            && (seen.reads_of_all == 0 || !answers_bins);
        if fits {
            Ok(plan)
        } else {
            Err(ResultCode::PARAMETER)
        }
    }
}

fn refused(error: OperationError) -> ResultCode {
    tracing::debug!(target: "rw", "{error}");
    error.code
}

/// How many ops of each kind there are.
#[derive(Debug, Default)]
struct Seen {
    reads: usize,
    named_reads: usize,
    reads_of_all: usize,
    /// Those that may give back a value.
    answering_writes: usize,
}

impl Seen {
    fn note(&mut self, checked: &Checked<'_>) {
        self.reads += usize::from(checked.code.is_read());
        match (checked.code, &checked.operation) {
            (_, Ok(Operation::ReadAll)) => self.reads_of_all += 1,
            (OpCode::READ, _) => self.named_reads += 1,
            (OpCode::CDT_MODIFY | OpCode::HLL_MODIFY, _) => self.answering_writes += 1,
            _ => {}
        }
    }
}

/// A replaced record keeps no bin, so there is nothing to remove, change or touch.
fn fits_replace(checked: &Checked<'_>) -> bool {
    match checked.code {
        OpCode::WRITE => !matches!(checked.operation, Ok(Operation::Remove)),
        OpCode::INCR
        | OpCode::APPEND
        | OpCode::PREPEND
        | OpCode::TOUCH
        | OpCode::DELETE_ALL
        | OpCode::CDT_MODIFY
        | OpCode::BITS_MODIFY
        | OpCode::HLL_MODIFY => false,
        _ => true,
    }
}
