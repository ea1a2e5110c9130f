//! `asinfo`: one info command to one node.
//!
//! What was typed → what it means with the configuration files → one request → one text and a status. Answers and
//! errors go to stdout, because scripts read them there; only mistakes in the options go to stderr.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser};
use protocol::info::Failure;
use tools::ask::{Answer, AskError, ask, connect};
use tools::config::{ASADM, Config, Problem};
use tools::connection::Connection;
use tools::options::{ConfigOptions, ConnectionOptions, TlsOptions, seconds};
use tools::terminal::{prompt, safe};
use tools::{manual, secret, suggest, value};

/// Sends an info command to an Aerospike server and prints the answer.
#[derive(Parser, Debug)]
#[command(
    name = "asinfo",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
struct Options {
    /// The info command; without one, a summary of the node
    #[arg(short = 'v', long, value_name = "COMMAND")]
    value: Option<String>,
    /// Print one item of the answer a line
    #[arg(short = 'l', long, alias = "line_separator")]
    line_separator: bool,
    /// Seconds for connecting, and again for the answer
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    timeout: Duration,
    /// Exit with 1 also for the answers FAIL:... and error=...
    #[arg(long)]
    strict: bool,
    /// Print a script that completes this program's options in a shell, and exit
    #[arg(long, value_name = "SHELL")]
    completions: Option<clap_complete::Shell>,
    /// Print the manual page, and exit
    #[arg(long)]
    manual: bool,
    /// Print the version
    #[arg(short = 'V', long)]
    version: bool,
    /// Print this help
    #[arg(short = 'E', long, action = ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    config: ConfigOptions,
}

/// What is printed, and the exit status.
#[derive(Default)]
struct Outcome {
    answer: String,
    messages: Vec<String>,
    failed: bool,
}

impl Outcome {
    fn tell(&mut self, problem: &Problem) {
        match problem {
            Problem::Warning(text) | Problem::Absent(text) => {
                self.messages.push(format!("WARNING: {text}"))
            }
            Problem::Error(text) | Problem::Fatal(text) => self.fail(text),
        }
    }

    fn fail(&mut self, text: impl std::fmt::Display) {
        self.messages.push(format!("ERROR: {text}"));
        self.failed = true;
    }

    fn print(&self) -> io::Result<()> {
        let mut text = self.answer.clone();
        if !self.messages.is_empty() {
            let gap = if self.answer.is_empty() { "" } else { "\n" };
            text += &format!("{gap}{}\n\n", self.messages.join("\n"));
        }
        let mut out = io::stdout().lock();
        if safe::stdout_is_seen() {
            out.write_all(safe::text(&text).as_bytes())?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }
}

/// Runs `asinfo` with the arguments of this process.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help wins over every mistake.
            let wants_help = std::env::args_os()
                .skip(1)
                .any(|word| word == "-E" || word == "--help");
            if wants_help {
                return printed(write!(io::stdout(), "{}", Options::command().render_help()));
            }
            // A reader that is gone is no failure of its own: the status tells.
            let _ = error.print();
            return ExitCode::from(2);
        }
    };
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return printed(writeln!(
            io::stdout(),
            "Aerospike Information Tool\nVersion {version}\nBuild {version}"
        ));
    }
    if let Some(shell) = options.completions {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Options::command(), "asinfo", &mut text);
        return printed(io::stdout().write_all(&text));
    }
    if options.manual {
        let page = manual::page(Options::command(), "", MANUAL);
        return printed(io::stdout().write_all(&page));
    }
    let outcome = run(&options);
    match outcome.print() {
        Ok(()) if outcome.failed => ExitCode::FAILURE,
        result => printed(result),
    }
}

/// What the manual says after the options.
const MANUAL: &[manual::Section<'_>] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "The node has answered, whatever it answered."),
            (
                "1",
                "There is no answer: the node cannot be reached, refuses the login, closes the connection or takes too long, or a configuration file cannot be used. With --strict also an answer that is an error.",
            ),
            ("2", "The options are wrong."),
        ],
    ),
    ("FILES", &manual::CONFIG_FILES),
    (
        "SIGNALS",
        &[(
            "INT, TERM",
            "End the program at once. The node does what it was asked for all the same.",
        )],
    ),
    (
        "EXAMPLES",
        &[
            (
                "asinfo -v udf-list",
                "The modules of the node on this machine.",
            ),
            (
                "asinfo -h 10.0.0.5 -p 3000 -l -v namespace/test",
                "Statistics and configuration of a namespace, one a line.",
            ),
            (
                "asinfo -U admin -P file:/run/secrets/admin -v statistics",
                "With a password that no list of processes shows.",
            ),
        ],
    ),
];

/// A reader that has seen enough is no failure.
fn printed(result: io::Result<()>) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

fn run(options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let config = options.config.read(home.as_deref(), &ASADM);
    for problem in &config.problems {
        outcome.tell(problem);
    }
    let connection =
        match Connection::resolve(&options.connection, &options.tls, &config, prompt::password) {
            Ok(connection) => connection,
            Err(error) => {
                outcome.fail(error);
                return outcome;
            }
        };
    if let Some(problem) = &connection.problem {
        outcome.tell(problem);
    }
    if connection.exposes_password {
        // Not on stdout, where scripts look for the answer. Nothing helps when there is no stderr.
        let _ = writeln!(io::stderr(), "WARNING: {}", secret::EXPOSED);
    }
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            outcome.fail(error);
            return outcome;
        }
    };
    match runtime.block_on(answer(options, &config, &connection)) {
        Ok(answer) => {
            outcome.failed |= is_failure(&answer.value, options.strict);
            let command = value::command(options.value.as_deref().unwrap_or_default());
            if suggest::is_unknown(&answer.value)
                && let Some(near) = suggest::info_command(command)
            {
                // Nobody is left to be told of a closed stderr.
                let _ = writeln!(io::stderr(), "Did you mean `{near}`?");
            }
            outcome.answer = answer.shown;
        }
        Err(AskError::Invalid(command)) => {
            outcome.answer = format!("Error: Invalid command '{command}'\n");
            outcome.failed = true;
        }
        Err(error) => outcome.fail(error),
    }
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    outcome
}

async fn answer(
    options: &Options,
    config: &Config,
    connection: &Connection,
) -> Result<Answer, AskError> {
    let mut client = connect(connection, options.timeout).await?;
    let command = value::command(options.value.as_deref().unwrap_or_default());
    let lines = options.line_separator || config.flag("line-separator");
    ask(&mut client, command, lines, options.timeout).await
}

/// Whether the node's answer counts as a failure. Scripts know `FAIL:` and `error=` answers as successes.
fn is_failure(value: &str, strict: bool) -> bool {
    let error = value
        .get(.."error:".len())
        .is_some_and(|start| start.eq_ignore_ascii_case("error:"));
    error || strict && Failure::of(value).is_some()
}
