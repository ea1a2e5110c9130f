//! `asudf check`: finds what will fail in modules, or is likely a mistake, without running them.

mod files;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lint::{Level, Report, Rule, Settings, Source, Style};

use crate::project::Project;
use crate::status::{Failure, Status};
use files::Files;

/// What `asudf check` is told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Modules, or folders of modules; the project here if none is named
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    format: Format,
    /// Mend what can be mended without changing anything else, then check again
    #[arg(long)]
    fix: bool,
    /// End with status 1 if something of this level or a worse one is found
    #[arg(long, value_name = "LEVEL", default_value = "warning", value_parser = level)]
    fail_on: Level,
    /// Have a rule find with another level: RULE=off, note, warning or error
    #[arg(long, value_name = "RULE=LEVEL", value_parser = rule_level)]
    level: Vec<(&'static str, Level)>,
    /// Print the page of a rule, and leave
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    /// List all rules, and leave
    #[arg(long)]
    rules: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: with the line, and what is meant in it
    Pretty,
    /// A line for each finding
    Short,
    /// One JSON document, for programs
    Json,
    /// SARIF 2.1.0, for code hosts and editors
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
}

fn level(text: &str) -> Result<Level, String> {
    Level::named(text).ok_or_else(|| "levels are off, note, warning and error".to_owned())
}

fn rule_level(text: &str) -> Result<(&'static str, Level), String> {
    let (id, name) = text.split_once('=').ok_or("it is RULE=LEVEL")?;
    Ok((known(id)?.id, level(name)?))
}

/// The rule of an id that somebody has typed.
fn known(id: &str) -> Result<&'static Rule, String> {
    lint::rule(id).ok_or_else(|| {
        let near = runtime::context::likely(id, lint::all_rules().map(|rule| rule.id));
        match near {
            Some(near) => format!("there is no rule `{id}`; did you mean `{near}`?"),
            None => format!("there is no rule `{id}`; `asudf check --rules` lists them"),
        }
    })
}

/// Checks, and prints what is found.
pub(crate) fn run(options: &Options) -> Result<Status, Failure> {
    if let Some(id) = &options.explain {
        print(&known(id).map_err(Failure::of)?.explain())?;
        return Ok(Status::Fine);
    }
    if options.rules {
        print(&list())?;
        return Ok(Status::Fine);
    }
    let mut groups = files::groups(&options.paths)?;
    let mut report = Report::default();
    for group in &mut groups {
        let settings = settings(&group.project, group, options)?;
        let mut found = check(group, &settings);
        if options.fix && group.mend(&found)? {
            found = check(group, &settings);
        }
        report.files.extend(found.files);
    }
    let status = match report.worst() {
        Some(worst) if worst >= options.fail_on => Status::Something,
        _ => Status::Fine,
    };
    print(&shown(&report, options.format, status)?)?;
    Ok(status)
}

fn check(group: &Files, settings: &Settings) -> Report {
    let sources: Vec<Source<'_>> = group
        .modules
        .iter()
        .map(|module| Source {
            file: module.shown.clone(),
            text: &module.text,
            quiet: !module.asked_for,
        })
        .collect();
    lint::check(&sources, settings)
}

fn settings(project: &Project, group: &Files, options: &Options) -> Result<Settings, Failure> {
    let mut levels = BTreeMap::new();
    for (id, name) in &project.settings.lint {
        let wrong = |span, text: String| Failure::of(project.refuse(span, &text));
        let rule = known(id.get_ref()).map_err(|text| wrong(id.span(), text))?;
        let level = level(name.get_ref()).map_err(|text| wrong(name.span(), text))?;
        levels.insert(rule.id.to_owned(), level);
    }
    for (rule, level) in &options.level {
        levels.insert((*rule).to_owned(), *level);
    }
    Ok(Settings {
        levels,
        complete: true,
        known_modules: group
            .project
            .settings
            .modules
            .known
            .iter()
            .cloned()
            .collect(),
    })
}

fn shown(report: &Report, format: Format, status: Status) -> Result<String, Failure> {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let json = |text: serde_json::Result<String>| text.map(|text| text + "\n").map_err(Failure::of);
    match format {
        Format::Pretty | Format::Short => Ok(report.pretty(Style {
            colour,
            short: format == Format::Short,
        })),
        Format::Json => json(serde_json::to_string_pretty(
            &report.document(status.code()),
        )),
        Format::Sarif => json(serde_json::to_string_pretty(&report.sarif())),
        Format::Github => Ok(report.github()),
    }
}

fn list() -> String {
    let width = lint::all_rules()
        .map(|rule| rule.id.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for rule in lint::all_rules() {
        text += &format!(
            "{:width$}  {:7}  {}\n",
            rule.id,
            rule.level.name(),
            rule.title
        );
    }
    text
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // A reader that has seen enough is no failure.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::of),
    }
}
