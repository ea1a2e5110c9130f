//! Records that outlive nodes of a cluster: what another node has by now does not come back from a file.

use std::path::Path;

use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use tests::asd::RunningAsd;
use tests::cluster::ClusterPlan;
use tests::connection::Connection;
use tests::records::{RecordKey, WriteOptions};

use crate::cluster::{ask, mortal_plan, plan, wait_until_formed};
use crate::cluster_records::{answered, wait_until_settled};
use crate::native;

const RECORDS: i64 = 120;

fn key(set: &str, number: i64) -> RecordKey {
    RecordKey::new("test", set, &format!("key {number}"))
}

fn write(node: &RunningAsd, set: &str, number: i64, value: i64) {
    let bins = [("n", &Particle::integer(value))];
    let frame = key(set, number).put(bins, WriteOptions::default()).unwrap();
    let reply = answered(&mut node.connect().unwrap(), &frame);
    assert_eq!(reply.code(), ResultCode::OK);
}

fn delete(node: &RunningAsd, set: &str, number: i64) {
    let frame = key(set, number).delete().unwrap();
    let reply = answered(&mut node.connect().unwrap(), &frame);
    assert_eq!(reply.code(), ResultCode::OK);
}

/// The values of all records of a set, as this node answers.
fn values(node: &RunningAsd, set: &str) -> Vec<Option<i64>> {
    let mut connection: Connection = node.connect().unwrap();
    let value = |number| {
        let reply = answered(&mut connection, &key(set, number).get().unwrap());
        match reply.code() {
            ResultCode::OK => reply.bin("n").unwrap().as_ref().as_integer(),
            ResultCode::NOT_FOUND => None,
            code => panic!("{code:?} for record {number}"),
        }
    };
    (0..RECORDS).map(value).collect()
}

fn end(mut node: RunningAsd) {
    node.terminate().unwrap();
    assert!(node.wait().unwrap().success());
}

/// Ends node 0 in order, so that node 1 has all, does something there, and starts node 0 again with this file in place of
/// its own.
fn away(
    plan: &ClusterPlan,
    nodes: Vec<RunningAsd>,
    file: Option<&Path>,
    act: impl FnOnce(&RunningAsd),
) -> Vec<RunningAsd> {
    let [first, second] = <[RunningAsd; 2]>::try_from(nodes).unwrap();
    end(first);
    act(&second);
    if let Some(file) = file {
        std::fs::copy(file, plan.file(0)).unwrap();
    }
    let nodes = vec![plan.node(0).start().unwrap(), second];
    wait_until_formed(&nodes);
    wait_until_settled(&nodes);
    nodes
}

#[test]
fn what_another_node_has_by_now_does_not_come_back_from_a_file() {
    for (engine, keys) in [
        ("memory", "commit-to-device true"),
        ("device", "flush-max-ms 20"),
    ] {
        let (directory, plan) = mortal_plan(2);
        let plan = plan.lasting(engine, keys);
        let mut nodes = plan.start().unwrap();
        wait_until_formed(&nodes);
        let mut expected: Vec<Option<i64>> = (0..RECORDS).map(Some).collect();
        for number in 0..RECORDS {
            write(&nodes[0], "kept", number, number);
            write(&nodes[0], "gone", number, number);
        }
        wait_until_settled(&nodes);
        if keys.starts_with("flush") {
            end(nodes.remove(0));
            nodes.insert(0, plan.node(0).start().unwrap());
            wait_until_formed(&nodes);
            wait_until_settled(&nodes);
        }
        // Killed, it is back with what it had, and nobody went on without that meanwhile.
        nodes.remove(0).kill().unwrap();
        let old = directory.path().join("old.dat");
        std::fs::copy(plan.file(0), &old).unwrap();
        nodes.insert(0, plan.node(0).start().unwrap());
        wait_until_formed(&nodes);
        assert_eq!(values(&nodes[1], "kept"), expected, "{engine}");
        wait_until_settled(&nodes);

        // With the file that it left, and with the one that it had before.
        for file in [None, Some(old.as_path())] {
            nodes = away(&plan, nodes, file, |other| {
                for number in 0..RECORDS {
                    let at = usize::try_from(number).unwrap();
                    match number % 4 {
                        0 => {
                            let value = expected[at].unwrap_or(0) + 1_000;
                            write(other, "kept", number, value);
                            expected[at] = Some(value);
                        }
                        1 if expected[at].is_some() => {
                            delete(other, "kept", number);
                            expected[at] = None;
                        }
                        2 if file.is_some() => {
                            delete(other, "kept", number);
                            expected[at] = None;
                        }
                        _ => {}
                    }
                }
            });
            for node in &nodes {
                assert_eq!(values(node, "kept"), expected, "{engine}, {file:?}");
            }
        }
        nodes = away(&plan, nodes, Some(&old), |other| {
            assert_eq!(ask(other, "truncate:namespace=test;set=gone"), "ok");
        });
        for node in &nodes {
            assert_eq!(values(node, "kept"), expected, "{engine}");
            assert_eq!(values(node, "gone"), vec![None; values(node, "kept").len()]);
        }
        if engine == "device" {
            continue;
        }
        // Alone it has nothing of what moved, and the other has all when it is back.
        let [first, second] = <[RunningAsd; 2]>::try_from(nodes).unwrap();
        end(first);
        end(second);
        let first = plan.node(0).start().unwrap();
        assert_eq!(values(&first, "kept"), vec![None; expected.len()]);
        let nodes = [first, plan.node(1).start().unwrap()];
        wait_until_formed(&nodes);
        wait_until_settled(&nodes);
        assert_eq!(values(&nodes[0], "kept"), expected);
    }
}

/// The time of day of its first run is an hour ahead of that of its second, which follows a kill.
#[test]
fn a_node_whose_clock_was_set_back_is_the_later_run_and_brings_nothing_back() {
    let (directory, plan) = plan(2);
    let plan = plan
        .heartbeat(200, 1_000)
        .lasting("memory", "commit-to-device true");
    let ahead = native::library(directory.path(), "clock", include_str!("clock.c"));
    let mut nodes: Vec<RunningAsd> = std::thread::scope(|scope| {
        let first = plan.node(0).environment("LD_PRELOAD", ahead);
        let starting = [first, plan.node(1)].map(|node| scope.spawn(move || node.start()));
        starting.map(|start| start.join().unwrap().unwrap()).into()
    });
    wait_until_formed(&nodes);
    for number in 0..RECORDS {
        write(&nodes[0], "kept", number, number);
        write(&nodes[1], "gone", number, number);
    }
    for number in (0..RECORDS).step_by(3) {
        delete(&nodes[0], "kept", number);
    }
    let truncated = ask(&nodes[0], "truncate:namespace=test;set=gone");
    assert_eq!(truncated, "ok");
    wait_until_settled(&nodes);
    nodes.remove(0).kill().unwrap();
    nodes.insert(0, plan.node(0).start().unwrap());
    wait_until_formed(&nodes);
    wait_until_settled(&nodes);
    // Nobody waited until the run before counts as dead.
    let log = nodes[1].log();
    assert!(log.contains("has started again"), "{log}");
    assert!(!log.contains("is gone"), "{log}");
    let kept = |number| (number % 3 != 0).then_some(number);
    for node in &nodes {
        assert_eq!(
            values(node, "kept"),
            (0..RECORDS).map(kept).collect::<Vec<_>>()
        );
        assert!(values(node, "gone").iter().all(Option::is_none));
    }
    // What is written now is later than the truncation.
    for number in 0..RECORDS {
        let node = usize::from(number % 2 == 0);
        write(&nodes[node], "gone", number, number + 1);
    }
    for node in &nodes {
        let written: Vec<_> = (1..=RECORDS).map(Some).collect();
        assert_eq!(values(node, "gone"), written);
    }
}
