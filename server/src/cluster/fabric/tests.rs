use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Fabric, FabricError, FabricHandler, Kind, serve};
use crate::config::node_id::NodeId;

/// Answers with who asked and what; refuses pulls and never answers pushes.
struct Echo;

impl FabricHandler for Echo {
    async fn answer(&self, from: NodeId, kind: Kind, body: Vec<u8>) -> Result<Vec<u8>, String> {
        match kind {
            Kind::RecordPull => Err("nothing here".to_owned()),
            Kind::RecordPush => std::future::pending().await,
            _ => Ok([from.to_string().as_bytes(), b" ", &body].concat()),
        }
    }
}

fn node(number: u64) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A node 0xB of the cluster `blue` that echoes, and its address.
async fn echoing() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, node(0xB), "blue".into(), Arc::new(Echo)));
    address
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test]
async fn questions_are_answered_on_connections_that_stay() {
    let address = echoing().await;
    let fabric = Arc::new(Fabric::new(node(0xA), "blue", None));
    fabric.set_members([(node(0xB), address)]);
    let mut asked = Vec::new();
    for number in 0..50_usize {
        let fabric = Arc::clone(&fabric);
        asked.push(tokio::spawn(async move {
            let body = vec![b'x'; number * 10_000];
            let answer = fabric
                .call(node(0xB), Kind::Forward, &body, soon())
                .await
                .unwrap();
            assert_eq!(answer, [b"A ", body.as_slice()].concat());
        }));
    }
    for asked in asked {
        asked.await.unwrap();
    }
}

#[tokio::test]
async fn failures_say_what_happened() {
    let address = echoing().await;
    let ask = async |fabric: &Fabric, to, kind, deadline| {
        let error = fabric.call(to, kind, b"", deadline).await.unwrap_err();
        (error.to_string(), error.nothing_happened())
    };
    let fabric = Fabric::new(node(0xA), "blue", None);
    fabric.set_members([(node(0xB), address), (node(0xC), address)]);
    let refused = ask(&fabric, node(0xB), Kind::RecordPull, soon()).await;
    assert_eq!(refused, ("B refuses: nothing here".to_owned(), true));
    let other = ask(&fabric, node(0xC), Kind::Forward, soon()).await;
    assert_eq!(other, (format!("C refuses: {address} is B"), true));
    let unknown = ask(&fabric, node(0xD), Kind::Forward, soon()).await;
    assert_eq!(
        unknown,
        ("D is no live member of the cluster".to_owned(), true)
    );
    let shortly = Instant::now() + Duration::from_millis(50);
    let late = ask(&fabric, node(0xB), Kind::RecordPush, shortly).await;
    assert_eq!(late, ("B did not answer in time".to_owned(), false));
    // The connection whose answer may still come is not used again.
    let answer = fabric
        .call(node(0xB), Kind::Forward, b"after", soon())
        .await;
    assert_eq!(answer.unwrap(), b"A after");

    let foreign = Fabric::new(node(0xA), "red", None);
    foreign.set_members([(node(0xB), address)]);
    let refused = ask(&foreign, node(0xB), Kind::Forward, soon()).await;
    let words = "B refuses: this node belongs to cluster `blue`, not `red`";
    assert_eq!(refused, (words.to_owned(), true));

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    fabric.set_members([(node(0xB), nobody.local_addr().unwrap())]);
    drop(nobody);
    let down = fabric.call(node(0xB), Kind::Forward, b"", soon()).await;
    assert!(matches!(down, Err(FabricError::Connect { .. })), "{down:?}");
}

#[tokio::test]
async fn nonsense_ends_its_connection_only() {
    let address = echoing().await;
    let cases: [&[u8]; 5] = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xFF, 0xFF, 0xFF, 0xFF, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 0, b'{', b'}'],
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // The end may come as a reset, where bytes were left unread.
        let _ = stream.read_to_end(&mut rest).await;
    }
    let fabric = Fabric::new(node(0xA), "blue", None);
    fabric.set_members([(node(0xB), address)]);
    let answer = fabric.call(node(0xB), Kind::Forward, b"!", soon()).await;
    assert_eq!(answer.unwrap(), b"A !");
}
