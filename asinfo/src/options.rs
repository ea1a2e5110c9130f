//! The options about the connection, which `asinfo` and `asadm` share: as typed, and what they mean together with the
//! configuration files.

use std::path::{Path, PathBuf};

use clap::Args;
use thiserror::Error;

use crate::config::{Config, Problem, Sources};
use crate::hosts::{HostError, Seed};
use crate::login::{Credential, LoginError};

/// Port of a host without one.
pub const DEFAULT_PORT: u16 = 3000;

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
    /// The user's password; asked for when it is left out
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
    /// Password of the key: itself, env:VARIABLE or file:PATH
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
    pub fn read(&self, home: Option<&Path>) -> Config {
        let mut config = Config::read(&self.sources(home));
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

/// What all this means.
#[derive(Clone)]
pub struct Connection {
    /// At least one.
    pub seeds: Vec<Seed>,
    /// Who logs in, if anybody does.
    pub credential: Option<Credential>,
    /// Something to tell, which does not keep the command from being sent.
    pub problem: Option<Problem>,
}

/// Options that cannot be followed.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// A host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A login mode that would send the password in clear.
    #[error("TLS is required for authentication mode: {0}")]
    TlsRequired(String),
    /// A login mode that this program does not have.
    #[error("authentication mode {0} is not supported yet, use INTERNAL")]
    Auth(String),
    /// Encryption.
    #[error("TLS is not supported yet, connect to a port without it")]
    Tls,
    /// A password that cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// No password could be read.
    #[error("cannot read the password: {0}")]
    Prompt(#[from] std::io::Error),
}

impl Connection {
    /// Puts options and configuration files together; asks for the password if one is wanted and none is given.
    pub fn resolve(
        options: &ConnectionOptions,
        tls: &TlsOptions,
        config: &Config,
        prompt: impl FnOnce() -> std::io::Result<String>,
    ) -> Result<Self, OptionsError> {
        let port = options
            .port
            .or_else(|| config.number("port"))
            .unwrap_or(DEFAULT_PORT);
        let hosts = options
            .host
            .as_deref()
            .or_else(|| config.text("host"))
            .unwrap_or("127.0.0.1");
        let seeds = Seed::parse_list(hosts, port)?;
        let auth = options
            .auth
            .as_deref()
            .or_else(|| config.text("auth"))
            .unwrap_or("INTERNAL")
            .to_uppercase();
        let encrypted = tls.tls_enable || config.flag("tls-enable");
        let mut problem = None;
        match auth.as_str() {
            "INTERNAL" => {}
            "EXTERNAL" | "PKI" if !encrypted => return Err(OptionsError::TlsRequired(auth)),
            "EXTERNAL" | "EXTERNAL_INSECURE" | "PKI" => return Err(OptionsError::Auth(auth)),
            _ => {
                problem = Some(Problem::Error(format!("Wrong authentication mode: {auth}")));
            }
        }
        if encrypted {
            return Err(OptionsError::Tls);
        }
        let user = options.user.as_deref().or_else(|| config.text("user"));
        let credential = match user {
            None => None,
            Some(user) => {
                let password = match (&options.password, config.text("password")) {
                    (Some(Some(password)), _) => password.clone(),
                    (None, Some(password)) => password.to_owned(),
                    _ => prompt()?,
                };
                Some(Credential::new(user, &password)?)
            }
        };
        Ok(Self {
            seeds,
            credential,
            problem,
        })
    }
}
