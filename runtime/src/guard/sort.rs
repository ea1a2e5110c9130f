//! `table.sort`, under the call's budget.
//!
//! It compares and swaps in the order of Lua's own, which decides where equal elements go.

use std::ffi::c_int;

use mlua::ffi::{self, lua_Integer, lua_State};

use super::elements::{READ, WRITE, check, element_steps, length};
use crate::machine::protect::{raise, spend};

/// Partitions from this size on choose their pivot elsewhere than in the middle once they turn out unbalanced.
const UNBALANCED_SIZE: lua_Integer = 100;

/// `table.sort(list[, comp])`
pub(crate) unsafe extern "C-unwind" fn sort(state: *mut lua_State) -> c_int {
    // SAFETY: standard use of the C API, as in all of this file; nothing in it has a destructor.
    unsafe {
        let size = length(state, 1, READ | WRITE);
        if size > 1 {
            let fits = size < lua_Integer::from(c_int::MAX);
            check(fits, state, 1, c"array too big");
            if ffi::lua_type(state, 2) > ffi::LUA_TNIL {
                ffi::luaL_checktype(state, 2, ffi::LUA_TFUNCTION);
            }
            ffi::lua_settop(state, 2);
            let sorting = Sorting {
                state,
                has_comparator: ffi::lua_type(state, 2) == ffi::LUA_TFUNCTION,
                steps: element_steps(state, 1),
            };
            sorting.range(1, size, 0);
        }
    }
    0
}

#[derive(Clone, Copy)]
struct Sorting {
    state: *mut lua_State,
    has_comparator: bool,
    /// What one comparison is counted with.
    steps: usize,
}

impl Sorting {
    unsafe fn get(self, at: lua_Integer) {
        // SAFETY: the table is at 1; room for a few values is always there.
        unsafe { ffi::lua_geti(self.state, 1, at) };
    }

    unsafe fn pop(self, count: c_int) {
        // SAFETY: the caller has pushed them.
        unsafe { ffi::lua_settop(self.state, -count - 1) }
    }

    /// `t[first] = top, t[second] = the one below`; pops both.
    unsafe fn set_two(self, first: lua_Integer, second: lua_Integer) {
        // SAFETY: two values are on top.
        unsafe {
            ffi::lua_seti(self.state, 1, first);
            ffi::lua_seti(self.state, 1, second);
        }
    }

    /// Whether the value at `left` is less than the one at `right`; both count from the top.
    unsafe fn less(self, left: c_int, right: c_int) -> bool {
        let state = self.state;
        // SAFETY: two existing values; the comparator is at 2.
        unsafe {
            spend(state, self.steps);
            if self.has_comparator {
                ffi::lua_pushvalue(state, 2);
                ffi::lua_pushvalue(state, left - 1);
                ffi::lua_pushvalue(state, right - 2);
                ffi::lua_callk(state, 2, 1, 0, None);
                let less = ffi::lua_toboolean(state, -1) != 0;
                self.pop(1);
                return less;
            }
            if ffi::lua_type(state, left) == ffi::LUA_TSTRING
                && ffi::lua_type(state, right) == ffi::LUA_TSTRING
            {
                let (left, right) = (text(state, left), text(state, right));
                spend(state, left.len().min(right.len()) / 8);
                return left < right;
            }
            ffi::lua_compare(state, left, right, ffi::LUA_OPLT) != 0
        }
    }

    /// Sorts `low..=high`. It calls itself for the smaller part only.
    unsafe fn range(self, mut low: lua_Integer, mut high: lua_Integer, mut seed: lua_Integer) {
        // SAFETY: as the functions above.
        unsafe {
            while low < high {
                // The ends, then the middle between them.
                self.get(low);
                self.get(high);
                if self.less(-1, -2) {
                    self.set_two(low, high);
                } else {
                    self.pop(2);
                }
                if high - low == 1 {
                    return;
                }
                let middle = if high - low < UNBALANCED_SIZE || seed == 0 {
                    low + (high - low) / 2
                } else {
                    let quarter = (high - low) / 4;
                    seed.rem_euclid(quarter * 2) + low + quarter
                };
                self.get(middle);
                self.get(low);
                if self.less(-2, -1) {
                    self.set_two(middle, low);
                } else {
                    self.pop(1);
                    self.get(high);
                    if self.less(-1, -2) {
                        self.set_two(middle, high);
                    } else {
                        self.pop(2);
                    }
                }
                if high - low == 2 {
                    return;
                }
                // The pivot waits on the stack and just before the end.
                self.get(middle);
                ffi::lua_pushvalue(self.state, -1);
                self.get(high - 1);
                self.set_two(middle, high - 1);
                let border = self.partition(low, high);
                let smaller = if border - low < high - border {
                    self.range(low, border - 1, seed);
                    let size = border - low;
                    low = border + 1;
                    size
                } else {
                    self.range(border + 1, high, seed);
                    let size = high - border;
                    high = border - 1;
                    size
                };
                if (high - low) / 128 > smaller {
                    seed = 0x2545_f491_4f6c_dd1d_i64.wrapping_mul(high ^ (low << 20)) | 1;
                }
            }
        }
    }

    /// Moves what is less than the pivot (on top; popped) below it; the answer is where it stands then.
    unsafe fn partition(self, low: lua_Integer, high: lua_Integer) -> lua_Integer {
        // SAFETY: as the functions above.
        unsafe {
            let (mut from_below, mut from_above) = (low, high - 1);
            loop {
                from_below += 1;
                self.get(from_below);
                while self.less(-1, -2) {
                    if from_below == high - 1 {
                        raise(self.state, c"invalid order function for sorting");
                    }
                    self.pop(1);
                    from_below += 1;
                    self.get(from_below);
                }
                from_above -= 1;
                self.get(from_above);
                while self.less(-3, -1) {
                    if from_above < from_below {
                        raise(self.state, c"invalid order function for sorting");
                    }
                    self.pop(1);
                    from_above -= 1;
                    self.get(from_above);
                }
                if from_above < from_below {
                    self.pop(1);
                    self.set_two(high - 1, from_below);
                    return from_below;
                }
                self.set_two(from_below, from_above);
            }
        }
    }
}

/// The bytes of a string on the stack.
unsafe fn text<'a>(state: *mut lua_State, index: c_int) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the value is a string and stays on the stack while its bytes are looked at.
    unsafe {
        let start = ffi::lua_tolstring(state, index, &raw mut length);
        std::slice::from_raw_parts(start.cast::<u8>(), length)
    }
}
