//! The program: words → options → the command's room → exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use tools::manual;

use crate::convert;

use crate::status::{FAILED, Failure, STATUSES, Status, statuses_of};
use crate::testing;
use crate::{check, new, run, ship, watch};

/// Write, check, test and ship Aerospike UDFs without a server.
#[derive(Debug, Parser)]
#[command(name = "asudf", version, arg_required_else_help = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print a script that completes this program's options in a shell, and leave
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,
    /// Print the manual page, and leave
    #[arg(long)]
    manual: bool,
}

/// The commands. Each has its options and its work in a room of its own.
#[derive(Debug, Subcommand)]
enum Command {
    /// Begin a project: a module, its test, asudf.toml, a CI job, stubs for the editor
    New(new::Options),
    /// Find what will fail in modules, or is likely a mistake, without running them
    Check(check::Options),
    /// Run the test files of a project, without a server
    Test(testing::Options),
    /// Compare the modules of the folder with what every node of a cluster serves
    Diff(ship::DiffOptions),
    /// Bring the modules of the folder onto every node of a cluster
    Apply(ship::ApplyOptions),
    /// Say what every node of a cluster serves of the project, and who changes modules there
    Status(ship::StatusOptions),
    /// Take an apply back
    Rollback(ship::RollbackOptions),
    /// Write all modules of a cluster into a file
    Export(ship::ExportOptions),
    /// Register all modules of such a file
    Import(ship::ImportOptions),
    /// Make one call, here or on a cluster
    Run(run::Options),
    /// On save: check, test what depends on the file, put it to a development server
    Watch(watch::Options),
    /// Turn recorded calls of a real server into test files
    Convert(convert::Options),
}

fn command(command: &Command) -> Result<Status, Failure> {
    match command {
        Command::New(options) => new::run(options),
        Command::Check(options) => check::run(options),
        Command::Test(options) => testing::run(options),
        Command::Diff(options) => ship::diff(options),
        Command::Apply(options) => ship::apply(options),
        Command::Status(options) => ship::status(options),
        Command::Rollback(options) => ship::rollback(options),
        Command::Export(options) => ship::export(options),
        Command::Import(options) => ship::import(options),
        Command::Run(options) => run::run(options),
        Command::Watch(options) => watch::run(options),
        Command::Convert(options) => convert::run(options),
    }
}

/// The words that it takes; what each command's exit statuses mean stands at the end of its help.
fn words() -> clap::Command {
    let words = Options::command();
    let names: Vec<String> = words
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    names.iter().fold(words, |words, name| {
        words.mut_subcommand(name, |command| command.after_help(exit_statuses(name)))
    })
}

fn exit_statuses(command: &str) -> String {
    let mut text = "Exit status:\n".to_owned();
    for (status, meaning) in statuses_of(command) {
        text += &format!("  {status:<4} {meaning}\n");
    }
    text
}

/// Runs `asudf` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let typed = words().try_get_matches();
    let options = match typed.and_then(|typed| Options::from_arg_matches(&typed)) {
        Ok(options) => options,
        Err(error) => {
            // A reader that is gone is no failure.
            let _ = error.print();
            let wrong = error.use_stderr();
            return ExitCode::from(if wrong { FAILED } else { Status::Fine.code() });
        }
    };
    if let Some(text) = asked_for(&options) {
        // A reader that goes away early is no failure.
        let _ = io::stdout().write_all(&text);
        return Status::Fine.into();
    }
    match options.command.as_ref().map(command) {
        Some(Ok(status)) => status.into(),
        Some(Err(failure)) => {
            // Nobody is left to be told of a closed stderr.
            let _ = writeln!(io::stderr(), "asudf: {failure}");
            ExitCode::from(FAILED)
        }
        None => {
            let _ = write!(io::stderr(), "{}", words().render_help());
            ExitCode::from(FAILED)
        }
    }
}

/// Texts that need no command.
fn asked_for(options: &Options) -> Option<Vec<u8>> {
    if let Some(shell) = options.completions {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut words(), "asudf", &mut text);
        Some(text)
    } else if options.manual {
        Some(manual_page())
    } else {
        None
    }
}

/// The manual: the options of all commands, then the exit statuses.
fn manual_page() -> Vec<u8> {
    let mut commands = Vec::new();
    for command in Options::command().get_subcommands_mut() {
        let name = manual::roff(&format!("asudf {}", command.get_name()));
        let shown = command.clone().disable_help_flag(true);
        let page = clap_mangen::Man::new(shown);
        // Writing to memory does not fail.
        let _ = writeln!(commands, ".SH {name}");
        let _ = page.render_synopsis_section(&mut commands);
        let _ = page.render_description_section(&mut commands);
        let _ = page.render_options_section(&mut commands);
    }
    let statuses: Vec<(String, &str)> = STATUSES
        .iter()
        .map(|(command, status, meaning)| (format!("{status} ({command})"), *meaning))
        .collect();
    let statuses: Vec<(&str, &str)> = statuses
        .iter()
        .map(|(term, meaning)| (term.as_str(), *meaning))
        .collect();
    let commands = String::from_utf8_lossy(&commands).into_owned();
    manual::page(
        Options::command(),
        &commands,
        &[
            ("EXIT STATUS", &statuses),
            (
                "FILES",
                &[(
                    "asudf.toml",
                    "The project: searched for in the directory and those above it.",
                )],
            ),
        ],
    )
}
