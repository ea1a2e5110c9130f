//! Compressed messages: a small frame may become a large one.
//!
//! The header inside is looked at first. Then the message is inflated a piece at a time, as the work of a request that may
//! be long: beyond a millisecond not on the worker, and within the memory of all clients' buffers.

use std::time::{Duration, Instant};

use bytes::Bytes;
use data::work::Meter;
use protocol::compress::{CompressError, Opening};

use crate::node::buffers::{NoRoom, Share};
use crate::transaction::Work;

/// Time for the largest message. The request's own limit, which stands inside, counts from when the frame had come.
const INFLATE_LIMIT: Duration = Duration::from_secs(10);

/// Units of work that a byte is counted with: some nanoseconds.
const UNITS_PER_BYTE: usize = 3;

/// What became of a compressed message.
pub(super) enum Inflated {
    /// The body of the record message inside.
    Body(Bytes),
    /// It is none. An empty message is refused in the same way.
    Refused,
}

/// Opens the body of a compressed frame; `others` is what the connection's other buffers hold.
///
/// # Errors
/// The memory of all clients' buffers is spent.
pub(super) fn inflate(body: &[u8], others: usize, share: &mut Share) -> Result<Inflated, NoRoom> {
    let refused = |error: &CompressError| {
        tracing::debug!(target: "service", "{error}");
        Inflated::Refused
    };
    let mut opening = match Opening::begin(body) {
        Ok(opening) => opening,
        Err(error) => return Ok(refused(&error)),
    };
    let mut work = Work::until(Instant::now() + INFLATE_LIMIT);
    loop {
        let capacity = opening.next_capacity();
        share.hold(others + capacity)?;
        match opening.step() {
            Ok(true) => return Ok(Inflated::Body(opening.into_body())),
            Ok(false) => {}
            Err(error) => return Ok(refused(&error)),
        }
        let step = protocol::limits::RECEIVE_CHUNK;
        if work.spend(step * UNITS_PER_BYTE).is_err() {
            return Ok(Inflated::Refused);
        }
    }
}
