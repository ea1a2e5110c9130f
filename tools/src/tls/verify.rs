//! Who is believed to be a node: as usual, and also by the common name of a certificate, where names of nodes often stand.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, ServerName, UnixTime,
};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;

use super::TlsError;

const NAME_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// What of a chain must not be revoked.
pub(super) enum Revocation {
    None,
    /// The node's own certificate.
    Leaf(Vec<CertificateRevocationListDer<'static>>),
    /// All of them.
    Chain(Vec<CertificateRevocationListDer<'static>>),
}

/// This system has no certificates to trust, and none were named. Said when a node has shown one, so that what is wrong
/// with the node itself is found first.
#[derive(thiserror::Error)]
#[error(
    "no trusted certificates were found on this system, name some with --tls-cafile or --tls-capath"
)]
struct NothingTrusted;

impl fmt::Debug for NothingTrusted {
    /// The text: `rustls` shows foreign errors by this.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

#[derive(Debug)]
pub(super) struct Verifier {
    /// None: nobody is believed.
    usual: Option<Arc<WebPkiServerVerifier>>,
    /// Somebody who is trusted may issue certificates for some names only.
    constrained: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        roots: RootCertStore,
        revocation: Revocation,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        if roots.is_empty() {
            return Ok(Self {
                usual: None,
                constrained: false,
                provider,
            });
        }
        let constrained = roots
            .roots
            .iter()
            .any(|root| root.name_constraints.is_some());
        let builder =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let builder = match revocation {
            Revocation::None => builder,
            Revocation::Leaf(lists) => builder
                .with_crls(lists)
                .only_check_end_entity_revocation()
                .enforce_revocation_expiration(),
            Revocation::Chain(lists) => builder.with_crls(lists).enforce_revocation_expiration(),
        };
        let verifier = builder
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        Ok(Self {
            usual: Some(verifier),
            constrained,
            provider,
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(usual) = &self.usual else {
            let reason = OtherError(Arc::new(NothingTrusted));
            return Err(Error::InvalidCertificate(CertificateError::Other(reason)));
        };
        match usual.verify_server_cert(own, intermediates, name, ocsp, now) {
            // The chain was found good before the name was looked at.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if has_common_name(own, name)
                && !self.constrained
                && !intermediates.iter().any(is_constrained) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, own, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, own, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Whether the holder of a certificate may issue others for some names only. Common names are not held to that, so that
/// below such a holder they count for nothing.
fn is_constrained(certificate: &CertificateDer<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return true;
    };
    let extensions = certificate.tbs_certificate().extensions();
    extensions.is_some_and(|extensions| {
        extensions
            .iter()
            .any(|extension| extension.extn_id == NAME_CONSTRAINTS)
    })
}

/// Whether the certificate's subject has this common name, in any case of letters.
fn has_common_name(own: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok(certificate) = Certificate::from_der(own) else {
        return false;
    };
    let wanted = name.to_str();
    let subject = certificate.tbs_certificate().subject();
    subject.iter().any(|entry| {
        // UTF-8, printable and IA5 strings are all the same for the names of nodes.
        entry.oid == COMMON_NAME && entry.value.value().eq_ignore_ascii_case(wanted.as_bytes())
    })
}
