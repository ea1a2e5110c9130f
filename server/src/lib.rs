//! The server behind `asd`: info commands, record commands and record UDFs over Aerospike's wire protocol.

pub mod access;
pub mod allocator;
pub mod catalogue;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod contexts;
pub mod dispatch;
pub mod index;
pub mod info;
pub mod launch;
pub mod log;
pub mod modules;
pub mod net;
pub mod node;
pub mod priority;
pub mod processor;
pub mod query;
pub mod record;
pub mod stats;
pub mod storage;
pub mod transaction;
