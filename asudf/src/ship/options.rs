//! What every command that changes modules of a cluster is told.

use std::path::PathBuf;

use clap::Args;

use super::change::Manner;
use super::target::{Target, Way};
use crate::project::Project;

/// How a change is to go about, and where.
#[derive(Args, Debug)]
pub(crate) struct ChangeOptions {
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Folder for the file with what was there before [default: that of asudf.toml]
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Take the lock of somebody else who changes modules of this cluster, also if he still does
    #[arg(long)]
    break_lock: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

impl ChangeOptions {
    /// The same for the cluster that was found.
    pub(crate) fn manner(&self, project: &Project, way: &Way) -> Manner {
        Manner {
            cluster: way.name.clone(),
            keep: self.keep.clone().unwrap_or_else(|| project.root.clone()),
            dry_run: self.dry_run,
            break_lock: self.break_lock,
        }
    }
}
