//! `asudf status`: what each node of a cluster serves of the project, and who changes modules.

use clap::Args;

use super::change;
use super::marker::{self, Lock};
use super::nodes::Nodes;
use super::plan::{Action, Cell, Plan};
use super::report::{Report, modules};
use super::target::Target;
use super::wanted;
use crate::status::{Failure, Status};

/// What `asudf status` is told.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) target: Target,
}

/// Says it.
///
/// # Errors
/// A node does not answer, after what the others say.
pub(crate) async fn run(options: &Options, report: &mut Report) -> Result<Status, Failure> {
    let project = options.target.project()?;
    let folder = wanted::modules(&project)?;
    let way = options.target.way(&project, report)?;
    let mut nodes = Nodes::of_some(way.find(report).await?, way.limit);
    let (picture, failures) = nodes.look(|_| true).await;
    let record = match &project.settings.ship.project {
        Some(_) => {
            let name = wanted::project_name(&project)?;
            change::record(&picture, &name).map_err(Failure)?
        }
        None => None,
    };
    let plan = Plan::apply(folder, record.as_ref(), &picture, false).map_err(Failure)?;
    for (index, node) in picture.nodes.iter().enumerate() {
        let count = |is: fn(&Cell) -> bool| {
            let wanted = plan.rows.iter().filter(|row| row.wanted.is_some());
            wanted
                .filter(|row| row.cells.get(index).is_some_and(is))
                .count()
        };
        let same = count(|cell| *cell == Cell::Same);
        let absent = count(|cell| *cell == Cell::Absent);
        let other = count(|cell| matches!(cell, Cell::Other(_) | Cell::Unreadable(_)));
        report.line(&format!(
            "{} {} ({}): {same} same, {other} other, {absent} absent; {} in all",
            node.name,
            node.id,
            node.build,
            modules(node.listed.len())
        ));
    }
    report.plan(&plan, &picture, false);
    match &record {
        None => report.note("No apply of this project is on record here"),
        Some(record) => report.note(&format!(
            "{} put by this project, last by {} at {}",
            modules(record.modules.len()),
            record.by,
            record.at
        )),
    }
    if let Some(unfinished) = record
        .as_ref()
        .and_then(|record| record.unfinished.as_ref())
    {
        report.warning(&format!(
            "{} began to change modules at {} and did not end, or still does; what was there before is in {} where that ran",
            unfinished.by, unfinished.since, unfinished.kept
        ));
    }
    for name in picture
        .names()
        .into_iter()
        .filter(|name| marker::is_lock(name))
    {
        let lock = picture
            .module(name)
            .map(|module| Lock::parse(name, &module.source));
        match lock {
            Some(Ok(lock)) => report.note(&format!("Locked by {}", lock.shown())),
            Some(Err(reason)) => {
                report.warning(&format!("{name} is no lock that can be read: {reason}"))
            }
            None => report.warning(&format!("{name} is listed, and no node gives it")),
        }
    }
    if !failures.is_empty() {
        return Err(Failure(failures.join("; ")));
    }
    let is_same = plan
        .rows
        .iter()
        .all(|row| matches!(row.action, Action::Same | Action::Leave(_)));
    Ok(match is_same {
        true => Status::Fine,
        false => Status::WouldChange,
    })
}
