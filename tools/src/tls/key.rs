//! The client's key.

use std::io;
use std::path::Path;

use pkcs8::EncryptedPrivateKeyInfoRef;
use pkcs8::der::pem::decode_vec;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{TlsError, Wanted, damaged, read as read_file};
use crate::secret;

/// How the label of an encrypted key reads.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";

/// Where a password comes from, asked for only when it is needed.
pub(super) struct Password<P> {
    given: Option<String>,
    prompt: P,
}

impl<P: FnOnce() -> io::Result<String>> Password<P> {
    pub(super) fn resolve(wanted: &Wanted<'_>, prompt: P) -> Self {
        let given = match &wanted.options.tls_keyfile_password {
            Some(given) => given.clone(),
            None => wanted
                .config
                .text("tls-keyfile-password")
                .map(str::to_owned),
        };
        Self { given, prompt }
    }

    /// Itself, `env:VARIABLE`, `file:PATH`, or what is typed.
    fn bytes(self) -> Result<Vec<u8>, TlsError> {
        let Some(given) = self.given else {
            let typed = (self.prompt)().map_err(|error| TlsError::Password(error.to_string()))?;
            return Ok(typed.into_bytes());
        };
        secret::read(&given).map_err(|error| TlsError::Password(error.to_string()))
    }
}

/// The key of a file, decrypted if it has a password.
pub(super) fn read(
    path: &Path,
    password: Password<impl FnOnce() -> io::Result<String>>,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = read_file(path)?;
    let (begin, end) = (
        format!("-----BEGIN {ENCRYPTED}-----"),
        format!("-----END {ENCRYPTED}-----"),
    );
    let whole = String::from_utf8_lossy(&text);
    if let Some((_, rest)) = whole.split_once(&begin)
        && let Some((body, _)) = rest.split_once(&end)
    {
        let pem = format!("{begin}{body}{end}\n");
        let (_, der) = decode_vec(pem.as_bytes()).map_err(|error| damaged(path, error))?;
        let key = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
            .map_err(|error| damaged(path, error))?;
        let key = key
            .decrypt(password.bytes()?)
            .map_err(|error| damaged(path, error))?;
        return Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into());
    }
    if whole.contains("Proc-Type: 4,ENCRYPTED") {
        let reason =
            "it is encrypted in OpenSSL's old form; `openssl pkcs8 -topk8` writes the new one";
        return Err(damaged(path, reason));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| damaged(path, error))
}
