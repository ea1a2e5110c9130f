//! The server behind `asd`: info commands, record commands and record UDFs over Aerospike's wire protocol.

pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
mod connection;
pub mod info;
pub mod jobs;
pub mod launch;
pub mod log;
mod lua;
pub mod lua_pattern;
pub mod node;
pub mod record;
pub mod running;
pub mod server;
pub mod stats;
mod throw_away;
pub mod transaction;
pub mod udf;
