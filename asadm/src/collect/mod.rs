//! `collectinfo`: what all nodes tell, in files that the analyser of the reference tool reads.
//!
//! ```text
//! /tmp/[PREFIX_]collect_info_YYYYMMDD_HHMMSS/
//!     YYYYMMDD_HHMMSS_ascinfo.json         { time of the snapshot: { cluster name: { node: { "as_stat": … } } } }
//!     YYYYMMDD_HHMMSS_ascollectinfo.log    output of the usual commands, then answers as they came
//!     YYYYMMDD_HHMMSS_aerospike.conf       where there is one on this machine
//! /tmp/[PREFIX_]collect_info_YYYYMMDD_HHMMSS.tgz
//! ```

mod archive;
mod latency;
mod snapshot;

use std::path::PathBuf;
use std::time::Duration;

pub(crate) use archive::Folder;
pub(crate) use snapshot::{NodeData, SNAPSHOT, cluster_name, of_node};

use crate::view::{Flag, Modifiers};

/// Flags of the command.
pub(crate) const FLAGS: &[Flag] = &[
    valued(&["-n"]),
    valued(&["-s", "-t"]),
    valued(&["--output-prefix"]),
    valued(&["--asconfig-file"]),
    Flag {
        names: &["--ignore-errors"],
        takes_value: false,
    },
];

const fn valued(names: &'static [&'static str]) -> Flag {
    Flag {
        names,
        takes_value: true,
    }
}

/// Most snapshots of one run.
const SNAPSHOTS_MAX: usize = 1000;

/// Commands whose output the log holds.
pub(crate) const COMMANDS: &[&str] = &[
    "info network",
    "info namespace",
    "info set",
    "info xdr",
    "info sindex",
    "show config",
    "show config xdr",
    "show distribution",
    "show distribution object_size -b",
    "show latencies -v -e 1 -b 17",
    "show statistics",
    "show statistics xdr",
    "show statistics sindex",
    "features",
    "summary",
    "health",
];

/// Stands before each part of the log.
pub(crate) const SEPARATOR: &str = "\n====ASCOLLECTINFO====\n";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) snapshots: usize,
    pub(crate) pause: Duration,
    pub(crate) prefix: String,
    pub(crate) config: Option<PathBuf>,
}

impl Wanted {
    /// From the flags behind the command.
    pub(crate) fn of(modifiers: &Modifiers) -> Result<Self, String> {
        let flag = |name: &str| modifiers.flags.get(name).map(String::as_str);
        let number = |name: &str, default: u64| match flag(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("{name} takes a whole number, not `{text}`")),
        };
        let snapshots = usize::try_from(number("-n", 1)?)
            .ok()
            .filter(|count| (1..=SNAPSHOTS_MAX).contains(count))
            .ok_or("Wrong collectinfo snapshot count")?;
        let prefix = flag("--output-prefix").unwrap_or_default();
        if prefix.contains('/') {
            return Err("--output-prefix is a part of a name and holds no `/`".to_owned());
        }
        Ok(Self {
            snapshots,
            pause: Duration::from_secs(number("-s", 5)?),
            prefix: prefix.to_owned(),
            config: flag("--asconfig-file").map(PathBuf::from),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_flags() {
        for (line, expected) in [
            ("", Ok((1, 5, ""))),
            ("-n 3 -s 0 --output-prefix x", Ok((3, 0, "x"))),
            ("-n 0", Err("Wrong collectinfo snapshot count")),
            ("-n a", Err("-n takes a whole number, not `a`")),
            (
                "--output-prefix ../x",
                Err("--output-prefix is a part of a name and holds no `/`"),
            ),
        ] {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            let found = Wanted::of(&Modifiers::parse(&words, &[], FLAGS));
            let found =
                found.map(|wanted| (wanted.snapshots, wanted.pause.as_secs(), wanted.prefix));
            let expected = expected
                .map(|(count, pause, prefix)| (count, pause, prefix.to_owned()))
                .map_err(str::to_owned);
            assert_eq!(found, expected, "{line}");
        }
    }
}
