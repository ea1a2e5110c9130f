//! A cluster that answers what was recorded, under the faults of a case, and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::header::MessageType;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::loopback::Loopback;

const UNKNOWN: &str = "ERROR:4:unrecognized command";
const PORT: u16 = 3000;

/// Recorded answers by endpoint, `127.0.0.11` or `127.0.0.11:3003`.
pub(super) struct Answers(BTreeMap<String, Arc<Map<String, Value>>>);

impl Answers {
    pub(super) fn read(directory: &Path) -> Self {
        let files = std::fs::read_dir(directory).unwrap();
        Self(
            files
                .map(|entry| {
                    let path = entry.unwrap().path();
                    let name = path
                        .file_stem()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('_', ":");
                    let text = std::fs::read_to_string(&path).unwrap();
                    (name, Arc::new(serde_json::from_str(&text).unwrap()))
                })
                .collect(),
        )
    }
}

/// One endpoint of a case.
struct Endpoint {
    name: String,
    answers: Arc<Map<String, Value>>,
    silent: bool,
    slow: Duration,
    rules: Vec<Value>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    loopback: Arc<Loopback>,
}

/// The endpoints of a case, served until this is dropped.
pub(super) struct Frozen {
    asked: Arc<Mutex<Vec<(String, String)>>>,
    _serving: JoinSet<()>,
}

impl Frozen {
    pub(super) fn start(
        runtime: &Runtime,
        answers: &Answers,
        faults: &Value,
        loopback: &Arc<Loopback>,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let listed = |key: &str, name: &str| {
            let list = faults[key].as_array();
            list.is_some_and(|list| list.iter().any(|entry| entry == name))
        };
        let further = faults["listen"].as_object().into_iter().flatten();
        let own = answers.0.keys().map(|name| (name.clone(), name.clone()));
        let all = own.chain(further.map(|(at, of)| (at.clone(), of.as_str().unwrap().to_owned())));
        for (at, name) in all {
            if at == name && listed("down", &name) {
                continue;
            }
            let (host, port) = at.split_once(':').unwrap_or((&at, ""));
            let address = (loopback.address(host), port.parse().unwrap_or(PORT));
            let endpoint = Arc::new(Endpoint {
                answers: Arc::clone(&answers.0[&name]),
                silent: listed("silent", &name),
                slow: Duration::from_millis(faults["slow_ms"][&name].as_u64().unwrap_or(0)),
                rules: faults["on"].as_array().cloned().unwrap_or_default(),
                asked: Arc::clone(&asked),
                loopback: Arc::clone(loopback),
                name,
            });
            let listener = runtime.block_on(listen(address));
            serving.spawn_on(accept(listener, endpoint), runtime.handle());
        }
        Self {
            asked,
            _serving: serving,
        }
    }

    /// Node and request, in the order in which they came.
    pub(super) fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

/// A program that is just being started holds the listeners of all threads for a moment, also those that are closed.
async fn listen(address: (IpAddr, u16)) -> TcpListener {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(
                Instant::now() < end,
                "cannot listen on {address:?}: {error}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn accept(listener: TcpListener, endpoint: Arc<Endpoint>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let endpoint = Arc::clone(&endpoint);
        connections.spawn(async move { endpoint.serve(stream).await });
    }
}

impl Endpoint {
    /// Until the peer is gone, or the connection is to be closed.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let word = stream.read_u64().await.ok()?;
            let kind = u8::try_from(word >> 48 & 0xff).ok()?;
            if kind != u8::from(MessageType::Info) && kind != u8::from(MessageType::Security) {
                return None;
            }
            let mut body = vec![0; usize::try_from(word & 0xffff_ffff_ffff).ok()?];
            stream.read_exact(&mut body).await.ok()?;
            if self.silent {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(self.slow).await;
            let answer = if kind == u8::from(MessageType::Security) {
                let mut refusal = vec![0; 16];
                refusal[1] = 51;
                refusal
            } else {
                self.answer(std::str::from_utf8(&body).ok()?)
                    .await?
                    .into_bytes()
            };
            let size = u64::try_from(answer.len()).ok()?;
            // At once: a second write would wait until the first one is acknowledged, which takes 40 ms.
            let header = (2 << 56 | u64::from(kind) << 48 | size).to_be_bytes();
            stream
                .write_all(&[&header, &answer[..]].concat())
                .await
                .ok()?;
        }
    }

    /// None: the connection is closed instead.
    async fn answer(&self, body: &str) -> Option<String> {
        let note = |request: &str| {
            let asked = (self.name.clone(), request.to_owned());
            self.asked.lock().unwrap().push(asked);
        };
        if body.is_empty() {
            note("");
            let summary = self.answers.get("").and_then(Value::as_str);
            return Some(self.loopback.enter(summary.unwrap_or_default()));
        }
        let mut lines: Vec<&str> = body.split('\n').collect();
        // A last line without a line feed is not answered.
        lines.pop();
        let mut out = String::new();
        for line in lines {
            let request = &self.loopback.leave(line);
            note(request);
            let known = self.answers.get(request).and_then(Value::as_str);
            let mut value = known.unwrap_or(UNKNOWN);
            if request.starts_with("user-agent-set:") {
                value = "ok";
            }
            if let Some(rule) = self.rules.iter().find(|rule| self.applies(rule, request)) {
                let wait = Duration::from_millis(rule["ms"].as_u64().unwrap_or(0));
                tokio::time::sleep(wait).await;
                match rule["do"].as_str()? {
                    "silent" => std::future::pending().await,
                    "close" => return None,
                    _ => value = rule["answer"].as_str()?,
                }
            }
            out += &format!("{line}\t{}\n", self.loopback.enter(value));
        }
        Some(out)
    }

    fn applies(&self, rule: &Value, request: &str) -> bool {
        let node = rule["node"].as_str().unwrap_or("*");
        let pattern = rule["request"].as_str().unwrap_or_default();
        (node == "*" || node == self.name)
            && (request == pattern
                || pattern
                    .strip_suffix('*')
                    .is_some_and(|start| request.starts_with(start)))
    }
}
