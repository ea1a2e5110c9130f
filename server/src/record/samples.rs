//! Records of tests about time, by number.

use data::record::{Bin, BinName, Record, seconds};
use protocol::key::Digest;
use protocol::particle::Particle;

use super::Namespace;

/// Stores a record, as a client's write does; a `ttl` of 0 is for ever, else seconds.
pub(super) async fn put(namespace: &Namespace, number: u8, set: &str, ttl: u32) {
    let now = namespace.now_ms();
    let record = Record {
        bins: vec![Bin {
            name: BinName::new(b"a").unwrap(),
            particle: Particle::integer(1),
        }],
        generation: 1,
        void_time: if ttl == 0 { 0 } else { seconds(now) + ttl },
        last_update_ms: now,
        set: namespace.set(set).unwrap(),
        key: None,
    };
    let digest = Digest([number; 20]);
    namespace.store(&digest, record).await.unwrap();
}

/// The numbers, below 10, of the records that are there.
pub(super) async fn found(namespace: &Namespace) -> Vec<u8> {
    let mut found = Vec::new();
    for number in 0..10 {
        let record = namespace.find(&Digest([number; 20])).await.unwrap();
        found.extend(record.map(|_| number));
    }
    found
}
