//! How the terminal stands while an interactive program runs.
//!
//! What is typed while a command runs is for the line that is read after it. In its usual state a terminal makes lines of
//! what is typed, and a line editor, which reads keys, would take several lines that wait there for one. So the terminal is
//! *held* between lines: keys wait as they were typed, unseen, and the editor has them one after the other, as if they were
//! typed before it. Ctrl-C still interrupts.

use std::collections::VecDeque;
use std::io;

use parking_lot::{Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};

/// How many bytes are taken from the terminal at once.
const CHUNK_BYTES: usize = 4096;

/// The terminal of the process, of which there is one.
static TERMINAL: Mutex<Option<State>> = Mutex::new(None);

/// Whose the keys are.
static KEYS: Mutex<()> = Mutex::new(());

/// Waits until nobody else takes keys from the terminal: one who is wanted no more is about to leave it as it was.
pub(super) fn keys() -> MutexGuard<'static, ()> {
    KEYS.lock()
}

struct State {
    /// As it was found.
    usual: Termios,
    held: Termios,
    /// What was typed while it was in its usual state.
    early: Early,
}

/// What a terminal in its usual state has made lines of.
#[derive(Default)]
struct Early {
    lines: VecDeque<String>,
    /// Typed without Enter so far.
    begun: Vec<u8>,
}

impl Early {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                let line = std::mem::take(&mut self.begun);
                let line = String::from_utf8_lossy(&line).into_owned();
                self.lines.push_back(line);
            } else {
                self.begun.push(*byte);
            }
        }
    }
}

/// Holds the terminal until it is dropped.
pub(super) struct Held(());

impl Held {
    /// Holds the terminal of stdin.
    ///
    /// # Errors
    /// stdin is no terminal.
    pub(super) fn take() -> io::Result<Self> {
        let stdin = io::stdin();
        let usual = tcgetattr(&stdin)?;
        let mut held = usual.clone();
        held.local_modes
            .remove(LocalModes::ICANON | LocalModes::ECHO);
        // Enter gives what it gives to the editor, and a line feed that a program sends is one.
        held.input_modes
            .remove(InputModes::ICRNL | InputModes::IGNCR);
        held.input_modes.insert(InputModes::INLCR);
        held.special_codes[SpecialCodeIndex::VMIN] = 1;
        held.special_codes[SpecialCodeIndex::VTIME] = 0;
        let mut state = State {
            usual,
            held,
            early: Early::default(),
        };
        state.hold()?;
        *TERMINAL.lock() = Some(state);
        Ok(Self(()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(state) = TERMINAL.lock().take() {
            state.release();
        }
    }
}

impl State {
    fn hold(&mut self) -> io::Result<()> {
        let stdin = io::stdin();
        tcsetattr(&stdin, OptionalActions::Now, &self.held)?;
        // Lines that were made before have line feeds at their ends, which the editor takes for something else.
        let mut chunk = [0; CHUNK_BYTES];
        while waits() {
            let size = rustix::io::read(&stdin, &mut chunk)?;
            match chunk.get(..size) {
                Some(bytes @ [_, ..]) => self.early.take(bytes),
                _ => break,
            }
        }
        Ok(())
    }

    fn release(&self) {
        // The terminal may be gone, and then there is nothing to set back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.usual);
    }
}

fn waits() -> bool {
    let stdin = io::stdin();
    let mut waiting = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut waiting, Some(&Timespec::default())), Ok(1..))
        && waiting
            .iter()
            .all(|terminal| terminal.revents().contains(PollFlags::IN))
}

/// Whether the terminal is held.
pub(super) fn is_held() -> bool {
    TERMINAL.lock().is_some()
}

/// The next line that was typed before the terminal was held.
pub(super) fn early_line() -> Option<String> {
    TERMINAL.lock().as_mut()?.early.lines.pop_front()
}

/// What was typed without Enter before the terminal was held.
pub(super) fn early_begun() -> Option<String> {
    let begun = std::mem::take(&mut TERMINAL.lock().as_mut()?.early.begun);
    (!begun.is_empty()).then(|| String::from_utf8_lossy(&begun).into_owned())
}

/// Line feeds are Enter while the editor has the terminal too.
pub(super) fn take_line_feeds_for_enter() -> io::Result<()> {
    let stdin = io::stdin();
    let mut modes = tcgetattr(&stdin)?;
    modes.input_modes.insert(InputModes::INLCR);
    tcsetattr(&stdin, OptionalActions::Now, &modes)?;
    Ok(())
}

/// The terminal as it usually is, for another program, until this is dropped.
#[must_use]
pub struct Lent(());

/// Lends the terminal to a program that is started and waited for. Without effect where it is not held.
pub fn lend() -> Lent {
    if let Some(state) = TERMINAL.lock().as_ref() {
        state.release();
    }
    Lent(())
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(state) = TERMINAL.lock().as_mut() {
            // The terminal may be gone, which the next line says.
            let _ = state.hold();
        }
    }
}
