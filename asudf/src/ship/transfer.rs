//! `asudf export` and `asudf import`: all modules of a cluster as one archive.

use std::path::PathBuf;

use clap::Args;

use super::archive::Archive;
use super::change::{self, Goal, Planned};
use super::marker;
use super::nodes::{Nodes, Picture};
use super::options::ChangeOptions;
use super::order::Ordered;
use super::owner;
use super::plan::Plan;
use super::report::{Report, modules};
use super::target::Target;
use super::wanted;
use crate::status::{Failure, Status};

/// What `asudf export` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct ExportOptions {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

/// What `asudf import` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct ImportOptions {
    /// The file that an export wrote, or an apply kept
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(crate) change: ChangeOptions,
}

/// Writes all modules of a cluster into a file.
///
/// # Errors
/// A node that cannot be asked, or a module that cannot be kept.
pub(crate) async fn export(
    options: &ExportOptions,
    report: &mut Report,
) -> Result<Status, Failure> {
    let project = options.target.project()?;
    let way = options.target.way(&project, report)?;
    let cluster = way.find(report).await?;
    let mut nodes = Nodes::of(cluster, way.limit).map_err(Failure::of)?;
    let picture = nodes.picture(|_| true).await.map_err(Failure::of)?;
    report.nodes(&picture);
    let (mut archive, missing) = Archive::of(&picture, marker::is_lock);
    if !missing.is_empty() {
        return Err(Failure(format!(
            "nothing was written, as these would be missing: {}",
            missing.join("; ")
        )));
    }
    archive.manifest.cluster.clone_from(&way.name);
    archive.manifest.at = owner::now();
    archive.manifest.by = owner::shown();
    let differing = archive.differing().join(", ");
    if !differing.is_empty() {
        report.warning(&format!(
            "nodes do not serve the same under {differing}: an import takes what most of them serve"
        ));
    }
    archive
        .write(&options.file, options.overwrite)
        .map_err(Failure)?;
    let count = archive.modules().len();
    report.note(&format!("{} in {}", modules(count), options.file.display()));
    Ok(Status::Fine)
}

struct Everything(Ordered);

impl Goal for Everything {
    fn doing(&self) -> &'static str {
        "import"
    }

    fn concerns(&self, name: &str) -> bool {
        self.0.modules.iter().any(|module| module.name == name)
    }

    fn plan(&self, picture: &Picture) -> Result<Planned, String> {
        Ok(Planned {
            plan: Plan::of(self.0.clone(), &[], picture),
            record: None,
        })
    }
}

/// Registers all modules of an archive. Others stay.
///
/// # Errors
/// See [`change::run`]; also if the file is not an archive.
pub(crate) async fn import(
    options: &ImportOptions,
    report: &mut Report,
) -> Result<Status, Failure> {
    let project = options.change.target.project()?;
    let archive = Archive::read(&options.file).map_err(Failure)?;
    let mut modules = archive.modules();
    // Whoever held a lock when the archive was written does not hold it here.
    modules.retain(|module| !marker::is_lock(&module.name));
    let goal = Everything(wanted::in_order(modules)?);
    let way = options.change.target.way(&project, report)?;
    let cluster = way.find(report).await?;
    let mut nodes = Nodes::of(cluster, way.limit).map_err(Failure::of)?;
    let manner = options.change.manner(&project, &way);
    change::run(&goal, &manner, &mut nodes, report).await
}
