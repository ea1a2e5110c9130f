use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::door::{
    Asker, Door, FRAME_TIMEOUT, FabricHandler, Gatekeeper, IDLE, NO_MEMBER, Place, SMALL, answer,
};
use super::open::Open;
use super::threads::{Served, Threads};
use super::{Hello, MAX_FRAME, PROTOCOL, QuestionKind, Welcome, frame, nonce, tags};

/// Time for a new connection to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest frame of one that has not said who it is, bytes.
const MAX_HELLO: usize = 4 << 10;

/// Pause after `accept` failed, for example because descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Answers peers until it is dropped.
pub async fn serve<H: FabricHandler, G: Gatekeeper>(
    listener: TcpListener,
    gatekeeper: Arc<G>,
    handler: Arc<H>,
) {
    let door = Arc::new(Door::new(gatekeeper));
    // They end with this.
    let threads = Threads::default();
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (door, handler) = (Arc::clone(&door), Arc::clone(&handler));
                let threads = threads.shared();
                let counted = Open::new(door.gatekeeper.connections());
                open.spawn(async move {
                    match connection(stream, peer, counted, &door, &*handler).await {
                        Ok(Some((stream, asker, place))) => {
                            let served = Served {
                                asker,
                                door,
                                handler,
                                _place: place,
                            };
                            threads.begin(stream, served);
                        }
                        Ok(None) => {}
                        Err(error) => debug!(target: "fabric", "connection {peer}: {error}"),
                    }
                });
            }
            Err(error) => {
                warn!(target: "fabric", "accept failed: {error}");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
}

/// Who asks, unless it does not belong here, and what it is told.
fn check<G: Gatekeeper>(
    gatekeeper: &G,
    kind: u8,
    body: &[u8],
) -> Result<(Asker, Hello, Welcome), String> {
    let hello: Hello = match QuestionKind::from_number(kind) {
        Some(QuestionKind::Hello) => serde_json::from_slice(body)
            .map_err(|error| format!("the greeting cannot be read: {error}"))?,
        _ => return Err("the first question must be a greeting".to_owned()),
    };
    if hello.protocol != PROTOCOL {
        return Err(format!(
            "this node speaks `{PROTOCOL}`, not `{}`",
            hello.protocol.escape_default()
        ));
    }
    if hello.cluster_name != gatekeeper.cluster_name() {
        return Err(format!(
            "this node belongs to cluster `{}`, not `{}`",
            gatekeeper.cluster_name(),
            hello.cluster_name.escape_default()
        ));
    }
    let asker = Asker {
        run: (hello.node, hello.incarnation),
        word: hello.word,
    };
    if !gatekeeper.is_member(asker.run, asker.word) {
        return Err(format!("it is not the member {}", hello.node));
    }
    let (me, _) = gatekeeper.run();
    let nonce = nonce();
    let tag = gatekeeper
        .secret()
        .map(|secret| tags::of_server(secret, &hello, me, nonce).to_vec());
    let welcome = Welcome {
        node: me,
        nonce,
        tag,
    };
    Ok((asker, hello, welcome))
}

async fn greet<G: Gatekeeper>(
    stream: &mut TcpStream,
    peer: SocketAddr,
    door: &Door<G>,
) -> io::Result<Option<Asker>> {
    let Some((kind, body)) = frame::read(stream, MAX_HELLO).await? else {
        return Ok(None);
    };
    let gatekeeper = &*door.gatekeeper;
    let (asker, hello, welcome) = match check(gatekeeper, kind, &body) {
        Ok(checked) => checked,
        Err(reason) => {
            door.refused(peer, &reason);
            frame::write(stream, 1, reason.as_bytes()).await?;
            return Ok(None);
        }
    };
    frame::write(stream, 0, &serde_json::to_vec(&welcome)?).await?;
    if let Some(secret) = gatekeeper.secret() {
        let proof = frame::read(stream, MAX_HELLO).await?;
        let is_proved = proof.is_some_and(|(kind, tag)| {
            QuestionKind::from_number(kind) == Some(QuestionKind::Proof)
                && tags::is_of_client(secret, &hello, welcome.nonce, &tag)
        });
        if !is_proved {
            let reason = "it does not know the secret of the cluster";
            door.refused(peer, reason);
            frame::write(stream, 1, reason.as_bytes()).await?;
            return Ok(None);
        }
        frame::write(stream, 0, &[]).await?;
    }
    Ok(Some(asker))
}

/// Answers a peer until it goes, or until something was pushed: then what comes next is for a thread of its own.
async fn connection<H: FabricHandler, G: Gatekeeper>(
    mut stream: TcpStream,
    peer: SocketAddr,
    counted: Open,
    door: &Door<G>,
    handler: &H,
) -> io::Result<Option<(TcpStream, Asker, Place)>> {
    let (Ok(connection), Ok(stranger)) = (
        Arc::clone(&door.connections).try_acquire_owned(),
        door.strangers.try_acquire(),
    ) else {
        door.refused(peer, "there are too many connections");
        return Ok(None);
    };
    let place = Place {
        _counted: counted,
        _connection: connection,
    };
    stream.set_nodelay(true)?;
    let greeting = tokio::time::timeout(HELLO_TIMEOUT, greet(&mut stream, peer, door));
    let Some(asker) = greeting.await?? else {
        return Ok(None);
    };
    drop(stranger);
    loop {
        let begun = tokio::time::timeout(IDLE, stream.readable()).await;
        if begun.is_err() {
            return Ok(None);
        }
        let reading = frame::read_within(&mut stream, MAX_FRAME, SMALL, &door.budget);
        let question = tokio::time::timeout(FRAME_TIMEOUT, reading).await??;
        let Some((number, body, permit)) = question else {
            return Ok(None);
        };
        if !door.gatekeeper.is_member(asker.run, asker.word) {
            frame::write(&mut stream, 1, NO_MEMBER).await?;
            return Ok(None);
        }
        let (status, answer) = answer(handler, &asker, number, body).await;
        drop(permit);
        let writing = frame::write(&mut stream, status, &answer);
        tokio::time::timeout(FRAME_TIMEOUT, writing).await??;
        if QuestionKind::from_number(number) == Some(QuestionKind::Push) {
            return Ok(Some((stream, asker, place)));
        }
    }
}
