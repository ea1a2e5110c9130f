//! How long the bodies that this thread validates may take, where that is less than the configured limits.
//!
//! Validating has no effect but its answer, so it can be broken off and begun anew later. A put that others wait behind is
//! tried for a moment only at first: almost all modules are through by then, and those that are not wait once more. What is
//! between the command and the body, on one node or on many, need not know.

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static PATIENCE: Cell<Option<Duration>> = const { Cell::new(None) };
    static RAN_OUT: Cell<bool> = const { Cell::new(false) };
}

/// Does work with so much patience, without a limit of its own for none. True when a body ran out of it: what the work has
/// answered then is not the last word.
pub fn with(patience: Option<Duration>, work: impl FnOnce()) -> bool {
    PATIENCE.set(patience);
    RAN_OUT.set(false);
    work();
    PATIENCE.set(None);
    RAN_OUT.take()
}

/// Processor time that a body may take here and now.
pub(crate) fn now() -> Option<Duration> {
    PATIENCE.get()
}

/// A body took longer than that.
pub(crate) fn ran_out() {
    RAN_OUT.set(true);
}

/// Whether a body of the work under way has, so that its answer is not the last word.
pub(crate) fn has_run_out() -> bool {
    RAN_OUT.get()
}
