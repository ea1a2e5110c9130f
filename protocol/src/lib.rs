//! Aerospike wire protocol.
