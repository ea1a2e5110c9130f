//! Statements are run: what each sends, and what of the answer is printed.

mod accounts;
mod aggregate;
mod code;
mod convert;
mod explain;
mod info;
mod legacy;
mod query;
mod record;
mod session;
mod vocabulary;

use std::io;

use protocol::client::ClientError;
use protocol::result_code::ResultCode;
use tools::records::RecordsError;

pub use session::{Flow, Session};
pub use vocabulary::Vocabulary;

/// Why a statement failed.
#[derive(Debug)]
pub enum Failure {
    /// What is told, with the code: below 0 the tool's own.
    Told {
        /// The code.
        code: i64,
        /// The text; may be empty.
        text: String,
    },
    /// Nobody reads what is printed.
    Unread(io::Error),
}

impl Failure {
    /// An error of the tool's own.
    fn own(text: impl Into<String>) -> Self {
        Self::Told {
            code: -1,
            text: text.into(),
        }
    }

    /// A node's answer. `node` is named in front where the original does so.
    fn answer(code: ResultCode, node: Option<&str>) -> Self {
        let name = code::name(code);
        Self::Told {
            code: code.0.into(),
            text: match node {
                Some(node) => format!("{node} {name}"),
                None => name,
            },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Unread(error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        // The C client's own codes: 9 for time, -10 for connections that fail, -1 for anything else.
        let code = match &error {
            ClientError::TimedOut { .. } => 9,
            ClientError::Connect { .. }
            | ClientError::Closed { .. }
            | ClientError::Io { .. }
            | ClientError::Resolve { .. }
            | ClientError::NoAddress { .. } => -10,
            _ => -1,
        };
        Self::Told {
            code,
            text: error.to_string(),
        }
    }
}

impl From<RecordsError> for Failure {
    fn from(error: RecordsError) -> Self {
        match error {
            RecordsError::Client(error) => error.into(),
            RecordsError::NoNamespace(namespace) => Self::Told {
                code: 20,
                text: format!("Invalid namespace: {namespace}"),
            },
            other => Self::Told {
                code: -8,
                text: other.to_string(),
            },
        }
    }
}

/// Result of running a statement.
type Ran = Result<(), Failure>;
