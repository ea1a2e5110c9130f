//! `info namespace usage` and `info namespace object`.

use super::read::{add, asked, fail, namespaces, of, stamped};
use super::{Answers, Context, Event, Node, NodeAnswers, Path, Render, Requests, View};
use tools::sheet::{
    Aggregate, Column, Field, Format, Record, Rule, Sheet, Value, boolean, byte_count, count,
    group, integer, node, percentage, share, text,
};

const fn view(path: Path, help: &'static str, requests: Requests, render: Render) -> View {
    View::of(path, help, requests, render)
}

/// The views of this file.
pub(super) const VIEWS: &[View] = &[
    view(
        &["info", "namespace"],
        "Displays usage and objects of the namespaces.",
        usage_requests,
        |answers, context| vec![usage(answers, context), objects(answers, context)],
    ),
    view(
        &["info", "namespace", "usage"],
        "Displays memory and storage usage of the namespaces.",
        usage_requests,
        |answers, context| vec![usage(answers, context)],
    ),
    view(
        &["info", "namespace", "object"],
        "Displays object counts of the namespaces.",
        object_requests,
        |answers, context| vec![objects(answers, context)],
    ),
];

/// The name of the namespace in a record.
const NAMESPACE: &str = " namespace";
const USAGE_KEYS: &[&str] = &[
    "evicted_objects",
    "stop_writes",
    "stop-writes-sys-memory-pct",
    "index-type",
    "index_used_bytes",
    "sindex-type",
    "sindex_used_bytes",
    "storage-engine",
    "data_used_bytes",
    "data_avail_pct",
    DATA_SHARE,
];
const OBJECT_KEYS: &[&str] = &[
    "rack-id",
    "effective_replication_factor",
    "expired_objects",
    TOTAL,
    "master_objects",
    "prole_objects",
    "non_replica_objects",
    "master_tombstones",
    "prole_tombstones",
    "non_replica_tombstones",
    "migrate_tx_partitions_remaining",
    "migrate_rx_partitions_remaining",
];

const INDEX_SHARE: &str = " index share";
const INDEX_TOTAL: &str = " index total";
const SINDEX_SHARE: &str = " sindex share";
const SINDEX_TOTAL: &str = " sindex total";
const DATA_SHARE: &str = " data share";
const DATA_TOTAL: &str = " data total";
const MEMORY_SHARE: &str = " memory share";
const TOTAL: &str = " total";

/// The requests of `info namespace object`: the names, then the statistics of each.
pub(super) fn object_requests(_: &Node, answers: &NodeAnswers, _: &Context) -> Vec<String> {
    let mut requests = vec!["namespaces".to_owned()];
    requests.extend(namespaces(answers).map(|namespace| format!("namespace/{namespace}")));
    requests
}

/// The requests of `info namespace usage`: service statistics too.
pub(super) fn usage_requests(node: &Node, answers: &NodeAnswers, context: &Context) -> Vec<String> {
    let mut requests = object_requests(node, answers, context);
    requests.push("statistics".to_owned());
    requests
}

/// One record for each namespace of each node. A node that does not tell its namespaces has one record of errors.
fn records(answers: &Answers, context: &Context, keys: &[&'static str]) -> Vec<Record> {
    let mut records = Vec::new();
    for (node, answers) in asked(answers, context) {
        if answers.failed("namespaces") {
            let mut record = of(node).with(NAMESPACE, Value::Error);
            fail(&mut record, keys);
            records.push(record);
        }
        for namespace in namespaces(answers) {
            let mut record = of(node).with(NAMESPACE, Value::text(namespace));
            match answers.text(&format!("namespace/{namespace}")) {
                Some(statistics) => add(&mut record, statistics, ';'),
                None => fail(&mut record, keys),
            }
            if let Some(statistics) = answers.text("statistics") {
                let mut service = Record::default();
                add(&mut service, statistics, ';');
                record.set(" free memory", service.get("system_free_mem_pct").clone());
            }
            records.push(record);
        }
    }
    records
}

/// Put the share `used / total` and the total, if there is a total.
fn set_share(
    record: &mut Record,
    share: &'static str,
    total_key: &'static str,
    used: Option<f64>,
    total: Option<f64>,
) {
    if let (Some(used), Some(total)) = (used, total.filter(|total| *total != 0.0)) {
        record.set(share, Value::Decimal(used / total));
        record.set(total_key, Value::Decimal(total));
    }
}

fn set_usage_shares(record: &mut Record) {
    let kinds = [
        (
            INDEX_SHARE,
            INDEX_TOTAL,
            [
                "index_used_bytes",
                "index_flash_used_bytes",
                "index_pmem_used_bytes",
            ],
            "index_mounts_used_pct",
            "index-type.mounts-size-limit",
        ),
        (
            SINDEX_SHARE,
            SINDEX_TOTAL,
            [
                "sindex_used_bytes",
                "sindex_flash_used_bytes",
                "sindex_pmem_used_bytes",
            ],
            "sindex_mounts_used_pct",
            "sindex-type.mounts-size-limit",
        ),
    ];
    for (share, total_key, used, reported, limit) in kinds {
        let used = record.first_number(&used);
        let limit = record.number(limit).filter(|limit| *limit != 0.0);
        if let Some(percent) = record.number(reported) {
            record.set(share, Value::Decimal(percent / 100.0));
            record.set(total_key, Value::Decimal(limit.or(used).unwrap_or(0.0)));
        } else {
            set_share(
                record,
                share,
                total_key,
                used,
                limit.or_else(|| record.number("indexes-memory-budget")),
            );
        }
    }
    let used = record.first_number(&["data_used_bytes", "device_used_bytes", "pmem_used_bytes"]);
    let total =
        record.first_number(&["data_total_bytes", "device_total_bytes", "pmem_total_bytes"]);
    set_share(record, DATA_SHARE, DATA_TOTAL, used, total);
    let (used, total) = (
        record.number("memory_used_bytes"),
        record.number("memory-size"),
    );
    set_share(record, MEMORY_SHARE, "memory-size", used, total);
}

/// True if a share reaches a percentage of the record that is not 0.
fn reaches(value: &Value, record: &Record, percent: &[&str]) -> bool {
    let limit = record.first_number(percent).filter(|limit| *limit != 0.0);
    value
        .number()
        .zip(limit)
        .is_some_and(|(share, limit)| share * 100.0 >= limit)
}

const INDEX_EVICT: &[&str] = &[
    "evict-indexes-memory-pct",
    "index-type.evict-mounts-pct",
    "index-type.mounts-high-water-pct",
];
const SINDEX_EVICT: &[&str] = &[
    "evict-indexes-memory-pct",
    "sindex-type.evict-mounts-pct",
    "sindex-type.mounts-high-water-pct",
];
/// A share of at least 90 %.
pub(super) const NEARLY_FULL: Rule = Rule(Format::RedAlert, |value, _| {
    value.number().is_some_and(|share| share >= 0.9)
});

fn usage_columns() -> Vec<Field> {
    vec![
        text("Namespace", NAMESPACE).into(),
        node().into(),
        count("Evictions", "evicted_objects").sum().into(),
        boolean("Stop Writes", "stop_writes")
            .rules(&[Rule(Format::RedAlert, |value, _| {
                *value == Value::Boolean(true)
            })])
            .into(),
        group(
            "System Memory",
            vec![
                integer("Avail%", " free memory"),
                percentage("Evict%", "evict-sys-memory-pct"),
                percentage("Stop%", "stop-writes-sys-memory-pct"),
            ],
        ),
        group(
            "Primary Index",
            vec![
                text("Type", "index-type"),
                byte_count("Used", "index_used_bytes")
                    .or("index_flash_used_bytes")
                    .or("index_pmem_used_bytes")
                    .or("memory_used_index_bytes")
                    .sum(),
                share("Used%", INDEX_SHARE)
                    .below(Aggregate::Average(INDEX_TOTAL))
                    .rules(&[
                        NEARLY_FULL,
                        Rule(Format::YellowAlert, |value, record| {
                            reaches(value, record, INDEX_EVICT)
                        }),
                    ]),
                percentage("Evict%", "evict-indexes-memory-pct")
                    .or("index-type.evict-mounts-pct")
                    .or("index-type.mounts-high-water-pct"),
            ],
        ),
        group(
            "Secondary Index",
            vec![
                text("Type", "sindex-type"),
                byte_count("Used", "sindex_used_bytes")
                    .or("sindex_flash_used_bytes")
                    .or("sindex_pmem_used_bytes")
                    .or("memory_used_sindex_bytes")
                    .sum(),
                share("Used%", SINDEX_SHARE)
                    .below(Aggregate::Average(SINDEX_TOTAL))
                    .rules(&[
                        NEARLY_FULL,
                        Rule(Format::YellowAlert, |value, record| {
                            reaches(value, record, SINDEX_EVICT)
                        }),
                    ]),
                percentage("Evict%", "sindex-type.evict-mounts-pct")
                    .or("sindex-type.mounts-high-water-pct"),
            ],
        ),
        group("Storage Engine", storage_columns()),
        group(
            "Memory",
            vec![
                byte_count("Used", "memory_used_bytes").sum(),
                share("Used%", MEMORY_SHARE).below(Aggregate::Average("memory-size")),
                percentage("HWM%", "high-water-memory-pct"),
                percentage("Stop%", "stop-writes-pct"),
            ],
        ),
    ]
}

fn storage_columns() -> Vec<Column> {
    vec![
        text("Type", "storage-engine"),
        byte_count("Used", "data_used_bytes")
            .or("device_used_bytes")
            .or("pmem_used_bytes")
            .sum(),
        share("Used%", DATA_SHARE)
            .below(Aggregate::Average(DATA_TOTAL))
            .rules(&[Rule(Format::RedAlert, |value, record| {
                reaches(value, record, &["storage-engine.stop-writes-used-pct"])
                    || reaches(
                        value,
                        record,
                        &["storage-engine.evict-used-pct", "high-water-disk-pct"],
                    )
            })]),
        percentage("Evict%", "storage-engine.evict-used-pct").or("high-water-disk-pct"),
        percentage("Used Stop%", "storage-engine.stop-writes-used-pct"),
        percentage("Avail%", "data_avail_pct")
            .or("device_available_pct")
            .or("pmem_available_pct")
            .rules(&[Rule(Format::RedAlert, |value, record| {
                let stop = record.number("storage-engine.stop-writes-avail-pct");
                value
                    .number()
                    .zip(stop)
                    .is_some_and(|(available, stop)| available <= stop)
            })]),
        percentage("Avail Stop%", "storage-engine.stop-writes-avail-pct"),
    ]
}

/// The sheet of `info namespace usage`.
pub(super) fn usage(answers: &Answers, context: &Context) -> Event {
    let mut records = records(answers, context, USAGE_KEYS);
    records.iter_mut().for_each(set_usage_shares);
    let sheet = Sheet::new(
        stamped("Namespace Usage Information", context),
        usage_columns(),
    );
    Event::sheet(sheet.grouped(&[NAMESPACE]).records(records))
}

fn object_columns() -> Vec<Field> {
    vec![
        text("Namespace", NAMESPACE).into(),
        node().into(),
        integer("Rack ID", "rack-id").into(),
        integer("Repl Factor", "effective_replication_factor")
            .or("replication-factor")
            .into(),
        count("Expirations", "expired_objects").sum().into(),
        count("Total Records", TOTAL).sum().into(),
        group(
            "Objects",
            vec![
                count("Master", "master_objects").sum(),
                count("Prole", "prole_objects").sum(),
                count("Non-Replica", "non_replica_objects").sum(),
            ],
        ),
        group(
            "Tombstones",
            vec![
                count("Master", "master_tombstones").sum(),
                count("Prole", "prole_tombstones").sum(),
                count("Non-Replica", "non_replica_tombstones").sum(),
            ],
        ),
        group(
            "Pending Migrates",
            vec![
                count("Tx", "migrate_tx_partitions_remaining").sum(),
                count("Rx", "migrate_rx_partitions_remaining").sum(),
            ],
        ),
    ]
}

/// Records of all kinds together: objects and tombstones of master, prole and non-replica partitions. Without one of
/// the numbers there is no total.
fn set_total(record: &mut Record) {
    const PARTS: &[&str] = &[
        "master_objects",
        "prole_objects",
        "non_replica_objects",
        "master_tombstones",
        "prole_tombstones",
        "non_replica_tombstones",
    ];
    if let Some(total) = PARTS
        .iter()
        .map(|key| record.number(key))
        .sum::<Option<f64>>()
    {
        record.set(TOTAL, Value::text(total.to_string()));
    }
}

/// The sheet of `info namespace object`.
pub(super) fn objects(answers: &Answers, context: &Context) -> Event {
    let mut records = records(answers, context, OBJECT_KEYS);
    records.iter_mut().for_each(set_total);
    let sheet = Sheet::new(
        stamped("Namespace Object Information", context),
        object_columns(),
    );
    Event::sheet(sheet.grouped(&[NAMESPACE]).records(records))
}
