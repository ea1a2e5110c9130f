//! A pseudo-terminal for programs under test.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

/// Size of the terminal, characters.
pub const COLUMNS: u16 = 160;
/// Size of the terminal, lines.
pub const LINES: u16 = 48;

/// Both ends of a pseudo-terminal.
#[derive(Debug)]
pub struct Terminal {
    /// What a person has: the keys and the screen.
    pub outer: File,
    /// What a program has as its stdin and stdout.
    pub inner: File,
}

impl Terminal {
    /// A terminal of [`COLUMNS`] by [`LINES`] that shows line feeds as they are and does not show what is typed.
    ///
    /// # Errors
    /// The system has no more of them.
    pub fn open() -> io::Result<Self> {
        let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outer)?;
        unlockpt(&outer)?;
        let name = ptsname(&outer, Vec::new())?;
        let inner = OpenOptions::new()
            .read(true)
            .write(true)
            // It must not become the terminal that rules this process.
            .custom_flags(libc::O_NOCTTY)
            .open(OsStr::from_bytes(name.to_bytes()))?;
        tcsetwinsize(
            &inner,
            Winsize {
                ws_row: LINES,
                ws_col: COLUMNS,
                ws_xpixel: 0,
                ws_ypixel: 0,
            },
        )?;
        let mut modes = tcgetattr(&inner)?;
        modes.output_modes.remove(OutputModes::OPOST);
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&inner, OptionalActions::Now, &modes)?;
        Ok(Self {
            outer: outer.into(),
            inner,
        })
    }
}
