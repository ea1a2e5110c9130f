//! Questions that are asked, and whose answers are waited for, without the runtime: by a thread that has nothing else to do.
//!
//! Of what is pushed to several nodes each answer would have to wake a thread of the runtime first, and that in the end the
//! one that waits for all. Where nodes share processors, that is most of the time.

use std::io::{self, Write as _};
use std::time::Instant;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout_at;

use super::client::{Fabric, FabricError, UNUSED, answered};
use super::frame::{self, Coming};
use super::link::Direct;
use super::{MAX_FRAME, NodeId, QuestionKind};

/// Longest question, bytes: less than what a connection takes without waiting for the other end.
const MAX_QUESTION: usize = 32 << 10;

/// A connection on which a question can be asked.
#[derive(Debug)]
pub struct Ready {
    node: NodeId,
    direct: Direct,
}

/// A question that was asked.
#[derive(Debug)]
pub struct Asked {
    node: NodeId,
    kind: QuestionKind,
    direct: Direct,
    coming: Coming,
}

impl Fabric {
    /// A connection on which this node can be asked at once. None: there is none at present, or the question is too long.
    pub fn ready(&self, node: NodeId, body: &[u8]) -> Option<Ready> {
        if body.len() > MAX_QUESTION {
            return None;
        }
        let mut routes = self.routes.lock();
        let direct = &mut routes.get_mut(&node)?.direct;
        let (since, last) = direct.pop()?;
        if since.elapsed() > UNUSED {
            // So have all others.
            direct.clear();
            return None;
        }
        Some(Ready { node, direct: last })
    }

    /// Keeps one that was not needed.
    pub fn not_needed(&self, ready: Ready) {
        self.put_back_direct(ready.node, ready.direct);
    }
}

impl Ready {
    /// Asks. What is not answered is to be asked once more, in the usual way.
    ///
    /// # Errors
    /// The connection broke.
    pub fn ask(
        mut self,
        fabric: &Fabric,
        kind: QuestionKind,
        body: &[u8],
    ) -> Result<Asked, FabricError> {
        fabric.count_asked(kind);
        let node = self.node;
        frame::bytes(kind as u8, body)
            .and_then(|question| self.direct.stream.write_all(&question))
            .map_err(|source| FabricError::Broken { node, source })?;
        Ok(Asked {
            node,
            kind,
            direct: self.direct,
            coming: Coming::default(),
        })
    }
}

impl Asked {
    /// Waits for the answer on this thread, for a moment.
    ///
    /// # Errors
    /// Itself when the moment is over: the [rest](Self::rest) of the wait is for the runtime.
    pub fn wait(mut self, fabric: &Fabric) -> Result<Result<Vec<u8>, FabricError>, Self> {
        let stream = &mut self.direct.stream;
        let read = self.coming.begin(stream, MAX_FRAME).and_then(|missing| {
            let missing = missing.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.coming.finish(stream, missing)
        });
        let node = self.node;
        let broken = |source| Err(FabricError::Broken { node, source });
        Ok(match read {
            Ok(()) => match self.coming.parts() {
                Ok((status, answer)) => {
                    fabric.put_back_direct(node, self.direct);
                    answered(node, status, answer)
                }
                Err(source) => broken(source),
            },
            // Which of the two it is depends on the system.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                return Err(self);
            }
            Err(source) => broken(source),
        })
    }

    /// Waits for the answer until the deadline.
    ///
    /// # Errors
    /// See [`FabricError`].
    pub async fn rest(self, fabric: &Fabric, deadline: Instant) -> Result<Vec<u8>, FabricError> {
        let node = self.node;
        let waiting = async {
            let mut link = self.direct.into_link()?;
            let mut stream = self.coming.bytes().chain(&mut link.stream);
            let answer = frame::read(&mut stream, MAX_FRAME).await?;
            let answer = answer.ok_or(io::ErrorKind::UnexpectedEof)?;
            fabric.put_back(node, link, self.kind);
            Ok(answer)
        };
        match timeout_at(deadline.into(), waiting).await {
            Ok(Ok((status, answer))) => answered(node, status, answer),
            Ok(Err(source)) => Err(FabricError::Broken { node, source }),
            Err(_) => Err(FabricError::TimedOut(node)),
        }
    }
}
