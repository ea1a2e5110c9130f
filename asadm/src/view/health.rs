//! `health`: checks of a cluster that info answers are enough for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use tools::sheet::{Format, Record, Rule, Sheet, Value, text};

use super::read::{asked, namespaces, record, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Target, View};

/// `health`.
pub(super) const SHOW: View = View {
    path: &["health"],
    target: Target::Nodes,
    keywords: &["with"],
    flags: &[],
    help: "Checks the health of the cluster by what its nodes tell.",
    hidden: true,
    words: 0,
    requests,
    render,
};

/// What the checks do not cover.
const LEFT_OUT: &str = "Left out: checks of operating systems, hardware, clouds and logs, which need a login on the nodes.\n";

/// One check. It looks at one node, or compares what all of them say.
struct Check {
    name: &'static str,
    /// Where its numbers come from: info command and field.
    source: &'static str,
    /// What it means when it fails.
    level: Level,
    test: Test,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Critical,
    Warning,
}

enum Test {
    /// What is wrong with a node.
    Node(fn(&NodeFacts<'_>) -> Vec<String>),
    /// What has to be the same on all nodes.
    Same(fn(&NodeFacts<'_>) -> Option<String>),
    /// A statistic of the service that has to be the same on all nodes.
    SameStatistic(&'static str),
    /// A statistic of the service that has to be within bounds, where it is told; what stands behind it in a complaint.
    Within(&'static str, RangeInclusive<f64>, &'static str),
}
use Level::{Critical, Warning};
use Test::{Node as Each, Same, SameStatistic, Within};

/// What a node told.
struct NodeFacts<'a> {
    node: &'a Node,
    answers: &'a NodeAnswers,
    service: Record,
    /// By name.
    namespaces: Vec<(&'a str, Record)>,
}

impl NodeFacts<'_> {
    /// A complaint for each namespace about which there is one.
    fn each(&self, wrong: impl Fn(&Record) -> Option<String>) -> Vec<String> {
        let complaint = |(name, statistics): &(&str, Record)| {
            Some(format!("namespace {name}: {}", wrong(statistics)?))
        };
        self.namespaces.iter().filter_map(complaint).collect()
    }

    fn setting(&self, name: &str) -> Option<f64> {
        let config = self.answers.text("get-config:context=service")?;
        record(config, ';').number(name)
    }
}

/// All checks: the one table.
const CHECKS: &[Check] = &[
    Check {
        name: "Nodes are reached",
        source: "peers-*",
        level: Critical,
        test: Each(|facts| match facts.node.alive {
            true => Vec::new(),
            false => vec!["known to its peers, but not reached".to_owned()],
        }),
    },
    Check {
        name: "Nodes tell their statistics",
        source: "statistics",
        level: Critical,
        test: Each(|facts| match facts.answers.text("statistics").is_none() {
            true if facts.node.alive => vec!["told none".to_owned()],
            _ => Vec::new(),
        }),
    },
    Check {
        name: "One cluster: size",
        source: "statistics: cluster_size",
        level: Critical,
        test: SameStatistic("cluster_size"),
    },
    Check {
        name: "One cluster: key",
        source: "statistics: cluster_key",
        level: Critical,
        test: SameStatistic("cluster_key"),
    },
    Check {
        name: "One cluster: principal",
        source: "statistics: paxos_principal",
        level: Critical,
        test: SameStatistic("paxos_principal"),
    },
    Check {
        name: "Integrity",
        source: "statistics: cluster_integrity",
        level: Critical,
        test: Each(|facts| match facts.service.text("cluster_integrity") {
            Some("false") => vec!["the cluster lacks integrity".to_owned()],
            _ => Vec::new(),
        }),
    },
    Check {
        name: "Writes are taken",
        source: "namespace/NS: stop_writes, clock_skew_stop_writes",
        level: Critical,
        test: Each(|facts| {
            facts.each(|statistics| {
                let stops = |name| statistics.text(name) == Some("true");
                let stopped = stops("stop_writes") || stops("clock_skew_stop_writes");
                stopped.then(|| "refuses writes".to_owned())
            })
        }),
    },
    Check {
        name: "Partitions are available",
        source: "namespace/NS: dead_partitions, unavailable_partitions",
        level: Critical,
        test: Each(|facts| {
            facts.each(|statistics| {
                let count = |name| statistics.number(name).unwrap_or(0.0);
                let (dead, away) = (count("dead_partitions"), count("unavailable_partitions"));
                (dead + away > 0.0).then(|| format!("{dead} dead, {away} unavailable"))
            })
        }),
    },
    Check {
        name: "Copies are complete",
        source: "namespace/NS: effective_replication_factor, replication-factor",
        level: Warning,
        test: Each(|facts| {
            facts.each(|statistics| {
                let configured = statistics.number("replication-factor")?;
                let effective = statistics.number("effective_replication_factor")?;
                (effective < configured)
                    .then(|| format!("{effective} copies of {configured} that are configured"))
            })
        }),
    },
    Check {
        name: "Migrations are done",
        source: "statistics: migrate_partitions_remaining",
        level: Warning,
        test: Within(
            "migrate_partitions_remaining",
            0.0..=0.0,
            "partitions to go",
        ),
    },
    Check {
        name: "Clocks agree",
        source: "statistics: cluster_clock_skew_ms",
        level: Warning,
        test: Within("cluster_clock_skew_ms", 0.0..=SKEW_MS_MAX, "ms apart"),
    },
    Check {
        name: "Memory is left",
        source: "statistics: system_free_mem_pct",
        level: Warning,
        test: Within("system_free_mem_pct", FREE_PERCENT_MIN..=100.0, "% free"),
    },
    Check {
        name: "Storage is left",
        source: "namespace/NS: data_used_pct, data_avail_pct",
        level: Warning,
        test: Each(|facts| {
            facts.each(|statistics| {
                let used = statistics.first_number(&["data_used_pct", "device_used_pct"]);
                let left = statistics.first_number(&["data_avail_pct", "device_available_pct"]);
                let full = used.is_some_and(|used| used >= USED_PERCENT_MAX)
                    || left.is_some_and(|left| left < FREE_PERCENT_MIN);
                let shown = |number: Option<f64>| number.map_or("?".to_owned(), |n| n.to_string());
                full.then(|| format!("{} % used, {} % available", shown(used), shown(left)))
            })
        }),
    },
    Check {
        name: "Connections are left",
        source: "statistics: client_connections; get-config: proto-fd-max",
        level: Warning,
        test: Each(|facts| {
            let open = facts.service.number("client_connections").unwrap_or(0.0);
            match facts.setting("proto-fd-max").filter(|most| *most > 0.0) {
                Some(most) if open >= most * CONNECTIONS_SHARE_MAX => {
                    vec![format!("{open} of {most} are open")]
                }
                _ => Vec::new(),
            }
        }),
    },
    Check {
        name: "Best practices",
        source: "best-practices",
        level: Warning,
        test: Each(|facts| {
            let answer = facts.answers.text_or_nothing("best-practices");
            match record(answer, ';').text("failed_best_practices") {
                None | Some("none") => Vec::new(),
                Some(failed) => vec![format!("not followed: {}", failed.replace(',', ", "))],
            }
        }),
    },
    Check {
        name: "Same version",
        source: "build",
        level: Warning,
        test: Same(|facts| Some(facts.node.build.clone()).filter(|build| !build.is_empty())),
    },
    Check {
        name: "Same namespaces",
        source: "namespaces",
        level: Warning,
        test: Same(|facts| {
            let names: BTreeSet<&str> = facts.namespaces.iter().map(|(name, _)| *name).collect();
            Some(names.into_iter().collect::<Vec<_>>().join(", "))
        }),
    },
    Check {
        name: "Same modules",
        source: "udf-list",
        level: Warning,
        test: Same(|facts| sorted(facts.answers.text("udf-list")?)),
    },
    Check {
        name: "Same indexes",
        source: "sindex-list:",
        level: Warning,
        test: Same(|facts| {
            let names = indexes(facts).map(|index| index.0);
            Some(
                names
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect::<Vec<_>>()
                    .join(", "),
            )
        }),
    },
    Check {
        name: "Indexes are ready",
        source: "sindex-list: state",
        level: Warning,
        test: Each(|facts| {
            let waiting = indexes(facts).filter(|(_, state)| state != "RW");
            waiting
                .map(|(name, state)| format!("{name} is in state {state}"))
                .collect()
        }),
    },
];

/// Clocks that are further apart are worth a look, milliseconds; nodes stop writing at some tens of seconds.
const SKEW_MS_MAX: f64 = 5_000.0;
const FREE_PERCENT_MIN: f64 = 10.0;
const USED_PERCENT_MAX: f64 = 90.0;
const CONNECTIONS_SHARE_MAX: f64 = 0.8;

/// The entries of a list in one order, whatever order the node tells them in.
fn sorted(list: &str) -> Option<String> {
    let entries: BTreeSet<&str> = list.split(';').filter(|entry| !entry.is_empty()).collect();
    Some(entries.into_iter().collect::<Vec<_>>().join(";"))
}

/// Names of a node's secondary indexes, each with its namespace, and their states.
fn indexes(facts: &NodeFacts<'_>) -> impl Iterator<Item = (String, String)> {
    let list = facts.answers.text_or_nothing("sindex-list:");
    list.split(';')
        .filter(|index| !index.is_empty())
        .map(|index| {
            let index = record(index, ':');
            let of = |name| index.text(name).unwrap_or("?");
            (
                format!("{}.{}", of("ns"), of("indexname")),
                of("state").to_owned(),
            )
        })
}

fn requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests = [
        "statistics",
        "namespaces",
        "get-config:context=service",
        "best-practices",
        "udf-list",
        "sindex-list:",
    ]
    .map(ToOwned::to_owned)
    .to_vec();
    requests.extend(namespaces(answers).map(|name| format!("namespace/{name}")));
    requests
}

fn facts<'a>(node: &'a Node, answers: &'a NodeAnswers) -> NodeFacts<'a> {
    let of = |name: &str| record(answers.text_or_nothing(name), ';');
    NodeFacts {
        node,
        answers,
        service: of("statistics"),
        namespaces: namespaces(answers)
            .map(|name| (name, of(&format!("namespace/{name}"))))
            .collect(),
    }
}

/// What a check found, each with its node.
fn findings(check: &Check, nodes: &[NodeFacts<'_>]) -> Vec<String> {
    match &check.test {
        Each(test) => of_each(nodes, test),
        Within(name, bounds, what) => of_each(nodes, |facts| {
            let number = facts.service.number(name);
            let beyond = number.filter(|number| !bounds.contains(number)).into_iter();
            beyond.map(|number| format!("{number} {what}")).collect()
        }),
        Same(test) => differing(nodes, test),
        SameStatistic(name) => {
            differing(nodes, |facts| facts.service.text(name).map(str::to_owned))
        }
    }
}

/// The complaints about each node.
fn of_each(nodes: &[NodeFacts<'_>], test: impl Fn(&NodeFacts<'_>) -> Vec<String>) -> Vec<String> {
    let mut found = Vec::new();
    for facts in nodes {
        let complaints = test(facts).into_iter();
        found.extend(complaints.map(|complaint| format!("{}: {complaint}", facts.node.name)));
    }
    found
}

/// What nodes say where they do not all say the same.
fn differing(
    nodes: &[NodeFacts<'_>],
    test: impl Fn(&NodeFacts<'_>) -> Option<String>,
) -> Vec<String> {
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for facts in nodes {
        if let Some(value) = test(facts) {
            said.entry(value).or_default().push(facts.node.name.clone());
        }
    }
    if said.len() < 2 {
        return Vec::new();
    }
    said.into_iter()
        .map(|(value, names)| format!("{}: {value}", names.join(", ")))
        .collect()
}

const RESULT: &str = " result";
const RULES: &[Rule] = &[
    Rule(Format::RedAlert, |value, _| *value == Value::text("FAIL")),
    Rule(Format::YellowAlert, |value, _| {
        *value == Value::text("WARN")
    }),
    Rule(Format::GreenAlert, |value, _| *value == Value::text("PASS")),
];

fn render(answers: &Answers, context: &Context) -> Vec<Event> {
    let nodes: Vec<NodeFacts<'_>> = asked(answers, context)
        .into_iter()
        .map(|(node, answers)| facts(node, answers))
        .collect();
    let row = |check: &Check, result: &str, found: Value| {
        Record::default()
            .with(RESULT, Value::text(result))
            .with(" check", Value::text(check.name))
            .with(" source", Value::text(check.source))
            .with(" found", found)
    };
    let rows = |check: &'static Check| {
        let result = match check.level {
            Critical => "FAIL",
            Warning => "WARN",
        };
        let found = findings(check, &nodes);
        if found.is_empty() {
            return vec![row(check, "PASS", Value::Missing)];
        }
        let found = found.into_iter();
        found
            .map(|found| row(check, result, Value::text(found)))
            .collect()
    };
    let records = CHECKS.iter().flat_map(rows).collect();
    let columns = vec![
        text("Result", RESULT).rules(RULES).into(),
        text("Check", " check").into(),
        text("Source", " source").into(),
        text("Found", " found").into(),
    ];
    let sheet = Sheet::new(stamped("Health", context), columns).ordered(&[]);
    vec![
        Event::sheet(sheet.records(records)),
        Event::Text(LEFT_OUT.to_owned()),
    ]
}
