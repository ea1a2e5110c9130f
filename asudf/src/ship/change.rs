//! A change of a cluster's modules, from plan to end: what `apply`, `rollback` and `import` have in common.
//!
//! ```text
//! look → plan → (nothing to do) → keep what is there → lock → look again → record: begun
//!      → one module after the other → compare → record: done → unlock
//! ```
//!
//! Whatever step the program is killed at: what was there is in the file, the record says what may be there because of the
//! project, the lock is found to be left behind, and a plan from what is there then does the rest.

use std::path::{Path, PathBuf};

use super::archive::{Archive, Change, Changed};
use super::carry::{Carrier, Halt, Stop};
use super::content::Digest;
use super::kept;
use super::marker::{self, PREFIX, Record, Unfinished};
use super::nodes::{Nodes, Picture, Served};
use super::owner::{self, Presence};
use super::plan::{Plan, intended};
use super::report::{Report, modules, nodes};
use crate::status::{Failure, Status};

/// What is to be reached.
pub(crate) trait Goal {
    /// The command, for locks and records.
    fn doing(&self) -> &'static str;

    /// Whether what nodes serve under a name matters for the plan.
    fn concerns(&self, name: &str) -> bool;

    /// What is to be done.
    ///
    /// # Errors
    /// It cannot or must not be reached from there.
    fn plan(&self, picture: &Picture) -> Result<Planned, String>;
}

/// A plan, and what becomes of the record of its project.
pub(crate) struct Planned {
    /// What is to be done.
    pub(crate) plan: Plan,
    /// The record now and when that has been done; none where no project is concerned.
    pub(crate) record: Option<(Record, Record)>,
}

impl Planned {
    fn is_empty(&self) -> bool {
        let record = self.record.as_ref();
        self.plan.is_empty() && record.is_none_or(|(now, _)| now.unfinished.is_none())
    }
}

/// How a change goes about.
pub(crate) struct Manner {
    /// The cluster as it was named.
    pub(crate) cluster: String,
    /// Where the file with what was there goes.
    pub(crate) keep: PathBuf,
    /// Only say what would be done.
    pub(crate) dry_run: bool,
    /// Take a lock that somebody else has.
    pub(crate) break_lock: bool,
}

/// The record of a project on the cluster.
///
/// # Errors
/// Something else stands in its place, or nodes have different ones and none of them can be told to be right.
pub(crate) fn record(picture: &Picture, project: &str) -> Result<Option<Record>, String> {
    let name = marker::record_name(project);
    if !picture.names().contains(name.as_str()) {
        return Ok(None);
    }
    match picture.module(&name) {
        Some(module) => Record::parse(project, &module.source).map(Some),
        None => Err(format!("{name} is listed, and no node gives it")),
    }
}

/// Brings a cluster to a goal.
///
/// # Errors
/// What failed, after everything that is where was said.
pub(crate) async fn run(
    goal: &dyn Goal,
    manner: &Manner,
    nodes: &mut Nodes,
    report: &mut Report,
) -> Result<Status, Failure> {
    let concerns = |name: &str| goal.concerns(name) || name.starts_with(PREFIX);
    let picture = nodes.picture(concerns).await.map_err(Failure::of)?;
    let planned = goal.plan(&picture).map_err(Failure::of)?;
    report.plan(&planned.plan, &picture, false);
    if manner.dry_run {
        return Ok(match planned.is_empty() {
            true => Status::Fine,
            false => {
                report.note(&format!(
                    "{}; nothing was changed",
                    told(&planned, "would be ")
                ));
                Status::WouldChange
            }
        });
    }
    if planned.is_empty() {
        return tidy(nodes, &picture, report).await;
    }
    let stop = Stop::listen()
        .map_err(|error| Failure::of(format!("cannot listen to signals: {error}")))?;
    match change(goal, manner, nodes, report, stop).await {
        Ok(planned) => {
            report.note(&told(&planned, ""));
            Ok(Status::Something)
        }
        Err((halt, planned)) => {
            if let Some(planned) = planned {
                where_is_what(&planned.plan, nodes, report).await;
            }
            match halt {
                Halt::Failed(text) => Err(Failure(text)),
                Halt::Interrupted => {
                    report.warning("interrupted: the next run goes on from here");
                    Ok(Status::Interrupted)
                }
            }
        }
    }
}

/// `2 modules put, 1 module removed`.
fn told(planned: &Planned, would: &str) -> String {
    let (puts, removals) = (planned.plan.puts.len(), planned.plan.removals.len());
    let mut parts = Vec::new();
    if puts > 0 {
        parts.push(format!("{} {would}put", modules(puts)));
    }
    if removals > 0 {
        parts.push(format!("{} {would}removed", modules(removals)));
    }
    if parts.is_empty() {
        parts.push(format!("an earlier run {would}finished"));
    }
    parts.join(", ")
}

/// With nothing to do, locks of processes that are gone are removed all the same.
async fn tidy(
    nodes: &mut Nodes,
    picture: &Picture,
    report: &mut Report,
) -> Result<Status, Failure> {
    let names: Vec<String> = picture.names().into_iter().map(str::to_owned).collect();
    let mut status = Status::Fine;
    for name in names.iter().filter(|name| marker::is_lock(name)) {
        let Some(module) = picture.module(name) else {
            continue;
        };
        let lock = marker::Lock::parse(name, &module.source);
        let process = lock.as_ref().ok().and_then(|lock| lock.process.as_ref());
        if process.is_some_and(|process| process.presence() == Presence::Gone) {
            nodes.remove(name).await.map_err(Failure::of)?;
            report.note(&format!("Removed the lock {name} of a run that is gone"));
            status = Status::Something;
        }
    }
    Ok(status)
}

type Halted = (Halt, Option<Planned>);

/// Everything from keeping to unlocking. A failure comes with the plan if changes may have begun.
async fn change(
    goal: &dyn Goal,
    manner: &Manner,
    nodes: &mut Nodes,
    report: &mut Report,
    stop: Stop,
) -> Result<Planned, Halted> {
    let early = |halt: Halt| (halt, None);
    let failed = |text: String| early(Halt::Failed(text));
    let mut picture = nodes.picture(|_| true).await.map_err(failed)?;
    let mut planned = goal.plan(&picture).map_err(failed)?;
    let path = manner.keep.join(kept::file_name(&manner.cluster));
    keep(goal, manner, &planned, &picture, &path, false, report).map_err(failed)?;
    let taken = Carrier::take_lock(nodes, goal.doing(), manner.break_lock, stop, report).await;
    let mut carrier = match taken {
        Ok(carrier) => carrier,
        Err(halt) => {
            // Nothing was changed, so that there is nothing to take back by it.
            if std::fs::remove_file(&path).is_ok() {
                report.forget_kept();
            }
            return Err(early(halt));
        }
    };
    let result = async {
        let lists = carrier.nodes.lists().await?;
        if !picture.lists_as(&lists) {
            picture = carrier.nodes.picture(|_| true).await?;
            planned = goal.plan(&picture)?;
            report.note("Modules were changed meanwhile. The plan is now:");
            report.plan(&planned.plan, &picture, false);
            keep(goal, manner, &planned, &picture, &path, true, report)?;
        }
        carry(&mut carrier, &planned, &path, report).await
    }
    .await;
    let released = carrier.release().await;
    if let Err(reason) = released {
        report.warning(&format!(
            "{reason}; the next run finds out that nobody has it"
        ));
    }
    match result {
        Ok(()) => Ok(planned),
        Err(halt) => Err((halt, Some(planned))),
    }
}

async fn carry(
    carrier: &mut Carrier<'_>,
    planned: &Planned,
    path: &Path,
    report: &mut Report,
) -> Result<(), Halt> {
    if let Some((now, _)) = &planned.record {
        let unfinished = Unfinished {
            by: owner::shown(),
            since: owner::now(),
            kept: file_name_of(path),
        };
        let record = intended(now, &planned.plan, unfinished);
        carrier.put(&record.module()?).await?;
    }
    carrier.carry_out(&planned.plan, report).await?;
    if let Some((_, settled)) = &planned.record {
        match settled.modules.is_empty() {
            true => {
                carrier
                    .remove(&marker::record_name(&settled.project))
                    .await?
            }
            false => carrier.put(&settled.module()?).await?,
        }
    }
    Ok(())
}

fn file_name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Writes what is there, and what is about to be changed.
fn keep(
    goal: &dyn Goal,
    manner: &Manner,
    planned: &Planned,
    picture: &Picture,
    path: &Path,
    again: bool,
    report: &mut Report,
) -> Result<(), String> {
    let (mut archive, missing) = Archive::of(picture, marker::is_lock);
    for missing in missing {
        report.warning(&format!("cannot be kept: {missing}"));
    }
    let manifest = &mut archive.manifest;
    manifest.cluster.clone_from(&manner.cluster);
    manifest.at = owner::now();
    manifest.by = owner::shown();
    let puts = planned.plan.puts.iter().map(|module| Changed {
        name: module.name.clone(),
        before: kept::before(picture, &module.name),
        after: Some(module.digest.to_string()),
    });
    let removals = planned.plan.removals.iter().map(|name| Changed {
        name: name.clone(),
        before: kept::before(picture, name),
        after: None,
    });
    manifest.change = Some(Change {
        doing: goal.doing().to_owned(),
        project: planned.record.as_ref().map(|(now, _)| now.project.clone()),
        modules: puts.chain(removals).collect(),
    });
    if let Some(unfinished) = planned
        .record
        .as_ref()
        .and_then(|(now, _)| now.unfinished.as_ref())
    {
        reach_back(goal, manner, unfinished, picture, &mut archive, report);
    }
    std::fs::create_dir_all(&manner.keep)
        .map_err(|error| format!("cannot make {}: {error}", manner.keep.display()))?;
    archive.write(path, again)?;
    if !again {
        report.kept(path);
    }
    Ok(())
}

/// An earlier run did not end: what was there before it is in the file that it kept, if that is here.
fn reach_back(
    goal: &dyn Goal,
    manner: &Manner,
    unfinished: &Unfinished,
    picture: &Picture,
    archive: &mut Archive,
    report: &mut Report,
) {
    let whose = format!(
        "{} began at {} and did not end",
        unfinished.by, unfinished.since
    );
    // The name comes from the cluster: only a file of this folder is meant by it.
    let is_name = !unfinished.kept.contains('/') && unfinished.kept.starts_with("asudf-kept-");
    let earlier = match is_name {
        true => Archive::read(&manner.keep.join(&unfinished.kept)),
        false => Err("it does not say where it kept what was there".to_owned()),
    };
    match earlier {
        Ok(earlier) => {
            let change = earlier.manifest.change.as_ref();
            if change.is_some_and(|change| change.doing == goal.doing()) {
                let found = kept::reach_back(archive, &earlier, picture);
                report.note(&format!(
                    "A run that {whose}: {} as before that run are kept",
                    modules(found.len())
                ));
            }
        }
        Err(reason) => report.warning(&format!(
            "a run that {whose}; what was there before it is in {} where it ran ({reason}): what is kept now is what it left",
            unfinished.kept
        )),
    }
}

/// Says of each module that was to be changed what every node serves now, as far as they answer.
async fn where_is_what(plan: &Plan, nodes: &mut Nodes, report: &mut Report) {
    let wanted = plan
        .puts
        .iter()
        .map(|module| (module.name.as_str(), Some(module.digest)));
    let unwanted = plan.removals.iter().map(|name| (name.as_str(), None));
    let changes: Vec<(&str, Option<Digest>)> = wanted.chain(unwanted).collect();
    let (picture, failures) = nodes
        .look(|name| changes.iter().any(|(changed, _)| *changed == name))
        .await;
    report.note("What is where now:");
    for (name, wanted) in &changes {
        let done = picture
            .served(name)
            .filter(|served| match (served, wanted) {
                (None, None) => true,
                (Some(Served::Content(digest)), Some(wanted)) => digest == wanted,
                _ => false,
            });
        let (done, count) = (done.count(), picture.nodes.len());
        let text = match done {
            0 => format!("as before on {}", self::nodes(count)),
            done if done == count => format!("changed on {}", self::nodes(count)),
            done => format!("changed on {done} of {}", self::nodes(count)),
        };
        report.note(&format!("  {name}: {text}"));
    }
    for failure in failures {
        report.note(&format!("  not known of {failure}"));
    }
}
