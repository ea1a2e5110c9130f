//! Changes while calls are made from several threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fake::{Fixture, context};

/// Callers beside the one that changes modules.
const CALLERS: usize = 4;
/// Changes of modules per test.
const CHANGES: u64 = 150;
/// Clearings, which pause between one and the next.
const CLEARINGS: u64 = 10;

/// The number in a source text like `value 7`.
fn number(source: &str) -> u64 {
    source
        .rsplit(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .expect("the source ends in a number")
}

/// Has `CALLERS` threads call `name` while `change(n)` is made for n = 1, 2, … up to `changes`; the call's last source must be at
/// least as new as the last change that was answered before the call began.
fn no_stale_call(fixture: &Fixture, name: &str, changes: u64, change: impl Fn(u64)) {
    let answered = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let calls = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let at_least = answered.load(Ordering::SeqCst);
                    let mut guard = fixture.acquire(name);
                    let seen = context(&mut guard)
                        .sources
                        .last()
                        .map(|source| number(source))
                        .expect("a context has sources");
                    assert!(seen >= at_least, "saw {seen} after {at_least} was answered");
                    calls.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for step in 1..=changes {
            let before = calls.load(Ordering::SeqCst);
            change(step);
            answered.store(step, Ordering::SeqCst);
            // Some calls between two changes, however the threads are scheduled.
            crate::fake::wait_until(|| calls.load(Ordering::SeqCst) > before + 2);
        }
        done.store(true, Ordering::SeqCst);
    });
    fixture.warm();
    let counts = fixture.service.totals().pools;
    assert_eq!(counts.busy, 0);
    assert_eq!(counts.created - counts.dropped, counts.idle);
}

#[test]
fn no_call_runs_old_code_after_a_put_was_answered() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "value 0");
    no_stale_call(&fixture, "a", CHANGES, |step| {
        fixture.put("a.lua", &format!("value {step}"));
    });
}

#[test]
fn no_call_runs_an_old_dependency_after_a_put_was_answered() {
    let fixture = Fixture::new();
    fixture.put("c.lua", "value 0");
    fixture.put("b.lua", "require c");
    fixture.put("a.lua", "require b");
    no_stale_call(&fixture, "a", CHANGES, |step| {
        fixture.put("c.lua", &format!("value {step}"));
    });
}

#[test]
fn calls_go_on_while_the_cache_is_cleared() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "value 1000000");
    no_stale_call(&fixture, "a", CLEARINGS, |_| fixture.service.clear_cache());
}
