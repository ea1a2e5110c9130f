use proptest::prelude::*;
use protocol::key::{Digest, Key};
use protocol::particle::{ParticleRef, ParticleType};
use protocol::partition_map::{
    ENCODED_SIZE, NamespaceReplicas, PartitionMap, PartitionMapError, decode_replicas,
    encode_replicas,
};

#[test]
fn digests_and_partitions_are_those_of_the_clients() {
    let cases: [(&str, Key, &str, u16); 6] = [
        (
            "demo",
            "k1".into(),
            "b747f5854d0b33259928d0cfab7fad81d6abfbf6",
            1975,
        ),
        (
            "demo",
            1.into(),
            "b7f4b83889e2da67de683e1df6919a1eacc446c8",
            1207,
        ),
        (
            "demo",
            (-1).into(),
            "e9d49a24c3debdc5a6d551d3e7087999a263bb97",
            1257,
        ),
        (
            "demo",
            Key::Blob(vec![1, 2]),
            "41721215fd2e56087e4f962047729a972784f317",
            577,
        ),
        (
            "demo",
            Key::Float(1.5),
            "10c03b48ac9b3ad8020721c4ef63d5e84485edce",
            16,
        ),
        (
            "",
            "k1".into(),
            "50149955959c2fef0a83613ae80c78bb9c96b269",
            1104,
        ),
    ];
    for (set, key, digest, partition) in cases {
        let found = Digest::of(set, &key);
        assert_eq!(
            (found.to_string().as_str(), found.partition_id()),
            (digest, partition),
            "{set} {key:?}"
        );
        let again = key.with_particle(Key::from_particle);
        assert_eq!(again, Some(key));
    }
}

#[test]
fn rejects_keys_of_other_types_and_sizes() {
    let cases = [
        (ParticleType::INTEGER, &[1_u8][..]),
        (ParticleType::FLOAT, &[0; 4]),
        (ParticleType::LIST, &[0x90]),
    ];
    for (kind, data) in cases {
        assert_eq!(
            Key::from_particle(ParticleRef::new(kind, data)),
            None,
            "{kind}"
        );
    }
}

#[test]
fn full_and_empty_partition_maps_have_the_texts_that_servers_send() {
    assert_eq!(
        PartitionMap::FULL.encode(),
        format!("{}8=", "/".repeat(682))
    );
    assert_eq!(
        PartitionMap::EMPTY.encode(),
        format!("{}A=", "A".repeat(682))
    );
    assert_eq!(
        (PartitionMap::FULL.len(), PartitionMap::EMPTY.len()),
        (4096, 0)
    );
    assert!(PartitionMap::EMPTY.is_empty());
}

#[test]
fn a_partition_is_one_bit_from_the_left() {
    let mut map: PartitionMap = [0, 9, 4095, 5000].into_iter().collect();
    assert_eq!(
        (
            map.len(),
            map.has(0),
            map.has(1),
            map.has(9),
            map.has(4095),
            map.has(5000)
        ),
        (3, true, false, true, true, false)
    );
    assert!(map.encode().starts_with("gEA"), "bytes 80 40");
    map.remove(9);
    assert_eq!(map.len(), 2);
}

#[test]
fn replicas_are_written_and_read() {
    let half: PartitionMap = (0..2048).collect();
    let namespaces = vec![
        NamespaceReplicas {
            namespace: "test".into(),
            regime: 0,
            maps: vec![half.clone(), PartitionMap::FULL],
        },
        NamespaceReplicas {
            namespace: "bar".into(),
            regime: 7,
            maps: vec![PartitionMap::EMPTY],
        },
    ];
    let text = encode_replicas(&namespaces);
    assert!(text.starts_with("test:0,2,") && !text.ends_with(';'));
    assert_eq!(decode_replicas(&text), Ok(namespaces));
    assert_eq!(decode_replicas(""), Ok(vec![]));
}

#[test]
fn rejects_malformed_replicas() {
    let map = PartitionMap::FULL.encode();
    assert_eq!(map.len(), ENCODED_SIZE);
    let cases = [
        "test".to_owned(),
        "test:0".to_owned(),
        "test:0,1".to_owned(),
        "test:0,0".to_owned(),
        format!(":0,1,{map}"),
        format!("test:0,2,{map}"),
        format!("test:x,1,{map}"),
        format!("test:0,256,{map}"),
        format!("test:0,1,{map},{map}"),
    ];
    for text in cases {
        assert!(
            matches!(decode_replicas(&text), Err(PartitionMapError::Namespace(_))),
            "{text}"
        );
    }
    for bad in [
        &map[1..],
        &format!("{map}="),
        &format!("!{}", &map[1..]),
        &map.replace("8=", "//"),
    ] {
        assert_eq!(
            decode_replicas(&format!("test:0,1,{bad}")),
            Err(PartitionMapError::Map)
        );
    }
}

proptest! {
    #[test]
    fn any_partition_map_comes_back(partitions in prop::collection::btree_set(0_u16..4096, 0..200)) {
        let map: PartitionMap = partitions.iter().copied().collect();
        let again = PartitionMap::decode(&map.encode()).unwrap();
        prop_assert_eq!(&again, &map);
        prop_assert_eq!((0..4096).filter(|p| again.has(*p)).collect::<std::collections::BTreeSet<_>>(), partitions);
    }
}
