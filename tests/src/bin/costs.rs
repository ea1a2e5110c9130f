//! What one call of a record UDF costs, one operation on a bin, and what a filter adds to a scan: instructions, processor
//! time, allocations.
//!
//! The whole way of a request, without sockets: message, context from the pool, function, commit, reply. Instructions are
//! those of this process outside the kernel, where the kernel lets it count them; they hardly vary from run to run. Time
//! is the processor's for this thread, the least of many rounds. Allocations are calls of the process's allocator, those of
//! Lua included.

#![expect(
    unsafe_code,
    reason = "a counting allocator, and two counters of the kernel that have no safe form"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use clap::Parser;
use protocol::header::HEADER_SIZE;
use protocol::message::{BodyWriter, FieldType, Info1, Info3, MessageHeader};
use protocol::particle::Particle;
use server::net::running::Running;
use tests::at_the_socket;
use tests::error::{Error, Result};
use tests::operations;
use tests::records::{CallOptions, RecordKey, WriteOptions};
use tests::without_listeners::node;

/// Measure what one call costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds of each case; the least counts.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Calls of one round.
    #[arg(long, default_value_t = 200)]
    calls: u32,
    /// Only cases whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the case whose name is exactly that of --only.
    #[arg(long)]
    exact: bool,
    /// What operations cost this server, sockets and all, instead: its processor time for a call.
    #[arg(long)]
    asd: Option<PathBuf>,
}

impl Arguments {
    fn want(&self, name: &str) -> bool {
        match self.exact {
            true => name == self.only,
            false => name.contains(&self.only),
        }
    }
}

/// The module that is called.
const MODULE: &str = "
function nothing(rec, n) return n end
function read(rec) return rec.a end
function write(rec, n) rec.a = n return aerospike:update(rec) end
function append(rec)
  local l = list()
  for i = 1, 100 do list.append(l, i) end
  return list.size(l)
end
function put(rec)
  local m = map()
  for i = 1, 100 do m[i] = i end
  return map.size(m)
end
function echo(rec, v) return v end
";

/// Name, function and arguments (msgpack) of each case.
fn cases() -> [(&'static str, &'static str, Vec<u8>); 6] {
    [
        ("call with an integer", "nothing", vec![0x91, 7]),
        ("read a bin", "read", vec![0x90]),
        ("set a bin and update", "write", vec![0x91, 7]),
        ("append to a list x 100", "append", vec![0x90]),
        ("put into a map x 100", "put", vec![0x90]),
        ("1 kB map there and back", "echo", map_of_a_kilobyte()),
    ]
}

/// One map of 32 texts, each of 24 bytes.
fn map_of_a_kilobyte() -> Vec<u8> {
    let mut out = vec![0x91, 0xde, 0, 32];
    for number in 0..32_u8 {
        out.extend([0xa4, 3, b'k', b'0' + number / 10, b'0' + number % 10]);
        out.extend([0xb8, 3]);
        out.extend([b'v'; 23]);
    }
    out
}

/// Records that are scanned.
const SCANNED: u32 = 10_000;

/// Scans of all records with two integer bins: name and filter. Every record passes, so that the same is sent.
const SCANS: [(&str, &[u8]); 4] = [
    ("scan, a record", b""),
    // and(a >= 0, b < 2^40)
    (
        "the same, two integer comparisons",
        b"\x93\x10\x93\x04\x93\x51\x02\xa1a\x00\x93\x05\x93\x51\x02\xa1b\xcf\0\0\x01\0\0\0\0\0",
    ),
    // and(a >= 0, b < 2^40, a + b >= 0)
    (
        "the same, three",
        b"\x94\x10\x93\x04\x93\x51\x02\xa1a\x00\x93\x05\x93\x51\x02\xa1b\xcf\0\0\x01\0\0\0\0\0\x93\x04\x93\x14\x93\x51\x02\xa1a\x93\x51\x02\xa1b\x00",
    ),
    // ttl < 1, which does not read bins
    ("the same, one of metadata", b"\x93\x05\x91\x45\x01"),
];

/// A short query over all partitions.
fn scan(filter: &[u8]) -> Result<BytesMut> {
    let header = MessageHeader {
        info1: Info1::READ | Info1::SHORT_QUERY,
        info3: Info3::PARTITION_DONE,
        transaction_ttl: 60_000,
        ..MessageHeader::default()
    };
    let partitions: Vec<u8> = (0..protocol::limits::PARTITIONS)
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut out = BytesMut::new();
    let mut message = BodyWriter::new(&mut out, &header);
    message.namespace("test").set("scanned");
    message.field(FieldType::PID_ARRAY, &partitions);
    if !filter.is_empty() {
        message.field(FieldType::FILTER_EXP, filter);
    }
    message
        .finish()
        .map_err(|error| Error::Unexpected(error.to_string()))?;
    Ok(out)
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of what a thread asks of it.
struct Counting;

fn count() {
    ALLOCATIONS.with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: passes everything on.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Instructions of this process in user mode, as the kernel's performance counters have them.
struct Instructions(libc::c_int);

/// `struct perf_event_attr`, first version.
#[repr(C)]
struct EventAttributes {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample_kind: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    breakpoint_address: u64,
}

impl Instructions {
    /// `None` when the kernel or the machine does not count them.
    fn open() -> Option<Self> {
        const HARDWARE: u32 = 0;
        const COUNT_INSTRUCTIONS: u64 = 1;
        const EXCLUDE_KERNEL_AND_HYPERVISOR: u64 = 0b110_0000;
        let attributes = EventAttributes {
            kind: HARDWARE,
            size: 64,
            config: COUNT_INSTRUCTIONS,
            period: 0,
            sample_kind: 0,
            read_format: 0,
            flags: EXCLUDE_KERNEL_AND_HYPERVISOR,
            wakeup: 0,
            breakpoint: 0,
            breakpoint_address: 0,
        };
        // SAFETY: the kernel reads `size` bytes; this process, any processor, no group, no flags.
        let descriptor = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw const attributes,
                0,
                -1,
                -1,
                0,
            )
        };
        let descriptor = libc::c_int::try_from(descriptor).ok()?;
        (descriptor >= 0).then_some(Self(descriptor))
    }

    fn read(&self) -> Option<u64> {
        let mut count = 0_u64;
        // SAFETY: the kernel writes eight bytes.
        let read = unsafe { libc::read(self.0, (&raw mut count).cast(), size_of::<u64>()) };
        (read == 8).then_some(count)
    }
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel fills the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Least cost of one call.
#[derive(Clone, Copy)]
struct Cost {
    instructions: Option<u64>,
    time: Duration,
    allocations: u64,
}

async fn call(running: &Running, body: &[u8], reply: &mut BytesMut) -> Result<()> {
    reply.clear();
    server::dispatch::answer(
        running,
        &server::access::Session::client(),
        body,
        Instant::now(),
        reply,
    )
    .await
    .map_err(|error| Error::io("answer")(error))
}

async fn measure(
    arguments: &Arguments,
    running: &Running,
    instructions: Option<&Instructions>,
    body: &[u8],
    calls: u32,
) -> Result<Cost> {
    let mut reply = BytesMut::with_capacity(1 << 16);
    call(running, body, &mut reply).await?;
    if reply.get(HEADER_SIZE + 5) != Some(&0) {
        return Err(Error::Unexpected(format!("the call failed: {reply:?}")));
    }
    let mut least = Cost {
        instructions: None,
        time: Duration::MAX,
        allocations: u64::MAX,
    };
    for _ in 0..arguments.rounds {
        let before = instructions.and_then(Instructions::read);
        let (time, allocations) = (thread_time(), ALLOCATIONS.get());
        for _ in 0..calls {
            call(running, body, &mut reply).await?;
        }
        least.time = least.time.min(thread_time() - time);
        least.allocations = least.allocations.min(ALLOCATIONS.get() - allocations);
        let after = instructions.and_then(Instructions::read);
        if let (Some(before), Some(after)) = (before, after) {
            let count = after - before;
            least.instructions = Some(least.instructions.map_or(count, |least| least.min(count)));
        }
    }
    Ok(least)
}

/// A line of the table: the least cost, shared by so many.
fn show(name: &str, cost: Cost, by: u32) {
    let count = cost
        .instructions
        .map_or("not counted here".to_owned(), |count| {
            (count / u64::from(by)).to_string()
        });
    println!(
        "| {name} | {count} | {} | {} |",
        (cost.time / by).as_nanos(),
        cost.allocations / u64::from(by)
    );
}

async fn run(arguments: &Arguments) -> std::result::Result<(), Box<dyn std::error::Error>> {
    if let Some(asd) = &arguments.asd {
        let calls = arguments.calls * 10;
        return Ok(at_the_socket::report(asd, calls, |name| {
            arguments.want(name)
        })?);
    }
    let directory = std::env::temp_dir().join(format!("costs-{}", std::process::id()));
    let running = node(&directory, &[("costs.lua", MODULE)]);
    let outcome = match &running {
        Ok(running) => report(arguments, running).await.map_err(Into::into),
        Err(error) => Err(error.to_string().into()),
    };
    drop(running);
    std::fs::remove_dir_all(&directory)?;
    outcome
}

async fn report(arguments: &Arguments, running: &Running) -> Result<()> {
    let instructions = Instructions::open();
    let record = RecordKey::new("test", "demo", "costs");
    let bin = Particle::integer(1);
    let put = record.put([("a", &bin)], WriteOptions::default())?;
    let mut reply = BytesMut::new();
    call(
        running,
        put.chunk().get(HEADER_SIZE..).unwrap_or_default(),
        &mut reply,
    )
    .await?;
    println!("| call, or record of a scan | instructions | ns | allocations |");
    println!("|---|---|---|---|");
    for (name, function, list) in cases() {
        if !arguments.want(name) {
            continue;
        }
        let frame = record.apply(b"costs", function.as_bytes(), &list, CallOptions::default())?;
        row(arguments, running, instructions.as_ref(), name, &frame).await?;
    }
    let scans = || SCANS.iter().filter(|(name, _)| arguments.want(name));
    for number in 0..scans().next().map_or(0, |_| SCANNED) {
        let value = Particle::integer(number.into());
        let bins = [("a", &value), ("b", &bin)];
        let key = RecordKey::new("test", "scanned", &number.to_string());
        let put = key.put(bins, WriteOptions::default())?;
        let body = put.chunk().get(HEADER_SIZE..).unwrap_or_default();
        call(running, body, &mut reply).await?;
    }
    for (name, filter) in scans() {
        let body = scan(filter)?;
        let cost = measure(arguments, running, instructions.as_ref(), &body, 1).await?;
        show(name, cost, SCANNED);
    }
    for case in operations::cases(&record)? {
        if !arguments.want(&case.name) {
            continue;
        }
        let before = case.before.get(HEADER_SIZE..).unwrap_or_default();
        call(running, before, &mut reply).await?;
        row(
            arguments,
            running,
            instructions.as_ref(),
            &case.name,
            &case.measured,
        )
        .await?;
    }
    Ok(())
}

/// Measures a request and prints its row.
async fn row(
    arguments: &Arguments,
    running: &Running,
    instructions: Option<&Instructions>,
    name: &str,
    frame: &BytesMut,
) -> Result<()> {
    let body = frame.get(HEADER_SIZE..).unwrap_or_default();
    let cost = measure(arguments, running, instructions, body, arguments.calls).await?;
    show(name, cost, arguments.calls);
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::FAILURE
        }
    }
}
