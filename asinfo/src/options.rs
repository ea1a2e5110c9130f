//! The options about the connection, which `asinfo` and `asadm` share: as typed, and what they mean together with the
//! configuration files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use protocol::client::{Client, ClientError};
use thiserror::Error;

use crate::config::{Config, Problem, Sources};
use crate::hosts::{HostError, Seed};
use crate::login::{Credential, LoginError};
use crate::tls::{Tls, TlsError};

/// Port of a host without one.
pub const DEFAULT_PORT: u16 = 3000;

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
    /// How connections are encrypted, if they are.
    pub tls: Option<Tls>,
    /// Something to tell, which does not keep the command from being sent.
    pub problem: Option<Problem>,
}

/// Options that cannot be followed.
#[derive(Debug, Error)]
pub enum OptionsError {
    /// A host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A login mode that is for encrypted connections.
    #[error("TLS is required for authentication mode: {0}")]
    TlsRequired(String),
    /// Encryption.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A password that cannot be used.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// No password could be read.
    #[error("cannot read the password: {0}")]
    Prompt(#[from] std::io::Error),
}

impl Connection {
    /// Puts options and configuration files together; asks for the password if one is wanted and none is given.
    ///
    /// # Errors
    /// See [`OptionsError`]; nothing was sent.
    pub fn resolve(
        options: &ConnectionOptions,
        tls: &TlsOptions,
        config: &Config,
        prompt: impl Fn(&str) -> std::io::Result<String>,
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
        let mut seeds = Seed::parse_list(hosts, port)?;
        let auth = options
            .auth
            .as_deref()
            .or_else(|| config.text("auth"))
            .unwrap_or("INTERNAL")
            .to_uppercase();
        let encrypted = tls.tls_enable || config.flag("tls-enable");
        let mut problem = None;
        match auth.as_str() {
            "EXTERNAL" | "PKI" if !encrypted => return Err(OptionsError::TlsRequired(auth)),
            "INTERNAL" | "EXTERNAL" | "EXTERNAL_INSECURE" | "PKI" => {}
            _ => {
                problem = Some(Problem::Error(format!("Wrong authentication mode: {auth}")));
            }
        }
        let user = options.user.as_deref().or_else(|| config.text("user"));
        let password = || match (&options.password, config.text("password")) {
            (Some(Some(password)), _) => Ok(password.clone()),
            (None, Some(password)) => Ok(password.to_owned()),
            _ => prompt("Enter Password:"),
        };
        // Without a user nobody logs in, whatever the mode.
        let credential = match (auth.as_str(), user) {
            ("PKI", _) => Some(Credential::Certificate),
            ("EXTERNAL" | "EXTERNAL_INSECURE", Some(user)) => {
                Some(Credential::external(user, &password()?)?)
            }
            (_, Some(user)) => Some(Credential::internal(user, &password()?)?),
            (_, None) => None,
        };
        let tls = Tls::resolve(tls, config, || prompt("Enter TLS-Keyfile Password:"))?;
        if let Some(name) = tls.as_ref().and_then(Tls::name) {
            for seed in &mut seeds {
                seed.tls_name = Some(name.to_owned());
            }
        }
        Ok(Self {
            seeds,
            credential,
            tls,
            problem,
        })
    }

    /// Opens a connection to a host. Its TLS name is the one that stands in its certificate, where it is not its own.
    ///
    /// # Errors
    /// Those of the client; a name that no certificate can have is one of [`ClientError::Tls`].
    pub async fn open(
        tls: Option<&Tls>,
        host: &str,
        port: u16,
        tls_name: Option<&str>,
        limit: Duration,
    ) -> Result<Client, ClientError> {
        let Some(tls) = tls else {
            return Client::connect(host, port, limit).await;
        };
        let name = tls
            .server_name(tls_name, host)
            .map_err(|error| ClientError::Tls {
                peer: format!("{host}:{port}"),
                source: std::io::Error::other(error),
            })?;
        Client::connect_tls(host, port, tls.connector(), name, limit).await
    }
}
