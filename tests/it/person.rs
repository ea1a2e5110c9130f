//! A person before a terminal: keys go in, what the screen shows comes out.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tests::process::wait_until;
use tests::terminal::Terminal;

pub(crate) const LIMIT: Duration = Duration::from_secs(180);

pub(crate) const TAB: &str = "\t";
pub(crate) const ENTER: &str = "\r";
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
pub(crate) const UP: &str = "\x1b[A";
pub(crate) const RIGHT: &str = "\x1b[C";

/// A running shell and the person before it.
pub(crate) struct Shell {
    pub(crate) child: Child,
    keyboard: File,
    pub(crate) screen: Arc<Mutex<String>>,
    /// Up to where the screen, without codes, was looked at.
    seen: usize,
    /// Reads what the program prints, to its end.
    reader: Option<JoinHandle<()>>,
}

impl Shell {
    pub(crate) fn start(address: &str, home: &Path) -> Self {
        Self::start_with(address, home, &[])
    }

    pub(crate) fn start_with(address: &str, home: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_words(address, home, environment, &[])
    }

    pub(crate) fn start_words(
        address: &str,
        home: &Path,
        environment: &[(&str, &str)],
        words: &[&str],
    ) -> Self {
        Self::start_program("asadm", address, home, environment, words)
    }

    pub(crate) fn start_program(
        program: &str,
        address: &str,
        home: &Path,
        environment: &[(&str, &str)],
        words: &[&str],
    ) -> Self {
        let Terminal { outer, inner } = Terminal::open().unwrap();
        let inner = || Stdio::from(inner.try_clone().unwrap());
        let child = Command::new(tests::program::path(program).unwrap())
            .args(["-h", address])
            .args(tests::program::patient(program))
            .args(words)
            .env("HOME", home)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .current_dir(home)
            .stdin(inner())
            .stdout(inner())
            .stderr(inner())
            .spawn()
            .unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let keyboard = outer.try_clone().unwrap();
        let (shown, mut answers) = (Arc::clone(&screen), outer.try_clone().unwrap());
        let reader = thread::spawn(move || {
            let mut outer = outer;
            let mut chunk = [0; 4096];
            let mut answered = 0;
            // A terminal whose other end is gone gives an error.
            while let Ok(size @ 1..) = outer.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..size]).into_owned();
                let mut shown = shown.lock().unwrap();
                shown.push_str(&text);
                // A line editor asks where the cursor is.
                let asked = shown.matches("\x1b[6n").count();
                for _ in answered..asked {
                    let _ = answers.write_all(b"\x1b[1;1R");
                }
                answered = asked;
            }
        });
        Self {
            child,
            keyboard,
            screen,
            seen: 0,
            reader: Some(reader),
        }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// What the screen shows behind what was waited for.
    pub(crate) fn new_text(&self) -> String {
        plain(&self.screen.lock().unwrap()).split_off(self.seen)
    }

    /// Waits until the screen shows a text behind what was waited for before.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let shown = wait_until(text, LIMIT, || Ok(self.new_text().contains(text)));
        let new = self.new_text();
        assert!(shown.is_ok(), "no {text:?} in {new:?}");
        self.seen += new.find(text).unwrap() + text.len();
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.press(text);
        self.press(ENTER);
    }

    pub(crate) fn end(mut self) -> i32 {
        let mut code = None;
        wait_until("the end of the shell", LIMIT, || {
            code = self.child.try_wait().unwrap();
            Ok(code.is_some())
        })
        .unwrap();
        // The terminal may hold more than was read of it.
        self.reader.take().unwrap().join().unwrap();
        code.unwrap().code().unwrap()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without the codes for colour and cursor.
pub(crate) fn plain(text: &str) -> String {
    let codes = regex::Regex::new("\x1b(\\[[0-9;?]*[a-zA-Z]|[=>78])").unwrap();
    codes.replace_all(text, "").into_owned()
}
