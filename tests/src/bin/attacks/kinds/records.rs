//! What comes of records.

use protocol::message::{Info1, Info2, MessageHeader, OpCode};
use protocol::msgpack::{write_integer, write_list_header};
use protocol::particle::{Particle, ParticleRef, ParticleType};
use tests::error::Result;
use tests::records::{RecordKey, WriteOptions};

use super::input::{
    comb, corners, filtered, info, many_comparisons, message, pattern, payload, place, put, query,
    scanned,
};
use super::{Answer, Kind, Until};

/// What comes of records.
pub(super) fn kinds() -> Result<Vec<Kind>> {
    let attacked = RecordKey::new("test", "attack", "record");
    let pumped = |name, sent| Kind::new(name, sent).answered(Answer::Pumped);
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
        // Up and down: what is sorted already takes little.
        for number in 0..50 {
            let by = payload(&[13, number % 2]);
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
    let point = place(r#"{"type":"Point","coordinates":[13.1,52.1]}"#);
    let places = || {
        let make =
            "sindex-create:namespace=test;set=places;indexname=places;bin=p;type=geo2dsphere\n";
        let numbers = 0..50;
        let records = numbers.map(|number| {
            put(
                &RecordKey::new("test", "places", &number.to_string()),
                "p",
                &point,
            )
        });
        let records: Result<Vec<_>> = records.collect();
        records.map(|records| [records, vec![info(make)]].concat())
    };
    let by_region = |name, region: &str| -> Result<Kind> {
        let asked = query(
            "places",
            Some(("p", ParticleType::GEOJSON, region.as_bytes())),
        )?;
        Ok(Kind {
            ready: Some(Until {
                command: "sindex-stat:namespace=test;indexname=places",
                is_so: |stat| stat.contains("load_pct=100"),
            }),
            ..Kind::served(name, asked)
                .after(places()?)
                .answered(Answer::Last)
        })
    };
    let texts = RecordKey::new("test", "attack", "text");
    let many = RecordKey::new("test", "attack", "many");
    let victim = RecordKey::new("test", "attack", "victim");
    let get = victim.get()?.to_vec();
    let scan = query("scanned", None)?;
    Ok(vec![
        Kind::served("wide writes", wide.to_vec()),
        Kind::new("appends", appends).after(vec![put(&attacked, "z", &million)?]),
        Kind::new("sorted lists", sorted).after(vec![put(&lists, "b", &list)?]),
        Kind::new("ranks of lists", ranks).after(vec![put(&lists, "b", &list)?]),
        Kind::new("shifted bits", shifted).after(vec![put(&blobs, "b", &blob)?]),
        Kind::served("polygons", put(&polygons, "p", &place(&corners(10_000)))?),
        Kind::served("combs", put(&polygons, "p", &place(&comb(36_000)))?),
        by_region("regions", &corners(20_000))?,
        by_region("regions of combs", &comb(36_000))?,
        Kind::new("filters", filtered(&many, &many_comparisons(100_000))?).after(vec![put(
            &many,
            "a",
            &Particle::integer(-1),
        )?]),
        Kind::new(
            "patterns",
            filtered(&texts, &pattern("(x*)*(x+x+)+(x{1,200}){1,200}y"))?,
        )
        .after(vec![put(&texts, "t", &million)?]),
        pumped("pipelined gets", get.repeat(1_000)).after(vec![put(&victim, "a", &text)?]),
        pumped("pipelined puts", put(&victim, "a", &text)?.repeat(100)),
        pumped("large gets, pumped", attacked.get()?.repeat(100))
            .after(vec![put(&attacked, "z", &million)?]),
        Kind::served("scans", scan.clone())
            .after(scanned()?)
            .answered(Answer::Last),
        Kind::new("scans, left", scan)
            .after(scanned()?)
            .answered(Answer::Left),
        Kind::served("dribbled gets", get)
            .after(vec![put(&victim, "a", &text)?])
            .answered(Answer::Dribbled),
    ])
}
