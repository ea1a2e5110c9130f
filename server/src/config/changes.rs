//! Values that `set-config` refuses, as the reference does, although a configuration file may have them here.

use super::setting::{SettingKind, ValueError};

const fn from(min: u64, max: u64) -> SettingKind {
    SettingKind::Number { min, max }
}

/// What a change may be, by the name of the setting.
const NARROWER: &[(&str, SettingKind)] = &[
    ("background-query-max-rps", from(1, 1_000_000)),
    ("batch-index-threads", from(1, 256)),
    ("evict-hist-buckets", from(100, 10_000_000)),
    ("migrate-max-num-incoming", from(0, 256)),
    ("migrate-order", from(1, 10)),
    ("migrate-threads", from(0, 100)),
    ("min-cluster-size", from(0, 256)),
    ("nsup-threads", from(1, 128)),
    ("proto-fd-max", from(1024, 2_147_483_647)),
    ("sindex-builder-threads", from(1, 32)),
    ("truncate-threads", from(1, 128)),
];

/// Checks the text of a change that is a value of the setting.
pub(super) fn check(name: &str, text: &str) -> Result<(), ValueError> {
    match NARROWER.iter().find(|(known, _)| *known == name) {
        Some((_, kind)) => kind.read(text).map(drop),
        None => Ok(()),
    }
}
