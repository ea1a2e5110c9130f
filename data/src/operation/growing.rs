use protocol::bounds::Within as _;
use protocol::particle::{ParticleRef, ParticleType};

/// Smallest room that is kept in front, in bytes.
const LEAST_ROOM: usize = 64;

/// A string or blob that grows at both ends, always in one piece: each change costs what it adds, not what is there.
#[derive(Clone, Debug)]
pub struct Growing {
    kind: ParticleType,
    buffer: Vec<u8>,
    /// Where the value begins; what is before is room.
    start: usize,
}

impl Growing {
    pub(super) fn from(value: ParticleRef<'_>) -> Self {
        Self {
            kind: value.kind,
            buffer: value.data.to_vec(),
            start: 0,
        }
    }

    /// The value as it is now.
    #[must_use]
    pub fn as_ref(&self) -> ParticleRef<'_> {
        // `start` is never behind the end.
        ParticleRef::new(self.kind, self.buffer.within(self.start..))
    }

    pub(super) fn append(&mut self, tail: &[u8]) {
        self.buffer.extend_from_slice(tail);
    }

    pub(super) fn prepend(&mut self, head: &[u8]) {
        if head.len() > self.start {
            let value = self.as_ref().data;
            // As much room again as there is value, so that copying it pays for as many bytes.
            let room = head.len() + value.len().max(LEAST_ROOM);
            let mut grown = Vec::with_capacity(room + value.len());
            grown.resize(room, 0);
            grown.extend_from_slice(value);
            self.buffer = grown;
            self.start = room;
        }
        let from = self.start - head.len();
        if let Some(place) = self.buffer.get_mut(from..self.start) {
            place.copy_from_slice(head);
            self.start = from;
        }
    }
}
