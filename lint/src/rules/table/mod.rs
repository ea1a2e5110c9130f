//! The rules as a table: id, level, title, what it is about, examples.

mod names;
mod records;
mod streams;
mod style;
mod whole;

use crate::finding::Level;

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, in `asudf.toml` and in comments.
    pub id: &'static str,
    /// How bad what it finds is, unless the settings say otherwise.
    pub level: Level,
    /// What it finds, in a line.
    pub title: &'static str,
    /// What goes wrong, and what to do.
    pub page: &'static str,
    /// Modules in which it finds something; several files of a project are parted by lines `-- file: NAME`.
    pub fires: &'static [&'static str],
    /// Modules in which nothing is found.
    pub quiet: &'static [&'static str],
    /// Some of what it finds can be mended by `--fix`.
    pub fixes: bool,
}

/// All rules, by id.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let mut all: Vec<&Rule> = [
        whole::RULES,
        names::RULES,
        records::RULES,
        streams::RULES,
        style::RULES,
    ]
    .into_iter()
    .flatten()
    .collect();
    all.sort_by_key(|rule| rule.id);
    all.into_iter()
}

/// The rule of this id.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    [
        whole::RULES,
        names::RULES,
        records::RULES,
        streams::RULES,
        style::RULES,
    ]
    .into_iter()
    .flatten()
    .find(|rule| rule.id == id)
}

impl Rule {
    /// The page of the rule, for people at a terminal.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = format!(
            "{} ({})\n{}\n\n{}\n",
            self.id,
            self.level.name(),
            self.title,
            self.page.trim()
        );
        for (title, examples) in [("Found in", self.fires), ("Not found in", self.quiet)] {
            for example in examples.iter().take(2) {
                text += &format!("\n{title}:\n\n");
                for line in example.trim().lines() {
                    text += &format!("    {line}\n");
                }
            }
        }
        text += &format!(
            "\n{}To let one pass: `-- asudf: allow {} REASON` at the end of its line, or alone in the line before.\n",
            if self.fixes {
                "`--fix` mends some. "
            } else {
                ""
            },
            self.id
        );
        text
    }
}
