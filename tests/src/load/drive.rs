//! Connections that send one request after the other for as long as they are let.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;
use protocol::codec::first_frame;
use protocol::header::MessageType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::cpu::cpu_time;
use crate::error::{Error, Result};

/// Precision of the latency histogram, in decimal digits.
const DIGITS: u8 = 3;

/// Longest latency that is told apart, in nanoseconds: a minute.
const LONGEST_NS: u64 = 60_000_000_000;

/// Offset of the result code in the body of a record reply.
const RESULT_CODE: usize = 5;

/// A running load; dropping it ends it.
#[derive(Debug)]
pub struct Load {
    slots: Vec<Arc<Mutex<Slot>>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
}

/// What one connection saw since the window began.
#[derive(Debug)]
struct Slot {
    /// Nanoseconds.
    latencies: Histogram<u64>,
    errors: u64,
    /// The first error, or why the connection was lost.
    first_error: Option<String>,
    lost: bool,
}

/// What happened in one window of time.
#[derive(Debug)]
pub struct Window {
    /// Latencies of all requests answered, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Answers that report an error.
    pub errors: u64,
    /// Connections that are lost.
    pub lost: usize,
    /// One of the errors.
    pub first_error: Option<String>,
    /// How long the window was.
    pub elapsed: Duration,
    /// Processor time that the server used, when its process id was given.
    pub cpu: Option<Duration>,
}

impl Window {
    /// Answers a second.
    pub fn throughput(&self) -> f64 {
        self.operations() / self.elapsed.as_secs_f64()
    }

    /// Microseconds of the server's processor time for one answer.
    pub fn cpu_us_per_operation(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.operations())
    }

    /// The latency that this share of the answers did not exceed, in microseconds.
    pub fn latency_us(&self, percentile: f64) -> f64 {
        Duration::from_nanos(self.latencies.value_at_percentile(percentile)).as_secs_f64() * 1e6
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of a run are far below 2^52"
    )]
    fn operations(&self) -> f64 {
        self.latencies.len() as f64
    }
}

impl Slot {
    fn new() -> Result<Self> {
        Ok(Self {
            latencies: histogram()?,
            errors: 0,
            first_error: None,
            lost: false,
        })
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
        .map_err(|error| Error::Unexpected(error.to_string()))
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Opens the connections and begins to send; each starts at another frame.
    pub async fn start(
        address: SocketAddr,
        frames: Vec<Bytes>,
        connections: usize,
    ) -> Result<Self> {
        let frames: Arc<[Bytes]> = frames.into();
        let mut load = Self {
            slots: Vec::new(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
        };
        for number in 0..connections {
            let stream = TcpStream::connect(address)
                .await
                .map_err(Error::io(format!("connect to {address}")))?;
            stream
                .set_nodelay(true)
                .map_err(Error::io("set TCP_NODELAY"))?;
            let slot = Arc::new(Mutex::new(Slot::new()?));
            load.slots.push(Arc::clone(&slot));
            let (frames, stop) = (Arc::clone(&frames), Arc::clone(&load.stop));
            let first = number * frames.len() / connections.max(1);
            load.tasks.spawn(async move {
                if let Err(error) = exchange(stream, &frames, first, &slot, &stop).await {
                    let mut slot = lock(&slot);
                    slot.lost = true;
                    slot.first_error.get_or_insert(error.to_string());
                }
            });
        }
        Ok(load)
    }

    /// Measures for a while. The load goes on before and after.
    pub async fn window(&self, duration: Duration, pid: Option<u32>) -> Result<Window> {
        for slot in &self.slots {
            let mut slot = lock(slot);
            slot.latencies.reset();
            slot.errors = 0;
        }
        let cpu_before = pid.map(cpu_time).transpose()?;
        let started = Instant::now();
        tokio::time::sleep(duration).await;
        let elapsed = started.elapsed();
        let cpu = match (cpu_before, pid) {
            (Some(before), Some(pid)) => Some(cpu_time(pid)?.saturating_sub(before)),
            _ => None,
        };
        let mut window = Window {
            latencies: histogram()?,
            errors: 0,
            lost: 0,
            first_error: None,
            elapsed,
            cpu,
        };
        for slot in &self.slots {
            let slot = lock(slot);
            window
                .latencies
                .add(&slot.latencies)
                .map_err(|error| Error::Unexpected(error.to_string()))?;
            window.errors += slot.errors;
            window.lost += usize::from(slot.lost);
            if window.first_error.is_none() {
                window.first_error.clone_from(&slot.first_error);
            }
        }
        Ok(window)
    }

    /// Ends the load after the requests in flight.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn exchange(
    mut stream: TcpStream,
    frames: &[Bytes],
    first: usize,
    slot: &Mutex<Slot>,
    stop: &AtomicBool,
) -> Result<()> {
    let mut received = BytesMut::with_capacity(4096);
    for frame in frames.iter().cycle().skip(first) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let sent = Instant::now();
        stream
            .write_all(frame)
            .await
            .map_err(Error::io("send a request"))?;
        let failure = loop {
            let answer =
                first_frame(&received).map_err(|error| Error::Unexpected(error.to_string()))?;
            if let Some(answer) = answer {
                break failure(answer.kind, answer.body);
            }
            let count = stream
                .read_buf(&mut received)
                .await
                .map_err(Error::io("read an answer"))?;
            if count == 0 {
                return Err(Error::Unexpected("the server closed the connection".into()));
            }
        };
        let latency = sent.elapsed();
        received.clear();
        let mut slot = lock(slot);
        slot.latencies
            .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        if let Some(failure) = failure {
            slot.errors += 1;
            slot.first_error.get_or_insert(failure);
        }
    }
    Ok(())
}

/// What an answer reports, when it is an error.
fn failure(kind: MessageType, body: &[u8]) -> Option<String> {
    match kind {
        MessageType::Info => {
            let value = body.split(|byte| *byte == b'\t').nth(1).unwrap_or(body);
            (value.starts_with(b"ERROR") || value.starts_with(b"error="))
                .then(|| String::from_utf8_lossy(value).trim_end().to_owned())
        }
        _ => match body.get(RESULT_CODE) {
            Some(0) => None,
            Some(code) => Some(format!("result code {code}")),
            None => Some("an answer without a result code".to_owned()),
        },
    }
}
