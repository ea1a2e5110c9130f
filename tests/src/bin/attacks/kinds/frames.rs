//! What comes of frames, rows and names.

use bytes::BytesMut;
use protocol::compress;
use protocol::header::MessageType;
use protocol::key::Digest;
use protocol::message::{BatchFlags, BatchWriter, Info1, MessageHeader, MessageWriter};
use protocol::particle::Particle;
use tests::error::Result;
use tests::records::{RecordKey, WriteOptions};

use super::input::{frame, garbage, info, repeated, unexpected};
use super::{Answer, Kind};

/// What comes of frames, rows and names.
pub(super) fn kinds() -> Result<Vec<Kind>> {
    let answered = Kind::new;
    let served = Kind::served;
    let pumped = |name, sent| Kind::new(name, sent).answered(Answer::Pumped);
    let mut bomb = BytesMut::new();
    compress::encode(&mut bomb, &vec![0; (128 << 20) - 64]).map_err(unexpected)?;
    let gets = {
        let mut rows = BatchWriter::new(BatchFlags::RESPOND_ALL);
        let header = MessageHeader {
            info1: Info1::READ | Info1::GET_ALL,
            ..MessageHeader::default()
        };
        let digest = RecordKey::new("test", "attack", "record").digest();
        let mut first = rows.row(0, &digest, &header);
        first.namespace("test").set("attack");
        first.finish().map_err(unexpected)?;
        for row in 1..5_000 {
            rows.repeat(row, &Digest([u8::try_from(row % 251).unwrap_or(0); 20]));
        }
        let header = MessageHeader {
            info1: Info1::READ | Info1::BATCH,
            ..MessageHeader::default()
        };
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &header);
        rows.finish_into(&mut message).map_err(unexpected)?;
        message.finish().map_err(unexpected)?;
        out.to_vec()
    };
    let cut = RecordKey::new("test", "cut", "record");
    let cut = cut
        .put([("a", &Particle::integer(1))], WriteOptions::default())?
        .to_vec();
    Ok(vec![
        answered("frames that inflate", bomb.to_vec()),
        answered("info names", info(&"x\n".repeat(10_000_000))),
        answered("some info names", info(&"x\n".repeat(1_000))),
        answered("long info names", info(&"x".repeat(30_000_000))),
        served("statistics", info(&"statistics\n".repeat(1_000))),
        served("sets and histograms", info(&"sets\nhistogram:namespace=test;type=ttl\nlatencies:\nnamespace/test\nget-config:\n".repeat(200))),
        pumped("empty info frames", info("").repeat(100)),
        pumped("refused logins", frame(MessageType::Security, &[0; 24]).repeat(1_000)),
        served("truncations", info("truncate:namespace=test;set=none\n")),
        served("truncations of a set", info("truncate:namespace=test;set=cut\n")).after(vec![cut]),
        answered("settings", info(&"set-config:context=service;ticker-interval=10\n".repeat(500))),
        served("indexes", info(
            "sindex-create:namespace=test;set=scanned;indexname=i;bin=a;type=numeric\nsindex-delete:namespace=test;indexname=i\n",
        )),
        served("batches", gets).answered(Answer::Last),
        answered("batches of garbage", garbage(40, u16::MAX, b"test")?).answered(Answer::Last),
        answered("batches of nowhere", garbage(5_000, 100, b"none")?).answered(Answer::Last),
        answered("repeated ops", repeated(3, 32_000, 0)?).answered(Answer::Last),
        answered("repeated fields", repeated(5_000, 0, 60_000)?).answered(Answer::Last),
        answered("connections", b"GET / HTTP/1.1\r\n\r\n".to_vec()).answered(Answer::Left),
    ])
}
