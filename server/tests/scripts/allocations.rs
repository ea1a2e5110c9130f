//! What a call allocates: a figure that does not move with the machine, kept as a budget.
//!
//! Lua's own allocations count as far as they reach the process's allocator. `costs` of the package `tests` measures the same
//! calls in time and instructions.

#![expect(unsafe_code, reason = "a counting allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::node::Bench;
use crate::request;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of what a thread asks of it.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Allocations of this thread so far.
pub(crate) fn so_far() -> u64 {
    ALLOCATIONS.get()
}

const MODULE: &str = "
function nothing(rec, n) return n end
function read(rec) return rec.a end
function write(rec, n) rec.a = n return aerospike:update(rec) end
function append(rec)
  local l = list()
  for i = 1, 100 do list.append(l, i) end
  return list.size(l)
end
function put(rec)
  local m = map()
  for i = 1, 100 do m[i] = i end
  return map.size(m)
end
function echo(rec, v) return v end
";

/// Calls of each case; the fewest allocations of one count. A call that others interrupt may need more.
const CALLS: usize = 100;

#[test]
fn calls_allocate_no_more_than_they_did() {
    let bench = Bench::new();
    assert_eq!(request::register(&bench, "m.lua", MODULE), "ok");
    let put = request::run(&bench, "put a=1", "ok");
    assert!(put.is_ok(), "{put:?}");
    for (call, budget) in [
        ("nothing(7)", 1),
        ("read()", 1),
        ("write(7)", 5),
        ("append()", 8),
        ("put()", 19),
        (r#"echo(["a", "b", "c", "d", 5, 6, 7, 8])"#, 8),
    ] {
        let frame = request::call_frame(call).unwrap();
        let fewest = bench.fewest_allocations(&frame, CALLS);
        assert!(
            fewest <= budget,
            "{call} takes {fewest} allocations, its budget is {budget}"
        );
        assert!(
            fewest > 0 || budget == 0,
            "{call}: the reply alone is one allocation"
        );
    }
}
