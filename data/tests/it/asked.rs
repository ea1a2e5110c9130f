//! Asks one operation of one bin.

use data::encoded::Landmarks;
use data::operation::{Applied, Call, Change, Environment, Limits, OperationError, collection};
use data::work::{Meter, Unmetered};
use protocol::message::OpCode;
use protocol::particle::{Particle, ParticleType};
use serde_json::Value;

use crate::tagged;

/// Of a record, about.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Applies an operation; the payload is tagged JSON.
pub(crate) fn ask(
    op: OpCode,
    payload: &Value,
    bin: Option<&Particle>,
) -> Result<Applied, OperationError> {
    let mut bytes = Vec::new();
    tagged::pack(payload, &mut bytes);
    ask_bytes(op, &bytes, bin, &mut Unmetered::default())
}

/// The same with the bytes of a payload.
pub(crate) fn ask_bytes(
    op: OpCode,
    payload: &[u8],
    bin: Option<&Particle>,
    work: &mut dyn Meter,
) -> Result<Applied, OperationError> {
    let value = Particle::new(ParticleType::BLOB, payload.to_vec());
    let call = Call::parse(op, value.as_ref()).expect("one of the six ops");
    call.apply(
        bin.map(Particle::as_ref),
        &mut Environment {
            limits: Limits {
                max_particle_bytes: MAX_BYTES,
            },
            work,
            landmarks: Landmarks::NONE,
            expressions: None,
        },
    )
}

/// The stored form of a value in tagged JSON.
pub(crate) fn stored(value: &Value) -> Particle {
    tagged::particle(value)
        .as_ref()
        .normalize()
        .expect("a value that can be stored")
}

/// A bin that operations change one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bin(pub(crate) Option<Particle>);

impl Bin {
    pub(crate) fn of(value: &Value) -> Self {
        Self(Some(stored(value)))
    }

    /// Applies a modifying or reading operation on lists or maps; the code when it fails.
    pub(crate) fn ask(&mut self, payload: &Value) -> Result<Particle, u8> {
        let number = payload[0].as_u64().unwrap();
        let inner = if number >= 254 {
            payload[2][0].as_u64().unwrap_or(0)
        } else {
            number
        };
        let op = match inner {
            16..=27 | 96..=110 => OpCode::CDT_READ,
            _ => OpCode::CDT_MODIFY,
        };
        self.ask_op(op, payload)
    }

    pub(crate) fn ask_op(&mut self, op: OpCode, payload: &Value) -> Result<Particle, u8> {
        let applied = ask(op, payload, self.0.as_ref()).map_err(|error| error.code.0)?;
        match applied.change {
            Change::Keep => {}
            Change::Set(particle) => self.0 = Some(particle),
            other => panic!("{other:?} is not of these operations"),
        }
        Ok(applied.reply.unwrap_or(Particle::NIL))
    }

    /// What clients see.
    pub(crate) fn shown(&self) -> Particle {
        match &self.0 {
            Some(bin) => Particle::new(bin.kind, collection::visible(bin.as_ref()).into_owned()),
            None => Particle::NIL,
        }
    }
}
