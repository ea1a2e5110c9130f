//! Sockets: the listener, one connection, the way in which both end.

mod connection;
mod inflate;
mod input;
mod load;
mod replies;
pub mod running;
pub mod server;
pub mod shutdown;
