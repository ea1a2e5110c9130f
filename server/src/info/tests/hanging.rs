//! Changes of modules on a disk that hangs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use parking_lot::Mutex;

use super::super::{ConnectionState, Served, serve};
use super::{CONFIG, NoModules, node_with};
use crate::catalogue::answer_by;

/// However many ask: those who come later do not wait for a turn that those before them have.
#[tokio::test]
async fn a_disk_that_hangs_keeps_nobody_from_an_answer_and_what_was_asked_goes_on() {
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Mutex::new(goes_on);
    let puts = Arc::new(AtomicU64::new(0));
    let hanging = NoModules({
        let puts = Arc::clone(&puts);
        move || {
            answer_by::begins();
            // Ends when the other end is dropped.
            let _ = goes_on.lock().recv();
            puts.fetch_add(1, Ordering::SeqCst);
        }
    });
    let node = Arc::new(node_with(CONFIG, hanging));
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
    assert_eq!(puts.load(Ordering::SeqCst), 0);
    drop(go_on);
    let until = Instant::now() + Duration::from_secs(60);
    while puts.load(Ordering::SeqCst) < asked {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
