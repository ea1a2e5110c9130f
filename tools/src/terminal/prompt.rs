//! Asking a person for a password.

use std::io::{self, BufRead, IsTerminal, Write};

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Longest password that is read.
const PASSWORD_CHARS_MAX: usize = 1024;

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
    enable_raw_mode()?;
    let typed = read_hidden();
    disable_raw_mode()?;
    writeln!(err)?;
    typed
}

fn read_hidden() -> io::Result<String> {
    let mut typed = String::new();
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
            KeyCode::Char('c' | 'd') if control => {
                return Err(io::Error::new(
                    io::ErrorKind::Interrupted,
                    "interrupted at the password prompt",
                ));
            }
            KeyCode::Char('u') if control => typed.clear(),
            KeyCode::Backspace => {
                typed.pop();
            }
            KeyCode::Char(c) if !control && typed.chars().count() < PASSWORD_CHARS_MAX => {
                typed.push(c);
            }
            _ => {}
        }
    }
}
