//! The options that all tools share, as typed: where to connect to and as whom, encryption, configuration files. A tool
//! flattens these into its own; [`crate::connection`] says what they mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::config::{Config, Problem, Section, Sources};

/// A time limit of the command line.
///
/// # Errors
/// The text is no positive number.
pub fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|limit| !limit.is_zero())
        .ok_or_else(|| "expected a positive number of seconds".to_owned())
}

/// Where to connect to, and as whom.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Connection")]
#[allow(
    rustdoc::broken_intra_doc_links,
    reason = "these sentences are help texts, where [IPV6]:PORT is a form of hosts"
)]
pub struct ConnectionOptions {
    /// Hosts, separated by commas: HOST, HOST:PORT, HOST:TLS-NAME:PORT or [IPV6]:PORT [default: 127.0.0.1]
    #[arg(short = 'h', long, value_name = "HOST")]
    pub host: Option<String>,
    /// Port of hosts without one [default: 3000]
    #[arg(short = 'p', long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Log in as this user
    #[arg(short = 'U', long, value_name = "USER")]
    pub user: Option<String>,
    /// The user's password: itself, env:VARIABLE or file:PATH; asked for when it is left out
    #[arg(short = 'P', long, value_name = "PASSWORD", num_args = 0..=1)]
    pub password: Option<Option<String>>,
    /// How to log in: INTERNAL, EXTERNAL, EXTERNAL_INSECURE or PKI [default: INTERNAL]
    #[arg(long, value_name = "MODE")]
    pub auth: Option<String>,
}

/// Encryption.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "TLS")]
pub struct TlsOptions {
    /// Name in the hosts' certificates
    #[arg(short = 't', long, alias = "tls_name", value_name = "NAME")]
    pub tls_name: Option<String>,
    /// Encrypt connections
    #[arg(long, alias = "tls_enable")]
    pub tls_enable: bool,
    /// File with trusted certificates
    #[arg(long, alias = "tls_cafile", value_name = "PATH")]
    pub tls_cafile: Option<PathBuf>,
    /// Directory with trusted certificates
    #[arg(long, alias = "tls_capath", value_name = "PATH")]
    pub tls_capath: Option<PathBuf>,
    /// File with the client's certificate
    #[arg(long, alias = "tls_certfile", value_name = "PATH")]
    pub tls_certfile: Option<PathBuf>,
    /// File with the client's key
    #[arg(long, alias = "tls_keyfile", value_name = "PATH")]
    pub tls_keyfile: Option<PathBuf>,
    /// Password of the key: itself, env:VARIABLE or file:PATH; asked for when it is left out
    #[arg(long, alias = "tls_keyfile_password", value_name = "PASSWORD", num_args = 0..=1)]
    pub tls_keyfile_password: Option<Option<String>>,
    /// Versions of the protocol, as in `-all +TLSv1.2`
    #[arg(
        long,
        alias = "tls_protocols",
        value_name = "LIST",
        allow_hyphen_values = true
    )]
    pub tls_protocols: Option<String>,
    /// Cipher suites in OpenSSL's notation
    #[arg(long, alias = "tls_cipher_suite", value_name = "LIST")]
    pub tls_cipher_suite: Option<String>,
    /// Check the hosts' certificates for revocation
    #[arg(long, alias = "tls_crl_check")]
    pub tls_crl_check: bool,
    /// Check all certificates of the chain for revocation
    #[arg(long, alias = "tls_crl_check_all")]
    pub tls_crl_check_all: bool,
}

/// Which configuration files are read.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration files")]
pub struct ConfigOptions {
    /// Read one more configuration file, after the others
    #[arg(long, alias = "config_file", value_name = "PATH")]
    pub config_file: Option<PathBuf>,
    /// Read only this configuration file
    #[arg(long, alias = "only_config_file", value_name = "PATH")]
    pub only_config_file: Option<PathBuf>,
    /// Read no configuration file
    #[arg(long, alias = "no_config_file")]
    pub no_config_file: bool,
    /// Use the sections whose names end in _NAME
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
}

impl ConfigOptions {
    /// The files to read and, for the line that `asadm` prints, their names, those that win first.
    pub fn sources(&self, home: Option<&Path>) -> Sources {
        let (mut defaults, mut named) = (Vec::new(), Vec::new());
        if let Some(only) = &self.only_config_file {
            named.push(only.clone());
        } else if !self.no_config_file {
            defaults = Sources::default_files(home);
            named.extend(self.config_file.clone());
        }
        Sources {
            defaults,
            named,
            instance: self.instance.clone(),
        }
    }

    /// The values of the files, and what is wrong with these options.
    ///
    /// `own` is the section of the tool that reads them.
    pub fn read(&self, home: Option<&Path>, own: &Section) -> Config {
        let mut config = Config::read(&self.sources(home), own);
        if self.no_config_file && self.only_config_file.is_some() {
            config.problems.insert(
                0,
                Problem::Error(
                    "--no-config-file and only-config-file are mutually exclusive option. Please enable only one."
                        .to_owned(),
                ),
            );
        }
        config
    }
}
