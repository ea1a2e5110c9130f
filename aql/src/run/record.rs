//! Statements about one record: INSERT, DELETE, SELECT and EXECUTE by key, EXPLAIN.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use protocol::bounds::Fit as _;
use protocol::client::Record;
use protocol::key::Key;
use protocol::message::{FieldType, Info1, Info2, Message, MessageHeader, MessageWriter, OpCode};
use protocol::particle::ParticleRef;
use protocol::result_code::ResultCode;
use protocol::value::Value;
use tools::records::Repeat;

use super::convert::{self, Target};
use super::session::Session;
use super::{Failure, Ran};
use crate::language::statement::{Bins, Invocation, Literal, Place, RecordName, Select};
use crate::settings::Mode;
use crate::show::{Metadata, Printer, Row, name};

/// Seconds between 1970 and 2010, from which records' lives are counted.
const EPOCH_2010: u64 = 1_262_304_000;

impl Session {
    /// Namespace, set, digest, and the key where it is to be sent.
    fn address(message: &mut MessageWriter<'_>, place: &Place, target: &Target, key: bool) {
        message.namespace(&place.namespace);
        if let Some(set) = &place.set {
            message.set(set);
        }
        message.digest(&target.digest);
        if let Some(found) = target.key.as_ref().filter(|_| key) {
            found.with_particle(|particle| {
                message.key(particle);
            });
        }
    }

    fn header(&self, info1: Info1, info2: Info2) -> MessageHeader {
        MessageHeader {
            info1,
            info2,
            // More than the field holds is 49 days.
            transaction_ttl: self.settings.limit().as_millis().at_most::<u32>(),
            ..MessageHeader::default()
        }
    }

    /// Sends a message about a record; gives the node's address and the reply.
    async fn ask(
        &mut self,
        place: &Place,
        target: &Target,
        header: MessageHeader,
        (repeat, is_call): (Repeat, bool),
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<(String, Record), Failure> {
        let namespace = &place.namespace;
        if !self.records.picture().has_namespace(namespace) {
            return Err(Failure::Told {
                code: 20,
                text: format!("Invalid namespace: {namespace}"),
            });
        }
        // A UDF gets no key to store.
        let key_send = self.settings.key_send && !is_call;
        let mut request = BytesMut::new();
        let mut message = MessageWriter::new(&mut request, &header);
        Self::address(&mut message, place, target, key_send);
        fill(&mut message);
        message
            .finish()
            .map_err(|error| Failure::own(error.to_string()))?;
        let limit = self.settings.limit();
        let (node, body) = self
            .records
            .single(namespace, &target.digest, &request, repeat, limit)
            .await?;
        let record = Record::parse(&body).map_err(|error| {
            Failure::own(format!(
                "{} sent a malformed answer: {error}",
                node.address()
            ))
        })?;
        Ok((node.address().to_owned(), record))
    }

    /// `INSERT`
    pub(super) async fn insert(
        &mut self,
        place: &Place,
        key: &Literal,
        bins: &[(String, Literal)],
        printer: &mut Printer<'_>,
    ) -> Ran {
        let set = place.set.as_deref().unwrap_or("");
        let target = convert::target(set, &RecordName::Key(key.clone()))?;
        let mut particles = Vec::with_capacity(bins.len());
        for (name, literal) in bins {
            let value = convert::value(literal, name)?;
            let particle = value
                .to_particle()
                .map_err(|error| Failure::own(format!("{name}: {error}")))?;
            particles.push((name, particle));
        }
        let mut header = self.header(Info1::empty(), Info2::WRITE);
        header.record_ttl = seconds_to_live(self.settings.record_ttl)?;
        if self.settings.durable_delete {
            header.info2 |= Info2::DURABLE_DELETE;
        }
        let (_, reply) = self
            .ask(place, &target, header, (Repeat::Never, false), |message| {
                for (name, particle) in &particles {
                    message.op(OpCode::WRITE, name.as_bytes(), particle.as_ref());
                }
            })
            .await?;
        match reply.result {
            ResultCode::OK => Ok(printer.done(Some("1 record affected."))?),
            code => Err(Failure::answer(code, None)),
        }
    }

    /// `DELETE`
    pub(super) async fn delete(
        &mut self,
        place: &Place,
        name: &RecordName,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let target = convert::target(place.set.as_deref().unwrap_or(""), name)?;
        let mut header = self.header(Info1::empty(), Info2::WRITE | Info2::DELETE);
        if self.settings.durable_delete {
            header.info2 |= Info2::DURABLE_DELETE;
        }
        let (_, reply) = self
            .ask(place, &target, header, (Repeat::Never, false), |_| {})
            .await?;
        match reply.result {
            ResultCode::OK => Ok(printer.done(Some("1 record affected."))?),
            code => Err(Failure::answer(code, None)),
        }
    }

    async fn read(
        &mut self,
        place: &Place,
        target: &Target,
        bins: &Bins,
    ) -> Result<(String, Record), Failure> {
        let info1 = match bins {
            Bins::All => Info1::READ | Info1::GET_ALL,
            Bins::Named(_) => Info1::READ,
        };
        let header = self.header(info1, Info2::empty());
        self.ask(place, target, header, (Repeat::Safe, false), |message| {
            if let Bins::Named(names) = bins {
                // An empty name ends the list, as in the original.
                for name in names.iter().take_while(|name| !name.is_empty()) {
                    message.op(OpCode::READ, name.as_bytes(), ParticleRef::NIL);
                }
            }
        })
        .await
    }

    /// `SELECT … WHERE PK = …`
    pub(super) async fn select_one(
        &mut self,
        select: &Select,
        name: &RecordName,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let begun = Instant::now();
        let set = select.place.set.as_deref().unwrap_or("");
        let target = convert::target(set, name)?;
        let (node, reply) = self.read(&select.place, &target, &select.bins).await?;
        if reply.result != ResultCode::OK {
            return Err(Failure::answer(reply.result, Some(&node)));
        }
        let mut row = self.row(&reply.bins)?;
        self.see_bins(row.bins.iter().map(|(name, _)| name.clone()));
        row.key = target.shown.filter(|_| self.settings.key_send);
        if self.settings.output == Mode::Insert {
            row.place = Some(written(&select.place.namespace, set));
        }
        if self.settings.record_print_metadata {
            row.metadata = Some(Metadata {
                digest: None,
                set: None,
                ttl: seconds_left(reply.void_time),
                generation: reply.generation,
            });
        }
        let named: &[String] = match &select.bins {
            Bins::Named(names) => names,
            Bins::All => &[],
        };
        printer.begin(named)?;
        // Of a record without any of the bins there is no row, but in JSON.
        if !row.bins.is_empty() || self.settings.output == Mode::Json {
            printer.row(row)?;
        }
        printer.end(None, begun.elapsed())?;
        Ok(printer.done(None)?)
    }

    /// A row of a record's bins.
    pub(super) fn row(
        &self,
        bins: &[(Bytes, protocol::particle::Particle)],
    ) -> Result<Row, Failure> {
        let mut row = Row::default();
        for (name, particle) in bins {
            let value = Value::from_particle(particle.as_ref())
                .map_err(|error| Failure::own(format!("a bin cannot be read: {error}")))?;
            let name = String::from_utf8_lossy(name).into_owned();
            row.bins
                .push((name, (value != Value::Nil).then_some(value)));
        }
        Ok(row)
    }

    /// `EXECUTE … WHERE PK = …`
    pub(super) async fn execute_one(
        &mut self,
        call: &Invocation,
        name: &RecordName,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let begun = Instant::now();
        let target = convert::target(call.place.set.as_deref().unwrap_or(""), name)?;
        let arguments = convert::arguments(&call.arguments)?;
        let mut header = self.header(Info1::empty(), Info2::WRITE);
        if self.settings.durable_delete {
            header.info2 |= Info2::DURABLE_DELETE;
        }
        let (node, reply) = self
            .ask(
                &call.place,
                &target,
                header,
                (Repeat::Never, true),
                |message| {
                    message.field(FieldType::UDF_PACKAGE, call.module.as_bytes());
                    message.field(FieldType::UDF_FUNCTION, call.function.as_bytes());
                    message.field(FieldType::UDF_ARGLIST, &arguments);
                },
            )
            .await?;
        if let Some(failure) = reply.failure() {
            return Err(Failure::Told {
                code: 100,
                text: failure,
            });
        }
        if reply.result != ResultCode::OK {
            return Err(Failure::answer(reply.result, Some(&node)));
        }
        let value = match reply.success() {
            Some(particle) => Value::from_particle(particle.as_ref())
                .map_err(|error| Failure::own(format!("the result cannot be read: {error}")))?,
            None => Value::Nil,
        };
        printer.begin(&[])?;
        printer.row(Row {
            bins: vec![result_column(&call.function, value)],
            // A call's answer has no record, and so neither life nor generation.
            metadata: self.settings.record_print_metadata.then(Metadata::default),
            ..Row::default()
        })?;
        printer.end(None, begun.elapsed())?;
        Ok(printer.done(None)?)
    }

    /// `EXPLAIN SELECT … WHERE PK = …`
    pub(super) async fn explain(
        &mut self,
        select: &Select,
        name: &RecordName,
        printer: &mut Printer<'_>,
    ) -> Ran {
        let begun = Instant::now();
        let place = &select.place;
        let target = convert::target(place.set.as_deref().unwrap_or(""), name)?;
        let (node, reply) = self.read(place, &target, &select.bins).await?;
        let status = match reply.result {
            ResultCode::OK => String::new(),
            code => format!("{node} {}", super::code::name(code)),
        };
        let partition = target.digest.partition_id();
        let picture = self.records.picture();
        let text = |text: &str| Some(Value::String(text.as_bytes().to_vec()));
        let key_type = match (name, &target.key) {
            (RecordName::Digest(_), _) => "DIGEST",
            (RecordName::EncodedDigest(_), _) => "BASE64_DIGEST",
            (_, Some(Key::Integer(_))) => "INTEGER",
            _ => "STRING",
        };
        let policy = match (&target.key, self.settings.key_send) {
            (None, _) => "AS_POLICY_KEY_DIGEST",
            (_, true) => "AS_POLICY_KEY_SEND",
            (_, false) => "AS_POLICY_KEY_DEFAULT",
        };
        let master = picture.owner(&place.namespace, partition)?.id().to_owned();
        let mut columns = vec![
            ("DIGEST", text(&target.digest.to_string().to_uppercase())),
            ("KEY_TYPE", text(key_type)),
            ("MASTER NODE", text(&master)),
            ("NAMESPACE", text(&place.namespace)),
            ("PARTITION", Some(Value::Integer(partition.into()))),
            ("POLICY_KEY", text(policy)),
        ];
        let replicas: Vec<String> = (1..)
            .map_while(|rank| {
                picture
                    .replica(&place.namespace, partition, rank)
                    .ok()
                    .flatten()
            })
            .map(|node| node.id().to_owned())
            .collect();
        match replicas.as_slice() {
            [] => {}
            [only] => columns.push(("REPLICA NODE", text(only))),
            several => columns.push(("REPLICA NODES", text(&several.join(",")))),
        }
        let timeout = Some(Value::Integer(self.settings.timeout));
        columns.extend([
            ("SET", text(place.set.as_deref().unwrap_or(""))),
            ("STATUS", text(&status)),
            ("TIMEOUT", timeout),
            ("UDF", text("FALSE")),
        ]);
        printer.begin(&[])?;
        printer.row(Row {
            bins: columns
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..Row::default()
        })?;
        printer.end(None, begun.elapsed())?;
        match reply.result {
            ResultCode::OK => Ok(printer.done(None)?),
            code => Err(Failure::answer(code, Some(&node))),
        }
    }

    /// The row of a record that a query of a namespace found.
    pub(super) fn found(&self, namespace: &str, message: &Message<'_>) -> Result<Row, Failure> {
        let bad = |error: &dyn std::fmt::Display| {
            Failure::own(format!("a record cannot be read: {error}"))
        };
        let fields = &message.fields;
        let mut row = Row::default();
        for op in message.ops.iter() {
            let value = Value::from_particle(op.particle_ref()).map_err(|error| bad(&error))?;
            let name = String::from_utf8_lossy(op.name).into_owned();
            row.bins
                .push((name, (value != Value::Nil).then_some(value)));
        }
        if let Some(key) = fields.key().map_err(|error| bad(&error))? {
            row.key = Some(Value::from_particle(key).map_err(|error| bad(&error))?);
        }
        if self.settings.output == Mode::Insert {
            let set = fields.set().map_err(|error| bad(&error))?.unwrap_or("");
            row.place = Some(written(namespace, set));
        }
        let digest = fields.digest().map_err(|error| bad(&error))?;
        if self.settings.no_bins {
            row.bins.clear();
            row.digest = digest.map(|digest| digest.to_string().to_uppercase());
        } else if self.settings.record_print_metadata {
            use base64::Engine as _;
            let encoded = |digest: protocol::key::Digest| {
                base64::engine::general_purpose::STANDARD.encode(digest.0)
            };
            row.metadata = Some(Metadata {
                digest: digest.map(encoded),
                set: Some(
                    fields
                        .set()
                        .map_err(|error| bad(&error))?
                        .unwrap_or("")
                        .to_owned(),
                ),
                ttl: seconds_left(message.header.record_ttl),
                generation: message.header.generation,
            });
        }
        Ok(row)
    }
}

/// The setting `RECORD_TTL` as it is sent. -3 is the original's own default, which is that of the namespace.
fn seconds_to_live(setting: i64) -> Result<u32, Failure> {
    match setting {
        -1 => Ok(u32::MAX),
        -2 => Ok(u32::MAX - 1),
        -3 => Ok(0),
        seconds => u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds < u32::MAX - 1)
            .ok_or_else(|| {
                Failure::own(format!(
                    "RECORD_TTL is {seconds}, expected seconds below {}, 0 as the namespace says, -1 for ever, or -2 as before",
                    u32::MAX - 1
                ))
            }),
    }
}

/// Namespace and set as a statement has them.
fn written(namespace: &str, set: &str) -> String {
    match set {
        "" => name(namespace),
        set => format!("{}.{}", name(namespace), name(set)),
    }
}

/// Seconds until a record expires, -1 for never.
fn seconds_left(void_time: u32) -> i64 {
    if void_time == 0 {
        return -1;
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let now = now.saturating_sub(EPOCH_2010).fit::<i64>();
    (i64::from(void_time) - now).max(0)
}

/// The column of a call's result: named like the function, where a bin can have that name.
pub(super) fn result_column(function: &str, value: Value) -> (String, Option<Value>) {
    const NAME_BYTES_MAX: usize = 15;
    let shown = (value != Value::Nil).then_some(value);
    if function.len() <= NAME_BYTES_MAX {
        return (function.to_owned(), shown);
    }
    let key = Value::String(function.as_bytes().to_vec());
    let map = Value::map([(key, shown.unwrap_or(Value::Nil))]);
    ("udf-fn:result".to_owned(), Some(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_that_cannot_be_sent_is_refused() {
        for (setting, sent) in [
            (0, Some(0)),
            (5_000, Some(5_000)),
            (-1, Some(u32::MAX)),
            (-2, Some(u32::MAX - 1)),
            (-3, Some(0)),
            (-4, None),
            (4_294_967_293, Some(4_294_967_293)),
            (4_294_967_294, None),
            (5_000_000_000, None),
        ] {
            assert_eq!(seconds_to_live(setting).ok(), sent, "{setting}");
        }
    }
}
