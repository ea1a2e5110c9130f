//! The command line: one definition, from which parsing, help, completions and manual come.

use std::path::PathBuf;

use clap::{ArgAction, Parser};
use tools::options::{ConfigOptions, ConnectionOptions, TlsOptions};

/// Query and manage an Aerospike cluster: records, user-defined functions, indexes.
#[derive(Debug, Parser)]
#[command(
    name = "aql",
    override_usage = "aql [OPTIONS]",
    disable_help_flag = true,
    disable_version_flag = true,
    infer_long_args = true,
    args_override_self = true
)]
pub(crate) struct Options {
    /// Print the version
    #[arg(short = 'V', long)]
    pub(crate) version: bool,
    /// Print the options
    #[arg(short = 'O', long)]
    pub(crate) options: bool,
    /// Print the options and all statements
    #[arg(short = 'E', long, action = ArgAction::SetTrue)]
    pub(crate) help: bool,
    /// Run these statements, separated by `;`, and leave
    #[arg(
        short = 'c',
        long,
        value_name = "STATEMENTS",
        allow_hyphen_values = true
    )]
    pub(crate) command: Option<String>,
    /// Run the statements of a file, a line each, and leave
    #[arg(short = 'f', long, value_name = "PATH")]
    pub(crate) file: Option<String>,
    /// Print each statement before it runs; -c and -f do so anyway
    #[arg(short = 'e', long)]
    pub(crate) echo: bool,
    /// Tell more about the connection
    #[arg(short = 'v', long)]
    pub(crate) verbose: bool,
    /// How results are printed: table, json, raw, mute, or insert: statements that make the records again [default: table]
    #[arg(short = 'o', long, value_name = "MODE")]
    pub(crate) outputmode: Option<String>,
    /// Print lists, maps and regions without their types; the word does not matter
    #[arg(short = 'n', long, value_name = "WORD")]
    pub(crate) outputtypes: Option<String>,
    /// Milliseconds for a whole request [default: 1000]
    #[arg(short = 'T', long, value_name = "MS", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,
    /// Milliseconds without anything from a node after which a query is given up [default: 30000]
    #[arg(long, value_name = "MS", allow_hyphen_values = true)]
    pub(crate) socket_timeout: Option<String>,
    /// Print all of the run as one JSON document: json; `aql --help` tells its members [default: text]
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    pub(crate) format: Option<String>,
    /// Directory of the modules for AGGREGATE [default: /opt/aerospike/usr/udf/lua]
    #[arg(short = 'u', long, value_name = "DIR")]
    pub(crate) udfuser: Option<String>,
    /// Accepted for scripts: this program needs no pool of threads
    #[arg(short = 'z', long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) threadpoolsize: Option<String>,
    /// Look modules through before REGISTER: a mistake that will fail stops it, others are warnings
    #[arg(long)]
    pub(crate) check: bool,
    /// End with status 2 when a statement failed, and point at mistakes
    #[arg(long)]
    pub(crate) strict: bool,
    /// Hosts, separated by commas: HOST, HOST:PORT, HOST:TLS-NAME:PORT or [IPV6]:PORT [default: 127.0.0.1]
    #[arg(short = 'h', long, value_name = "HOST", help_heading = "Connection")]
    pub(crate) host: Option<String>,
    /// Port of hosts without one [default: 3000]
    #[arg(
        short = 'p',
        long,
        value_name = "PORT",
        help_heading = "Connection",
        allow_hyphen_values = true
    )]
    pub(crate) port: Option<String>,
    /// Use the alternate addresses that nodes tell
    #[arg(short = 'a', long, help_heading = "Connection")]
    pub(crate) services_alternate: bool,
    /// Log in as this user
    #[arg(short = 'U', long, value_name = "USER", help_heading = "Connection")]
    pub(crate) user: Option<String>,
    /// The user's password; asked for when it is left out
    #[arg(short = 'P', long, value_name = "PASSWORD", num_args = 0..=1, help_heading = "Connection")]
    pub(crate) password: Option<Option<String>>,
    /// How to log in: INTERNAL, EXTERNAL, EXTERNAL_INSECURE or PKI [default: INTERNAL]
    #[arg(short = 'A', long, value_name = "MODE", help_heading = "Connection")]
    pub(crate) auth: Option<String>,
    #[command(flatten)]
    pub(crate) tls: TlsOptions,
    /// Accepted for scripts, without effect
    #[arg(long, alias = "tlsEncryptOnly", help_heading = "TLS")]
    pub(crate) tls_encrypt_only: bool,
    /// Accepted for scripts; use revocation lists instead
    #[arg(
        long,
        alias = "tlsCertBlackList",
        value_name = "PATH",
        help_heading = "TLS"
    )]
    pub(crate) tls_cert_blacklist: Option<PathBuf>,
    /// Read one more configuration file, astools.conf's way, after the others
    #[arg(
        short = 'C',
        long,
        value_name = "PATH",
        help_heading = "Configuration files"
    )]
    pub(crate) config_file: Option<PathBuf>,
    /// Read only this configuration file
    #[arg(long, value_name = "PATH", help_heading = "Configuration files")]
    pub(crate) only_config_file: Option<PathBuf>,
    /// Read no configuration file
    #[arg(short = 'N', long, help_heading = "Configuration files")]
    pub(crate) no_config_file: bool,
    /// Use the sections whose names end in _NAME
    #[arg(
        short = 'I',
        long,
        value_name = "NAME",
        help_heading = "Configuration files"
    )]
    pub(crate) instance: Option<String>,
    /// Print a script that completes this program's options in a shell, and leave
    #[arg(long, value_name = "SHELL")]
    pub(crate) completions: Option<clap_complete::Shell>,
    /// Print the manual page, and leave
    #[arg(long)]
    pub(crate) manual: bool,
    /// Words that are no options are passed over
    #[arg(hide = true)]
    stray: Vec<String>,
}

/// Spellings of the TLS options in older versions, and today's.
pub(crate) const OLD_SPELLINGS: &[(&str, &str)] = &[
    ("--tlsEnable", "--tls-enable"),
    ("--tlsEncryptOnly", "--tls-encrypt-only"),
    ("--tlsCaFile", "--tls-cafile"),
    ("--tlsCaPath", "--tls-capath"),
    ("--tlsProtocols", "--tls-protocols"),
    ("--tlsCipherSuite", "--tls-cipher-suite"),
    ("--tlsCrlCheckAll", "--tls-crl-check-all"),
    ("--tlsCrlCheck", "--tls-crl-check"),
    ("--tls-crl-checkall", "--tls-crl-check-all"),
    ("--tlsCertBlackList", "--tls-cert-blacklist"),
    ("--tlsKeyFile", "--tls-keyfile"),
    ("--tlsCertFile", "--tls-certfile"),
];

/// A word of the command line in today's spelling.
#[must_use]
pub(crate) fn respelled(word: String) -> String {
    for (old, new) in OLD_SPELLINGS {
        if word == *old {
            return (*new).to_owned();
        }
        if let Some(value) = word.strip_prefix(old).filter(|rest| rest.starts_with('=')) {
            return format!("{new}{value}");
        }
    }
    word
}

impl Options {
    /// Where to connect to, as the tools have it. None for a port that is none.
    #[must_use]
    pub(crate) fn connection(&self) -> Option<ConnectionOptions> {
        let port = match &self.port {
            Some(text) => Some(text.parse::<u16>().ok().filter(|port| *port != 0)?),
            None => None,
        };
        Some(ConnectionOptions {
            host: self.host.clone(),
            port,
            user: self.user.clone(),
            password: self.password.clone(),
            auth: self.auth.clone(),
        })
    }

    /// Which files are read.
    #[must_use]
    pub(crate) fn config(&self) -> ConfigOptions {
        ConfigOptions {
            config_file: self.config_file.clone(),
            only_config_file: self.only_config_file.clone(),
            no_config_file: self.no_config_file,
            instance: self.instance.clone(),
        }
    }
}
