//! `asudf apply` and `asudf diff`: the modules of the folder, on every node of a cluster.

use clap::Args;

use super::change::{self, Goal, Planned};
use super::marker::Record;
use super::nodes::{Nodes, Picture};
use super::options::ChangeOptions;
use super::order::Ordered;
use super::owner;
use super::plan::{Action, Plan, settled};
use super::report::Report;
use super::target::Target;
use super::wanted;
use crate::project::Project;
use crate::status::{Failure, Status};

/// What `asudf apply` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// Remove modules that an earlier apply of this project put there and that the folder does not have any more
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    pub(crate) change: ChangeOptions,
}

/// What `asudf diff` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct DiffOptions {
    /// Count modules that `asudf apply --prune` would remove as a difference
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

struct Folder {
    modules: Ordered,
    /// None: whatever is on the cluster is not told to be the project's.
    project: Option<String>,
    prune: bool,
}

impl Goal for Folder {
    fn doing(&self) -> &'static str {
        "apply"
    }

    fn concerns(&self, name: &str) -> bool {
        // What is removed is only known with the record; it is in few clusters that much else is there.
        self.prune
            || self.project.is_some()
            || self
                .modules
                .modules
                .iter()
                .any(|module| module.name == name)
    }

    fn plan(&self, picture: &Picture) -> Result<Planned, String> {
        let record = match &self.project {
            Some(project) => change::record(picture, project)?,
            None => None,
        };
        let plan = Plan::apply(self.modules.clone(), record.as_ref(), picture, self.prune)?;
        let record = self.project.as_ref().map(|project| {
            let (by, at) = (owner::shown(), owner::now());
            let mut now = record.unwrap_or_else(|| Record::new(project, &by, &at));
            (now.by, now.at) = (by, at);
            let after = settled(&now, &plan);
            (now, after)
        });
        Ok(Planned { plan, record })
    }
}

fn prunes(project: &Project, asked: bool) -> bool {
    asked || project.settings.ship.prune
}

/// Applies the folder.
///
/// # Errors
/// See [`change::run`].
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<Status, Failure> {
    let project = options.change.target.project()?;
    let modules = wanted::modules(&project)?;
    wanted::compiled(&modules.modules)?;
    if modules.modules.is_empty() {
        let folder = project.modules_folder();
        report.warning(&format!("there are no modules in {}", folder.display()));
    }
    let goal = Folder {
        modules,
        project: Some(wanted::project_name(&project)?),
        prune: prunes(&project, options.prune),
    };
    let way = options.change.target.way(&project, report)?;
    let cluster = way.find(report).await?;
    let mut nodes = Nodes::of(cluster, way.limit).map_err(Failure::of)?;
    let manner = options.change.manner(&project, &way);
    change::run(&goal, &manner, &mut nodes, report).await
}

/// Compares the folder with what every node serves.
///
/// # Errors
/// A file, or a node that cannot be asked.
pub(crate) async fn diff(options: &DiffOptions, report: &mut Report) -> Result<Status, Failure> {
    let project = options.target.project()?;
    let goal = Folder {
        modules: wanted::modules(&project)?,
        project: match &project.settings.ship.project {
            Some(_) => Some(wanted::project_name(&project)?),
            None => None,
        },
        prune: prunes(&project, options.prune),
    };
    let way = options.target.way(&project, report)?;
    let cluster = way.find(report).await?;
    let mut nodes = Nodes::of(cluster, way.limit).map_err(Failure::of)?;
    let picture = nodes
        .picture(|name| goal.concerns(name))
        .await
        .map_err(Failure::of)?;
    let plan = goal.plan(&picture).map_err(Failure::of)?.plan;
    report.plan(&plan, &picture, true);
    let is_same = plan
        .rows
        .iter()
        .all(|row| matches!(row.action, Action::Same | Action::Leave(_)));
    Ok(match is_same {
        true => Status::Fine,
        false => Status::WouldChange,
    })
}
