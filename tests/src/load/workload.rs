//! What is sent: a fixed set of requests, encoded once.

use std::fmt;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use clap::ValueEnum;
use protocol::header::{Header, MessageType};
use protocol::particle::Particle;
use protocol::result_code::ResultCode;

use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::records::{CallOptions, RecordKey, WriteOptions, put_module};

/// Records that a workload touches, one after the other.
const KEYS: usize = 1000;

/// The module that the UDF workloads call.
const SOURCE: &str = "\
function echo(rec, value)
    return value
end

function add_one(rec)
    rec.n = (rec.n or 0) + 1
    if aerospike:exists(rec) then
        aerospike:update(rec)
    else
        aerospike:create(rec)
    end
    return rec.n
end
";

/// Functions that [`Workload::UdfLarge`] adds to the module, none of which is called.
const UNUSED_FUNCTIONS: usize = 2000;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// The info command `build`.
    Build,
    /// Read all bins of a record: an integer and a string of 32 bytes.
    Get,
    /// Write those bins.
    Put,
    /// Call a function that returns its argument, an integer.
    UdfEcho,
    /// Call a function that reads an integer bin, adds one and updates the record.
    UdfRmw,
    /// Like `udf-echo`, in a module of 2,000 further functions: what it costs to build a context shows.
    UdfLarge,
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Build => "build",
            Self::Get => "get",
            Self::Put => "put",
            Self::UdfEcho => "udf-echo",
            Self::UdfRmw => "udf-rmw",
            Self::UdfLarge => "udf-large",
        })
    }
}

impl Workload {
    /// Prepares the server: the module, the records. Needs the namespace.
    pub fn prepare(self, address: SocketAddr, namespace: &str) -> Result<()> {
        let mut connection = Connection::open(address)?;
        let source = match self {
            Self::Build | Self::Get | Self::Put => None,
            Self::UdfEcho | Self::UdfRmw => Some(SOURCE.to_owned()),
            Self::UdfLarge => Some(large_source()),
        };
        if let Some(source) = source {
            let answer = put_module(&mut connection, self.module(), source.as_bytes())?;
            if answer != "ok" {
                return Err(Error::Unexpected(format!(
                    "udf-put of {} was answered by {answer}",
                    self.module()
                )));
            }
        }
        if matches!(self, Self::Build) {
            return Ok(());
        }
        for number in 0..KEYS {
            let reply = connection.message(&put_frame(&record(namespace, number))?)?;
            if reply.code() != ResultCode::OK {
                return Err(Error::Unexpected(format!(
                    "the put of a record was answered by {}",
                    reply.code()
                )));
            }
        }
        Ok(())
    }

    fn module(self) -> &'static str {
        match self {
            Self::UdfLarge => "load_large.lua",
            _ => "load.lua",
        }
    }

    fn package(self) -> &'static [u8] {
        self.module().trim_end_matches(".lua").as_bytes()
    }

    /// The frames to send in turn. Not empty.
    pub fn frames(self, namespace: &str) -> Result<Vec<Bytes>> {
        if matches!(self, Self::Build) {
            let body = b"build\n";
            let mut frame = BytesMut::new();
            frame.extend(Header::new(MessageType::Info, body.len() as u64).to_bytes());
            frame.extend(body);
            return Ok(vec![frame.freeze()]);
        }
        // One argument, the integer 42; and none.
        let argument: &[u8] = &[0x91, 42];
        let none: &[u8] = &[0x90];
        let call = |record: &RecordKey, function: &[u8], arglist| {
            record.apply(self.package(), function, arglist, CallOptions::default())
        };
        (0..KEYS)
            .map(|number| {
                let record = record(namespace, number);
                let frame = match self {
                    Self::Get => record.get(),
                    Self::UdfEcho | Self::UdfLarge => call(&record, b"echo", argument),
                    Self::UdfRmw => call(&record, b"add_one", none),
                    Self::Put | Self::Build => put_frame(&record),
                };
                Ok(frame?.freeze())
            })
            .collect()
    }
}

fn record(namespace: &str, number: usize) -> RecordKey {
    RecordKey::new(namespace, "load", &format!("key-{number}"))
}

fn put_frame(record: &RecordKey) -> Result<BytesMut> {
    let number = Particle::integer(0);
    let text = Particle::string("thirty-two bytes of a string bin");
    record.put([("n", &number), ("s", &text)], WriteOptions::default())
}

fn large_source() -> String {
    let mut source = String::from(SOURCE);
    for number in 0..UNUSED_FUNCTIONS {
        source.push_str(&format!(
            "function unused_{number}(rec, a, b) return a + b + {number} end\n"
        ));
    }
    source
}
