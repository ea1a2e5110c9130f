//! The tools over TLS: a server behind an endpoint that decrypts, with certificates made for the test.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use pkcs8::pkcs5::pbes2::Parameters;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion, crypto::ring,
};

use crate::server::{self, Server};

/// The name of the nodes in their certificates.
const NAME: &str = "nodes.test";
const SERIAL: u64 = 77;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer(name: &str) -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for a name, as an alternative name or as the common name only, and its key.
fn certificate(issuer: &Issuer, name: &str, as_common_name: bool) -> (rcgen::Certificate, KeyPair) {
    let names = if as_common_name {
        Vec::new()
    } else {
        vec![name.to_owned()]
    };
    let mut params = CertificateParams::new(names).unwrap();
    params.serial_number = Some(SerialNumber::from(SERIAL));
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// A server, an endpoint before it, and files for the tools.
struct Bench {
    address: SocketAddr,
    /// What clients sent, decrypted.
    sent: Arc<Mutex<Vec<u8>>>,
    files: TempDir,
    issuer: Issuer,
    server: Server,
    _runtime: Runtime,
}

impl Bench {
    fn start(as_common_name: bool, wants_certificate: bool) -> Self {
        Self::start_with(as_common_name, wants_certificate, ALL_VERSIONS)
    }

    fn start_with(
        as_common_name: bool,
        wants_certificate: bool,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let issuer = issuer("issuer");
        let (own, key) = certificate(&issuer, NAME, as_common_name);
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join("ca.pem"), issuer.pem()).unwrap();

        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = if wants_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(issuer.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let config = builder
            .with_single_cert(vec![own.der().clone()], key)
            .unwrap();

        let server = server::start();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::default();
        let endpoint = decrypt(listener, config, server.address(), Arc::clone(&sent));
        runtime.spawn(endpoint);
        Self {
            address,
            sent,
            files,
            issuer,
            server,
            _runtime: runtime,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(tests::program::path(program).unwrap());
        command
            .args(["-h", &self.address.to_string(), "--tls-enable"])
            .args(tests::program::patient(program))
            .args(words)
            .env("HOME", self.files.path())
            .current_dir(self.files.path());
        command
    }

    fn tool(&self, program: &str, words: &[&str]) -> Output {
        self.command(program, words).output().unwrap()
    }

    /// Output and status of `asinfo -v build` with further options.
    fn asinfo(&self, words: &[&str]) -> (String, i32) {
        let words = [words, &["-v", "build"]].concat();
        let output = self.tool("asinfo", &words);
        let text = String::from_utf8(output.stdout).unwrap();
        (text, output.status.code().unwrap())
    }

    fn refused(&self, words: &[&str], reason: &str) {
        let (text, code) = self.asinfo(words);
        assert!(
            text.starts_with("ERROR: ") && text.contains(reason),
            "{words:?}: {text}"
        );
        assert_eq!(code, 1, "{words:?}");
    }

    fn accepted(&self, words: &[&str]) {
        assert_eq!(self.asinfo(words), ("8.1.2.0\n".to_owned(), 0), "{words:?}");
    }
}

/// Passes on what comes in encrypted, until the runtime ends.
async fn decrypt(
    listener: TcpListener,
    config: ServerConfig,
    to: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, sent) = (acceptor.clone(), Arc::clone(&sent));
        tokio::spawn(async move {
            let mut inside = acceptor.accept(stream).await.ok()?;
            let mut outside = TcpStream::connect(to).await.ok()?;
            // The first message is looked at.
            let mut first = vec![0; 4096];
            let size = inside.read(&mut first).await.ok()?;
            sent.lock().unwrap().extend_from_slice(&first[..size]);
            outside.write_all(&first[..size]).await.ok()?;
            copy_bidirectional(&mut inside, &mut outside).await.ok()
        });
    }
}

const TRUSTING: [&str; 4] = ["--tls-cafile", "ca.pem", "--tls-name", NAME];

#[test]
fn a_node_is_believed_by_its_certificate() {
    for as_common_name in [false, true] {
        let bench = Bench::start(as_common_name, false);
        bench.accepted(&TRUSTING);
        fs::create_dir(bench.file("trusted")).unwrap();
        fs::write(bench.file("trusted/a.pem"), bench.issuer.pem()).unwrap();
        fs::write(bench.file("trusted/notes.txt"), "no certificate").unwrap();
        bench.accepted(&["--tls-capath", "trusted", "-t", NAME]);

        fs::write(bench.file("other.pem"), issuer("another issuer").pem()).unwrap();
        bench.refused(&["--tls-cafile", "other.pem", "-t", NAME], "UnknownIssuer");
        bench.refused(
            &["--tls-cafile", "ca.pem", "-t", "others.test"],
            "not valid for name",
        );
        // The host is the name where none is given.
        bench.refused(&["--tls-cafile", "ca.pem"], "not valid for name");
    }
}

#[test]
fn versions_suites_and_files_are_checked_before_anything_is_sent() {
    let bench = Bench::start(false, false);
    for words in [
        &["--tls-protocols", "TLSv1.2"][..],
        &["--tls-protocols", "-all +TLSv1.3"],
        &["--tls-cipher-suite", "TLS_AES_128_GCM_SHA256"],
    ] {
        bench.accepted(&[&TRUSTING, words].concat());
    }
    for (version, spoken, other) in [
        (&TLS12, "TLSv1.2", "TLSv1.3"),
        (&TLS13, "TLSv1.3", "TLSv1.2"),
    ] {
        let only = Bench::start_with(false, false, &[version]);
        only.accepted(&[&TRUSTING[..], &["--tls-protocols", spoken]].concat());
        only.refused(
            &[&TRUSTING[..], &["--tls-protocols", other]].concat(),
            "alert",
        );
        // A suite of the other version leaves nothing to speak.
        let suite = match spoken {
            "TLSv1.2" => "TLS_AES_128_GCM_SHA256",
            _ => "ECDHE-ECDSA-AES128-GCM-SHA256",
        };
        only.refused(
            &[&TRUSTING[..], &["--tls-cipher-suite", suite]].concat(),
            "",
        );
    }
    fs::write(bench.file("empty.pem"), "").unwrap();
    for (words, reason) in [
        (
            &["--tls-protocols", "SSLv3"][..],
            "`SSLv3` is not supported",
        ),
        (&["--tls-cipher-suite", "RC4"], "`RC4` is not supported"),
        (&["--tls-cafile", "nowhere.pem"], "cannot read nowhere.pem"),
        (
            &["--tls-cafile", "empty.pem"],
            "empty.pem holds no certificate",
        ),
        (&["--tls-certfile", "ca.pem"], "go together"),
        (&["--tls-crl-check"], "no revocation lists"),
    ] {
        bench.refused(&[&TRUSTING, words].concat(), reason);
    }
    // A system without certificates to trust.
    let output = bench
        .command("asinfo", &["-v", "build"])
        .env("SSL_CERT_FILE", bench.file("empty.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("no trusted certificates were found"),
        "{text}"
    );
    let clear = bench.server.address().to_string();
    let words = [
        "-h",
        &clear,
        "--tls-enable",
        "--tls-cafile",
        "ca.pem",
        "-v",
        "build",
    ];
    let output = Command::new(tests::program::path("asinfo").unwrap())
        .args(words)
        .current_dir(bench.files.path())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("ERROR: Not able to connect any cluster with ("),
        "{text}"
    );
}

#[test]
fn a_revoked_certificate_is_refused_where_that_is_checked() {
    let bench = Bench::start(false, false);
    let list = |serials: &[u64], until: i32| {
        CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: date_time_ymd(2024, 1, 1),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&bench.issuer)
        .unwrap()
        .pem()
        .unwrap()
    };
    fs::create_dir(bench.file("lists")).unwrap();
    let words = [&TRUSTING[..], &["--tls-capath", "lists"]].concat();
    for (serials, revoked) in [(&[SERIAL][..], true), (&[SERIAL + 1], false)] {
        fs::write(bench.file("lists/list.pem"), list(serials, 4000)).unwrap();
        bench.accepted(&words);
        for flag in ["--tls-crl-check", "--tls-crl-check-all"] {
            let checking = [&words[..], &[flag]].concat();
            if revoked {
                bench.refused(&checking, "Revoked");
            } else {
                bench.accepted(&checking);
            }
        }
    }
    // What such a list does not say any more is not believed.
    fs::write(bench.file("lists/list.pem"), list(&[], 2025)).unwrap();
    bench.refused(&[&words[..], &["--tls-crl-check"]].concat(), "xpired");
}

#[test]
fn a_client_shows_its_certificate() {
    let bench = Bench::start(false, true);
    let (own, key) = certificate(&bench.issuer, "client", false);
    fs::write(bench.file("client.pem"), own.pem()).unwrap();
    fs::write(bench.file("key.pem"), key.serialize_pem()).unwrap();
    let der = key.serialize_der();
    let clear = pkcs8::PrivateKeyInfoRef::try_from(der.as_slice()).unwrap();
    let cipher = Parameters::generate_pbkdf2_sha256_aes256cbc(1_000, b"salt of eight", [7; 16]);
    let sealed = clear
        .encrypt_with_params(cipher.unwrap(), "secret")
        .unwrap();
    let sealed = sealed.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::LF);
    fs::write(bench.file("sealed.pem"), sealed.unwrap().as_bytes()).unwrap();
    fs::write(bench.file("password"), "secret\n").unwrap();

    let with = |words: &[&'static str]| {
        [
            &TRUSTING[..],
            &["--tls-certfile", "client.pem", "--tls-keyfile"],
            words,
        ]
        .concat()
    };
    bench.accepted(&with(&["key.pem"]));
    bench.accepted(&with(&["sealed.pem", "--tls-keyfile-password", "secret"]));
    bench.accepted(&with(&[
        "sealed.pem",
        "--tls-keyfile-password",
        "file:password",
    ]));
    bench.refused(
        &with(&["sealed.pem", "--tls-keyfile-password", "wrong"]),
        "cannot use sealed.pem",
    );
    bench.refused(
        &with(&[
            "sealed.pem",
            "--tls-keyfile-password",
            "env:NO_SUCH_VARIABLE",
        ]),
        "NO_SUCH_VARIABLE",
    );
    let (text, code) = bench.asinfo(&TRUSTING);
    assert!(text.starts_with("ERROR: ") && code == 1, "{text}");
}

#[test]
fn logins_with_and_without_the_password_itself() {
    let bench = Bench::start(false, false);
    for (mode, told) in [("INTERNAL", false), ("EXTERNAL", true)] {
        bench.sent.lock().unwrap().clear();
        let words = ["--auth", mode, "-U", "joe", "-Popen sesame"];
        // A community server has no security.
        bench.refused(&[&TRUSTING[..], &words].concat(), "Security not supported");
        let sent = bench.sent.lock().unwrap();
        let has = |text: &[u8]| sent.windows(text.len()).any(|window| window == text);
        assert!(has(b"joe"), "{mode}");
        assert_eq!(has(b"open sesame"), told, "{mode}");
    }
    bench.sent.lock().unwrap().clear();
    bench.refused(
        &[&TRUSTING[..], &["--auth", "PKI"]].concat(),
        "Security not supported",
    );
    // A login without a field: whoever the certificate is for.
    assert_eq!(bench.sent.lock().unwrap()[10..12], [20, 0]);
    // Without a user nobody logs in.
    bench.accepted(&[&TRUSTING[..], &["--auth", "EXTERNAL"]].concat());
}

#[test]
fn asadm_reaches_nodes_over_tls() {
    let bench = Bench::start(false, false);
    let asadm = |words: &[&str]| {
        let output = bench.tool("asadm", words);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code(),
        )
    };
    let line = ["--enable", "-e", "asinfo -v build; info network"];
    let (out, err, code) = asadm(&[&TRUSTING[..], &line].concat());
    assert!(out.contains("returned:\n8.1.2.0\n"), "{out}{err}");
    assert!(out.contains("Number of rows: 1"), "{out}{err}");
    assert_eq!(code, Some(0), "{err}");
    // The server behind is a community one.
    assert!(
        err.contains("names no peers that can be reached over TLS"),
        "{err}"
    );
    let (_, err, code) = asadm(&[&["--tls-cafile", "ca.pem"][..], &line].concat());
    assert!(err.contains("not valid for name"), "{err}");
    assert_eq!(code, Some(2));
}

#[test]
fn asudf_ships_modules_over_tls() {
    let bench = Bench::start(false, false);
    let toml = |cluster: &str| {
        let host = bench.address;
        let text = format!(
            "[modules]\nfolder = \"lua\"\n[ship]\nproject = \"p\"\n[cluster.near]\nhost = \"{host}\"\ntls-enable = true\n{cluster}"
        );
        fs::write(bench.file("asudf.toml"), text).unwrap();
    };
    fs::create_dir(bench.file("lua")).unwrap();
    fs::write(bench.file("lua/a.lua"), "function f() return 1 end\n").unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(tests::program::path("asudf").unwrap());
        // The paths in asudf.toml begin where it is.
        command
            .args(words)
            .env("HOME", bench.files.path())
            .env("SECRET", "open sesame")
            .current_dir(bench.file("lua"));
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let trusting = format!("tls-cafile = \"ca.pem\"\ntls-name = \"{NAME}\"\n");
    toml("");
    let (code, err) = run(&["apply"]);
    assert_eq!(code, Some(2), "{err}");
    toml(&trusting);
    for (words, status) in [(&["diff"][..], 3), (&["apply"], 1), (&["apply"], 0)] {
        let (code, err) = run(words);
        assert_eq!(code, Some(status), "{words:?} {err}");
    }
    // A community server has no security.
    toml(&format!(
        "{trusting}user = \"joe\"\npassword = \"env:SECRET\"\nauth = \"EXTERNAL\"\n"
    ));
    let (code, err) = run(&["diff"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("Security not supported"), "{err}");
    let sent = bench.sent.lock().unwrap();
    assert!(sent.windows(11).any(|window| window == b"open sesame"));
}
