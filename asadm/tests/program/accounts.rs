//! `show users`, `show users statistics`, `show roles`, against nodes that have some.

use bytes::BytesMut;
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId, Unit, write_unit};

use crate::cluster::{Cluster, Mood};
use crate::run;

const USERS: [(&str, &[u8]); 2] = [("joe", b"\x02\x04read\x05write"), ("ann", b"\x00")];

/// What a node answers to a security message.
pub(crate) fn reply(body: &[u8], index: usize) -> BytesMut {
    let (request, _) = Unit::parse_first(body).unwrap();
    let mut out = BytesMut::new();
    let mut unit = |result, fields: &[(FieldId, &[u8])]| {
        write_unit(&mut out, result, Command(0), fields).unwrap();
    };
    match request.command {
        Command::QUERY_USERS => {
            let wanted = request.get(FieldId::USER);
            for (name, roles) in USERS {
                if wanted.is_some_and(|wanted| wanted != name.as_bytes()) {
                    continue;
                }
                let connections = [0, 0, 0, u8::try_from(index).unwrap()];
                // A quota of 200, 20 single commands, 30 records of queries, 4 queries without limit.
                let read = b"\x04\0\0\0\xc8\0\0\0\x14\0\0\0\x1e\0\0\0\x04";
                let write = b"\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
                unit(
                    ResultCode::OK,
                    &[
                        (FieldId::USER, name.as_bytes()),
                        (FieldId::ROLES, roles),
                        (FieldId::READ_INFO, read),
                        (FieldId::WRITE_INFO, write),
                        (FieldId::CONNECTIONS, &connections),
                    ],
                );
            }
            match wanted {
                Some(name) if USERS.iter().all(|(known, _)| known.as_bytes() != name) => {
                    unit(ResultCode(60), &[]);
                }
                _ => unit(ResultCode::SEC_OK_LAST, &[]),
            }
        }
        Command::QUERY_ROLES => {
            unit(
                ResultCode::OK,
                &[
                    (FieldId::ROLE, b"reader"),
                    (FieldId::PRIVILEGES, b"\x02\x03\x0a\x04test\x05users"),
                    (FieldId::WHITELIST, b"10.0.0.1,10.0.0.2"),
                    (FieldId::READ_QUOTA, &[0, 0, 1, 0]),
                    (FieldId::WRITE_QUOTA, &[0; 4]),
                ],
            );
            // A list that is cut short, where there is a name.
            if request.get(FieldId::ROLE).is_some() {
                let cut = (FieldId::PRIVILEGES, &b"\x02\x0a\x04te"[..]);
                unit(ResultCode::OK, &[(FieldId::ROLE, b"cut"), cut]);
            }
            unit(ResultCode::SEC_OK_LAST, &[]);
        }
        _ => unit(ResultCode::SEC_NOT_SUPPORTED, &[]),
    }
    out
}

/// The rows of a table, their blanks trimmed.
fn rows(out: &str) -> Vec<Vec<String>> {
    out.lines()
        .filter(|line| line.contains('|') && !line.starts_with(' ') && !line.contains('~'))
        .map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn users_and_roles_are_listed() {
    let cluster = Cluster::start([Mood::Secured; 3]);
    let rows_of = |text: &str| {
        let ran = run(&cluster, &["-e", text]);
        assert_eq!((ran.err.as_str(), ran.rc), ("", 0), "{text}");
        rows(&ran.out)
    };
    let joe = vec!["joe", "read,write", "200", "0"];
    assert_eq!(
        rows_of("show users"),
        [vec!["ann", "--", "200", "0"], joe.clone()]
    );
    assert_eq!(rows_of("show users joe"), std::slice::from_ref(&joe));
    assert_eq!(rows_of("show users like ^j"), [joe]);
    assert_eq!(
        rows_of("show roles"),
        [[
            "reader",
            "udf-admin,read.test.users",
            "10.0.0.1,10.0.0.2",
            "256",
            "0"
        ]]
    );
    // Nodes stand in the order of their ports here.
    let mut statistics = rows_of("show users statistics joe");
    statistics.sort();
    // Without a quota to write there is no usage of it.
    let usage = ["200", "25.0 %", "20", "30", "4", "0", "0", "0", "0"];
    let expected: Vec<_> = [("*N3", "2"), ("@N1", "0"), ("N2", "1")]
        .iter()
        .map(|(node, connections)| [&["joe", node, connections][..], &usage[..]].concat())
        .collect();
    assert_eq!(statistics, expected);
}

#[test]
fn refusals_and_damage_are_told() {
    let secured = Cluster::start([Mood::Secured; 3]);
    let open = Cluster::start([Mood::Well; 3]);
    for (cluster, text, start) in [
        (
            &secured,
            "show users eve",
            "ERROR: Failed to query users : No user or unrecognized user.",
        ),
        (
            &secured,
            "show roles cut",
            "ERROR: Failed to query roles : N3 sent a malformed answer",
        ),
        (
            &open,
            "show users",
            "ERROR: Failed to query users : Security not supported.",
        ),
        (
            &open,
            "show users statistics",
            "ERROR: Failed to query users : Security not supported.",
        ),
        (
            &open,
            "show roles",
            "ERROR: Failed to query roles : Security not supported.",
        ),
    ] {
        let ran = run(cluster, &["-e", text]);
        assert!(ran.err.starts_with(start), "{text}: {}", ran.err);
        assert_eq!(ran.rc, 2, "{text}");
    }
    let mixed = Cluster::start([Mood::Secured, Mood::Well, Mood::Down]);
    let missed = "2 of 3 nodes did not answer: N2: Security not supported; N3: connection refused";
    for (words, level, rc) in [
        (&["-e"][..], "WARNING", 0),
        (&["--strict", "-e"], "ERROR", 2),
    ] {
        let ran = run(&mixed, &[words, &["show users statistics"]].concat());
        assert_eq!(ran.err, format!("{level}: {missed}"));
        assert_eq!(ran.rc, rc);
    }
}
