//! What a summary adds up: memory, storage, devices and objects of all nodes and namespaces.

use std::collections::{BTreeMap, BTreeSet};

use super::network::{edition_letter, edition_request};
use super::read::{asked, namespaces, record};
use super::{Answers, Context, Node, NodeAnswers};
use tools::answer::at_least;
use tools::sheet::Record;

/// Kinds of index memory and their titles. `mem` of community servers counts as `shmem`.
pub(super) const INDEX_KINDS: &[(&str, &str)] =
    &[("shmem", "Shmem"), ("pmem", "Pmem"), ("flash", "Flash")];
/// Kinds of storage engines and their titles.
pub(super) const DATA_KINDS: &[(&str, &str)] = &[
    ("memory", "Data Memory"),
    ("device", "Device Memory"),
    ("pmem", "Pmem"),
];

/// Bytes of one kind, over nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    /// 0 if there is no limit.
    pub(super) total: f64,
    pub(super) used: f64,
    /// What is left, if the server tells.
    pub(super) available: Option<f64>,
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.used += other.used;
        self.available = match (self.available, other.available) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
    }

    /// The used part of one.
    pub(super) fn used_share(&self) -> Option<f64> {
        (self.total > 0.0).then(|| self.used / self.total)
    }

    /// The part of one that is left.
    pub(super) fn available_share(&self) -> Option<f64> {
        self.available
            .filter(|_| self.total > 0.0)
            .map(|available| available / self.total)
    }
}

/// Devices and files by node.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<String, i128>);

impl Devices {
    fn add(&mut self, node: &str, count: i128) {
        *self.0.entry(node.to_owned()).or_default() += count;
    }

    pub(super) fn total(&self) -> i128 {
        self.0.values().sum()
    }

    pub(super) fn per_node(&self) -> i128 {
        self.0.values().copied().max().unwrap_or(0)
    }

    pub(super) fn equal(&self) -> bool {
        self.0.values().collect::<BTreeSet<_>>().len() <= 1
    }
}

/// One namespace over all nodes.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) devices: Devices,
    index: BTreeMap<String, Totals>,
    sindex: BTreeMap<String, Totals>,
    data: BTreeMap<String, Totals>,
    pub(super) memory: Option<Totals>,
    budget: Totals,
    pub(super) set_index: f64,
    pub(super) factors: Vec<String>,
    pub(super) master_objects: f64,
    /// Partitions are on their way to or from a node.
    pub(super) migrates: bool,
    objects: f64,
    pub(super) rack_aware: bool,
    ratios: Vec<f64>,
    license_bytes: Option<f64>,
}

/// A whole cluster.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) migrations: bool,
    pub(super) names: Vec<String>,
    pub(super) versions: Vec<String>,
    /// Names of operating systems, as far as they are known.
    pub(super) systems: Vec<String>,
    pub(super) sizes: Vec<String>,
    pub(super) devices: Devices,
    pub(super) system: Totals,
    pub(super) memory: Option<Totals>,
    /// In use on any node, in the order of the table of features.
    pub(super) features: Vec<&'static str>,
    /// In the order in which the nodes name them.
    pub(super) namespaces: Vec<Namespace>,
}

fn of_kind(totals: &BTreeMap<String, Totals>, kind: &str) -> Totals {
    totals.get(kind).cloned().unwrap_or_default()
}

impl Namespace {
    pub(super) fn index(&self, kind: &str) -> Totals {
        of_kind(&self.index, kind)
    }

    pub(super) fn sindex(&self, kind: &str) -> Totals {
        of_kind(&self.sindex, kind)
    }

    pub(super) fn data(&self, kind: &str) -> Totals {
        of_kind(&self.data, kind)
    }

    /// The mean ratio of the nodes; 1 without compression.
    pub(super) fn compression(&self) -> f64 {
        let count = self.ratios.iter().map(|_| 1.0).sum::<f64>();
        if count == 0.0 {
            1.0
        } else {
            self.ratios.iter().sum::<f64>() / count
        }
    }

    /// Bytes of unique data; `None` if the namespace stores none that is counted.
    pub(super) fn license(&self) -> Option<f64> {
        self.license_bytes.map(|bytes| bytes.max(0.0))
    }

    fn add(&mut self, node: &Node, statistics: &Record) {
        let kind = |kind: Option<&str>| {
            if kind == Some("mem") {
                "shmem"
            } else {
                kind.unwrap_or("shmem")
            }
            .to_owned()
        };
        let number = |keys: &[&str]| statistics.first_number(keys).unwrap_or(0.0);
        let index = Totals {
            used: number(&[
                "index_used_bytes",
                "index_flash_used_bytes",
                "index_pmem_used_bytes",
            ]),
            total: number(&["index-type.mounts-budget", "index-type.mounts-size-limit"]),
            available: None,
        };
        let sindex = Totals {
            used: number(&[
                "sindex_used_bytes",
                "sindex_flash_used_bytes",
                "sindex_pmem_used_bytes",
            ]),
            total: number(&["sindex-type.mounts-budget", "sindex-type.mounts-size-limit"]),
            available: None,
        };
        self.set_index += number(&["set_index_used_bytes"]);
        let budget = number(&["indexes-memory-budget"]);
        if budget > 0.0 {
            let used = index.used + sindex.used + number(&["set_index_used_bytes"]);
            self.budget.add(&Totals {
                total: budget,
                used,
                available: None,
            });
        }
        self.index
            .entry(kind(statistics.text("index-type")))
            .or_default()
            .add(&index);
        self.sindex
            .entry(kind(statistics.text("sindex-type")))
            .or_default()
            .add(&sindex);
        self.devices.add(&node.key, devices(statistics));
        self.add_data(node, statistics);
        if let Some(total) = statistics.number("memory-size") {
            let used = number(&["memory_used_bytes"]);
            self.memory.get_or_insert_default().add(&Totals {
                total,
                used,
                available: Some(total - used),
            });
        }
        self.migrates |= number(&["migrate_tx_partitions_remaining"]) != 0.0;
        self.objects += number(&["objects"]);
        self.master_objects += number(&["master_objects"]);
        self.rack_aware |= number(&["rack-id"]) != 0.0;
        // As configured: fewer nodes than that hold fewer copies.
        let factor = statistics
            .text("replication-factor")
            .or_else(|| statistics.text("repl-factor"))
            .or_else(|| statistics.text("effective_replication_factor"));
        if let Some(factor) = factor {
            insert(&mut self.factors, factor);
        }
    }

    fn add_data(&mut self, node: &Node, statistics: &Record) {
        let engine = statistics
            .text("storage-engine")
            .unwrap_or("memory")
            .to_owned();
        let used =
            statistics.first_number(&["data_used_bytes", "device_used_bytes", "pmem_used_bytes"]);
        let total = statistics.first_number(&[
            "data_total_bytes",
            "device_total_bytes",
            "pmem_total_bytes",
        ]);
        let percent = statistics.first_number(&[
            "data_avail_pct",
            "device_available_pct",
            "pmem_available_pct",
        ]);
        if let (Some(used), Some(total)) = (used, total) {
            let available = percent.map(|percent| total / 100.0 * percent);
            self.data.entry(engine).or_default().add(&Totals {
                total,
                used,
                available,
            });
        }
        let Some(used) = used.or_else(|| statistics.number("memory_used_data_bytes")) else {
            return;
        };
        let ratio = statistics
            .first_number(&[
                "data_compression_ratio",
                "device_compression_ratio",
                "pmem_compression_ratio",
            ])
            .filter(|ratio| *ratio > 0.0)
            .unwrap_or(1.0);
        self.ratios.push(ratio);
        let factor = statistics
            .first_number(&["effective_replication_factor", "replication-factor"])
            .filter(|factor| *factor > 0.0)
            .unwrap_or(1.0);
        let overhead =
            record_overhead(&node.build) * statistics.number("master_objects").unwrap_or(0.0);
        *self.license_bytes.get_or_insert_default() += used / ratio / factor - overhead;
    }
}

/// Bytes of each record that are not licensed: all but the data itself in what the server reports.
fn record_overhead(build: &str) -> f64 {
    if build.is_empty() || at_least(build, &[8]) {
        0.0
    } else if at_least(build, &[6]) {
        39.0
    } else {
        35.0
    }
}

/// Devices and files of a namespace: `storage-engine.device[N]`, `storage-engine.file[N]` without sub-fields.
fn devices(statistics: &Record) -> i128 {
    let is_device = |key: &&str| {
        let rest = key
            .strip_prefix("storage-engine.device[")
            .or_else(|| key.strip_prefix("storage-engine.file["));
        rest.and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    statistics.keys().filter(is_device).map(|_| 1).sum()
}

fn insert(values: &mut Vec<String>, value: &str) {
    if !values.iter().any(|other| other == value) {
        values.push(value.to_owned());
        values.sort();
    }
}

impl Summary {
    fn over(&self, totals: impl Fn(&Namespace) -> Totals) -> Totals {
        let mut sum = Totals::default();
        for namespace in &self.namespaces {
            sum.add(&totals(namespace));
        }
        sum
    }

    pub(super) fn index(&self, kind: &str) -> Totals {
        self.over(|namespace| namespace.index(kind))
    }

    pub(super) fn sindex(&self, kind: &str) -> Totals {
        self.over(|namespace| namespace.sindex(kind))
    }

    pub(super) fn data(&self, kind: &str) -> Totals {
        self.over(|namespace| namespace.data(kind))
    }

    /// Index memory of namespaces that have a budget for it.
    pub(super) fn budget(&self) -> Totals {
        self.over(|namespace| namespace.budget.clone())
    }

    pub(super) fn set_index(&self) -> f64 {
        self.namespaces
            .iter()
            .map(|namespace| namespace.set_index)
            .sum()
    }

    pub(super) fn license(&self) -> f64 {
        self.namespaces.iter().filter_map(Namespace::license).sum()
    }

    /// Namespaces that hold records.
    pub(super) fn active(&self) -> i128 {
        self.namespaces
            .iter()
            .filter(|namespace| namespace.objects > 0.0)
            .map(|_| 1)
            .sum()
    }

    pub(super) fn total(&self) -> i128 {
        self.namespaces.iter().map(|_| 1).sum()
    }

    fn add_node(&mut self, node: &Node, answers: &NodeAnswers, context: &Context) {
        let service = record(answers.text_or_nothing("statistics"), ';');
        self.migrations |= service
            .number("migrate_partitions_remaining")
            .is_some_and(|count| count != 0.0);
        if let Some(size) = service.text("cluster_size") {
            insert(&mut self.sizes, size);
        }
        if let Some(name) = answers.text("cluster-name").filter(|name| *name != "null") {
            insert(&mut self.names, name);
        }
        if let Some(system) = node.this.then_some(context.system.as_deref()).flatten() {
            insert(&mut self.systems, system);
        }
        let edition = answers
            .text_or_nothing(edition_request(node))
            .to_lowercase();
        let letter =
            edition_letter(&edition).map_or_else(String::new, |letter| format!("{letter}-"));
        if !node.build.is_empty() {
            insert(&mut self.versions, &format!("{letter}{}", node.build));
        }
        let free = service.number("system_free_mem_pct");
        if let Some(percent) = free.filter(|percent| *percent > 0.0) {
            let available = service.number("system_free_mem_kbytes").unwrap_or(1.0);
            let total = available * 100.0 / percent;
            self.system.add(&Totals {
                total,
                used: total - available,
                available: Some(available),
            });
        }
        // A node without namespaces has devices too: none.
        self.devices.add(&node.key, 0);
        for name in namespaces(answers) {
            let statistics = record(answers.text_or_nothing(&format!("namespace/{name}")), ';');
            self.devices.add(&node.key, devices(&statistics));
            let position = self
                .namespaces
                .iter()
                .position(|namespace| namespace.name == name);
            let position = position.unwrap_or_else(|| {
                self.namespaces.push(Namespace {
                    name: name.to_owned(),
                    ..Namespace::default()
                });
                self.namespaces.len() - 1
            });
            if let Some(namespace) = self.namespaces.get_mut(position) {
                namespace.add(node, &statistics);
            }
        }
    }
}

/// Add up what the nodes answered.
pub(super) fn collect(answers: &Answers, context: &Context) -> Summary {
    let mut summary = Summary::default();
    let mut in_use: BTreeSet<&str> = BTreeSet::new();
    let mut order: Vec<&'static str> = Vec::new();
    let reached = |(_, answers): &(&Node, &NodeAnswers)| answers.has("statistics");
    for (node, answers) in asked(answers, context).into_iter().filter(reached) {
        summary.add_node(node, answers, context);
        let features = super::features::of(node, answers);
        in_use.extend(
            features
                .iter()
                .filter(|(_, used)| *used)
                .map(|(feature, _)| *feature),
        );
        order = features.into_iter().map(|(feature, _)| feature).collect();
    }
    summary.features = order
        .into_iter()
        .filter(|feature| in_use.contains(feature))
        .collect();
    let memory = summary
        .namespaces
        .iter()
        .filter_map(|namespace| namespace.memory.clone())
        .reduce(|mut sum, other| {
            sum.add(&other);
            sum
        });
    summary.memory = memory;
    summary
}
