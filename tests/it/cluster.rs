//! Several processes form one cluster, and keep their modules together whatever happens to one of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use protocol::partition_map::PartitionMap;
use tempfile::TempDir;
use tests::asd::RunningAsd;
use tests::cluster::ClusterPlan;
use tests::process::wait_until;
use tests::records::put_module;

use crate::server::program;

/// Whatever is waited for takes far less.
pub(crate) const DEADLINE: Duration = Duration::from_secs(240);

/// Nodes that live on when the machine is busy.
pub(crate) fn plan(size: u8) -> (TempDir, ClusterPlan) {
    let directory = tempfile::Builder::new()
        .prefix("asd-cluster-")
        .tempdir()
        .unwrap();
    let plan = ClusterPlan::new(program(), directory.path(), size);
    (directory, plan)
}

/// Nodes that count as dead half a second after they fell silent.
pub(crate) fn mortal_plan(size: u8) -> (TempDir, ClusterPlan) {
    let (directory, plan) = plan(size);
    (directory, plan.mortal())
}

pub(crate) fn ask(node: &RunningAsd, command: &str) -> String {
    let mut connection = node.connect().unwrap();
    connection.set_deadline(DEADLINE).unwrap();
    connection.info(command).unwrap()
}

/// What a put of a small module beside large ones costs each of so many nodes: one sync, what it weighs itself, and a
/// question to every other node with its answer.
#[test]
fn a_put_costs_each_node_a_sync_and_each_other_node_a_question() {
    for size in [1, 3] {
        let (_directory, plan) = plan(size);
        let nodes = plan.start().unwrap();
        wait_until_formed(&nodes);
        for number in 0..4 {
            put(
                &nodes[0],
                &format!("large{number}.lua"),
                &"-- padding\n".repeat(20_000),
            );
        }
        // Syncs, bytes, questions and answers since the start, a node each.
        let costs = || -> Vec<[u64; 4]> {
            let names = [
                "udf_registry_syncs",
                "udf_registry_bytes_written",
                "fabric_meta_asked",
                "fabric_meta_answered",
            ];
            let of = |node| names.map(|name| statistic(node, name).parse().unwrap());
            nodes.iter().map(of).collect()
        };
        let mut number = 0;
        let mut last = Vec::new();
        // What is done behind earlier puts may fall between the two looks.
        let seen = wait_until("a put costs no more than it must", DEADLINE, || {
            number += 1;
            let before = costs();
            if try_put(&nodes[0], "small.lua", &source(number)) != "ok" {
                return Ok(false);
            }
            let after = costs();
            let cost = |(after, before): (&[u64; 4], &[u64; 4])| {
                let mut cost = *after;
                for (cost, before) in cost.iter_mut().zip(before) {
                    *cost -= before;
                }
                cost
            };
            last = after.iter().zip(&before).map(cost).collect();
            assert!(last.iter().all(|[syncs, ..]| *syncs >= 1), "{last:?}");
            let others = u64::from(size) - 1;
            Ok(last.iter().enumerate().all(|(node, cost)| {
                let [syncs, bytes, asked, answered] = *cost;
                let messages = if node == 0 { (others, 0) } else { (0, 1) };
                syncs == 1 && bytes < 2_000 && (asked, answered) == messages
            }))
        });
        assert!(seen.is_ok(), "{size} nodes: {last:?}");
    }
}

fn statistic(node: &RunningAsd, name: &str) -> String {
    let all = ask(node, "statistics");
    all.split(';')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {all}"))
        .to_owned()
}

/// Waits until these nodes, and no others, form one cluster.
pub(crate) fn wait_until_formed<'n>(nodes: impl IntoIterator<Item = &'n RunningAsd>) {
    let nodes: Vec<_> = nodes.into_iter().collect();
    let command = format!("cluster-stable:size={};ignore-migrations=true", nodes.len());
    wait_until("the nodes form one cluster", DEADLINE, || {
        let keys: Vec<String> = nodes.iter().map(|node| ask(node, &command)).collect();
        Ok(keys
            .iter()
            .all(|key| key == &keys[0] && !key.starts_with("ERROR")))
    })
    .unwrap();
}

/// Ends every node of a plan in turn, as an operator does, and starts it anew; then says so to whoever works meanwhile.
pub(crate) async fn restart_each(
    plan: &ClusterPlan,
    nodes: &mut Vec<RunningAsd>,
    end: &AtomicBool,
) {
    for number in 0..u8::try_from(nodes.len()).unwrap() {
        let mut node = nodes.remove(0);
        let plan = plan.clone();
        let back = tokio::task::spawn_blocking(move || {
            node.terminate().unwrap();
            assert!(node.wait().unwrap().success());
            plan.node(number).start().unwrap()
        });
        nodes.push(back.await.unwrap());
        tokio::task::block_in_place(|| wait_until_formed(&*nodes));
    }
    end.store(true, Ordering::Relaxed);
}

/// Registers on a node; every live node has it afterwards, on a busy machine and disk at a later attempt.
pub(crate) fn put(node: &RunningAsd, file: &str, source: &str) {
    change(file, || try_put(node, file, source));
}

/// Removes on a node; no live node has it afterwards.
fn remove(node: &RunningAsd, file: &str) {
    change(file, || ask(node, &format!("udf-remove:filename={file}")));
}

fn change(file: &str, mut make: impl FnMut() -> String) {
    wait_until("all nodes have changed", DEADLINE, || {
        match make().as_str() {
            "ok" => Ok(true),
            "error=timeout" => Ok(false),
            answer => panic!("{file}: {answer}"),
        }
    })
    .unwrap();
}

fn try_put(node: &RunningAsd, file: &str, source: &str) -> String {
    let mut connection = node.connect().unwrap();
    connection.set_deadline(DEADLINE).unwrap();
    put_module(&mut connection, file, source.as_bytes()).unwrap()
}

fn source(number: u64) -> String {
    format!("function number() return {number} end\n")
}

/// What a node lists, in the order of the names.
fn list(node: &RunningAsd) -> Vec<String> {
    let list = ask(node, "udf-list");
    let mut modules: Vec<String> = list.split_terminator(';').map(str::to_owned).collect();
    modules.sort();
    modules
}

fn wait_until_same<'n>(nodes: impl IntoIterator<Item = &'n RunningAsd>) -> Vec<String> {
    let nodes: Vec<_> = nodes.into_iter().collect();
    wait_until("all nodes have the same modules", DEADLINE, || {
        let first = list(nodes[0]);
        Ok(nodes.iter().all(|node| list(node) == first))
    })
    .unwrap();
    list(nodes[0])
}

/// `udf-status` of a module: state by node id.
fn states(node: &RunningAsd, file: &str) -> BTreeMap<String, String> {
    ask(node, &format!("udf-status:filename={file}"))
        .split_terminator(';')
        .map(|row| {
            let field = |name: &str| {
                row.split(',')
                    .find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
                    .unwrap_or_else(|| panic!("no {name} in {row}"))
                    .to_owned()
            };
            (field("node"), field("state"))
        })
        .collect()
}

#[test]
fn nodes_form_one_cluster_that_clients_see_as_one_item_18() {
    let (_directory, plan) = plan(3);
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    for (number, node) in nodes.iter().enumerate() {
        let peers = ask(node, "peers-clear-std");
        for other in (0..3_u8).filter(|other| usize::from(*other) != number) {
            let expected = format!("[A{other},,[{}]]", plan.service(other));
            assert!(peers.contains(&expected), "{expected} in {peers}");
        }
        assert_eq!(statistic(node, "cluster_size"), "3");
        assert_eq!(statistic(node, "cluster_principal"), "A2");
        // It has asked each other what it has, and was asked.
        for name in ["fabric_connections_opened", "heartbeat_received_foreign"] {
            let count: u64 = statistic(node, name).parse().unwrap();
            assert!(count >= 2, "{name} {count}");
        }
        wait_until("all agree", DEADLINE, || {
            Ok(statistic(node, "cluster_integrity") == "true")
        })
        .unwrap();
    }
    // Each partition has one owner.
    let maps: Vec<PartitionMap> = nodes
        .iter()
        .map(|node| {
            let replicas = ask(node, "replicas-master");
            let (_, map) = replicas.split(';').next().unwrap().split_once(':').unwrap();
            PartitionMap::decode(map).unwrap()
        })
        .collect();
    for partition in 0..4_096 {
        let owners = maps.iter().filter(|map| map.has(partition)).count();
        assert_eq!(owners, 1, "partition {partition}");
    }

    put(&nodes[1], "m.lua", &source(7));
    let lists: Vec<_> = nodes.iter().map(list).collect();
    assert!(lists[0][0].starts_with("filename=m.lua,hash="), "{lists:?}");
    assert!(lists.iter().all(|list| *list == lists[0]), "{lists:?}");
    remove(&nodes[2], "m.lua");
    assert!(nodes.iter().all(|node| list(node).is_empty()));
}

#[test]
fn generations_move_when_members_do() {
    let (_directory, plan) = mortal_plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let generations = |node: &RunningAsd| {
        ["peers-generation", "partition-generation"]
            .map(|name| -> u64 { ask(node, name).parse().unwrap() })
    };
    // The key of a view does not wait for the records that move into it.
    let stable = |node: &RunningAsd| ask(node, "cluster-stable:ignore-migrations=true");
    let key = stable(&nodes[0]);
    assert!(!key.starts_with("ERROR"), "{key}");
    let before = generations(&nodes[0]);
    let mut gone = nodes.pop().unwrap();
    gone.kill().unwrap();
    wait_until_formed(&nodes);
    let after = generations(&nodes[0]);
    assert!(
        after[0] > before[0] && after[1] > before[1],
        "{before:?} {after:?}"
    );
    let later = stable(&nodes[0]);
    assert!(!later.starts_with("ERROR") && later != key, "{key} {later}");
    assert!(!ask(&nodes[0], "peers-clear-std").contains("A2"));
    assert!(ask(&nodes[0], "alumni-clear-std").contains("A2"));
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let (_directory, plan) = mortal_plan(2);
    let foreign = plan.node(1).cluster_name("other").start().unwrap();
    let node = plan.node(0).start().unwrap();
    wait_until("the refusal is in the log", DEADLINE, || {
        let refused = format!(
            "refused {}:{}: it belongs to cluster `other`",
            plan.address(1),
            plan.heartbeat_port()
        );
        Ok(node.log().contains(&refused))
    })
    .unwrap();
    assert_eq!(statistic(&node, "cluster_size"), "1");
    assert_eq!(statistic(&foreign, "cluster_size"), "1");
    put(&node, "m.lua", &source(1));
    assert!(list(&foreign).is_empty());
}

#[test]
fn a_killed_node_has_every_module_before_it_serves_again() {
    let (_directory, plan) = mortal_plan(3);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    put(&nodes[0], "kept.lua", &source(1));
    put(&nodes[0], "changed.lua", &source(1));
    put(&nodes[0], "removed.lua", &source(1));
    let mut gone = nodes.pop().unwrap();
    gone.kill().unwrap();
    // The others notice while the first put waits.
    put(&nodes[1], "changed.lua", &source(2));
    remove(&nodes[0], "removed.lua");
    put(&nodes[0], "new.lua", &source(2));
    let expected = list(&nodes[0]);

    let back = plan.node(2).start().unwrap();
    assert_eq!(list(&back), expected);
    nodes.push(back);
    wait_until_formed(&nodes);
}

#[test]
fn a_node_that_was_away_for_long_takes_the_modules_of_the_others() {
    let (directory, plan) = mortal_plan(2);
    // Each alone, one after the other.
    let register = |node: u8, file: &str| {
        let mut alone = plan.node(node).start().unwrap();
        put(&alone, file, &source(1));
        alone.kill().unwrap();
    };
    register(1, "long removed.lua");
    register(0, "kept.lua");
    let registry = find(directory.path().join("node-1"), "UDF.log");
    // In ms since 2010: ten days after it began.
    fs::write(registry.with_file_name(".asd-alive"), "864000000").unwrap();

    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    let modules = wait_until_same(&nodes);
    assert_eq!(modules.len(), 1, "{modules:?}");
    assert!(modules[0].contains("kept.lua"), "{modules:?}");
    let copies = find(directory.path().join("node-1"), "kept.lua");
    assert!(!copies.with_file_name("long removed.lua").exists());
}

/// The file of this name below a directory.
fn find(directory: PathBuf, name: &str) -> PathBuf {
    let mut directories = vec![directory];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.ends_with(name) {
                return path;
            }
        }
    }
    panic!("there is no {name}")
}

#[test]
fn a_frozen_node_is_waited_for_and_catches_up() {
    let (_directory, plan) = plan(3);
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    nodes[2].freeze().unwrap();
    // It is waited for, and at last, when the disk has served the others, nobody else.
    let waited = "`m.lua` is not yet on A2; it is still being spread";
    wait_until("the log says who is lacking", DEADLINE, || {
        assert_eq!(try_put(&nodes[0], "m.lua", &source(1)), "error=timeout");
        Ok(nodes[0].log().contains(waited))
    })
    .unwrap();
    // It is on those that answer, and the status says who does not.
    assert_eq!(list(&nodes[0]), list(&nodes[1]));
    let status = thread::scope(|scope| {
        let asked = scope.spawn(|| states(&nodes[0], "m.lua"));
        nodes[2].resume().unwrap();
        asked.join().unwrap()
    });
    assert_eq!(status["A0"], "ok");
    let modules = wait_until_same(&nodes);
    assert_eq!(modules.len(), 1, "{modules:?}");
    wait_until("the status says that all have it", DEADLINE, || {
        Ok(states(&nodes[1], "m.lua")
            .values()
            .all(|state| state == "ok"))
    })
    .unwrap();
}

#[test]
fn a_frozen_node_that_is_given_up_does_not_hold_up_a_put() {
    let (_directory, plan) = mortal_plan(3);
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    nodes[2].freeze().unwrap();
    put(&nodes[0], "m.lua", &source(1));
    wait_until_formed(&nodes[..2]);
    nodes[2].resume().unwrap();
    wait_until_formed(&nodes);
    assert_eq!(wait_until_same(&nodes).len(), 1);
}

#[test]
fn both_sides_of_a_split_agree_when_it_heals_item_19() {
    let (_directory, plan) = mortal_plan(3);
    let plan = plan.linked();
    let links: Vec<_> = (0..3).map(|node| plan.link(node).unwrap()).collect();
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    put(&nodes[0], "m.lua", &source(1));

    for other in [0, 1] {
        links[2].cut(plan.address(other));
        links[usize::from(other)].cut(plan.address(2));
    }
    wait_until_formed(&nodes[..2]);
    wait_until_formed(&nodes[2..]);
    // The side of two makes two changes: the higher generation wins, although the other change comes later.
    put(&nodes[0], "m.lua", &source(2));
    put(&nodes[1], "m.lua", &source(3));
    put(&nodes[0], "left.lua", &source(1));
    put(&nodes[2], "m.lua", &source(4));
    put(&nodes[2], "right.lua", &source(1));
    let winner = list(&nodes[0]);

    links.iter().for_each(tests::link::Link::heal);
    wait_until_formed(&nodes);
    let modules = wait_until_same(&nodes);
    assert_eq!(modules.len(), 3, "{modules:?}");
    assert!(
        winner.iter().all(|module| modules.contains(module)),
        "{winner:?} {modules:?}"
    );
}

#[test]
fn nodes_that_are_told_to_end_at_the_same_time_do_not_wait_for_each_other() {
    let (_directory, plan) = plan(3);
    // A node that waited for one that is gone would wait until that counts as dead, which takes most of a minute.
    let rounds = std::env::var("STOPS").map_or(5, |rounds| rounds.parse().unwrap());
    for _ in 0..rounds {
        let mut nodes = plan.start().unwrap();
        wait_until_formed(&nodes);
        for node in &nodes {
            node.terminate().unwrap();
        }
        for node in &mut nodes {
            assert!(node.wait().unwrap().success());
            let log = node.log();
            assert!(!log.contains("not handed over"), "{log}");
        }
    }
}

#[test]
fn a_second_signal_ends_the_wait_of_a_node_that_hands_over() {
    let (_directory, plan) = plan(2);
    let mut nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    // The one that would take over does not answer.
    nodes[1].freeze().unwrap();
    nodes[0].terminate().unwrap();
    wait_until("it is leaving", DEADLINE, || {
        Ok(nodes[0].log().contains("SIGTERM received"))
    })
    .unwrap();
    nodes[0].terminate().unwrap();
    assert!(nodes[0].wait().unwrap().success());
    assert!(nodes[0].log().contains("SIGTERM received again"));
    nodes[1].resume().unwrap();
}
