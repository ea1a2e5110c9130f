use protocol::bounds::Within as _;
use protocol::result_code::ResultCode;

use super::MAX_BYTES;
use super::arguments::{Action, BitCall};
use super::field;
use crate::operation::arguments::malformed;
use crate::operation::{Environment, OperationError};

/// How many bits are moved at once.
const STEP: usize = 64;

/// The changed blob; `None` when nothing changes because the operation may not fail.
pub(super) fn modify(
    call: &BitCall<'_>,
    blob: &[u8],
    environment: &mut Environment<'_>,
) -> Result<Option<Vec<u8>>, OperationError> {
    match call.action {
        Action::Resize => resize(call, blob, environment),
        Action::Insert => insert(call, blob, environment),
        Action::Remove => remove(call, blob),
        Action::Add | Action::Subtract | Action::SetInteger => integer(call, blob),
        _ => region(call, blob, environment),
    }
}

/// The failure, unless the operation may not fail.
fn refused(
    call: &BitCall<'_>,
    code: ResultCode,
    cause: &str,
) -> Result<Option<Vec<u8>>, OperationError> {
    call.forgive(code, cause).map(|_| None)
}

/// Refuses sizes before memory is taken for them.
fn room(size: usize, environment: &mut Environment<'_>) -> Result<(), OperationError> {
    if i64::try_from(size).is_ok_and(|size| size < MAX_BYTES) {
        // Fresh memory costs more than bytes that are there.
        environment.work.spend(size / 2)?;
        if size <= environment.limits.max_particle_bytes {
            return Ok(());
        }
        return Err(OperationError::new(
            ResultCode::RECORD_TOO_BIG,
            format!("a blob of {size} bytes"),
        ));
    }
    Err(malformed(&format!("a blob of {size} bytes")))
}

fn resize(
    call: &BitCall<'_>,
    blob: &[u8],
    environment: &mut Environment<'_>,
) -> Result<Option<Vec<u8>>, OperationError> {
    let flag = |flag| call.sub_flags & flag != 0;
    let size = call.size;
    if (size > blob.len() && flag(BitCall::SHRINK_ONLY))
        || (size < blob.len() && flag(BitCall::GROW_ONLY))
    {
        return refused(
            call,
            ResultCode::PARAMETER,
            "the blob may not be resized that way",
        );
    }
    room(size, environment)?;
    let front = flag(BitCall::FROM_FRONT);
    let mut out = Vec::with_capacity(size);
    if let Some(more) = size.checked_sub(blob.len()) {
        if front {
            out.resize(more, 0);
        }
        out.extend_from_slice(blob);
        out.resize(size, 0);
    } else {
        let kept = if front {
            blob.get(blob.len() - size..)
        } else {
            blob.get(..size)
        };
        out.extend_from_slice(kept.unwrap_or(blob));
    }
    Ok(Some(out))
}

/// The offset from the start; negative ones count from the end, which is `length` away.
fn absolute(offset: i64, length: usize) -> Result<usize, OperationError> {
    match usize::try_from(offset) {
        Ok(offset) => Ok(offset),
        Err(_) => usize::try_from(offset.unsigned_abs())
            .ok()
            .and_then(|back| length.checked_sub(back))
            .ok_or_else(|| malformed("the offset lies before the start of the blob")),
    }
}

fn insert(
    call: &BitCall<'_>,
    blob: &[u8],
    environment: &mut Environment<'_>,
) -> Result<Option<Vec<u8>>, OperationError> {
    let at = absolute(call.offset, blob.len())?;
    let size = blob.len().max(at) + call.buffer.len();
    room(size, environment)?;
    let (before, after) = blob.split_at_checked(at).unwrap_or((blob, &[]));
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(before);
    out.resize(at, 0);
    out.extend_from_slice(call.buffer);
    out.extend_from_slice(after);
    Ok(Some(out))
}

fn remove(call: &BitCall<'_>, blob: &[u8]) -> Result<Option<Vec<u8>>, OperationError> {
    let at = absolute(call.offset, blob.len())?;
    let end = at + call.size;
    let outside = at >= blob.len() || (end > blob.len() && !call.has(BitCall::PARTIAL));
    if outside {
        return refused(
            call,
            ResultCode::PARAMETER,
            "the bytes to remove are not there",
        );
    }
    let before = blob.within(..at);
    let after = blob.within(end.min(blob.len())..);
    Ok(Some([before, after].concat()))
}

/// Offset and size of the region, in bits; `None` when it is not inside and the operation may not fail.
fn bounds(
    call: &BitCall<'_>,
    blob: &[u8],
    may_cut: bool,
) -> Result<Option<(usize, usize)>, OperationError> {
    let bits = blob.len() * 8;
    let offset = absolute(call.offset, bits)?;
    // Judged by bytes, and blobs have no other bits.
    if offset < bits && offset + call.size <= bits {
        return Ok(Some((offset, call.size)));
    }
    if offset < bits && may_cut && call.has(BitCall::PARTIAL) {
        return Ok(Some((offset, bits - offset)));
    }
    refused(
        call,
        ResultCode::OP_NOT_APPLICABLE,
        "the bits are not there",
    )
    .map(|_| None)
}

/// Set, or, xor, and, not, shifts.
fn region(
    call: &BitCall<'_>,
    blob: &[u8],
    environment: &mut Environment<'_>,
) -> Result<Option<Vec<u8>>, OperationError> {
    let Some((offset, size)) = bounds(call, blob, true)? else {
        return Ok(None);
    };
    let shift = usize::try_from(call.value).map_or(size, |shift| shift.min(size));
    let mut out = blob.to_vec();
    for start in (0..size).step_by(STEP) {
        environment.work.steps(1)?;
        let bits = STEP.min(size - start);
        let old = field::get(blob, offset + start, bits);
        let new = || field::get(call.buffer, start, bits);
        let value = match call.action {
            Action::Set => new(),
            Action::Or => old | new(),
            Action::Xor => old ^ new(),
            Action::And => old & new(),
            Action::Not => !old,
            Action::LeftShift => {
                // What comes from behind the region is zero.
                let there = bits.min(size.saturating_sub(start + shift));
                let moved = field::get(blob, offset + start + shift, there);
                moved
                    .checked_shl(u32::try_from(bits - there).unwrap_or(64))
                    .unwrap_or(0)
            }
            _ => {
                let missing = bits.min(shift.saturating_sub(start));
                let from = (offset + start + missing).saturating_sub(shift);
                field::get(blob, from, bits - missing)
            }
        };
        field::put(&mut out, offset + start, bits, value);
    }
    Ok(Some(out))
}

/// Add, subtract, set: the field is one big-endian integer.
fn integer(call: &BitCall<'_>, blob: &[u8]) -> Result<Option<Vec<u8>>, OperationError> {
    let Some((offset, bits)) = bounds(call, blob, false)? else {
        return Ok(None);
    };
    let mask = (field::mask(bits) & u128::from(u64::MAX)) as u64;
    let old = field::get(blob, offset, bits);
    let operand = call.value.cast_unsigned() & mask;
    let signed = call.sub_flags & BitCall::SIGNED != 0;
    let (sum, limit) = match call.action {
        Action::SetInteger => (operand, None),
        Action::Add if !signed => {
            let sum = old.wrapping_add(operand) & mask;
            (sum, (sum < old).then_some(mask))
        }
        Action::Subtract if !signed => {
            let difference = old.wrapping_sub(operand) & mask;
            (difference, (operand > old).then_some(0))
        }
        action => {
            let operand = match action {
                Action::Subtract => operand.wrapping_neg() & mask,
                _ => operand,
            };
            let sum = old.wrapping_add(operand) & mask;
            (sum, signed_limit(old, operand, sum, bits, mask))
        }
    };
    let value = match limit {
        None => sum,
        Some(limit) if call.sub_flags & BitCall::SATURATE != 0 => limit,
        Some(_) if call.sub_flags & BitCall::WRAP != 0 => sum,
        Some(_) => return refused(call, ResultCode::OP_NOT_APPLICABLE, "the integer overflows"),
    };
    let mut out = blob.to_vec();
    field::put(&mut out, offset, bits, value);
    Ok(Some(out))
}

/// Where a signed sum that overflows stops. The sum of two negative numbers that is exactly 0 is not seen as one.
fn signed_limit(old: u64, operand: u64, sum: u64, bits: usize, mask: u64) -> Option<u64> {
    let value = |field| field::sign_extended(field, bits);
    let smallest = 1_u64 << (bits.clamp(1, 64) - 1);
    if value(old) >= 0 && value(operand) >= 0 && value(sum) < 0 {
        Some(mask & !smallest)
    } else if value(old) < 0 && value(operand) < 0 && value(sum) > 0 {
        Some(smallest)
    } else {
        None
    }
}
