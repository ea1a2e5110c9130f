use std::io::Write;

use bytes::BytesMut;
use proptest::prelude::*;
use protocol::codec::first_frame;
use protocol::compress::{CompressError, Opening, decode, encode};
use protocol::header::{Header, MessageType};

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
        // The header inside states another size.
        (128 * 1024 * 1024 + 8, CompressError::Inner),
        (72, CompressError::Inner),
        (74, CompressError::Inner),
    ];
    for (stated, error) in cases {
        assert_eq!(decode(&body(stated, &stream)), Err(error), "{stated}");
    }
    assert_eq!(decode(&[0; 7]), Err(CompressError::NoSize(7)));
}

/// A frame header of a record message of `size` bytes, and `follow` zeros behind it.
fn frame_of_zeros(size: u64, follow: usize) -> Vec<u8> {
    let header = Header::new(MessageType::Message, size).to_bytes();
    [&header[..], &vec![0; follow]].concat()
}

#[test]
fn rejects_a_stream_that_would_inflate_without_end() {
    let zeros = 8 * 1024 * 1024;
    for (follow, expected) in [
        (zeros, CompressError::Lied(1000)),
        (100, CompressError::Lied(1000)),
    ] {
        let bomb = zlib(&frame_of_zeros(992, follow));
        assert!(bomb.len() < 64 * 1024);
        assert_eq!(decode(&body(1000, &bomb)), Err(expected), "{follow}");
    }
    // Nothing but the header is inflated of what is no record message.
    let bomb = zlib(&vec![0; zeros]);
    assert!(matches!(
        Opening::begin(&body(1000, &bomb)),
        Err(CompressError::Header(_))
    ));
}

#[test]
fn opens_large_messages_in_steps_and_holds_no_more_than_it_says() {
    let size = 3 * 1024 * 1024;
    let stream = zlib(&frame_of_zeros(size, size as usize));
    let body = body(size + 8, &stream);
    let mut opening = Opening::begin(&body).unwrap();
    assert_eq!(opening.size() as u64, size + 8);
    let (mut steps, mut held) = (0, 0);
    loop {
        let next = opening.next_capacity();
        assert!(next >= held && next <= size as usize + 9, "{held} {next}");
        held = next;
        steps += 1;
        if opening.step().unwrap() {
            break;
        }
    }
    assert!(steps >= 48, "64 KiB a step: {steps}");
    assert_eq!(opening.into_body().len() as u64, size);
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
