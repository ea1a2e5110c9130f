//! Records on their way from node to node.
//!
//! ```text
//! record:    digest 20 │ generation u16 │ void-time u32 │ last update u64 │ set: u8 + text
//!            │ key: particle, type 0 for none │ bins u16 │ bins: name u8 + bytes, particle
//! particle:  type u8 │ u32 + bytes
//! ```
//!
//! Numbers are big-endian.

use bytes::{Buf, BufMut};
use protocol::key::Digest;
use protocol::particle::{Particle, ParticleType};

use data::record::{Bin, BinName, Record};

/// A record without its set's statistics: what one node tells another.
#[derive(Clone, Debug)]
pub(super) struct Portable {
    pub(super) digest: Digest,
    /// Name of the set, empty for none.
    pub(super) set: String,
    /// The version; its set is still to be looked up.
    pub(super) record: Record,
}

/// Appends a record.
pub(super) fn write(digest: &Digest, record: &Record, out: &mut Vec<u8>) {
    out.put_slice(&digest.0);
    out.put_u16(record.generation);
    out.put_u32(record.void_time);
    out.put_u64(record.last_update_ms);
    short(record.set_name().as_bytes(), out);
    match &record.key {
        Some(key) => particle(key, out),
        None => particle(
            &Particle {
                kind: ParticleType::NIL,
                data: Default::default(),
            },
            out,
        ),
    }
    // A record has at most 32,767 bins.
    out.put_u16(u16::try_from(record.bins.len()).unwrap_or(u16::MAX));
    for bin in record.bins.iter().take(usize::from(u16::MAX)) {
        short(bin.name.as_bytes(), out);
        particle(&bin.particle, out);
    }
}

/// Text of at most 255 bytes: names of sets and bins are shorter.
fn short(text: &[u8], out: &mut Vec<u8>) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.put_u8(length);
    out.put_slice(text.get(..usize::from(length)).unwrap_or_default());
}

fn particle(particle: &Particle, out: &mut Vec<u8>) {
    out.put_u8(particle.kind.0);
    // Values are far below 4 GiB.
    let length = u32::try_from(particle.data.len()).unwrap_or(u32::MAX);
    out.put_u32(length);
    out.put_slice(&particle.data);
}

/// Takes the next record off the front; `None` when the bytes are not one.
pub(super) fn read(bytes: &mut &[u8]) -> Option<Portable> {
    let mut digest = [0; 20];
    bytes.try_copy_to_slice(&mut digest).ok()?;
    let generation = bytes.try_get_u16().ok()?;
    let void_time = bytes.try_get_u32().ok()?;
    let last_update_ms = bytes.try_get_u64().ok()?;
    let set = std::str::from_utf8(read_short(bytes)?).ok()?.to_owned();
    let key = Some(read_particle(bytes)?).filter(|key| key.kind != ParticleType::NIL);
    let count = bytes.try_get_u16().ok()?;
    let mut bins = Vec::new();
    for _ in 0..count {
        bins.push(Bin {
            name: BinName::new(read_short(bytes)?)?,
            particle: read_particle(bytes)?,
        });
    }
    Some(Portable {
        digest: Digest(digest),
        set,
        record: Record {
            bins,
            generation,
            void_time,
            last_update_ms,
            set: None,
            key,
        },
    })
}

fn read_short<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = bytes.try_get_u8().ok()?;
    split(bytes, length.into())
}

fn read_particle(bytes: &mut &[u8]) -> Option<Particle> {
    let kind = ParticleType(bytes.try_get_u8().ok()?);
    let length = bytes.try_get_u32().ok()?;
    let data = split(bytes, usize::try_from(length).ok()?)?;
    Some(Particle {
        kind,
        data: data.to_vec().into(),
    })
}

fn split<'b>(bytes: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use data::record::Set;

    #[test]
    fn records_arrive_as_they_were_sent() {
        let bin = |name: &[u8], particle| Bin {
            name: BinName::new(name).unwrap(),
            particle,
        };
        let record = Record {
            bins: vec![
                bin(b"", Particle::integer(-1)),
                bin(b"123456789012345", Particle::string("text")),
                bin(
                    b"\xff",
                    Particle {
                        kind: ParticleType(77),
                        data: vec![0, 1].into(),
                    },
                ),
            ],
            generation: 65_535,
            void_time: 7,
            last_update_ms: 1 << 40,
            set: Some(Arc::new(Set::new("a set"))),
            key: Some(Particle::string("key")),
        };
        let digest = Digest([9; 20]);
        let mut bytes = Vec::new();
        write(&digest, &record, &mut bytes);
        write(&Digest([8; 20]), &Record::default(), &mut bytes);
        let mut rest = bytes.as_slice();
        let first = read(&mut rest).unwrap();
        assert_eq!((first.digest, first.set.as_str()), (digest, "a set"));
        let read_again = &first.record;
        assert_eq!(read_again.bins, record.bins);
        assert_eq!(read_again.key, record.key);
        assert_eq!(
            (
                read_again.generation,
                read_again.void_time,
                read_again.last_update_ms
            ),
            (record.generation, record.void_time, record.last_update_ms)
        );
        let second = read(&mut rest).unwrap();
        assert!(second.record.bins.is_empty() && second.record.key.is_none() && rest.is_empty());

        for end in 0..bytes.len() {
            let mut cut = &bytes[..end];
            // Either the first record is whole, or there is none.
            let first = read(&mut cut);
            assert!(first.is_none() || read(&mut cut).is_none(), "{end}");
        }
    }
}
