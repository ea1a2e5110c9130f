//! The program: what was typed → settings → cluster → commands or shell → exit status.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use rustix::process::{Resource, getrlimit, setrlimit};
use tools::cluster::{Approach, Cluster};
use tools::config::{ASADM, Config, Problem};
use tools::connection::{Connection, OptionsError};
use tools::document::Document;
use tools::exit::Exit;
use tools::output::Output;
use tools::render::Style;
use tools::terminal::{prompt, safe};
use tools::{ask, manual, secret, value};

use crate::options::{Format, Options, Settings};
use crate::session::{Header, Session};
use crate::{command, parse, shell};

/// Runs `asadm` with the arguments of this process.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // A reader that is gone is no failure.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Command.into()
            } else {
                Exit::Success.into()
            };
        }
    };
    if let Some(text) = asked_for(&options) {
        // A reader that goes away early is no failure.
        let _ = io::stdout().write_all(&text);
        return Exit::Success.into();
    }
    allow_connections();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(io::stderr(), "ERROR: cannot start: {error}");
            return Exit::Setup.into();
        }
    };
    let exit = runtime.block_on(run(&options));
    // A name that is still being looked up, or a read of stdin, must not hold the process.
    runtime.shutdown_background();
    exit.into()
}

/// What the manual says after the options and the commands.
const MANUAL: &[manual::Section<'_>] = &[
    (
        "EXIT STATUS",
        &[
            (
                "0",
                "All commands have done what they are for. Warnings change nothing about that.",
            ),
            (
                "1",
                "Options that contradict each other, a login that was refused, or no cluster for the shell.",
            ),
            (
                "2",
                "A command has failed on a node, was not understood or not allowed, or no node could be reached for it; the options are wrong, or a configuration file cannot be read. With --strict also a table that misses a node.",
            ),
            ("130", "Interrupted."),
        ],
    ),
    (
        "FILES",
        &[
            manual::CONFIG_FILES[0],
            manual::CONFIG_FILES[1],
            (
                "~/.aerospike/admin_live_cluster_history",
                "Lines of the shell. Only their user may read them, and lines with a password are not among them.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            ("NO_COLOR", "Without colour, if it is not empty."),
            (
                "COLUMNS",
                "Width of the screen where it is not known otherwise.",
            ),
            (
                "TMPDIR",
                "Where collectinfo puts its archive; /tmp if it is not set.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "INT",
                "In the shell ends the command that runs, and not the shell. With -e ends the program with status 130. What was already sent to nodes takes effect there.",
            ),
            ("TERM, HUP", "End the program at once."),
        ],
    ),
    (
        "EXAMPLES",
        &[
            (
                "asadm -e info",
                "What the nodes of the cluster on this machine are and do.",
            ),
            (
                "asadm --enable -e 'manage udfs add a.lua path a.lua'",
                "Registers a module, and waits until every node has it.",
            ),
            (
                "asadm -h 10.0.0.5:3000 --format json -e 'show config namespace for test'",
                "The configuration of a namespace, for a program to read.",
            ),
            (
                "asadm --enable -e \"asinfo -v 'udf-clear-cache:'\"",
                "Sends an info command to every node.",
            ),
        ],
    ),
];

/// Every node is a connection. Where the limit cannot be raised, those beyond it fail by name.
fn allow_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer files than there might be it works as well, on fewer nodes at once.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Texts that need neither configuration nor cluster.
fn asked_for(options: &Options) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    if options.version {
        let version = env!("CARGO_PKG_VERSION");
        return Some(
            format!("Aerospike Administration Shell\nVersion {version}\nBuild {version}\n")
                .into_bytes(),
        );
    }
    if let Some(shell) = options.completions {
        clap_complete::generate(shell, &mut Options::command(), "asadm", &mut text);
        return Some(text);
    }
    if options.manual {
        return Some(manual::page(Options::command(), &command::manual(), MANUAL));
    }
    None
}

async fn run(options: &Options) -> Exit {
    let document = (options.format == Format::Json).then(Document::default);
    let exit = run_into(options, document.clone()).await;
    let Some(Err(error)) = document.map(|document| document.write(exit)) else {
        return exit;
    };
    if error.kind() != io::ErrorKind::BrokenPipe {
        // Nothing helps when there is no stderr.
        let _ = writeln!(io::stderr(), "ERROR: cannot write the document: {error}");
    }
    exit.max(Exit::Command)
}

async fn run_into(options: &Options, document: Option<Document>) -> Exit {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let config = options.config.read(home.as_deref(), &ASADM);
    let settings = options.resolve(&config);
    let mut out = Output::new(style(&settings));
    let as_document = document.is_some();
    if let Some(document) = document {
        out.to_document(document);
    }
    let mut exit = Exit::Success;
    for problem in &config.problems {
        exit = exit.max(tell(&mut out, problem));
    }
    if config.is_unusable() {
        return Exit::Command;
    }
    for warning in options.warnings(&settings) {
        out.warning(&warning);
    }
    if settings.analyser {
        out.error(
            "the analysers of collectinfo files and logs are not supported by this version of asadm",
        );
        return Exit::Setup;
    }
    if settings.alternate && settings.alumni {
        out.error("Aerospike does not support alternate address for alumni services. Please enable only one of services_alumni or services_alternate.");
        exit = Exit::Setup;
    }
    if settings.asinfo_mode {
        return exit.max(asinfo_mode(options, &config, &settings, out).await);
    }
    let text = match settings.execute.as_deref().map(Commands::of).transpose() {
        Ok(text) => text,
        Err(error) => {
            out.error(&error);
            return Exit::Command;
        }
    };
    let typed = text.as_ref().filter(|text| !text.from_file);
    if typed.is_some_and(|text| {
        text.commands
            .iter()
            .any(|words| command::holds_password(words))
    }) {
        out.warning(secret::EXPOSED);
    }
    let shell = text.is_none();
    if shell && as_document {
        out.error("--format json goes together with -e");
        return Exit::Setup;
    }
    if shell {
        let title = format!(
            "Aerospike Interactive Shell, version {}",
            env!("CARGO_PKG_VERSION")
        );
        let title = out.bold(&title);
        out.put(&format!("{title}\n\n"));
    }
    let connection = match resolve(options, &config, &mut out) {
        Ok((connection, told)) => {
            exit = exit.max(told);
            connection
        }
        Err(failed) => return exit.max(failed),
    };
    if let Some(instance) = &options.config.instance {
        out.note(&format!("Instance:    {instance}"));
    }
    let seeds: Vec<_> = connection.seeds.iter().map(ToString::to_string).collect();
    out.note(&format!("Seed:        [{}]", seeds.join(", ")));
    out.note(&config_line(&config));

    let approach = Approach {
        agent: concat!("asadm-", env!("CARGO_PKG_VERSION")).to_owned(),
        seeds: connection.seeds,
        credential: connection.credential,
        tls: connection.tls,
        limit: settings.timeout,
        single: settings.single_node,
        alternate: settings.alternate && !settings.alumni,
        alumni: settings.alumni,
    };
    let cluster = tokio::select! {
        found = Cluster::find(approach) => found,
        _ = tokio::signal::ctrl_c() => return Exit::Interrupted,
    };
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(error) => {
            for refusal in &error.refusals {
                out.error(refusal);
            }
            out.error(&error.to_string());
            return if shell { Exit::Setup } else { Exit::Command };
        }
    };
    for warning in &cluster.warnings {
        out.warning(warning);
    }
    for gap in &cluster.gaps {
        out.error(gap);
        exit = exit.max(Exit::Command);
    }
    if let Some(path) = &settings.out_file
        && let Err(error) = out.to_file(path)
    {
        out.error(&format!("cannot write {}: {error}", path.display()));
        return Exit::Command;
    }
    let mut session = Session::new(cluster, out);
    session.strict = settings.strict;
    let ended = match text {
        Some(text) => execute(session, &text, settings.enable).await,
        None => shell::run(session, home.as_deref()).await,
    };
    exit.max(ended)
}

/// The line that names the configuration files that were read, those that win first.
fn config_line(config: &Config) -> String {
    let files: Vec<_> = config
        .files
        .iter()
        .rev()
        .map(|file| file.display().to_string())
        .collect();
    if files.is_empty() {
        "Config_file: None".to_owned()
    } else {
        format!("Config_file: {}", files.join(", "))
    }
}

/// Seeds and login with the status so far, or the status after an error.
fn resolve(
    options: &Options,
    config: &Config,
    out: &mut Output,
) -> Result<(Connection, Exit), Exit> {
    let resolved = Connection::resolve(&options.connection, &options.tls, config, prompt::password);
    match resolved {
        Ok(connection) => {
            let told = connection
                .problem
                .as_ref()
                .map(|problem| tell(out, problem));
            Ok((connection, told.unwrap_or_default()))
        }
        Err(error) => {
            out.error(&error.to_string());
            Err(match error {
                OptionsError::TlsRequired(_) | OptionsError::Tls(_) => Exit::Setup,
                OptionsError::Host(_)
                | OptionsError::Login(_)
                | OptionsError::Secret(_)
                | OptionsError::NotText
                | OptionsError::Prompt(_) => Exit::Command,
            })
        }
    }
}

fn tell(out: &mut Output, problem: &Problem) -> Exit {
    match problem {
        Problem::Warning(text) => {
            out.warning(text);
            Exit::Success
        }
        Problem::Error(text) | Problem::Absent(text) | Problem::Fatal(text) => {
            out.error(text);
            Exit::Setup
        }
    }
}

fn style(settings: &Settings) -> Style {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| Some(crossterm::terminal::size().ok()?.0.into()))
        .filter(|columns| *columns > 0)
        .unwrap_or(160);
    let terminal = io::stdout().is_terminal();
    Style {
        json: settings.json,
        safe: safe::stdout_is_seen(),
        cut: terminal,
        colour: terminal
            && !settings.no_color
            // See no-color.org: any value but the empty one.
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && settings.out_file.is_none(),
        columns,
    }
}

/// The commands of `-e`.
struct Commands {
    commands: Vec<Vec<String>>,
    from_file: bool,
}

impl Commands {
    fn of(text: &str) -> Result<Self, String> {
        let (text, from_file) = text_or_file(text)?;
        let commands = if from_file {
            parse::file(&text, command::continues)
        } else {
            parse::commands(&text)
        };
        let commands = commands.map_err(|error| error.to_string())?;
        Ok(Self {
            commands,
            from_file,
        })
    }
}

/// The text, or that of the file which it names.
fn text_or_file(text: &str) -> Result<(String, bool), String> {
    let path = Path::new(text);
    if text.is_empty() || !path.is_file() {
        return Ok((text.to_owned(), false));
    }
    match std::fs::read_to_string(path) {
        Ok(read) => Ok((parse::without_comments(&read), true)),
        Err(error) => Err(format!("cannot read {text}: {error}")),
    }
}

async fn execute(mut session: Session, text: &Commands, enable: bool) -> Exit {
    session.privileged = enable;
    if session.cluster.admin {
        session.out.text(&format!("{}\n", shell::ADMIN_NOTE));
    }
    let header = if text.from_file || session.out.is_file() {
        Header::Always
    } else {
        Header::Several
    };
    let interrupted = tokio::select! {
        _ = session.run(&text.commands, header) => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    if interrupted {
        return Exit::Interrupted;
    }
    session.exit()
}

/// Sends each request to the first seed that answers. Errors of the node are answers here; the status stays 0.
async fn asinfo_mode(
    options: &Options,
    config: &Config,
    settings: &Settings,
    mut out: Output,
) -> Exit {
    let (connection, exit) = match resolve(options, config, &mut out) {
        Ok(resolved) => resolved,
        Err(_) => return Exit::Setup,
    };
    let text = match text_or_file(settings.execute.as_deref().unwrap_or_default()) {
        // In a file a line end separates too.
        Ok((text, true)) => text.replace('\n', ";"),
        Ok((text, false)) => text,
        Err(error) => {
            out.error(&error);
            return Exit::Command;
        }
    };
    let mut requests = parse::requests(&text);
    if requests.is_empty() {
        requests.push(String::new());
    }
    let mut client = None;
    for request in requests {
        if let Some(document) = out.document() {
            document.begin(&request);
        }
        let reached = match client.take() {
            Some(client) => Ok(client),
            None => ask::connect(&connection, settings.timeout).await,
        };
        let answer = match reached {
            Ok(mut reached) => {
                let command = value::command(&request);
                let answer = ask::ask(
                    &mut reached,
                    command,
                    settings.line_separator,
                    settings.timeout,
                )
                .await;
                client = Some(reached).filter(|client| client.is_usable());
                answer
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => out.text(&answer.shown),
            Err(error) => {
                if let Some(document) = out.document() {
                    document.message("error", &error.to_string());
                }
                out.note(&format!("ERROR: {error}"));
                if matches!(error, ask::AskError::Unreachable(_)) {
                    break;
                }
            }
        }
    }
    exit
}
