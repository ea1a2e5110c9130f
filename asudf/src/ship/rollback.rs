//! `asudf rollback`: what an apply changed is again as it was before.

use std::path::PathBuf;

use clap::Args;

use super::archive::{Archive, Change};
use super::change::{self, Goal, Planned};
use super::content::{Digest, Module};
use super::kept;
use super::marker::{Record, record_name};
use super::nodes::{Nodes, Picture, Served};
use super::options::ChangeOptions;
use super::order::Ordered;
use super::owner;
use super::plan::Plan;
use super::report::Report;
use super::wanted;
use crate::status::{Failure, Status};

/// What `asudf rollback` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// The file that an apply kept, or a folder of them, of which the latest counts [default: the folder of asudf.toml]
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Take modules back also where somebody has changed them since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(crate) change: ChangeOptions,
}

struct Before {
    archive: Archive,
    change: Change,
    /// What was there and was changed.
    modules: Ordered,
    /// What was not there.
    added: Vec<String>,
    force: bool,
}

impl Before {
    fn of(archive: Archive, force: bool) -> Result<Self, Failure> {
        let change = archive.manifest.change.clone();
        let change = change.ok_or_else(|| {
            Failure::of("it is an export and not what an apply kept: use `asudf import`")
        })?;
        let mut before = Vec::new();
        let mut added = Vec::new();
        for changed in &change.modules {
            match &changed.before {
                None => added.push(changed.name.clone()),
                Some(_) => before.extend(archive.module(&changed.name)),
            }
        }
        Ok(Self {
            modules: any_order(before),
            archive,
            change,
            added,
            force,
        })
    }

    /// What was there before is there again in the record, as far as this change goes.
    fn record(&self, picture: &Picture, project: &str) -> Result<(Record, Record), String> {
        let (by, at) = (owner::shown(), owner::now());
        let now = change::record(picture, project)?;
        let mut now = now.unwrap_or_else(|| Record::new(project, &by, &at));
        let before = match self.archive.module(&record_name(project)) {
            Some(module) => Some(Record::parse(project, &module.source)?),
            None => None,
        };
        (now.by, now.at) = (by, at);
        let mut settled = now.clone();
        settled.unfinished = None;
        for changed in &self.change.modules {
            let put = before
                .as_ref()
                .and_then(|before| before.modules.get(&changed.name));
            match put {
                Some(digests) => settled
                    .modules
                    .insert(changed.name.clone(), digests.clone()),
                None => settled.modules.remove(&changed.name),
            };
        }
        Ok((now, settled))
    }
}

/// What was on a cluster has been registered before: if it is in a circle, by name is as good an order as any.
fn any_order(modules: Vec<Module>) -> Ordered {
    match wanted::in_order(modules.clone()) {
        Ok(ordered) => ordered,
        Err(_) => Ordered {
            modules,
            absent: Vec::new(),
        },
    }
}

impl Goal for Before {
    fn doing(&self) -> &'static str {
        "rollback"
    }

    fn concerns(&self, name: &str) -> bool {
        self.change
            .modules
            .iter()
            .any(|changed| changed.name == name)
    }

    fn plan(&self, picture: &Picture) -> Result<Planned, String> {
        let mut foreign = Vec::new();
        for changed in &self.change.modules {
            let is_known = |digest: &Digest| {
                let text = Some(digest.to_string());
                text == changed.before || text == changed.after
            };
            let known = picture.served(&changed.name).all(|served| match served {
                Some(Served::Content(digest)) => is_known(digest),
                // What is gone, or cannot be read, is nobody's work that would be lost.
                _ => true,
            });
            if !known {
                foreign.push(changed.name.as_str());
            }
        }
        if !foreign.is_empty() && !self.force {
            return Err(format!(
                "changed by somebody since: {}. --force takes them back all the same; nothing was changed",
                foreign.join(", ")
            ));
        }
        let plan = Plan::of(self.modules.clone(), &self.added, picture);
        let record = match &self.change.project {
            Some(project) => Some(self.record(picture, project)?),
            None => None,
        };
        Ok(Planned { plan, record })
    }
}

/// Takes an apply back.
///
/// # Errors
/// See [`change::run`]; also if there is no file with what was there.
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<Status, Failure> {
    let project = options.change.target.project()?;
    let way = options.change.target.way(&project, report)?;
    let from = options.from.clone().unwrap_or_else(|| project.root.clone());
    let (path, archive) = match from.is_dir() {
        true => kept::latest(&from, &way.name, "apply").map_err(Failure)?,
        false => (from.clone(), Archive::read(&from).map_err(Failure)?),
    };
    if archive.manifest.cluster != way.name && !options.force {
        return Err(Failure(format!(
            "{} was kept from the cluster `{}`, this is `{}`: --force takes it all the same",
            path.display(),
            archive.manifest.cluster,
            way.name
        )));
    }
    report.note(&format!(
        "Back to what {} kept at {} in {}",
        archive.manifest.by,
        archive.manifest.at,
        path.strip_prefix(".").unwrap_or(&path).display()
    ));
    let goal = Before::of(archive, options.force)?;
    let cluster = way.find(report).await?;
    let mut nodes = Nodes::of(cluster, way.limit).map_err(Failure::of)?;
    let manner = options.change.manner(&project, &way);
    change::run(&goal, &manner, &mut nodes, report).await
}
