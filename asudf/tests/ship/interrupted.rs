//! Killed at every step, interrupted, two at once.

use super::cluster::Kill;
use super::{Bench, SHOP, pairs};

/// What an apply of the bench changes on the cluster, its own modules included.
const STEPS: usize = 9;

/// A cluster with an old `z.lua`, and an `x.lua` that an earlier apply put and the folder has no more.
fn bench() -> Bench {
    let bench = Bench::new(&[("x.lua", "return 'x'")]);
    bench.cluster.put("z.lua", "return 'old'");
    bench.expect(1, &["apply"]);
    bench.delete("x.lua");
    for (name, source) in SHOP {
        bench.write(name, source);
    }
    for kept in bench.kept() {
        bench.delete(&kept);
    }
    bench.cluster.changes();
    bench
}

/// Killed behind one step is killed before the next one: it is the same to the cluster.
#[test]
fn whatever_step_it_is_killed_at_the_next_run_finishes_and_a_rollback_takes_all_back() {
    let bench = bench();
    let nodes = bench.cluster.state().nodes.clone();
    let before = bench.cluster.modules();
    for at in 0..=STEPS {
        bench.cluster.set(|state| {
            state.nodes.clone_from(&nodes);
            state.kill = Some(Kill {
                at: at.max(1),
                done: at > 0,
            });
        });
        let killed = bench.run(&["apply", "--prune"]);
        assert_eq!(killed.status, None, "{at}\n{}", killed.out);
        bench.cluster.set(|state| state.kill = None);
        bench.cluster.changes();
        let ran = bench.run(&["apply", "--prune"]);
        // Only the answer to the last step was missed.
        let expected = if at == STEPS { 0 } else { 1 };
        assert_eq!(ran.status, Some(expected), "{at}\n{}\n{}", ran.out, ran.err);
        assert_eq!(bench.cluster.modules(), pairs(SHOP), "{at}");
        assert_eq!(bench.cluster.own(), ["asudf_project_shop.lua"], "{at}");
        bench.cluster.changes();
        bench.expect(0, &["apply", "--prune"]);
        assert_eq!(bench.cluster.changes(), [""; 0], "{at}");
        bench.expect(1, &["rollback"]);
        assert_eq!(bench.cluster.modules(), before, "{at}");
        let record = bench.cluster.source("asudf_project_shop.lua").unwrap();
        assert!(
            record.contains("x.lua") && !record.contains("z.lua"),
            "{record}"
        );
        assert!(!record.contains("unfinished"), "{record}");
        bench.cluster.changes();
    }
}

#[test]
fn without_the_file_of_the_killed_run_the_next_one_says_where_it_is() {
    let bench = bench();
    bench
        .cluster
        .set(|state| state.kill = Some(Kill { at: 5, done: true }));
    assert_eq!(bench.run(&["apply"]).status, None);
    bench.cluster.set(|state| state.kill = None);
    let kept = bench.kept();
    bench.delete(&kept[0]);
    let ran = bench.expect(1, &["apply"]);
    assert!(ran.err.contains(&kept[0]), "{}", ran.err);
    assert!(ran.err.contains("me@"), "{}", ran.err);
}

#[test]
fn an_interrupt_ends_between_two_steps_and_leaves_no_lock() {
    let bench = bench();
    bench
        .cluster
        .set(|state| state.interrupt_at = Some("b.lua".to_owned()));
    let ran = bench.expect(130, &["apply"]);
    assert_eq!(bench.cluster.changes(), ["put b.lua"]);
    assert!(
        ran.out.contains("  b.lua: changed on 3 nodes\n"),
        "{}",
        ran.out
    );
    assert!(
        ran.err
            .contains("interrupted: the next run goes on from here"),
        "{}",
        ran.err
    );
    assert_eq!(bench.cluster.own(), ["asudf_project_shop.lua"]);
    bench.cluster.set(|state| state.interrupt_at = None);
    bench.expect(1, &["apply"]);
}

#[test]
fn the_second_of_two_applies_stops() {
    let bench = bench();
    bench
        .cluster
        .set(|state| state.held_back = Some("b.lua".to_owned()));
    let first = bench.command(&["apply"]).spawn().unwrap();
    bench.cluster.wait_for("put b.lua");
    for words in [&["apply"][..], &["rollback"], &["apply", "--prune"]] {
        let ran = bench.expect(2, words);
        assert!(
            ran.err.contains("me@") && ran.err.contains("(apply, since 20"),
            "{}",
            ran.err
        );
        assert!(ran.err.contains("nothing was changed"), "{}", ran.err);
    }
    let ran = bench.expect(3, &["status"]);
    assert!(ran.out.contains("Locked by me@"), "{}", ran.out);
    // What was kept by those who then did nothing is gone again.
    assert_eq!(bench.kept().len(), 1);
    bench.cluster.set(|state| state.held_back = None);
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(bench.cluster.own(), ["asudf_project_shop.lua"]);
}

#[test]
fn whoever_loses_the_lock_stops_before_the_next_change() {
    let bench = bench();
    bench
        .cluster
        .set(|state| state.held_back = Some("b.lua".to_owned()));
    let first = bench.command(&["apply"]).spawn().unwrap();
    bench.cluster.wait_for("put b.lua");
    bench.cluster.set(|state| {
        for node in &mut state.nodes {
            node.retain(|name, _| !name.starts_with("asudf_lock_"));
        }
        state.held_back = None;
    });
    let output = first.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("is gone: somebody took it"), "{err}");
    assert_eq!(bench.cluster.changes(), ["put b.lua"]);
}

#[test]
fn a_lock_that_cannot_be_registered_ends_an_apply_and_nothing_is_left() {
    let bench = Bench::new(SHOP);
    bench
        .cluster
        .set(|state| state.refused = Some("asudf_lock_".to_owned()));
    let ran = bench.expect(2, &["apply"]);
    assert!(ran.err.contains("the lock asudf_lock_"), "{}", ran.err);
    assert!(ran.err.contains("cannot be registered"), "{}", ran.err);
    assert_eq!(bench.cluster.own(), [""; 0]);
    assert_eq!(bench.kept(), [""; 0]);
    assert_eq!(bench.cluster.modules(), []);
}

#[test]
fn a_lock_of_another_machine_can_be_broken() {
    let bench = Bench::new(SHOP);
    let lock = r#"--@ {"version":1,"token":"0","doing":"apply","by":"you@there","since":"then","held":true,"beat":1}"#;
    bench.cluster.put("asudf_lock_0ff.lua", lock);
    let ran = bench.expect(1, &["apply", "--break-lock"]);
    assert_eq!(
        bench.cluster.own(),
        ["asudf_project_shop.lua"],
        "{}",
        ran.out
    );
    assert_eq!(bench.cluster.modules(), pairs(SHOP));
}
