use super::*;
use crate::work::{UnitsLeft, Unmetered};
use protocol::result_code::ResultCode;

fn parse(text: &str) -> Geometry {
    Geometry::parse(text.as_bytes(), &mut Unmetered::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn point(longitude: f64, latitude: f64) -> Geometry {
    parse(&format!(
        r#"{{"type":"Point","coordinates":[{longitude},{latitude}]}}"#
    ))
}

fn polygon(rings: &str) -> Geometry {
    parse(&format!(r#"{{"type":"Polygon","coordinates":{rings}}}"#))
}

const SQUARE: &str = "[[0,0],[10,0],[10,10],[0,10],[0,0]]";

/// Values that a real server was given, with its answer: as a bin (160 refuses), as a literal of an expression (4).
#[test]
fn values_are_accepted_as_recorded() {
    let mut cases = 0;
    for line in include_str!("recorded/values.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let hex = case["hex"].as_str().unwrap();
        let data: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let name = case["case"].as_str().unwrap();
        let accepted = if name.starts_with("geo/exp_literal") {
            Geometry::parse(&data[3..], &mut Unmetered::default()).is_ok()
        } else {
            stored(&data, &mut Unmetered::default()).is_ok()
        };
        assert_eq!(accepted, case["code"] == 0, "{name}");
        cases += 1;
    }
    assert!(cases > 140);
}

#[test]
fn what_is_wrong_is_told() {
    let cases: [(&str, GeoError); 13] = [
        ("", GeoError::Json { byte: 0 }),
        (r#"{"type":"Point"} x"#, GeoError::Json { byte: 17 }),
        (r#"{"a":12345678901234567890}"#, GeoError::Json { byte: 25 }),
        (r#"{"coordinates":[1,2]}"#, GeoError::Missing("type")),
        (r#"{"type":"Feature"}"#, GeoError::Missing("geometry")),
        (r#"{"type":"Point"}"#, GeoError::Missing("coordinates")),
        (r#"{"type":"LineString","coordinates":[]}"#, GeoError::Kind),
        (
            r#"{"type":"Point","coordinates":[1,2,3]}"#,
            GeoError::Coordinates,
        ),
        (r#"{"type":"Point","coordinates":[181,2]}"#, GeoError::Range),
        (
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1]]]}"#,
            GeoError::Ring,
        ),
        (
            r#"{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}"#,
            GeoError::Crossing,
        ),
        // A hole that leaves its ring.
        (
            r#"{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9],[0,9],[0,0]],[[1,1],[20,1],[20,2],[1,1]]]}"#,
            GeoError::Crossing,
        ),
        (
            r#"{"type":"AeroCircle","coordinates":[[0,0],30000000]}"#,
            GeoError::Everything,
        ),
    ];
    for (text, error) in cases {
        assert_eq!(
            validate(text.as_bytes(), &mut Unmetered::default()),
            Err(error),
            "{text}"
        );
    }
}

#[test]
fn names_may_be_escaped_and_the_last_member_counts() {
    let place = point(1.0, 2.0);
    for text in [
        r#"{"\u0074ype":"Po\u0069nt","coordinates":[1,2]}"#,
        r#"{"type":"Polygon","coordinates":[9],"coordinates":[1,2],"type":"Point"}"#,
        r#"{"type":"Point","x":"\ud83d\ude00 \" [","y":[{},[],{"a":[]}],"coordinates":[1.0,2e0]}"#,
    ] {
        assert_eq!(parse(text), place, "{text}");
    }
    for text in [
        r#"{"type":"Point","coordinates":[1,2],"x":"\ud83d"}"#,
        r#"{"type":"Point","coordinates":[1,2],"x":"\udc00"}"#,
        r#"{"type":"Point","coordinates":[1,2],"x":"\u0000"}"#,
        r#"{"type":"Point","coordinates":[1,2],"x":tru}"#,
        r#"{"type":"Point","coordinates":[1,2],"x":[1 2]}"#,
        r#"{"type":"Point","coordinates":[1,2],}"#,
    ] {
        assert!(
            Geometry::parse(text.as_bytes(), &mut Unmetered::default()).is_err(),
            "{text}"
        );
    }
}

#[test]
fn points_are_found_in_regions() {
    let around_the_pole = "[[[0,80],[90,80],[180,80],[-90,80],[0,80]]]";
    let over_the_date_line = "[[[170,0],[-170,0],[-170,10],[170,10],[170,0]]]";
    let hole = format!("[{SQUARE},[[2,2],[8,2],[8,8],[2,8],[2,2]]]");
    // The small side is inside, whichever way the ring runs.
    let clockwise = "[[[0,0],[0,10],[10,10],[10,0],[0,0]]]";
    let square = format!("[{SQUARE}]");
    // Crosses itself nowhere, but touches itself in a corner.
    let bow = "[[[0,0],[2,0],[1,1],[2,2],[0,2],[1,1],[0,0]]]";
    let cases: [(&str, f64, f64, bool); 20] = [
        (&square, 5.0, 5.0, true),
        (&square, 0.001, 0.001, true),
        (&square, -0.001, 5.0, false),
        // The edge is a great circle: it bulges to the pole.
        (&square, 5.0, 10.02, true),
        (&square, 5.0, 10.04, false),
        (&square, -175.0, -5.0, false),
        (clockwise, 5.0, 5.0, true),
        (clockwise, 15.0, 5.0, false),
        (&hole, 5.0, 5.0, false),
        (&hole, 1.0, 1.0, true),
        (around_the_pole, 0.0, 90.0, true),
        (around_the_pole, 45.0, 79.0, false),
        (around_the_pole, 0.0, -90.0, false),
        (over_the_date_line, 180.0, 5.0, true),
        (over_the_date_line, -175.0, 5.0, true),
        (over_the_date_line, 0.0, 5.0, false),
        (bow, 0.9, 0.5, true),
        (bow, 0.9, 1.5, true),
        (bow, 0.2, 1.0, false),
        ("[]", 0.0, 0.0, false),
    ];
    for (rings, longitude, latitude, inside) in cases {
        let (region, place) = (polygon(rings), point(longitude, latitude));
        assert_eq!(
            region.matches(&place, &mut Unmetered::default()).unwrap(),
            inside,
            "{rings} {longitude} {latitude}"
        );
        assert_eq!(
            place.matches(&region, &mut Unmetered::default()).unwrap(),
            inside
        );
    }
    assert!(
        !point(1.0, 1.0)
            .matches(&point(1.0, 1.0), &mut Unmetered::default())
            .unwrap()
    );
    assert!(
        !polygon(&square)
            .matches(&polygon(&square), &mut Unmetered::default())
            .unwrap()
    );
}

#[test]
fn circles_are_measured_in_meters() {
    // A degree of latitude has 111,195 m.
    let cases = [
        (111_100.0, 1.0, false),
        (111_300.0, 1.0, true),
        (-1.0, 0.0, false),
        (9_000_000.0, 80.0, true),
        (9_000_000.0, 82.0, false),
    ];
    for (radius, latitude, inside) in cases {
        let circle = parse(&format!(
            r#"{{"type":"AeroCircle","coordinates":[[0,0],{radius}]}}"#
        ));
        assert_eq!(
            circle
                .matches(&point(0.0, latitude), &mut Unmetered::default())
                .unwrap(),
            inside,
            "{radius} {latitude}"
        );
    }
}

/// Every point of a region lies in its covering, whatever the region; the covering keeps to its limits.
#[test]
fn coverings_hold_their_regions() {
    let regions = [
        polygon(&format!("[{SQUARE}]")),
        polygon(&format!("[{SQUARE},[[2,2],[8,2],[8,8],[2,8],[2,2]]]")),
        polygon("[[[0,80],[90,80],[180,80],[-90,80],[0,80]]]"),
        polygon("[[[170,-3],[-170,-3],[-170,10],[170,10],[170,-3]]]"),
        polygon("[[[-122.1,37.3],[-122.0,37.3],[-122.05,37.4],[-122.1,37.3]]]"),
        polygon("[[[0,0],[0.00001,0],[0.00001,0.00001],[0,0]]]"),
        parse(r#"{"type":"AeroCircle","coordinates":[[10,10],100000]}"#),
        parse(r#"{"type":"AeroCircle","coordinates":[[0,89.9],100000]}"#),
        parse(r#"{"type":"AeroCircle","coordinates":[[0,0],9000000]}"#),
        parse(
            r#"{"type":"MultiPolygon","coordinates":[[[[40,40],[41,40],[41,41],[40,41],[40,40]]],[[[50,50],[51,50],[51,51],[50,51],[50,50]]]]}"#,
        ),
    ];
    let finer = Fineness {
        max_cells: 100,
        level_step: 2,
        max_level: 19,
        ..Fineness::STORED
    };
    for region in &regions {
        for fineness in [Fineness::STORED, finer] {
            let cells = region.cover(fineness, &mut Unmetered::default()).unwrap();
            assert!(
                cells
                    .windows(2)
                    .all(|pair| pair[0] < pair[1] && !pair[0].contains(pair[1]))
            );
            assert!(
                !cells.is_empty() && cells.len() <= fineness.max_cells.max(24),
                "{cells:?}"
            );
            assert!(
                cells
                    .iter()
                    .all(|cell| cell.level() >= 1 && cell.level() <= fineness.max_level)
            );
            for i in 0..4000_u32 {
                // Places all over, and as many near a corner of the region.
                let (longitude, latitude) = if i % 2 == 0 {
                    (
                        f64::from(i) * 7.3 % 360.0 - 180.0,
                        f64::from(i) * 3.1 % 180.0 - 90.0,
                    )
                } else {
                    (
                        f64::from(i) * 0.37 % 24.0 - 4.0,
                        f64::from(i) * 0.113 % 16.0 - 3.0,
                    )
                };
                let place = point(longitude, latitude);
                if !region.matches(&place, &mut Unmetered::default()).unwrap() {
                    continue;
                }
                let leaf = place.cover(fineness, &mut Unmetered::default()).unwrap()[0];
                assert!(
                    cells.iter().any(|cell| cell.contains(leaf)),
                    "{longitude} {latitude}"
                );
            }
        }
    }
    assert_eq!(
        polygon("[]").cover(Fineness::STORED, &mut Unmetered::default()),
        Ok(Vec::new())
    );
    assert_eq!(
        parse(r#"{"type":"AeroCircle","coordinates":[[0,0],-5]}"#)
            .cover(Fineness::STORED, &mut Unmetered::default()),
        Ok(Vec::new())
    );
}

/// A covering is as fine as its number of cells allows: it is not much larger than the region.
#[test]
fn coverings_are_tight() {
    let cells = polygon(&format!("[{SQUARE}]"))
        .cover(Fineness::STORED, &mut Unmetered::default())
        .unwrap();
    assert!(cells.len() >= 6, "{cells:?}");
    assert!(cells.iter().all(|cell| cell.level() >= 3), "{cells:?}");
    for (longitude, latitude) in [(30.0, 5.0), (-20.0, 0.0), (5.0, 30.0)] {
        let leaf = point(longitude, latitude)
            .cover(Fineness::STORED, &mut Unmetered::default())
            .unwrap()[0];
        assert!(!cells.iter().any(|cell| cell.contains(leaf)));
    }
}

#[test]
fn stored_values_carry_their_cells() {
    let text = br#"{"type":"Point","coordinates":[1.0,2.0]}"#;
    let particle = stored(
        &[&[0xff, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1], &text[..]].concat(),
        &mut Unmetered::default(),
    )
    .unwrap();
    assert_eq!(&particle.data[..3], &[0, 0, 1]);
    assert_eq!(particle.data.len(), 3 + 8 + text.len());
    assert_eq!(particle.as_ref().as_geojson(), Some(&text[..]));
    assert_eq!(
        stored(&[0, 0, 1, 1], &mut Unmetered::default()),
        Err(GeoError::Cells)
    );
    let nested = "[".repeat(100_000);
    for text in [
        "",
        "{",
        "[1]",
        "{}",
        r#"{"type":1,"coordinates":[]}"#,
        &nested,
    ] {
        let bad = Particle::geojson(text.as_bytes());
        let error = crate::particle::stored(bad.as_ref(), &mut Unmetered::default()).unwrap_err();
        assert_eq!(error, protocol::particle::ParticleError::GeoJson.into());
    }
}

/// Polygons of so many corners that are as much work as any.
fn laborious(corners: u32) -> Vec<(&'static str, String)> {
    let ring = |corner: &dyn Fn(u32) -> (f64, f64)| {
        let mut all: Vec<_> = (0..corners - 2).map(corner).collect();
        // Round the back of a comb.
        let (last, first) = (all[all.len() - 1], all[0]);
        all.extend([(-0.1, last.1), (-0.1, first.1), first]);
        let all = all.iter().map(|(x, y)| format!("[{x:.9},{y:.9}]"));
        let all = all.collect::<Vec<_>>().join(",");
        format!(r#"{{"type":"Polygon","coordinates":[[{all}]]}}"#)
    };
    let round = |number: u32| {
        let angle = f64::from(number) / f64::from(corners) * std::f64::consts::TAU;
        (10.0 - angle.cos() * 10.0, angle.sin() * 10.0)
    };
    let teeth = |width: f64, height: f64| {
        move |number: u32| {
            let east = if number.is_multiple_of(2) { 0.0 } else { width };
            (east, f64::from(number) * height)
        }
    };
    vec![
        ("round", ring(&round)),
        ("comb", ring(&teeth(2.0, 0.001))),
        ("small comb", ring(&teeth(0.01, 0.000_001))),
        (
            "on a meridian",
            ring(&|number| (0.0, f64::from(number) * 0.001)),
        ),
    ]
}

/// The largest share of its work that something did at once.
#[derive(Default)]
struct Steps {
    all: usize,
    largest: usize,
}

impl Meter for Steps {
    fn spend(&mut self, units: usize) -> Result<(), TimeIsUp> {
        self.all += units;
        self.largest = self.largest.max(units);
        Ok(())
    }
}

#[test]
fn work_grows_as_the_corners_do_and_is_done_in_steps() {
    const CORNERS: usize = 8_000;
    for (name, text) in laborious(8_000) {
        let (mut reading, mut covering) = (Steps::default(), Steps::default());
        let region = Geometry::parse(text.as_bytes(), &mut reading).unwrap();
        region.cover(Fineness::STORED, &mut covering).unwrap();
        let mut looking = Steps::default();
        for n in 0..100 {
            let place = point(f64::from(n) * 0.02, f64::from(n) * 0.08);
            region.matches(&place, &mut looking).unwrap();
        }
        for (what, work, per_corner) in [
            ("read", &reading, 6_000),
            ("cover", &covering, 4_000),
            ("look a hundred times", &looking, 100 * 50),
        ] {
            assert!(
                work.all < CORNERS * per_corner,
                "{name}: {what}: {}",
                work.all
            );
            // Nothing is longer between two looks at the clock than to order the edges, or to check the text.
            assert!(
                work.largest <= CORNERS * 300,
                "{name}: {what}: {}",
                work.largest
            );
        }
    }
}

#[test]
fn work_ends_where_the_time_does() {
    for (name, text) in laborious(2_000) {
        let mut all = Unmetered::default();
        let region = Geometry::parse(text.as_bytes(), &mut all).unwrap();
        let read = all.units;
        let cells = region.cover(Fineness::STORED, &mut all).unwrap();
        for share in 0..20 {
            let mut left = UnitsLeft(all.units * share / 20);
            let found = Geometry::parse(text.as_bytes(), &mut left)
                .and_then(|region| region.cover(Fineness::STORED, &mut left));
            assert_eq!(found, Err(GeoError::Time(TimeIsUp)), "{name}: {share}");
        }
        assert_eq!(
            Geometry::parse(text.as_bytes(), &mut UnitsLeft(read)),
            Ok(region.clone())
        );
        assert_eq!(
            region.cover(Fineness::STORED, &mut UnitsLeft(all.units - read)),
            Ok(cells)
        );
        let place = point(0.5, 0.5);
        assert_eq!(region.matches(&place, &mut UnitsLeft(0)), Err(TimeIsUp));
        // What a value means when there was no time to read it is not known: it is not refused as a bad one.
        let value = Particle::geojson(text.as_bytes());
        let error = crate::particle::stored(value.as_ref(), &mut UnitsLeft(0)).unwrap_err();
        assert_eq!(error.result_code(), ResultCode::TIMEOUT);
    }
}

/// A polygon as large as a record may be is checked in a bounded number of steps, whatever its shape.
#[test]
fn many_edges_are_checked_in_bounded_work() {
    let ring = |corner: &dyn Fn(usize) -> (f64, f64)| {
        let mut text = String::from("[[");
        for i in 0..20_000 {
            let (x, y) = corner(i);
            text.push_str(&format!("[{x:.7},{y:.7}],"));
        }
        let (x, y) = corner(0);
        text + &format!("[{x:.7},{y:.7}]]]")
    };
    let round = ring(&|i| {
        let angle = i as f64 / 20_000.0 * std::f64::consts::TAU;
        (angle.cos() * 30.0, angle.sin() * 30.0)
    });
    let text = format!(r#"{{"type":"Polygon","coordinates":{round}}}"#);
    assert!(validate(text.as_bytes(), &mut Unmetered::default()).is_ok());
    assert!(
        stored(
            &[&[0; 3], text.as_bytes()].concat(),
            &mut Unmetered::default()
        )
        .is_ok()
    );
    let comb = ring(&|i| (if i % 2 == 0 { 0.0 } else { 10.0 }, i as f64 * 0.001));
    let text = format!(r#"{{"type":"Polygon","coordinates":{comb}}}"#);
    assert!(matches!(
        validate(text.as_bytes(), &mut Unmetered::default()),
        Err(GeoError::Effort | GeoError::Crossing)
    ));
}
