//! What `asudf.toml` may say: a struct a section.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use tools::options::{ConnectionOptions, TlsOptions};

use crate::place::Terms;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// `[modules]`: where they are.
    pub modules: Modules,
    /// `[test]`: what calls of tests may take.
    pub test: Test,
    /// `[lint]`: rule → level.
    pub lint: BTreeMap<Spanned<String>, Spanned<String>>,
    /// `[ship]`: how modules are applied.
    pub ship: Ship,
    /// `[cluster.NAME]`: where modules are applied to.
    pub cluster: BTreeMap<String, Cluster>,
}

/// `[modules]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Modules {
    /// Their folder, as seen from the file.
    pub folder: PathBuf,
    /// Names of modules that are on the clusters without being here, and may be required.
    pub known: Vec<String>,
}

impl Default for Modules {
    fn default() -> Self {
        Self {
            folder: ".".into(),
            known: Vec::new(),
        }
    }
}

/// `[test]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Test {
    /// Milliseconds that a call may take, as `transaction-max-ms` of the server.
    pub time_limit_ms: u64,
    /// Milliseconds that a test may take in all, property tests and their shrinking included.
    pub whole_time_limit_ms: u64,
    /// Bytes that a call may take.
    pub memory_limit: usize,
    /// Largest record in bytes, as `max-record-size` of the server.
    pub max_record_size: u64,
    /// Seconds that records live that are written without a ttl, as `default-ttl` of the server; 0 for ever.
    pub default_ttl: u32,
    /// Records may have a ttl, as with a `nsup-period` of the server that is not 0.
    pub expiration: bool,
}

impl Test {
    /// The same for the engine.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            time_limit: Duration::from_millis(self.time_limit_ms),
            memory_limit: self.memory_limit,
            max_record_size: self.max_record_size,
            default_ttl: self.default_ttl,
            expiration: self.expiration,
        }
    }
}

impl Default for Test {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Self {
            time_limit_ms: 1000,
            whole_time_limit_ms: 10_000,
            memory_limit: 128 * MIB,
            max_record_size: MIB as u64,
            default_ttl: 0,
            expiration: true,
        }
    }
}

/// `[ship]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Ship {
    /// The name under which clusters keep what is the project's.
    pub project: Option<Spanned<String>>,
    /// Whether every apply removes what the folder does not have any more, as with `--prune`.
    pub prune: bool,
}

/// `[cluster.NAME]`: the keys of `[cluster]` in `astools.conf`. A password is `env:VARIABLE` or `file:PATH`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Cluster {
    /// Hosts, separated by commas.
    pub host: Option<String>,
    /// Port of hosts without one.
    pub port: Option<u16>,
    /// Log in as this user.
    pub user: Option<String>,
    /// Where the password is.
    pub password: Option<Spanned<String>>,
    /// How to log in.
    pub auth: Option<String>,
    /// Use the alternate addresses that nodes tell.
    pub services_alternate: bool,
    /// Encrypt connections.
    pub tls_enable: bool,
    /// Name in the hosts' certificates.
    pub tls_name: Option<String>,
    /// Cipher suites in OpenSSL's notation.
    pub tls_cipher_suite: Option<String>,
    /// Check the hosts' certificates for revocation.
    pub tls_crl_check: bool,
    /// Check all certificates of the chain for revocation.
    pub tls_crl_check_all: bool,
    /// File with the client's key.
    pub tls_keyfile: Option<PathBuf>,
    /// Where the key's password is.
    pub tls_keyfile_password: Option<Spanned<String>>,
    /// File with trusted certificates.
    pub tls_cafile: Option<PathBuf>,
    /// Directory with trusted certificates.
    pub tls_capath: Option<PathBuf>,
    /// File with the client's certificate.
    pub tls_certfile: Option<PathBuf>,
    /// Versions of the protocol.
    pub tls_protocols: Option<String>,
}

impl Cluster {
    /// The same as the options of a command line; those that were typed win over them.
    #[must_use]
    pub fn options(&self) -> (ConnectionOptions, TlsOptions) {
        let secret =
            |text: &Option<Spanned<String>>| text.as_ref().map(|text| Some(text.get_ref().clone()));
        let connection = ConnectionOptions {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            password: secret(&self.password),
            auth: self.auth.clone(),
        };
        let tls = TlsOptions {
            tls_name: self.tls_name.clone(),
            tls_enable: self.tls_enable,
            tls_cafile: self.tls_cafile.clone(),
            tls_capath: self.tls_capath.clone(),
            tls_certfile: self.tls_certfile.clone(),
            tls_keyfile: self.tls_keyfile.clone(),
            tls_keyfile_password: secret(&self.tls_keyfile_password),
            tls_protocols: self.tls_protocols.clone(),
            tls_cipher_suite: self.tls_cipher_suite.clone(),
            tls_crl_check: self.tls_crl_check,
            tls_crl_check_all: self.tls_crl_check_all,
        };
        (connection, tls)
    }

    /// A password that stands in the file itself.
    pub(crate) fn secret_in_the_open(&self) -> Option<(Range<usize>, &'static str)> {
        let secrets = [&self.password, &self.tls_keyfile_password];
        let open = secrets.into_iter().flatten().find(|secret| {
            let text = secret.get_ref();
            !text.starts_with("env:") && !text.starts_with("file:")
        })?;
        let message = "a password does not belong into this file: say `env:VARIABLE` or `file:PATH` where it is";
        Some((open.span(), message))
    }
}
