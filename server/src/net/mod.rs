//! Sockets: the listener, one connection, the way in which both end.

mod connection;
pub mod server;
