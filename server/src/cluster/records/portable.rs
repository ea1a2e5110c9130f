//! Records on their way from node to node: each in its stored form, with its length and a checksum in front.
//!
//! ```text
//! length u32 │ CRC-32 of the form u32 │ form
//! ```
//!
//! Both numbers are big-endian. The receiver gives what it takes a token of its own.

use bytes::{Buf, BufMut};
use data::record::StoredRecord;
use protocol::bounds::Fit as _;
use protocol::key::Digest;

/// Appends a record.
pub(super) fn write(record: &StoredRecord, out: &mut Vec<u8>) {
    let form = record.as_bytes();
    // A record is far below 4 GiB.
    out.put_u32(form.len().fit::<u32>());
    out.put_u32(crc32fast::hash(form));
    out.put_slice(form);
}

/// Takes the next record off the front; `None` when the bytes are not one.
pub(super) fn read(bytes: &mut &[u8]) -> Option<StoredRecord> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let checksum = bytes.try_get_u32().ok()?;
    let (form, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    if crc32fast::hash(form) != checksum {
        return None;
    }
    let record = StoredRecord::read(form).ok()?;
    (!record.is_outline()).then_some(record)
}

/// The digest of the last of these records.
pub(super) fn last_digest(mut records: &[u8]) -> Option<Digest> {
    let mut last = None;
    while !records.is_empty() {
        last = Some(read(&mut records)?.digest());
    }
    last
}

#[cfg(test)]
mod tests {
    use data::record::Parts;
    use protocol::particle::Particle;

    use super::*;

    fn record(digest: u8, text: &str) -> StoredRecord {
        let parts = Parts {
            digest: Digest([digest; 20]),
            token: 1,
            generation: 65_535,
            void_time: 7,
            last_update_ms: 1 << 40,
            set: "a set",
            key: None,
        };
        let particle = Particle::string(text.to_owned());
        let bins = [(&b"a"[..], particle.as_ref())];
        StoredRecord::new(&parts, bins.into_iter(), &mut Vec::new()).unwrap()
    }

    #[test]
    fn records_arrive_as_they_were_sent_or_not_at_all() {
        let mut bytes = Vec::new();
        write(&record(9, "first"), &mut bytes);
        let length = bytes.len();
        write(&record(8, "second"), &mut bytes);
        let mut rest = bytes.as_slice();
        for expected in [record(9, "first"), record(8, "second")] {
            let arrived = read(&mut rest).unwrap();
            assert_eq!(arrived.as_bytes(), expected.as_bytes());
        }
        assert!(rest.is_empty());
        for end in 0..bytes.len() {
            let mut cut = &bytes[..end];
            // Either the first record is whole, or there is none; the second never is.
            let first = read(&mut cut);
            assert_eq!(first.is_some(), end >= length, "{end}");
            assert!(read(&mut cut).is_none(), "{end}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let mut rest = changed.as_slice();
            let first = read(&mut rest).map(|record| record.as_bytes().to_vec());
            if at < length {
                assert_eq!(first, None, "byte {at}");
            } else {
                assert_eq!(first.as_deref(), Some(record(9, "first").as_bytes()));
                assert!(read(&mut rest).is_none(), "byte {at}");
            }
        }
    }
}
