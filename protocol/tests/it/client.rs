//! The client against peers that follow a script: what they read is given, what they write, and how they end.

use std::time::Duration;

use protocol::client::{Client, ClientError, RecordKey, TimedOut};
use protocol::header::MessageType;
use protocol::key::Key;
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::hex;

/// More than any test on this machine needs.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(30);

/// Serves one connection: for each step it reads exactly so many bytes and answers, then does as `end` says. The result
/// of the task is all that was read.
async fn peer(steps: Vec<(usize, Vec<u8>)>, end: End) -> (Client, JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut all = Vec::new();
        for (size, answer) in steps {
            let mut request = vec![0; size];
            stream.read_exact(&mut request).await.unwrap();
            all.extend(request);
            stream.write_all(&answer).await.unwrap();
        }
        end.finish(stream).await;
        all
    });
    (
        Client::connect("127.0.0.1", port, LONG).await.unwrap(),
        task,
    )
}

/// How a peer ends.
#[derive(Clone, Copy)]
enum End {
    /// Closes.
    Close,
    /// Stays until the client closes.
    Stay,
}

impl End {
    async fn finish(self, mut stream: TcpStream) {
        if let Self::Stay = self {
            // The client may have closed with bytes unread, which arrives as an error.
            let _ = stream.read(&mut [0; 1]).await;
        }
    }
}

fn info_reply(text: &str) -> Vec<u8> {
    let mut frame = vec![2, 1, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()];
    frame.extend_from_slice(text.as_bytes());
    frame
}

#[tokio::test]
async fn info_values_come_in_the_order_asked() {
    let (mut client, _) = peer(
        vec![
            (19, info_reply("node\tA\nbuild\t8.1\n")),
            (14, info_reply("build\tERROR:4:x\n")),
        ],
        End::Close,
    )
    .await;
    assert_eq!(
        client.info(&["node", "build"], LONG).await.unwrap(),
        ["A", "8.1"]
    );
    assert_eq!(client.info(&["build"], LONG).await.unwrap(), ["ERROR:4:x"]);
}

#[tokio::test]
async fn record_commands_send_the_worked_messages() {
    let steps = vec![
        (hex::bytes(hex::PUT).len(), hex::bytes(hex::OK_REPLY)),
        (hex::bytes(hex::GET).len(), hex::bytes(hex::GET_REPLY)),
        (hex::bytes(hex::UDF).len(), hex::bytes(hex::UDF_SUCCESS)),
        (hex::bytes(hex::UDF).len(), hex::bytes(hex::UDF_FAILURE)),
        (hex::bytes(hex::GET).len(), hex::bytes(hex::OK_REPLY)),
    ];
    let (mut client, task) = peer(steps, End::Close).await;
    let name = Key::from("k1");
    let key = RecordKey::new("test", "demo", &name);
    // The worked examples state a limit of 1000 ms.
    let limit = Duration::from_secs(1);

    let put = client
        .put(key, &[("a", Particle::integer(7).as_ref())], limit)
        .await
        .unwrap();
    assert_eq!((put.result, put.generation), (ResultCode::OK, 1));
    let got = client.get(key, limit).await.unwrap();
    assert_eq!(got.bin("a"), Some(&Particle::integer(7)));
    let called = client
        .apply(key, "u", "echo", &[0x92, 1, 5], limit)
        .await
        .unwrap();
    assert_eq!(called.success(), Some(&Particle::integer(5)));
    let failed = client
        .apply(key, "u", "echo", &[0x92, 1, 5], limit)
        .await
        .unwrap();
    assert_eq!(
        (failed.result, failed.failure().as_deref()),
        (ResultCode::UDF_EXECUTION, Some("boom"))
    );
    assert!(client.delete(key, limit).await.unwrap().result.is_ok());

    let sent = task.await.unwrap();
    let expected: Vec<u8> = [hex::PUT, hex::GET, hex::UDF, hex::UDF]
        .into_iter()
        .flat_map(hex::bytes)
        .collect();
    assert_eq!(&sent[..expected.len()], expected);
    let delete = &sent[expected.len()..];
    assert_eq!((delete[9], delete[10]), (0, 3), "info2 write and delete");
}

#[tokio::test]
async fn a_security_request_gives_the_unit() {
    let (mut client, _) = peer(vec![(8 + 16 + 9, hex::bytes(hex::LOGIN_REPLY))], End::Close).await;
    let fields = [(FieldId::USER, &b"anna"[..])];
    let ttl = client
        .security(Command::LOGIN, &fields, LONG, |unit| {
            unit.session().unwrap().ttl_s
        })
        .await
        .unwrap();
    assert_eq!(ttl, Some(86_400));
}

#[tokio::test]
async fn a_reply_of_several_frames_is_received_one_by_one() {
    let both = [hex::bytes(hex::OK_REPLY), hex::bytes(hex::LAST_REPLY)].concat();
    let (mut client, _) = peer(vec![(1, both)], End::Close).await;
    let first = client
        .exchange(b"x", MessageType::Message, LONG)
        .await
        .unwrap();
    let second = client.receive(MessageType::Message, LONG).await.unwrap();
    assert_eq!(
        (&first.body[..], &second.body[..]),
        (
            &hex::body(hex::OK_REPLY)[..],
            &hex::body(hex::LAST_REPLY)[..]
        )
    );
    assert!(client.is_usable());
}

#[tokio::test]
async fn reports_what_went_wrong_and_refuses_to_go_on() {
    type Case = (&'static str, Vec<u8>, End, &'static str);
    let cases: [Case; 6] = [
        (
            "closed at once",
            vec![],
            End::Close,
            "closed the connection before it answered",
        ),
        (
            "closed inside the answer",
            info_reply("build\t8.1\n")[..12].to_vec(),
            End::Close,
            "closed the connection",
        ),
        (
            "not the protocol",
            b"HTTP/1.1 400 Bad Request".to_vec(),
            End::Stay,
            "malformed answer: protocol version 72",
        ),
        (
            "another message type",
            hex::bytes(hex::OK_REPLY),
            End::Stay,
            "malformed answer: message type 3, expected 1",
        ),
        (
            "another command",
            info_reply("node\tA\n"),
            End::Stay,
            "malformed answer: the server's reply has no answer",
        ),
        (
            "a huge claim",
            vec![2, 1, 0xff, 0, 0, 0, 0, 0],
            End::Stay,
            "malformed answer: body of",
        ),
    ];
    for (what, answer, end, message) in cases {
        let (mut client, _task) = peer(vec![(14, answer)], end).await;
        let error = client.info(&["build"], LONG).await.unwrap_err().to_string();
        assert!(
            error.contains(message) && error.contains(client.peer()),
            "{what}: {error}"
        );
        assert!(!client.is_usable(), "{what}");
        let again = client.info(&["build"], LONG).await.unwrap_err();
        assert!(
            matches!(again, ClientError::Unusable { .. }),
            "{what}: {again}"
        );
    }
}

#[tokio::test]
async fn a_refused_request_leaves_the_connection_usable() {
    let steps = vec![
        (14, info_reply("ERROR:80:not authenticated\n")),
        (14, info_reply("build\t8.1\n")),
    ];
    let (mut client, _) = peer(steps, End::Close).await;
    let error = client.info(&["build"], LONG).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Refused { failure, .. } if failure.code.0 == 80),
        "{error}"
    );
    assert_eq!(client.info(&["build"], LONG).await.unwrap(), ["8.1"]);
}

#[tokio::test]
async fn rejects_an_answer_that_nobody_asked_for() {
    let twice = [info_reply("build\t8.1\n"), info_reply("build\t8.2\n")].concat();
    let (mut client, _) = peer(vec![(14, twice)], End::Stay).await;
    assert_eq!(client.info(&["build"], LONG).await.unwrap(), ["8.1"]);
    // Whether it arrived together with the first answer or after it, it answers another question.
    let error = client.info(&["node"], LONG).await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_peer_costs_the_limit_and_the_connection() {
    let (mut client, _) = peer(vec![(14, vec![])], End::Stay).await;
    let error = client.info(&["build"], SHORT).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::TimedOut {
                during: TimedOut::Receive,
                limit: SHORT,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        format!("{} did not answer within 30ms", client.peer())
    );
    assert!(!client.is_usable());
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_closes_the_connection() {
    let (mut client, task) = peer(vec![(14, vec![])], End::Stay).await;
    let call = client.info(&["build"], LONG);
    assert!(tokio::time::timeout(SHORT, call).await.is_err());
    assert!(!client.is_usable());
    assert_eq!(
        task.await.unwrap().len(),
        14,
        "the peer saw the connection close"
    );
}

#[tokio::test]
async fn a_peer_that_reads_nothing_costs_the_limit() {
    let (mut client, _) = peer(vec![], End::Stay).await;
    let huge = vec![0; 64 * 1024 * 1024];
    let error = client
        .exchange(&huge, MessageType::Info, SHORT)
        .await
        .unwrap_err();
    let sending = matches!(
        error,
        ClientError::TimedOut {
            during: TimedOut::Send,
            ..
        } | ClientError::Io { .. }
    );
    assert!(sending, "{error}");
}

#[tokio::test]
async fn connecting_says_who_and_why_not() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = Client::connect("127.0.0.1", port, LONG).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")),
        "{error}"
    );
    let error = Client::connect("", port, LONG).await.unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::Resolve { .. } | ClientError::NoAddress { .. }
        ),
        "{error}"
    );
    // The limit is over before anything can answer.
    let error = Client::connect("127.0.0.1", port, Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            ClientError::TimedOut {
                during: TimedOut::Connect,
                ..
            } | ClientError::Connect { .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn rejects_commands_that_cannot_be_sent_and_stays_usable() {
    let (mut client, _) = peer(vec![(14, info_reply("build\t8.1\n"))], End::Close).await;
    assert!(matches!(
        client.info(&["a\nb"], LONG).await,
        Err(ClientError::Request(_))
    ));
    assert_eq!(client.info(&["build"], LONG).await.unwrap(), ["8.1"]);
}
