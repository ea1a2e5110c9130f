//! What operators do to the modules of a node.

use std::sync::Arc;

use super::factory::ContextFactory;
use super::service::Service;
use super::stats::{ModuleCounts, UdfTotals};
use crate::catalogue::Catalogued as _;
use crate::modules::changes::ChangeError;
use crate::modules::module::ModuleSet;
use crate::modules::status::{NodeModules, Said};

/// The modules of a node, alone or in a cluster, as info commands see them.
pub trait ModuleCommands: Send + Sync {
    /// Validates a module and registers it, on every node of the cluster. Blocks.
    ///
    /// # Errors
    /// See [`ChangeError`].
    fn put(&self, file_name: &str, content64: &str) -> Result<(), ChangeError>;

    /// Removes a module, on every node of the cluster; an unknown name is no error. Blocks.
    ///
    /// # Errors
    /// See [`ChangeError`].
    fn remove(&self, file_name: &str) -> Result<(), ChangeError>;

    /// Whether native libraries may be registered.
    fn allows_unsafe(&self) -> bool;

    /// The modules of this node.
    fn modules(&self) -> Arc<ModuleSet>;

    /// Has all contexts of this node built anew. Blocks.
    fn clear_cache(&self);

    /// What the contexts of each module have counted.
    fn counts(&self) -> Vec<ModuleCounts>;

    /// Which node has which version of which module. Blocks while the others are asked.
    fn status(&self) -> Vec<NodeModules>;

    /// Numbers of all modules together.
    fn totals(&self) -> UdfTotals;
}

impl<F: ContextFactory> ModuleCommands for Service<F> {
    fn put(&self, file_name: &str, content64: &str) -> Result<(), ChangeError> {
        Ok((**self).put(file_name, content64)?)
    }

    fn remove(&self, file_name: &str) -> Result<(), ChangeError> {
        Ok((**self).remove(file_name)?)
    }

    fn allows_unsafe(&self) -> bool {
        self.settings().allow_unsafe_lua
    }

    fn modules(&self) -> Arc<ModuleSet> {
        (**self).modules()
    }

    fn clear_cache(&self) {
        Self::clear_cache(self);
    }

    fn counts(&self) -> Vec<ModuleCounts> {
        Self::counts(self)
    }

    fn status(&self) -> Vec<NodeModules> {
        vec![NodeModules {
            node: format!("{:X}", self.settings().node),
            said: Ok(Said {
                modules: self.shown().summaries(),
                failures: self.shown().failures().into_iter().collect(),
            }),
        }]
    }

    fn totals(&self) -> UdfTotals {
        Self::totals(self)
    }
}
