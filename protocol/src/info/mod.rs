//! Text commands (type 1).
//!
//! ```text
//! request:  command LF  command LF  …
//! command:  name [ sep params ]          sep is the first of / : ;
//! params:   key=value;key=value…         or, after a slash, a path
//! reply:    command as received TAB value LF   for each command, in order
//! ```
//!
//! The server reads with [`commands`] and writes with [`ReplyWriter`]; the client writes with [`write_request`],
//! reads with [`parse_replies`], and tells errors from values with [`Failure::of`].

mod error;
mod reply;
mod request;

pub use error::{Failure, InfoError};
pub use reply::{ReplyError, ReplyWriter, parse_replies};
pub use request::{Command, Params, RequestError, SUMMARY_COMMANDS, commands, write_request};
