//! A line for values that are lost on their way into a record, a collection or a reply.

use std::collections::HashSet;
use std::ffi::c_int;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::machine::frame::Frame;
use crate::machine::place;

/// Functions that are remembered at most; from then on nothing is told.
const MOST_TOLD: usize = 4096;

/// What has been told: of which function of which module, and what.
static TOLD: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

impl Frame<'_> {
    /// Tells, once for each function that is called, that a value at `index` is lost: `how` it got here and what `becomes` of
    /// it.
    pub(crate) fn warn_lost(&mut self, index: c_int, how: &str, becomes: &str) {
        let kind = String::from_utf8_lossy(&self.type_name(index)).into_owned();
        let shared = self.shared();
        let (module, function) = (
            shared.module.borrow().clone(),
            shared.function.borrow().clone(),
        );
        if module.is_empty() {
            return;
        }
        let function = String::from_utf8_lossy(&function).into_owned();
        let what = format!("module={module} function={function}: a {kind} {how}");
        {
            let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= MOST_TOLD || !told.insert(what.clone()) {
                return;
            }
        }
        // SAFETY: a running body, or a state at rest: room for a few values.
        let place = unsafe { place::innermost(self.raw(), 1) };
        let place = place.map_or_else(String::new, |place| format!(" at={place}"));
        shared.host.warn(&format!(
            "{what}{place}: {becomes} (told once for each function)"
        ));
    }
}
