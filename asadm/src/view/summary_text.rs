//! `summary -l`: the summary as numbered lines.

use super::usage::{DATA_KINDS, Devices, INDEX_KINDS, Namespace, Summary, Totals};
use tools::sheet::{Convert, Value, bytes, decimal};

/// Numbered lines under a heading.
struct Lines {
    text: String,
    number: usize,
}

impl Lines {
    fn under(heading: &str, indent: &str) -> Self {
        let rule = "=".repeat(heading.chars().count());
        Self {
            text: format!("{indent}{heading}\n{indent}{rule}\n"),
            number: 0,
        }
    }

    fn add(&mut self, name: &str, value: &str) {
        self.number += 1;
        let number = format!("{}.", self.number);
        self.text += &format!("   {number:<5}{name:<25}:  {value}\n");
    }

    fn devices(&mut self, devices: &Devices) {
        self.add(
            "Devices",
            &format!("Total {}, per-node {}", devices.total(), devices.per_node()),
        );
    }

    /// A kind of index memory; nothing if none is used.
    fn index(&mut self, name: &str, totals: &Totals) {
        if totals.used <= 0.0 {
            return;
        }
        let used = bytes(totals.used);
        match totals.used_share() {
            Some(share) => {
                let total = bytes(totals.total);
                self.add(
                    name,
                    &format!("Total {total}, {:.2}% used ({used})", share * 100.0),
                );
            }
            None => self.add(name, &format!("{used} used")),
        }
    }

    /// A kind of storage; nothing if there is none.
    fn data(&mut self, name: &str, totals: &Totals) {
        let Some(share) = totals.used_share() else {
            return;
        };
        let mut line = format!(
            "Total {}, {:.2}% used ({})",
            bytes(totals.total),
            share * 100.0,
            bytes(totals.used)
        );
        if let (Some(available), Some(share)) = (totals.available, totals.available_share()) {
            line += &format!(
                ", {:.2}% available contiguous space ({})",
                share * 100.0,
                bytes(available)
            );
        }
        self.add(name, &line);
    }
}

/// The whole text; it ends with an empty line.
pub(super) fn write(summary: &Summary) -> String {
    let mut text = cluster(summary) + "\n\n";
    text += "Namespaces\n==========\n\n";
    for namespace in &summary.namespaces {
        text += &self::namespace(namespace);
        text.push('\n');
    }
    text
}

fn cluster(summary: &Summary) -> String {
    let mut lines = Lines::under("Cluster", "");
    lines.text.push('\n');
    lines.add("Cluster Name", &summary.names.join(", "));
    lines.add("Server Version", &summary.versions.join(", "));
    // The operating system's name comes over ssh only, so that there is none here.
    lines.add("OS Version", "");
    lines.add("Cluster Size", &summary.sizes.join(", "));
    lines.devices(&summary.devices);
    if let Some(memory) = &summary.memory {
        lines.data("Memory", memory);
    }
    if let Some(free) = summary.system.available_share() {
        lines.add("System Memory", &format!("{:.2}% free", free * 100.0));
    }
    for (kind, title) in INDEX_KINDS {
        lines.index(&format!("{title} Index"), &summary.index(kind));
    }
    for (kind, title) in INDEX_KINDS {
        lines.index(&format!("{title} Sindex"), &summary.sindex(kind));
    }
    lines.index(
        "Set Index",
        &Totals {
            used: summary.set_index(),
            ..Totals::default()
        },
    );
    lines.index("Indexes Memory", &summary.budget());
    for (kind, title) in DATA_KINDS {
        lines.data(title, &summary.data(kind));
    }
    lines.add(
        "License Usage",
        &format!("Latest: {}", bytes(summary.license())),
    );
    lines.add(
        "Active Namespaces",
        &format!("{} of {}", summary.active(), summary.total()),
    );
    let mut features = summary.features.clone();
    features.sort_unstable();
    lines.add("Active Features", &features.join(", "));
    lines.text
}

fn namespace(namespace: &Namespace) -> String {
    let mut lines = Lines::under(&namespace.name, "   ");
    lines.devices(&namespace.devices);
    if let Some(memory) = &namespace.memory {
        lines.data("Memory", memory);
    }
    for (kind, title) in INDEX_KINDS {
        lines.index(&format!("{title} Index"), &namespace.index(kind));
    }
    for (kind, title) in INDEX_KINDS {
        lines.index(&format!("{title} Sindex"), &namespace.sindex(kind));
    }
    lines.index(
        "Set Index",
        &Totals {
            used: namespace.set_index,
            ..Totals::default()
        },
    );
    for (kind, title) in DATA_KINDS {
        lines.data(title, &namespace.data(kind));
    }
    if let Some(license) = namespace.license() {
        lines.add("License Usage", &format!("Latest: {}", bytes(license)));
    }
    lines.add("Replication Factor", &namespace.factors.join(", "));
    lines.add(
        "Rack-aware",
        if namespace.rack_aware {
            "True"
        } else {
            "False"
        },
    );
    lines.add(
        "Master Objects",
        &Convert::Count.write(&Value::Decimal(namespace.master_objects)),
    );
    lines.add("Compression-ratio", &decimal(namespace.compression()));
    lines.text
}
