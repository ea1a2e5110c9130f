//! Which cluster is meant, and the way to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args};
use tools::cluster::{Approach, Cluster};
use tools::config::{KeyKind, Problem, Section};
use tools::connection::Connection;
use tools::options::{ConfigOptions, ConnectionOptions, TlsOptions, seconds};
use tools::secret;
use tools::terminal::prompt;

use super::report::{Format, Report};
use crate::project::Project;
use crate::status::Failure;

/// The cluster and the options that all commands on clusters have.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The cluster: a section [cluster.CLUSTER] of asudf.toml. It may be left out where there is one only
    #[arg(value_name = "CLUSTER", conflicts_with = "host")]
    cluster: Option<String>,
    /// The project, or a folder in it
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// How to tell what happens: lines for people, or one JSON document at the end
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Seconds that a node may take to answer, and all of them to serve a module that was put
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Use the alternate addresses that nodes tell
    #[arg(long)]
    services_alternate: bool,
    #[command(flatten)]
    connection: ConnectionOptions,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    config: ConfigOptions,
    /// Print this help
    #[arg(short = 'E', long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// The section of astools.conf for this program.
const SECTION: Section = Section {
    name: "asudf",
    keys: &[("timeout", KeyKind::Integer)],
};

/// The way to a cluster.
pub(crate) struct Way {
    /// As the cluster was named, or its hosts.
    pub(crate) name: String,
    approach: Approach,
    /// For each step.
    pub(crate) limit: Duration,
}

impl Target {
    /// The project.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn project(&self) -> Result<Project, Failure> {
        Project::find(&self.directory).map_err(Failure::of)
    }

    /// The way to the cluster that is meant: what was typed wins over asudf.toml, that over astools.conf.
    ///
    /// # Errors
    /// There is no such cluster, or it cannot be told which, or its options cannot be followed.
    pub(crate) fn way(&self, project: &Project, report: &mut Report) -> Result<Way, Failure> {
        let clusters = &project.settings.cluster;
        let known: Vec<&str> = clusters.keys().map(String::as_str).collect();
        let chosen = match (&self.cluster, &self.connection.host, known.as_slice()) {
            (Some(name), ..) => Some(name.as_str()),
            (None, Some(_), _) | (None, None, []) => None,
            (None, None, [only]) => Some(*only),
            (None, None, several) => {
                return Err(Failure::of(format!(
                    "which cluster? asudf.toml has {}",
                    several.join(", ")
                )));
            }
        };
        let (mut connection, mut tls) = (self.connection.clone(), self.tls.clone());
        let mut alternate = self.services_alternate;
        if let Some(name) = chosen {
            let cluster = clusters.get(name).ok_or_else(|| {
                let known = match known.as_slice() {
                    [] => "no clusters".to_owned(),
                    known => known.join(", "),
                };
                Failure::of(format!(
                    "no [cluster.{name}] in asudf.toml, which has {known}"
                ))
            })?;
            let (of_file, tls_of_file) = cluster.options();
            if of_file.host.is_none() && self.config.instance.is_none() {
                return Err(Failure::of(format!(
                    "[cluster.{name}] in asudf.toml says no host"
                )));
            }
            alternate |= cluster.services_alternate;
            connection = over_connection(connection, of_file, &project.root);
            tls = over_tls(tls, tls_of_file, &project.root);
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let config = self.config.read(home.as_deref(), &SECTION);
        for problem in &config.problems {
            tell(problem, report)?;
        }
        let resolved = Connection::resolve(&connection, &tls, &config, prompt::password)
            .map_err(Failure::of)?;
        if let Some(problem) = &resolved.problem {
            tell(problem, report)?;
        }
        if resolved.exposes_password {
            report.warning(secret::EXPOSED);
        }
        let hosts = resolved
            .seeds
            .iter()
            .map(|seed| format!("{}:{}", seed.host, seed.port));
        let name = match chosen {
            Some(name) => name.to_owned(),
            None => hosts.collect::<Vec<_>>().join(","),
        };
        report.cluster(&name);
        Ok(Way {
            name,
            approach: Approach {
                agent: concat!("asudf-", env!("CARGO_PKG_VERSION")).to_owned(),
                seeds: resolved.seeds,
                credential: resolved.credential,
                tls: resolved.tls,
                limit: self.timeout,
                single: false,
                alternate: alternate || config.flag("services-alternate"),
                alumni: false,
            },
            limit: self.timeout,
        })
    }
}

impl Way {
    /// Finds the cluster.
    ///
    /// # Errors
    /// No node was reached.
    pub(crate) async fn find(&self, report: &mut Report) -> Result<Cluster, Failure> {
        match Cluster::find(self.approach.clone()).await {
            Ok(cluster) => {
                for warning in &cluster.warnings {
                    report.warning(warning);
                }
                Ok(cluster)
            }
            Err(error) => {
                let mut reasons = error.refusals.clone();
                reasons.push(error.to_string());
                Err(Failure::of(reasons.join(" ")))
            }
        }
    }
}

/// What cannot be read of configuration files is no reason to go on with less: a cluster may be meant by it.
fn tell(problem: &Problem, report: &mut Report) -> Result<(), Failure> {
    match problem {
        Problem::Warning(text) => {
            report.warning(text);
            Ok(())
        }
        Problem::Error(text) | Problem::Absent(text) | Problem::Fatal(text) => {
            Err(Failure::of(text))
        }
    }
}

/// A path of asudf.toml as seen from here.
fn seen(path: Option<PathBuf>, root: &Path) -> Option<PathBuf> {
    path.map(|path| root.join(path))
}

/// The same of a password: `file:PATH`.
fn secret_seen(given: Option<Option<String>>, root: &Path) -> Option<Option<String>> {
    let given = given?;
    Some(given.map(|given| match given.strip_prefix("file:") {
        Some(path) => format!("file:{}", root.join(path).display()),
        None => given,
    }))
}

fn over_connection(
    typed: ConnectionOptions,
    file: ConnectionOptions,
    root: &Path,
) -> ConnectionOptions {
    ConnectionOptions {
        host: typed.host.or(file.host),
        port: typed.port.or(file.port),
        user: typed.user.or(file.user),
        password: typed.password.or_else(|| secret_seen(file.password, root)),
        auth: typed.auth.or(file.auth),
    }
}

fn over_tls(typed: TlsOptions, file: TlsOptions, root: &Path) -> TlsOptions {
    TlsOptions {
        tls_name: typed.tls_name.or(file.tls_name),
        tls_enable: typed.tls_enable || file.tls_enable,
        tls_cafile: typed.tls_cafile.or_else(|| seen(file.tls_cafile, root)),
        tls_capath: typed.tls_capath.or_else(|| seen(file.tls_capath, root)),
        tls_certfile: typed.tls_certfile.or_else(|| seen(file.tls_certfile, root)),
        tls_keyfile: typed.tls_keyfile.or_else(|| seen(file.tls_keyfile, root)),
        tls_keyfile_password: typed
            .tls_keyfile_password
            .or_else(|| secret_seen(file.tls_keyfile_password, root)),
        tls_protocols: typed.tls_protocols.or(file.tls_protocols),
        tls_cipher_suite: typed.tls_cipher_suite.or(file.tls_cipher_suite),
        tls_crl_check: typed.tls_crl_check || file.tls_crl_check,
        tls_crl_check_all: typed.tls_crl_check_all || file.tls_crl_check_all,
    }
}
