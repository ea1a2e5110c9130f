//! Requests as clients send them, against namespaces in memory under a clock that the test turns.

mod access;
mod arriving;
mod background;
mod batch;
mod by_index;
mod device;
mod dispatch;
mod function;
mod geometry;
mod interleaving;
mod operate;
mod query;
mod read;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use protocol::codec::first_frame;
use protocol::key::{Digest, Key};
use protocol::message::{
    BatchFlags, BatchWriter, BodyWriter, FieldType, Info1, Info2, Info3, Message, MessageHeader,
    MessageWriter, OpCode,
};
use protocol::particle::Particle;

use self::arriving::Place;
use super::answer;
use crate::access::Session;
use crate::clock::Clock;
use crate::query::QueryServices;
use crate::query::jobs::Jobs;
use crate::record::{Namespace, NamespaceSettings};
use crate::stats::ServerStats;
use crate::storage::waiting::engine_under_test;
use crate::transaction::{
    Call, CallOutcome, FunctionContext, FunctionReply, Functions, RecordChange, Services,
    StreamCall, StreamSource, StreamStep,
};

const NOW: u32 = 500_000_000;

/// A node as far as commands see it.
struct Bench {
    namespaces: Vec<Arc<Namespace>>,
    stats: ServerStats,
    hand: Arc<AtomicU64>,
    batch_max_requests: u32,
    udf_disabled: bool,
    functions: Module,
    jobs: Arc<Jobs>,
    place: Place,
}

/// One module, `m`, all of whose functions do what the test says.
#[derive(Clone)]
struct Module {
    body: Arc<dyn Fn(Call<'_>) -> CallOutcome + Send + Sync>,
}

impl Module {
    fn new(body: impl Fn(Call<'_>) -> CallOutcome + Send + Sync + 'static) -> Self {
        Self {
            body: Arc::new(body),
        }
    }

    /// A body that answers 1 and wants this done.
    fn changing(change: impl Fn(&Call<'_>) -> RecordChange + Send + Sync + 'static) -> Self {
        Self::new(move |call| CallOutcome {
            reply: FunctionReply::Success(int(1)),
            change: change(&call),
            pending_error: None,
        })
    }
}

impl Functions for Module {
    type Context<'s> = Context;

    fn acquire(&self, package: &[u8]) -> Result<Context, Vec<u8>> {
        if package == b"m" {
            Ok(Context {
                body: Arc::clone(&self.body),
                results: Vec::new(),
            })
        } else {
            Err(b"UDF: Execution Error 1".to_vec())
        }
    }
}

/// A context of it.
struct Context {
    body: Arc<dyn Fn(Call<'_>) -> CallOutcome + Send + Sync>,
    results: Vec<Particle>,
}

impl FunctionContext for Context {
    fn run(&mut self, call: Call<'_>) -> CallOutcome {
        (self.body)(call)
    }

    /// The stream gives the number of its records.
    fn begin_stream(&mut self, mut call: StreamCall<'_>) -> Result<(), Vec<u8>> {
        let StreamSource::Records(next) = &mut call.source else {
            return Err(b"a node works on records".to_vec());
        };
        let count = std::iter::from_fn(next).count();
        self.results.push(int(i64::try_from(count).unwrap()));
        Ok(())
    }

    fn next_value(&mut self) -> StreamStep {
        self.results
            .pop()
            .map_or(StreamStep::End, StreamStep::Value)
    }

    fn end_stream(&mut self) {}
}

impl Services for Bench {
    type Functions = Module;
    type Placement = Place;

    fn functions(&self) -> &Module {
        &self.functions
    }

    fn udf_execution_disabled(&self) -> bool {
        self.udf_disabled
    }

    fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces
            .iter()
            .find(|namespace| namespace.name() == name)
    }

    fn transaction_max(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn batch_max_requests(&self) -> u32 {
        self.batch_max_requests
    }

    fn placement(&self) -> &Place {
        &self.place
    }

    fn stats(&self) -> &ServerStats {
        &self.stats
    }
}

impl QueryServices for Bench {
    fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    fn query_limits(&self) -> (usize, usize) {
        (2, 10)
    }
}

impl Bench {
    fn new() -> Self {
        let (clock, hand) = Clock::manual(u64::from(NOW) * 1000);
        let namespace = |name| {
            let settings = Arc::new(NamespaceSettings::new(name));
            settings.set("nsup-period", "5").unwrap();
            Arc::new(Namespace::with(
                name,
                settings,
                engine_under_test(),
                clock.clone(),
            ))
        };
        Self {
            namespaces: vec![namespace("test"), namespace("bar")],
            stats: ServerStats::default(),
            hand,
            batch_max_requests: 0,
            udf_disabled: false,
            functions: Module::changing(|_| RecordChange::None),
            jobs: Arc::default(),
            place: Place::default(),
        }
    }

    fn running(functions: Module) -> Self {
        Self {
            functions,
            ..Self::new()
        }
    }

    fn test(&self) -> &Namespace {
        &self.namespaces[0]
    }

    /// The key that is stored with a record.
    async fn key(&self, number: u8) -> Option<Particle> {
        let record = self.test().find(&digest(number)).await.unwrap();
        record.unwrap().key().map(|key| key.to_particle())
    }

    fn pass_seconds(&self, seconds: u64) {
        self.hand.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// Sends a body and returns the messages of the reply.
    async fn send(&self, body: &[u8]) -> Vec<Got> {
        self.send_received(body, Instant::now()).await
    }

    /// Sends what came at some moment.
    async fn send_received(&self, body: &[u8], received: Instant) -> Vec<Got> {
        let mut out = BytesMut::new();
        answer(self, &Session::client(), body, received, &mut out)
            .await
            .unwrap();
        let mut rest = &out[..];
        let mut messages = Vec::new();
        while let Some(frame) = first_frame(rest).unwrap() {
            messages
                .extend(Message::parse_all(frame.body).map(|message| Got::of(&message.unwrap())));
            rest = &rest[frame.len()..];
        }
        assert!(rest.is_empty(), "half a frame");
        messages
    }

    async fn ask(&self, ask: &Ask) -> Got {
        let mut messages = self.send(&ask.body()).await;
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0)
    }

    /// Sends and gives the code only.
    async fn code(&self, ask: &Ask) -> u8 {
        self.ask(ask).await.result
    }
}

/// A message of a reply.
#[derive(Debug, PartialEq)]
struct Got {
    result: u8,
    generation: u32,
    void_time: u32,
    index: u32,
    last: bool,
    bins: Vec<(u8, String, Particle)>,
}

impl Got {
    fn of(message: &Message<'_>) -> Self {
        Self {
            result: message.header.result.0,
            generation: message.header.generation,
            void_time: message.header.record_ttl,
            index: message.header.transaction_ttl,
            last: message.header.info3.contains(Info3::LAST),
            bins: message
                .ops
                .iter()
                .map(|op| {
                    (
                        op.op.0,
                        String::from_utf8(op.name.to_vec()).unwrap(),
                        op.particle_ref().to_particle(),
                    )
                })
                .collect(),
        }
    }

    fn bins(&self) -> Vec<(&str, Particle)> {
        self.bins
            .iter()
            .map(|(_, name, value)| (name.as_str(), value.clone()))
            .collect()
    }
}

/// A request on the record with key `k1` in set `demo`, unless changed.
#[derive(Clone)]
struct Ask {
    header: MessageHeader,
    namespace: &'static str,
    set: Option<&'static str>,
    record: u8,
    fields: Vec<(FieldType, Vec<u8>)>,
    ops: Vec<(OpCode, &'static str, Particle)>,
}

impl Ask {
    fn new(info1: Info1, info2: Info2) -> Self {
        Self {
            header: MessageHeader {
                info1,
                info2,
                ..MessageHeader::default()
            },
            namespace: "test",
            set: Some("demo"),
            record: 1,
            fields: Vec::new(),
            ops: Vec::new(),
        }
    }

    fn get() -> Self {
        Self::new(Info1::READ | Info1::GET_ALL, Info2::empty())
    }

    fn put(name: &'static str, value: Particle) -> Self {
        Self::new(Info1::empty(), Info2::WRITE).op(OpCode::WRITE, name, value)
    }

    fn delete() -> Self {
        Self::new(Info1::empty(), Info2::WRITE | Info2::DELETE)
    }

    /// A call of `m.f` without arguments.
    fn call() -> Self {
        Self::new(Info1::empty(), Info2::WRITE)
            .field(FieldType::UDF_PACKAGE, b"m")
            .field(FieldType::UDF_FUNCTION, b"f")
            .field(FieldType::UDF_ARGLIST, b"\x90")
    }

    fn op(mut self, op: OpCode, name: &'static str, value: Particle) -> Self {
        self.ops.push((op, name, value));
        self
    }

    fn read(self, name: &'static str) -> Self {
        self.op(OpCode::READ, name, Particle::NIL)
    }

    fn info1(mut self, bits: Info1) -> Self {
        self.header.info1 |= bits;
        self
    }

    fn info2(mut self, bits: Info2) -> Self {
        self.header.info2 |= bits;
        self
    }

    fn info3(mut self, bits: Info3) -> Self {
        self.header.info3 |= bits;
        self
    }

    fn generation(mut self, generation: u32) -> Self {
        self.header.generation = generation;
        self
    }

    fn ttl(mut self, ttl: u32) -> Self {
        self.header.record_ttl = ttl;
        self
    }

    fn set(mut self, set: Option<&'static str>) -> Self {
        self.set = set;
        self
    }

    fn record(mut self, record: u8) -> Self {
        self.record = record;
        self
    }

    fn field(mut self, kind: FieldType, data: &[u8]) -> Self {
        self.fields.push((kind, data.to_vec()));
        self
    }

    /// Sends the string as key.
    fn key(self, key: &str) -> Self {
        let data = [b"\x03", key.as_bytes()].concat();
        self.field(FieldType::KEY, &data)
    }

    fn filter(self, expression: &[u8]) -> Self {
        self.field(FieldType::FILTER_EXP, expression)
    }

    fn digest(&self) -> Digest {
        digest(self.record)
    }

    fn write_parts(&self, message: &mut BodyWriter<'_>, with_digest: bool) {
        message.namespace(self.namespace);
        if let Some(set) = self.set {
            message.set(set);
        }
        if with_digest {
            message.digest(&self.digest());
        }
        for (kind, data) in &self.fields {
            message.field(*kind, data);
        }
        for (op, name, value) in &self.ops {
            message.op(*op, name.as_bytes(), value.as_ref());
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, &self.header);
        self.write_parts(&mut message, true);
        message.finish().unwrap();
        out[8..].to_vec()
    }
}

fn digest(record: u8) -> Digest {
    Digest::of("demo", &Key::String(format!("k{record}").into_bytes()))
}

fn int(value: i64) -> Particle {
    Particle::integer(value)
}

fn text(value: &str) -> Particle {
    Particle::string(value.as_bytes().to_vec())
}
