//! Record commands and module upkeep over a [`Connection`].

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use protocol::info::Failure;
use protocol::key::Digest;
use protocol::message::{FieldType, Info1, Info2, Info3, MessageHeader, MessageWriter, OpCode};
use protocol::particle::Particle;

use crate::connection::{ANSWER_DEADLINE, Connection};
use crate::error::{Error, Result};

/// Where a record lives.
#[derive(Clone, Debug)]
pub struct RecordKey {
    /// Namespace.
    pub namespace: String,
    /// Set, empty for none.
    pub set: String,
    /// The key itself.
    pub key: Particle,
}

/// What a write may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteOptions {
    /// Seconds to live, in the meaning of the message header.
    pub ttl: u32,
    /// Whether the key is sent to be stored.
    pub send_key: bool,
}

/// What a call of a function may ask for.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions {
    /// Seconds to live for what the function writes.
    pub ttl: u32,
    /// Whether the key is sent to be stored.
    pub send_key: bool,
    /// Time limit in milliseconds, 0 the server's default.
    pub timeout_ms: u32,
    /// Read bits beyond the usual.
    pub info1: Info1,
    /// Write bits beyond the usual.
    pub info2: Info2,
    /// Further bits.
    pub info3: Info3,
    /// Expected generation.
    pub generation: u32,
}

impl RecordKey {
    /// A record whose key is a string.
    pub fn new(namespace: &str, set: &str, key: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            set: set.to_owned(),
            key: Particle::string(key.to_owned()),
        }
    }

    /// The digest that stands for set and key.
    pub fn digest(&self) -> Digest {
        Digest::of_particle(&self.set, self.key.as_ref())
    }

    fn write_fields(&self, message: &mut MessageWriter<'_>, send_key: bool) {
        message.namespace(&self.namespace);
        if !self.set.is_empty() {
            message.set(&self.set);
        }
        if send_key {
            message.key(self.key.as_ref());
        }
        message.digest(&self.digest());
    }

    fn frame(
        &self,
        header: &MessageHeader,
        send_key: bool,
        write_rest: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Result<BytesMut> {
        let mut out = BytesMut::new();
        let mut message = MessageWriter::new(&mut out, header);
        self.write_fields(&mut message, send_key);
        write_rest(&mut message);
        message
            .finish()
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        Ok(out)
    }

    /// The frame that reads all bins.
    pub fn get(&self) -> Result<BytesMut> {
        let header = MessageHeader {
            info1: Info1::READ | Info1::GET_ALL,
            ..MessageHeader::default()
        };
        self.frame(&header, false, |_| ())
    }

    /// The frame that writes bins.
    pub fn put<'b>(
        &self,
        bins: impl IntoIterator<Item = (&'b str, &'b Particle)>,
        options: WriteOptions,
    ) -> Result<BytesMut> {
        let header = MessageHeader {
            info2: Info2::WRITE,
            record_ttl: options.ttl,
            ..MessageHeader::default()
        };
        self.frame(&header, options.send_key, |message| {
            for (name, value) in bins {
                message.op(OpCode::WRITE, name.as_bytes(), value.as_ref());
            }
        })
    }

    /// The frame that deletes the record.
    pub fn delete(&self) -> Result<BytesMut> {
        let header = MessageHeader {
            info2: Info2::WRITE | Info2::DELETE,
            ..MessageHeader::default()
        };
        self.frame(&header, false, |_| ())
    }

    /// The frame that calls a function of a module on the record; `arglist` is a msgpack list.
    pub fn apply(
        &self,
        package: &[u8],
        function: &[u8],
        arglist: &[u8],
        options: CallOptions,
    ) -> Result<BytesMut> {
        let header = MessageHeader {
            info1: options.info1,
            info2: Info2::WRITE | options.info2,
            info3: options.info3,
            generation: options.generation,
            record_ttl: options.ttl,
            transaction_ttl: options.timeout_ms,
            ..MessageHeader::default()
        };
        self.frame(&header, options.send_key, |message| {
            message
                .field(FieldType::UDF_PACKAGE, package)
                .field(FieldType::UDF_FUNCTION, function)
                .field(FieldType::UDF_ARGLIST, arglist);
        })
    }
}

/// What a server says that had no time to run the body of a module.
const TOO_BUSY: &str = "the machine was too busy to run the module's body, try again";

/// Registers a module; returns the server's answer, `ok` when it was taken. What the machine was too busy for is tried
/// again.
pub fn put_module(connection: &mut Connection, file: &str, source: &[u8]) -> Result<String> {
    let started = Instant::now();
    loop {
        let answer = put_module_once(connection, file, source)?;
        let failure = Failure::of(&answer).and_then(|failure| failure.message);
        let is_late = failure.is_some_and(|message| message.ends_with(TOO_BUSY));
        if !is_late || started.elapsed() > ANSWER_DEADLINE {
            return Ok(answer);
        }
    }
}

/// The same, tried once.
pub fn put_module_once(connection: &mut Connection, file: &str, source: &[u8]) -> Result<String> {
    let content = BASE64.encode(source);
    connection.info(&format!(
        "udf-put:filename={file};content={content};content-len={};udf-type=LUA;",
        content.len()
    ))
}

/// The file names that `udf-list` shows. A name may hold a comma.
pub fn module_names(connection: &mut Connection) -> Result<Vec<String>> {
    let list = connection.info("udf-list")?;
    Ok(list
        .split(';')
        .filter_map(|entry| entry.strip_prefix("filename="))
        .filter_map(|entry| entry.split(",hash=").next())
        .map(str::to_owned)
        .collect())
}

/// Removes every module that the server lists.
pub fn remove_all_modules(connection: &mut Connection) -> Result<()> {
    for name in module_names(connection)? {
        connection.info(&format!("udf-remove:filename={name}"))?;
    }
    match module_names(connection)?.as_slice() {
        [] => Ok(()),
        left => Err(Error::Unexpected(format!(
            "modules are still listed after their removal: {left:?}"
        ))),
    }
}
