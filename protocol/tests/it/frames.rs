use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use protocol::codec::{Frame, FrameCodec, FrameError, first_frame};
use protocol::header::{HEADER_SIZE, Header, HeaderError, MAX_BODY_SIZE, MessageType, OpenFrame};
use tokio_util::codec::{Decoder, Encoder};

use crate::hex;

fn decode(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
    FrameCodec::default().decode(&mut BytesMut::from(bytes))
}

#[test]
fn every_worked_example_is_one_frame() {
    for text in hex::FRAMES {
        let bytes = hex::bytes(text);
        let frame = first_frame(&bytes).unwrap().unwrap();
        assert_eq!(frame.len(), bytes.len(), "{text}");
        let mut again = BytesMut::new();
        FrameCodec::default().encode(frame, &mut again).unwrap();
        assert_eq!(again, bytes, "{text}");
    }
}

#[test]
fn headers_are_accepted_up_to_the_limits() {
    let cases: [(&str, Header); 5] = [
        (
            "02 01 00 00 00 00 00 00",
            Header {
                version: 2,
                kind: MessageType::Info,
                size: 0,
            },
        ),
        (
            "02 03 00 00 08 00 00 00",
            Header {
                version: 2,
                kind: MessageType::Message,
                size: MAX_BODY_SIZE,
            },
        ),
        (
            "00 02 00 00 00 00 00 10",
            Header {
                version: 0,
                kind: MessageType::Security,
                size: 16,
            },
        ),
        (
            "02 04 00 00 00 00 00 09",
            Header {
                version: 2,
                kind: MessageType::Compressed,
                size: 9,
            },
        ),
        (
            "02 05 00 00 00 00 01 00",
            Header {
                version: 2,
                kind: MessageType::Internal,
                size: 256,
            },
        ),
    ];
    for (text, header) in cases {
        let bytes: [u8; HEADER_SIZE] = hex::bytes(text).try_into().unwrap();
        assert_eq!(Header::parse(bytes), Ok(header));
        assert_eq!(header.to_bytes(), bytes);
    }
}

#[test]
fn rejects_headers_beyond_the_limits() {
    let cases = [
        ("01 03 00 00 00 00 00 00", HeaderError::Version(1)),
        ("00 01 00 00 00 00 00 00", HeaderError::Version(0)),
        ("00 03 00 00 00 00 00 00", HeaderError::Version(0)),
        ("02 00 00 00 00 00 00 00", HeaderError::Type(0)),
        ("02 06 00 00 00 00 00 00", HeaderError::Type(6)),
        (
            "02 03 00 00 08 00 00 01",
            HeaderError::Size(MAX_BODY_SIZE + 1),
        ),
        ("02 03 ff ff ff ff ff ff", HeaderError::Size((1 << 48) - 1)),
        ("16 03 01 02 00 01 00 01", HeaderError::TlsHandshake),
        ("16 03 01 02 00 02 00 01", HeaderError::Version(0x16)),
        ("47 45 54 20 2f 20 48 54", HeaderError::Version(b'G')),
    ];
    for (text, error) in cases {
        let bytes = hex::bytes(text);
        assert_eq!(first_frame(&bytes), Err(error), "{text}");
        assert!(
            matches!(decode(&bytes), Err(FrameError::Header(found)) if found == error),
            "{text}"
        );
    }
}

#[test]
fn memory_follows_the_data_and_not_the_claim() {
    let mut received =
        BytesMut::from(&Header::new(MessageType::Message, MAX_BODY_SIZE).to_bytes()[..]);
    let mut codec = FrameCodec::default();
    for _ in 0..64 {
        assert!(codec.decode(&mut received).unwrap().is_none());
        assert!(
            received.capacity() < 1024 * 1024,
            "{} bytes reserved",
            received.capacity()
        );
        received.extend_from_slice(&[0; 16]);
    }
}

#[test]
fn rejects_a_stream_that_ends_inside_a_frame() {
    let bytes = hex::bytes(hex::GET);
    for end in 1..bytes.len() {
        let mut codec = FrameCodec::default();
        let error = codec
            .decode_eof(&mut BytesMut::from(&bytes[..end]))
            .unwrap_err();
        let expected = if end < HEADER_SIZE {
            (end, 8)
        } else {
            (end - HEADER_SIZE, 65)
        };
        assert!(
            matches!(error, FrameError::Truncated { have, want } if (have, want) == expected),
            "{end}: {error:?}"
        );
    }
    assert!(
        FrameCodec::default()
            .decode_eof(&mut BytesMut::new())
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_open_frame_is_finished_or_taken_back() {
    let mut out = BytesMut::from(&b"before"[..]);
    let frame = OpenFrame::begin(&mut out, MessageType::Info);
    out.extend_from_slice(b"node\n");
    assert_eq!(frame.body_len(&out), 5);
    frame.finish(&mut out).unwrap();
    assert_eq!(&out[..], b"before\x02\x01\0\0\0\0\0\x05node\n");
    OpenFrame::begin(&mut out, MessageType::Info).cancel(&mut out);
    assert_eq!(out.len(), 6 + 8 + 5);
}

#[test]
fn rejects_a_body_above_the_limit_and_leaves_the_buffer_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let frame = OpenFrame::begin(&mut out, MessageType::Message);
    let too_large = usize::try_from(MAX_BODY_SIZE).unwrap() + 1;
    out.resize(out.len() + too_large, 0);
    assert_eq!(frame.finish(&mut out).unwrap_err().0, MAX_BODY_SIZE + 1);
    assert_eq!(&out[..], b"before");
}

proptest! {
    #[test]
    fn frames_survive_any_cut_of_the_stream(
        bodies in prop::collection::vec((1_u8..=5, prop::collection::vec(any::<u8>(), 0..200)), 1..5),
        cut in 1_usize..64,
    ) {
        let frames: Vec<Frame> = bodies
            .into_iter()
            .map(|(kind, body)| Frame { kind: MessageType::from_u8(kind).unwrap(), body: Bytes::from(body) })
            .collect();
        let mut stream = BytesMut::new();
        for frame in &frames {
            FrameCodec::default().encode(frame.clone(), &mut stream).unwrap();
        }
        let mut codec = FrameCodec::default();
        let mut received = BytesMut::new();
        let mut found = Vec::new();
        for chunk in stream.chunks(cut) {
            received.extend_from_slice(chunk);
            while let Some(frame) = codec.decode(&mut received).unwrap() {
                found.push(frame);
            }
        }
        prop_assert_eq!(found, frames);
        prop_assert!(received.is_empty());
    }
}
