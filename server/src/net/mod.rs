//! Sockets: the listener, one connection, the way in which both end.

pub mod buffers;
mod connection;
mod inflate;
mod input;
pub mod running;
pub mod server;
