//! The kinds of input: what is prepared, and what is sent over and over.

use bytes::BytesMut;
use protocol::compress;
use protocol::header::{Header, MessageType};
use protocol::key::Digest;
use protocol::message::{
    BatchFlags, BatchWriter, BodyWriter, FieldType, Info1, Info2, Info3, MessageHeader,
    MessageWriter, OpCode,
};
use protocol::msgpack::{write_integer, write_list_header};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use tests::error::{Error, Result};
use tests::records::{CallOptions, RecordKey, WriteOptions};

/// How an attacker knows that it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By so many frames.
    Frames(usize),
    /// By the frame that says that it is the last.
    Last,
    /// It does not wait: it writes as fast as it may, and reads on another thread.
    Pumped,
    /// It goes away once it has sent.
    Left,
    /// Its bytes go out one by one; then by a frame.
    Dribbled,
}

/// One kind of input.
pub(crate) struct Kind {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Requests that are answered before, by a frame each.
    pub(crate) before: Vec<Vec<u8>>,
    /// What is sent over and over.
    pub(crate) sent: Vec<u8>,
    /// When it counts as answered.
    pub(crate) answer: Answer,
}

/// A module whose functions take what they can get.
pub(crate) const MODULE: &str = "
function spin(rec) while true do end end
function memory(rec) local t = {} for i = 1, 110 do t[i] = string.rep('x', 1000000) .. i end while true do end end
function zeros(rec) local a, b = string.rep('\\0', 15000000), string.rep('\\0', 15000000) while true do local _ = a < b end end
function weak(rec)
  local keys = {} for i = 1, 80001 do keys[i] = {} end
  local t = setmetatable({}, { __mode = 'k' }) for i = 1, 80000 do t[keys[i]] = keys[i + 1] end
  keys = nil collectgarbage()
end
function some(rec) for i = 1, 100000 do end return 1 end
function log(rec) for i = 1, 200 do info('a line of a script that says much: %d', i) end return 1 end
";

fn unexpected(error: impl std::fmt::Display) -> Error {
    Error::Unexpected(error.to_string())
}

fn frame(kind: MessageType, body: &[u8]) -> Vec<u8> {
    let header = Header::new(kind, body.len() as u64).to_bytes();
    [&header[..], body].concat()
}

fn info(text: &str) -> Vec<u8> {
    frame(MessageType::Info, text.as_bytes())
}

fn put_line(name: &str, chunk: &str) -> String {
    use base64::Engine as _;
    let content = base64::engine::general_purpose::STANDARD.encode(chunk);
    format!(
        "udf-put:filename={name};content={content};content-len={};udf-type=LUA;\n",
        content.len()
    )
}

/// A module of about so many bytes whose body does next to nothing.
fn long_module(bytes: usize, more: &str) -> String {
    let line = "function f(rec, a, b) local t = {} t[a] = b return t[a] end\n";
    line.repeat(bytes / line.len()) + more
}

/// A message with ops, which `write` adds.
fn message(
    key: &RecordKey,
    header: &MessageHeader,
    write: impl FnOnce(&mut MessageWriter<'_>),
) -> Result<Vec<u8>> {
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, header);
    message
        .namespace(&key.namespace)
        .set(&key.set)
        .digest(&key.digest());
    write(&mut message);
    message.finish().map_err(unexpected)?;
    Ok(out.to_vec())
}

/// A corner of a polygon around a place, as JSON.
fn corners(count: u32) -> String {
    let corner = |number: u32| {
        let angle = f64::from(number % count) / f64::from(count) * std::f64::consts::TAU;
        format!(
            "[{:.9},{:.9}]",
            13.0 + angle.cos() * 0.5,
            52.0 + angle.sin() * 0.5
        )
    };
    let all: Vec<_> = (0..=count).map(corner).collect();
    format!(
        r#"{{"type":"Polygon","coordinates":[[{}]]}}"#,
        all.join(",")
    )
}

fn place(text: &str) -> Particle {
    Particle::new(
        ParticleType::GEOJSON,
        [&[0, 0, 0][..], text.as_bytes()].concat(),
    )
}

/// A query of a set, by an index when a bin and bounds are given.
fn query(set: &str, by: Option<(&str, ParticleType, &[u8])>) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ,
        info3: Info3::PARTITION_DONE,
        ..MessageHeader::default()
    };
    let partitions: Vec<u8> = (0..4_096_u16).flat_map(u16::to_le_bytes).collect();
    let mut out = BytesMut::new();
    let mut message = BodyWriter::new(&mut out, &header);
    message.namespace("test").set(set);
    if let Some((bin, kind, bound)) = by {
        let mut range = vec![1, u8::try_from(bin.len()).map_err(unexpected)?];
        range.extend_from_slice(bin.as_bytes());
        range.push(kind.0);
        for _ in 0..2 {
            let length = u32::try_from(bound.len()).map_err(unexpected)?;
            range.extend_from_slice(&length.to_be_bytes());
            range.extend_from_slice(bound);
        }
        message.field(FieldType::INDEX_RANGE, &range);
    }
    message.field(FieldType::PID_ARRAY, &partitions);
    message.finish().map_err(unexpected)?;
    Ok(frame(MessageType::Message, &out))
}

/// A batch whose field holds this.
fn batch_of(rows: &[u8]) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ | Info1::BATCH,
        transaction_ttl: 1_000,
        ..MessageHeader::default()
    };
    let mut out = BytesMut::new();
    let mut message = MessageWriter::new(&mut out, &header);
    message.field(FieldType::BATCH_INDEX, rows);
    message.finish().map_err(unexpected)?;
    Ok(out.to_vec())
}

/// Rows of so many fields that nobody knows, the first of which names a namespace.
fn garbage(rows: u32, fields: u16, namespace: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = rows.to_be_bytes().to_vec();
    bytes.push(4);
    for row in 0..rows {
        bytes.extend_from_slice(&row.to_be_bytes());
        bytes.extend_from_slice(&[7; 20]);
        bytes.extend_from_slice(&[0, 1]);
        bytes.extend_from_slice(&fields.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let length = u32::try_from(namespace.len() + 1).map_err(unexpected)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.push(0);
        bytes.extend_from_slice(namespace);
        for _ in 1..fields {
            bytes.extend_from_slice(&[0, 0, 0, 1, 200]);
        }
    }
    batch_of(&bytes)
}

/// A row of so many ops, and others that repeat it.
fn repeated(rows: u32, ops: u16, fields: u16) -> Result<Vec<u8>> {
    let mut bytes = rows.to_be_bytes().to_vec();
    bytes.push(4);
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&[7; 20]);
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(&(fields + 1).to_be_bytes());
    bytes.extend_from_slice(&ops.to_be_bytes());
    bytes.extend_from_slice(b"\0\0\0\x05\0test");
    for _ in 0..fields {
        bytes.extend_from_slice(&[0, 0, 0, 1, 200]);
    }
    for number in 0..ops {
        bytes.extend_from_slice(&[0, 0, 0, 10, 1, 0, 0, 6]);
        bytes.extend_from_slice(format!("c{number:05}").as_bytes());
    }
    for row in 1..rows {
        bytes.extend_from_slice(&row.to_be_bytes());
        bytes.extend_from_slice(&[7; 20]);
        bytes.push(1);
    }
    batch_of(&bytes)
}

/// A filter: one comparison out of so many holds.
fn many_comparisons(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, count + 1);
    write_integer(&mut out, 17);
    for number in 0..count {
        write_list_header(&mut out, 3);
        write_integer(&mut out, 1);
        write_list_header(&mut out, 3);
        write_integer(&mut out, 81);
        write_integer(&mut out, 2);
        out.extend_from_slice(&[0xa2, 3, b'a']);
        write_integer(&mut out, i64::try_from(number).unwrap_or(i64::MAX));
    }
    out
}

/// A filter: the bin `t` matches a pattern.
fn pattern(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, 4);
    write_integer(&mut out, 7);
    write_integer(&mut out, 1);
    protocol::msgpack::write_text(&mut out, ParticleType::STRING, text.as_bytes());
    // A pattern is a plain text: without the byte that tells what it is.
    write_list_header(&mut out, 3);
    write_integer(&mut out, 81);
    write_integer(&mut out, 3);
    out.extend_from_slice(&[0xa2, 3, b't']);
    out
}

fn filtered(key: &RecordKey, filter: &[u8]) -> Result<Vec<u8>> {
    let header = MessageHeader {
        info1: Info1::READ | Info1::GET_ALL,
        ..MessageHeader::default()
    };
    message(key, &header, |message| {
        message.field(FieldType::FILTER_EXP, filter);
    })
}

fn payload(numbers: &[i64]) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, numbers.len());
    for number in numbers {
        write_integer(&mut out, *number);
    }
    out
}

fn put(key: &RecordKey, bin: &str, value: &Particle) -> Result<Vec<u8>> {
    Ok(key.put([(bin, value)], WriteOptions::default())?.to_vec())
}

/// What comes of scripts.
fn of_scripts() -> Result<Vec<Kind>> {
    let call = |function: &str, timeout_ms| {
        let options = CallOptions {
            timeout_ms,
            ..CallOptions::default()
        };
        RecordKey::new("test", "attack", function)
            .apply(b"attack", function.as_bytes(), &[0x90], options)
            .map(|frame| frame.to_vec())
    };
    let answered = |name, sent| Kind {
        name,
        before: Vec::new(),
        sent,
        answer: Answer::Frames(1),
    };
    let long = long_module(700_000, "");
    let other = long_module(700_000, "-- another\n");
    let background = {
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..MessageHeader::default()
        };
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &header);
        message.namespace("test").set("scanned");
        message
            .field(FieldType::UDF_PACKAGE, b"attack")
            .field(FieldType::UDF_FUNCTION, b"some")
            .field(FieldType::UDF_ARGLIST, &[0x90])
            .field(FieldType::UDF_OP, &[2]);
        message.finish().map_err(unexpected)?;
        out.to_vec()
    };
    Ok(vec![
        answered("spinning calls", call("spin", 1_000)?),
        answered("memory of calls", call("memory", 2_000)?),
        answered("long comparisons", call("zeros", 500)?),
        answered("weak keys", call("weak", 500)?),
        answered("calls of a millisecond", call("some", 1_000)?),
        answered("lines of calls", call("log", 1_000)?),
        answered(
            "endless bodies",
            info(&put_line("body.lua", "while true do end")),
        ),
        answered(
            "compile time",
            info(&put_line(
                "body.lua",
                &format!("if a then {}end", "elseif a then ".repeat(70_000)),
            )),
        ),
        answered(
            "large bodies",
            info(&put_line(
                "body.lua",
                "local t = {} for i = 1, 115 do t[i] = string.rep('x', 1000000) .. i end",
            )),
        ),
        answered(
            "honest modules",
            info(&(put_line("long.lua", &long) + &put_line("long.lua", &other))),
        ),
        answered("removals", info("udf-remove:filename=none.lua\n")),
        Kind {
            name: "modules fetched",
            before: vec![info(&put_line("long.lua", &long))],
            sent: info(&"udf-get:filename=long.lua\n".repeat(30)),
            answer: Answer::Frames(1),
        },
        Kind {
            name: "cleared caches",
            before: Vec::new(),
            sent: info(&"udf-clear-cache:\n".repeat(1_000)),
            answer: Answer::Frames(1),
        },
        Kind {
            name: "cleared caches, pumped",
            before: Vec::new(),
            sent: info("udf-clear-cache:\n").repeat(100),
            answer: Answer::Pumped,
        },
        Kind {
            name: "background jobs",
            before: scanned()?,
            sent: background,
            answer: Answer::Frames(1),
        },
    ])
}

/// Records for scans.
fn scanned() -> Result<Vec<Vec<u8>>> {
    (0..3_000)
        .map(|number| {
            let key = RecordKey::new("test", "scanned", &number.to_string());
            put(&key, "a", &Particle::integer(number))
        })
        .collect()
}

/// What comes of records.
fn of_records() -> Result<Vec<Kind>> {
    let attacked = RecordKey::new("test", "attack", "record");
    let answered = |name, before, sent| Kind {
        name,
        before,
        sent,
        answer: Answer::Frames(1),
    };
    let text = Particle::new(ParticleType::STRING, vec![b'x'; 1_000]);
    let million = Particle::new(ParticleType::STRING, vec![b'x'; 1_000_000]);
    let bins: Vec<String> = (0..800).map(|number| format!("b{number}")).collect();
    let wide = RecordKey::new("test", "attack", "wide").put(
        bins.iter().map(|name| (name.as_str(), &text)),
        WriteOptions::default(),
    )?;
    let write = MessageHeader {
        info2: Info2::WRITE,
        transaction_ttl: 100,
        ..MessageHeader::default()
    };
    let read = MessageHeader {
        info1: Info1::READ,
        transaction_ttl: 100,
        ..MessageHeader::default()
    };
    let appends = message(&attacked, &write, |message| {
        for _ in 0..32_000 {
            message.op(
                OpCode::APPEND,
                b"z",
                ParticleRef::new(ParticleType::STRING, b"y"),
            );
        }
    })?;
    let list = {
        let mut out = Vec::new();
        write_list_header(&mut out, 100_000);
        for number in 0..100_000_i64 {
            write_integer(&mut out, number * 7_919 % 100_003);
        }
        Particle::new(ParticleType::LIST, out)
    };
    let lists = RecordKey::new("test", "attack", "list");
    let sorted = message(&lists, &write, |message| {
        for _ in 0..50 {
            let by = payload(&[7, 0]);
            message.op(
                OpCode::CDT_MODIFY,
                b"b",
                ParticleRef::new(ParticleType::BLOB, &by),
            );
        }
    })?;
    let ranks = message(&lists, &read, |message| {
        for _ in 0..50 {
            let by = payload(&[21, 7, 50_000]);
            message.op(
                OpCode::CDT_READ,
                b"b",
                ParticleRef::new(ParticleType::BLOB, &by),
            );
        }
    })?;
    let blob = Particle::new(ParticleType::BLOB, vec![0x55; 1_000_000]);
    let blobs = RecordKey::new("test", "attack", "blob");
    let shifted = message(&blobs, &write, |message| {
        for _ in 0..100 {
            let by = payload(&[8, 0, 8_000_000, 3]);
            message.op(
                OpCode::BITS_MODIFY,
                b"b",
                ParticleRef::new(ParticleType::BLOB, &by),
            );
        }
    })?;
    let polygons = RecordKey::new("test", "attack", "polygon");
    let region = place(&corners(10_000));
    let point = RecordKey::new("test", "places", "p");
    let made = "sindex-create:namespace=test;set=places;indexname=places;bin=p;type=geo2dsphere\n";
    let texts = RecordKey::new("test", "attack", "text");
    let many = RecordKey::new("test", "attack", "many");
    let victim = RecordKey::new("test", "attack", "victim");
    let get = victim.get()?.to_vec();
    let scan = query("scanned", None)?;
    Ok(vec![
        answered("wide writes", vec![], wide.to_vec()),
        answered("appends", vec![put(&attacked, "z", &million)?], appends),
        answered("sorted lists", vec![put(&lists, "b", &list)?], sorted),
        answered("ranks of lists", vec![put(&lists, "b", &list)?], ranks),
        answered("shifted bits", vec![put(&blobs, "b", &blob)?], shifted),
        answered("polygons", vec![], put(&polygons, "p", &region)?),
        Kind {
            name: "regions",
            before: vec![
                put(
                    &point,
                    "p",
                    &place(r#"{"type":"Point","coordinates":[13.1,52.1]}"#),
                )?,
                info(made),
            ],
            sent: query(
                "places",
                Some(("p", ParticleType::GEOJSON, corners(20_000).as_bytes())),
            )?,
            answer: Answer::Last,
        },
        answered(
            "filters",
            vec![put(&many, "a", &Particle::integer(-1))?],
            filtered(&many, &many_comparisons(100_000))?,
        ),
        answered(
            "patterns",
            vec![put(&texts, "t", &million)?],
            filtered(&texts, &pattern("(x*)*(x+x+)+(x{1,200}){1,200}y"))?,
        ),
        Kind {
            name: "pipelined gets",
            before: vec![put(&victim, "a", &text)?],
            sent: get.repeat(1_000),
            answer: Answer::Pumped,
        },
        Kind {
            name: "pipelined puts",
            before: Vec::new(),
            sent: put(&victim, "a", &text)?.repeat(100),
            answer: Answer::Pumped,
        },
        Kind {
            name: "large gets, pumped",
            before: vec![put(&attacked, "z", &million)?],
            sent: attacked.get()?.repeat(100),
            answer: Answer::Pumped,
        },
        Kind {
            name: "scans",
            before: scanned()?,
            sent: scan.clone(),
            answer: Answer::Last,
        },
        Kind {
            name: "scans, left",
            before: Vec::new(),
            sent: scan,
            answer: Answer::Left,
        },
        Kind {
            name: "dribbled gets",
            before: Vec::new(),
            sent: get,
            answer: Answer::Dribbled,
        },
    ])
}

/// What comes of frames, rows and names.
fn of_frames() -> Result<Vec<Kind>> {
    let answered = |name, sent| Kind {
        name,
        before: Vec::new(),
        sent,
        answer: Answer::Frames(1),
    };
    let last = |name, sent| Kind {
        name,
        before: Vec::new(),
        sent,
        answer: Answer::Last,
    };
    let pumped = |name, sent: Vec<u8>| Kind {
        name,
        before: Vec::new(),
        sent,
        answer: Answer::Pumped,
    };
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
    Ok(vec![
        answered("frames that inflate", bomb.to_vec()),
        answered("info names", info(&"x\n".repeat(10_000_000))),
        answered("some info names", info(&"x\n".repeat(1_000))),
        answered("long info names", info(&"x".repeat(30_000_000))),
        answered("statistics", info(&"statistics\n".repeat(1_000))),
        answered("sets and histograms", info(&"sets\nhistogram:namespace=test;type=ttl\nlatencies:\nnamespace/test\nget-config:\n".repeat(200))),
        pumped("empty info frames", info("").repeat(100)),
        pumped("refused logins", frame(MessageType::Security, &[0; 24]).repeat(1_000)),
        answered("truncations", info("truncate:namespace=test;set=none\n")),
        answered("settings", info(&"set-config:context=service;ticker-interval=10\n".repeat(500))),
        answered("indexes", info(
            "sindex-create:namespace=test;set=scanned;indexname=i;bin=a;type=numeric\nsindex-delete:namespace=test;indexname=i\n",
        )),
        last("batches", gets),
        last("batches of garbage", garbage(40, u16::MAX, b"test")?),
        last("batches of nowhere", garbage(5_000, 100, b"none")?),
        last("repeated ops", repeated(3, 32_000, 0)?),
        last("repeated fields", repeated(5_000, 0, 60_000)?),
        Kind {
            name: "connections",
            before: Vec::new(),
            sent: b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            answer: Answer::Left,
        },
    ])
}

/// All kinds.
///
/// # Errors
/// A frame cannot be written.
pub(crate) fn all() -> Result<Vec<Kind>> {
    let mut all = of_frames()?;
    all.extend(of_scripts()?);
    all.extend(of_records()?);
    Ok(all)
}
