//! The command line of `asadm`, and what it means together with the configuration files.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use tools::config::Config;
use tools::options::{ConfigOptions, ConnectionOptions, TlsOptions, seconds};

/// Manages Aerospike clusters: interactively, or with -e.
#[derive(Parser, Debug)]
#[command(
    name = "asadm",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
pub struct Options {
    /// Run these commands, or those of this file, and exit
    #[arg(
        short = 'e',
        long,
        value_name = "COMMANDS|FILE",
        allow_hyphen_values = true
    )]
    pub execute: Option<String>,
    /// With -e: start in privileged mode, in which changes are allowed
    #[arg(long)]
    pub enable: bool,
    /// Write the output of commands to a file, without colour
    #[arg(short = 'o', long, alias = "out_file", value_name = "FILE")]
    pub out_file: Option<PathBuf>,
    /// Show tables as JSON
    #[arg(short = 'j', long)]
    pub json: bool,
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// No colour; so does the environment variable NO_COLOR
    #[arg(long, alias = "no_color")]
    pub no_color: bool,
    /// Fail, with exit status 2, when a table misses a node that did not answer
    #[arg(long)]
    pub strict: bool,
    /// Talk to the first seed only
    #[arg(long, alias = "single_node", alias = "single_node_cluster")]
    pub single_node: bool,
    /// Seconds for each step with a node: connecting, login, an answer [default: 1]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// With --asinfo-mode: print one item of the answer a line
    #[arg(long, alias = "line_separator")]
    pub line_separator: bool,
    /// Send the commands of -e to one node as they are, and print the answers
    #[arg(long, alias = "asinfo_mode")]
    pub asinfo_mode: bool,
    /// Use the alternate addresses of nodes
    #[arg(short = 'a', long, alias = "services_alternate")]
    pub services_alternate: bool,
    /// Contact former members of the cluster too
    #[arg(short = 's', long, alias = "services_alumni")]
    pub services_alumni: bool,
    /// Analyse a saved state of a cluster (not supported)
    #[arg(short = 'c', long, hide = true)]
    pub collectinfo: bool,
    /// Analyse the logs of a cluster (not supported)
    #[arg(
        short = 'l',
        long,
        alias = "log_analyzer",
        alias = "log-analyser",
        hide = true
    )]
    pub log_analyzer: bool,
    /// Input of the analysers (not supported)
    #[arg(short = 'f', long, alias = "file_path", hide = true)]
    pub log_path: Option<PathBuf>,
    /// Collect partition maps too (has no effect)
    #[arg(long, hide = true)]
    pub pmap: bool,
    /// Print a profile at the end (has no effect)
    #[arg(long, hide = true)]
    pub profile: bool,
    /// Log more (has no effect)
    #[arg(long, hide = true)]
    pub debug: bool,
    /// Print a script that completes this program's options in a shell, and exit
    #[arg(long, value_name = "SHELL")]
    pub completions: Option<clap_complete::Shell>,
    /// Print the manual page, and exit
    #[arg(long)]
    pub manual: bool,
    /// Print the version
    #[arg(short = 'V', long)]
    pub version: bool,
    /// Print this help
    #[arg(short = 'E', long, action = ArgAction::Help)]
    pub help: Option<bool>,
    /// Where to connect to.
    #[command(flatten)]
    pub connection: ConnectionOptions,
    /// Encryption.
    #[command(flatten)]
    pub tls: TlsOptions,
    /// Configuration files.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// How a run prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Tables and text
    Table,
    /// With -e: the whole run as one JSON document
    Json,
}

/// What was typed and what files say, put together.
#[derive(Debug)]
pub struct Settings {
    /// Commands to run.
    pub execute: Option<String>,
    /// Privileged from the start.
    pub enable: bool,
    /// File for output.
    pub out_file: Option<PathBuf>,
    /// Tables as JSON.
    pub json: bool,
    /// No colour even on a terminal.
    pub no_color: bool,
    /// Tables that miss nodes fail.
    pub strict: bool,
    /// No peers.
    pub single_node: bool,
    /// Limit of each step.
    pub timeout: Duration,
    /// One item a line in asinfo mode.
    pub line_separator: bool,
    /// Requests as they are.
    pub asinfo_mode: bool,
    /// Alternate addresses.
    pub alternate: bool,
    /// Former members.
    pub alumni: bool,
    /// An analyser is wanted.
    pub analyser: bool,
}

impl Options {
    /// What a person should know about these options.
    pub fn warnings(&self, settings: &Settings) -> Vec<String> {
        let without_effect = [
            (self.pmap, "--pmap"),
            (self.profile, "--profile"),
            (self.debug, "--debug"),
        ];
        let mut warnings: Vec<String> = without_effect
            .into_iter()
            .filter(|(given, _)| *given)
            .map(|(_, name)| format!("{name} has no effect in this version of asadm"))
            .collect();
        if self.enable && settings.execute.is_none() {
            warnings.push(
                "--enable goes together with -e; here type \"enable\" to enter privileged mode"
                    .to_owned(),
            );
        }
        warnings
    }

    /// A flag that is on in a file stays on.
    pub fn resolve(&self, config: &Config) -> Settings {
        let file_limit = config
            .number("timeout")
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(seconds.into()));
        Settings {
            execute: self
                .execute
                .clone()
                .or_else(|| config.text("execute").map(str::to_owned)),
            enable: self.enable || config.flag("enable"),
            out_file: self
                .out_file
                .clone()
                .or_else(|| config.text("out-file").map(PathBuf::from)),
            json: self.json,
            no_color: self.no_color || config.flag("no-color"),
            strict: self.strict || config.flag("strict"),
            single_node: self.single_node || config.flag("single-node"),
            timeout: self
                .timeout
                .or(file_limit)
                .unwrap_or(Duration::from_secs(1)),
            line_separator: self.line_separator || config.flag("line-separator"),
            asinfo_mode: self.asinfo_mode || config.flag("asinfo-mode"),
            alternate: self.services_alternate || config.flag("services-alternate"),
            alumni: self.services_alumni || config.flag("services-alumni"),
            analyser: self.collectinfo
                || self.log_analyzer
                || config.flag("collectinfo")
                || config.flag("log-analyzer")
                || config.flag("log-analyser"),
        }
    }
}
