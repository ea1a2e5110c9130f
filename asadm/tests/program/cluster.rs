//! A small cluster: three nodes at ports of 127.0.0.1 that give canned answers and remember what was asked.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::accounts;

/// How a node behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Connections are refused.
    Down,
    /// Connections are accepted, nothing is answered.
    Silent,
    /// Names its peers as old servers do.
    Old,
    /// The connection is closed instead of an answer to `udf-clear-cache:` or `statistics`.
    Closes,
    /// The connection ends in the middle of that answer.
    CutOff,
    /// That answer is not of the protocol.
    Garbage,
    /// That answer announces more bytes than any answer has.
    Huge,
    /// Names peers until a place where the list is damaged.
    DamagedPeers,
    /// Answers as the node `BB7`.
    Other,
    /// Does not know who it is.
    Nobody,
    /// Closes every connection and refuses new ones once it was found.
    Leaves,
    /// Lists `new.lua` from the third look on.
    Lags,
    /// Answers late, but within the limit.
    Slow,
    /// Has users and roles.
    Secured,
    /// Lists a module whose name acts on a terminal.
    Hostile,
}

/// The nodes `N1`, `N2`, `N3`; the last one is the principal.
pub(crate) struct Cluster {
    pub(crate) ports: Vec<u16>,
    asked: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Cluster {
    pub(crate) fn start(moods: [Mood; 3]) -> Self {
        let listeners = moods.map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports: Vec<u16> = listeners
            .iter()
            .map(|listener| listener.local_addr().unwrap().port())
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        for (index, (listener, mood)) in listeners.into_iter().zip(moods).enumerate() {
            if mood == Mood::Down {
                continue;
            }
            let (ports, asked) = (ports.clone(), Arc::clone(&asked));
            thread::spawn(move || {
                let mut listener = Some(listener);
                while let Some(stream) = listener.as_ref().and_then(|l| l.accept().ok()) {
                    let stream = stream.0;
                    if mood == Mood::Leaves {
                        listener = None;
                    }
                    let (ports, asked) = (ports.clone(), Arc::clone(&asked));
                    thread::spawn(move || serve(stream, index, mood, &ports, &asked));
                }
            });
        }
        Self { ports, asked }
    }

    /// Requests that begin so, as `N1 request`, sorted by node.
    pub(crate) fn asked(&self, start: &str) -> Vec<String> {
        let mut found: Vec<_> = self
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|(_, request)| request.starts_with(start))
            .map(|(index, request)| format!("N{} {request}", index + 1))
            .collect();
        found.sort();
        found
    }

    /// The text with node names instead of addresses.
    pub(crate) fn named(&self, text: &str) -> String {
        let mut text = text.replace("localhost:", "127.0.0.1:");
        for (index, port) in self.ports.iter().enumerate() {
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("N{}", index + 1));
        }
        text
    }
}

/// Returns when all nodes were asked this.
fn wait_for_the_others(request: &str, nodes: usize, asked: &Mutex<Vec<(usize, String)>>) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let count = || {
        let asked = asked.lock().unwrap();
        asked.iter().filter(|(_, known)| known == request).count()
    };
    while count() < nodes {
        assert!(Instant::now() < deadline, "not all nodes are asked at once");
        thread::yield_now();
    }
}

fn serve(
    mut stream: TcpStream,
    index: usize,
    mood: Mood,
    ports: &[u16],
    asked: &Mutex<Vec<(usize, String)>>,
) -> Option<()> {
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).ok()?;
        let size = u64::from_be_bytes(header) & 0xffff_ffff_ffff;
        let mut body = vec![0; usize::try_from(size).unwrap()];
        stream.read_exact(&mut body).ok()?;
        if mood == Mood::Silent {
            continue;
        }
        let mut reply = Vec::new();
        if header[1] == 2 && mood == Mood::Secured {
            stream.write_all(&accounts::reply(&body, index)).ok()?;
            continue;
        }
        if header[1] == 2 {
            reply = vec![0; 16];
            reply[1] = 51;
        }
        for request in String::from_utf8(body).unwrap_or_default().lines() {
            asked.lock().unwrap().push((index, request.to_owned()));
            if matches!(request, "udf-clear-cache:" | "statistics") {
                let sent: &[u8] = match mood {
                    Mood::Closes | Mood::Leaves => b"",
                    Mood::CutOff => b"\x02\x01\0\0\0\0\0\x14udf-clear-ca",
                    Mood::Garbage => b"HTTP/1.1 400 Bad Request\r\n\r\n",
                    Mood::Huge => b"\x02\x01\xff\xff\xff\xff\xff\xff",
                    _ => b"",
                };
                let breaks = matches!(
                    mood,
                    Mood::Closes | Mood::Leaves | Mood::CutOff | Mood::Garbage | Mood::Huge
                );
                if breaks {
                    stream.write_all(sent).ok()?;
                    return None;
                }
                if mood == Mood::Slow {
                    wait_for_the_others(request, ports.len(), asked);
                }
            }
            let known = mood != Mood::Old || !request.contains("-clear-std");
            let mut answer = answer(if known { request } else { "" }, index, ports);
            match (mood, request) {
                (Mood::Other, "node") => answer = "BB7".to_owned(),
                (Mood::Lags, "udf-list") => {
                    let asked = asked.lock().unwrap();
                    let looks = asked
                        .iter()
                        .filter(|(node, request)| *node == index && request == "udf-list");
                    if looks.count() < 3 {
                        answer = answer.replace("hash=01", "hash=02");
                    }
                }
                (Mood::Hostile, "udf-list") => {
                    answer = answer.replace("old", "o\u{1b}[31ml\u{9b}d\u{202e}");
                }
                (Mood::Nobody, "node") => answer = "\u{1}?".to_owned(),
                (Mood::DamagedPeers, "peers-clear-std") => {
                    answer.truncate(answer.len() - 2);
                    answer.push_str(",[BB9,,[");
                }
                _ => {}
            }
            reply.extend(format!("{request}\t{answer}\n").bytes());
        }
        let size = u64::try_from(reply.len()).unwrap();
        // At once: a second write would wait until the first one is acknowledged, which takes 40 ms.
        let header = (size | 2 << 56 | u64::from(header[1]) << 48).to_be_bytes();
        stream.write_all(&[&header, &reply[..]].concat()).ok()?;
    }
}

fn answer(request: &str, index: usize, ports: &[u16]) -> String {
    match request {
        "node" => format!("BB{}", index + 1),
        "build" => "8.1.2.0".to_owned(),
        "connection" => "admin=false".to_owned(),
        "service-clear-std" => format!("127.0.0.1:{}", ports[index]),
        "peers-clear-std" => {
            let peers: Vec<_> = ports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .map(|(other, port)| format!("[BB{},,[127.0.0.1:{port}]]", other + 1))
                .collect();
            format!("1,3000,[{}]", peers.join(","))
        }
        "services" => {
            let others = ports
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let others: Vec<_> = others
                .map(|(_, port)| format!("127.0.0.1:{port}"))
                .collect();
            others.join(";")
        }
        "status" | "udf-clear-cache:" => "ok".to_owned(),
        "get-config:context=xdr" if index == 0 => "dcs=west,east;trace-fraction=0".to_owned(),
        "get-config:context=xdr" => "dcs=west;trace-fraction=0".to_owned(),
        "logs" if index == 0 => "0:/x".to_owned(),
        "logs" if index == 1 => "0:/y;1:/x".to_owned(),
        "logs" => "0:/y".to_owned(),
        _ if request.starts_with("log-set:") => "ok".to_owned(),
        "statistics" => "cluster_size=3;uptime=7;".to_owned(),
        "udf-list" => {
            "filename=old.lua,hash=00,type=LUA;filename=new.lua,hash=01,type=LUA;".to_owned()
        }
        _ if request.starts_with("udf-put:filename=bad.lua") => {
            // "unexpected symbol" in base64.
            "error=compile_error;file=bad.lua;line=2;message=dW5leHBlY3RlZCBzeW1ib2w=".to_owned()
        }
        _ if request.starts_with("udf-put:") || request.starts_with("udf-remove:") => {
            "ok".to_owned()
        }
        _ if request.starts_with("set-config:") && index == 1 => "ERROR:4:bad value".to_owned(),
        _ if request.starts_with("set-config:") => "ok".to_owned(),
        _ => "ERROR:4:unrecognized command".to_owned(),
    }
}
