//! A node without sockets: real modules, contexts and records, given requests as a connection gives them.

use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use protocol::codec::first_frame;
use protocol::message::Message;
use protocol::value::Value;
use runtime::context::{Limits, LuaFactory};
use server::access::Session;
use server::config::Config;
use server::contexts::ServerHost;
use server::contexts::service::Service;
use server::info::{self, ConnectionState};
use server::log::Log;
use server::net::running::Running;
use server::node::{Node, udf_settings};
use server::transaction::functions::LuaFunctions;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::allocations;

/// The directory that modules claim to be in.
const MODULE_DIRECTORY: &str = "/udf";

pub(crate) struct Bench {
    running: Running,
    runtime: Runtime,
    _directory: TempDir,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) code: u8,
    pub(crate) generation: u32,
    /// Seconds since 2010, 0 for ever.
    pub(crate) void_time: u32,
    pub(crate) bins: Vec<(String, Value)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_traceback(false)
    }

    /// A node that adds a traceback to the text of a failure, or not (`error-traceback`).
    pub(crate) fn with_traceback(traceback: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().display();
        // A busy machine is no reason to end a call; cases about time say theirs.
        let text = format!(
            "service {{\n work-directory {path}\n node-id A1\n transaction-max-ms 60000\n}}\n\
             mod-lua {{\n user-path {path}/lua\n initial-contexts 1\n}}\n\
             namespace test {{\n nsup-period 100\n default-ttl 0\n}}\n"
        );
        let config = Config::parse("cases.conf", &text).unwrap();
        let log = Log::open(&config.logging, false).unwrap();
        let factory = LuaFactory::new(
            MODULE_DIRECTORY,
            false,
            traceback,
            Limits::default(),
            Arc::new(ServerHost),
        );
        let functions = Arc::new(Service::open(udf_settings(&config), factory).unwrap());
        let node = Node::new(config, log, Arc::clone(&functions) as _);
        Self {
            running: Running {
                node: Arc::new(node),
                functions: LuaFunctions(functions),
                placement: server::cluster::records::ClusterPlacement(None),
            },
            // Scripts that run long hand their worker's duty on.
            runtime: Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
            _directory: directory,
        }
    }

    /// The answer to one info command.
    pub(crate) fn info(&self, command: &str) -> String {
        let mut out = BytesMut::new();
        let body = format!("{command}\n");
        info::answer(
            &self.running.node,
            &ConnectionState::default(),
            body.as_bytes(),
            &mut out,
        );
        let answer = String::from_utf8(out[8..].to_vec()).unwrap();
        let value = answer.strip_prefix(command).unwrap();
        value.strip_prefix('\t').unwrap().trim_end().to_owned()
    }

    /// The fewest allocations that the answer to a message takes, of so many.
    pub(crate) fn fewest_allocations(&self, frame: &[u8], times: usize) -> u64 {
        let mut out = BytesMut::with_capacity(1 << 16);
        let body = first_frame(frame).unwrap().unwrap().body;
        let session = Session::client();
        let answer_all = async {
            let mut fewest = u64::MAX;
            for _ in 0..times {
                out.clear();
                let before = allocations::so_far();
                let answer = server::dispatch::answer(
                    &self.running,
                    &session,
                    body,
                    Instant::now(),
                    &mut out,
                );
                answer.await.unwrap();
                fewest = fewest.min(allocations::so_far() - before);
            }
            fewest
        };
        self.runtime.block_on(answer_all)
    }

    /// The answer to one message.
    pub(crate) fn send(&self, frame: &[u8]) -> Answer {
        let mut out = BytesMut::new();
        let body = first_frame(frame).unwrap().unwrap().body;
        let received = Instant::now();
        self.runtime
            .block_on(server::dispatch::answer(
                &self.running,
                &Session::client(),
                body,
                received,
                &mut out,
            ))
            .unwrap();
        let body = first_frame(&out).unwrap().unwrap().body;
        let message = Message::parse_all(body).next().unwrap().unwrap();
        Answer {
            code: message.header.result.0,
            generation: message.header.generation,
            void_time: message.header.record_ttl,
            bins: message
                .ops
                .iter()
                .map(|op| {
                    let name = String::from_utf8_lossy(op.name).into_owned();
                    (name, Value::from_particle(op.particle_ref()).unwrap())
                })
                .collect(),
        }
    }
}
