//! The program: options → files → cluster → statements → exit status.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tools::ask::AskError;
use tools::config::{Config, Problem, Section};
use tools::connection::{Connection, OptionsError};
use tools::records::Records;
use tools::terminal::prompt;

use crate::options::{Options, respelled};
use crate::run::{Flow, Session};
use crate::settings::{Mode, Settings};
use crate::show::{Printer, Progress};
use crate::{config, help, shell};

/// Exit status of a run that did not come as far as a statement.
const NOT_STARTED: u8 = 255;
/// Exit status of a run in which a statement failed, with `--strict`.
const FAILED: u8 = 2;

/// What the program reads of `[cluster]`; its own section is read apart.
const NOTHING_ELSE: Section = Section {
    name: "nothing of its own",
    keys: &[],
};

/// Runs `aql` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let words = std::env::args_os().map(|word| respelled(word.to_string_lossy().into_owned()));
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let text = error.to_string();
            let first = text
                .lines()
                .next()
                .unwrap_or("")
                .trim_start_matches("error: ");
            let told = writeln!(io::stderr(), "aql: {first}")
                .and_then(|()| write!(io::stdout(), "{}", option_help()));
            return ended(told, NOT_STARTED);
        }
    };
    if let Some(text) = asked_for(&options) {
        return ended(io::stdout().write_all(&text), 0);
    }
    match run(&options) {
        Ok(status) => ended(Ok(()), status),
        Err(error) => ended(Err(error), 0),
    }
}

/// A reader that has seen enough is no failure.
fn ended(result: io::Result<()>, status: u8) -> ExitCode {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => ExitCode::from(NOT_STARTED),
        Err(_) => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(status),
    }
}

fn option_help() -> String {
    Options::command().render_help().to_string()
}

/// Texts that need no cluster.
fn asked_for(options: &Options) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    if options.version {
        text.extend(help::version().bytes());
    } else if options.help {
        text.extend(option_help().bytes());
        text.extend(b"\nDefaults are read from /etc/aerospike/astools.conf and ~/.aerospike/astools.conf.\n\nStatements:\n");
        text.extend(help::statements(None).bytes());
    } else if options.options {
        text.extend(option_help().bytes());
    } else if let Some(shell) = options.completions {
        clap_complete::generate(shell, &mut Options::command(), "aql", &mut text);
    } else if options.manual {
        let page = clap_mangen::Man::new(Options::command());
        // Writing to memory does not fail.
        let _ = page.render(&mut text);
    } else {
        return None;
    }
    Some(text)
}

fn run(options: &Options) -> io::Result<u8> {
    // Written by the line on a terminal, else in blocks: a long result is not a call a row.
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout());
    let mut err = io::stderr();
    let mut printer = Printer::new(&mut out, &mut err);
    if options.format.as_deref() == Some("json") {
        printer = printer.as_document();
    }
    if io::stderr().is_terminal() {
        printer = printer.with_progress(Progress::new(io::stdout().is_terminal()));
    }
    let status = match begin(options) {
        Ok(begun) => connected(options, begun, &mut printer)?,
        Err(text) => refuse(&text, &mut printer)?,
    };
    // Other forms of a run without statements have no end.
    if printer.is_document() {
        printer.finish(status)?;
    }
    Ok(status)
}

/// Tells why no statement is run.
fn refuse(text: &str, printer: &mut Printer<'_>) -> io::Result<u8> {
    printer.complain(text.as_bytes()).map(|()| NOT_STARTED)
}

/// What is known before there is a connection.
struct Begun {
    config: Config,
    settings: Settings,
    connection: Connection,
    /// What is passed over in silence unless somebody wants to know.
    passed_over: Vec<String>,
}

/// Puts options and files together.
///
/// # Errors
/// What is wrong with them, with its line feed.
fn begin(options: &Options) -> Result<Begun, String> {
    if options.no_config_file && options.only_config_file.is_some() {
        return Err("--no-config-file and only-config-file are mutually exclusive option. Please enable only one.\n".to_owned());
    }
    let needs_lines = options.command.is_none() && options.file.is_none();
    if options.format.as_deref() == Some("json") && needs_lines && io::stdin().is_terminal() {
        return Err(
            "--format json needs statements: -c, -f, or input from elsewhere than a terminal\n"
                .to_owned(),
        );
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let files = options.config();
    let sources = files.sources(home.as_deref());
    let mut settings = Settings::default();
    let mut passed_over = config::read(&sources, &mut settings)?;
    let config = Config::read(&sources, &NOTHING_ELSE);
    for problem in &config.problems {
        let (Problem::Warning(text)
        | Problem::Error(text)
        | Problem::Absent(text)
        | Problem::Fatal(text)) = problem;
        passed_over.push(text.clone());
    }
    apply(options, &mut settings, &mut passed_over);
    if options.strict && !passed_over.is_empty() {
        let lines: Vec<String> = passed_over
            .iter()
            .map(|text| format!("aql: {text}\n"))
            .collect();
        return Err(lines.concat());
    }
    let connection = connection(options, &config)?;
    Ok(Begun {
        config,
        settings,
        connection,
        passed_over,
    })
}

fn connected(options: &Options, begun: Begun, printer: &mut Printer<'_>) -> io::Result<u8> {
    let Begun {
        config,
        settings,
        connection,
        passed_over,
    } = begun;
    if io::stderr().is_terminal() || printer.is_document() {
        for text in passed_over {
            printer.warn(&text)?;
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(async {
        let alternate = options.services_alternate || config.flag("services-alternate");
        let limit = settings.limit();
        let records = match Records::connect(connection, alternate, limit).await {
            Ok(records) => records,
            Err(error) => {
                let code = connect_code(&error);
                if options.strict || io::stderr().is_terminal() {
                    printer.complain(format!("{error}\n").as_bytes())?;
                }
                return refuse(&format!("Error {code}: Failed to connect\n"), printer);
            }
        };
        statements(options, &config, records, settings, printer).await
    });
    // A name that is still being looked up must not hold the process.
    runtime.shutdown_background();
    status
}

/// The C client's code for a connection that could not be made.
fn connect_code(error: &AskError) -> i64 {
    use protocol::client::ClientError;
    match error {
        AskError::Login(tools::login::LoginError::Refused(_)) | AskError::NotAuthenticated => 51,
        AskError::Client(ClientError::Resolve { .. } | ClientError::NoAddress { .. }) => -1,
        _ => -10,
    }
}

fn connection(options: &Options, config: &Config) -> Result<Connection, String> {
    if options.host.as_deref() == Some("") {
        return Err("Error -2: No hosts provided\n".to_owned());
    }
    let has_host = options.host.is_some() || config.text("host").is_some();
    if options.instance.is_some() && !has_host {
        return Err("Error -1: Not able to connect any cluster with (null)\n".to_owned());
    }
    let Some(asked) = options.connection() else {
        return Err("Error -10: Failed to connect\n".to_owned());
    };
    if let Some(auth) = asked.auth.as_deref()
        && !["INTERNAL", "EXTERNAL", "EXTERNAL_INSECURE", "PKI"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(auth))
    {
        return Err(format!(
            "Invalid authentication mode {auth}. Allowed values are INTERNAL / EXTERNAL / EXTERNAL_INSECURE / PKI\n"
        ));
    }
    Connection::resolve(&asked, &options.tls, config, prompt::password).map_err(|error| match error
    {
        OptionsError::Host(_) => {
            format!("Invalid host(s) {}\n", asked.host.as_deref().unwrap_or(""))
        }
        OptionsError::Login(_) | OptionsError::Prompt(_) => format!(
            "Invalid password for user name `{}`\n",
            asked.user.as_deref().unwrap_or("")
        ),
        other => format!("{other}\n"),
    })
}

/// Options win over files. What is no value is told in `passed_over`.
fn apply(options: &Options, settings: &mut Settings, passed_over: &mut Vec<String>) {
    let numbers = [
        ("--timeout", &options.timeout),
        ("--socket-timeout", &options.socket_timeout),
    ];
    for (name, word) in numbers {
        if let Some(word) = word.as_ref().filter(|word| word.parse::<i64>().is_err()) {
            passed_over.push(format!("{name} `{word}` is no number of milliseconds"));
        }
    }
    let mut set = |name: &str, word: &Option<String>| {
        if let (Some(setting), Some(word)) = (crate::settings::find(name), word) {
            setting.set(settings, word);
        }
    };
    set("TIMEOUT", &options.timeout);
    set("SOCKET_TIMEOUT", &options.socket_timeout);
    set("LUA_USERPATH", &options.udfuser);
    if let Some(mode) = &options.outputmode {
        settings.output = Mode::of(mode).unwrap_or_else(|| {
            passed_over.push(format!("--outputmode: {}", config::not_a_mode(mode)));
            Mode::Table
        });
    }
    settings.output_types &= options.outputtypes.is_none();
    settings.verbose |= options.verbose;
    settings.echo |= options.echo;
}

async fn statements(
    options: &Options,
    config: &Config,
    records: Records,
    settings: Settings,
    printer: &mut Printer<'_>,
) -> io::Result<u8> {
    let scripted = options.command.is_some() || options.file.is_some();
    let explains = options.strict || !scripted && io::stderr().is_terminal();
    let mut session = Session::new(records, settings, explains);
    session.checks_modules = options.check;
    shell::make_history();
    printer.set_mode(session.settings.output, session.settings.output_types);
    if let Some(command) = &options.command {
        session.settings.echo = true;
        for line in command.lines() {
            if session.line(line, printer).await? == Flow::Exit {
                break;
            }
        }
    } else if let Some(path) = &options.file {
        session.file(path, printer).await?;
    } else if io::stdin().is_terminal() {
        greet(options, config, printer)?;
        shell::run(&mut session, printer).await?;
    } else {
        lines(options, config, &mut session, printer).await?;
    }
    let status = status(options, printer);
    if !printer.is_document() {
        printer.finish(status)?;
    }
    Ok(status)
}

/// Runs the lines of stdin, which are printed behind the prompt like those of a terminal.
async fn lines(
    options: &Options,
    config: &Config,
    session: &mut Session,
    printer: &mut Printer<'_>,
) -> io::Result<()> {
    let shows = !printer.is_document();
    if shows {
        greet(options, config, printer)?;
    }
    for line in io::stdin().lock().lines() {
        let line = line?;
        shell::remember(&line);
        if shows {
            printer.text(&format!("aql> {line}\n"))?;
        }
        if session.line(&line, printer).await? == Flow::Exit {
            return Ok(());
        }
    }
    match shows {
        true => printer.text("aql> "),
        false => Ok(()),
    }
}

fn status(options: &Options, printer: &Printer<'_>) -> u8 {
    match options.strict && printer.failed {
        true => FAILED,
        false => 0,
    }
}

/// The lines that a session begins with.
fn greet(options: &Options, config: &Config, printer: &mut Printer<'_>) -> io::Result<()> {
    let host = options
        .host
        .as_deref()
        .or_else(|| config.text("host"))
        .unwrap_or("127.0.0.1");
    let user = options
        .user
        .as_deref()
        .or_else(|| config.text("user"))
        .unwrap_or("None");
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let files = options.config();
    let sources = files.sources(home.as_deref());
    let files = match options.no_config_file {
        true => " None".to_owned(),
        false => {
            let defaults: Vec<String> = sources
                .defaults
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            let named: Vec<String> = sources
                .named
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!(" {} {}", defaults.join(" "), named.join(" "))
        }
    };
    if let Some(instance) = &options.instance {
        printer.text(&format!("Instance:     {instance}\n"))?;
    }
    printer.text(&format!(
        "Seed:         {host}\nUser:         {user}\nConfig File: {files}\n{}",
        help::version()
    ))?;
    printer.flush()
}
