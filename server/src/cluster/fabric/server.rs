use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::{Hello, Kind, NodeId, PROTOCOL, frame};

/// Time for a new connection to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after `accept` failed, for example because descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What a node does with the questions of its peers.
pub trait FabricHandler: Send + Sync + 'static {
    /// The answer, or words that say why there is none. `from` is the node that asks.
    fn answer(
        &self,
        from: NodeId,
        kind: Kind,
        body: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, String>> + Send;
}

/// Answers peers until it is dropped.
pub async fn serve<H: FabricHandler>(
    listener: TcpListener,
    me: NodeId,
    cluster_name: String,
    handler: Arc<H>,
) {
    let greeting = Arc::new(Greeting { me, cluster_name });
    let mut open = JoinSet::new();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (greeting, handler) = (Arc::clone(&greeting), Arc::clone(&handler));
                open.spawn(async move {
                    if let Err(error) = connection(stream, peer, &greeting, &*handler).await {
                        debug!(target: "fabric", "connection {peer}: {error}");
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

struct Greeting {
    me: NodeId,
    cluster_name: String,
}

impl Greeting {
    /// Who asks, unless it does not belong here.
    fn check(&self, kind: u8, body: &[u8]) -> Result<NodeId, String> {
        let hello: Hello = match Kind::from_number(kind) {
            Some(Kind::Hello) => serde_json::from_slice(body)
                .map_err(|error| format!("the greeting cannot be read: {error}"))?,
            _ => return Err("the first question must be a greeting".to_owned()),
        };
        if hello.protocol != PROTOCOL {
            return Err(format!(
                "this node speaks `{PROTOCOL}`, not `{}`",
                hello.protocol
            ));
        }
        if hello.cluster_name != self.cluster_name {
            return Err(format!(
                "this node belongs to cluster `{}`, not `{}`",
                self.cluster_name, hello.cluster_name
            ));
        }
        Ok(hello.node)
    }
}

async fn connection<H: FabricHandler>(
    mut stream: TcpStream,
    peer: SocketAddr,
    greeting: &Greeting,
    handler: &H,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let first = tokio::time::timeout(HELLO_TIMEOUT, frame::read(&mut stream)).await??;
    let Some((kind, body)) = first else {
        return Ok(());
    };
    let from = match greeting.check(kind, &body) {
        Ok(from) => from,
        Err(reason) => {
            info!(target: "fabric", "refused {peer}: {reason}");
            return frame::write(&mut stream, 1, reason.as_bytes()).await;
        }
    };
    frame::write(&mut stream, 0, greeting.me.to_string().as_bytes()).await?;
    while let Some((number, body)) = frame::read(&mut stream).await? {
        let answer = match Kind::from_number(number) {
            Some(kind) => handler.answer(from, kind, body).await,
            None => Err(format!("unknown kind of question {number}")),
        };
        match answer {
            Ok(answer) => frame::write(&mut stream, 0, &answer).await?,
            Err(reason) => frame::write(&mut stream, 1, reason.as_bytes()).await?,
        }
    }
    Ok(())
}
