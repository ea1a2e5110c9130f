//! Changes of modules on a disk that hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use parking_lot::Mutex;

use super::super::{ConnectionState, Served, serve};
use super::CONFIG;
use crate::catalogue::answer_by;
use crate::config::Config;
use crate::contexts::commands::ModuleCommands;
use crate::contexts::stats::{ModuleCounts, UdfTotals};
use crate::log::Log;
use crate::modules::changes::ChangeError;
use crate::modules::module::ModuleSet;
use crate::modules::status::NodeModules;
use crate::node::Node;

/// A registry whose disk hangs until it is told to go on.
struct Hanging {
    goes_on: Mutex<mpsc::Receiver<()>>,
    puts: AtomicU64,
}

impl ModuleCommands for Hanging {
    fn put(&self, _: &str, _: &str) -> Result<(), ChangeError> {
        answer_by::begins();
        let _ = self.goes_on.lock().recv();
        self.puts.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn remove(&self, _: &str) -> Result<(), ChangeError> {
        self.put("", "")
    }
    fn allows_unsafe(&self) -> bool {
        false
    }
    fn modules(&self) -> Arc<ModuleSet> {
        Arc::default()
    }
    fn clear_cache(&self) {}
    fn counts(&self) -> Vec<ModuleCounts> {
        Vec::new()
    }
    fn status(&self) -> Vec<NodeModules> {
        Vec::new()
    }
    fn totals(&self) -> UdfTotals {
        UdfTotals::default()
    }
}

/// However many ask: those who come later do not wait for a turn that those before them have.
#[tokio::test]
async fn a_disk_that_hangs_keeps_nobody_from_an_answer_and_what_was_asked_goes_on() {
    let (go_on, goes_on) = mpsc::channel();
    let hanging = Arc::new(Hanging {
        goes_on: Mutex::new(goes_on),
        puts: AtomicU64::new(0),
    });
    let config = Config::parse("test.conf", CONFIG).unwrap();
    let log = Log::open(&config.logging, false).unwrap();
    let node = Arc::new(Node::new(config, log, Arc::clone(&hanging) as _));
    let connection = Arc::<ConnectionState>::default();
    let asked: u64 = 12;
    let mut answers = Vec::new();
    for number in 0..asked {
        let (node, connection) = (Arc::clone(&node), Arc::clone(&connection));
        answers.push(tokio::spawn(async move {
            let command = match number % 2 {
                0 => "udf-put:filename=a.lua;content=LS0g;content-len=4;udf-type=LUA",
                _ => "udf-remove:filename=a.lua",
            };
            let mut frame = BytesMut::new();
            let body = format!("{command}\n");
            let gone = std::future::pending();
            let served = serve(&node, &connection, body.as_bytes(), &mut frame, gone).await;
            assert_eq!(served.unwrap(), Served::Answered);
            String::from_utf8(frame[8..].to_vec()).unwrap()
        }));
    }
    for answer in answers {
        let answer = answer.await.unwrap();
        assert!(answer.ends_with("\terror=timeout\n"), "{answer}");
    }
    // Whoever asks for something else has his turn.
    let mut frame = BytesMut::new();
    let asked_for = b"udf-clear-cache:\n";
    let served = serve(
        &node,
        &connection,
        asked_for,
        &mut frame,
        std::future::pending(),
    )
    .await;
    assert_eq!(served.unwrap(), Served::Answered);
    assert_eq!(hanging.puts.load(Ordering::SeqCst), 0);
    drop(go_on);
    let until = Instant::now() + Duration::from_secs(60);
    while hanging.puts.load(Ordering::SeqCst) < asked {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
