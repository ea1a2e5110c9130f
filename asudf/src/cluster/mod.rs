//! A cluster as the place of tests: the same calls, over the network, in sets of their own.
//!
//! ```text
//! modules  what is registered for a run, and taken away after it
//! texts    texts of servers as they are without one
//! ```
//!
//! Only records that a test has made are ever deleted, and only sets that had no records before are written to.

mod modules;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use protocol::client::Record;
use protocol::message::{FieldType, Info1, Info2, MessageHeader, MessageWriter, OpCode};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;
use runtime::call::Cause;
use tools::answer::is_error;
use tools::config::{CLUSTER, Config, Sources};
use tools::connection::Connection;
use tools::options::{ConnectionOptions, TlsOptions};
use tools::records::{self, Records, Repeat};
use tools::terminal::prompt;

use crate::engine::code::{Code, Source};
use crate::engine::offline::Reducer;
use crate::place::{
    Address, Called, Did, EPOCH_2010, Function, Jobbed, NewRecord, Place, Policy, Seen, Streamed,
    Terms, Trouble,
};
use crate::project::Project;
use crate::status::Failure;

/// For each question to a node that is about the cluster.
const LIMIT: Duration = Duration::from_secs(10);

/// What a reply takes longer than its call may.
const REPLY_TIME: Duration = Duration::from_secs(5);

/// How much longer than here a call may take for which a test names no limit: others use the machine, too.
const PATIENCE: u32 = 5;

/// How long a background job may take.
const JOB_TIME: Duration = Duration::from_secs(60);

/// Pause between two looks at a job.
const JOB_PAUSE: Duration = Duration::from_millis(10);

/// Most writes with which a record is brought to a generation.
const GENERATION_MAX: u16 = 100;

/// What all test files of a run share: the way to the cluster.
struct Way {
    runtime: tokio::runtime::Runtime,
    records: Records,
    namespace: String,
    /// Sets that had no record when they were used first.
    own_sets: BTreeSet<String>,
    /// What was registered.
    modules: BTreeSet<String>,
    next_job: u64,
}

/// A cluster for a run of tests.
#[derive(Clone)]
pub(crate) struct Cluster(Arc<Mutex<Way>>);

impl Cluster {
    /// Finds the cluster.
    ///
    /// # Errors
    /// It cannot be reached, or has no such namespace.
    pub(crate) fn open(
        connection: Connection,
        alternate: bool,
        namespace: &str,
    ) -> Result<Self, Failure> {
        let cluster = Self::open_any(connection, alternate)?;
        {
            let mut way = cluster.way();
            let picture = way.records.picture();
            if !picture.has_namespace(namespace) {
                let known: Vec<&str> = picture.namespaces().collect();
                return Err(Failure(format!(
                    "the cluster has no namespace `{namespace}`, but {}: say --namespace",
                    known.join(", ")
                )));
            }
            way.namespace = namespace.to_owned();
        }
        Ok(cluster)
    }

    /// The same for modules alone.
    ///
    /// # Errors
    /// It cannot be reached.
    pub(crate) fn open_any(connection: Connection, alternate: bool) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::of)?;
        let records = runtime
            .block_on(Records::connect(connection, alternate, LIMIT))
            .map_err(Failure::of)?;
        Ok(Self(Arc::new(Mutex::new(Way {
            runtime,
            records,
            namespace: String::new(),
            own_sets: BTreeSet::new(),
            modules: BTreeSet::new(),
            next_job: crate::random::seed_of(
                u64::from(std::process::id()),
                &format!("{:?}", SystemTime::now()),
            ),
        }))))
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        match self.0.lock() {
            Ok(way) => way,
            // One thread uses it.
            Err(poisoned) => poisoned.into_inner(),
        }
    }

    /// Registers the modules that are not there.
    ///
    /// # Errors
    /// Another module of such a name is registered, or the cluster refuses one.
    pub(crate) fn register(&self, code: &Code) -> Result<(), Failure> {
        self.way().register(code)
    }

    /// Registers a module, over what is registered under its name; waits until every node serves it.
    ///
    /// # Errors
    /// The cluster refuses it.
    pub(crate) fn replace(&self, source: &Source) -> Result<(), Failure> {
        self.way().replace(source)
    }

    /// Takes away what was registered.
    ///
    /// # Errors
    /// The cluster does not do it.
    pub(crate) fn unregister(&self) -> Result<(), Failure> {
        self.way().unregister()
    }

    /// The place of the tests of one file.
    pub(crate) fn place(&self, code: &Arc<Code>, terms: Terms) -> OnCluster {
        OnCluster {
            cluster: self.clone(),
            reducer: Reducer::new(Arc::clone(code), terms),
            terms,
            touched: BTreeMap::new(),
        }
    }
}

/// The way to a cluster of `asudf.toml`, or to hosts; and whether their alternate addresses are to be used.
///
/// # Errors
/// The options of the cluster cannot be followed.
pub(crate) fn named(project: &Project, name: &str) -> Result<(Connection, bool), Failure> {
    let (connection, tls, alternate) = match project.settings.cluster.get(name) {
        Some(known) => {
            let (connection, tls) = known.options();
            (connection, tls, known.services_alternate)
        }
        None => {
            let connection = ConnectionOptions {
                host: Some(name.to_owned()),
                ..ConnectionOptions::default()
            };
            (connection, TlsOptions::default(), false)
        }
    };
    let config = Config::read(&Sources::default(), &CLUSTER);
    let connection = Connection::resolve(&connection, &tls, &config, prompt::password);
    connection
        .map(|connection| (connection, alternate))
        .map_err(Failure::of)
}

/// A place on a cluster.
pub(crate) struct OnCluster {
    cluster: Cluster,
    /// The client's part of streams.
    reducer: Reducer,
    terms: Terms,
    /// Records that the test may have made.
    touched: BTreeMap<[u8; 20], Address>,
}

fn trouble(error: impl std::fmt::Display) -> Trouble {
    Trouble(error.to_string())
}

/// Seconds from 2010 to now.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().saturating_sub(EPOCH_2010))
}

impl Way {
    /// Sends a message about one record.
    fn single(
        &mut self,
        address: &Address,
        header: MessageHeader,
        (repeat, limit): (Repeat, Duration),
        sends_key: bool,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<Record, Trouble> {
        let mut request = BytesMut::new();
        let mut message = MessageWriter::new(&mut request, &header);
        message.namespace(&self.namespace);
        if !address.set.is_empty() {
            message.set(&address.set);
        }
        message.digest(&address.digest);
        if sends_key {
            message.key(address.key.as_ref());
        }
        fill(&mut message);
        message.finish().map_err(trouble)?;
        let single = self
            .records
            .single(&self.namespace, &address.digest, &request, repeat, limit);
        let (_, body) = self.runtime.block_on(single).map_err(trouble)?;
        Record::parse(&body).map_err(trouble)
    }

    fn delete(&mut self, address: &Address) -> Result<(), Trouble> {
        let header = MessageHeader {
            info2: Info2::WRITE | Info2::DELETE,
            ..MessageHeader::default()
        };
        let reply = self.single(address, header, (Repeat::Safe, LIMIT), false, |_| {})?;
        match reply.result {
            ResultCode::OK | ResultCode::NOT_FOUND => Ok(()),
            code => Err(Trouble(format!(
                "deleting a record of the test: result {}",
                code.0
            ))),
        }
    }

    /// Makes sure that a set is used by nobody else.
    fn own(&mut self, set: &str) -> Result<(), Trouble> {
        if self.own_sets.contains(set) {
            return Ok(());
        }
        if set.is_empty() {
            return Err(Trouble("records of no set may be somebody's".to_owned()));
        }
        let command = format!("sets/{}/{set}", self.namespace);
        for node in self.records.picture().nodes() {
            let answer = self
                .runtime
                .block_on(self.records.info(node, &command))
                .map_err(trouble)?;
            // A node without the set says nothing of it. One that cannot tell is not taken for one without.
            if is_error(&answer) {
                return Err(Trouble(format!("{}: {command}: {answer}", node.address())));
            }
            let objects = answer
                .split([':', ';'])
                .find_map(|part| part.strip_prefix("objects="))
                .and_then(|count| count.parse::<u64>().ok());
            if objects.is_some_and(|objects| objects > 0) {
                return Err(Trouble(format!(
                    "the set `{set}` of the namespace `{}` has records on this cluster, which a test could damage: run against a cluster of tests",
                    self.namespace
                )));
            }
        }
        self.own_sets.insert(set.to_owned());
        Ok(())
    }

    /// The request of a query that calls a function.
    fn query(
        &self,
        set: &str,
        function: Function<'_>,
        (info, task, what): (MessageHeader, u64, u8),
        partitions: &[u16],
    ) -> Result<BytesMut, Trouble> {
        let mut request = BytesMut::new();
        let mut message = MessageWriter::new(&mut request, &info);
        message.namespace(&self.namespace);
        message.set(set);
        message.field(FieldType::TASK_ID, &task.to_be_bytes());
        message.field(FieldType::UDF_OP, &[what]);
        message.field(FieldType::UDF_PACKAGE, function.module.as_bytes());
        message.field(FieldType::UDF_FUNCTION, function.name);
        message.field(FieldType::UDF_ARGLIST, function.arguments);
        if !partitions.is_empty() {
            let bytes: Vec<u8> = partitions
                .iter()
                .flat_map(|partition| partition.to_le_bytes())
                .collect();
            message.field(FieldType::PID_ARRAY, &bytes);
        }
        message.finish().map_err(trouble)?;
        Ok(request)
    }

    /// The nodes' part of a stream: what they gave, or the text of the first failure.
    fn gather(
        &mut self,
        set: &str,
        function: Function<'_>,
    ) -> Result<Result<Vec<Particle>, Vec<u8>>, Trouble> {
        self.next_job += 1;
        let header = MessageHeader {
            info1: Info1::READ,
            ..MessageHeader::default()
        };
        let nodes: Vec<_> = self.records.picture().nodes().to_vec();
        let mut given = Vec::new();
        for node in nodes {
            let partitions = self.records.picture().partitions_of(&self.namespace, &node);
            if partitions.is_empty() {
                continue;
            }
            let request = self.query(set, function, (header, self.next_job, 1), &partitions)?;
            let mut failure = None;
            let asked = records::query(&node, &request, LIMIT, |message| {
                for op in message.ops.iter() {
                    match op.name {
                        b"SUCCESS" => given.push(op.particle_ref().to_particle()),
                        _ if failure.is_none() => failure = Some(op.value.to_vec()),
                        _ => {}
                    }
                }
                true
            });
            let code = self.runtime.block_on(asked).map_err(trouble)?;
            if let Some(failure) = failure {
                return Ok(Err(failure));
            }
            match code {
                // A set without a record is not known.
                ResultCode::OK | ResultCode::NOT_FOUND => {}
                code => {
                    return Err(Trouble(format!(
                        "{}: the query ended with result {}",
                        node.address(),
                        code.0
                    )));
                }
            }
        }
        Ok(Ok(given))
    }

    /// Runs a background job to its end on all nodes.
    fn job(&mut self, set: &str, function: Function<'_>) -> Result<Jobbed, Trouble> {
        self.next_job += 1;
        let job = self.next_job;
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..MessageHeader::default()
        };
        let nodes: Vec<_> = self.records.picture().nodes().to_vec();
        let request = self.query(set, function, (header, job, 2), &[])?;
        let mut jobbed = Jobbed::default();
        for node in &nodes {
            let asked = records::query(node, &request, LIMIT, |_| true);
            match self.runtime.block_on(asked).map_err(trouble)? {
                ResultCode::OK | ResultCode::NOT_FOUND => {}
                code => {
                    return Err(Trouble(format!(
                        "{}: the job was refused with result {}",
                        node.address(),
                        code.0
                    )));
                }
            }
        }
        let deadline = Instant::now() + JOB_TIME;
        for node in &nodes {
            loop {
                let command = format!("query-show:trid={job}");
                let shown = self
                    .runtime
                    .block_on(self.records.info(node, &command))
                    .map_err(trouble)?;
                let value = |name: &str| {
                    let parts = shown.split(':').filter_map(|part| part.split_once('='));
                    parts
                        .into_iter()
                        .find(|(key, _)| *key == name)
                        .map(|(_, value)| value)
                };
                let status = value("status");
                if status.is_some_and(|status| status.starts_with("done")) {
                    let count = |name| value(name).and_then(|count| count.parse::<u64>().ok());
                    match (count("recs-succeeded"), count("recs-failed")) {
                        (Some(succeeded), Some(failed)) => {
                            jobbed.succeeded += succeeded;
                            jobbed.failed += failed;
                        }
                        _ => {
                            return Err(Trouble(format!(
                                "{}: `{shown}` has no counts",
                                node.address()
                            )));
                        }
                    }
                    break;
                }
                // A set that no node knows has no job.
                if status.is_none() {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(Trouble(format!("{}: the job does not end", node.address())));
                }
                self.runtime
                    .block_on(async { tokio::time::sleep(JOB_PAUSE).await });
            }
        }
        Ok(jobbed)
    }
}

impl Place for OnCluster {
    fn begin(&mut self, terms: &Terms, _seed: u64) -> Result<(), Trouble> {
        self.terms = *terms;
        self.clear(None)
    }

    fn clear(&mut self, set: Option<&str>) -> Result<(), Trouble> {
        let mut way = self.cluster.way();
        let gone = std::mem::take(&mut self.touched);
        for (digest, address) in gone {
            if set.is_some_and(|set| set != address.set) {
                self.touched.insert(digest, address);
            } else {
                way.delete(&address)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, address: &Address, record: &NewRecord) -> Result<(), Trouble> {
        if record.generation > GENERATION_MAX {
            return Err(Trouble(format!(
                "a cluster is not brought to generation {}",
                record.generation
            )));
        }
        let mut way = self.cluster.way();
        way.own(&address.set)?;
        self.touched.insert(address.digest.0, address.clone());
        way.delete(address)?;
        for _ in 0..record.generation {
            let header = MessageHeader {
                info2: Info2::WRITE,
                record_ttl: record.ttl,
                ..MessageHeader::default()
            };
            let limits = (Repeat::Never, LIMIT);
            let reply = way.single(address, header, limits, record.stores_key, |message| {
                for (name, value) in &record.bins {
                    message.op(OpCode::WRITE, name, value.as_ref());
                }
            })?;
            if reply.result != ResultCode::OK {
                return Err(Trouble(format!(
                    "writing the record: result {}",
                    reply.result.0
                )));
            }
        }
        Ok(())
    }

    fn remove(&mut self, address: &Address) -> Result<(), Trouble> {
        let mut way = self.cluster.way();
        way.own(&address.set)?;
        // A function may make it.
        self.touched.insert(address.digest.0, address.clone());
        way.delete(address)
    }

    fn look(&mut self, address: &Address) -> Result<Option<Seen>, Trouble> {
        let header = MessageHeader {
            info1: Info1::READ | Info1::GET_ALL,
            ..MessageHeader::default()
        };
        let mut way = self.cluster.way();
        let reply = way.single(address, header, (Repeat::Safe, LIMIT), false, |_| {})?;
        match reply.result {
            ResultCode::NOT_FOUND => Ok(None),
            ResultCode::OK => Ok(Some(Seen {
                bins: reply
                    .bins
                    .iter()
                    .map(|(name, value)| (name.to_vec(), texts::particle(value)))
                    .collect(),
                generation: u16::try_from(reply.generation).map_err(trouble)?,
                ttl: match reply.void_time {
                    0 => None,
                    void_time => Some(
                        u32::try_from(u64::from(void_time).saturating_sub(now()))
                            .map_err(trouble)?,
                    ),
                },
            })),
            code => Err(Trouble(format!("reading the record: result {}", code.0))),
        }
    }

    fn apply(
        &mut self,
        address: &Address,
        function: Function<'_>,
        policy: &Policy,
    ) -> Result<Called, Trouble> {
        let before = self.look(address)?;
        let limit = self.terms.time_limit.saturating_mul(PATIENCE);
        let limit = policy.time_limit.unwrap_or(limit);
        let mut header = MessageHeader {
            info2: Info2::WRITE,
            record_ttl: policy.ttl,
            transaction_ttl: u32::try_from(limit.as_millis()).map_err(trouble)?,
            ..MessageHeader::default()
        };
        header
            .info2
            .set(Info2::DURABLE_DELETE, policy.durable_delete);
        let limits = (Repeat::Never, limit + REPLY_TIME);
        let reply =
            self.cluster
                .way()
                .single(address, header, limits, policy.sends_key, |message| {
                    message.field(FieldType::UDF_PACKAGE, function.module.as_bytes());
                    message.field(FieldType::UDF_FUNCTION, function.name);
                    message.field(FieldType::UDF_ARGLIST, function.arguments);
                })?;
        let after = self.look(address)?;
        let did = match (&before, &after) {
            (None, Some(_)) => Did::Created,
            (Some(_), None) => Did::Deleted,
            (Some(before), Some(after)) if before.generation != after.generation => Did::Updated,
            _ => Did::Nothing,
        };
        let failure = reply.bin("FAILURE").map(|text| texts::failure(&text.data));
        Ok(Called {
            code: reply.result,
            value: reply.success().map_or(Particle::NIL, texts::particle),
            failure: failure.unwrap_or_else(Vec::new),
            did: if reply.result == ResultCode::OK {
                did
            } else {
                Did::Nothing
            },
            cause: Cause::default(),
        })
    }

    fn stream(&mut self, set: &str, function: Function<'_>) -> Result<Streamed, Trouble> {
        let gathered = {
            let mut way = self.cluster.way();
            way.own(set)?;
            way.gather(set, function)?
        };
        let reduced = gathered.and_then(|given| match given.is_empty() {
            true => Ok(given),
            false => self.reducer.reduce(function, given),
        });
        Ok(match reduced {
            Ok(values) => Streamed {
                code: ResultCode::OK,
                values: values.iter().map(texts::particle).collect(),
                failure: Vec::new(),
                cause: Cause::default(),
            },
            Err(failure) => Streamed {
                code: ResultCode::UDF_EXECUTION,
                values: Vec::new(),
                failure: texts::failure(&failure),
                cause: Cause::default(),
            },
        })
    }

    fn background(&mut self, set: &str, function: Function<'_>) -> Result<Jobbed, Trouble> {
        let mut way = self.cluster.way();
        way.own(set)?;
        way.job(set, function)
    }

    fn set_clock(&mut self, _unix_ms: u64) -> Result<(), Trouble> {
        Err(Trouble("the clock of a cluster cannot be set".to_owned()))
    }

    fn unix_ms(&self) -> u64 {
        (now() + EPOCH_2010) * 1000
    }

    fn set_terms(&mut self, _terms: &Terms) -> Result<(), Trouble> {
        Err(Trouble(
            "the limits of a cluster are not those of a test".to_owned(),
        ))
    }

    fn take_lines(&mut self) -> Option<Vec<String>> {
        None
    }
}
