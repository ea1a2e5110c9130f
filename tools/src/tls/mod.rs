//! Encrypted connections, as the options and configuration files want them.

mod key;
mod suites;
mod verify;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, InvalidDnsNameError, ServerName,
};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use protocol::client::ClientError;

use crate::config::Config;
use crate::options::TlsOptions;
use verify::{Revocation, Verifier};

/// Options or files that cannot be followed.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file or directory cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A file holds none of what it is to hold.
    #[error("{} holds no {what}", path.display())]
    Empty {
        /// Where it is.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A file is damaged.
    #[error("cannot use {}: {reason}", path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are no certificates to trust.
    #[error("no certificate of --tls-cafile and --tls-capath can be used")]
    NoRoots,
    /// Revocation is to be checked, and there is nothing to check it by.
    #[error("no revocation lists were found in --tls-cafile and --tls-capath")]
    NoLists,
    /// A certificate without a key, or the other way round.
    #[error("--tls-certfile and --tls-keyfile go together")]
    HalfIdentity,
    /// The password of the key.
    #[error("cannot read the password of the key: {0}")]
    Password(String),
    /// A version of the protocol.
    #[error("TLS version `{0}` is not supported, use TLSv1.2 or TLSv1.3")]
    Version(String),
    /// No version is left.
    #[error("`{0}` leaves no TLS version")]
    NoVersion(String),
    /// A cipher suite.
    #[error("cipher suite `{name}` is not supported, use one of {known}")]
    Suite {
        /// As it was given.
        name: String,
        /// Those that are.
        known: String,
    },
    /// The options contradict each other, or the key does not fit the certificate.
    #[error("cannot use these TLS settings: {0}")]
    Settings(#[from] rustls::Error),
    /// No name for a certificate.
    #[error("`{name}` cannot be the name of a certificate: {source}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        source: InvalidDnsNameError,
    },
}

/// How to encrypt.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    /// Stands in the certificates of nodes that have no TLS name of their own.
    name: Option<String>,
}

/// Whether a handshake failed for a reason that a person has to know, a certificate or name or an alert of the other side,
/// rather than because there is no TLS.
pub fn is_distrust(error: &ClientError) -> bool {
    let ClientError::Tls { source, .. } = error else {
        return false;
    };
    let cause = source.get_ref();
    cause.is_some_and(|cause| {
        cause.is::<TlsError>()
            || matches!(
                cause.downcast_ref(),
                Some(rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_))
            )
    })
}

/// The options, where they were not given the values of the configuration files.
struct Wanted<'c> {
    options: &'c TlsOptions,
    config: &'c Config,
}

impl Wanted<'_> {
    fn path(&self, option: Option<&PathBuf>, key: &str) -> Option<PathBuf> {
        option
            .cloned()
            .or_else(|| self.config.text(key).map(PathBuf::from))
    }

    fn text(&self, option: Option<&String>, key: &str) -> Option<String> {
        option
            .cloned()
            .or_else(|| self.config.text(key).map(str::to_owned))
    }
}

impl Tls {
    /// The settings, if encryption is wanted. The password of the key is asked for if one is wanted and none is given.
    ///
    /// # Errors
    /// See [`TlsError`]; nothing was sent.
    pub fn resolve(
        options: &TlsOptions,
        config: &Config,
        prompt: impl FnOnce() -> io::Result<String>,
    ) -> Result<Option<Self>, TlsError> {
        if !options.tls_enable && !config.flag("tls-enable") {
            return Ok(None);
        }
        let wanted = Wanted { options, config };
        let versions = wanted.text(options.tls_protocols.as_ref(), "tls-protocols");
        let versions = suites::versions(versions.as_deref())?;
        let names = wanted.text(options.tls_cipher_suite.as_ref(), "tls-cipher-suite");
        let provider = Arc::new(suites::provider(names.as_deref())?);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier(&wanted, provider)?));
        let certificate = wanted.path(options.tls_certfile.as_ref(), "tls-certfile");
        let key = wanted.path(options.tls_keyfile.as_ref(), "tls-keyfile");
        let settings = match (certificate, key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let password = key::Password::resolve(&wanted, prompt);
                builder.with_client_auth_cert(
                    certificates(&certificate, &read(&certificate)?)?,
                    key::read(&key, password)?,
                )?
            }
            _ => return Err(TlsError::HalfIdentity),
        };
        Ok(Some(Self {
            connector: TlsConnector::from(Arc::new(settings)),
            name: wanted.text(options.tls_name.as_ref(), "tls-name"),
        }))
    }

    /// What opens connections.
    pub fn connector(&self) -> &TlsConnector {
        &self.connector
    }

    /// The name that the options give to certificates; it replaces that of each seed.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The name that a node's certificate has to have: its own TLS name, that of the options, or its host.
    ///
    /// # Errors
    /// No certificate can have such a name.
    pub fn server_name(
        &self,
        tls_name: Option<&str>,
        host: &str,
    ) -> Result<ServerName<'static>, TlsError> {
        let name = tls_name.or(self.name.as_deref()).unwrap_or(host);
        ServerName::try_from(name.to_owned()).map_err(|source| TlsError::Name {
            name: name.to_owned(),
            source,
        })
    }
}

fn verifier(
    wanted: &Wanted<'_>,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Verifier, TlsError> {
    let options = wanted.options;
    let file = wanted.path(options.tls_cafile.as_ref(), "tls-cafile");
    let directory = wanted.path(options.tls_capath.as_ref(), "tls-capath");
    let mut roots = RootCertStore::empty();
    let mut lists = Vec::new();
    let mut take = |path: &Path, has_to: bool| {
        let text = read(path)?;
        let found = match certificates(path, &text) {
            Err(TlsError::Empty { .. }) if !has_to => Vec::new(),
            found => found?,
        };
        // Of several certificates those that cannot be used are passed over, as OpenSSL does.
        roots.add_parsable_certificates(found);
        lists.extend(revocations(path, &text)?);
        Ok::<(), TlsError>(())
    };
    if let Some(file) = &file {
        take(file, true)?;
    }
    if let Some(directory) = &directory {
        for path in files(directory)? {
            // Such directories hold much else; what cannot be read there is not trusted.
            let _ = take(&path, false);
        }
    }
    if file.is_none() && directory.is_none() {
        // What cannot be read is told by there being nothing to trust.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() && (file.is_some() || directory.is_some()) {
        return Err(TlsError::NoRoots);
    }
    let config = wanted.config;
    let checks_chain = options.tls_crl_check_all || config.flag("tls-crl-check-all");
    let checks_leaf = options.tls_crl_check || config.flag("tls-crl-check");
    let revocation = match (checks_chain, checks_leaf) {
        (false, false) => Revocation::None,
        _ if lists.is_empty() => return Err(TlsError::NoLists),
        (true, _) => Revocation::Chain(lists),
        (false, true) => Revocation::Leaf(lists),
    };
    Verifier::new(roots, revocation, provider)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The files of a directory, sorted by name.
fn files(directory: &Path) -> Result<Vec<PathBuf>, TlsError> {
    let unreadable = |source| TlsError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The certificates of a file; an error if there are none.
fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Empty {
            path: path.to_owned(),
            what: "certificate",
        }),
        Ok(found) => Ok(found),
        Err(error) => Err(damaged(path, error)),
    }
}

/// The revocation lists of a file.
fn revocations(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    found.map_err(|error| damaged(path, error))
}

fn damaged(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::Damaged {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
