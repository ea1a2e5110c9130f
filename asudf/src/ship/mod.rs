//! Shipping: the modules of a project on the nodes of a cluster.
//!
//! ```text
//! apply, rollback, transfer, state   a command each: its options, its goal
//!   └─ change                        from plan to end: keep, lock, record, carry out
//!        ├─ plan, order, wanted      what is to be done, in which order: pure
//!        ├─ claim, marker, owner     who may: a lock and a record, as modules on the cluster
//!        ├─ archive, kept            what was there, as a file
//!        └─ carry, nodes, answers    puts, removals, lists, contents: the only part that asks nodes
//! ```

mod answers;
mod apply;
mod archive;
mod carry;
mod change;
mod claim;
mod content;
mod kept;
mod marker;
mod nodes;
mod options;
mod order;
mod owner;
mod plan;
mod report;
mod rollback;
mod state;
mod target;
mod transfer;
mod wanted;

pub(crate) use apply::{DiffOptions, Options as ApplyOptions};
pub(crate) use rollback::Options as RollbackOptions;
pub(crate) use state::Options as StatusOptions;
pub(crate) use transfer::{ExportOptions, ImportOptions};

use report::Report;
use target::Target;

use crate::status::{Failure, Status};

/// Runs a command on its own runtime, and tells its end.
fn told(
    command: &'static str,
    target: &Target,
    work: impl AsyncFnOnce(&mut Report) -> Result<Status, Failure>,
) -> Result<Status, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(format!("cannot start: {error}")))?;
    let mut report = Report::new(command, target.format);
    let result = runtime.block_on(work(&mut report));
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    report.end(result)
}

/// `asudf diff`.
pub(crate) fn diff(options: &DiffOptions) -> Result<Status, Failure> {
    told("diff", &options.target, async |report| {
        apply::diff(options, report).await
    })
}

/// `asudf apply`.
pub(crate) fn apply(options: &ApplyOptions) -> Result<Status, Failure> {
    told("apply", &options.change.target, async |report| {
        apply::run(options, report).await
    })
}

/// `asudf status`.
pub(crate) fn status(options: &StatusOptions) -> Result<Status, Failure> {
    told("status", &options.target, async |report| {
        state::run(options, report).await
    })
}

/// `asudf rollback`.
pub(crate) fn rollback(options: &RollbackOptions) -> Result<Status, Failure> {
    told("rollback", &options.change.target, async |report| {
        rollback::run(options, report).await
    })
}

/// `asudf export`.
pub(crate) fn export(options: &ExportOptions) -> Result<Status, Failure> {
    told("export", &options.target, async |report| {
        transfer::export(options, report).await
    })
}

/// `asudf import`.
pub(crate) fn import(options: &ImportOptions) -> Result<Status, Failure> {
    told("import", &options.change.target, async |report| {
        transfer::import(options, report).await
    })
}
