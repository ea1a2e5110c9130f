//! The process that has started this one, for `--end-with-parent`.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{PidfdFlags, getppid, pidfd_open};
use tokio::sync::oneshot;

use super::StartError;

/// A process that can be waited for.
pub(crate) struct Parent(oneshot::Receiver<()>);

impl Parent {
    /// The parent of this process, as of now.
    ///
    /// # Errors
    /// It is gone already, or cannot be watched.
    pub(crate) fn of_this_process() -> Result<Self, StartError> {
        let process = getppid().ok_or("--end-with-parent: no process has started this one")?;
        let watched = pidfd_open(process, PidfdFlags::empty())
            .map_err(|error| format!("--end-with-parent: cannot watch the parent: {error}"))?;
        let (ended, receiver) = oneshot::channel();
        // A thread of its own, which needs nothing of the runtime and ends with this process at the latest.
        std::thread::Builder::new()
            .name("parent".to_owned())
            .spawn(move || match wait(&watched) {
                // Nobody listening means that this process is ending anyway.
                Ok(()) => drop(ended.send(())),
                Err(error) => {
                    tracing::error!(target: "as", "the parent process cannot be watched: {error}");
                }
            })?;
        Ok(Self(receiver))
    }

    /// Returns when the process has ended; never, if it could not be watched.
    pub(crate) async fn ended(self) {
        if self.0.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Blocks until the process of this descriptor has ended.
fn wait(process: &OwnedFd) -> io::Result<()> {
    loop {
        let mut watched = [PollFd::new(process, PollFlags::IN)];
        match poll(&mut watched, None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
