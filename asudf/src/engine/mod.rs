//! The server's engine in this process: modules from a folder, a namespace in memory, contexts to run functions in.
//!
//! ```text
//! code       the modules, compiled once for all threads
//! desk       who runs the scripts: the clock that a test sets, the lines that scripts write
//! namespace  records in memory; changes are stored by the server's own rules (`runtime::call::commit`, `data::record`)
//! bench      what calls are made with; a call of a record UDF
//! offline    the place of tests
//! stream     stream UDFs: a run a partition, then the client's part
//! ```

mod bench;
pub(crate) mod code;
pub(crate) mod desk;
mod namespace;
pub(crate) mod offline;
mod stream;

use runtime::host::Observer;

/// Sees what the scripts of modules do.
pub(crate) trait Watcher: Observer {
    /// No script runs from here on, until the next line.
    fn rest(&self);
}
