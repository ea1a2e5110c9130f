//! What must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::syntax::{Item, Visibility};
use crate::table::{Arrows, KNOTS, tables};
use crate::tree::{Target, Tree, Use};
use crate::{CheckError, Member, Workspace};

/// Members whose files nobody is to build on: their own tables would say nothing.
const WITHOUT_ROOMS: [&str; 2] = ["tests", "architecture"];

/// Everything that does not hold, one a line: place, then what is wrong.
///
/// # Errors
/// A file is no Rust.
pub fn findings(workspace: &Workspace) -> Result<Vec<String>, CheckError> {
    let tables = tables(&workspace.architecture);
    let members: Vec<String> = workspace.members.keys().cloned().collect();
    let mut findings = Vec::new();
    let mut trees = BTreeMap::new();
    for (name, member) in &workspace.members {
        trees.insert(name.clone(), Tree::of(member)?);
    }
    let crates = tables.get("the workspace");
    let empty = Arrows::new();
    let knots = tables.get(KNOTS).unwrap_or(&empty);
    for (name, member) in &workspace.members {
        let Some(tree) = trees.get(name) else {
            continue;
        };
        let uses = tree.uses(&members);
        if let Some(crates) = crates {
            dependencies(name, member, crates, &members, &mut findings);
        }
        if WITHOUT_ROOMS.contains(&name.as_str()) {
            continue;
        }
        match tables.get(name) {
            Some(arrows) => rooms(name, member, arrows, knots, tree, &uses, &mut findings),
            None if tree.modules.len() <= 2 => {}
            None => findings.push(format!(
                "ARCHITECTURE.md: no table of the rooms of `{name}`; it would say:\n{}",
                drawn_table(name, member, tree, &uses)
            )),
        }
        circles_of_files(name, member, knots, &uses, &mut findings);
    }
    match crates {
        Some(crates) => circles_of(crates, "the workspace", &empty, &mut findings),
        None => {
            findings.push("ARCHITECTURE.md: no table of the crates of `the workspace`".to_owned())
        }
    }
    public_items(workspace, &trees, &mut findings);
    documents(workspace, &mut findings);
    crate::silence::silent_defaults(workspace, &mut findings);
    prose(&workspace.architecture, &mut findings);
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The room of a file: the first part of its path below `src`.
fn room_of<'p>(member: &Member, path: &'p str) -> Option<&'p str> {
    let below = path
        .strip_prefix(member.directory.as_str())?
        .strip_prefix("/src/")?;
    let first = below.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

fn rooms(
    name: &str,
    member: &Member,
    arrows: &Arrows,
    knots: &Arrows,
    tree: &Tree,
    uses: &[Use],
    findings: &mut Vec<String>,
) {
    let mut present = BTreeSet::new();
    for module in tree.modules.values().filter(|module| !module.is_test) {
        let room = room_of(member, &module.file).filter(|room| *room != "lib");
        if let Some(room) = room
            && present.insert(room)
            && !arrows.contains_key(room)
        {
            findings.push(format!(
                "{}: the room `{room}` of `{name}` is not in the table of ARCHITECTURE.md",
                module.file
            ));
        }
    }
    for room in arrows
        .keys()
        .filter(|room| !present.contains(room.as_str()))
    {
        findings.push(format!(
            "ARCHITECTURE.md: there is no room `{room}` in `{name}`"
        ));
    }
    let mut drawn: BTreeSet<(&str, &str)> = BTreeSet::new();
    for used in uses {
        let Target::File(to) = &used.to else { continue };
        let (Some(from), Some(to)) = (room_of(member, &used.from), room_of(member, to)) else {
            continue;
        };
        if from == to || from == "lib" || to == "lib" {
            continue;
        }
        drawn.insert((from, to));
        if arrows.get(from).is_some_and(|may| !may.contains(to)) {
            findings.push(format!(
                "{}:{}: `{from}` may not use `{to}`, which `{}` is in",
                used.from, used.line, used.path
            ));
        }
    }
    for (from, may) in arrows {
        for to in may
            .iter()
            .filter(|to| !drawn.contains(&(from.as_str(), to.as_str())))
        {
            findings.push(format!(
                "ARCHITECTURE.md: `{from}` of `{name}` does not use `{to}`"
            ));
        }
    }
    circles_of(arrows, name, knots, findings);
}

/// The table as the source has it.
fn drawn_table(name: &str, member: &Member, tree: &Tree, uses: &[Use]) -> String {
    let mut drawn: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for module in tree.modules.values().filter(|module| !module.is_test) {
        if let Some(room) = room_of(member, &module.file).filter(|room| *room != "lib") {
            drawn.entry(room).or_default();
        }
    }
    for used in uses {
        let Target::File(to) = &used.to else { continue };
        let (Some(from), Some(to)) = (room_of(member, &used.from), room_of(member, to)) else {
            continue;
        };
        if from != to && to != "lib" {
            drawn.entry(from).or_default().insert(to);
        }
    }
    let mut text = format!("| room of `{name}` | may use |\n|---|---|\n");
    for (room, may) in drawn {
        let may: Vec<String> = may.iter().map(|to| format!("`{to}`")).collect();
        let _ = writeln!(text, "| `{room}` | {} |", may.join(" "));
    }
    text
}

/// Members that a manifest names among what the crate itself is built from.
fn dependencies(
    name: &str,
    member: &Member,
    crates: &Arrows,
    members: &[String],
    findings: &mut Vec<String>,
) {
    let manifest = format!("{}/Cargo.toml", member.directory);
    let Some(may) = crates.get(name) else {
        findings.push(format!(
            "{manifest}: `{name}` is not in the table of ARCHITECTURE.md"
        ));
        return;
    };
    let mut section = "";
    let mut used = BTreeSet::new();
    for line in member.manifest.lines() {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let dependency = line.split(['.', ' ', '=']).next().unwrap_or_default();
        if section == "[dependencies]" && members.iter().any(|member| member == dependency) {
            used.insert(dependency);
            if !may.contains(dependency) {
                findings.push(format!(
                    "{manifest}: `{name}` may not depend on `{dependency}`"
                ));
            }
        }
    }
    for dependency in may
        .iter()
        .filter(|dependency| !used.contains(dependency.as_str()))
    {
        findings.push(format!(
            "ARCHITECTURE.md: `{name}` does not depend on `{dependency}`"
        ));
    }
}

fn circles_of(arrows: &Arrows, name: &str, knots: &Arrows, findings: &mut Vec<String>) {
    for circle in circles(arrows) {
        let rooms: BTreeSet<String> = circle.iter().cloned().collect();
        if knots.get(name).is_some_and(|knot| rooms.is_subset(knot)) {
            continue;
        }
        findings.push(format!(
            "ARCHITECTURE.md: a circle of {name}: {}",
            circle.join(" ")
        ));
    }
}

/// Files of a room that use each other. A `mod.rs` and the files below it are one thing, and so are the files of a knot.
fn circles_of_files(
    name: &str,
    member: &Member,
    knots: &Arrows,
    uses: &[Use],
    findings: &mut Vec<String>,
) {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for used in uses.iter().filter(|used| !used.is_reexport) {
        let Target::File(to) = &used.to else { continue };
        let is_front = is_above(&used.from, to) || is_above(to, &used.from);
        if !is_front && room_of(member, &used.from) == room_of(member, to) {
            edges
                .entry(used.from.clone())
                .or_default()
                .insert(to.clone());
        }
    }
    for circle in circles(&edges) {
        let below = |file: &str| file.rsplit("/src/").next().unwrap_or(file).to_owned();
        let files: BTreeSet<String> = circle.iter().map(|file| below(file)).collect();
        if knots.get(name).is_some_and(|knot| files.is_subset(knot)) {
            continue;
        }
        let mut text = format!(
            "{}: a circle of {} files:",
            circle.first().map_or("", String::as_str),
            circle.len()
        );
        for file in &circle {
            let _ = write!(text, " {}", file.rsplit("/src/").next().unwrap_or(file));
        }
        findings.push(text);
    }
}

/// Whether a file is the `mod.rs` of a directory that holds the other.
fn is_above(file: &str, other: &str) -> bool {
    file.strip_suffix("mod.rs")
        .is_some_and(|directory| other.starts_with(directory))
}

/// The groups of at least two places that reach each other.
fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> = edges
        .keys()
        .map(|from| {
            let mut reached = BTreeSet::new();
            let mut open = vec![from.as_str()];
            while let Some(place) = open.pop() {
                for next in edges.get(place).into_iter().flatten() {
                    if reached.insert(next.as_str()) {
                        open.push(next);
                    }
                }
            }
            (from.as_str(), reached)
        })
        .collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (from, reached) in &reach {
        if !reached.contains(from) {
            continue;
        }
        let group: Vec<String> = reached
            .iter()
            .filter(|other| reach.get(**other).is_some_and(|back| back.contains(from)))
            .map(|other| (*other).to_owned())
            .collect();
        circles.insert(group);
    }
    circles.into_iter().collect()
}

/// Items that are `pub` for nobody.
fn public_items(workspace: &Workspace, trees: &BTreeMap<String, Tree>, findings: &mut Vec<String>) {
    let mut files_with: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for member in workspace.members.values() {
        for (path, text) in &member.files {
            let Ok(source) = crate::syntax::read(text) else {
                continue;
            };
            for name in source.names {
                files_with.entry(name).or_default().insert(path.clone());
            }
        }
    }
    for (name, tree) in trees {
        if WITHOUT_ROOMS.contains(&name.as_str()) {
            continue;
        }
        let sources = tree
            .sources
            .iter()
            .filter(|(path, _)| !path.contains("/tests/"));
        for (path, source) in sources {
            let shown: BTreeSet<&str> = shown_names(&source.items);
            for item in public(&source.items) {
                let elsewhere = files_with
                    .get(&item.name)
                    .is_some_and(|files| files.iter().any(|file| file != path));
                if !elsewhere && !shown.contains(item.name.as_str()) {
                    findings.push(format!(
                        "{path}:{}: nothing outside of its file uses `{}`, so it need not be pub",
                        item.line, item.name
                    ));
                }
            }
        }
    }
}

fn public(items: &[Item]) -> Vec<&Item> {
    let mut found = Vec::new();
    for item in items
        .iter()
        .filter(|item| !item.is_test && !item.is_foreign)
    {
        let is_named = !matches!(
            item.keyword.as_str(),
            "use" | "impl" | "mod" | "macro_rules"
        );
        if is_named && item.visibility == Visibility::Public && !item.name.is_empty() {
            found.push(item);
        }
        if item.keyword == "impl" || item.keyword == "mod" {
            found.extend(public(&item.items));
        }
    }
    found
}

/// Names that other items show which are seen outside: types of parameters, results and fields.
fn shown_names(items: &[Item]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for item in items {
        let own = item.name.as_str();
        if item.visibility != Visibility::Private || item.is_foreign || item.keyword == "trait" {
            names.extend(
                item.shown
                    .iter()
                    .map(String::as_str)
                    .filter(|name| *name != own),
            );
        }
        names.extend(shown_names(&item.items));
    }
    names
}

/// Documents that comments name and that are not there.
fn documents(workspace: &Workspace, findings: &mut Vec<String>) {
    let files = workspace.members.values().flat_map(|member| &member.files);
    for (path, text) in files {
        for (at, line) in text.lines().enumerate() {
            let Some((_, comment)) = line.split_once("//") else {
                continue;
            };
            for word in comment.split(|c: char| c.is_whitespace() || "`'\"()[],;:".contains(c)) {
                let word = word.trim_end_matches('.');
                let is_document = [".md", ".jsonl"]
                    .iter()
                    .any(|end| word.len() > end.len() && word.ends_with(end));
                let is_there = || {
                    workspace
                        .documents
                        .iter()
                        .any(|document| document == word || document.ends_with(&format!("/{word}")))
                };
                if is_document && !is_there() {
                    findings.push(format!(
                        "{path}:{}: `{word}` is not in the repository",
                        at + 1
                    ));
                }
            }
            if comment.contains("specification ") {
                let behind = comment.split("specification ").nth(1).unwrap_or_default();
                if behind.starts_with(|c: char| c.is_ascii_digit()) {
                    findings.push(format!(
                        "{path}:{}: a specification that is not in the repository",
                        at + 1
                    ));
                }
            }
        }
    }
}

/// Most lines of `ARCHITECTURE.md`, and most words of a sentence in it.
const MAX_LINES: usize = 200;
const MAX_WORDS: usize = 40;

/// `ARCHITECTURE.md` stays short, and so do its sentences.
fn prose(text: &str, findings: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        findings.push(format!(
            "ARCHITECTURE.md: {lines} lines, {MAX_LINES} is the limit"
        ));
    }
    let is_prose = |line: &&str| !line.starts_with(['|', '#']) && !line.starts_with("    ");
    for paragraph in text.split("\n\n") {
        let joined: Vec<&str> = paragraph.lines().filter(is_prose).collect();
        let sentences = joined.join(" ").replace(".**", ". ").replace(":**", ". ");
        for sentence in sentences.split(". ") {
            let words = sentence.split_whitespace().count();
            if words > MAX_WORDS {
                let begin: Vec<&str> = sentence.split_whitespace().take(8).collect();
                findings.push(format!(
                    "ARCHITECTURE.md: a sentence of {words} words: {} …",
                    begin.join(" ")
                ));
            }
        }
    }
}
