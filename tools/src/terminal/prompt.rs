//! Asking a person for a password, or for an answer.

use std::io::{self, BufRead, IsTerminal, Write};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::{held, line};

/// Longest password, and longest answer, that is read.
const TYPED_CHARS_MAX: usize = 1024;

/// Asks on the terminal without echo; when stdin is no terminal, its next line is the password.
pub fn password(text: &str) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    let mut err = io::stderr();
    write!(err, "{text}")?;
    err.flush()?;
    let typed = typed(None);
    writeln!(err)?;
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
    let read = tokio::task::spawn_blocking(|| {
        let mut out = io::stdout();
        let typed = typed(Some(&mut out));
        writeln!(out)?;
        typed
    });
    read.await.ok()?.ok()
}

/// What is typed up to Enter, shown where there is something to show it on.
fn typed(shown: Option<&mut dyn Write>) -> io::Result<String> {
    enable_raw_mode()?;
    let typed = read_typed(shown);
    disable_raw_mode()?;
    typed
}

fn read_typed(mut shown: Option<&mut dyn Write>) -> io::Result<String> {
    let mut typed = String::new();
    let mut show = |text: &str| match &mut shown {
        Some(shown) => shown
            .write_all(text.as_bytes())
            .and_then(|()| shown.flush()),
        None => Ok(()),
    };
    loop {
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
                return Err(io::Error::new(
                    io::ErrorKind::Interrupted,
                    "interrupted at the prompt",
                ));
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
