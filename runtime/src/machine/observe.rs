//! What an observer of scripts is told: each line before it runs, each call that changes or looks at the record.

use std::ffi::{CStr, c_int};

use mlua::ffi;
use protocol::particle::Particle;

use super::encode;
use super::frame::Frame;
use super::object::Converted;
use super::protect::{count_hook, shared};
use super::value::Value;
use crate::host::{BinAccess, LineSeen, LocalSeen, Observer, StackSeen};

/// Levels of a stack that are told.
const LEVELS_MAX: c_int = 200;

/// Locals of a function that are told; Lua has no more.
const LOCALS_MAX: c_int = 250;

/// The hook of states that are observed.
pub(crate) unsafe extern "C-unwind" fn line_hook(
    state: *mut ffi::lua_State,
    activation: *mut ffi::lua_Debug,
) {
    // SAFETY: called by Lua in the middle of a script; the observer raises nothing.
    unsafe {
        if (*activation).event == ffi::LUA_HOOKLINE {
            tell(state, activation);
        } else {
            count_hook(state, activation);
        }
    }
}

/// Tells of a line.
///
/// # Safety
/// As the hook.
unsafe fn tell(state: *mut ffi::lua_State, activation: *mut ffi::lua_Debug) {
    // SAFETY: the caller's promise; `Frame` is over the running state and leaves its stack as it was.
    unsafe {
        let shared = shared(state);
        let observer = match shared.observer.try_borrow() {
            Ok(observer) => observer.clone(),
            Err(_) => None,
        };
        let Some(observer) = observer else { return };
        ffi::lua_getinfo(state, c"S".as_ptr(), activation);
        let Some(file) = file_of(&*activation) else {
            return;
        };
        let wants = observer.wants();
        let stack = if wants.stack {
            stack_of(state)
        } else {
            Vec::new()
        };
        let locals = if wants.locals {
            shared.memory.begin_overdraft();
            let locals = locals_of(state, activation);
            shared.memory.end_overdraft();
            locals
        } else {
            Vec::new()
        };
        observer.line(&LineSeen {
            file: &file,
            line: u32::try_from((*activation).currentline).unwrap_or(0),
            stack: &stack,
            locals: &locals,
            held: shared.memory.held(),
        });
    }
}

impl Frame<'_> {
    /// Tells the observer, if there is one, of a bin: its name stands at 2, its value at `value`.
    pub(crate) fn tell_of_bin(&mut self, access: BinAccess, value: c_int) {
        self.tell_of(value, |frame, observer, value| {
            // nil is no name of a bin.
            if let Ok(name) = frame.check_bytes(2) {
                observer.bin(name, access, value);
            }
        });
    }

    /// Tells the observer, if there is one, what a function of `record` gives; it stands on top.
    pub(crate) fn tell_of_function(&mut self, function: &str) {
        self.tell_of(-1, |_, observer, value| observer.looked_at(function, value));
    }

    fn tell_of(
        &mut self,
        value: c_int,
        tell: impl FnOnce(&mut Self, &dyn Observer, Option<&Particle>),
    ) {
        let observer = match self.shared().observer.try_borrow() {
            Ok(observer) => observer.clone(),
            Err(_) => None,
        };
        let Some(observer) = observer else { return };
        self.shared().memory.begin_overdraft();
        let value = match self.value_at(value) {
            Converted::Value(Value::Nil) => None,
            Converted::Value(value) => encode::to_particle(&value).ok(),
            Converted::Record | Converted::Unsupported => None,
        };
        tell(self, observer.as_ref(), value.as_ref());
        self.shared().memory.end_overdraft();
    }
}

/// The file of a function of a module.
///
/// # Safety
/// `activation` was filled in with "S".
unsafe fn file_of(activation: &ffi::lua_Debug) -> Option<String> {
    // SAFETY: Lua keeps the text as long as the function.
    let source = unsafe { CStr::from_ptr(activation.source) };
    let source = source.to_str().ok()?;
    source.strip_prefix('@').map(str::to_owned)
}

/// The functions of modules that are running, outermost first.
///
/// # Safety
/// As the hook.
unsafe fn stack_of(state: *mut ffi::lua_State) -> Vec<StackSeen> {
    let mut stack = Vec::new();
    for level in 0..LEVELS_MAX {
        let mut activation = std::mem::MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: a live state; what is read was filled in.
        unsafe {
            if ffi::lua_getstack(state, level, activation.as_mut_ptr()) == 0 {
                break;
            }
            ffi::lua_getinfo(state, c"Snl".as_ptr(), activation.as_mut_ptr());
            let activation = activation.assume_init();
            let Some(file) = file_of(&activation) else {
                continue;
            };
            let name = match activation.name.is_null() {
                true => None,
                false => Some(
                    CStr::from_ptr(activation.name)
                        .to_string_lossy()
                        .into_owned(),
                ),
            };
            stack.push(StackSeen {
                file,
                name,
                defined: u32::try_from(activation.linedefined).unwrap_or(0),
                line: u32::try_from(activation.currentline).unwrap_or(0),
            });
        }
    }
    stack.reverse();
    stack
}

/// The locals of the function that runs.
///
/// # Safety
/// As the hook.
unsafe fn locals_of(state: *mut ffi::lua_State, activation: *mut ffi::lua_Debug) -> Vec<LocalSeen> {
    let mut locals = Vec::new();
    for number in 1..=LOCALS_MAX {
        // SAFETY: pushes one value where there is a local, which is popped again.
        unsafe {
            let name = ffi::lua_getlocal(state, activation, number);
            if name.is_null() {
                break;
            }
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            let mut frame = Frame::over(state);
            // Temporary values have names like `(temporary)`.
            if !name.starts_with('(') {
                let value = match frame.value_at(-1) {
                    Converted::Value(value) => encode::to_particle(&value).ok(),
                    Converted::Record | Converted::Unsupported => None,
                };
                let kind = String::from_utf8_lossy(&frame.type_name(-1)).into_owned();
                locals.push(LocalSeen { name, kind, value });
            }
            frame.pop(1);
        }
    }
    locals
}
