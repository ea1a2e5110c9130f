//! States that are made before they are needed, and closed after nobody needs them.

use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::state::{LuaState, StateOptions};
use crate::module::{Chunk, Modules};

/// States that wait to be closed, most.
const MOST_SPENT: usize = 8;

/// A state that holds more is closed at once, bytes.
const MOST_HELD: usize = 1 << 20;

/// Room for a state with its libraries open, in which no script has run, and for those that have served. A clone has neither:
/// it may be of a factory that makes others.
#[derive(Default)]
pub(super) struct Blank(Mutex<States>);

#[derive(Default)]
struct States {
    blank: Option<LuaState>,
    /// One was asked for since the last was made.
    wanted: bool,
    spent: Vec<LuaState>,
    /// Somebody closes what is spent.
    tended: bool,
}

impl Clone for Blank {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Debug for Blank {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Blank")
    }
}

impl Blank {
    /// Makes another if one was taken, and closes those that have served.
    pub(super) fn make(&self, options: &StateOptions) {
        let (wanted, spent) = {
            let mut states = self.states();
            states.tended = true;
            (
                std::mem::take(&mut states.wanted),
                std::mem::take(&mut states.spent),
            )
        };
        drop(spent);
        if wanted {
            let made = LuaState::new(Arc::new(Nothing), options);
            self.states().blank = made;
        }
    }

    /// The blank state, for scripts that find these modules; a new one if there is none.
    pub(super) fn take(
        &self,
        modules: Arc<dyn Modules>,
        options: &StateOptions,
    ) -> Option<LuaState> {
        let blank = {
            let mut states = self.states();
            states.wanted = true;
            states.blank.take()
        };
        match blank {
            Some(blank) => Some(blank.with_modules(modules)),
            None => LuaState::new(modules, options),
        }
    }

    /// Closes a state later.
    pub(super) fn served(&self, state: LuaState) {
        let small = state.memory_bytes() <= MOST_HELD;
        let mut states = self.states();
        if small && states.tended && states.spent.len() < MOST_SPENT {
            states.spent.push(state);
            return;
        }
        drop(states);
        drop(state);
    }

    /// What is in it is whole whatever has panicked.
    fn states(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No modules.
struct Nothing;

impl Modules for Nothing {
    fn find(&self, _: &[u8]) -> Option<Chunk> {
        None
    }
}
