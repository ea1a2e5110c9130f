use bytes::BytesMut;
use proptest::prelude::*;
use protocol::result_code::ResultCode;
use protocol::security::{
    Command, FieldId, Role, SecurityError, Session, Unit, User, write_reply, write_unit,
};

use crate::hex;

#[test]
fn the_community_answer_is_24_bytes() {
    let mut out = BytesMut::new();
    write_reply(&mut out, ResultCode::SEC_NOT_SUPPORTED);
    assert_eq!(out, hex::bytes(hex::NOT_SUPPORTED));
}

#[test]
fn a_login_reply_holds_a_session() {
    let body = hex::body(hex::LOGIN_REPLY);
    let (unit, rest) = Unit::parse_first(&body).unwrap();
    assert!(rest.is_empty() && unit.result.is_ok());
    assert_eq!(
        unit.session(),
        Ok(Session {
            token: &[1, 2, 3, 4],
            ttl_s: Some(86400)
        })
    );
    let mut out = BytesMut::new();
    let fields = [
        (FieldId::SESSION_TOKEN, &[1, 2, 3, 4][..]),
        (FieldId::SESSION_TTL, &86400_u32.to_be_bytes()),
    ];
    write_unit(&mut out, ResultCode::OK, Command(0), &fields).unwrap();
    assert_eq!(out, hex::bytes(hex::LOGIN_REPLY));
}

#[test]
fn lists_of_users_end_with_their_own_unit() {
    let body = [hex::body(hex::USER_BOB), hex::body(hex::USERS_END)].concat();
    let (bob, rest) = Unit::parse_first(&body).unwrap();
    assert_eq!(
        (bob.get(FieldId::USER), bob.get(FieldId::ROLES)),
        (Some(&b"bob"[..]), Some(&b"\x01\x04read"[..]))
    );
    let (end, rest) = Unit::parse_first(rest).unwrap();
    assert_eq!(
        (end.result, end.is_empty(), rest),
        (ResultCode::SEC_OK_LAST, true, &[][..])
    );
}

#[test]
fn rejects_every_truncation() {
    let body = hex::body(hex::LOGIN_REPLY);
    for end in 0..body.len() {
        let error = Unit::parse_first(&body[..end]).unwrap_err();
        let expected = match end {
            0..16 => SecurityError::Header(end),
            16..25 => SecurityError::Field(0),
            _ => SecurityError::Field(1),
        };
        assert_eq!(error, expected, "{end}");
    }
}

#[test]
fn rejects_fields_of_size_0_and_sessions_without_token() {
    let body = hex::bytes("00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00  00 00 00 00 05");
    assert_eq!(Unit::parse_first(&body), Err(SecurityError::Field(0)));
    for text in ["00 00 00 01 05", "00 00 00 03 06 01 02"] {
        let body = hex::bytes(&format!(
            "00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 {text}"
        ));
        assert_eq!(
            Unit::parse_first(&body).unwrap().0.session(),
            Err(SecurityError::Session)
        );
    }
}

#[test]
fn a_number_of_an_account_that_is_cut_short_is_not_taken_for_another() {
    let read = |fields: &[(FieldId, &[u8])]| {
        let mut out = BytesMut::new();
        write_unit(&mut out, ResultCode::OK, Command::QUERY_USERS, fields).unwrap();
        let (unit, _) = Unit::parse_first(&out[8..]).unwrap();
        (User::parse(&unit), Role::parse(&unit))
    };
    let names: [(FieldId, &[u8]); 2] = [(FieldId::USER, b"u"), (FieldId::ROLE, b"r")];
    let (user, role) = read(&names);
    let (user, role) = (user.unwrap(), role.unwrap());
    assert_eq!((user.read, user.connections), (None, None));
    assert_eq!(role.read_quota, None);
    let two = [0, 0, 0, 7, 0, 0, 0, 8];
    for (id, data) in [
        (FieldId::READ_INFO, &[&[2], &two[..]].concat()[..]),
        (FieldId::CONNECTIONS, &two[..4]),
        (FieldId::READ_QUOTA, &two[..4]),
    ] {
        let (user, role) = read(&[names[0], names[1], (id, data)]);
        let (user, role) = (user.unwrap(), role.unwrap());
        match id {
            FieldId::READ_INFO => {
                let rates = user.read.unwrap();
                assert_eq!((rates.quota, rates.single, rates.limited), (7, 8, 0));
            }
            FieldId::CONNECTIONS => assert_eq!(user.connections, Some(7)),
            _ => assert_eq!(role.read_quota, Some(7)),
        }
        for end in 0..data.len() {
            let (user, role) = read(&[names[0], names[1], (id, &data[..end])]);
            let of_user = id != FieldId::READ_QUOTA;
            let failed = [user.err(), role.err()].map(|error| error.is_some());
            assert_eq!(failed, [of_user, !of_user], "{id:?}, {end} bytes");
        }
    }
}

proptest! {
    #[test]
    fn any_unit_comes_back(
        result in any::<u8>(),
        command in any::<u8>(),
        fields in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..8),
        trailing in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let fields: Vec<_> = fields.iter().map(|(id, data)| (FieldId(*id), &data[..])).collect();
        let mut out = BytesMut::new();
        write_unit(&mut out, ResultCode(result), Command(command), &fields).unwrap();
        out.extend_from_slice(&trailing);
        let (unit, rest) = Unit::parse_first(&out[8..]).unwrap();
        prop_assert_eq!((unit.result.0, unit.command.0), (result, command));
        prop_assert_eq!(unit.fields().collect::<Vec<_>>(), fields);
        prop_assert_eq!(rest, &trailing[..]);
    }
}
