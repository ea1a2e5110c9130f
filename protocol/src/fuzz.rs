//! Fuzz bodies: each takes any bytes and checks what must hold for all of them.
//!
//! The targets in `fuzz/fuzz_targets` call these with bytes that libFuzzer invents; the normal test suite calls them with
//! mutations of valid messages from fixed seeds. A body fails by an assertion; nothing else may panic.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::codec::{Frame, FrameCodec, first_frame};
use crate::message::{BatchRows, BodyWriter, Fields, Message, Op, ReplyWriter};
use crate::msgpack::{self, Collection};
use crate::particle::{ParticleRef, ParticleType};
use crate::value::{Value, read_arguments};
use crate::{compress, info, partition_map, security};

/// A body and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 8] = [
    ("frame", fuzz_frame),
    ("info", fuzz_info),
    ("message", fuzz_message),
    ("msgpack", fuzz_msgpack),
    ("particle", fuzz_particle),
    ("security", fuzz_security),
    ("compress", fuzz_compress),
    ("partition_map", fuzz_partition_map),
];

/// Frames come out the same however the stream is cut, and go back in as they were.
pub fn fuzz_frame(data: &[u8]) {
    let whole = decode_frames(data, data.len().max(1));
    let in_bytes = decode_frames(data, 1);
    assert_eq!(whole, in_bytes);

    let mut rest = data;
    for frame in &whole {
        match first_frame(rest) {
            Ok(Some(found)) => {
                assert_eq!((found.kind, found.body), (frame.kind, &frame.body[..]));
                rest.advance(found.len());
            }
            other => assert!(matches!(other, Ok(Some(_))), "{other:?}"),
        }
        let mut again = BytesMut::new();
        assert!(
            FrameCodec::default()
                .encode(frame.clone(), &mut again)
                .is_ok()
        );
        assert_eq!(
            first_frame(&again).ok().flatten().map(|found| found.body),
            Some(&frame.body[..])
        );
    }
}

fn decode_frames(data: &[u8], step: usize) -> Vec<Frame> {
    let mut codec = FrameCodec::default();
    let mut received = BytesMut::new();
    let mut frames = Vec::new();
    for chunk in data.chunks(step) {
        received.extend_from_slice(chunk);
        loop {
            match codec.decode(&mut received) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
        assert!(
            received.capacity() <= 4 * (data.len() + crate::limits::RECEIVE_CHUNK),
            "grew by a claimed size"
        );
    }
    let _ = codec.decode_eof(&mut received);
    frames
}

/// Commands are parts of the body; their answers are found again; any text is a value or an error, never a panic.
pub fn fuzz_info(data: &[u8]) {
    let asked: Vec<_> = info::commands(data).collect();
    let mut out = BytesMut::new();
    let mut reply = info::ReplyWriter::new(&mut out);
    for command in &asked {
        for (key, value) in command.params.pairs() {
            assert!(command.text.len() >= key.len() + value.len());
        }
        let _ = (
            command.params.path().count(),
            command.params.required("namespace").is_ok(),
        );
        reply.answer(command, command.name);
    }
    assert!(reply.finish().is_ok());
    let texts: Option<Vec<_>> = asked
        .iter()
        .map(|command| std::str::from_utf8(command.text).ok())
        .collect();
    if let (Some(texts), Ok(Some(frame))) = (texts, first_frame(&out)) {
        // A command that begins like another's answer could be mistaken for it; tabs make that possible.
        if !texts.iter().any(|text| text.contains('\t')) {
            let names: Vec<_> = asked.iter().map(|command| command.name).collect();
            assert_eq!(info::parse_replies(frame.body, &texts), Ok(names));
        }
        let _ = info::parse_replies(data, &texts);
    }
    let _ = info::parse_replies(data, &["node", "build"]);
    if let Some(failure) = info::Failure::of(&String::from_utf8_lossy(data)) {
        let _ = failure.to_string();
    }
}

/// A message that is understood can be written again and is then the same; accessors agree with themselves.
pub fn fuzz_message(data: &[u8]) {
    for message in Message::parse_all(data).flatten() {
        check_fields(&message.fields);
        assert_eq!(message.ops.iter().count(), message.ops.len());
        assert_eq!(message.fields.iter().count(), message.fields.len());

        let mut out = BytesMut::new();
        let mut writer = BodyWriter::new(&mut out, &message.header);
        for field in message.fields.iter() {
            writer.field(field.kind, field.data);
        }
        for op in message.ops.iter() {
            writer.op(op.op, op.name, op.particle_ref());
        }
        assert!(writer.finish().is_ok());
        let again = Message::parse(&out);
        assert!(again.is_ok(), "{again:?}");
        if let Ok(again) = again {
            assert_eq!(again.header, message.header);
            assert!(again.fields.iter().eq(message.fields.iter()));
            let parts = |op: Op<'_>| (op.op, op.name.to_vec(), op.particle, op.value.to_vec());
            assert!(
                again
                    .ops
                    .iter()
                    .map(parts)
                    .eq(message.ops.iter().map(parts))
            );
        }
        for op in message.ops.iter() {
            let _ = op.particle_ref().normalize();
        }
        if let Some(rows) = message.fields.batch() {
            check_batch(rows);
        }
    }
    check_batch(data);
}

fn check_fields(fields: &Fields<'_>) {
    let _ = (
        fields.namespace(),
        fields.set(),
        fields.digest(),
        fields.key(),
    );
    let _ = (
        fields.task_id(),
        fields.socket_timeout(),
        fields.records_per_second(),
        fields.max_records(),
    );
    let _ = (
        fields.partition_ids().len(),
        fields.resume_digests().map(Iterator::count),
    );
    let _ = (
        fields.resume_values().map(Iterator::count),
        fields.bin_list().map(Iterator::count),
    );
    let _ = (
        fields.index_name(),
        fields.index_range(),
        fields.index_type(),
    );
    let _ = (
        fields.udf_package(),
        fields.udf_function(),
        fields.udf_op(),
        fields.filter_exp(),
    );
    let _ = fields.udf_arglist().map(read_arguments);
}

fn check_batch(data: &[u8]) {
    let Ok(mut rows) = BatchRows::parse(data) else {
        return;
    };
    let bound = rows.remaining_bound();
    assert!(bound <= data.len());
    let mut out = BytesMut::new();
    let mut reply = ReplyWriter::new(&mut out);
    let mut count = 0;
    for row in rows.by_ref().flatten() {
        check_fields(&row.fields);
        let header = crate::message::MessageHeader {
            transaction_ttl: row.index,
            ..Default::default()
        };
        assert!(reply.message(&header).finish().is_ok());
        count += 1;
    }
    assert!(
        count <= bound,
        "{count} rows, at most {bound} were announced"
    );
    assert!(rows.next().is_none());
    assert!(reply.finish().is_ok());
}

/// What is stored is stable, never larger than what came, and in the order that `compare` gives.
pub fn fuzz_msgpack(data: &[u8]) {
    let skipped = msgpack::skip_value(data);
    for kind in [Collection::List, Collection::Map] {
        if let Ok(stored) = msgpack::normalize(data, kind) {
            assert!(skipped.is_ok());
            assert!(stored.len() <= data.len());
            assert_eq!(msgpack::normalize(&stored, kind).as_ref(), Ok(&stored));
            assert_eq!(
                msgpack::compare(&stored, &stored),
                Ok(std::cmp::Ordering::Equal)
            );
        }
    }
    if let Ok(value) = Value::from_msgpack(data) {
        assert!(skipped.is_ok());
        let written = value.to_msgpack();
        assert!(written.is_ok());
        if let Ok(written) = written {
            let again = Value::from_msgpack(&written);
            assert_eq!(
                again.as_ref().map(|again| again.compare(&value)),
                Ok(std::cmp::Ordering::Equal)
            );
            assert_eq!(again.and_then(|again| again.to_msgpack()), Ok(written));
        }
        let _ = value.to_string();
    }
    let (left, right) = data.split_at(data.len() / 2);
    if let (Ok(forth), Ok(back)) = (msgpack::compare(left, right), msgpack::compare(right, left)) {
        assert_eq!(forth, back.reverse());
    }
    let _ = read_arguments(data);
}

/// The first byte is the type. What is stored is stored unchanged the second time, and what is said to be normal is.
pub fn fuzz_particle(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let particle = ParticleRef::new(ParticleType(*kind), data);
    let stored = particle.normalize();
    if particle.is_normal() {
        assert_eq!(stored, Ok(particle.to_particle()));
    }
    if let Ok(stored) = stored {
        assert_eq!(stored.as_ref().normalize().as_ref(), Ok(&stored));
    }
    if let Ok(value) = Value::from_particle(particle) {
        let written = value.to_particle();
        assert!(written.is_ok());
    }
    let _ = crate::key::Key::from_particle(particle);
}

/// Units are walked to their end and written again.
pub fn fuzz_security(data: &[u8]) {
    let mut rest = data;
    while let Ok((unit, after)) = security::Unit::parse_first(rest) {
        rest = after;
        let fields: Vec<_> = unit.fields().collect();
        assert_eq!(fields.len(), unit.len());
        let _ = unit.session();
        let mut out = BytesMut::new();
        assert!(security::write_unit(&mut out, unit.result, unit.command, &fields).is_ok());
        let body = out.split_off(crate::header::HEADER_SIZE);
        assert_eq!(security::Unit::parse_first(&body), Ok((unit, &[][..])));
    }
}

/// Any stream is opened or refused; any body survives being compressed.
pub fn fuzz_compress(data: &[u8]) {
    if let Ok(body) = compress::decode(data) {
        assert!(body.len() as u64 <= crate::limits::MAX_BODY_SIZE);
    }
    let mut out = BytesMut::new();
    assert!(compress::encode(&mut out, data).is_ok());
    let body = out.split_off(crate::header::HEADER_SIZE);
    assert_eq!(compress::decode(&body).as_deref(), Ok(data));
}

/// Any text is read or refused, and what is read is written the same way.
pub fn fuzz_partition_map(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(namespaces) = partition_map::decode_replicas(&text) {
        let again = partition_map::encode_replicas(&namespaces);
        assert_eq!(partition_map::decode_replicas(&again), Ok(namespaces));
    }
}
