//! The program: options → files → cluster → statements → exit status.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tools::ask::AskError;
use tools::config::{Config, Section};
use tools::connection::{Connection, OptionsError};
use tools::records::Records;
use tools::terminal::prompt;

use crate::options::{Options, respelled};
use crate::run::{Flow, Session};
use crate::settings::{Mode, Settings};
use crate::show::Printer;
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
    let refuse = |text: &str| {
        let mut err = io::stderr();
        err.write_all(text.as_bytes()).map(|()| NOT_STARTED)
    };
    if options.no_config_file && options.only_config_file.is_some() {
        return refuse(
            "--no-config-file and only-config-file are mutually exclusive option. Please enable only one.\n",
        );
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let files = options.config();
    let sources = files.sources(home.as_deref());
    let mut settings = Settings::default();
    if let Err(text) = config::read(&sources, &mut settings) {
        return refuse(&text);
    }
    let config = Config::read(&sources, &NOTHING_ELSE);
    apply(options, &mut settings);
    let connection = match connection(options, &config) {
        Ok(connection) => connection,
        Err(text) => return refuse(&text),
    };
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
                    writeln!(io::stderr(), "{error}")?;
                }
                return refuse(&format!("Error {code}: Failed to connect\n"));
            }
        };
        statements(options, &config, records, settings).await
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

/// Options win over files.
fn apply(options: &Options, settings: &mut Settings) {
    let mut set = |name: &str, word: &Option<String>| {
        if let (Some(setting), Some(word)) = (crate::settings::find(name), word) {
            setting.set(settings, word);
        }
    };
    set("TIMEOUT", &options.timeout);
    set("SOCKET_TIMEOUT", &options.socket_timeout);
    set("LUA_USERPATH", &options.udfuser);
    if let Some(mode) = &options.outputmode {
        settings.output = Mode::of(mode).unwrap_or_default();
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
) -> io::Result<u8> {
    let scripted = options.command.is_some() || options.file.is_some();
    let explains = options.strict || !scripted && io::stderr().is_terminal();
    let mut session = Session::new(records, settings, explains);
    // Written by the line on a terminal, else in blocks: a long result is not a call a row.
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout());
    let mut err = io::stderr();
    let mut printer = Printer::new(&mut out, &mut err);
    shell::make_history();
    if let Some(command) = &options.command {
        session.settings.echo = true;
        for line in command.lines() {
            if session.line(line, &mut printer).await? == Flow::Exit {
                break;
            }
        }
    } else if let Some(path) = &options.file {
        session.file(path, &mut printer).await?;
    } else {
        greet(options, config, &mut printer)?;
        if io::stdin().is_terminal() {
            shell::run(&mut session, &mut printer).await?;
        } else {
            for line in io::stdin().lock().lines() {
                let line = line?;
                shell::remember(&line);
                printer.text(&format!("aql> {line}\n"))?;
                if session.line(&line, &mut printer).await? == Flow::Exit {
                    printer.text("\n")?;
                    printer.flush()?;
                    return Ok(status(options, &printer));
                }
            }
            printer.text("aql> ")?;
        }
    }
    printer.text("\n")?;
    printer.flush()?;
    Ok(status(options, &printer))
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
