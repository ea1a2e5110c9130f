//! Who asks for what is being done, for lines of the log that are written far from the connection.

use std::cell::Cell;
use std::marker::PhantomData;
use std::net::SocketAddr;

thread_local! {
    /// Whom this thread works for.
    static PEER: Cell<Option<SocketAddr>> = const { Cell::new(None) };
}

/// For as long as it is held, this thread works for a client.
#[derive(Debug)]
pub struct Asks {
    before: Option<SocketAddr>,
    /// It belongs to its thread.
    here: PhantomData<*const ()>,
}

/// This thread does what a client asks for until what is returned is dropped. To be held while something is polled, not
/// over a wait.
#[must_use]
pub fn asks(peer: SocketAddr) -> Asks {
    Asks {
        before: PEER.replace(Some(peer)),
        here: PhantomData,
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        PEER.set(self.before);
    }
}

/// The client that the work under way is for; `-` for another node, or nobody.
#[must_use]
pub fn shown() -> String {
    PEER.get()
        .map_or_else(|| "-".to_owned(), |peer| peer.to_string())
}
