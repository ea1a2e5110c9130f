//! Three nodes at ports of 127.0.0.1 that register, list, give and remove modules as servers do: one order of changes,
//! which a node may follow late. The last one is the principal.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use sha1::{Digest, Sha1};

/// Modules by name, in base64.
pub(crate) type Modules = BTreeMap<String, String>;

/// When the program under test is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    /// At which change, from 1.
    pub(crate) at: usize,
    /// Whether the change is made.
    pub(crate) done: bool,
}

#[derive(Default)]
pub(crate) struct State {
    /// What each node serves.
    pub(crate) nodes: Vec<Modules>,
    /// Changes in their order: `put a.lua`, `remove a.lua`. Those of the program itself too.
    pub(crate) changes: Vec<String>,
    pub(crate) kill: Option<Kill>,
    /// Sent this when that module is put, which is done.
    pub(crate) interrupt_at: Option<String>,
    /// The program that is running.
    pub(crate) program: Option<Pid>,
    /// A put of that module waits while it is set.
    pub(crate) held_back: Option<String>,
    /// Puts of modules whose names begin so are refused.
    pub(crate) refused: Option<String>,
    /// How many lists the second node is late.
    pub(crate) late: usize,
    behind: usize,
    /// The second node does not answer any more once that module is put.
    pub(crate) leaves_at: Option<String>,
    gone: bool,
    /// Lists hashes as no known server does.
    pub(crate) odd_hashes: bool,
    /// A folder, and whether a file was in it when the first change came.
    pub(crate) watched: Option<PathBuf>,
    pub(crate) kept_first: Option<bool>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct Cluster {
    pub(crate) ports: Vec<u16>,
    shared: Arc<Shared>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let listeners: Vec<TcpListener> = (0..3)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                nodes: vec![Modules::new(); 3],
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        for (index, listener) in listeners.into_iter().enumerate() {
            let (ports, shared) = (ports.clone(), Arc::clone(&shared));
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (ports, shared) = (ports.clone(), Arc::clone(&shared));
                    thread::spawn(move || serve(stream, index, &ports, &shared));
                }
            });
        }
        Self { ports, shared }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// Changes something, and wakes whoever waits for it.
    pub(crate) fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.shared.changed.notify_all();
    }

    /// Waits until a change has come.
    pub(crate) fn wait_for(&self, change: &str) {
        let mut state = self.state();
        while !state.changes.iter().any(|made| made == change) {
            state = self.shared.changed.wait(state).unwrap();
        }
    }

    /// Has every node serve a module.
    pub(crate) fn put(&self, name: &str, source: &str) {
        for node in &mut self.state().nodes {
            node.insert(name.to_owned(), STANDARD.encode(source));
        }
    }

    /// What every node serves, the program's own modules aside; nodes have to agree.
    pub(crate) fn modules(&self) -> Vec<(String, String)> {
        let state = self.state();
        let of = |node: &Modules| -> Vec<(String, String)> {
            let others = node.iter().filter(|(name, _)| !name.starts_with("asudf_"));
            let text =
                |content: &String| String::from_utf8(STANDARD.decode(content).unwrap()).unwrap();
            others
                .map(|(name, content)| (name.clone(), text(content)))
                .collect()
        };
        let first = of(&state.nodes[0]);
        assert!(state.nodes.iter().all(|node| of(node) == first));
        first
    }

    /// Names of the program's own modules.
    pub(crate) fn own(&self) -> Vec<String> {
        let state = self.state();
        let names = state.nodes[2]
            .keys()
            .filter(|name| name.starts_with("asudf_"));
        names.cloned().collect()
    }

    /// The source of a module.
    pub(crate) fn source(&self, name: &str) -> Option<String> {
        let content = self.state().nodes[2].get(name).cloned()?;
        Some(String::from_utf8(STANDARD.decode(content).unwrap()).unwrap())
    }

    /// Changes of modules that are not the program's own, since the last time.
    pub(crate) fn changes(&self) -> Vec<String> {
        let changes = std::mem::take(&mut self.state().changes);
        let others = changes
            .into_iter()
            .filter(|change| !change.contains(" asudf_"));
        others.collect()
    }
}

fn serve(mut stream: TcpStream, index: usize, ports: &[u16], shared: &Shared) -> Option<()> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let size = u64::from_be_bytes(header) & 0xffff_ffff_ffff;
        let mut body = vec![0; usize::try_from(size).unwrap()];
        stream.read_exact(&mut body).ok()?;
        let mut reply = Vec::new();
        for request in String::from_utf8(body).unwrap().lines() {
            let answer = answer(request, index, ports, shared)?;
            reply.extend(format!("{request}\t{answer}\n").bytes());
        }
        // At once: a second write would wait until the first one is acknowledged, which takes 40 ms.
        let size = u64::try_from(reply.len()).unwrap();
        let header = (size | 2 << 56 | 1 << 48).to_be_bytes();
        stream.write_all(&[&header, &reply[..]].concat()).ok()?;
    }
}

/// None: the connection ends.
fn answer(request: &str, index: usize, ports: &[u16], shared: &Shared) -> Option<String> {
    let parameter = |key: &str| {
        let (_, parameters) = request.split_once(':')?;
        parameters
            .split(';')
            .find_map(|pair| pair.strip_prefix(key))
    };
    let name = parameter("filename=").unwrap_or_default();
    let (command, _) = request.split_once(':').unwrap_or((request, ""));
    let mut state = shared.state.lock().unwrap();
    if state.gone && index == 1 {
        return None;
    }
    Some(match command {
        "node" => format!("BB{}", index + 1),
        "build" => "8.0.0.0".to_owned(),
        "connection" => "admin=false".to_owned(),
        "service-clear-std" => format!("127.0.0.1:{}", ports[index]),
        "peers-generation" => "1".to_owned(),
        "peers-clear-std" => {
            let others = ports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let others =
                others.map(|(other, port)| format!("[BB{},,[127.0.0.1:{port}]]", other + 1));
            format!("1,3000,[{}]", others.collect::<Vec<_>>().join(","))
        }
        "udf-list" => {
            if index == 1 && state.behind > 0 {
                state.behind -= 1;
                if state.behind == 0 {
                    state.nodes[1] = state.nodes[2].clone();
                }
            }
            let odd = state.odd_hashes;
            let listed = state.nodes[index].iter().map(|(name, content)| {
                let hash = if odd {
                    "0".repeat(40)
                } else {
                    hash(name, content)
                };
                format!("filename={name},hash={hash},type=LUA;")
            });
            listed.collect::<String>()
        }
        "udf-get" => match state.nodes[index].get(name) {
            Some(content) => format!("type=LUA;content={content};"),
            None => "error=not_found".to_owned(),
        },
        "udf-put"
            if state
                .refused
                .as_deref()
                .is_some_and(|start| name.starts_with(start)) =>
        {
            let message = STANDARD.encode("unexpected symbol near <eof>");
            format!("error=compile_error;file={name};line=1;message={message}")
        }
        "udf-put" | "udf-remove" => {
            let content = (command == "udf-put").then(|| parameter("content=").unwrap().to_owned());
            change(state, name, content, shared)?;
            "ok".to_owned()
        }
        _ => "ERROR:4:unrecognized command".to_owned(),
    })
}

fn change(
    mut state: MutexGuard<'_, State>,
    name: &str,
    content: Option<String>,
    shared: &Shared,
) -> Option<()> {
    let word = if content.is_some() { "put" } else { "remove" };
    if state.kept_first.is_none()
        && let Some(folder) = &state.watched
    {
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let mut names = files.map(|file| file.file_name().into_string().unwrap());
        state.kept_first = Some(names.any(|name| name.starts_with("asudf-kept-")));
    }
    state.changes.push(format!("{word} {name}"));
    shared.changed.notify_all();
    while state.held_back.as_deref() == Some(name) {
        state = shared.changed.wait(state).unwrap();
    }
    // A run that takes long renews its lock, which is no step of it: the first two puts of it are.
    let is_renewed = |at: &usize| {
        let change = &state.changes[*at];
        let same = state.changes[..*at].iter().filter(|other| *other == change);
        change.starts_with("put asudf_lock_") && same.count() > 1
    };
    let steps = (0..state.changes.len())
        .filter(|at| !is_renewed(at))
        .count();
    let renews = is_renewed(&(state.changes.len() - 1));
    let kill = state.kill.filter(|kill| kill.at == steps && !renews);
    if kill.is_none_or(|kill| kill.done) {
        let late = state.late;
        for (index, node) in state.nodes.iter_mut().enumerate() {
            if index == 1 && late > 0 {
                continue;
            }
            match &content {
                Some(content) => node.insert(name.to_owned(), content.clone()),
                None => node.remove(name),
            };
        }
        state.behind = late;
        state.gone |= state.leaves_at.as_deref() == Some(name);
    }
    let interrupts = state.interrupt_at.as_deref() == Some(name);
    if kill.is_some() || interrupts {
        while state.program.is_none() {
            state = shared.changed.wait(state).unwrap();
        }
        let signal = if interrupts {
            Signal::INT
        } else {
            Signal::KILL
        };
        kill_process(state.program.unwrap(), signal).unwrap();
    }
    kill.is_none().then_some(())
}

fn hash(name: &str, content: &str) -> String {
    let stored = format!(r#"{{"content64": "{content}", "type": "LUA", "name": "{name}"}}"#);
    let hash = Sha1::digest(stored.as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
