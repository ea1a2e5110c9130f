//! The server behind `asd`: info commands, record commands and record UDFs over Aerospike's wire protocol.

pub mod clock;
pub mod config;
pub mod log;
pub mod lua_pattern;
pub mod record;
pub mod stats;
pub mod transaction;
pub mod udf;
