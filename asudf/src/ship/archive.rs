//! All modules of a cluster in one file: a tar archive that begins with what it holds.
//!
//! ```text
//! asudf.json           version, cluster, time, who; every module with its SHA-256; what an apply was about to change
//! modules/NAME         as most nodes served it
//! nodes/ID/NAME        as that node served it, where it was another content
//! ```
//!
//! Nothing of an archive is believed before it is checked: it holds exactly the files that its first one names, plain ones
//! of a bounded size, with their digests. It is read into memory and never unpacked.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tempfile::Builder as TemporaryFile;
use tools::terminal::safe;

use super::content::{Digest, Module, SOURCE_MAX, wrong_name};
use super::nodes::{Picture, Served};

const VERSION: u32 = 1;
/// The first file of an archive.
const MANIFEST: &str = "asudf.json";
/// How many files an archive may have.
const FILES_MAX: usize = 65_536;
/// Longest list of what it holds, bytes.
const MANIFEST_MAX: usize = 64 << 20;
/// Longest archive, bytes.
const ARCHIVE_MAX: u64 = 2 << 30;

/// What an archive says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Manifest {
    version: u32,
    /// The cluster as it was named.
    pub(crate) cluster: String,
    /// When, UTC.
    pub(crate) at: String,
    /// Who: user and machine.
    pub(crate) by: String,
    /// Version of the program.
    pub(crate) program: String,
    modules: Vec<Entry>,
    variants: Vec<Variant>,
    /// What was about to be changed, in an archive that is kept before a change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    sha256: String,
    bytes: usize,
}

/// A node that served something else than most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Variant {
    node: String,
    name: String,
    /// None: nothing.
    sha256: Option<String>,
    bytes: usize,
}

/// A change of modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The command.
    pub(crate) doing: String,
    /// The project; none if it was no project's.
    pub(crate) project: Option<String>,
    /// What is changed.
    pub(crate) modules: Vec<Changed>,
}

/// A module before and after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Its file name.
    pub(crate) name: String,
    /// SHA-256 of what most nodes served; none if there was no such module.
    pub(crate) before: Option<String>,
    /// The same of what is put; none if it is removed.
    pub(crate) after: Option<String>,
}

/// An archive in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    /// What it says about itself.
    pub(crate) manifest: Manifest,
    contents: HashMap<Digest, Arc<[u8]>>,
}

impl Archive {
    /// Of all modules that nodes serve, but for those that `leaves_out`; and which modules are not in it, with the reason.
    pub(crate) fn of(picture: &Picture, leaves_out: impl Fn(&str) -> bool) -> (Self, Vec<String>) {
        let mut archive = Self {
            manifest: Manifest {
                version: VERSION,
                program: concat!("asudf ", env!("CARGO_PKG_VERSION")).to_owned(),
                ..Manifest::default()
            },
            contents: HashMap::new(),
        };
        let mut missing = Vec::new();
        for name in picture.names().into_iter().filter(|name| !leaves_out(name)) {
            if let Some(why) = wrong_name(name) {
                missing.push(format!("`{}`: the name {why}", name.escape_debug()));
                continue;
            }
            let Some(usual) = picture.module(name) else {
                let reason = picture.served(name).find_map(|served| match served {
                    Some(Served::Unreadable(reason)) => Some(reason.as_str()),
                    _ => None,
                });
                missing.push(format!(
                    "{name}: no node gives it ({})",
                    reason.unwrap_or("not asked")
                ));
                continue;
            };
            archive.manifest.modules.push(Entry {
                name: name.to_owned(),
                sha256: usual.digest.to_string(),
                bytes: usual.source.len(),
            });
            for node in &picture.nodes {
                let digest = match node.served.get(name) {
                    Some(Served::Content(digest)) if *digest == usual.digest => continue,
                    Some(Served::Content(digest)) => Some(*digest),
                    _ => None,
                };
                let content = digest.and_then(|digest| picture.contents.get(&digest));
                if let (Some(digest), Some(content)) = (digest, content) {
                    archive.contents.insert(digest, Arc::clone(content));
                }
                archive.manifest.variants.push(Variant {
                    node: node.id.clone(),
                    name: name.to_owned(),
                    sha256: digest.map(|digest| digest.to_string()),
                    bytes: content.map_or(0, |content| content.len()),
                });
            }
            archive.contents.insert(usual.digest, usual.source);
        }
        (archive, missing)
    }

    /// The modules, each as most nodes served it.
    pub(crate) fn modules(&self) -> Vec<Module> {
        let entries = self.manifest.modules.iter();
        entries
            .filter_map(|entry| self.content(&entry.name, &entry.sha256))
            .collect()
    }

    /// The module of that name.
    pub(crate) fn module(&self, name: &str) -> Option<Module> {
        let entry = self
            .manifest
            .modules
            .iter()
            .find(|entry| entry.name == name)?;
        self.content(name, &entry.sha256)
    }

    fn content(&self, name: &str, sha256: &str) -> Option<Module> {
        let digest = Digest::parse(sha256)?;
        let source = Arc::clone(self.contents.get(&digest)?);
        Some(Module {
            name: name.to_owned(),
            source,
            digest,
        })
    }

    /// Modules of which some node served another content, or none.
    pub(crate) fn differing(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .manifest
            .variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        names.dedup();
        names
    }

    /// Has a module be what it was at another time: what this archive says of it is replaced.
    pub(crate) fn replace(&mut self, name: &str, module: Option<Module>) {
        self.manifest.modules.retain(|entry| entry.name != name);
        self.manifest
            .variants
            .retain(|variant| variant.name != name);
        if let Some(module) = module {
            self.manifest.modules.push(Entry {
                name: name.to_owned(),
                sha256: module.digest.to_string(),
                bytes: module.source.len(),
            });
            self.contents.insert(module.digest, module.source);
        }
    }

    /// Path, digest and size of every file behind the first, in order.
    fn files(manifest: &Manifest) -> Vec<(String, &str, usize)> {
        let modules = manifest.modules.iter();
        let modules = modules.map(|entry| {
            (
                format!("modules/{}", entry.name),
                entry.sha256.as_str(),
                entry.bytes,
            )
        });
        let variants = manifest.variants.iter().filter_map(|variant| {
            let path = format!("nodes/{}/{}", variant.node, variant.name);
            Some((path, variant.sha256.as_deref()?, variant.bytes))
        });
        modules.chain(variants).collect()
    }

    /// The bytes of the file.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut add = |path: &str, content: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, path, content)
        };
        add(MANIFEST, tools::json::text(&self.manifest)?.as_bytes())?;
        for (path, sha256, _) in Self::files(&self.manifest) {
            let content = Digest::parse(sha256).and_then(|digest| self.contents.get(&digest));
            let missing = || io::Error::other(format!("no content of {path}"));
            add(&path, content.ok_or_else(missing)?)?;
        }
        tar.into_inner()
    }

    /// Writes it: whole, or not at all. A file of that name is replaced if `replaces`.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write(&self, path: &Path, replaces: bool) -> Result<(), String> {
        let cannot = |error: io::Error| format!("cannot write {}: {error}", path.display());
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let bytes = self.bytes().map_err(cannot)?;
        let file = TemporaryFile::new()
            .prefix(".asudf-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(cannot)?;
        fs::write(file.path(), bytes).map_err(cannot)?;
        file.as_file().sync_all().map_err(cannot)?;
        let kept = match replaces {
            true => file.persist(path),
            false => file.persist_noclobber(path),
        };
        kept.map_err(|error| cannot(error.error))?;
        // The name is to last as well.
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(cannot)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is not what [`Archive::write`] writes.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
        let size = file
            .metadata()
            .map_err(|error| format!("cannot read {shown}: {error}"))?
            .len();
        if size > ARCHIVE_MAX {
            return Err(format!(
                "{shown} has {size} bytes, an archive at most {ARCHIVE_MAX}"
            ));
        }
        Self::parse(file.take(ARCHIVE_MAX)).map_err(|reason| {
            let reason = safe::line(&reason);
            format!("{shown} is not an archive that asudf wrote: {reason}; nothing of it was used")
        })
    }

    fn parse(file: impl Read) -> Result<Self, String> {
        let wrong = |error: io::Error| error.to_string();
        let mut tar = tar::Archive::new(file);
        let mut files = tar.entries().map_err(wrong)?.enumerate();
        let (_, first) = files.next().ok_or("it is empty")?;
        let (name, text) = plain_file(first.map_err(wrong)?, MANIFEST_MAX)?;
        if name != MANIFEST.as_bytes() {
            return Err(format!("its first file is not {MANIFEST}"));
        }
        let manifest: Manifest =
            serde_json::from_slice(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
        manifest.check()?;
        let mut expected: BTreeMap<Vec<u8>, (Digest, usize)> = BTreeMap::new();
        for (path, sha256, bytes) in Self::files(&manifest) {
            let digest =
                Digest::parse(sha256).ok_or_else(|| format!("{MANIFEST}: the digest of {path}"))?;
            if expected
                .insert(path.clone().into_bytes(), (digest, bytes))
                .is_some()
            {
                return Err(format!("{MANIFEST}: {path} twice"));
            }
        }
        let mut contents = HashMap::new();
        for (index, entry) in files {
            if index > FILES_MAX {
                return Err(format!("more than {FILES_MAX} files"));
            }
            let (name, source) = plain_file(entry.map_err(wrong)?, SOURCE_MAX)?;
            let shown = || name.escape_ascii().to_string();
            // The second of two files of one name is not expected any more.
            let (digest, bytes) = expected
                .remove(&name)
                .ok_or_else(|| format!("`{}` is not among what it says to hold", shown()))?;
            if source.len() != bytes || Digest::of(&source) != digest {
                return Err(format!("`{}` is not what it says it is", shown()));
            }
            contents.insert(digest, Arc::from(source));
        }
        match expected.first_key_value() {
            Some((name, _)) => Err(format!("`{}` is missing", name.escape_ascii())),
            None => Ok(Self { manifest, contents }),
        }
    }
}

/// Path and content of an entry that is a plain file of at most so many bytes.
fn plain_file<R: Read>(
    mut entry: tar::Entry<'_, R>,
    most: usize,
) -> Result<(Vec<u8>, Vec<u8>), String> {
    let name = entry.path_bytes().into_owned();
    let shown = name.escape_ascii().to_string();
    let kind = entry.header().entry_type();
    if kind != tar::EntryType::Regular {
        return Err(format!("`{shown}` is no plain file but {kind:?}"));
    }
    if entry.size() > most as u64 {
        return Err(format!(
            "`{shown}` has {} bytes, at most {most} are read",
            entry.size()
        ));
    }
    let mut content = Vec::new();
    entry
        .read_to_end(&mut content)
        .map_err(|error| format!("`{shown}`: {error}"))?;
    Ok((name, content))
}

impl Manifest {
    fn check(&self) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!(
                "it is of version {}, this asudf knows {VERSION}",
                self.version
            ));
        }
        let names = self.modules.iter().map(|entry| &entry.name);
        let names = names.chain(self.variants.iter().map(|variant| &variant.name));
        let changed = self.change.iter().flat_map(|change| &change.modules);
        for name in names.chain(changed.clone().map(|changed| &changed.name)) {
            if let Some(why) = wrong_name(name) {
                return Err(format!(
                    "a module `{}`: its name {why}",
                    name.escape_debug()
                ));
            }
        }
        for node in self.variants.iter().map(|variant| &variant.node) {
            if node.is_empty()
                || node.len() > 64
                || !node.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return Err(format!("a node `{}`", node.escape_debug()));
            }
        }
        for changed in changed {
            let has = |digest: &String| {
                self.modules
                    .iter()
                    .any(|entry| entry.name == changed.name && entry.sha256 == *digest)
            };
            if changed.before.as_ref().is_some_and(|before| !has(before)) {
                return Err(format!("what {} was before is not in it", changed.name));
            }
            if changed
                .after
                .as_ref()
                .is_some_and(|after| Digest::parse(after).is_none())
            {
                return Err(format!("the digest of {}", changed.name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::nodes::NodeModules;
    use super::*;

    fn picture() -> Picture {
        let mut picture = Picture::default();
        for (id, modules) in [
            ("A1", &[("a.lua", "one"), ("b.lua", "two")][..]),
            ("A2", &[("a.lua", "one"), ("b.lua", "other")]),
            (
                "A3",
                &[("a.lua", "one"), ("b.lua", "two"), ("c.lua", "three")],
            ),
        ] {
            let mut node = NodeModules {
                id: id.to_owned(),
                name: format!("{id}:3000"),
                build: String::new(),
                listed: BTreeMap::new(),
                served: BTreeMap::new(),
            };
            for (name, content) in modules {
                let digest = Digest::of(content.as_bytes());
                picture.contents.insert(digest, content.as_bytes().into());
                node.listed.insert((*name).to_owned(), String::new());
                node.served
                    .insert((*name).to_owned(), Served::Content(digest));
            }
            picture.nodes.push(node);
        }
        picture
    }

    fn archive() -> Archive {
        let mut archive = Archive::of(&picture(), |_| false).0;
        archive.manifest.cluster = "near".to_owned();
        archive
    }

    #[test]
    fn an_archive_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        let mut archive = archive();
        let long = format!("{}.lua", "n".repeat(120));
        archive.replace(&long, Some(Module::new(&long, &b"long"[..])));
        archive.write(&path, false).unwrap();
        let read = Archive::read(&path).unwrap();
        assert_eq!(read.manifest, archive.manifest);
        assert_eq!(read.differing(), ["b.lua", "c.lua"]);
        assert_eq!(&read.module("b.lua").unwrap().source[..], b"two");
        assert_eq!(&read.module(&long).unwrap().source[..], b"long");
        assert_eq!(read.modules().len(), 4);
        // Whole or not at all: no other file is there, and none is replaced unasked.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(archive.write(&path, false).unwrap_err().contains("x.tar"));
        archive.write(&path, true).unwrap();
        assert!(
            archive
                .write(&folder.path().join("no/x.tar"), true)
                .is_err()
        );
    }

    /// Files of a hostile archive: path, kind, content.
    fn tar_of(files: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            // `set_path` refuses what is to be tried.
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            if *kind == tar::EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn hostile_archives_are_refused() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let good = |modules: &str| {
            format!(
                "{{\"version\":1,\"cluster\":\"\",\"at\":\"\",\"by\":\"\",\"program\":\"\",\"variants\":[],\"modules\":[{modules}]}}"
            )
        };
        let entry = |name: &str, content: &[u8]| {
            let digest = Digest::of(content);
            format!(
                "{{\"name\":\"{name}\",\"sha256\":\"{digest}\",\"bytes\":{}}}",
                content.len()
            )
        };
        let one = good(&entry("a.lua", b"x"));
        let large = vec![b'-'; SOURCE_MAX + 1];
        let manifest = |text: &str| ("asudf.json".to_owned(), Regular, text.as_bytes().to_vec());
        let file = |path: &str, content: &[u8]| (path.to_owned(), Regular, content.to_vec());
        for (files, expected) in [
            (vec![], "it is empty"),
            (
                vec![file("modules/a.lua", b"x")],
                "first file is not asudf.json",
            ),
            (vec![manifest("{")], "asudf.json: "),
            (vec![manifest(&one.replace(":1,", ":2,"))], "of version 2"),
            (vec![manifest(&one)], "`modules/a.lua` is missing"),
            (
                vec![manifest(&one), file("modules/a.lua", b"y")],
                "not what it says it is",
            ),
            (
                vec![manifest(&one), file("modules/a.lua", b"xx")],
                "not what it says it is",
            ),
            (
                vec![
                    manifest(&one),
                    file("modules/a.lua", b"x"),
                    file("modules/a.lua", b"x"),
                ],
                "not among what it says to hold",
            ),
            (
                vec![manifest(&one), file("modules/../../a.lua", b"x")],
                "not among what it says to hold",
            ),
            (
                vec![manifest(&one), file("/modules/a.lua", b"x")],
                "not among",
            ),
            (
                vec![manifest(&one), file("./modules/a.lua", b"x")],
                "not among",
            ),
            (
                vec![
                    manifest(&one),
                    ("modules/a.lua".to_owned(), Symlink, Vec::new()),
                ],
                "no plain file but Symlink",
            ),
            (
                vec![
                    manifest(&one),
                    ("modules".to_owned(), Directory, Vec::new()),
                ],
                "no plain file but Directory",
            ),
            (
                vec![manifest(&good(&entry("../a.lua", b"x")))],
                "a module `../a.lua`",
            ),
            (vec![manifest(&good(&entry("a", b"x")))], "a module `a`"),
            (
                vec![manifest(&good(
                    &[entry("a.lua", b"x"), entry("a.lua", b"x")].join(","),
                ))],
                "twice",
            ),
            (
                vec![
                    manifest(&good(&entry("a.lua", &large))),
                    file("modules/a.lua", &large),
                ],
                "at most 1048576 are read",
            ),
        ] {
            let files: Vec<_> = files
                .iter()
                .map(|(path, kind, content)| (path.as_str(), *kind, content.as_slice()))
                .collect();
            let error = Archive::parse(&tar_of(&files)[..]).unwrap_err();
            assert!(error.contains(expected), "{error}; expected {expected}");
        }
        for (bytes, expected) in [
            (&b"no archive at all"[..], "failed to read entire block"),
            (&[0xff; 2048], "numeric field did not have utf-8 text"),
            (&[0; 100], "failed to read entire block"),
        ] {
            let error = Archive::parse(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}; expected {expected}");
        }
        // A size that is not there.
        let whole = tar_of(&[("asudf.json", Regular, one.as_bytes())]);
        let error = Archive::parse(&whole[..600]).unwrap_err();
        assert!(
            error.starts_with("asudf.json: EOF while parsing"),
            "{error}"
        );
    }

    #[test]
    fn what_an_archive_says_about_a_change_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        let digest = |text: &str| Some(Digest::of(text.as_bytes()).to_string());
        for (name, before, after, good) in [
            ("a.lua", digest("one"), None, true),
            ("n.lua", None, digest("new"), true),
            ("a.lua", digest("other"), None, false),
            ("../n.lua", None, digest("new"), false),
            ("n.lua", None, Some("new".to_owned()), false),
        ] {
            let mut archive = archive();
            archive.manifest.change = Some(Change {
                doing: "apply".to_owned(),
                project: None,
                modules: vec![Changed {
                    name: name.to_owned(),
                    before,
                    after,
                }],
            });
            archive.write(&path, true).unwrap();
            assert_eq!(Archive::read(&path).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn what_no_node_gives_is_told() {
        let mut picture = picture();
        let unreadable = || Served::Unreadable("not_found".to_owned());
        picture.nodes[1]
            .served
            .insert("a.lua".to_owned(), unreadable());
        picture.nodes[2]
            .served
            .insert("c.lua".to_owned(), unreadable());
        picture.nodes[0]
            .listed
            .insert("x=y.lua".to_owned(), String::new());
        let (archive, missing) = Archive::of(&picture, |_| false);
        assert_eq!(
            missing,
            [
                "c.lua: no node gives it (not_found)",
                "`x=y.lua`: the name may not have `/`, `\\`, `;`, `:`, `=`, `,` or control characters in it"
            ]
        );
        assert_eq!(archive.differing(), ["a.lua", "b.lua"]);
        assert_eq!(archive.modules().len(), 2);
    }
}
