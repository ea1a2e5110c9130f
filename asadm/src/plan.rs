//! What a command is going to do, as values: requests to nodes, questions to the person, what is told in the end.
//!
//! A command makes a plan from its words and the picture of the cluster, without a socket or a terminal. The session carries
//! it out ([`crate::session`]) and asks for the next step with what it learned.

use std::time::Duration;

use protocol::key::Key;
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId};
use protocol::value::Value;
use tools::output::Event;

/// One info command to one node of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its position in the picture.
    pub node: usize,
    /// Without line feed.
    pub command: String,
}

/// The answer to a request, or why there is none.
pub type Reply = Result<String, String>;

/// The next step, or what is said about the command that cannot go on. The text is for `ERROR: …`.
pub type Planned = Result<Plan, String>;

/// A function of a module, and the record that it is called on.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The module, without extension.
    pub module: String,
    /// The function.
    pub function: String,
    /// Namespace of the record.
    pub namespace: String,
    /// Set of the record; empty for none.
    pub set: String,
    /// Its key.
    pub key: Key,
    /// Arguments behind the record.
    pub arguments: Vec<Value>,
}

/// What follows the answers, which are in the order of the requests.
pub type Next = Box<dyn FnOnce(Vec<Reply>) -> Planned>;

/// The next step of a command.
pub enum Plan {
    /// Sends requests, all at the same time.
    Send(Vec<Request>, Next),
    /// Sends requests again and again.
    Poll(Poll),
    /// Sends a security message to the principal.
    Security {
        /// What is asked for.
        command: Command,
        /// Its fields.
        fields: Vec<(FieldId, Vec<u8>)>,
        /// What follows the result, or the reason why there is none.
        next: Box<dyn FnOnce(Result<ResultCode, String>) -> Planned>,
    },
    /// Calls a function of a module on one record.
    Call {
        /// What is called.
        call: Call,
        /// What follows the result, or the reason why there is none.
        next: Box<dyn FnOnce(Result<Value, String>) -> Planned>,
    },
    /// Has the person type a code, or ends the command.
    Confirm {
        /// What is going to happen.
        message: String,
        /// What follows the right code.
        next: Box<dyn FnOnce() -> Planned>,
    },
    /// Has the person type a password, unseen.
    Password {
        /// The question.
        ask: String,
        /// What follows.
        next: Box<dyn FnOnce(String) -> Planned>,
    },
    /// Tells something and goes on.
    Tell(Vec<Event>, Box<Plan>),
    /// Tells something and is done. With an error among it the command has failed.
    Done(Vec<Event>),
}

/// Requests that are sent until the answers are good, or for some time.
pub struct Poll {
    /// The first ones.
    pub requests: Vec<Request>,
    /// For how long.
    pub limit: Duration,
    /// Between two rounds.
    pub pause: Duration,
    /// Looks at the answers. The second argument is true when the time is over.
    pub judge: Box<dyn FnMut(Vec<Reply>, bool) -> Polled>,
}

/// What a look at the answers says.
pub enum Polled {
    /// These requests next. Ends the command with an error when the time is over.
    Again(Vec<Request>),
    /// Enough.
    Next(Planned),
}

impl Plan {
    /// One line of text, and done.
    pub fn done(text: impl Into<String>) -> Planned {
        Ok(Self::Done(vec![Event::Text(text.into() + "\n")]))
    }
}
