//! `asadm` beside three processes of `asd` that form one cluster.

use std::process::Command;

use tests::asd::RunningAsd;
use tests::link::Link;

use crate::cluster::{ask, mortal_plan, plan, put, wait_until_formed};

/// What a run of `asadm` printed to stdout and stderr; it has to end with status 0.
fn asadm(seeds: &[&RunningAsd], commands: &str) -> (String, String) {
    let seeds: Vec<String> = seeds
        .iter()
        .map(|node| node.address().to_string())
        .collect();
    let output = Command::new(tests::program::path("asadm").unwrap())
        .args(tests::program::patient("asadm"))
        .args(["--no-config-file", "-h", &seeds.join(","), "-e", commands])
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    (out, err)
}

/// Contexts made for a module on a node since it started.
fn created(node: &RunningAsd) -> u64 {
    let stats = ask(node, "udf-stats:filename=m.lua");
    let made = stats
        .split([':', ';', ','])
        .find_map(|pair| pair.strip_prefix("created="));
    made.unwrap_or_else(|| panic!("no created in {stats}"))
        .parse()
        .unwrap()
}

#[test]
fn one_line_clears_the_cache_of_every_node() {
    let (_directory, plan) = plan(3);
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    put(&nodes[0], "m.lua", "function f() return 1 end\n");
    for node in &nodes {
        tests::process::wait_until("the pool is full", crate::cluster::DEADLINE, || {
            Ok(created(node) >= 10)
        })
        .unwrap();
    }
    let before: Vec<u64> = nodes.iter().map(created).collect();
    let (out, _) = asadm(&[&nodes[0]], "enable; asinfo -v 'udf-clear-cache:'");
    assert_eq!(out.matches(" returned:\nok\n").count(), 3, "{out}");
    for (node, before) in nodes.iter().zip(before) {
        tests::process::wait_until("the pool is filled anew", crate::cluster::DEADLINE, || {
            Ok(created(node) > before)
        })
        .unwrap();
    }
}

#[test]
fn modules_that_differ_are_shown_node_by_node() {
    let (_directory, plan) = mortal_plan(3);
    let plan = plan.linked();
    let links: Vec<Link> = (0..3).map(|node| plan.link(node).unwrap()).collect();
    let nodes = plan.start().unwrap();
    wait_until_formed(&nodes);
    put(&nodes[0], "same.lua", "function f() return 1 end\n");
    let all = [&nodes[0], &nodes[1], &nodes[2]];
    let (out, err) = asadm(&all, "show udfs");
    assert!(out.contains("same.lua"), "{out}");
    assert!(
        !out.contains("Differ") && !err.contains("WARNING"),
        "{out}{err}"
    );

    for other in [0, 1] {
        links[2].cut(plan.address(other));
        links[usize::from(other)].cut(plan.address(2));
    }
    wait_until_formed(&nodes[..2]);
    wait_until_formed(&nodes[2..]);
    put(&nodes[0], "left.lua", "function f() return 2 end\n");
    let (out, err) = asadm(&all, "show udfs");
    let (_, differ) = out.split_once("UDF Modules that Differ").unwrap();
    assert_eq!(differ.matches("left.lua").count(), 3, "{differ}");
    assert_eq!(differ.matches("not there").count(), 1, "{differ}");
    assert!(!differ.contains("same.lua"), "{differ}");
    assert!(
        err.contains("WARNING: not the same on every node: left.lua."),
        "{err}"
    );

    links.iter().for_each(Link::heal);
    wait_until_formed(&nodes);
    tests::process::wait_until("no module differs", crate::cluster::DEADLINE, || {
        Ok(!asadm(&all, "show udfs").0.contains("Differ"))
    })
    .unwrap();
}
