use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Why an engine cannot do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no room for more. What is stored can be read and removed.
    #[error("{0}")]
    Full(String),
    /// What is stored cannot be read, or nothing can be written at present.
    #[error("{0}")]
    Failed(String),
    /// Stored bytes are not what was written: where, and what was found.
    #[error("{0}")]
    Damaged(String),
}

impl StorageError {
    /// The code with which a request is answered: 8 without room, else 1.
    #[must_use]
    pub fn result_code(&self) -> protocol::result_code::ResultCode {
        use protocol::result_code::ResultCode;
        match self {
            Self::Full(_) => ResultCode::OUT_OF_SPACE,
            Self::Failed(_) | Self::Damaged(_) => ResultCode::UNKNOWN,
        }
    }
}

/// What an engine gives, at once or after a wait; a future.
///
/// What is at hand neither allocates nor yields. Who awaits an answer holds no mutex, and no thread but those that the
/// engine keeps for it waits.
pub enum Answer<'e, T> {
    /// The answer is there; `None` once it has been taken.
    Ready(Option<Result<T, StorageError>>),
    /// It comes later.
    Waits(Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'e>>),
}

impl<'e, T> Answer<'e, T> {
    /// An answer that is at hand.
    pub fn ready(value: T) -> Self {
        Self::Ready(Some(Ok(value)))
    }

    /// An answer that is at hand, or why there is none.
    pub fn of(result: Result<T, StorageError>) -> Self {
        Self::Ready(Some(result))
    }

    /// An answer that comes later.
    pub fn later(answer: impl Future<Output = Result<T, StorageError>> + Send + 'e) -> Self {
        Self::Waits(Box::pin(answer))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = Result<T, StorageError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            // Nothing polls a future again that was ready; if something does, it waits for ever.
            Self::Ready(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            Self::Waits(answer) => answer.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for Answer<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Waits(_) => "Waits",
        })
    }
}

/// Waits for a future where nothing can be awaited. What is at hand needs no runtime; for all else the runtime gives the
/// tasks of this thread to another one first, so that nobody waits along.
pub fn wait_on_this_thread<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
        return value;
    }
    match many_threads() {
        Some(runtime) => tokio::task::block_in_place(|| runtime.block_on(future)),
        None => park_until_ready(future),
    }
}

/// Does what takes many milliseconds where nothing can be awaited: the runtime gives the tasks of this thread to another one
/// first, where it can.
pub fn off_the_worker<T>(work: impl FnOnce() -> T) -> T {
    match many_threads() {
        Some(_) => tokio::task::block_in_place(work),
        None => work(),
    }
}

/// Whether there is another thread that takes over in [`off_the_worker`].
#[must_use]
pub fn can_leave_the_worker() -> bool {
    many_threads().is_some()
}

/// The runtime of this thread, if it has others.
fn many_threads() -> Option<Handle> {
    let runtime = Handle::try_current().ok();
    runtime.filter(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
}

/// Wakes a thread that waits for a future of its own.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn park_until_ready<T>(mut future: Pin<&mut impl Future<Output = T>>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Ends only if another task runs meanwhile.
    fn wait_for_another_task() -> bool {
        let (give, take) = mpsc::channel();
        tokio::spawn(async move { give.send(()) });
        take.recv_timeout(Duration::from_secs(60)).is_ok()
    }

    #[test]
    fn others_run_beside_what_is_done_off_the_worker() {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(1).build().unwrap();
        let task = runtime.spawn(async { off_the_worker(wait_for_another_task) });
        assert!(runtime.block_on(task).unwrap());
        // Where there is one thread only it is done there.
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        assert_eq!(runtime.block_on(async { off_the_worker(|| 7) }), 7);
        assert_eq!(off_the_worker(|| 8), 8);
    }
}
