//! What a client has sent and nobody has handled yet.

use std::time::{Duration, Instant};

use protocol::bounds::{Fit as _, Within as _};
use protocol::codec::{FrameRef, first_frame};
use protocol::header::{HEADER_SIZE, Header, HeaderError};

/// Bytes that a fresh connection can take in without growing; what most requests fit into.
pub(super) const INITIAL_BYTES: usize = 4 * 1024;

/// Least that the buffer grows by. It grows with what has arrived, never with what a header claims.
const STEP_BYTES: usize = 64 * 1024;

/// A buffer that has grown past this is given back once it is not needed, so one large request does not stay resident.
pub(super) const KEEP_BYTES: usize = 64 * 1024;

/// Bytes that are taken in, or moved to a larger buffer, before other connections have their turn: some tens of
/// microseconds.
pub(super) const TURN_BYTES: usize = 128 * 1024;

/// How long nothing may come of a frame that has begun. Longer than the thirty seconds after which clients give up.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// A frame that has begun has to come at this rate at least, bytes a second, [`SILENCE_LIMIT`] granted.
const SLOWEST_RATE: usize = 16 * 1024;

/// The input buffer of one connection.
#[derive(Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    /// Where the first frame that was not handled begins.
    start: usize,
    /// Bytes to come that belong to a frame which is answered already.
    skipped: u64,
    /// When bytes of the unfinished frame first came, and last; none while there is no such frame.
    unfinished: Option<(Instant, Instant)>,
}

impl Input {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(INITIAL_BYTES),
            start: 0,
            skipped: 0,
            unfinished: None,
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.within(self.start..)
    }

    /// Bytes that were not handled.
    pub(super) fn len(&self) -> usize {
        self.rest().len()
    }

    /// Bytes that it holds.
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The first whole frame that was not handled; it goes with [`handled`](Self::handled).
    pub(super) fn first_frame(&self) -> Result<Option<FrameRef<'_>>, HeaderError> {
        first_frame(self.rest())
    }

    /// Header and what has come of the body of a frame that is not whole.
    pub(super) fn begun_frame(&self) -> Option<(Header, &[u8])> {
        let (header, body) = self.rest().split_first_chunk::<HEADER_SIZE>()?;
        Some((Header::parse(*header).ok()?, body))
    }

    /// Passes over the rest of the frame that has begun: nothing of it is kept.
    pub(super) fn skip_begun_frame(&mut self) {
        let Some((header, body)) = self.begun_frame() else {
            return;
        };
        let came = body.len().fit::<u64>();
        self.skipped = header.size.saturating_sub(came);
        self.start = self.bytes.len();
    }

    /// Whether what comes next belongs to a frame that is answered already.
    pub(super) fn is_passing_over(&self) -> bool {
        self.skipped > 0
    }

    /// New bytes have come.
    pub(super) fn arrived(&mut self) {
        if self.skipped > 0 {
            let came = self.skipped.at_most::<usize>().min(self.len());
            self.skipped -= came.fit::<u64>();
            self.start += came;
        }
    }

    /// So many bytes at the front are done with.
    pub(super) fn handled(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.bytes.len());
        self.unfinished = None;
    }

    /// What it has to hold for the next read; at most as much as its first frame needs, once that is known.
    pub(super) fn wanted_capacity(&self, is_scarce: bool) -> usize {
        let length = self.len();
        if self.skipped > 0 {
            return if is_scarce { INITIAL_BYTES } else { KEEP_BYTES };
        }
        let frame = self
            .rest()
            .first_chunk::<HEADER_SIZE>()
            .and_then(|header| Header::parse(*header).ok())
            .and_then(|header| usize::try_from(header.size).ok())
            .map_or(INITIAL_BYTES, |size| size.saturating_add(HEADER_SIZE));
        let keep = if is_scarce { INITIAL_BYTES } else { KEEP_BYTES };
        let capacity = self.bytes.capacity();
        if length < capacity {
            // What is there does; unless it is far more than is needed.
            if capacity <= keep || length > capacity / 4 {
                return capacity;
            }
            return INITIAL_BYTES.max(length + STEP_BYTES.min(frame.saturating_sub(length)));
        }
        let grown = capacity.saturating_mul(2).max(length + STEP_BYTES);
        grown.min(frame.max(length + 1)).max(INITIAL_BYTES)
    }

    /// Whether its bytes go to another buffer when it is to hold `wanted` bytes, as
    /// [`wanted_capacity`](Self::wanted_capacity) has said.
    pub(super) fn is_moved_by(&self, wanted: usize) -> bool {
        wanted != self.bytes.capacity() || (self.start > 0 && self.len() > TURN_BYTES)
    }

    /// Makes the room of what was handled room for more.
    pub(super) fn use_again(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start.., 0);
            self.bytes.truncate(self.bytes.len() - self.start);
            self.start = 0;
        }
    }

    /// Makes it hold so much; others have their turn meanwhile. The answer is the buffer that it leaves: to give a large one
    /// back to the system takes long.
    pub(super) async fn move_to(&mut self, wanted: usize) -> Vec<u8> {
        let mut moved = Vec::with_capacity(wanted.max(self.len()));
        for piece in self.rest().chunks(TURN_BYTES) {
            moved.extend_from_slice(piece);
            if piece.len() == TURN_BYTES {
                tokio::task::yield_now().await;
            }
        }
        self.start = 0;
        std::mem::replace(&mut self.bytes, moved)
    }

    /// Where the next read goes: into the room that is there, not all of it at once.
    pub(super) fn target(&mut self) -> bytes::buf::Limit<&mut Vec<u8>> {
        let room = self.bytes.capacity() - self.bytes.len();
        bytes::BufMut::limit(&mut self.bytes, room.min(TURN_BYTES))
    }

    /// Until when more of the unfinished frame has to come; none while there is no such frame.
    pub(super) fn deadline(&mut self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        if self.skipped > 0 {
            return Some(now() + SILENCE_LIMIT);
        }
        if self.len() == 0 {
            self.unfinished = None;
            return None;
        }
        let now = now();
        let (first, _) = self.unfinished.unwrap_or((now, now));
        self.unfinished = Some((first, now));
        let seconds = self.len() / SLOWEST_RATE;
        let earned = Duration::from_secs(seconds.at_most::<u64>());
        Some((now + SILENCE_LIMIT).min(first + SILENCE_LIMIT + earned))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use protocol::header::MessageType;

    use super::*;

    async fn receive(input: &mut Input, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let wanted = input.wanted_capacity(false);
            match input.is_moved_by(wanted) {
                true => drop(input.move_to(wanted).await),
                false => input.use_again(),
            }
            let mut target = input.target();
            let count = rest.len().min(target.remaining_mut());
            assert!(count > 0, "there is always room for some");
            target.put_slice(&rest[..count]);
            input.arrived();
            rest = &rest[count..];
        }
    }

    fn frame(size: usize) -> Vec<u8> {
        let header = Header::new(MessageType::Message, size as u64).to_bytes();
        [&header[..], &vec![7; size]].concat()
    }

    #[tokio::test]
    async fn it_grows_with_what_has_come_and_never_beyond_the_frame() {
        let mut input = Input::new();
        let header = Header::new(MessageType::Message, 128 << 20).to_bytes();
        receive(&mut input, &header).await;
        assert_eq!(input.wanted_capacity(false), INITIAL_BYTES);
        receive(&mut input, &vec![0; 1 << 20]).await;
        assert!(input.capacity() <= 2 << 20);
        let mut input = Input::new();
        for size in [0, 10, 5_000, 100_000, 3_000_000] {
            let whole = frame(size);
            receive(&mut input, &whole).await;
            assert!(input.capacity() <= whole.len().max(INITIAL_BYTES).max(KEEP_BYTES));
            let found = input.first_frame().unwrap().unwrap();
            assert_eq!((found.body.len(), found.len()), (size, whole.len()));
            input.handled(whole.len());
            assert_eq!(input.len(), 0);
            assert!(input.wanted_capacity(false) <= KEEP_BYTES);
            assert_eq!(input.wanted_capacity(true), INITIAL_BYTES);
        }
    }

    #[tokio::test]
    async fn others_have_their_turns_while_a_large_frame_moves() {
        let mut input = Input::new();
        receive(&mut input, &frame(40 * TURN_BYTES)[..32 * TURN_BYTES]).await;
        let turns = std::rc::Rc::new(std::cell::Cell::new(0));
        let others = std::rc::Rc::clone(&turns);
        let count = async move {
            loop {
                others.set(others.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            before = input.move_to(40 * TURN_BYTES) => assert_eq!(before.len(), 32 * TURN_BYTES),
            () = count => {}
        }
        assert!(turns.get() >= 32, "{}", turns.get());
        assert!(
            input.target().remaining_mut() <= TURN_BYTES,
            "a read is a turn at most"
        );
    }

    #[tokio::test]
    async fn what_is_answered_before_it_is_whole_is_not_kept() {
        let mut input = Input::new();
        let whole = frame(3_000_000);
        receive(&mut input, &whole[..300_000]).await;
        input.skip_begun_frame();
        receive(&mut input, &[&whole[300_000..], &frame(10)[..]].concat()).await;
        assert_eq!(input.len(), frame(10).len());
        assert!(input.capacity() <= KEEP_BYTES);
        let found = input.first_frame().unwrap().unwrap();
        assert_eq!(found.body, [7; 10]);
        let start = Instant::now();
        receive(&mut input, &whole[..300]).await;
        assert!(input.deadline(|| start).is_some());
    }

    #[tokio::test]
    async fn frames_in_a_row_are_found_whole() {
        let mut input = Input::new();
        let two = [frame(3_000), frame(70_000)].concat();
        receive(&mut input, &two[..60_000]).await;
        assert_eq!(input.first_frame().unwrap().unwrap().body.len(), 3_000);
        input.handled(3_008);
        assert!(input.first_frame().unwrap().is_none());
        receive(&mut input, &two[60_000..]).await;
        assert_eq!(input.first_frame().unwrap().unwrap().body.len(), 70_000);
    }

    #[tokio::test]
    async fn an_unfinished_frame_has_to_come_on() {
        let mut input = Input::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(input.deadline(|| at(0)), None);
        receive(&mut input, &frame(1 << 20)[..10]).await;
        assert_eq!(input.deadline(|| at(0)), Some(at(60)));
        // A byte now and then does not keep it.
        receive(&mut input, &[7]).await;
        assert_eq!(input.deadline(|| at(50)), Some(at(60)));
        // What comes slowly is served.
        receive(&mut input, &vec![7; 32 * SLOWEST_RATE]).await;
        assert_eq!(input.deadline(|| at(59)), Some(at(60 + 32)));
        assert_eq!(input.deadline(|| at(20)), Some(at(80)));
        let rest = input.len();
        input.handled(rest);
        assert_eq!(input.deadline(|| at(99)), None);
    }
}
