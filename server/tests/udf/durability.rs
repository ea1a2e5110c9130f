//! What was acknowledged survives `kill -9` at any moment, whole.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use server::contexts::service::Service;

use crate::fake::{FakeFactory, settings};

/// Tells the test binary that it is the process to be killed, and where it works.
const DIRECTORY: &str = "UDF_TEST_VICTIM_DIRECTORY";
const KILLS: u32 = 12;

/// Content of `a.lua` after step `step`; none when it is removed then. Big enough to be written in pieces.
fn content(step: u64) -> Option<String> {
    (!step.is_multiple_of(5)).then(|| format!("{step} ").repeat(30_000))
}

fn registered(service: &Service<FakeFactory>) -> Option<String> {
    service
        .modules()
        .of_file(b"a.lua")
        .map(|module| String::from_utf8(module.source().to_vec()).expect("it is text"))
}

/// Not a test by itself: the process that is killed. Without the variable it has nothing to do.
#[test]
fn victim() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let service = Service::open(settings(Path::new(&directory)), FakeFactory::default())
        .expect("it opens after every kill");
    let first: u64 = std::env::var("UDF_TEST_VICTIM_STEP")
        .ok()
        .and_then(|step| step.parse().ok())
        .expect("the step to begin with");
    for step in first.. {
        match content(step) {
            Some(source) => service
                .put("a.lua", &STANDARD.encode(source))
                .expect("the put succeeds"),
            None => service.remove("a.lua").expect("the remove succeeds"),
        }
        println!("done {step}");
    }
}

#[test]
fn acknowledged_changes_survive_a_kill_at_any_moment() {
    let directory = tempfile::tempdir().unwrap();
    let mut last_done = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "durability::victim", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env("UDF_TEST_VICTIM_STEP", (last_done + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        for line in lines.by_ref() {
            if let Some(step) = line.unwrap().split("done ").nth(1) {
                last_done = step.parse().unwrap();
                seen += 1;
            }
            if seen >= 3 {
                break;
            }
        }
        // Somewhere within the next changes. To give way to others would take as long as those want who are busy.
        for _ in 0..kill * 2_000 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        for line in lines {
            if let Some(step) = line.unwrap().split("done ").nth(1) {
                last_done = step.parse().unwrap();
            }
        }
        child.wait().unwrap();

        let service = Service::open(settings(directory.path()), FakeFactory::default()).unwrap();
        let found = registered(&service);
        let whole = found == content(last_done) || found == content(last_done + 1);
        assert!(
            whole,
            "after step {last_done}: {:?}",
            found.map(|text| text.chars().take(20).collect::<String>())
        );
        let copy = std::fs::read_to_string(directory.path().join("lua/a.lua")).ok();
        if found.is_some() {
            assert_eq!(copy, found, "the copy is what is registered");
        } else {
            assert_eq!(copy, None, "nothing is left of a removed module");
        }
        let files = std::fs::read_dir(directory.path().join("lua"))
            .unwrap()
            .count();
        assert!(files <= 1, "unfinished files are gone");
    }
}
