use std::io::Write;

use bytes::BytesMut;
use proptest::prelude::*;
use protocol::codec::first_frame;
use protocol::compress::{CompressError, decode, encode};
use protocol::header::MessageType;

use crate::hex;

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    stream.write_all(plain).unwrap();
    stream.finish().unwrap()
}

fn body(stated: u64, stream: &[u8]) -> Vec<u8> {
    [&stated.to_be_bytes(), stream].concat()
}

#[test]
fn a_compressed_get_opens_to_the_get() {
    let get = hex::bytes(hex::GET);
    assert_eq!(
        decode(&body(get.len() as u64, &zlib(&get))).unwrap(),
        get[8..]
    );
    let mut out = BytesMut::new();
    encode(&mut out, &get[8..]).unwrap();
    let frame = first_frame(&out).unwrap().unwrap();
    assert_eq!(frame.kind, MessageType::Compressed);
    assert_eq!(decode(frame.body).unwrap(), get[8..]);
}

#[test]
fn rejects_sizes_that_lie() {
    let get = hex::bytes(hex::GET);
    let stream = zlib(&get);
    let cases = [
        (0, CompressError::Size(0)),
        (7, CompressError::Size(7)),
        (u64::MAX, CompressError::Size(u64::MAX)),
        (
            128 * 1024 * 1024 + 9,
            CompressError::Size(128 * 1024 * 1024 + 9),
        ),
        (
            128 * 1024 * 1024 + 8,
            CompressError::Lied(128 * 1024 * 1024 + 8),
        ),
        (72, CompressError::Lied(72)),
        (74, CompressError::Lied(74)),
    ];
    for (stated, error) in cases {
        assert_eq!(decode(&body(stated, &stream)), Err(error), "{stated}");
    }
    assert_eq!(decode(&[0; 7]), Err(CompressError::NoSize(7)));
}

#[test]
fn rejects_a_stream_that_would_inflate_without_end() {
    let bomb = zlib(&vec![0; 8 * 1024 * 1024]);
    assert!(bomb.len() < 64 * 1024);
    assert_eq!(decode(&body(1000, &bomb)), Err(CompressError::Lied(1000)));
}

#[test]
fn rejects_damaged_truncated_and_prolonged_streams() {
    let get = hex::bytes(hex::GET);
    let stream = zlib(&get);
    for end in 0..stream.len() {
        assert_eq!(
            decode(&body(73, &stream[..end])),
            Err(CompressError::Stream),
            "{end}"
        );
    }
    assert_eq!(
        decode(&body(73, &[&stream[..], &[0]].concat())),
        Err(CompressError::Stream)
    );
    let mut damaged = stream.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(decode(&body(73, &damaged)), Err(CompressError::Stream));
}

#[test]
fn rejects_anything_inside_but_one_record_message() {
    let info = hex::bytes(hex::INFO_REQUEST);
    assert_eq!(
        decode(&body(info.len() as u64, &zlib(&info))),
        Err(CompressError::Inner)
    );
    let two = [hex::bytes(hex::OK_REPLY), hex::bytes(hex::OK_REPLY)].concat();
    assert_eq!(
        decode(&body(two.len() as u64, &zlib(&two))),
        Err(CompressError::Inner)
    );
    assert!(matches!(
        decode(&body(8, &zlib(&[1; 8]))),
        Err(CompressError::Header(_))
    ));
}

proptest! {
    #[test]
    fn any_body_comes_back(plain in prop::collection::vec(any::<u8>(), 0..5000)) {
        let mut out = BytesMut::new();
        encode(&mut out, &plain).unwrap();
        prop_assert_eq!(decode(&out[8..]).unwrap(), plain);
    }
}
