//! A session: the cluster, the settings, and how each statement is run.

use std::io;

use tools::records::Records;

use super::Failure;
use crate::help;
use crate::language::lexer::statements;
use crate::language::parse::parse;
use crate::language::parser::ParseError;
use crate::language::statement::{Statement, Target};
use crate::settings::{self, Settings};
use crate::show::Printer;

/// What is told about a mistake, behind the word that it is at.
const ADVICE: &str = "Make sure string values are enclosed in quotes.\nType \" aql --help \" from console or simply \"help\" from within the aql-prompt. \n\n";

/// How deep files may run each other.
const RUN_DEPTH_MAX: usize = 16;

/// A session.
pub struct Session {
    pub(super) records: Records,
    /// The settings, which statements change.
    pub settings: Settings,
    /// What `RESET` takes back.
    defaults: Settings,
    /// Carets and hints are printed with mistakes.
    explains: bool,
    depth: usize,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// With the next statement.
    Next,
    /// Not at all.
    Exit,
}

impl Session {
    /// A session over a cluster. `explains`: mistakes are shown with a caret and a hint, for people.
    #[must_use]
    pub fn new(records: Records, settings: Settings, explains: bool) -> Self {
        Self {
            records,
            defaults: settings.clone(),
            settings,
            explains,
            depth: 0,
        }
    }

    /// Runs the statements of a line.
    ///
    /// # Errors
    /// Nobody reads what is printed.
    pub async fn line(&mut self, line: &str, printer: &mut Printer<'_>) -> io::Result<Flow> {
        for text in statements(line) {
            let word = text.trim_end();
            if ["EXIT", "QUIT", "Q"]
                .iter()
                .any(|exit| word.eq_ignore_ascii_case(exit))
            {
                return Ok(Flow::Exit);
            }
            self.statement(text, printer).await?;
        }
        Ok(Flow::Next)
    }

    /// Runs the lines of a file, echoed.
    ///
    /// # Errors
    /// Nobody reads what is printed.
    pub async fn file(&mut self, path: &str, printer: &mut Printer<'_>) -> io::Result<()> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                printer.failed = true;
                // The system's words, without its number.
                let told = error.to_string();
                let told = told.split(" (os error").next().unwrap_or(&told);
                return printer
                    .complain(format!("Error: cannot open file {path} : {told}\n").as_bytes());
            }
        };
        if self.depth >= RUN_DEPTH_MAX {
            printer.failed = true;
            return printer
                .complain(format!("Error: {path} is run by too many files\n").as_bytes());
        }
        self.depth += 1;
        // It stays so, as in the original.
        self.settings.echo = true;
        for line in text.lines() {
            if line.is_empty() {
                continue;
            }
            if Box::pin(self.line(line, printer)).await? == Flow::Exit {
                break;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    async fn statement(&mut self, text: &str, printer: &mut Printer<'_>) -> io::Result<()> {
        let parsed = parse(text);
        if matches!(parsed, Ok(None)) {
            return Ok(());
        }
        if self.settings.echo && !matches!(parsed, Ok(Some(Statement::Help(_)))) {
            printer.text(&format!("{text}\n"))?;
        }
        let statement = match parsed {
            Ok(Some(statement)) => statement,
            Ok(None) => return Ok(()),
            Err(error) => return self.mistake(text, &error, printer),
        };
        printer.set_mode(self.settings.output, self.settings.output_types);
        let ran = self.run(&statement, printer).await;
        match ran {
            Ok(()) => printer.flush(),
            Err(Failure::Told { code, text }) => {
                printer.error(code, &text)?;
                printer.flush()
            }
            Err(Failure::Unread(error)) => Err(error),
        }
    }

    async fn run(
        &mut self,
        statement: &Statement,
        printer: &mut Printer<'_>,
    ) -> Result<(), Failure> {
        match statement {
            Statement::Insert { place, key, bins } => self.insert(place, key, bins, printer).await,
            Statement::Delete(place, name) => self.delete(place, name, printer).await,
            Statement::Select(select) => match &select.target {
                Target::One(name) => self.select_one(select, name, printer).await,
                _ => self.select_many(select, printer).await,
            },
            Statement::Explain(select) => match &select.target {
                Target::One(name) => self.explain(select, name, printer).await,
                _ => Ok(()),
            },
            Statement::Execute(call) => match &call.target {
                Target::One(name) => self.execute_one(call, name, printer).await,
                _ => self.execute_many(call, printer).await,
            },
            Statement::Aggregate(call) => self.aggregate(call, printer).await,
            Statement::Show(listing) => self.show(*listing, printer).await,
            Statement::ShowIndexes(namespace) => {
                self.show_indexes(namespace.as_deref(), printer).await
            }
            Statement::Describe(file) => self.describe(file, printer).await,
            Statement::Register(path) => self.register(path, printer).await,
            Statement::Remove(file) => self.remove(file, printer).await,
            Statement::CreateIndex {
                name,
                place,
                bin,
                over,
                kind,
            } => {
                self.create_index(name, place, bin, *over, kind, printer)
                    .await
            }
            Statement::DropIndex(place, name) => self.drop_index(place, name, printer).await,
            Statement::Truncate(place, until) => self.truncate(place, until, printer).await,
            Statement::Stat(of) => self.stat(of, printer).await,
            Statement::Asinfo(command) => self.asinfo(command, printer).await,
            Statement::Kill(listing, id) => self.kill(*listing, id, printer).await,
            Statement::Accounts(words) => self.accounts(words, printer).await,
            Statement::Set(name, word) => {
                if let Some(setting) = settings::find(name) {
                    setting.set(&mut self.settings, word);
                }
                self.print_setting(name, printer)
            }
            Statement::Get(Some(name)) => self.print_setting(name, printer),
            Statement::Get(None) => {
                for setting in settings::TABLE {
                    self.print_setting(setting.name, printer)?;
                }
                Ok(())
            }
            Statement::Reset(name) => {
                if let Some(setting) = settings::find(name) {
                    setting.copy(&mut self.defaults.clone(), &mut self.settings);
                }
                self.print_setting(name, printer)
            }
            Statement::Run(path) => Ok(Box::pin(self.file(path, printer)).await?),
            Statement::Help(word) => Ok(help::print(word.as_deref(), printer)?),
            Statement::Print(text) => Ok(printer.text(&format!("{text}\n\n\n"))?),
            Statement::System(command) => self.system(command, printer),
        }
    }

    fn print_setting(&mut self, name: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
        if let Some(setting) = settings::find(name) {
            printer.text(&format!("{}\n", setting.line(&mut self.settings)))?;
        }
        Ok(())
    }

    /// `SYSTEM command`: what it prints goes where this program's output goes.
    fn system(&self, command: &str, printer: &mut Printer<'_>) -> Result<(), Failure> {
        printer.text(&format!("{command}\n"))?;
        printer.flush()?;
        match std::process::Command::new("sh")
            .args(["-c", command])
            .status()
        {
            Ok(status) if status.success() => {}
            Ok(status) => {
                let told = status.code().map_or(-1, |code| code << 8);
                printer.complain(format!("Error {told} executing system command.\n").as_bytes())?;
            }
            Err(error) => printer.complain(format!("Error: {error}\n").as_bytes())?,
        }
        Ok(printer.text("\n\n")?)
    }

    /// Tells what is wrong with a statement.
    fn mistake(&self, text: &str, error: &ParseError, printer: &mut Printer<'_>) -> io::Result<()> {
        printer.failed = true;
        let at = match error {
            ParseError::UnknownCommand(word) => {
                printer.text(&format!("\nERROR: 404: COMMAND NOT FOUND : {word}\n"))?;
                printer.flush()?;
                if self.explains
                    && let Some(meant) = help::nearest(word)
                {
                    printer.complain(format!("Did you mean {meant}?\n").as_bytes())?;
                }
                return Ok(());
            }
            ParseError::Ended { shown, at } => {
                let front = b"Syntax error near token -  '";
                printer
                    .complain(&[front, shown.as_slice(), b"' \n", ADVICE.as_bytes()].concat())?;
                *at
            }
            ParseError::Unexpected { shown, at } => {
                printer.complain(
                    format!("Unsupported command format with token -  '{shown}' \n{ADVICE}")
                        .as_bytes(),
                )?;
                *at
            }
            ParseError::Explained { text: told, then } => {
                printer.set_mode(self.settings.output, self.settings.output_types);
                match told
                    .strip_prefix("Error: (")
                    .and_then(|rest| rest.split_once(") "))
                {
                    Some((code, words)) => printer.error(code.parse().unwrap_or(-1), words)?,
                    None => printer.complain(format!("{told}\n\n").as_bytes())?,
                }
                return match then {
                    Some(then) => self.mistake(text, then, printer),
                    None => Ok(()),
                };
            }
            ParseError::Cast { text: told, then } => {
                if let Some(told) = told {
                    printer.text(&format!("{told}\n"))?;
                    printer.flush()?;
                }
                self.mistake(text, then, printer)?;
                return self.mistake(text, then, printer);
            }
            ParseError::Clauses(told) => {
                return printer
                    .complain(format!("Unsupported command format\n{told}\n").as_bytes());
            }
        };
        if self.explains {
            let column = text.get(..at).unwrap_or(text).chars().count();
            printer.complain(format!("{text}\n{:column$}^\n", "").as_bytes())?;
        }
        Ok(())
    }
}

impl Session {
    /// Names of namespaces, sets and modules, for completion; what cannot be asked for is left out.
    pub async fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let Some(node) = self.records.picture().nodes().first() else {
            return names;
        };
        let named = |entry: &str, key: &str| {
            entry
                .split([':', ','])
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
        };
        for (command, key) in [
            ("namespaces", ""),
            ("sets", "set"),
            ("udf-list", "filename"),
        ] {
            let Ok(answer) = self.records.info(node, command).await else {
                continue;
            };
            names.extend(
                answer
                    .split(';')
                    .filter(|entry| !entry.is_empty())
                    .filter_map(|entry| match key {
                        "" => Some(entry.to_owned()),
                        key => {
                            named(entry, key).map(|name| name.trim_end_matches(".lua").to_owned())
                        }
                    }),
            );
        }
        names.sort();
        names.dedup();
        names
    }
}
