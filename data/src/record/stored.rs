use std::fmt;

use bytes::Bytes;
use protocol::bounds::{Fit as _, Within as _};
use protocol::key::{DIGEST_SIZE, Digest};
use protocol::particle::{Particle, ParticleRef};
use triomphe::ThinArc;

use crate::bin::Bins;
use crate::encoded::{Landmarks, SMALLEST};
use crate::metadata::{Metadata, RecordSize};

use super::beside::{self, Beside};
use super::form::{self, BinRef, FormError, Parts, Walk, at};
use super::size::Size;

/// One version of a record, as it is stored: one allocation, shared by those who hold it, never changed.
///
/// A handle is a pointer; a clone counts up. What is read is borrowed from the stored bytes, see [`form`]. Behind them, in
/// the same allocation, are the landmarks of its long lists and maps, see `beside.rs`.
#[derive(Clone)]
pub struct StoredRecord {
    form: ThinArc<(), u8>,
}

impl StoredRecord {
    /// Makes a version of its parts. `scratch` is room to write in; its content is lost.
    ///
    /// # Errors
    /// A part is larger than the form can say.
    pub fn new<'b>(
        parts: &Parts<'_>,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        scratch: &mut Vec<u8>,
    ) -> Result<Self, FormError> {
        let (record, _) = Self::new_after(None, parts, bins, scratch)?;
        Ok(record)
    }

    /// The same, with its size; `before` is the version that it follows, of which most of a long list or map is often the
    /// same.
    ///
    /// # Errors
    /// A part is larger than the form can say.
    pub fn new_after<'b>(
        before: Option<&Self>,
        parts: &Parts<'_>,
        bins: impl ExactSizeIterator<Item = (&'b [u8], ParticleRef<'b>)>,
        scratch: &mut Vec<u8>,
    ) -> Result<(Self, u64), FormError> {
        scratch.clear();
        let size = parts.write(bins, scratch)?;
        let beside = beside::of(scratch, || before.map(Self::with_landmarks));
        scratch.extend_from_slice(&beside);
        let record = Self {
            form: ThinArc::from_header_and_slice((), scratch),
        };
        Ok((record, size))
    }

    /// Takes bytes from outside of this process: a disk, another node.
    ///
    /// # Errors
    /// They are not a record; see [`form::check`].
    pub fn read(bytes: &[u8]) -> Result<Self, FormError> {
        form::check(bytes)?;
        let beside = beside::of(bytes, || None::<std::iter::Empty<_>>);
        let form = match beside.as_slice() {
            [] => ThinArc::from_header_and_slice((), bytes),
            beside => ThinArc::from_header_and_slice((), &[bytes, beside].concat()),
        };
        Ok(Self { form })
    }

    /// The bytes, to be written somewhere.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.split().0
    }

    /// The bytes, and the landmarks behind them.
    fn split(&self) -> (&[u8], &[u8]) {
        let all = self.all();
        if all.len() < SMALLEST || self.is_outline() {
            return (all, &[]);
        }
        let mut bins = self.bins();
        while bins.next().is_some() {}
        all.split_at_checked(bins.walk.offset).unwrap_or((all, &[]))
    }

    /// All that is allocated.
    #[inline]
    fn all(&self) -> &[u8] {
        &self.form.slice
    }

    /// The bins, each with the landmarks that are kept beside its value.
    #[must_use]
    pub fn with_landmarks(&self) -> LandmarkedBins<'_> {
        let (set, key, bins) = self.parts();
        let has_void_time = self.mark() & form::HAS_VOID_TIME != 0;
        LandmarkedBins {
            size: Size::of(set.len(), key, has_void_time, bins.left),
            bins,
            place: 0,
            beside: Beside::of(self.split().1),
        }
    }

    /// What is known of the record without its key and bins, to be kept while these are on a device.
    #[must_use]
    pub fn outline(&self) -> Self {
        // Limits of records are far below 4 GiB, and so are they.
        let size = self.size().fit::<u32>();
        let mut outline = Vec::with_capacity(at::VARIABLE + 12);
        let end = self.variable().map_or(at::VARIABLE, |(_, end)| end);
        outline.extend_from_slice(self.all().within(..end));
        if let Some(mark) = outline.first_mut() {
            *mark = (*mark | form::OUTLINE) & !form::HAS_KEY;
        }
        outline.extend_from_slice(&size.to_le_bytes());
        Self {
            form: ThinArc::from_header_and_slice((), &outline),
        }
    }

    /// Whether key and bins are elsewhere: it is what [`StoredRecord::outline`] gave.
    #[must_use]
    pub fn is_outline(&self) -> bool {
        self.mark() & form::OUTLINE != 0
    }

    /// Whether both are the same allocation.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.all().as_ptr(), other.all().as_ptr())
    }

    /// The same bytes in memory of its own.
    #[must_use]
    pub fn moved(&self) -> Self {
        Self {
            form: ThinArc::from_header_and_slice((), self.all()),
        }
    }

    #[inline]
    fn mark(&self) -> u8 {
        let [mark] = self.fixed(0, 1);
        mark
    }

    /// A part of fixed place, little-endian, with zeros behind it. Every form is that long: it was checked, or made here.
    fn fixed<const N: usize>(&self, from: usize, to: usize) -> [u8; N] {
        let mut whole = [0; N];
        let part = self.all().get(from..to);
        debug_assert!(part.is_some(), "a form has all its fixed parts");
        if let (Some(part), Some(place)) = (part, whole.get_mut(..to - from)) {
            place.copy_from_slice(part);
        }
        whole
    }

    /// Whether this is a version of the record of this digest, and if not, which way it lies in the order of digests.
    #[must_use]
    #[inline]
    pub fn compare(&self, digest: &Digest) -> std::cmp::Ordering {
        self.all().within(at::DIGEST..at::TOKEN).cmp(&digest.0)
    }

    /// The digest.
    #[must_use]
    #[inline]
    pub fn digest(&self) -> Digest {
        Digest(self.fixed::<DIGEST_SIZE>(at::DIGEST, at::TOKEN))
    }

    /// Names this version: no other of the same digest had it, before or after a restart, and later ones have higher
    /// ones. What "store if it is still this one" compares.
    #[must_use]
    #[inline]
    pub fn token(&self) -> u64 {
        u64::from_le_bytes(self.fixed(at::TOKEN, at::GENERATION))
    }

    /// Number of writes so far, from 1; 65535 is followed by 1.
    #[must_use]
    #[inline]
    pub fn generation(&self) -> u16 {
        u16::from_le_bytes(self.fixed(at::GENERATION, at::LAST_UPDATE))
    }

    /// When it was last written, in milliseconds since 2010-01-01 UTC.
    #[must_use]
    #[inline]
    pub fn last_update_ms(&self) -> u64 {
        u64::from_le_bytes(self.fixed(at::LAST_UPDATE, at::BINS))
    }

    /// Number of its bins, at least 1 when it is stored.
    #[must_use]
    #[inline]
    pub fn bin_count(&self) -> usize {
        u16::from_le_bytes(self.fixed(at::BINS, at::VARIABLE)).into()
    }

    /// When it expires, in seconds since 2010-01-01 UTC; 0 never.
    #[must_use]
    #[inline]
    pub fn void_time(&self) -> u32 {
        if self.mark() & form::HAS_VOID_TIME == 0 {
            return 0;
        }
        u32::from_le_bytes(self.fixed(at::VARIABLE, at::VARIABLE + 4))
    }

    /// The set, and where it ends. An error is one of the form, which was checked when it came.
    #[inline]
    fn variable(&self) -> Result<(&[u8], usize), FormError> {
        let mut walk = Walk {
            bytes: self.all(),
            offset: at::VARIABLE,
        };
        let set = walk.set_if_marked(self.mark())?;
        Ok((set, walk.offset))
    }

    /// Name of the set, `""` when it is in none.
    #[must_use]
    pub fn set_name(&self) -> &str {
        std::str::from_utf8(self.set_bytes()).unwrap_or("")
    }

    /// The bytes of [`Self::set_name`]: what is only compared or sent need not be looked through.
    #[must_use]
    #[inline]
    pub fn set_bytes(&self) -> &[u8] {
        self.variable().map_or(&[], |(set, _)| set)
    }

    /// The name of the set, the key, if it is stored, and the bins.
    fn parts(&self) -> (&[u8], Option<ParticleRef<'_>>, StoredBins<'_>) {
        let mark = self.mark();
        let mut walk = Walk {
            bytes: self.all(),
            offset: at::VARIABLE,
        };
        let parts = walk.variable_parts(mark);
        debug_assert!(parts.is_ok(), "a form was checked when it came");
        let (set, key) = parts.unwrap_or((&[], None));
        let left = match mark & form::OUTLINE {
            0 if parts.is_ok() => self.bin_count(),
            _ => 0,
        };
        (set, key, StoredBins { walk, left })
    }

    /// The key that the digest was made of, if a client had it stored.
    #[must_use]
    #[inline]
    pub fn key(&self) -> Option<ParticleRef<'_>> {
        if self.mark() & form::HAS_KEY == 0 {
            return None;
        }
        let (_, key, _) = self.parts();
        key
    }

    /// The bins in storage order: that of their first write; removing one moves the last into its place.
    #[must_use]
    pub fn bins(&self) -> StoredBins<'_> {
        let (_, _, bins) = self.parts();
        bins
    }

    /// The value of the bin of this name.
    #[must_use]
    pub fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        let found = self.bins().find(|bin| bin.name == name);
        found.map(|bin| bin.value)
    }

    /// The bins to work on, in storage order. Values stay where they are: a particle shares this record's bytes.
    pub fn to_particles(&self) -> impl ExactSizeIterator<Item = (BinRef<'_>, Particle)> {
        let shared = Bytes::from_owner(self.clone());
        // The owner is the same allocation, so each value lies in it.
        self.bins().map(move |bin| {
            let data = shared.slice_ref(bin.value.data);
            (bin, Particle::new(bin.value.kind, data))
        })
    }

    /// What is known of the record besides its bins.
    #[must_use]
    pub fn metadata<'a>(&'a self, digest: &'a Digest) -> Metadata<'a> {
        Metadata {
            digest,
            set: self.set_bytes(),
            key: self.key(),
            generation: self.generation(),
            void_time: self.void_time(),
            last_update_ms: self.last_update_ms(),
            size: self,
        }
    }

    /// Bytes that the record counts for, in limits and statistics; see `size.rs`.
    #[must_use]
    pub fn size(&self) -> u64 {
        if self.is_outline() {
            let end = self.all().len();
            return u32::from_le_bytes(self.fixed(end.saturating_sub(4), end)).into();
        }
        let (set, key, bins) = self.parts();
        let has_void_time = self.mark() & form::HAS_VOID_TIME != 0;
        let mut size = Size::of(set.len(), key, has_void_time, bins.left);
        for bin in bins {
            size.add(bin.name.len(), bin.value);
        }
        size.bytes()
    }
}

impl Bins for StoredRecord {
    fn bin(&self, name: &[u8]) -> Option<ParticleRef<'_>> {
        Self::bin(self, name)
    }

    fn landmarks(&self, value: ParticleRef<'_>) -> Landmarks<'_> {
        if value.data.len() < SMALLEST || !beside::may_have(value.kind) {
            return Landmarks::NONE;
        }
        let mut bins = self.with_landmarks();
        bins.find(|(bin, _)| std::ptr::eq(bin.value.data, value.data))
            .map_or(Landmarks::NONE, |(_, landmarks)| landmarks)
    }

    fn steps_of_a_look_up(&self) -> usize {
        self.bin_count()
    }
}

impl RecordSize for StoredRecord {
    fn bytes(&self) -> u64 {
        self.size()
    }
}

impl AsRef<[u8]> for StoredRecord {
    /// All that is allocated, so that what is in it can be shared.
    fn as_ref(&self) -> &[u8] {
        self.all()
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredRecord")
            .field("digest", &self.digest())
            .field("token", &self.token())
            .field("generation", &self.generation())
            .field("void_time", &self.void_time())
            .field("last_update_ms", &self.last_update_ms())
            .field("set", &self.set_name())
            .field("key", &self.key())
            .field("bins", &self.bins().collect::<Vec<_>>())
            .finish()
    }
}

/// The bins of a record, one after the other.
#[derive(Clone, Debug)]
pub struct StoredBins<'a> {
    walk: Walk<'a>,
    left: usize,
}

impl<'a> Iterator for StoredBins<'a> {
    type Item = BinRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<BinRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let bin = self.walk.next_bin();
        debug_assert!(bin.is_some(), "a form was checked when it came");
        bin
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for StoredBins<'_> {}

/// The bins of a record, one after the other, each with the landmarks that are kept beside its value.
#[derive(Clone, Debug)]
pub struct LandmarkedBins<'a> {
    bins: StoredBins<'a>,
    place: usize,
    beside: Beside<'a>,
    size: Size,
}

impl LandmarkedBins<'_> {
    /// The record's [`StoredRecord::size`], once all bins have been given: who goes over them anyway need not do so again.
    #[must_use]
    pub fn size(&self) -> u64 {
        debug_assert_eq!(
            self.bins.left, 0,
            "bins that were not given are not counted"
        );
        self.size.bytes()
    }
}

impl<'a> Iterator for LandmarkedBins<'a> {
    type Item = (BinRef<'a>, Landmarks<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let bin = self.bins.next()?;
        self.size.add(bin.name.len(), bin.value);
        let landmarks = self.beside.next_of(self.place);
        self.place += 1;
        Some((bin, landmarks))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.bins.size_hint()
    }
}

impl ExactSizeIterator for LandmarkedBins<'_> {}

#[cfg(test)]
mod tests {
    use protocol::particle::ParticleType;

    use super::*;

    /// A name and a value.
    type Bin = (Vec<u8>, Particle);

    fn bin(name: &str, particle: Particle) -> Bin {
        (name.into(), particle)
    }

    fn bins_of(record: &StoredRecord) -> Vec<Bin> {
        let bins = record.to_particles();
        bins.map(|(bin, particle)| (bin.name.to_vec(), particle))
            .collect()
    }

    fn plain() -> Parts<'static> {
        Parts {
            digest: Digest([7; 20]),
            token: 3,
            generation: 1,
            void_time: 0,
            last_update_ms: 5,
            set: "",
            key: None,
        }
    }

    fn stored(parts: &Parts<'_>, bins: &[Bin]) -> StoredRecord {
        let bins = bins
            .iter()
            .map(|(name, particle)| (&name[..], particle.as_ref()));
        let (record, size) = StoredRecord::new_after(None, parts, bins, &mut Vec::new()).unwrap();
        assert_eq!(record.size(), size, "the same, written or gone over");
        record
    }

    fn of_many_kinds() -> (Parts<'static>, Vec<Bin>) {
        let parts = Parts {
            token: form::MAX_U48,
            generation: u16::MAX,
            void_time: u32::MAX,
            last_update_ms: form::MAX_U48 - 1,
            set: "a set",
            key: Some(ParticleRef::new(ParticleType::STRING, b"key")),
            ..plain()
        };
        let mut bins = vec![
            bin("", Particle::string("text")),
            bin("123456789012345", Particle::float(1.5)),
            bin("flag", Particle::bool(true)),
            bin(
                "odd int",
                Particle::new(ParticleType::INTEGER, &b"\x01\x02\x03"[..]),
            ),
            bin("odd bool", Particle::new(ParticleType::BOOL, &b""[..])),
            bin("other", Particle::new(ParticleType(77), &b"\0\x01"[..])),
            bin("large", Particle::string(vec![b'x'; 70_000])),
        ];
        for (at, value) in [
            0,
            1,
            255,
            256,
            65_535,
            65_536,
            (1 << 32) - 1,
            1 << 32,
            -1,
            i64::MIN,
        ]
        .into_iter()
        .enumerate()
        {
            bins.push(bin(&format!("i{at}"), Particle::integer(value)));
        }
        (parts, bins)
    }

    #[test]
    fn what_is_stored_is_read_as_it_was() {
        let (parts, bins) = of_many_kinds();
        let record = stored(&parts, &bins);
        let again = StoredRecord::read(record.as_bytes()).unwrap();
        assert_eq!(again.digest(), parts.digest);
        assert_eq!(again.token(), parts.token);
        assert_eq!(again.generation(), parts.generation);
        assert_eq!(again.void_time(), parts.void_time);
        assert_eq!(again.last_update_ms(), parts.last_update_ms);
        assert_eq!(again.set_name(), parts.set);
        assert_eq!(again.key(), parts.key);
        assert_eq!(bins_of(&again), bins);
        assert_eq!(again.bin(b"flag"), Some(Particle::bool(true).as_ref()));
        assert!(again.bin(b"missing").is_none());
    }

    #[test]
    fn every_other_length_is_refused() {
        let (parts, bins) = of_many_kinds();
        let (whole, small) = (stored(&parts, &bins), stored(&plain(), &bins[..3]));
        for record in [whole, small] {
            let bytes = record.as_bytes();
            for end in (0..bytes.len().min(400)).chain([bytes.len() - 1]) {
                assert!(StoredRecord::read(&bytes[..end]).is_err(), "{end} bytes");
            }
            assert!(StoredRecord::read(&[bytes, &[0]].concat()).is_err());
        }
    }

    #[test]
    fn another_version_and_nonsense_are_named() {
        let mut bytes = stored(&plain(), &[bin("a", Particle::integer(1))])
            .as_bytes()
            .to_vec();
        bytes[0] = 2;
        assert_eq!(
            StoredRecord::read(&bytes).map(drop),
            Err(FormError::Version { found: 2 })
        );
        bytes[0] = 1;
        let head = bytes.len() - 11;
        bytes[head] = 0x31;
        let refused = StoredRecord::read(&bytes).map(drop).unwrap_err();
        assert_eq!(
            refused,
            FormError::Malformed {
                part: "bin",
                offset: head
            }
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "s".repeat(256);
        let set = Parts {
            set: &long,
            ..plain()
        };
        let mut out = vec![1];
        assert_eq!(
            set.write(std::iter::empty::<(&[u8], _)>(), &mut out),
            Err(FormError::TooLarge {
                part: "name of the set",
                size: 256
            })
        );
        let name = [0; 16];
        let bins = [(&name[..], ParticleRef::NIL)];
        assert_eq!(
            plain().write(bins.into_iter(), &mut out),
            Err(FormError::TooLarge {
                part: "name of a bin",
                size: 16
            })
        );
        assert_eq!(out, [1], "nothing is left behind");
    }

    #[test]
    fn an_outline_knows_all_but_key_and_bins() {
        let (parts, bins) = of_many_kinds();
        let record = stored(&parts, &bins);
        let outline = record.outline();
        assert!(outline.is_outline() && !record.is_outline());
        assert_eq!(outline.size(), record.size());
        assert_eq!(
            (outline.token(), outline.generation()),
            (record.token(), record.generation())
        );
        assert_eq!(
            (outline.void_time(), outline.set_name()),
            (record.void_time(), "a set")
        );
        assert_eq!(outline.digest(), record.digest());
        assert_eq!((outline.key(), outline.bins().count()), (None, 0));
        assert!(outline.as_bytes().len() < 60);
        assert!(StoredRecord::read(outline.as_bytes()).is_ok());
    }

    #[test]
    fn size_follows_the_parts_in_steps_of_16() {
        let golden = stored(
            &Parts {
                set: "golden",
                ..plain()
            },
            &[
                bin("a", Particle::integer(1)),
                bin("b", Particle::string("two")),
            ],
        );
        assert_eq!(golden.size(), 64);
        assert_eq!(stored(&plain(), &[]).size(), 48);
        let large = [bin("a", Particle::string(vec![0; 1 << 20]))];
        assert_eq!(stored(&plain(), &large).size(), (1 << 20) + 48);
    }

    proptest::proptest! {
        #[test]
        fn changed_bytes_are_refused_or_read_without_harm(at in 0_usize..120, byte: u8) {
            let (parts, bins) = of_many_kinds();
            let mut bytes = stored(&parts, &bins[..5]).as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok(record) = StoredRecord::read(&bytes) {
                proptest::prop_assert!(record.bins().count() <= record.bin_count());
                let _ = (record.key(), record.set_name(), record.size());
            }
        }
    }
}
