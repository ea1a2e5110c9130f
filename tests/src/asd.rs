//! Real server processes: a config file and a directory of their own each, port 0, killed when dropped.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::process::{self, Ended, Process};

/// How long a request may take that states no time of its own, ms: tests that are not about time do not depend on how fast
/// the machine is.
const REQUEST_LIMIT_MS: u32 = 60_000;

/// What a server is to be started with. The directory outlives the process, so that a test can start another one in it.
#[derive(Clone, Debug)]
pub struct Asd {
    program: PathBuf,
    directory: PathBuf,
    address: IpAddr,
    port: u16,
    file_limit: Option<u32>,
    cluster_name: String,
    service: String,
    network: String,
    mod_lua: String,
    storage: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

impl Asd {
    /// A server of this program in this directory, with the namespaces `test` and `bar`.
    pub fn new(program: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            directory: directory.into(),
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            file_limit: None,
            cluster_name: "under-test".to_owned(),
            service: String::new(),
            network: String::new(),
            mod_lua: String::new(),
            storage: "storage-engine memory {\n        data-size 1G\n    }".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// Keeps the records of namespace `test` this way: a `storage-engine` block.
    pub fn storage(mut self, block: &str) -> Self {
        block.clone_into(&mut self.storage);
        self
    }

    /// Listens on this address instead of 127.0.0.1.
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// Belongs to this cluster.
    pub fn cluster_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.cluster_name);
        self
    }

    /// Adds blocks to the `network` section.
    pub fn network(mut self, blocks: &str) -> Self {
        self.network.push_str(blocks);
        self
    }

    /// Listens on this port instead of a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the process with this limit of open files.
    pub fn file_limit(mut self, files: u32) -> Self {
        self.file_limit = Some(files);
        self
    }

    /// Adds a line to the `service` section.
    pub fn service(mut self, line: &str) -> Self {
        self.service.push_str(&format!("    {line}\n"));
        self
    }

    /// Adds a line to the `mod-lua` section.
    pub fn mod_lua(mut self, line: &str) -> Self {
        self.mod_lua.push_str(&format!("    {line}\n"));
        self
    }

    /// Adds a word to the command line.
    pub fn argument(mut self, word: impl Into<OsString>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// Starts the process with this in its environment.
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Where modules are kept.
    pub fn module_directory(&self) -> PathBuf {
        self.directory.join("lua")
    }

    /// The config file that [`Asd::start`] writes.
    pub fn config_file(&self) -> PathBuf {
        self.directory.join("aerospike.conf")
    }

    /// The text of that file.
    pub fn text(&self) -> String {
        let directory = self.directory.display();
        let modules = self.module_directory();
        let namespace = |name: &str, storage: &str| {
            format!(
                "namespace {name} {{\n    default-ttl 0\n    nsup-period 5\n    {storage}\n}}\n"
            )
        };
        format!(
            "service {{\n    cluster-name {}\n    work-directory {directory}\n    transaction-max-ms {REQUEST_LIMIT_MS}\n{}}}\n\
             logging {{\n    file {directory}/asd.log {{\n        context any info\n    }}\n}}\n\
             network {{\n    service {{\n        address {}\n        port {}\n    }}\n{}}}\n\
             {}{}mod-lua {{\n    user-path {}\n{}}}\n",
            self.cluster_name,
            self.service,
            self.address,
            self.port,
            self.network,
            namespace("test", &self.storage),
            namespace(
                "bar",
                "storage-engine memory {\n        data-size 1G\n    }"
            ),
            modules.display(),
            self.mod_lua,
        )
    }

    /// The command that starts the server on the config file.
    fn command(&self) -> Command {
        let mut command = match self.file_limit {
            None => Command::new(&self.program),
            Some(files) => {
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""))
                    .arg(&self.program);
                shell
            }
        };
        command.arg("--config-file").arg(self.config_file());
        command.args(&self.arguments);
        let environment = self.environment.iter();
        command.envs(environment.map(|(name, value)| (name, value)));
        command
    }

    fn write_config(&self) -> Result<()> {
        std::fs::create_dir_all(&self.directory)
            .and_then(|()| std::fs::write(self.config_file(), self.text()))
            .map_err(Error::io(format!(
                "write a config file in {}",
                self.directory.display()
            )))
    }

    /// Starts the server and waits until it says where it listens.
    pub fn start(&self) -> Result<RunningAsd> {
        self.write_config()?;
        let process = Process::start(self.command())?;
        Ok(RunningAsd {
            process,
            directory: self.directory.clone(),
        })
    }

    /// Runs the server on this config text and waits for its end; for configs that it must refuse.
    pub fn run_to_end(&self, config: &str) -> Result<Ended> {
        self.write_config()?;
        std::fs::write(self.config_file(), config)
            .map_err(Error::io("write the config file under test"))?;
        self.wait_for_end()
    }

    /// Runs the server on its usual config and waits for its end; for ports that are taken.
    pub fn run_to_refusal(&self) -> Result<Ended> {
        self.write_config()?;
        self.wait_for_end()
    }

    fn wait_for_end(&self) -> Result<Ended> {
        process::run_to_end(self.command())
    }
}

/// A server process; dropping it kills it.
#[derive(Debug)]
pub struct RunningAsd {
    process: Process,
    directory: PathBuf,
}

impl RunningAsd {
    /// The directory of its config, log and modules.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Its log so far, empty when there is none.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("asd.log")).unwrap_or_default()
    }

    /// A new connection to it.
    pub fn connect(&self) -> Result<Connection> {
        Connection::open(self.address())
    }
}

impl std::ops::Deref for RunningAsd {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl std::ops::DerefMut for RunningAsd {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
