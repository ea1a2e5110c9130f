//! What is to be done so that a cluster serves what is wanted. Pure: from what nodes serve to what they are to serve.

use std::collections::BTreeMap;

use super::content::{Digest, Module};
use super::marker::{PREFIX, Record, Unfinished};
use super::nodes::{Picture, Served};
use super::order::{Ordered, ordered};

/// What one node serves under a name, compared with what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    /// The content that is wanted.
    Same,
    /// Another content.
    Other(Digest),
    /// Nothing.
    Absent,
    /// Something that it does not give. Why.
    Unreadable(String),
}

/// What is done with a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Every node serves it as it is wanted.
    Same,
    /// It is put; no node has it.
    Add,
    /// It is put; a node serves something else, or nothing.
    Change,
    /// It is removed.
    Remove,
    /// It stays, although it is not wanted. Why.
    Leave(&'static str),
}

/// A module and what each node serves of it, in the order of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its file name.
    pub(crate) name: String,
    /// What is done.
    pub(crate) action: Action,
    /// What the nodes serve.
    pub(crate) cells: Vec<Cell>,
    /// What they are to serve; none for what is not wanted.
    pub(crate) wanted: Option<Digest>,
}

impl Row {
    /// Of a module that every node is to serve.
    fn wanted(module: &Module, picture: &Picture) -> Self {
        let cells: Vec<Cell> = picture
            .served(&module.name)
            .map(|served| cell(served, Some(module.digest)))
            .collect();
        let action = if cells.iter().all(|cell| *cell == Cell::Same) {
            Action::Same
        } else if cells.iter().all(|cell| *cell == Cell::Absent) {
            Action::Add
        } else {
            Action::Change
        };
        Self {
            name: module.name.clone(),
            action,
            cells,
            wanted: Some(module.digest),
        }
    }

    /// Of a module that no node is to serve.
    fn unwanted(name: &str, action: Action, picture: &Picture) -> Self {
        Self {
            name: name.to_owned(),
            action,
            cells: picture
                .served(name)
                .map(|served| cell(served, None))
                .collect(),
            wanted: None,
        }
    }

    /// How many nodes do not serve what is wanted.
    pub(crate) fn differing(&self) -> usize {
        let cells = self.cells.iter();
        match self.wanted {
            Some(_) => cells.filter(|cell| **cell != Cell::Same).count(),
            None => cells.filter(|cell| **cell != Cell::Absent).count(),
        }
    }
}

fn cell(served: Option<&Served>, wanted: Option<Digest>) -> Cell {
    match served {
        None => Cell::Absent,
        Some(Served::Unreadable(reason)) => Cell::Unreadable(reason.clone()),
        Some(Served::Content(digest)) if Some(*digest) == wanted => Cell::Same,
        Some(Served::Content(digest)) => Cell::Other(*digest),
    }
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Modules in the order in which they are dealt with.
    pub(crate) rows: Vec<Row>,
    /// To be put, in this order.
    pub(crate) puts: Vec<Module>,
    /// To be removed after that, in this order.
    pub(crate) removals: Vec<String>,
    /// What is worth knowing before.
    pub(crate) warnings: Vec<String>,
    /// How many modules are not the project's business.
    pub(crate) others: usize,
}

impl Plan {
    /// Whether no module is to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }

    /// Has every node serve these modules, and none of those names.
    pub(crate) fn of(wanted: Ordered, unwanted: &[String], picture: &Picture) -> Self {
        let mut plan = Self::default();
        for module in wanted.modules {
            let row = Row::wanted(&module, picture);
            if row.action != Action::Same {
                plan.puts.push(module);
            }
            plan.rows.push(row);
        }
        plan.remove(unwanted, picture);
        plan.count_others(picture);
        plan
    }

    fn remove(&mut self, names: &[String], picture: &Picture) {
        let present = names
            .iter()
            .filter(|name| picture.names().contains(name.as_str()));
        let present: Vec<String> = present.cloned().collect();
        // Those that require others go first. Where that is not possible, by name.
        let modules: Vec<Module> = present
            .iter()
            .filter_map(|name| picture.module(name))
            .collect();
        let mut order: Vec<String> = match ordered(modules) {
            Ok(ordered) => ordered
                .modules
                .into_iter()
                .rev()
                .map(|module| module.name)
                .collect(),
            Err(_) => Vec::new(),
        };
        let unread = present.into_iter().filter(|name| !order.contains(name));
        let unread: Vec<String> = unread.collect();
        order.extend(unread);
        for name in order {
            self.rows
                .push(Row::unwanted(&name, Action::Remove, picture));
            self.removals.push(name);
        }
    }

    fn count_others(&mut self, picture: &Picture) {
        let known = |name: &str| self.rows.iter().any(|row| row.name == name);
        let names = picture.names();
        let others = names
            .iter()
            .filter(|name| !known(name) && !name.starts_with(PREFIX));
        self.others = others.count();
    }

    /// What an apply does: every node is to serve the modules of the folder. What an earlier apply of the project put there
    /// and the folder does not have any more is removed if `prune` says so, and nobody has changed it since.
    ///
    /// # Errors
    /// A module that would be removed is required by one that is wanted.
    pub(crate) fn apply(
        wanted: Ordered,
        record: Option<&Record>,
        picture: &Picture,
        prune: bool,
    ) -> Result<Self, String> {
        let names = picture.names();
        let is_wanted = |name: &str| wanted.modules.iter().any(|module| module.name == name);
        let earlier = record.into_iter().flat_map(|record| record.modules.keys());
        let gone = earlier.filter(|name| !is_wanted(name) && names.contains(name.as_str()));
        let (mut pruned, mut left) = (Vec::new(), Vec::new());
        for name in gone {
            let put = record.map_or_else(Vec::new, |record| record.put(name));
            let is_ours = picture.served(name).flatten().all(|served| match served {
                Served::Content(digest) => put.contains(digest),
                Served::Unreadable(_) => false,
            });
            match (is_ours, prune) {
                (true, true) => pruned.push(name.clone()),
                (true, false) => left.push((name, "no longer in the folder: --prune removes it")),
                (false, _) => left.push((
                    name,
                    "no longer in the folder, and changed by somebody else",
                )),
            }
        }
        let mut warnings = Vec::new();
        for (user, required) in &wanted.absent {
            if pruned.contains(required) {
                return Err(format!(
                    "{user} requires {required}, which is not in the folder and which --prune would remove"
                ));
            }
            if !names.contains(required.as_str()) && !SYSTEM_MODULES.contains(&required.as_str()) {
                warnings.push(format!(
                    "{user} requires {required}, which is neither in the folder nor on the cluster"
                ));
            }
        }
        let mut plan = Self::of(wanted, &pruned, picture);
        plan.warnings = warnings;
        for (name, why) in left {
            plan.rows
                .push(Row::unwanted(name, Action::Leave(why), picture));
        }
        plan.count_others(picture);
        Ok(plan)
    }
}

/// Modules that servers have themselves.
const SYSTEM_MODULES: [&str; 3] = ["aerospike.lua", "as.lua", "stream_ops.lua"];

/// The record while a plan is carried out: what is there because of the project whenever that is interrupted.
pub(crate) fn intended(record: &Record, plan: &Plan, unfinished: Unfinished) -> Record {
    let mut record = record.clone();
    for module in &plan.puts {
        let digests = record.modules.entry(module.name.clone()).or_default();
        let digest = module.digest.to_string();
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    record.unfinished = Some(unfinished);
    record
}

/// The record when a plan has been carried out.
pub(crate) fn settled(record: &Record, plan: &Plan) -> Record {
    let was_put: BTreeMap<&str, Digest> = plan
        .puts
        .iter()
        .map(|module| (module.name.as_str(), module.digest))
        .collect();
    let mut settled = record.clone();
    settled.unfinished = None;
    settled.modules.retain(|name, _| {
        plan.rows
            .iter()
            .any(|row| row.name == *name && row.action != Action::Remove)
    });
    for row in &plan.rows {
        let digest = match was_put.get(row.name.as_str()) {
            Some(digest) => *digest,
            // What is there is what the project put; what else it once was does not count any more.
            None => match row
                .wanted
                .filter(|digest| record.put(&row.name).contains(digest))
            {
                Some(digest) => digest,
                None => continue,
            },
        };
        settled
            .modules
            .insert(row.name.clone(), vec![digest.to_string()]);
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::super::nodes::NodeModules;
    use super::*;

    /// Nodes that serve `name=content name=content`; `!` as the content is one that cannot be read.
    fn picture(nodes: &[&str]) -> Picture {
        let mut picture = Picture::default();
        for (index, modules) in nodes.iter().enumerate() {
            let mut node = NodeModules {
                id: format!("A{index}"),
                name: format!("h{index}:3000"),
                build: "8.1.2.0".to_owned(),
                listed: BTreeMap::new(),
                served: BTreeMap::new(),
            };
            for (name, content) in modules
                .split_whitespace()
                .filter_map(|word| word.split_once('='))
            {
                let digest = Digest::of(content.as_bytes());
                let served = match content {
                    "!" => Served::Unreadable("damaged".to_owned()),
                    _ => Served::Content(digest),
                };
                picture.contents.insert(digest, content.as_bytes().into());
                node.listed.insert(format!("{name}.lua"), digest.short());
                node.served.insert(format!("{name}.lua"), served);
            }
            picture.nodes.push(node);
        }
        picture
    }

    fn wanted(modules: &str) -> Ordered {
        let modules = modules
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        let modules =
            modules.map(|(name, content)| Module::new(format!("{name}.lua"), content.as_bytes()));
        ordered(modules.collect()).unwrap()
    }

    fn record(modules: &str) -> Record {
        let mut record = Record::new("p", "me", "now");
        for (name, content) in modules
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
        {
            let digests = content
                .split('|')
                .map(|text| Digest::of(text.as_bytes()).to_string());
            record
                .modules
                .insert(format!("{name}.lua"), digests.collect());
        }
        record
    }

    fn shown(plan: &Plan) -> String {
        let rows = plan.rows.iter().map(|row| {
            let sign = match row.action {
                Action::Same => "=",
                Action::Add => "+",
                Action::Change => "~",
                Action::Remove => "-",
                Action::Leave(why) if why.contains("somebody") => "!",
                Action::Leave(_) => "?",
            };
            format!(
                "{sign}{}{}",
                row.name.trim_end_matches(".lua"),
                row.differing()
            )
        });
        rows.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_to_be_done_follows_from_what_every_node_serves() {
        for (nodes, folder, earlier, prune, expected) in [
            (&["", ""][..], "a=1 b=2", "", false, "+a2 +b2"),
            (&["a=1", "a=1"], "a=1", "", false, "=a0"),
            // Not names: contents, on every node.
            (&["a=1", "a=2"], "a=1", "", false, "~a1"),
            (&["a=1", ""], "a=1", "", false, "~a1"),
            (&["a=1", "a=!"], "a=1", "", false, "~a1"),
            // Others' modules are left alone.
            (&["x=1 y=2"], "a=1", "", true, "+a1"),
            (&["x=1"], "", "x=1", false, "?x1"),
            (&["x=1"], "", "x=1", true, "-x1"),
            (&["x=1"], "", "x=0|1", true, "-x1"),
            (&["x=1", ""], "", "x=1", true, "-x1"),
            // Somebody else put another content there since.
            (&["x=2"], "", "x=1", true, "!x1"),
            (&["x=1", "x=2"], "", "x=1", true, "!x2"),
            (&["x=!"], "", "x=1", true, "!x1"),
            (&["a=1"], "a=1", "x=1", true, "=a0"),
        ] {
            let (picture, record) = (picture(nodes), record(earlier));
            let plan = Plan::apply(wanted(folder), Some(&record), &picture, prune).unwrap();
            assert_eq!(shown(&plan), expected, "{nodes:?} {folder} {earlier}");
        }
        let plan = Plan::apply(wanted("a=1"), None, &picture(&["x=1 y=2 a=1"]), true).unwrap();
        assert_eq!(plan.others, 2);
    }

    #[test]
    fn what_is_removed_is_required_by_nobody() {
        let picture = picture(&["x=1 y=require'x'"]);
        let record = record("x=1 y=require'x'");
        let plan = Plan::apply(wanted(""), Some(&record), &picture, true).unwrap();
        assert_eq!(plan.removals, ["y.lua", "x.lua"]);
        let error = Plan::apply(wanted("a=require'x'"), Some(&record), &picture, true).unwrap_err();
        assert!(error.contains("a.lua requires x.lua"), "{error}");
        let plan = Plan::apply(wanted("a=require'x'"), Some(&record), &picture, false).unwrap();
        assert_eq!(plan.warnings, [""; 0]);
        let plan =
            Plan::apply(wanted("a=require'z' b=require'as'"), None, &picture, false).unwrap();
        assert_eq!(
            plan.warnings,
            ["a.lua requires z.lua, which is neither in the folder nor on the cluster"]
        );
    }

    #[test]
    fn records_say_what_is_there_because_of_the_project() {
        for (nodes, folder, earlier, expected_between, expected_after) in [
            ("", "a=1", "", "a=1", "a=1"),
            // It was there before: nobody put it.
            ("a=1", "a=1", "", "", ""),
            ("a=1", "a=2", "a=1", "a=1|2", "a=2"),
            ("a=1", "a=2", "", "a=2", "a=2"),
            // After an apply that was interrupted.
            ("a=2", "a=2", "a=1|2", "a=1|2", "a=2"),
            ("x=1", "a=1", "x=1", "a=1 x=1", "a=1"),
            ("", "", "x=1", "x=1", ""),
            ("a=3", "a=3", "a=1", "a=1", "a=1"),
        ] {
            let (picture, before) = (picture(&[nodes]), record(earlier));
            let plan = Plan::apply(wanted(folder), Some(&before), &picture, true).unwrap();
            let unfinished = Unfinished {
                by: String::new(),
                since: String::new(),
                kept: String::new(),
            };
            let between = intended(&before, &plan, unfinished);
            assert!(between.unfinished.is_some());
            assert_eq!(
                between.modules,
                record(expected_between).modules,
                "{nodes} {folder}"
            );
            let after = settled(&between, &plan);
            assert_eq!(after, record(expected_after), "{nodes} {folder} {earlier}");
        }
    }
}
