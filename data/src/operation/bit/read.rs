use protocol::bounds::Fit as _;
use protocol::particle::{Particle, ParticleType};
use protocol::result_code::ResultCode;

use super::arguments::{Action, BitCall};
use super::field;
use crate::operation::arguments::malformed;
use crate::operation::{Environment, OperationError};

/// How many bits are looked at at once.
const STEP: usize = 64;

/// The answer of a reading operation.
pub(super) fn read(
    call: &BitCall<'_>,
    blob: &[u8],
    environment: &mut Environment<'_>,
) -> Result<Particle, OperationError> {
    let (offset, size) = region(call, blob)?;
    environment.work.steps(size / STEP)?;
    Ok(match call.action {
        Action::Get => Particle::new(ParticleType::BLOB, copied(blob, offset, size)),
        Action::Count => {
            let mut ones = 0_i64;
            for (start, bits) in steps(size) {
                ones += i64::from(field::get(blob, offset + start, bits).count_ones());
            }
            Particle::integer(ones)
        }
        Action::LeftScan => Particle::integer(left_scan(blob, offset, size, call.truth)),
        Action::RightScan => Particle::integer(right_scan(blob, offset, size, call.truth)),
        _ => {
            let value = field::get(blob, offset, size);
            Particle::integer(if call.sub_flags & BitCall::SIGNED != 0 {
                field::sign_extended(value, size)
            } else {
                value.cast_signed()
            })
        }
    })
}

/// Offset and size in bits, which lie inside the blob.
fn region(call: &BitCall<'_>, blob: &[u8]) -> Result<(usize, usize), OperationError> {
    let bits = blob.len() * 8;
    let offset = match usize::try_from(call.offset) {
        Ok(offset) => offset,
        Err(_) => usize::try_from(call.offset.unsigned_abs())
            .ok()
            .and_then(|back| bits.checked_sub(back))
            .ok_or_else(|| malformed("the offset lies before the start of the blob"))?,
    };
    if offset >= bits || offset + call.size > bits {
        return Err(OperationError::new(
            ResultCode::OP_NOT_APPLICABLE,
            "the bits are not there",
        ));
    }
    Ok((offset, call.size))
}

/// Starts and sizes of the steps through a region.
fn steps(size: usize) -> impl DoubleEndedIterator<Item = (usize, usize)> + ExactSizeIterator {
    let count = size.div_ceil(STEP);
    (0..count).map(move |index| (index * STEP, STEP.min(size - index * STEP)))
}

/// The bits, left-aligned; the rest of the last byte is zero.
fn copied(blob: &[u8], offset: usize, size: usize) -> Vec<u8> {
    let mut out = vec![0; size.div_ceil(8)];
    for (start, bits) in steps(size) {
        field::put(
            &mut out,
            start,
            bits,
            field::get(blob, offset + start, bits),
        );
    }
    out
}

/// The bits of a step, so that those looked for are ones.
fn wanted(blob: &[u8], offset: usize, bits: usize, truth: bool) -> u64 {
    let value = field::get(blob, offset, bits);
    if truth {
        value
    } else {
        !value & ((field::mask(bits) & u128::from(u64::MAX)) as u64)
    }
}

fn left_scan(blob: &[u8], offset: usize, size: usize, truth: bool) -> i64 {
    for (start, bits) in steps(size) {
        let found = wanted(blob, offset + start, bits, truth);
        if found != 0 {
            let unused = STEP - bits;
            return place(start + found.leading_zeros() as usize - unused);
        }
    }
    -1
}

fn right_scan(blob: &[u8], offset: usize, size: usize, truth: bool) -> i64 {
    for (start, bits) in steps(size).rev() {
        let found = wanted(blob, offset + start, bits, truth);
        if found != 0 {
            return place(start + bits - 1 - found.trailing_zeros() as usize);
        }
    }
    -1
}

/// Regions have at most 2^30 bits.
fn place(bit: usize) -> i64 {
    bit.fit::<i64>()
}
