//! What the options about the connection mean together with the configuration files: seeds, login, encryption.

use std::time::Duration;

use protocol::client::{Client, ClientError};
use thiserror::Error;

use crate::config::{Config, Problem};
use crate::hosts::{HostError, Seed};
use crate::login::{Credential, LoginError};
use crate::options::{ConnectionOptions, TlsOptions};
use crate::secret::{self, SecretError};
use crate::tls::{Tls, TlsError};

/// Port of a host without one.
pub const DEFAULT_PORT: u16 = 3000;

/// Where to connect to, as whom, and how encrypted.
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
    /// A password stands on the command line: see [`secret::EXPOSED`].
    pub exposes_password: bool,
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
    /// A password that is not where it was said to be.
    #[error("cannot read the password: {0}")]
    Secret(#[from] SecretError),
    /// Bytes that are no text.
    #[error("cannot use the password: it is no UTF-8 text")]
    NotText,
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
        let password = || -> Result<String, OptionsError> {
            match (&options.password, config.text("password")) {
                (Some(Some(given)), _) => {
                    let password = secret::read(given)?;
                    String::from_utf8(password).map_err(|_| OptionsError::NotText)
                }
                (None, Some(password)) => Ok(password.to_owned()),
                _ => Ok(prompt("Enter Password:")?),
            }
        };
        let exposed = |given: &Option<Option<String>>| {
            let given = given.as_ref().and_then(Option::as_deref);
            given.is_some_and(secret::is_itself)
        };
        let exposes_password = exposed(&options.password) || exposed(&tls.tls_keyfile_password);
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
            exposes_password,
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
