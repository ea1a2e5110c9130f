//! Record commands: what a message asks for, done to the records of a namespace.
//!
//! ```text
//! answer ─ parse ─┬─ batch ─→ each row ─┐
//!                 ├─ query              ├─→ single: read | write | delete | record UDF ─→ record::Namespace
//!                 └─────────────────────┘
//! ```
//!
//! Everything that a command needs from the node comes through [`Services`]. A read never waits, unless it lengthens
//! the record's life; a write waits only while a UDF holds its record. Replies are appended to the connection's buffer, without a copy in between.

pub(crate) mod batch;
pub(crate) mod count;
mod delete;
pub(crate) mod failure;
pub(crate) mod forward;
pub(crate) mod function;
pub mod functions;
pub mod placement;
pub(crate) mod plan;
pub(crate) mod read;
mod read_touch;
pub(crate) mod refusal;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod services;
pub(crate) mod single;
pub(crate) mod target;
pub(crate) mod work;
pub(crate) mod write;

use std::time::Duration;

use protocol::message::Message;

pub use placement::{Done, Passage, Placement};
pub use reply::ReplyStream;
pub use runtime::call::stream::{Records, StreamCall, StreamSource, StreamStep};
pub use runtime::call::{
    Call, Cause, Outcome as CallOutcome, RecordChange, RecordView, Reply as FunctionReply,
};
pub use services::{FunctionContext, Functions, Services};
pub(crate) use work::Work;
pub(crate) use work::{limit_memory, memory_of_operations};

/// Who sent a message. What a node has passed on is not passed on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Node,
}

/// Time that the request may take in all.
pub(crate) fn time_limit(services: &impl Services, message: &Message<'_>) -> Duration {
    match message.header.transaction_ttl {
        0 => services.transaction_max(),
        ms => Duration::from_millis(ms.into()),
    }
}
