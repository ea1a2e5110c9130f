//! Asking a person for a password, or for an answer.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::{held, line};

/// Longest password, and longest answer, that is read.
const TYPED_CHARS_MAX: usize = 1024;

/// How often it is looked whether the answer is still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Whether the answer to a question is still wanted: who asked may have been interrupted from elsewhere, and the next keys are
/// for somebody else then.
#[derive(Clone, Debug, Default)]
struct Wanted {
    no_more: Arc<AtomicBool>,
}

/// Has it be wanted no more when it is dropped.
struct Asking(Wanted);

impl Wanted {
    fn is_wanted(&self) -> bool {
        !self.no_more.load(Ordering::SeqCst)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.no_more.store(true, Ordering::SeqCst);
    }
}

/// Asks on the terminal without echo; when stdin is no terminal, its next line is the password.
///
/// # Errors
/// The terminal cannot be read, or the person gave up.
pub fn password(text: &str) -> io::Result<String> {
    password_while(text, &Wanted::default())
}

/// The same; the runtime is free meanwhile.
///
/// # Errors
/// As there.
pub async fn password_of_session(text: String) -> io::Result<String> {
    let asking = Asking(Wanted::default());
    let wanted = asking.0.clone();
    tokio::task::spawn_blocking(move || password_while(&text, &wanted)).await?
}

fn password_while(text: &str, wanted: &Wanted) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let mut err = io::stderr();
    write!(err, "{text}")?;
    err.flush()?;
    let typed = typed(None, wanted);
    if wanted.is_wanted() {
        writeln!(err)?;
    }
    typed
}

/// The answer to a question that was shown; `None` at the end of input, and where the person gave up. In a session with an
/// editor the keys are taken from where the editor takes them: what was typed ahead is in order.
pub async fn answer() -> Option<String> {
    if !held::is_held() {
        return line::read_line().await;
    }
    if let Some(line) = held::early_line() {
        return Some(line);
    }
    let asking = Asking(Wanted::default());
    let wanted = asking.0.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout();
        let typed = typed(Some(&mut out), &wanted);
        if wanted.is_wanted() {
            writeln!(out)?;
        }
        typed
    });
    read.await.ok()?.ok()
}

/// What is typed up to Enter, shown where there is something to show it on.
fn typed(shown: Option<&mut dyn Write>, wanted: &Wanted) -> io::Result<String> {
    let _keys = held::keys();
    enable_raw_mode()?;
    let typed = read_typed(shown, wanted);
    disable_raw_mode()?;
    typed
}

fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "interrupted at the prompt")
}

fn read_typed(mut shown: Option<&mut dyn Write>, wanted: &Wanted) -> io::Result<String> {
    let mut typed = String::new();
    let mut show = |text: &str| match &mut shown {
        Some(shown) => shown
            .write_all(text.as_bytes())
            .and_then(|()| shown.flush()),
        None => Ok(()),
    };
    loop {
        let is_there = event::poll(LOOK)?;
        if !wanted.is_wanted() {
            return Err(interrupted());
        }
        if !is_there {
            continue;
        }
        let Event::Key(key) = event::read()? else {
            continue;
        };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(typed),
            // A line feed.
            KeyCode::Char('j') if control => return Ok(typed),
            KeyCode::Char('c' | 'd') if control => {
                return Err(interrupted());
            }
            KeyCode::Char('u') if control => {
                show(&"\u{8} \u{8}".repeat(typed.chars().count()))?;
                typed.clear();
            }
            KeyCode::Backspace if typed.pop().is_some() => show("\u{8} \u{8}")?,
            KeyCode::Char(c) if !control && typed.chars().count() < TYPED_CHARS_MAX => {
                typed.push(c);
                show(c.encode_utf8(&mut [0; 4]))?;
            }
            _ => {}
        }
    }
}
