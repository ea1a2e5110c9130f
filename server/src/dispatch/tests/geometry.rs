//! Geometries of many corners: to read them is work, which ends where the request's time does.

use protocol::msgpack::{write_integer, write_list_header, write_text};
use protocol::particle::ParticleType;

use super::query::body;
use super::*;

/// A polygon around a place.
fn polygon(corners: u32) -> String {
    let corner = |number: u32| {
        let angle = f64::from(number % corners) / f64::from(corners) * std::f64::consts::TAU;
        format!("[{:.9},{:.9}]", 13.0 + angle.cos(), 52.0 + angle.sin())
    };
    let all: Vec<_> = (0..=corners).map(corner).collect();
    format!(
        r#"{{"type":"Polygon","coordinates":[[{}]]}}"#,
        all.join(",")
    )
}

/// An expression: whether one geometry is in the other.
fn within(region: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_list_header(&mut out, 3);
    write_integer(&mut out, 8);
    let place = r#"{"type":"Point","coordinates":[13.0,52.0]}"#;
    write_text(&mut out, ParticleType::GEOJSON, place.as_bytes());
    write_text(&mut out, ParticleType::GEOJSON, region.as_bytes());
    out
}

fn in_region(region: &str) -> Ask {
    let mut range = b"\x01\x01p\x17".to_vec();
    for _ in 0..2 {
        range.extend_from_slice(&u32::try_from(region.len()).unwrap().to_be_bytes());
        range.extend_from_slice(region.as_bytes());
    }
    Ask::new(Info1::READ, Info2::empty())
        .info3(Info3::PARTITION_DONE)
        .field(FieldType::INDEX_RANGE, &range)
}

/// All that reads a geometry which a peer sends, with its code where there is time for that.
fn requests(region: &str, filtered: u8) -> Vec<(&'static str, Ask, u8)> {
    let value = || Particle::geojson(region.as_bytes());
    let change = || Ask::new(Info1::empty(), Info2::WRITE);
    let mut stored = Vec::new();
    write_list_header(&mut stored, 2);
    stored.extend_from_slice(&within(region));
    write_integer(&mut stored, 0);
    let expression = Particle::new(ParticleType::BLOB, stored);
    vec![
        ("put", Ask::put("p", value()), 0),
        ("append", change().op(OpCode::APPEND, "q", value()), 0),
        ("add", change().op(OpCode::INCR, "r", value()), 0),
        ("filter", Ask::get().filter(&within(region)), filtered),
        (
            "expression",
            Ask::new(Info1::READ, Info2::empty()).op(OpCode::EXP_READ, "e", expression),
            0,
        ),
        // There is no index.
        ("query", in_region(region), 201),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn geometries_are_read_until_the_time_is_up() {
    let region = polygon(3_000);
    let place = r#"{"type":"Point","coordinates":[13.0,52.0]}"#.to_owned();
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
    for (what, geometry, filtered, received, code) in [
        ("region in time", &region, 0, Instant::now(), None),
        // Little work looks at no clock; a place is in no place.
        ("place too late", &place, 27, long_ago, None),
        ("region too late", &region, 9, long_ago, Some(9)),
    ] {
        let bench = Bench::new();
        assert_eq!(bench.code(&Ask::put("a", int(1))).await, 0);
        for (name, mut ask, read) in requests(geometry, filtered) {
            ask.header.transaction_ttl = 30_000;
            let sent = match name {
                "query" => body(&ask, [digest(1).partition_id()]),
                _ => ask.body(),
            };
            let messages = bench.send_received(&sent, received).await;
            let last = messages.last().unwrap();
            assert_eq!(last.result, code.unwrap_or(read), "{what}: {name}");
        }
    }
}
