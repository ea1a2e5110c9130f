//! Single-record commands.

use crate::bounds::Fit as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Client, ClientError};
use crate::header::MessageType;
use crate::key::{Digest, Key};
use crate::message::{
    FieldType, Info1, Info2, Message, MessageHeader, MessageWriter, OpCode, ParseError,
};
use crate::particle::{Particle, ParticleRef};
use crate::result_code::ResultCode;

/// Which record is meant.
#[derive(Clone, Copy, Debug)]
pub struct RecordKey<'a> {
    /// Namespace.
    pub namespace: &'a str,
    /// Set; `""` is none.
    pub set: &'a str,
    /// Key.
    pub key: &'a Key,
}

impl<'a> RecordKey<'a> {
    /// These three.
    pub fn new(namespace: &'a str, set: &'a str, key: &'a Key) -> Self {
        Self {
            namespace,
            set,
            key,
        }
    }

    /// The digest of the key in its set.
    pub fn digest(&self) -> Digest {
        Digest::of(self.set, self.key)
    }
}

/// The reply to a single-record command, whatever its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// How the request ended.
    pub result: ResultCode,
    /// The record's generation.
    pub generation: u32,
    /// When the record expires, in seconds since 2010-01-01 UTC; 0 never.
    pub void_time: u32,
    /// The bins in the server's order.
    pub bins: Vec<(Bytes, Particle)>,
}

impl Record {
    /// Reads the body of a reply. The bins share its memory.
    pub fn parse(body: &Bytes) -> Result<Self, ParseError> {
        let message = Message::parse(body)?;
        Ok(Self {
            result: message.header.result,
            generation: message.header.generation,
            void_time: message.header.record_ttl,
            bins: message
                .ops
                .iter()
                .map(|op| {
                    (
                        body.slice_ref(op.name),
                        Particle {
                            kind: op.particle,
                            data: body.slice_ref(op.value),
                        },
                    )
                })
                .collect(),
        })
    }

    /// The value of the first bin of this name.
    pub fn bin(&self, name: &str) -> Option<&Particle> {
        self.bins
            .iter()
            .find(|(found, _)| found == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// What a UDF returned.
    pub fn success(&self) -> Option<&Particle> {
        self.bin("SUCCESS")
    }

    /// The text with which a UDF failed.
    pub fn failure(&self) -> Option<String> {
        self.bin("FAILURE")
            .map(|text| String::from_utf8_lossy(&text.data).into_owned())
    }
}

impl Client {
    /// Sends one record message and reads its single reply. `fill` appends fields and ops to the message.
    ///
    /// The time limit is also told to the server, unless the header has one.
    pub async fn record(
        &mut self,
        mut header: MessageHeader,
        fill: impl FnOnce(&mut MessageWriter<'_>),
        limit: Duration,
    ) -> Result<Record, ClientError> {
        if header.transaction_ttl == 0 {
            header.transaction_ttl = limit.as_millis().at_most::<u32>();
        }
        let mut request = BytesMut::new();
        let mut message = MessageWriter::new(&mut request, &header);
        fill(&mut message);
        message.finish()?;
        let reply = self.exchange(&request, MessageType::Message, limit).await?;
        Record::parse(&reply.body).map_err(|error| self.malformed(error))
    }

    /// Reads all bins.
    pub async fn get(
        &mut self,
        key: RecordKey<'_>,
        limit: Duration,
    ) -> Result<Record, ClientError> {
        let header = MessageHeader {
            info1: Info1::READ | Info1::GET_ALL,
            ..Default::default()
        };
        self.record(header, |message| address(message, key), limit)
            .await
    }

    /// Writes bins; nil removes one.
    pub async fn put(
        &mut self,
        key: RecordKey<'_>,
        bins: &[(&str, ParticleRef<'_>)],
        limit: Duration,
    ) -> Result<Record, ClientError> {
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..Default::default()
        };
        let fill = |message: &mut MessageWriter<'_>| {
            address(message, key);
            for (name, value) in bins {
                message.op(OpCode::WRITE, name.as_bytes(), *value);
            }
        };
        self.record(header, fill, limit).await
    }

    /// Deletes the record.
    pub async fn delete(
        &mut self,
        key: RecordKey<'_>,
        limit: Duration,
    ) -> Result<Record, ClientError> {
        let header = MessageHeader {
            info2: Info2::WRITE | Info2::DELETE,
            ..Default::default()
        };
        self.record(header, |message| address(message, key), limit)
            .await
    }

    /// Calls a UDF on the record. `arguments` is a msgpack list, or empty.
    pub async fn apply(
        &mut self,
        key: RecordKey<'_>,
        package: &str,
        function: &str,
        arguments: &[u8],
        limit: Duration,
    ) -> Result<Record, ClientError> {
        let header = MessageHeader {
            info2: Info2::WRITE,
            ..Default::default()
        };
        let fill = |message: &mut MessageWriter<'_>| {
            address(message, key);
            message.field(FieldType::UDF_PACKAGE, package.as_bytes());
            message.field(FieldType::UDF_FUNCTION, function.as_bytes());
            message.field(FieldType::UDF_ARGLIST, arguments);
        };
        self.record(header, fill, limit).await
    }
}

fn address(message: &mut MessageWriter<'_>, key: RecordKey<'_>) {
    message.namespace(key.namespace);
    message.set(key.set);
    message.digest(&key.digest());
}
