//! The kinds of input: what is prepared, what is sent over and over, and what has to be over afterwards.

mod frames;
mod input;
mod records;
mod scripts;

pub(crate) use scripts::MODULE;
use tests::error::Result;

/// How an attacker knows that it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// By a frame.
    Frame,
    /// By the frame that says that it is the last.
    Last,
    /// It does not wait: it writes as fast as it may, and reads on another thread.
    Pumped,
    /// It goes away once it has sent.
    Left,
    /// Its bytes go out one by one; then by a frame.
    Dribbled,
}

/// An info command that is asked again until its answer says so.
pub(crate) struct Until {
    /// The command.
    pub(crate) command: &'static str,
    /// Whether this is the answer.
    pub(crate) is_so: fn(&str) -> bool,
}

/// One kind of input.
pub(crate) struct Kind {
    /// What the table calls it.
    pub(crate) name: &'static str,
    /// Requests before, each of which is answered by a frame that refuses nothing.
    pub(crate) before: Vec<Vec<u8>>,
    /// What holds before it begins.
    pub(crate) ready: Option<Until>,
    /// What is sent over and over.
    pub(crate) sent: Vec<u8>,
    /// When it counts as answered.
    pub(crate) answer: Answer,
    /// Whether answers that refuse do not count: the row is about work that is done.
    pub(crate) is_served: bool,
    /// An info command that ends what would go on beside later kinds.
    pub(crate) ended_by: Option<&'static str>,
    /// What holds once it is over.
    pub(crate) over: Option<Until>,
}

impl Kind {
    /// One that is answered by a frame, whatever it says.
    fn new(name: &'static str, sent: Vec<u8>) -> Self {
        Self {
            name,
            before: Vec::new(),
            ready: None,
            sent,
            answer: Answer::Frame,
            is_served: false,
            ended_by: None,
            over: None,
        }
    }

    /// One that is to be served: answers that refuse do not count.
    fn served(name: &'static str, sent: Vec<u8>) -> Self {
        Self {
            is_served: true,
            ..Self::new(name, sent)
        }
    }

    fn after(self, before: Vec<Vec<u8>>) -> Self {
        Self { before, ..self }
    }

    fn answered(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }
}

/// All kinds.
///
/// # Errors
/// A frame cannot be written.
pub(crate) fn all() -> Result<Vec<Kind>> {
    let mut all = frames::kinds()?;
    all.extend(scripts::kinds()?);
    all.extend(records::kinds()?);
    Ok(all)
}
