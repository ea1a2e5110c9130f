//! Connections on which something was pushed: a thread of its own waits for what comes next on each, and stores it.
//!
//! A thread of the runtime would have to find another one that serves its connections meanwhile. Where nodes share
//! processors, to wake that one takes as long as what it is woken for.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::debug;

use super::MAX_FRAME;
use super::door::{
    Asker, Door, FRAME_TIMEOUT, FabricHandler, Gatekeeper, IDLE, NO_MEMBER, Place, SMALL, answer,
};
use super::frame::{self, Coming};
use crate::priority;

/// A connection without a question for so long is closed. Askers use none that waited for almost as long.
const UNUSED: Duration = Duration::from_secs(IDLE.as_secs() / 4);

/// Threads at a time, most. Further connections are closed, and others come in their place.
const MAX_THREADS: usize = 512;

/// How long their end is waited for: as long as a disk takes.
const END: Duration = Duration::from_secs(5);

/// The threads of a listener; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Threads(Arc<Open>);

/// Their connections.
#[derive(Debug)]
pub(super) struct Open {
    state: Mutex<State>,
    ended: Condvar,
    /// Has nothing to give; it is closed at the end.
    end: Semaphore,
}

impl Default for Open {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            ended: Condvar::new(),
            end: Semaphore::new(0),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    begun: u64,
    /// Another handle of each, by which it is ended.
    streams: HashMap<u64, std::net::TcpStream>,
}

/// What a thread serves.
pub(super) struct Served<H, G> {
    pub(super) asker: Asker,
    pub(super) door: Arc<Door<G>>,
    pub(super) handler: Arc<H>,
    pub(super) _place: Place,
}

impl Threads {
    pub(super) fn shared(&self) -> Arc<Open> {
        Arc::clone(&self.0)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.closed = true;
        self.0.end.close();
        for stream in state.streams.values() {
            // One that is closed already ends too.
            let _ = stream.shutdown(Shutdown::Both);
        }
        while !state.streams.is_empty() {
            if self.0.ended.wait_for(&mut state, END).timed_out() {
                tracing::warn!(target: "fabric", "what was pushed is still being stored; it is not waited for");
                return;
            }
        }
    }
}

impl Open {
    /// Serves a connection on a thread from now on; to be called on the runtime. Without a thread it is closed.
    pub(super) fn begin<H: FabricHandler, G: Gatekeeper>(
        self: &Arc<Self>,
        stream: TcpStream,
        served: Served<H, G>,
    ) {
        if let Err(error) = self.try_begin(stream, served) {
            debug!(target: "fabric", "a connection gets no thread: {error}");
        }
    }

    fn try_begin<H: FabricHandler, G: Gatekeeper>(
        self: &Arc<Self>,
        stream: TcpStream,
        served: Served<H, G>,
    ) -> io::Result<()> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(UNUSED))?;
        stream.set_write_timeout(Some(FRAME_TIMEOUT))?;
        let number = {
            let mut state = self.state.lock();
            if state.closed || state.streams.len() >= MAX_THREADS {
                return Ok(());
            }
            state.begun += 1;
            let number = state.begun;
            state.streams.insert(number, stream.try_clone()?);
            number
        };
        let ends = Ends {
            open: Arc::clone(self),
            number,
        };
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("asd-pushed".to_owned());
        thread.spawn(move || {
            // Dropped last: who waits for the end waits for all that is held here.
            let ends = ends;
            priority::answers();
            if let Err(error) = served.serve(stream, &runtime, &ends.open.end) {
                debug!(target: "fabric", "a connection of {}: {error}", served.asker.run.0);
            }
            drop(served);
        })?;
        Ok(())
    }
}

/// Takes a connection from the list when its thread ends, or when there is none.
struct Ends {
    open: Arc<Open>,
    number: u64,
}

impl Drop for Ends {
    fn drop(&mut self) {
        let mut state = self.open.state.lock();
        state.streams.remove(&self.number);
        if state.streams.is_empty() {
            self.open.ended.notify_all();
        }
    }
}

impl<H: FabricHandler, G: Gatekeeper> Served<H, G> {
    /// Answers until the peer goes, or has nothing to say for long.
    fn serve(
        &self,
        mut stream: std::net::TcpStream,
        runtime: &Handle,
        end: &Semaphore,
    ) -> io::Result<()> {
        let Self {
            asker,
            door,
            handler,
            ..
        } = self;
        loop {
            let mut coming = Coming::default();
            let Some(missing) = coming.begin(&mut stream, MAX_FRAME)? else {
                return Ok(());
            };
            let permit = match missing > SMALL {
                true => {
                    let kibibytes = u32::try_from(missing >> 10).map_err(io::Error::other)?;
                    let permit = runtime.block_on(door.budget.acquire_many(kibibytes));
                    Some(permit.map_err(io::Error::other)?)
                }
                false => None,
            };
            coming.finish(&mut stream, missing)?;
            let (number, body) = coming.parts()?;
            if !door.gatekeeper.is_member(asker.run, asker.word) {
                return stream.write_all(&frame::bytes(1, NO_MEMBER)?);
            }
            let answering = answer(&**handler, asker, number, body);
            let answer = runtime.block_on(async {
                tokio::select! {
                    biased;
                    answer = answering => Some(answer),
                    _ = end.acquire() => None,
                }
            });
            drop(permit);
            let Some((status, answer)) = answer else {
                return Ok(());
            };
            stream.write_all(&frame::bytes(status, &answer)?)?;
        }
    }
}
