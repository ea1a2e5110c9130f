//! What nodes say about copies of partitions. Numbers are big-endian.
//!
//! ```text
//! holding:    lineage u64 │ number u32 │ ancestors: u8 × (u64, u32)
//! holdings:   u16 × (partition u16, holding)
//!
//! Holdings:   key u64                                     answer: holdings, unnoted, truncations
//! Take:       key u64 │ after │ u16 × partition u16       answer: blocks, until their end or about a mebibyte
//! unnoted:    u16 × partition u16                         of the holdings those that a crash may take back
//! after:      namespace: u8 + text │ digest 20            where the first partition goes on; no digest without a namespace
//! truncations: of namespace: u8 + text, set: u8 + text, before ms u64; as many as follow
//! block:      partition u16 │ whole u8 │ namespace: u8 + text │ records: u32 + bytes
//! Drop:       key u64 │ holdings                          answer: u16 × partition u16, those that were dropped
//! ```
//!
//! The last block of a partition says that it is whole, and holds nothing else.

use bytes::{Buf, BufMut};
use protocol::bounds::Fit as _;
use protocol::key::Digest;

use super::super::ownership::{Holding, Holdings};
use crate::storage::Truncation;

/// Where a partition goes on: a namespace, and the record before.
pub(super) type After = Option<(String, Digest)>;

pub(super) struct TakeQuestion {
    pub(super) key: u64,
    pub(super) after: After,
    pub(super) partitions: Vec<u16>,
}

/// Part of a partition.
pub(super) struct Block<'b> {
    pub(super) partition: u16,
    pub(super) is_whole: bool,
    pub(super) namespace: &'b str,
    pub(super) records: &'b [u8],
}

fn put_count(count: usize, out: &mut Vec<u8>) {
    // There are 4096 partitions.
    out.put_u16(count.fit::<u16>());
}

/// Names of namespaces have at most 31 bytes, of sets 63.
fn put_name(name: &str, out: &mut Vec<u8>) {
    out.put_u8(name.len().fit::<u8>());
    out.put_slice(name.as_bytes());
}

fn name<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let length = rest.try_get_u8().ok()?;
    let (name, tail) = rest.split_at_checked(length.into())?;
    *rest = tail;
    std::str::from_utf8(name).ok()
}

pub(super) fn key_only(key: u64) -> Vec<u8> {
    key.to_be_bytes().to_vec()
}

pub(super) fn read_key(rest: &mut &[u8]) -> Option<u64> {
    rest.try_get_u64().ok()
}

pub(super) fn put_holdings(holdings: &Holdings, out: &mut Vec<u8>) {
    put_count(holdings.len(), out);
    for (partition, holding) in holdings {
        out.put_u16(*partition);
        put_holding(holding, out);
    }
}

pub(super) fn put_holding(holding: &Holding, out: &mut Vec<u8>) {
    let (lineage, number, ancestors) = holding.parts();
    out.put_u64(lineage);
    out.put_u32(number);
    // There are few.
    out.put_u8(ancestors.len().fit::<u8>());
    for (lineage, number) in ancestors {
        out.put_u64(*lineage);
        out.put_u32(*number);
    }
}

pub(super) fn read_holdings(rest: &mut &[u8]) -> Option<Holdings> {
    let mut holdings = Holdings::new();
    for _ in 0..rest.try_get_u16().ok()? {
        let partition = rest.try_get_u16().ok()?;
        holdings.push((partition, read_holding(rest)?));
    }
    Some(holdings)
}

pub(super) fn read_holding(rest: &mut &[u8]) -> Option<Holding> {
    let (lineage, number) = (rest.try_get_u64().ok()?, rest.try_get_u32().ok()?);
    let mut ancestors = Vec::new();
    for _ in 0..rest.try_get_u8().ok()? {
        ancestors.push((rest.try_get_u64().ok()?, rest.try_get_u32().ok()?));
    }
    Some(Holding::from_parts(lineage, number, ancestors))
}

/// Appends the truncations of namespaces.
pub(super) fn put_truncations<'t>(
    truncations: impl Iterator<Item = (&'t str, Truncation)>,
    out: &mut Vec<u8>,
) {
    for (namespace, Truncation { set, before_ms }) in truncations {
        put_name(namespace, out);
        put_name(&set, out);
        out.put_u64(before_ms);
    }
}

/// Truncations with their namespaces, to the end.
pub(super) fn read_truncations(mut rest: &[u8]) -> Option<Vec<(String, Truncation)>> {
    let mut truncations = Vec::new();
    while !rest.is_empty() {
        let namespace = name(&mut rest)?.to_owned();
        let set = name(&mut rest)?.to_owned();
        let before_ms = rest.try_get_u64().ok()?;
        truncations.push((namespace, Truncation { set, before_ms }));
    }
    Some(truncations)
}

pub(super) fn put_partitions<'p>(
    partitions: impl IntoIterator<Item = &'p u16, IntoIter: ExactSizeIterator>,
    out: &mut Vec<u8>,
) {
    let partitions = partitions.into_iter();
    put_count(partitions.len(), out);
    partitions.for_each(|partition| out.put_u16(*partition));
}

pub(super) fn read_partitions<P: FromIterator<u16>>(rest: &mut &[u8]) -> Option<P> {
    let count = rest.try_get_u16().ok()?;
    (0..count).map(|_| rest.try_get_u16().ok()).collect()
}

pub(super) fn take_question(key: u64, after: &After, partitions: &[u16]) -> Vec<u8> {
    let mut out = key_only(key);
    match after {
        Some((namespace, digest)) => {
            put_name(namespace, &mut out);
            out.put_slice(&digest.0);
        }
        None => put_name("", &mut out),
    }
    put_partitions(partitions, &mut out);
    out
}

pub(super) fn read_take_question(mut rest: &[u8]) -> Option<TakeQuestion> {
    let key = read_key(&mut rest)?;
    let after = match name(&mut rest)? {
        "" => None,
        namespace => {
            let mut digest = [0; 20];
            rest.try_copy_to_slice(&mut digest).ok()?;
            Some((namespace.to_owned(), Digest(digest)))
        }
    };
    Some(TakeQuestion {
        key,
        after,
        partitions: read_partitions(&mut rest)?,
    })
}

pub(super) fn put_block(block: &Block<'_>, out: &mut Vec<u8>) {
    out.put_u16(block.partition);
    out.put_u8(u8::from(block.is_whole));
    put_name(block.namespace, out);
    // An answer has about a mebibyte, and a record at most a few.
    out.put_u32(block.records.len().fit::<u32>());
    out.put_slice(block.records);
}

pub(super) fn read_block<'b>(rest: &mut &'b [u8]) -> Option<Block<'b>> {
    let partition = rest.try_get_u16().ok()?;
    let is_whole = rest.try_get_u8().ok()? != 0;
    let namespace = name(rest)?;
    let length = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    let (records, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(Block {
        partition,
        is_whole,
        namespace,
        records,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let holdings = vec![
            (1, Holding::from_parts(2, 3, vec![(4, 5), (6, 7)])),
            (4_095, Holding::from_parts(u64::MAX, u32::MAX, Vec::new())),
        ];
        let mut bytes = Vec::new();
        put_holdings(&holdings, &mut bytes);
        assert_eq!(read_holdings(&mut bytes.as_slice()), Some(holdings));
        for end in 0..bytes.len() {
            assert_eq!(read_holdings(&mut &bytes[..end]), None);
        }
        let after = Some(("test".to_owned(), Digest([9; 20])));
        for after in [None, after] {
            let read = read_take_question(&take_question(7, &after, &[1, 2])).unwrap();
            assert_eq!(
                (read.key, read.after, read.partitions),
                (7, after, vec![1, 2])
            );
        }
        let mut bytes = Vec::new();
        let unnoted = BTreeSet::from([1, 4_095]);
        put_partitions(&unnoted, &mut bytes);
        assert_eq!(read_partitions(&mut bytes.as_slice()), Some(unnoted));
        let truncations = [("test", ""), ("test", "demo"), ("bar", "demo")].map(|(name, set)| {
            let (set, before_ms) = (set.to_owned(), 1 << 40);
            (name, Truncation { set, before_ms })
        });
        let mut bytes = Vec::new();
        put_truncations(truncations.iter().cloned(), &mut bytes);
        let read = read_truncations(&bytes).unwrap();
        let read = read
            .iter()
            .map(|(name, truncation)| (name.as_str(), truncation.clone()));
        assert!(read.eq(truncations));
        assert!(read_truncations(&bytes[..bytes.len() - 1]).is_none());
        let mut bytes = Vec::new();
        let block = Block {
            partition: 3,
            is_whole: true,
            namespace: "test",
            records: b"abc",
        };
        put_block(&block, &mut bytes);
        let read = read_block(&mut bytes.as_slice()).unwrap();
        assert_eq!((read.partition, read.is_whole), (3, true));
        assert_eq!((read.namespace, read.records), ("test", b"abc".as_slice()));
    }
}
