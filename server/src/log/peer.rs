//! Who asks for what is being done, for lines of the log that are written far from the connection.

use std::future::Future;
use std::net::SocketAddr;

tokio::task_local! {
    static PEER: SocketAddr;
}

/// Does what this client asks for.
pub async fn asked_by<R>(peer: SocketAddr, work: impl Future<Output = R>) -> R {
    PEER.scope(peer, work).await
}

/// The client that the work under way is for; `-` for another node, or nobody.
#[must_use]
pub fn shown() -> String {
    PEER.try_with(SocketAddr::to_string)
        .unwrap_or_else(|_| "-".to_owned())
}
