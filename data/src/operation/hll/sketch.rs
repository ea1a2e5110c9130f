//! The particle: flags, bits of the index, bits of the minhash, a cached count, registers.

use protocol::bounds::{Fit as _, Within as _};

use super::hash::murmur3;
use crate::operation::bit::field;

/// Bytes before the registers.
const HEAD: usize = 11;

/// Bits of a register that hold the number of trailing zeros.
const RANK_BITS: u8 = 6;

/// Bits of index and minhash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// There are 2 to this power registers.
    pub(super) index_bits: u8,
    /// Bits of the hash that each register keeps.
    pub(super) minhash_bits: u8,
}

impl Shape {
    /// A shape within the limits: 4 to 16, and 0 or 4 to 51.
    pub(super) fn new(index_bits: i64, minhash_bits: i64) -> Option<Self> {
        let valid = (4..=16).contains(&index_bits)
            && (minhash_bits == 0 || (4..=51).contains(&minhash_bits))
            && index_bits + minhash_bits <= 64;
        let shape = Self {
            index_bits: u8::try_from(index_bits).ok()?,
            minhash_bits: u8::try_from(minhash_bits).ok()?,
        };
        valid.then_some(shape)
    }

    /// Number of registers.
    pub(super) fn registers(self) -> usize {
        1 << self.index_bits
    }

    fn register_bits(self) -> usize {
        usize::from(RANK_BITS + self.minhash_bits)
    }

    /// Size of the whole particle.
    pub(super) fn size(self) -> usize {
        HEAD + (self.register_bits() * self.registers()).div_ceil(8)
    }
}

/// A sketch that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sketch<'a> {
    pub(super) shape: Shape,
    bytes: &'a [u8],
}

impl<'a> Sketch<'a> {
    /// The sketch, when the bytes are one of exactly the size that it says.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let [0, index_bits, minhash_bits, ..] = *bytes else {
            return None;
        };
        let shape = Shape::new(index_bits.into(), minhash_bits.into())?;
        (bytes.len() == shape.size()).then_some(Self { shape, bytes })
    }

    /// The cached count; 0 is none.
    pub(super) fn cached(&self) -> u64 {
        match self
            .bytes
            .get(3..HEAD)
            .and_then(|bytes| bytes.try_into().ok())
        {
            Some(bytes) => u64::from_le_bytes(bytes),
            None => 0,
        }
    }

    fn area(&self) -> &'a [u8] {
        self.bytes.within(HEAD..)
    }

    /// The whole value of a register.
    pub(super) fn register(&self, index: usize) -> u64 {
        let bits = self.shape.register_bits();
        field::get(self.area(), index * bits, bits)
    }

    /// All registers.
    pub(super) fn registers(&self) -> impl Iterator<Item = u64> {
        (0..self.shape.registers()).map(|index| self.register(index))
    }

    /// Whether nothing was added, as similarity sees it: by the first bytes of the registers only.
    pub(super) fn looks_empty(&self) -> bool {
        self.area()
            .iter()
            .take(self.shape.registers())
            .all(|byte| *byte == 0)
    }
}

/// A sketch that is made or changed.
#[derive(Clone, Debug)]
pub(super) struct SketchBuilder {
    shape: Shape,
    bytes: Vec<u8>,
}

impl SketchBuilder {
    /// An empty sketch.
    pub(super) fn empty(shape: Shape) -> Self {
        let mut bytes = vec![0; shape.size()];
        if let [_, index_bits, minhash_bits, ..] = bytes.as_mut_slice() {
            *index_bits = shape.index_bits;
            *minhash_bits = shape.minhash_bits;
        }
        Self { shape, bytes }
    }

    /// A copy.
    pub(super) fn of(sketch: &Sketch<'_>) -> Self {
        Self {
            shape: sketch.shape,
            bytes: sketch.bytes.to_vec(),
        }
    }

    /// To read it.
    pub(super) fn as_sketch(&self) -> Sketch<'_> {
        Sketch {
            shape: self.shape,
            bytes: &self.bytes,
        }
    }

    /// Stores the count that reads answer from now on.
    pub(super) fn cache(&mut self, count: u64) {
        if let Some(slot) = self.bytes.get_mut(3..HEAD) {
            slot.copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Raises a register to the value. Whether it was lower.
    pub(super) fn raise(&mut self, index: usize, value: u64) -> bool {
        if self.as_sketch().register(index) >= value {
            return false;
        }
        let bits = self.shape.register_bits();
        if let Some(area) = self.bytes.get_mut(HEAD..) {
            field::put(area, index * bits, bits, value);
        }
        true
    }

    /// The bytes of the particle.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The register that an element falls into, and the value that it gives it.
pub(super) fn place(shape: Shape, element: &[u8]) -> (usize, u64) {
    let (h1, h2) = murmur3(element);
    let index = h1 & (shape.registers() as u64 - 1);
    let minhash = (h1 >> shape.index_bits) & ((1_u64 << shape.minhash_bits) - 1);
    // Of six bits; 63 trailing zeros are not met.
    let rank = u64::from(h2.trailing_zeros() + 1).min(63);
    (index.fit::<usize>(), (rank << shape.minhash_bits) | minhash)
}
