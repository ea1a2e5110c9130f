//! The server's own compiler: what it refuses cannot be registered.

use std::sync::Arc;

use runtime::context::{Limits, LuaFactory};
use runtime::host::{Alone, Host, Lane, ScriptLine};

/// Compiles modules.
pub(crate) struct Compiler(LuaFactory);

/// What the compiler says.
pub(crate) struct Failure {
    /// The line, from 1; 0 if it is not known.
    pub(crate) line: u32,
    /// What is wrong.
    pub(crate) message: String,
}

/// Nothing is run, so nobody is asked for anything.
#[derive(Debug)]
struct Nobody;

impl Host for Nobody {
    fn unix_ms(&self) -> u64 {
        0
    }

    fn line(&self, _line: &ScriptLine<'_>) {}

    fn warn(&self, _text: &str) {}

    fn lane(&self) -> &'static dyn Lane {
        &Alone
    }
}

impl Compiler {
    pub(crate) fn new() -> Self {
        Self(LuaFactory::new(
            "",
            false,
            false,
            Limits::default(),
            Arc::new(Nobody),
        ))
    }

    /// # Errors
    /// It is not Lua 5.4, or takes too much to compile.
    pub(crate) fn compile(&self, text: &[u8]) -> Result<(), Failure> {
        // A short name is not cut in messages.
        match self.0.compile("m", text) {
            Ok(_) => Ok(()),
            Err(failure) => {
                let message = String::from_utf8_lossy(&failure.message).into_owned();
                let (line, message) = match failure.line {
                    0 => position(&message).unwrap_or((0, message)),
                    line => (line, message),
                };
                Err(Failure { line, message })
            }
        }
    }
}

/// Takes `m:LINE: ` off a message; a directory may stand before it.
fn position(message: &str) -> Option<(u32, String)> {
    let rest = message.trim_start_matches('/').strip_prefix("m:")?;
    let (line, rest) = rest.split_once(": ")?;
    Some((line.parse().ok()?, rest.to_owned()))
}
