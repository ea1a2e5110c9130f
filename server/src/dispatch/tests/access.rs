//! Every kind of message is done only if who sends it may have it done.

use super::background::query_body;
use super::batch::{batch, body};
use super::*;
use crate::access::Permission;

/// A message of each kind, and what it needs.
fn kinds() -> Vec<(&'static str, Vec<u8>, Permission)> {
    let query = Ask::new;
    let function = |kind: u8| {
        query_body(
            &query(Info1::READ, Info2::empty())
                .field(FieldType::UDF_PACKAGE, b"m")
                .field(FieldType::UDF_FUNCTION, b"f")
                .field(FieldType::UDF_OP, &[kind]),
        )
    };
    let rows = |row: Ask| body(&batch(0x0c, &[(0, Ok(Ask::get())), (1, Ok(row))]));
    vec![
        ("read", Ask::get().body(), Permission::Read),
        ("write", Ask::put("a", int(1)).body(), Permission::Write),
        ("delete", Ask::delete().body(), Permission::Write),
        (
            "write that reads",
            Ask::put("a", int(1)).read("a").body(),
            Permission::ReadWrite,
        ),
        ("record UDF", Ask::call().body(), Permission::ReadWriteUdf),
        (
            "batch that reads",
            rows(Ask::get().record(2)),
            Permission::Read,
        ),
        (
            "batch with a UDF",
            rows(Ask::call()),
            Permission::ReadWriteUdf,
        ),
        (
            "query",
            query_body(&query(Info1::READ, Info2::empty())),
            Permission::Read,
        ),
        ("aggregation", function(1), Permission::ReadWriteUdf),
        ("background UDF", function(2), Permission::ReadWriteUdf),
        (
            "background operations",
            query_body(&query(Info1::empty(), Info2::WRITE).op(OpCode::WRITE, "a", int(1))),
            Permission::Write,
        ),
    ]
}

async fn codes(bench: &Bench, session: &Session, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    answer(bench, session, body, Instant::now(), &mut out)
        .await
        .unwrap();
    let body = first_frame(&out).unwrap().unwrap().body;
    Message::parse_all(body)
        .map(|message| message.unwrap().header.result.0)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_nothing_gets_nothing_whatever_is_asked() {
    let bench = Bench::new();
    let nobody = Session::with_rule(|_| false);
    for (kind, body, _) in kinds() {
        assert_eq!(codes(&bench, &nobody, &body).await, [81], "{kind}");
        assert_ne!(
            codes(&bench, &Session::client(), &body).await,
            [81],
            "{kind}"
        );
    }
}

/// Whether a user with some right may use a permission.
type Allows = fn(Permission) -> bool;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_one_thing_gets_that() {
    let bench = Bench::new();
    let rules: [(Permission, Allows); 4] = [
        (Permission::Read, |asked| asked == Permission::Read),
        (Permission::Write, |asked| asked == Permission::Write),
        (Permission::ReadWrite, |asked| {
            asked == Permission::ReadWrite
        }),
        (Permission::ReadWriteUdf, |asked| {
            asked == Permission::ReadWriteUdf
        }),
    ];
    for (permission, rule) in rules {
        let session = Session::with_rule(rule);
        for (kind, body, needed) in kinds() {
            // Who may call UDFs, which read and write, may do all that is done to records.
            let allowed = needed == permission || permission == Permission::ReadWriteUdf;
            let refused = codes(&bench, &session, &body).await == [81];
            assert_eq!(refused, !allowed, "{kind} with {permission:?}");
        }
    }
}
