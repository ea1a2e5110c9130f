//! Files with what a cluster served before a change: their names, and which of them a rollback takes.

use std::fs;
use std::path::{Path, PathBuf};

use tools::clock;

use super::archive::{Archive, Changed};
use super::content::Digest;
use super::marker;
use super::nodes::Picture;

const START: &str = "asudf-kept-";
const END: &str = ".tar";

/// How the files of a cluster begin. What is no letter, digit, `-`, `_` or `.` in its name becomes `_`.
fn start(cluster: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let cluster = cluster.chars().map(|c| if fits(c) { c } else { '_' });
    format!("{START}{}-", cluster.collect::<String>())
}

/// A name for a file of now: `asudf-kept-near-20261127T031423.512Z.tar`. By name they are in the order of time.
pub(crate) fn file_name(cluster: &str) -> String {
    let (seconds, nanoseconds) = clock::now();
    let time = clock::spelled(seconds, "%Y%m%dT%H%M%S");
    format!(
        "{}{time}.{:03}Z{END}",
        start(cluster),
        nanoseconds / 1_000_000
    )
}

/// The latest file in a folder that was kept before a change of this cluster by this command.
///
/// # Errors
/// The folder or a file cannot be read, or there is none.
pub(crate) fn latest(
    folder: &Path,
    cluster: &str,
    doing: &str,
) -> Result<(PathBuf, Archive), String> {
    let start = start(cluster);
    let entries = fs::read_dir(folder)
        .map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            name.is_some_and(|name| {
                // What is behind the name of the cluster is a time; another cluster's name may begin so as well.
                let time = name
                    .strip_prefix(&start)
                    .and_then(|rest| rest.strip_suffix(END));
                time.is_some_and(|time| {
                    time.len() == 20 && time.ends_with('Z') && !time.contains('-')
                })
            })
        })
        .collect();
    paths.sort();
    while let Some(path) = paths.pop() {
        let archive = Archive::read(&path)?;
        let change = archive.manifest.change.as_ref();
        if archive.manifest.cluster == cluster && change.is_some_and(|change| change.doing == doing)
        {
            return Ok((path, archive));
        }
    }
    Err(format!(
        "there is no file {start}TIME{END} in {}: name the file that `asudf {doing}` said it kept with --from",
        folder.display()
    ))
}

/// What modules were before an apply that did not end is what they were before this one as well: a rollback is to take
/// back both.
///
/// Gives the names that were found in the earlier archive.
pub(crate) fn reach_back(
    archive: &mut Archive,
    earlier: &Archive,
    picture: &Picture,
) -> Vec<String> {
    let Some(before) = &earlier.manifest.change else {
        return Vec::new();
    };
    if let Some(project) = &before.project {
        let record = marker::record_name(project);
        archive.replace(&record, earlier.module(&record));
    }
    let mut found = Vec::new();
    for changed in &before.modules {
        let now = picture
            .usual(&changed.name)
            .map(|digest| digest.to_string());
        // Whatever is neither of the two was put by somebody else since.
        if now != changed.after && now != changed.before {
            continue;
        }
        archive.replace(&changed.name, earlier.module(&changed.name));
        let Some(change) = &mut archive.manifest.change else {
            continue;
        };
        match change
            .modules
            .iter_mut()
            .find(|now| now.name == changed.name)
        {
            Some(now) => now.before.clone_from(&changed.before),
            None if now == changed.before => continue,
            None => change.modules.push(Changed {
                name: changed.name.clone(),
                before: changed.before.clone(),
                after: now,
            }),
        }
        found.push(changed.name.clone());
    }
    found
}

/// SHA-256 of what most nodes serve under a name.
pub(crate) fn before(picture: &Picture, name: &str) -> Option<String> {
    picture.usual(name).as_ref().map(Digest::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::archive::Change;
    use super::*;

    fn keep(folder: &Path, name: &str, cluster: &str, doing: &str) {
        let (mut archive, _) = Archive::of(&Picture::default(), |_| false);
        archive.manifest.cluster = cluster.to_owned();
        archive.manifest.change = Some(Change {
            doing: doing.to_owned(),
            project: None,
            modules: Vec::new(),
        });
        archive.write(&folder.join(name), false).unwrap();
    }

    #[test]
    fn the_latest_of_a_cluster_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(
            latest(folder, "near", "apply")
                .unwrap_err()
                .contains("--from")
        );
        for (name, cluster, doing) in [
            ("asudf-kept-near-20260101T000000.000Z.tar", "near", "apply"),
            ("asudf-kept-near-20260102T000000.000Z.tar", "near", "apply"),
            (
                "asudf-kept-near-20260103T000000.000Z.tar",
                "near",
                "rollback",
            ),
            (
                "asudf-kept-near-by-20260104T000000.000Z.tar",
                "near-by",
                "apply",
            ),
            ("asudf-kept-near-20260105T000000.000Z.tar", "ne/ar", "apply"),
        ] {
            keep(folder, name, cluster, doing);
        }
        for (cluster, doing, expected) in [
            ("near", "apply", "asudf-kept-near-20260102T000000.000Z.tar"),
            (
                "near",
                "rollback",
                "asudf-kept-near-20260103T000000.000Z.tar",
            ),
            (
                "near-by",
                "apply",
                "asudf-kept-near-by-20260104T000000.000Z.tar",
            ),
        ] {
            let (path, _) = latest(folder, cluster, doing).unwrap();
            assert_eq!(path, folder.join(expected));
        }
        // A damaged file is told, and not passed over for an older one.
        fs::write(folder.join("asudf-kept-near-20260106T000000.000Z.tar"), "x").unwrap();
        assert!(
            latest(folder, "near", "apply")
                .unwrap_err()
                .contains("20260106")
        );
    }

    #[test]
    fn names_are_in_the_order_of_time() {
        let name = file_name("10.0.0.1:3000,[::1]:3000");
        assert!(
            name.starts_with("asudf-kept-10.0.0.1_3000____1__3000-20"),
            "{name}"
        );
        assert_eq!(
            name.len(),
            "asudf-kept-10.0.0.1_3000____1__3000-20261127T031423.512Z.tar".len()
        );
    }
}
