//! Versions of the protocol and cipher suites, in OpenSSL's notation.

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{CipherSuite, SupportedProtocolVersion};

use super::TlsError;

/// OpenSSL's names of what there is.
const SUITES: &[(&str, CipherSuite)] = &[
    (
        "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_AES_256_GCM_SHA384,
    ),
    (
        "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const VERSIONS: &[(&str, &SupportedProtocolVersion)] = &[("TLSV1.2", &TLS12), ("TLSV1.3", &TLS13)];

/// Versions that there are none of here, so that they can only be taken away.
const OLD: &[&str] = &["SSLV2", "SSLV3", "TLSV1", "TLSV1.0", "TLSV1.1"];

/// The versions of a list like `TLSv1.2`, `-all +TLSv1.2` or `all -TLSv1.3`; without a list, all that there are.
pub(super) fn versions(
    list: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let all = || VERSIONS.iter().map(|(_, version)| *version);
    let Some(list) = list else {
        return Ok(all().collect());
    };
    let mut chosen: Vec<&'static SupportedProtocolVersion> = Vec::new();
    let words = list.split([' ', ',']).filter(|word| !word.is_empty());
    for word in words {
        let (removes, name) = match word.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, word.strip_prefix('+').unwrap_or(word)),
        };
        let name = name.to_uppercase();
        let known = VERSIONS.iter().find(|(known, _)| *known == name);
        let meant: Vec<_> = match known {
            Some((_, version)) => vec![*version],
            None if name == "ALL" => all().collect(),
            // Taking away what is not there changes nothing.
            None if removes && OLD.contains(&name.as_str()) => Vec::new(),
            None => return Err(TlsError::Version(word.to_owned())),
        };
        chosen.retain(|version| !meant.contains(version));
        if !removes {
            chosen.extend(meant);
        }
    }
    if chosen.is_empty() {
        return Err(TlsError::NoVersion(list.to_owned()));
    }
    Ok(chosen)
}

/// The algorithms, limited to the suites of a list like `ECDHE-RSA-AES256-GCM-SHA384:TLS_AES_256_GCM_SHA384`.
pub(super) fn provider(list: Option<&str>) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    let Some(list) = list.filter(|list| !list.eq_ignore_ascii_case("all")) else {
        return Ok(provider);
    };
    let mut wanted = Vec::new();
    for name in list.split([':', ',', ' ']).filter(|name| !name.is_empty()) {
        let Some((_, suite)) = SUITES.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = SUITES.iter().map(|(name, _)| *name).collect();
            return Err(TlsError::Suite {
                name: name.to_owned(),
                known: known.join(", "),
            });
        };
        wanted.push(*suite);
    }
    provider
        .cipher_suites
        .retain(|suite| wanted.contains(&suite.suite()));
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_openssl_writes_them() {
        for (list, expected) in [
            (None, "TLSv1_2 TLSv1_3"),
            (Some("TLSv1.2"), "TLSv1_2"),
            (Some("-all +TLSv1.2"), "TLSv1_2"),
            (Some("all -TLSv1.3"), "TLSv1_2"),
            (Some("TLSv1.2,TLSv1.3"), "TLSv1_2 TLSv1_3"),
            (Some("all -SSLv3"), "TLSv1_2 TLSv1_3"),
        ] {
            let found = versions(list).unwrap();
            let found: Vec<_> = found
                .iter()
                .map(|version| format!("{:?}", version.version))
                .collect();
            assert_eq!(found.join(" "), expected, "{list:?}");
        }
        for list in ["", "-all", "TLSv1", "SSLv3", "all -TLSv12"] {
            assert!(versions(Some(list)).is_err(), "{list}");
        }
    }

    #[test]
    fn every_suite_has_a_name() {
        let all = provider(None).unwrap().cipher_suites;
        assert_eq!(all.len(), SUITES.len());
        for (name, suite) in SUITES {
            let one = provider(Some(name)).unwrap().cipher_suites;
            assert_eq!(one.len(), 1, "{name}");
            assert_eq!(one[0].suite(), *suite, "{name}");
        }
        assert!(provider(Some("RC4-MD5")).is_err());
    }
}
