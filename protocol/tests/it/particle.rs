use proptest::prelude::*;
use protocol::msgpack::MsgpackError;
use protocol::particle::{Particle, ParticleError, ParticleRef, ParticleType};
use protocol::result_code::ResultCode;

use crate::hex;

#[test]
fn request_values_take_their_stored_form() {
    let cases = [
        (
            "integer",
            1,
            "00 00 00 00 00 00 00 07",
            "00 00 00 00 00 00 00 07",
        ),
        (
            "integer of 4 bytes",
            1,
            "ff ff ff ff",
            "00 00 00 00 ff ff ff ff",
        ),
        ("integer of 2 bytes", 1, "ff ff", "00 00 00 00 00 00 ff ff"),
        ("integer of 1 byte", 1, "ff", "00 00 00 00 00 00 00 ff"),
        (
            "float",
            2,
            "3f f8 00 00 00 00 00 00",
            "3f f8 00 00 00 00 00 00",
        ),
        ("string", 3, "61", "61"),
        ("empty string", 3, "", ""),
        ("string that is not UTF-8", 3, "ff", "ff"),
        ("blob", 4, "00 01", "00 01"),
        ("empty blob", 4, "", ""),
        ("python blob", 9, "01", "01"),
        (
            "hll",
            18,
            "00 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
            "00 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
        ("true", 17, "01", "01"),
        ("false", 17, "00", "00"),
        ("nil", 0, "", ""),
        ("nil with bytes", 0, "00", ""),
        ("list", 20, "dc 00 01 cc 05", "91 05"),
        ("map", 19, "82 02 00 01 00", "82 01 00 02 00"),
    ];
    for (what, kind, input, stored) in cases {
        let found = ParticleRef::new(ParticleType(kind), &hex::bytes(input)).normalize();
        assert_eq!(
            found,
            Ok(Particle::new(ParticleType(kind), hex::bytes(stored))),
            "{what}"
        );
    }
}

#[test]
fn rejects_values_with_the_code_that_servers_use() {
    let cases = [
        ("integer of 3 bytes", 1, "00 00 07", ResultCode::PARAMETER),
        ("integer of 0 bytes", 1, "", ResultCode::PARAMETER),
        (
            "integer of 9 bytes",
            1,
            "00 00 00 00 00 00 00 00 07",
            ResultCode::PARAMETER,
        ),
        ("float of 4 bytes", 2, "00 00 00 00", ResultCode::PARAMETER),
        ("bool of 2", 17, "02", ResultCode::PARAMETER),
        ("bool of 2 bytes", 17, "00 01", ResultCode::PARAMETER),
        (
            "hll without registers",
            18,
            "00 04 00",
            ResultCode::PARAMETER,
        ),
        (
            "hll with a byte too many",
            18,
            "00 04 00 00 00 00 00 00 00 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c",
            ResultCode::PARAMETER,
        ),
        (
            "hll of 3 index bits",
            18,
            "00 03 00 00 00 00 00 00 00 00 00 00 01 02 03 04 05",
            ResultCode::PARAMETER,
        ),
        ("type 5", 5, "00", ResultCode::PARAMETER),
        ("type 6", 6, "00", ResultCode::PARAMETER),
        ("type 255", 255, "", ResultCode::PARAMETER),
        ("empty list", 20, "", ResultCode::UNKNOWN),
        ("map in a list", 20, "80", ResultCode::UNKNOWN),
        ("duplicate keys", 19, "82 01 00 01 00", ResultCode::UNKNOWN),
        (
            "geojson without header",
            23,
            "00 00",
            ResultCode::GEO_INVALID_GEOJSON,
        ),
        (
            "geojson with cells beyond its bytes",
            23,
            "00 00 01 7b 7d",
            ResultCode::GEO_INVALID_GEOJSON,
        ),
    ];
    for (what, kind, data, code) in cases {
        let error = ParticleRef::new(ParticleType(kind), &hex::bytes(data))
            .normalize()
            .unwrap_err();
        assert_eq!(error.result_code(), code, "{what}");
    }
    let error = ParticleRef::new(ParticleType::LIST, &[0x90, 0]).normalize();
    assert_eq!(
        error,
        Err(ParticleError::Collection(MsgpackError::Trailing(1)))
    );
}

#[test]
fn geojson_loses_its_cells_and_its_text_is_not_looked_at() {
    let point = br#"{"type":"Point","coordinates":[1.5,2]}"#;
    let with_cell = [&[0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8][..], point].concat();
    let particle = ParticleRef::new(ParticleType::GEOJSON, &with_cell);
    assert_eq!(particle.as_geojson(), Some(&point[..]));
    assert_eq!(particle.normalize(), Ok(Particle::geojson(point)));
    let no_geometry = Particle::geojson(b"[");
    assert_eq!(no_geometry.as_ref().normalize(), Ok(no_geometry));
}

#[test]
fn accessors_answer_only_for_their_type() {
    let particles = [
        Particle::NIL,
        Particle::integer(-1),
        Particle::float(1.5),
        Particle::string("a"),
        Particle::bool(true),
        Particle::geojson(b"{}"),
    ];
    for (index, particle) in particles.iter().enumerate() {
        let particle = particle.as_ref();
        let answers = [
            particle.is_nil(),
            particle.as_integer() == Some(-1),
            particle.as_float() == Some(1.5),
            particle.as_string() == Some(b"a"),
            particle.as_bool() == Some(true),
            particle.as_geojson() == Some(b"{}"),
        ];
        for (other, answer) in answers.into_iter().enumerate() {
            assert_eq!(
                answer,
                other == index,
                "{:?}, accessor {other}",
                particle.kind
            );
        }
    }
    assert_eq!(ParticleType(99).to_string(), "particle type 99");
}

proptest! {
    #[test]
    fn stored_values_are_stored_unchanged_again(kind in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(stored) = ParticleRef::new(ParticleType(kind), &data).normalize() {
            prop_assert_eq!(stored.as_ref().normalize(), Ok(stored.clone()));
        }
    }

    #[test]
    fn normal_values_are_stored_as_they_are(
        kind in prop::sample::select(vec![1_u8, 2, 3, 4, 7, 9, 17, 18, 19, 20, 23]),
        data in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            prop::collection::vec(any::<u8>(), 8),
            prop::collection::vec(0_u8..3, 1),
        ],
    ) {
        let value = ParticleRef::new(ParticleType(kind), &data);
        if value.is_normal() {
            prop_assert_eq!(value.normalize(), Ok(value.to_particle()));
        }
    }

    #[test]
    fn integers_and_floats_come_back(integer in any::<i64>(), float in any::<f64>()) {
        prop_assert_eq!(Particle::integer(integer).as_ref().as_integer(), Some(integer));
        let found = Particle::float(float).as_ref().as_float().map(f64::to_bits);
        prop_assert_eq!(found, Some(float.to_bits()));
    }
}
