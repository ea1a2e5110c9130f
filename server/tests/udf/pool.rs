//! How contexts come and go.

use std::collections::HashSet;

use runtime::context::CallEnd;
use server::contexts::service::AcquireError;
use server::contexts::stats::PoolCounts;

use crate::fake::{CONTEXT_BYTES, Fixture, context};

#[test]
fn module_gets_ten_contexts_and_more_on_misses() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    assert_eq!(
        fixture.counts("a.lua"),
        PoolCounts {
            idle: 10,
            created: 10,
            memory_bytes: 10 * CONTEXT_BYTES as u64,
            ..PoolCounts::default()
        }
    );
    let guards: Vec<_> = (0..15).map(|_| fixture.acquire("a")).collect();
    let counts = fixture.counts("a.lua");
    assert_eq!(
        (counts.idle, counts.busy, counts.hits, counts.misses),
        (0, 15, 10, 5)
    );
    drop(guards);
    let counts = fixture.counts("a.lua");
    assert_eq!(
        (counts.idle, counts.busy, counts.created, counts.dropped),
        (15, 0, 15, 0)
    );
}

#[test]
fn at_most_128_idle_contexts_are_kept() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    drop((0..140).map(|_| fixture.acquire("a")).collect::<Vec<_>>());
    let counts = fixture.counts("a.lua");
    assert_eq!(
        (counts.idle, counts.created, counts.dropped),
        (128, 140, 12)
    );
}

#[test]
fn context_used_last_is_used_next() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    // Of each processor, and the system may move this thread to another one at any time, but not always.
    crate::fake::wait_until(|| {
        let first = context(&mut fixture.acquire("a")).id;
        (0..20).all(|_| context(&mut fixture.acquire("a")).id == first)
    });
    assert_eq!(fixture.counts("a.lua").misses, 0);
}

#[test]
fn call_finishes_on_its_code_and_its_context_is_dropped() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    let mut running = fixture.acquire("a");
    assert!(running.is_current());
    fixture.put("a.lua", "two");
    assert_eq!(fixture.sources("a"), ["two"]);
    assert!(!running.is_current());
    assert_eq!(context(&mut running).sources, ["one"]);
    fixture.warm();
    let before = fixture.counts("a.lua");
    drop(running);
    assert_eq!(fixture.counts("a.lua").dropped, before.dropped + 1);
    fixture.warm();
    assert!(fixture.counts("a.lua").idle >= 10);
}

/// The contexts that wait for calls. Which of them is next depends on the processor, and the system may move this thread to
/// another one at any time.
fn idle_ones(fixture: &Fixture, name: &str) -> HashSet<u64> {
    let idle = fixture.counts(&format!("{name}.lua")).idle;
    let mut guards: Vec<_> = (0..idle).map(|_| fixture.acquire(name)).collect();
    let ids = guards.iter_mut().map(|guard| context(guard).id);
    ids.collect()
}

#[test]
fn change_reaches_everything_that_requires_the_module() {
    let fixture = Fixture::new();
    fixture.put("c.lua", "c1");
    fixture.put("b.lua", "require c");
    fixture.put("a.lua", "require b");
    fixture.put("other.lua", "alone");
    fixture.warm();
    assert_eq!(fixture.sources("a"), ["require b", "require c", "c1"]);
    let others = idle_ones(&fixture, "other");

    fixture.put("c.lua", "c2");
    assert_eq!(fixture.sources("a"), ["require b", "require c", "c2"]);
    assert_eq!(fixture.sources("b"), ["require c", "c2"]);
    fixture.warm();
    assert_eq!(
        idle_ones(&fixture, "other"),
        others,
        "modules that do not use it keep their contexts"
    );
    for file_name in ["a.lua", "b.lua", "c.lua"] {
        assert!(fixture.counts(file_name).idle >= 10, "{file_name}");
    }
}

#[test]
fn dependants_fail_when_a_module_is_removed_and_recover_when_it_is_back() {
    let fixture = Fixture::new();
    fixture.put("b.lua", "b1");
    fixture.put("a.lua", "require b");
    fixture.warm();
    fixture.service.remove("b.lua").unwrap();
    assert_eq!(
        fixture.service.acquire(b"a").err(),
        Some(AcquireError::Load("no module b".to_owned()))
    );
    assert_eq!(
        fixture.service.acquire(b"b").err(),
        Some(AcquireError::NotFound)
    );
    fixture.put("b.lua", "b2");
    assert_eq!(fixture.sources("a"), ["require b", "b2"]);
    fixture.warm();
    assert!(fixture.counts("a.lua").idle >= 10);
}

#[test]
fn module_that_was_looked_for_in_vain_is_seen_when_it_comes() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "may late");
    fixture.warm();
    assert_eq!(fixture.sources("a"), ["may late"]);
    fixture.put("late.lua", "here");
    assert_eq!(fixture.sources("a"), ["may late", "here"]);
}

#[test]
fn module_required_during_a_call_counts_as_used() {
    let fixture = Fixture::new();
    fixture.put("b.lua", "b1");
    fixture.put("a.lua", "a1");
    fixture.put("c.lua", "c1");
    fixture.warm();
    let mut guard = fixture.acquire("a");
    let id = context(&mut guard).id;
    let version = context(&mut guard)
        .modules
        .find(b"b")
        .map(|module| module.compiled);
    assert!(version.is_some());
    fixture.put("b.lua", "b2");
    assert_eq!(
        context(&mut guard)
            .modules
            .find(b"b")
            .map(|module| module.compiled),
        version,
        "a call sees the modules of its start"
    );
    drop(guard);
    assert_ne!(context(&mut fixture.acquire("a")).id, id);

    // A change of what it did not use leaves a context alone, and yet shows when it is used at last.
    fixture.warm();
    let before = idle_ones(&fixture, "a");
    fixture.put("c.lua", "c2");
    let mut guard = fixture.acquire("a");
    assert!(before.contains(&context(&mut guard).id));
    let found = context(&mut guard).modules.find(b"c").unwrap();
    assert_eq!(&*found.compiled.unwrap().0, b"c2");
}

#[test]
fn cleared_cache_fills_itself_again() {
    let fixture = Fixture::new();
    for file_name in ["a.lua", "b.lua"] {
        fixture.put(file_name, "one");
    }
    fixture.warm();
    let old = context(&mut fixture.acquire("a")).id;
    let built = fixture.factory.attempts();
    fixture.service.clear_cache();
    assert!(context(&mut fixture.acquire("a")).id > old);
    fixture.warm();
    for _ in 0..1_000 {
        assert!(context(&mut fixture.acquire("a")).id > old);
    }
    let rebuilt = fixture.factory.attempts() - built;
    assert!((20..=21).contains(&rebuilt), "{rebuilt} built");
    for file_name in ["a.lua", "b.lua"] {
        assert!(fixture.counts(file_name).idle >= 10, "{file_name}");
    }
}

#[test]
fn clearing_what_nobody_has_used_since_changes_nothing() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    let epoch = || fixture.service.modules().epoch();
    let before = epoch();
    for _ in 0..1_000 {
        fixture.service.clear_cache();
    }
    assert_eq!(epoch(), before + 1);
    drop(fixture.acquire("a"));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| fixture.service.clear_cache());
        }
    });
    assert_eq!(epoch(), before + 2, "one clearing for all who ask");
    // One that fails to be built is tried again, as it would be for a call.
    fixture.put("b.lua", "fail");
    fixture.warm();
    let before = epoch();
    fixture.service.clear_cache();
    assert_eq!(epoch(), before + 1);
}

#[test]
fn a_clearing_renews_contexts_before_it_gives_up_the_old_ones() {
    let fixture = Fixture::new();
    for file_name in ["a.lua", "b.lua", "unused.lua"] {
        fixture.put(file_name, "one");
    }
    fixture.warm();
    // The warmer is kept busy elsewhere.
    fixture.factory.close_gate("slow.lua");
    fixture.put("slow.lua", "one");
    fixture.factory.wait_for_builds_at_gates(1);
    let misses = |file_name: &str| fixture.counts(file_name).misses;
    let mut seen = HashSet::new();
    // No call builds a context, unless the machine is so busy that the clearing did not wait for those that it had begun.
    crate::fake::wait_until(|| {
        let before = misses("a.lua") + misses("b.lua");
        let attempts = fixture.factory.attempts();
        for name in ["a", "b"] {
            seen.insert(context(&mut fixture.acquire(name)).id);
        }
        let held = fixture.acquire("b");
        fixture.service.clear_cache();
        for name in ["a", "b", "b"] {
            let id = context(&mut fixture.acquire(name)).id;
            assert!(!seen.contains(&id), "it has served a call");
        }
        drop(held);
        // One for each module that is used, and one more for the one in use.
        let built = fixture.factory.attempts() - attempts;
        misses("a.lua") + misses("b.lua") == before && built == 3
    });
    assert_eq!(fixture.counts("unused.lua").hits, 0);
    fixture.factory.open_gate("slow.lua");
    fixture.warm();
    assert_eq!(fixture.counts("unused.lua").idle, 10);
}

#[test]
fn a_module_that_is_slow_to_load_keeps_no_other_from_being_renewed() {
    let fixture = Fixture::new();
    for file_name in ["fast.lua", "slow.lua"] {
        fixture.put(file_name, "one");
    }
    fixture.warm();
    for _ in 0..20 {
        drop(fixture.acquire("slow"));
    }
    // It is used most, so its context is built first as long as nothing is known of it.
    let mut renewed = 0;
    crate::fake::wait_until(|| {
        drop(fixture.acquire("fast"));
        fixture.factory.close_gate("slow.lua");
        fixture.service.clear_cache();
        let before = fixture.counts("fast.lua").misses;
        drop(fixture.acquire("fast"));
        renewed = match fixture.counts("fast.lua").misses == before {
            true => renewed + 1,
            false => 0,
        };
        fixture.factory.open_gate("slow.lua");
        fixture.warm();
        renewed == 5
    });
}

#[test]
fn a_clearing_waits_for_no_module_that_is_slow_to_load() {
    let fixture = Fixture::new();
    fixture.put("slow.lua", "one");
    fixture.warm();
    let old = context(&mut fixture.acquire("slow")).id;
    fixture.factory.close_gate("slow.lua");
    for _ in 0..3 {
        fixture.service.clear_cache();
        let epoch = fixture.service.modules().epoch();
        std::thread::scope(|scope| {
            let call = scope.spawn(|| context(&mut fixture.acquire("slow")).id);
            fixture.service.clear_cache();
            assert!(!call.is_finished());
            fixture.factory.open_gate("slow.lua");
            assert!(call.join().unwrap() > old);
        });
        assert!(fixture.service.modules().epoch() >= epoch);
        fixture.factory.close_gate("slow.lua");
    }
    fixture.factory.open_gate("slow.lua");
    fixture.warm();
}

#[test]
fn calls_right_after_a_clear_build_one_context_each_at_most() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    // The warmer is kept busy elsewhere: calls have to help themselves.
    fixture.factory.close_gate("slow.lua");
    fixture.put("slow.lua", "one");
    fixture.factory.wait_for_builds_at_gates(1);
    fixture.service.clear_cache();
    let before = fixture.counts("a.lua");
    for _ in 0..100 {
        drop(fixture.acquire("a"));
    }
    let after = fixture.counts("a.lua");
    assert!(after.created - before.created <= 1);
    fixture.factory.open_gate("slow.lua");
    fixture.warm();
    assert_eq!(fixture.counts("a.lua").idle, 10);
}

#[test]
fn nothing_else_waits_for_a_context_that_is_being_built() {
    let fixture = Fixture::new();
    fixture.put("fast.lua", "one");
    fixture.warm();
    fixture.factory.close_gate("slow.lua");
    fixture.put("slow.lua", "one");
    std::thread::scope(|scope| {
        let call = scope.spawn(|| drop(fixture.acquire("slow")));
        // The call and the warmer.
        fixture.factory.wait_for_builds_at_gates(2);
        drop(fixture.acquire("fast"));
        fixture.put("fast.lua", "two");
        assert_eq!(fixture.sources("fast"), ["two"]);
        fixture.put("slow.lua", "two");
        fixture.service.clear_cache();
        fixture.service.remove("fast.lua").unwrap();
        assert_eq!(fixture.service.counts().len(), 1);
        fixture.factory.open_gate("slow.lua");
        call.join().unwrap();
    });
    assert_eq!(fixture.sources("slow"), ["two"]);
}

#[test]
fn failure_to_load_is_remembered_until_something_changes() {
    let fixture = Fixture::new();
    fixture.put("b.lua", "b1");
    fixture.put("a.lua", "may b\nfail");
    fixture.put("other.lua", "one");
    fixture.warm();
    let failed = Some(AcquireError::Load("fail".to_owned()));
    let attempts = || fixture.counts("a.lua").load_failures;
    assert_eq!(attempts(), 1);
    for _ in 0..100 {
        assert_eq!(fixture.service.acquire(b"a").err(), failed);
    }
    fixture.put("other.lua", "two");
    fixture.warm();
    assert_eq!(fixture.service.acquire(b"a").err(), failed);
    assert_eq!(
        attempts(),
        1,
        "a module that it does not use changes nothing"
    );
    fixture.put("b.lua", "b2");
    fixture.warm();
    assert_eq!(attempts(), 2, "a module that it uses may");
    fixture.put("a.lua", "may b\nfail");
    fixture.warm();
    assert_eq!(attempts(), 3, "the same content again has it tried again");
    fixture.service.clear_cache();
    fixture.warm();
    assert_eq!(attempts(), 4, "so does a clear");
    fixture.put("a.lua", "fine");
    assert_eq!(fixture.sources("a"), ["fine"]);
}

#[test]
fn failure_that_may_pass_is_tried_again() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "stumble");
    fixture.warm();
    let before = fixture.counts("a.lua").load_failures;
    crate::fake::wait_until(|| {
        assert!(fixture.service.acquire(b"a").is_err());
        fixture.counts("a.lua").load_failures > before
    });
}

#[test]
fn spent_context_is_not_used_again() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    let mut guard = fixture.acquire("a");
    let id = context(&mut guard).id;
    context(&mut guard).spent = true;
    drop(guard);
    fixture.warm();
    assert_ne!(context(&mut fixture.acquire("a")).id, id);
    let counts = fixture.counts("a.lua");
    assert_eq!(
        (counts.idle, counts.created, counts.dropped),
        (10, 11, 1),
        "another one takes its place"
    );
}

#[test]
fn context_of_a_call_that_panics_is_dropped() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.warm();
    let panicked = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = fixture.acquire("a");
                std::panic::resume_unwind(Box::new("a bug"));
            })
            .join()
    });
    assert!(panicked.is_err());
    assert_eq!(fixture.counts("a.lua").dropped, 1);
}

#[test]
fn without_cache_every_call_has_a_context_of_its_own() {
    let fixture = Fixture::with(|settings| settings.cache_enabled = false);
    fixture.put("a.lua", "one");
    for _ in 0..5 {
        drop(fixture.acquire("a"));
    }
    let counts = fixture.counts("a.lua");
    assert_eq!((counts.idle, counts.created, counts.dropped), (0, 5, 5));
}

#[test]
fn building_is_left_to_whom_the_caller_chooses() {
    let fixture = Fixture::with(|settings| settings.cache_enabled = false);
    fixture.put("a.lua", "one");
    assert!(fixture.service.acquire_idle(b"a").unwrap().is_none());
    assert_eq!(
        context(&mut fixture.service.build(b"a").unwrap()).sources,
        ["one"]
    );
    assert_eq!(
        fixture.service.acquire_idle(b"none").err(),
        Some(AcquireError::NotFound)
    );
}

#[test]
fn only_lua_files_without_another_dot_can_be_called() {
    let fixture = Fixture::new();
    for file_name in ["t.txt", "x.y.lua", "ok.lua"] {
        fixture.put(file_name, "one");
    }
    for name in ["t", "t.txt", "x.y", "x", "ok.lua", "", "../ok"] {
        assert_eq!(
            fixture.service.acquire(name.as_bytes()).err(),
            Some(AcquireError::NotFound),
            "{name}"
        );
    }
    assert_eq!(fixture.sources("ok"), ["one"]);
}

#[test]
fn totals_cover_removed_modules() {
    let fixture = Fixture::new();
    fixture.put("a.lua", "one");
    fixture.put("b.lua", "one");
    fixture.warm();
    for end in [
        CallEnd::Success,
        CallEnd::Error,
        CallEnd::Timeout,
        CallEnd::OutOfMemory,
    ] {
        fixture.acquire("a").ended(end);
    }
    let before = fixture.service.totals();
    assert_eq!(before.modules, 2);
    assert_eq!(before.pools.calls, 4);
    assert_eq!(before.pools.errors, 1);
    assert_eq!(before.pools.timeouts, 1);
    assert_eq!(before.pools.out_of_memory, 1);
    assert_eq!(before.pools.idle, 20);
    fixture.service.remove("a.lua").unwrap();
    fixture.warm();
    let after = fixture.service.totals();
    assert_eq!(after.modules, 1);
    assert_eq!(after.pools.idle, 10);
    assert_eq!(after.pools.calls, 4);
    assert_eq!(after.pools.created, before.pools.created);
    assert_eq!(after.pools.dropped, before.pools.dropped + 10);
}

#[test]
fn a_module_is_compiled_once_behind_its_put_whoever_calls_it_then() {
    let fixture = Fixture::new();
    for file_name in ["a.lua", "b.lua"] {
        fixture.put(file_name, "one");
    }
    fixture.put("b.lua", "two");
    fixture.warm();
    let compiled = ["a.lua", "b.lua"].map(|file_name| fixture.factory.compiled(file_name));
    assert_eq!(compiled[0], 1, "without a call");
    assert!((1..=2).contains(&compiled[1]), "a version each at most");
    let calls: Vec<_> = (0..30).map(|_| fixture.acquire("a")).collect();
    assert!(fixture.counts("a.lua").misses >= 20);
    drop(calls);
    // Nothing of others is compiled anew, and neither is what was put again as it was.
    fixture.put("c.lua", "one");
    fixture.put("a.lua", "one");
    fixture.warm();
    assert_eq!(fixture.factory.compiled("a.lua"), compiled[0]);
    assert_eq!(fixture.factory.compiled("b.lua"), compiled[1]);
    assert_eq!(fixture.factory.compiled("c.lua"), 1);
}

#[test]
fn what_a_put_was_validated_with_is_not_compiled_again_where_it_was_made() {
    let fixture = Fixture::new();
    for version in ["keep one", "keep two", "keep three"] {
        fixture.put("a.lua", version);
        assert_eq!(fixture.sources("a"), [version]);
    }
    fixture.put("b.lua", "keep one");
    fixture.warm();
    assert_eq!(fixture.sources("b"), ["keep one"]);
    let compiled = ["a.lua", "b.lua"].map(|file_name| fixture.factory.compiled(file_name));
    assert_eq!(compiled, [0, 0]);
}

#[test]
fn a_call_waits_for_no_compilation_but_its_own() {
    let fixture = Fixture::new();
    fixture.put("quick.lua", "one");
    fixture.warm();
    fixture.factory.close_gate("compile slow.lua");
    fixture.put("slow.lua", "one");
    fixture.put("quick.lua", "two");
    fixture.put("new.lua", "one");
    fixture.factory.wait_for_builds_at_gates(1);
    // The thread that works ahead is busy with it.
    assert_eq!(fixture.sources("quick"), ["two"]);
    assert_eq!(fixture.sources("new"), ["one"]);
    fixture.put("other.lua", "one");
    assert_eq!(fixture.sources("other"), ["one"]);
    assert_eq!(fixture.factory.compiled("slow.lua"), 0);
    fixture.factory.open_gate("compile slow.lua");
    assert_eq!(fixture.sources("slow"), ["one"]);
}
