//! What a port serves, and the order to stop, as listeners and connections see them.

use tokio::sync::watch;

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// Everything.
    Service,
    /// Info and security messages only.
    Admin,
}

/// Gives the order to stop.
pub type Stop = watch::Sender<bool>;

/// The order to stop, as connections see it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// The handle that gives the order, and what waits for it.
    #[must_use]
    pub fn pair() -> (Stop, Self) {
        let (give, wait) = watch::channel(false);
        (give, Self(wait))
    }

    /// Whether anything was ordered since this was made. Costs no lock.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Returns when the order is given (or its handle is gone).
    pub async fn wait(&mut self) {
        // A handle that is gone means the same as the order.
        let _ = self.0.wait_for(|ordered| *ordered).await;
    }
}
