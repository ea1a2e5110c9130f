use bytes::BytesMut;
use proptest::prelude::*;
use protocol::key::{Digest, Key};
use protocol::message::{
    BatchFlags, BatchRows, BatchWriter, FieldType, Fields, Info1, Info2, Info3, Message,
    MessageHeader, MessageWriter, OpCode, ReplyWriter, WriteError, write_reply,
};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use crate::hex;

fn digest() -> Digest {
    Digest(hex::bytes(hex::DIGEST).try_into().unwrap())
}

/// A message of these fields and ops, given as bytes.
fn message(n_fields: u16, n_ops: u16, parts: &str) -> Vec<u8> {
    let header = MessageHeader {
        n_fields,
        n_ops,
        ..Default::default()
    };
    [&header.to_bytes()[..], &hex::bytes(parts)].concat()
}

#[test]
fn the_worked_get_is_read_and_written() {
    let body = hex::body(hex::GET);
    let get = Message::parse(&body).unwrap();
    assert_eq!(get.header.info1, Info1::READ | Info1::GET_ALL);
    assert_eq!(
        (get.header.transaction_ttl, get.fields.len(), get.ops.len()),
        (1000, 3, 0)
    );
    assert_eq!(get.fields.namespace(), Ok(Some("test")));
    assert_eq!(get.fields.set(), Ok(Some("demo")));
    assert_eq!(get.fields.digest(), Ok(Some(digest())));
    assert_eq!(get.fields.key(), Ok(None));

    let mut out = BytesMut::new();
    let header = MessageHeader {
        info1: Info1::READ | Info1::GET_ALL,
        transaction_ttl: 1000,
        ..Default::default()
    };
    let mut writer = MessageWriter::new(&mut out, &header);
    writer
        .namespace("test")
        .set("demo")
        .digest(&Digest::of("demo", &Key::from("k1")));
    writer.finish().unwrap();
    assert_eq!(out, hex::bytes(hex::GET));
}

#[test]
fn the_worked_put_is_read_and_written() {
    let body = hex::body(hex::PUT);
    let put = Message::parse(&body).unwrap();
    assert!(
        put.header.info2.contains(Info2::WRITE)
            && !put
                .header
                .info2
                .intersects(Info2::DELETE | Info2::GENERATION)
    );
    let op = put.ops.find(b"a").unwrap();
    assert_eq!(
        (op.op, op.particle_ref().as_integer()),
        (OpCode::WRITE, Some(7))
    );
    assert!(op.op.is_write() && put.ops.find(b"b").is_none());

    let mut out = BytesMut::new();
    let header = MessageHeader {
        info2: Info2::WRITE,
        transaction_ttl: 1000,
        ..Default::default()
    };
    let mut writer = MessageWriter::new(&mut out, &header);
    writer.namespace("test").set("demo").digest(&digest());
    writer.op(OpCode::WRITE, b"a", Particle::integer(7).as_ref());
    writer.finish().unwrap();
    assert_eq!(out, hex::bytes(hex::PUT));
}

#[test]
fn the_worked_udf_call_is_read() {
    let body = hex::body(hex::UDF);
    let call = Message::parse(&body).unwrap();
    assert_eq!(call.fields.udf_package(), Ok(Some("u")));
    assert_eq!(call.fields.udf_function(), Ok(Some("echo")));
    assert_eq!(call.fields.udf_arglist(), Some(&[0x92, 1, 5][..]));
    assert!(!call.fields.has(FieldType::FILTER_EXP));
}

#[test]
fn the_worked_replies_are_written() {
    let seven = Particle::integer(7);
    let five = Particle::integer(5);
    let boom = Particle::string("boom");
    type Bins<'a> = &'a [(&'a [u8], ParticleRef<'a>)];
    let cases: [(ResultCode, u32, Bins<'_>, &str); 5] = [
        (ResultCode::OK, 1, &[], hex::OK_REPLY),
        (ResultCode::OK, 1, &[(b"a", seven.as_ref())], hex::GET_REPLY),
        (
            ResultCode::OK,
            0,
            &[(b"SUCCESS", five.as_ref())],
            hex::UDF_SUCCESS,
        ),
        (
            ResultCode::OK,
            0,
            &[(b"SUCCESS", ParticleRef::NIL)],
            hex::UDF_NIL,
        ),
        (
            ResultCode::UDF_EXECUTION,
            0,
            &[(b"FAILURE", boom.as_ref())],
            hex::UDF_FAILURE,
        ),
    ];
    for (result, generation, bins, expected) in cases {
        let mut out = BytesMut::new();
        write_reply(&mut out, result, generation, 0, bins.iter().copied()).unwrap();
        assert_eq!(out, hex::bytes(expected), "{expected}");
    }
    let mut out = BytesMut::new();
    let mut reply = ReplyWriter::new(&mut out);
    reply.last(ResultCode::OK);
    reply.finish().unwrap();
    assert_eq!(out, hex::bytes(hex::LAST_REPLY));
}

#[test]
fn the_worked_batch_is_read_row_by_row() {
    let body = hex::body(hex::BATCH);
    let batch = Message::parse(&body).unwrap();
    assert_eq!(batch.header.info1, Info1::BATCH);
    let mut rows = BatchRows::parse(batch.fields.batch().unwrap()).unwrap();
    assert_eq!((rows.count, rows.remaining_bound()), (1, 1));
    assert_eq!(
        rows.flags,
        BatchFlags::INLINE | BatchFlags::RESPOND_ALL | BatchFlags::RETURN_ERROR_ROWS
    );
    let row = rows.next().unwrap().unwrap();
    assert_eq!(
        (row.index, row.digest, row.header.info2),
        (0, digest(), Info2::WRITE)
    );
    assert_eq!(row.fields.namespace(), Ok(Some("test")));
    assert_eq!(row.fields.udf_function(), Ok(Some("echo")));
    assert_eq!(row.fields.udf_arglist(), Some(&[0x91, 5][..]));
    assert!(rows.next().is_none());
}

/// Namespace "test" as the only field, no ops.
const ROW_NS: &str = "00 01 00 00  00 00 00 05 00 74 65 73 74";

#[test]
fn batch_rows_repeat_the_row_before_and_take_the_parts_that_their_flags_name() {
    let data = hex::bytes(&format!(
        "00 00 00 03 00
         00 00 00 09 {0} 1e  03 81 02 01  00 05  00 00 00 3c {ROW_NS}
         00 00 00 07 {1} 01
         00 00 00 08 {0} 00  21 {ROW_NS}
         ff ff ff",
        hex::DIGEST,
        "11".repeat(20)
    ));
    let rows: Vec<_> = BatchRows::parse(&data)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [full, repeated, plain] = &rows[..] else {
        panic!("{} rows", rows.len())
    };
    let header = full.header;
    assert_eq!(
        (
            header.info1.bits(),
            header.info2.bits(),
            header.info3.bits(),
            header.info4.bits()
        ),
        (3, 0x81, 2, 1)
    );
    assert_eq!((header.generation, header.record_ttl), (5, 60));
    assert_eq!(
        (repeated.index, repeated.digest, repeated.header),
        (7, Digest([0x11; 20]), header)
    );
    assert_eq!(repeated.fields, full.fields);
    assert_eq!(
        (
            plain.index,
            plain.header.info1.bits(),
            plain.header.info2.bits(),
            plain.header.record_ttl
        ),
        (8, 0x21, 0, 0)
    );
}

#[test]
fn rejects_batches_whose_rows_are_broken() {
    let row = |flags: &str, rest: &str| format!("00 00 00 00 {} {flags} {rest}", hex::DIGEST);
    let with_key = row(
        "00",
        "21 00 02 00 00  00 00 00 05 00 74 65 73 74  00 00 00 03 02 03 6b",
    );
    let cases = [
        (
            "repeat without a row before",
            row("01", ""),
            "batch row 0, fixed part at byte 5: expected a full row without a key before a row that repeats, found none",
        ),
        (
            "repeat after a row with a key",
            format!("{with_key} {}", row("01", "")),
            "batch row 1, fixed part at byte 51: expected a full row without a key before a row that repeats, found none",
        ),
        (
            "no field where the namespace should be",
            row("00", "21 00 00 00 00"),
            "batch row 0, field 0 at byte 35: expected 4 bytes, found 0",
        ),
        (
            "op of size 3",
            row(
                "00",
                &format!("21 00 01 00 01 {} 00 00 00 03", &ROW_NS[13..]),
            ),
            "batch row 0, op 0 at byte 44: expected 3 bytes, found 0",
        ),
    ];
    for (what, rows, error) in cases {
        let data = hex::bytes(&format!("00 00 00 02 00 {rows}"));
        let mut rows = BatchRows::parse(&data).unwrap();
        let found = rows.find_map(Result::err);
        let found = found.unwrap();
        assert_eq!(found.to_string(), error, "{what}");
        assert!(rows.next().is_none(), "{what}");
        assert_eq!(found.result_code(), ResultCode::PARAMETER);
    }
    assert!(BatchRows::parse(&[0, 0, 0, 1]).is_err());
    let huge = BatchRows::parse(&[0xff, 0xff, 0xff, 0xff, 0]).unwrap();
    assert_eq!(
        huge.remaining_bound(),
        0,
        "the claimed count is not believed"
    );
}

#[test]
fn rejects_every_truncation_and_every_byte_too_many() {
    for text in [
        hex::GET,
        hex::PUT,
        hex::UDF,
        hex::GET_REPLY,
        hex::UDF_FAILURE,
        hex::BATCH,
    ] {
        let body = hex::body(text);
        for end in 0..body.len() {
            let error = Message::parse(&body[..end]).unwrap_err();
            assert_eq!(
                error.result_code(),
                ResultCode::PARAMETER,
                "{end} of {text}"
            );
        }
        let longer = [&body[..], &[0]].concat();
        let error = Message::parse(&longer).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "after the last op at byte {}: expected the end, found 1 bytes",
                body.len()
            )
        );
    }
}

#[test]
fn rejects_fields_and_ops_whose_sizes_lie() {
    let cases = [
        (
            "field of size 0",
            1,
            0,
            "00 00 00 00",
            "field 0 at byte 22: expected the byte of its type, found 0 bytes",
        ),
        (
            "field beyond the message",
            1,
            0,
            "00 00 00 06 00 74 65 73 74",
            "field 0 at byte 22: expected 6 bytes, found 5",
        ),
        (
            "field of 4 GiB",
            1,
            0,
            "ff ff ff ff 00",
            "field 0 at byte 22: expected 4294967295 bytes, found 1",
        ),
        (
            "more fields claimed than there are",
            2,
            0,
            "00 00 00 01 00",
            "field 1 at byte 27: expected 4 bytes, found 0",
        ),
        (
            "op of size 3",
            0,
            1,
            "00 00 00 03 02 01 00",
            "op 0 at byte 22: expected 4 bytes, found 3",
        ),
        (
            "op beyond the message",
            0,
            1,
            "00 00 00 05 02 01 00 00",
            "op 0 at byte 22: expected 5 bytes, found 4",
        ),
        (
            "op of 4 GiB",
            0,
            1,
            "ff ff ff ff 02 01 00 00",
            "op 0 at byte 22: expected 4294967295 bytes, found 4",
        ),
        (
            "name beyond the op",
            0,
            1,
            "00 00 00 05 02 01 00 02 61",
            "op 0 at byte 22: expected 6 bytes, found 5",
        ),
        (
            "lut beyond the op",
            0,
            1,
            "00 00 00 05 02 01 01 01 61",
            "op 0 at byte 22: expected 13 bytes, found 5",
        ),
        (
            "too many ops",
            0,
            32_769,
            "",
            "number of ops at byte 22: expected at most 32768 ops, found 32769",
        ),
        (
            "ops claimed, none there",
            0,
            32_768,
            "",
            "op 0 at byte 22: expected 4 bytes, found 0",
        ),
    ];
    for (what, n_fields, n_ops, parts, error) in cases {
        let found = Message::parse(&message(n_fields, n_ops, parts)).unwrap_err();
        assert_eq!(found.to_string(), error, "{what}");
        assert_eq!(found.result_code(), ResultCode::PARAMETER, "{what}");
    }
}

#[test]
fn names_of_bins_are_kept_whatever_their_length() {
    for len in [0, 15, 16, 255_u8] {
        let size = 4 + u32::from(len);
        let op = format!("{size:08x} 02 00 00 {len:02x} {}", "61".repeat(len.into()));
        let body = message(0, 1, &op);
        let parsed = Message::parse(&body).unwrap();
        let names: Vec<_> = parsed.ops.iter().map(|op| op.name.len()).collect();
        assert_eq!(names, [usize::from(len)]);
    }
}

#[test]
fn unknown_fields_and_ops_are_kept_and_a_lut_is_skipped() {
    let body = message(
        2,
        2,
        "00 00 00 03 63 01 02  00 00 00 05 00 74 65 73 74
         00 00 00 0e 02 03 01 01 61 ff ff ff ff ff ff ff ff 78
         00 00 00 05 11 00 00 01 62",
    );
    let message = Message::parse(&body).unwrap();
    assert_eq!(message.fields.namespace(), Ok(Some("test")));
    assert_eq!(message.fields.get(FieldType(0x63)), Some(&[1, 2][..]));
    let ops: Vec<_> = message.ops.iter().collect();
    assert_eq!(
        (ops[0].name, ops[0].value, ops[0].particle),
        (&b"a"[..], &b"x"[..], ParticleType::STRING)
    );
    assert!(!ops[1].op.is_known() && !ops[1].op.is_read() && !ops[1].op.is_write());
}

#[test]
fn the_first_of_two_fields_counts() {
    let body = message(2, 0, "00 00 00 02 01 61  00 00 00 02 01 62");
    assert_eq!(Message::parse(&body).unwrap().fields.set(), Ok(Some("a")));
}

#[test]
fn query_fields_have_their_own_shapes() {
    let body = message(
        10,
        0,
        "00 00 00 09 07 00 00 00 00 00 00 00 2a
         00 00 00 05 09 00 00 00 64
         00 00 00 05 0a 00 00 03 e8
         00 00 00 09 0d 00 00 00 00 00 00 00 05
         00 00 00 05 0b 00 00 ff 0f
         00 00 00 09 0f ff ff ff ff ff ff ff ff
         00 00 00 02 21 01
         00 00 00 02 1a 03
         00 00 00 06 28 02 01 61 01 62
         00 00 00 1d 16 01 01 69 01 00 00 00 08 00 00 00 00 00 00 00 03 00 00 00 08 00 00 00 00 00 00 00 06",
    );
    let fields = Message::parse(&body).unwrap().fields;
    assert_eq!(
        (fields.task_id(), fields.socket_timeout()),
        (Ok(Some(42)), Ok(Some(100)))
    );
    assert_eq!(
        (fields.records_per_second(), fields.max_records()),
        (Ok(Some(1000)), Ok(Some(5)))
    );
    assert_eq!(fields.partition_ids().collect::<Vec<_>>(), [0, 4095]);
    assert_eq!(fields.resume_values().unwrap().collect::<Vec<_>>(), [-1]);
    assert_eq!(fields.resume_digests().unwrap().len(), 0);
    assert_eq!(
        (fields.udf_op(), fields.index_type()),
        (Ok(Some(1)), Ok(Some(3)))
    );
    assert_eq!(fields.bin_list().unwrap().collect::<Vec<_>>(), [b"a", b"b"]);
    let range = fields.index_range().unwrap().unwrap();
    assert_eq!(
        (range.bin, range.kind, range.begin[7], range.end[7]),
        (&b"i"[..], ParticleType::INTEGER, 3, 6)
    );
}

#[test]
fn rejects_fields_whose_data_does_not_fit_their_type() {
    type IsRefused = fn(&Fields<'_>) -> bool;
    let cases: [(u8, &str, IsRefused); 12] = [
        (0, "ff", |fields| fields.namespace().is_err()),
        (1, "c3 28", |fields| fields.set().is_err()),
        (2, "", |fields| fields.key().is_err()),
        (4, "00 01", |fields| fields.digest().is_err()),
        (7, "00", |fields| fields.task_id().is_err()),
        (9, "00 00 00 00 00", |fields| {
            fields.socket_timeout().is_err()
        }),
        (12, "00", |fields| fields.resume_digests().is_err()),
        (33, "", |fields| fields.udf_op().is_err()),
        (40, "02 01 61", |fields| fields.bin_list().is_err()),
        (40, "00 00", |fields| fields.bin_list().is_err()),
        (22, "02 01 69 01 00 00 00 00 00 00 00 00", |fields| {
            fields.index_range().is_err()
        }),
        (22, "01 01 69 01 00 00 00 00 ff ff ff ff", |fields| {
            fields.index_range().is_err()
        }),
    ];
    for (kind, data, is_refused) in cases {
        let size = hex::bytes(data).len() + 1;
        let body = message(1, 0, &format!("{size:08x} {kind:02x} {data}"));
        assert!(
            is_refused(&Message::parse(&body).unwrap().fields),
            "field {kind}: {data}"
        );
    }
}

#[test]
fn a_body_of_several_messages_is_walked() {
    let mut out = BytesMut::new();
    let mut reply = ReplyWriter::new(&mut out);
    for index in 0..3 {
        let header = MessageHeader {
            transaction_ttl: index,
            ..Default::default()
        };
        let mut row = reply.message(&header);
        row.op(OpCode::READ, b"a", Particle::integer(index.into()).as_ref());
        row.finish().unwrap();
    }
    assert_eq!(reply.body_len(), 3 * 39);
    reply.last(ResultCode::TIMEOUT);
    reply.finish().unwrap();
    let messages: Vec<_> = Message::parse_all(&out[8..]).map(Result::unwrap).collect();
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[2].header.transaction_ttl, 2);
    assert_eq!(
        (messages[3].header.info3, messages[3].header.result),
        (Info3::LAST, ResultCode::TIMEOUT)
    );
    let error = Message::parse_all(&out[8..out.len() - 1])
        .last()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "message header at byte 0: expected 22 bytes, found 21"
    );
}

#[test]
fn a_header_may_be_decided_after_the_ops() {
    let seven = Particle::integer(7);
    let mut out = BytesMut::new();
    let mut writer = MessageWriter::new(&mut out, &MessageHeader::default());
    writer.op(OpCode::READ, b"a", seven.as_ref());
    assert_eq!(writer.written(), 39);
    writer.set_header(&MessageHeader {
        generation: 1,
        ..Default::default()
    });
    writer.finish().unwrap();
    assert_eq!(out, hex::bytes(hex::GET_REPLY));
}

#[test]
fn rejects_parts_that_cannot_be_written_and_leaves_the_buffer_as_it_was() {
    let mut out = BytesMut::from(&b"before"[..]);
    let mut writer = MessageWriter::new(&mut out, &MessageHeader::default());
    writer.op(OpCode::READ, &[b'a'; 256], ParticleRef::NIL);
    assert_eq!(writer.finish(), Err(WriteError::Part));
    let bins = (0..=u16::MAX).map(|_| (&b"a"[..], ParticleRef::NIL));
    assert_eq!(
        write_reply(&mut out, ResultCode::OK, 0, 0, bins),
        Err(WriteError::Part)
    );
    assert_eq!(&out[..], b"before");
}

prop_compose! {
    fn any_header()(bytes in any::<[u8; 22]>()) -> MessageHeader {
        MessageHeader { n_fields: 0, n_ops: 0, ..MessageHeader::parse(&bytes).unwrap() }
    }
}

proptest! {
    #[test]
    fn any_message_comes_back(
        header in any_header(),
        fields in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..30)), 0..8),
        ops in prop::collection::vec(
            (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..=15), prop::collection::vec(any::<u8>(), 0..30)),
            0..8,
        ),
    ) {
        let mut out = BytesMut::new();
        let mut writer = MessageWriter::new(&mut out, &header);
        for (kind, data) in &fields {
            writer.field(FieldType(*kind), data);
        }
        for (op, particle, name, value) in &ops {
            writer.op(OpCode(*op), name, ParticleRef::new(ParticleType(*particle), value));
        }
        writer.finish().unwrap();

        let message = Message::parse(&out[8..]).unwrap();
        let (n_fields, n_ops) = (fields.len().try_into().unwrap(), ops.len().try_into().unwrap());
        prop_assert_eq!(message.header, MessageHeader { n_fields, n_ops, ..header });
        let found: Vec<_> = message.fields.iter().map(|field| (field.kind.0, field.data.to_vec())).collect();
        prop_assert_eq!(found, fields);
        let found: Vec<_> =
            message.ops.iter().map(|op| (op.op.0, op.particle.0, op.name.to_vec(), op.value.to_vec())).collect();
        prop_assert_eq!(found, ops);
        for end in 0..out.len() - 8 {
            prop_assert!(Message::parse(&out[8..8 + end]).is_err());
        }
    }
}

#[test]
fn data_of_the_wrong_shape_is_named_with_its_place() {
    let body = message(
        3,
        0,
        "00 00 00 05 00 74 65 73 ff  00 00 00 04 04 01 02 03  00 00 00 04 0c 01 02 03",
    );
    let fields = Message::parse(&body).unwrap().fields;
    let texts = [
        fields.namespace().map(drop),
        fields.digest().map(drop),
        fields.resume_digests().map(drop),
    ]
    .map(|result| result.unwrap_err().to_string());
    assert_eq!(
        texts,
        [
            "data of field type 0 NAMESPACE at byte 27: expected text in UTF-8, found 4 bytes",
            "data of field type 4 DIGEST at byte 36: expected 20 bytes, found 3 bytes",
            "data of field type 12 DIGEST_ARRAY at byte 44: expected items of 20 bytes, found 3 bytes",
        ]
    );
}

#[test]
fn rows_that_are_written_are_read_back() {
    let header = MessageHeader {
        info1: Info1::READ,
        info2: Info2::WRITE,
        info3: Info3::UPDATE_ONLY,
        generation: 7,
        record_ttl: 60,
        ..Default::default()
    };
    let mut batch = BatchWriter::new(BatchFlags::RESPOND_ALL);
    let mut row = batch.row(9, &digest(), &header);
    row.namespace("test").set("demo");
    row.op(OpCode::WRITE, b"a", Particle::integer(5).as_ref());
    row.finish().unwrap();
    batch.repeat(4, &Digest([1; 20]));
    let data = batch.finish().unwrap();
    let rows: Vec<_> = BatchRows::parse(&data)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let counted = MessageHeader {
        n_fields: 2,
        n_ops: 1,
        ..header
    };
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (rows[0].index, rows[0].digest, rows[0].header),
        (9, digest(), counted)
    );
    assert_eq!(rows[0].fields.set(), Ok(Some("demo")));
    assert_eq!(
        rows[0].ops.find(b"a").unwrap().particle_ref().as_integer(),
        Some(5)
    );
    assert_eq!((rows[1].index, rows[1].digest), (4, Digest([1; 20])));
    assert_eq!(rows[1].ops, rows[0].ops);

    let mut copied = BatchWriter::new(BatchFlags::RESPOND_ALL);
    copied.copy(9, &rows[0]);
    let copied = copied.finish().unwrap();
    // The same bytes but for the number of rows and the row that repeats.
    assert_eq!(copied[4..], data[4..data.len() - 25]);

    let mut unfit = BatchWriter::new(BatchFlags::empty());
    let large = MessageHeader {
        generation: 65_536,
        ..header
    };
    unfit.row(0, &digest(), &large).finish().unwrap();
    assert_eq!(unfit.finish().unwrap_err(), WriteError::Part);
}
