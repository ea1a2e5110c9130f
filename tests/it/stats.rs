//! What `udf-stats` answers, as numbers.

use std::collections::HashMap;

use tests::connection::Connection;
use tests::error::Result;

/// The counts of one module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModuleStats {
    pub(crate) idle: u64,
    pub(crate) busy: u64,
    pub(crate) hits: u64,
    pub(crate) created: u64,
    pub(crate) calls: u64,
}

/// The counts of every module.
#[derive(Debug)]
pub(crate) struct UdfStats(HashMap<String, ModuleStats>);

impl UdfStats {
    /// Asks the server.
    pub(crate) fn read(connection: &mut Connection) -> Result<Self> {
        let answer = connection.info("udf-stats")?;
        let modules = answer.split(';').filter(|entry| !entry.is_empty());
        Ok(Self(
            modules
                .map(|entry| {
                    let pairs: HashMap<&str, &str> = entry
                        .split(':')
                        .filter_map(|pair| pair.split_once('='))
                        .collect();
                    let number = |key: &str| {
                        pairs
                            .get(key)
                            .and_then(|value| value.parse().ok())
                            .unwrap_or_else(|| panic!("no number `{key}` in {entry}"))
                    };
                    let stats = ModuleStats {
                        idle: number("contexts-idle"),
                        busy: number("contexts-busy"),
                        hits: number("hits"),
                        created: number("created"),
                        calls: number("calls"),
                    };
                    (pairs["filename"].to_owned(), stats)
                })
                .collect(),
        ))
    }

    /// The counts of a module that is registered.
    pub(crate) fn module(&self, file: &str) -> ModuleStats {
        *self
            .0
            .get(file)
            .unwrap_or_else(|| panic!("udf-stats has no {file}: {self:?}"))
    }
}
