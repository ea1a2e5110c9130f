//! A session: the cluster, the settings, and how each statement is run.

use std::collections::BTreeSet;
use std::io;
use std::process::Stdio;

use tools::records::Records;
use tools::suggest;
use tools::terminal::held::lend;

use super::{Failure, explain};
use crate::help;
use crate::language::lexer::statements;
use crate::language::parse::parse;
use crate::language::parser::ParseError;
use crate::language::secret::without_passwords;
use crate::language::statement::{Statement, Target};
use crate::settings::{self, Settings};
use crate::show::{Pointer, Printer};

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
    /// Modules are looked through before they are registered.
    pub checks_modules: bool,
    depth: usize,
    /// Names of bins that were seen, for completion.
    pub(super) bins: BTreeSet<String>,
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
            checks_modules: false,
            depth: 0,
            bins: BTreeSet::new(),
        }
    }

    /// The statement at hand was given up.
    pub fn give_up(&mut self) {
        self.depth = 0;
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
        printer.begin_statement(&without_passwords(text))?;
        let is_document = printer.is_document();
        if self.settings.echo && !is_document && !matches!(parsed, Ok(Some(Statement::Help(_)))) {
            printer.text(&format!("{text}\n"))?;
        }
        let statement = match parsed {
            Ok(Some(statement)) => statement,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.mistake(text, &error, printer)?;
                printer.end_statement()?;
                return printer.flush();
            }
        };
        self.see_statement(&statement);
        printer.set_mode(self.settings.output, self.settings.output_types);
        let ran = self.run(&statement, printer).await;
        match ran {
            Ok(()) => {}
            Err(Failure::Told { code, text }) => {
                printer.error(code, &text)?;
                self.say_more(&statement, &text, printer)?;
            }
            Err(Failure::Unread(error)) => return Err(error),
        }
        printer.end_statement()?;
        printer.flush()
    }

    /// Says more about an error, where people read it.
    fn say_more(
        &self,
        statement: &Statement,
        told: &str,
        printer: &mut Printer<'_>,
    ) -> io::Result<()> {
        if !self.explains || printer.is_document() {
            return Ok(());
        }
        if let Statement::Register(path) = statement
            && let Some(text) = explain::compile_error(path, told)
        {
            printer.complain(text.as_bytes())?;
        }
        if let Some(name) = told.strip_prefix("Invalid namespace: ")
            && let Some(meant) = suggest::nearest(name, self.records.picture().namespaces())
        {
            printer.complain(format!("Did you mean {meant}?\n").as_bytes())?;
        }
        Ok(())
    }

    async fn run(
        &mut self,
        statement: &Statement,
        printer: &mut Printer<'_>,
    ) -> Result<(), Failure> {
        if !statement.is_local() {
            // The picture of before may do; the statement itself will tell.
            self.records.freshen().await.ok();
        }
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
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", command]);
        let lent = lend();
        let ended = match printer.is_document() {
            true => shell.stderr(Stdio::inherit()).output().map(|output| {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                (output.status, text)
            }),
            false => shell.status().map(|status| (status, String::new())),
        };
        drop(lent);
        if let Ok((_, text)) = &ended {
            printer.text(text)?;
        }
        match ended.map(|(status, _)| status) {
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
        let (told, at, meant) = match error {
            ParseError::UnknownCommand(word) => {
                let told = format!("COMMAND NOT FOUND : {word}");
                let meant = help::nearest(word);
                if printer.is_document() {
                    let pointer = Pointer {
                        column: None,
                        meant,
                    };
                    return printer.mistake(404, &told, pointer);
                }
                printer.text(&format!("\nERROR: 404: {told}\n"))?;
                printer.flush()?;
                return self.hint(meant, printer);
            }
            ParseError::Ended { shown, at } => {
                let front = b"Syntax error near token -  '";
                (
                    [front, shown.as_slice(), b"'"].concat(),
                    *at,
                    std::str::from_utf8(shown)
                        .ok()
                        .and_then(|word| help::nearest_inside(text, word)),
                )
            }
            ParseError::Unexpected { shown, at } => (
                format!("Unsupported command format with token -  '{shown}'").into_bytes(),
                *at,
                help::nearest_inside(text, shown),
            ),
            ParseError::Explained { text: told, then } => {
                printer.set_mode(self.settings.output, self.settings.output_types);
                told_error(told, printer)?;
                return match then {
                    Some(then) => self.mistake(text, then, printer),
                    None => Ok(()),
                };
            }
            ParseError::Unsent(told) => {
                printer.set_mode(self.settings.output, self.settings.output_types);
                printer.begin(&[])?;
                printer.cut_off()?;
                return told_error(told, printer);
            }
            ParseError::Cast { text: told, then } => {
                if let Some(told) = told {
                    if printer.is_document() {
                        return printer.error(-1, told);
                    }
                    printer.text(&format!("{told}\n"))?;
                    printer.flush()?;
                }
                self.mistake(text, then, printer)?;
                return self.mistake(text, then, printer);
            }
            ParseError::Clauses(told) => {
                if printer.is_document() {
                    return printer.error(-1, told);
                }
                return printer
                    .complain(format!("Unsupported command format\n{told}\n").as_bytes());
            }
        };
        let column = explain::column(text, at);
        if printer.is_document() {
            let pointer = Pointer {
                column: Some(column),
                meant,
            };
            return printer.mistake(-1, &String::from_utf8_lossy(&told), pointer);
        }
        printer.complain(&[told.as_slice(), b" \n", ADVICE.as_bytes()].concat())?;
        if self.explains {
            printer.complain(explain::caret(text, at).as_bytes())?;
        }
        self.hint(meant, printer)
    }

    fn hint(&self, meant: Option<&str>, printer: &mut Printer<'_>) -> io::Result<()> {
        match meant.filter(|_| self.explains) {
            Some(meant) => printer.complain(format!("Did you mean {meant}?\n").as_bytes()),
            None => Ok(()),
        }
    }
}

/// An error that has its code in its text: `Error: (CODE) TEXT`.
fn told_error(told: &str, printer: &mut Printer<'_>) -> io::Result<()> {
    let parts = told
        .strip_prefix("Error: (")
        .and_then(|rest| rest.split_once(") "))
        .and_then(|(code, words)| Some((code.parse().ok()?, words)));
    match parts {
        Some((code, words)) => printer.error(code, words),
        None => printer.complain(format!("{told}\n\n").as_bytes()),
    }
}
