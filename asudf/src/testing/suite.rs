//! The test files of a project, and running them on several threads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::file::{self, FileReport, Running};
use crate::cluster::Cluster;
use crate::engine::Watcher;
use crate::engine::code::{self, Code};
use crate::engine::offline::Offline;
use crate::place::Place;
use crate::project::{Project, TEST_SUFFIX};
use crate::status::Failure;

/// Test files and the modules beside them.
pub(crate) struct Suite {
    /// Files with the modules of their folder.
    files: Vec<(PathBuf, Arc<Code>)>,
}

impl Suite {
    /// The test files below a path of a project, or the one that it names.
    ///
    /// # Errors
    /// There are none, or a folder cannot be read.
    pub(crate) fn find(project: &Project, path: &Path) -> Result<Self, Failure> {
        let mut paths = Vec::new();
        if path.is_file() {
            paths.push(path.to_owned());
        } else {
            let start = match path == project.root {
                true => project.modules_folder(),
                false => path.to_owned(),
            };
            collect(&start, &mut paths)
                .map_err(|(path, error)| Failure(format!("{}: {error}", path.display())))?;
        }
        paths.sort();
        if paths.is_empty() {
            return Err(Failure(format!(
                "{}: no files `*{TEST_SUFFIX}`",
                path.display()
            )));
        }
        let mut files = Vec::new();
        let mut last: Option<(PathBuf, Arc<Code>)> = None;
        for path in paths {
            let folder = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            let code = match &last {
                Some((known, code)) if *known == folder => Arc::clone(code),
                _ => code::of_folder(&folder).map_err(Failure)?,
            };
            last = Some((folder, Arc::clone(&code)));
            files.push((path, code));
        }
        Ok(Self { files })
    }

    /// The folders of the tests, each with its files.
    pub(crate) fn folders(&self) -> Vec<(&Path, &Code)> {
        let mut folders: Vec<(&Path, &Code)> = Vec::new();
        for (path, code) in &self.files {
            let folder = path.parent().unwrap_or(Path::new(""));
            if folders.last().is_none_or(|(last, _)| *last != folder) {
                folders.push((folder, code));
            }
        }
        folders
    }

    /// Runs all tests on a cluster, one after the other, with the modules of each folder registered there.
    ///
    /// # Errors
    /// The modules cannot be registered.
    pub(super) fn run_on(
        &self,
        cluster: &Cluster,
        running: &Running,
    ) -> Result<Vec<FileReport>, Failure> {
        let mut reports = Vec::new();
        for (path, code) in &self.files {
            cluster.register(code)?;
            let place = Box::new(cluster.place(code, running.terms));
            reports.push(file::run(path, code, place, running, (0, 1)));
        }
        Ok(reports)
    }

    /// Runs all tests; the reports are in the order of the files.
    pub(crate) fn run(
        &self,
        running: &Running,
        jobs: usize,
        watcher: Option<&Arc<dyn Watcher>>,
    ) -> Vec<FileReport> {
        // A file that is alone is shared among the threads, each with every n-th test.
        let parts = jobs.div_ceil(self.files.len().max(1)).max(1);
        let units = self.files.len() * parts;
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, FileReport)>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..jobs.min(units) {
                scope.spawn(|| {
                    loop {
                        let unit = next.fetch_add(1, Ordering::Relaxed);
                        let Some((path, code)) = self.files.get(unit / parts) else {
                            return;
                        };
                        let place: Box<dyn Place> = Box::new(Offline::new(
                            Arc::clone(code),
                            running.terms,
                            watcher.map(Arc::clone),
                        ));
                        let report = file::run(path, code, place, running, (unit % parts, parts));
                        match done.lock() {
                            Ok(mut done) => done.push((unit, report)),
                            // Another thread has panicked, which ends the scope.
                            Err(_) => return,
                        }
                    }
                });
            }
        });
        let done = done.into_inner().unwrap_or_else(|error| error.into_inner());
        merged(done, parts)
    }
}

/// Reports of parts of files, put together.
fn merged(mut done: Vec<(usize, FileReport)>, parts: usize) -> Vec<FileReport> {
    done.sort_by_key(|(unit, _)| *unit);
    let mut files: Vec<FileReport> = Vec::new();
    for (unit, report) in done {
        match files.last_mut() {
            Some(last) if !unit.is_multiple_of(parts) => {
                last.broken = last.broken.take().or(report.broken);
                last.tests.extend(report.tests);
                last.tests.sort_by_key(|test| test.number);
            }
            _ => files.push(report),
        }
    }
    files
}

/// Test files below a folder; hidden folders are left alone.
fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        // A link to a folder may lead around in a circle.
        let kind = fs::symlink_metadata(&path).map_err(failed)?;
        if kind.is_dir() {
            collect(&path, paths)?;
        } else if name.ends_with(TEST_SUFFIX) {
            let path = path.strip_prefix(".").map_or(path.clone(), Path::to_owned);
            paths.push(path);
        }
    }
    Ok(())
}
