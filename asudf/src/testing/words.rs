//! What the library `t` sends: words one after the other, and maps with known names.

use protocol::particle::Particle;
use protocol::value::Value;

/// The words of a question.
pub(super) struct Words(std::vec::IntoIter<Particle>);

impl Words {
    pub(super) fn new(words: Vec<Particle>) -> Self {
        Self(words.into_iter())
    }

    /// A map with names.
    pub(super) fn of_map(value: Value) -> Result<Told, String> {
        match value {
            Value::Map { entries, .. } => Ok(Told(entries)),
            _ => Err("a table with names is expected".to_owned()),
        }
    }

    /// The next word; nil where there is none.
    pub(super) fn particle(&mut self) -> Particle {
        self.0.next().unwrap_or(Particle::NIL)
    }

    pub(super) fn value(&mut self) -> Result<Value, String> {
        let particle = self.particle();
        let value = Value::from_particle(particle.as_ref()).map_err(|error| error.to_string())?;
        unwired(value)
    }

    /// A list of arguments, as it is sent.
    pub(super) fn arguments(&mut self) -> Result<Particle, String> {
        let particle = self.particle();
        if !particle.data.windows(WIRE.len()).any(|part| part == WIRE) {
            return Ok(particle);
        }
        let value = Value::from_particle(particle.as_ref()).map_err(|error| error.to_string())?;
        unwired(value)?
            .to_particle()
            .map_err(|error| error.to_string())
    }

    pub(super) fn bytes(&mut self, what: &str) -> Result<Vec<u8>, String> {
        match self.value()? {
            Value::String(bytes) => Ok(bytes),
            _ => Err(format!("the {what} is a text")),
        }
    }

    pub(super) fn text(&mut self, what: &str) -> Result<String, String> {
        let bytes = self.bytes(what)?;
        String::from_utf8(bytes).map_err(|_| format!("the {what} is no UTF-8"))
    }

    pub(super) fn optional_text(&mut self, what: &str) -> Result<Option<String>, String> {
        match self.value()? {
            Value::Nil => Ok(None),
            Value::String(bytes) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| format!("the {what} is no UTF-8")),
            _ => Err(format!("the {what} is a text")),
        }
    }

    pub(super) fn integer(&mut self, what: &str) -> Result<i64, String> {
        match self.value()? {
            Value::Integer(value) => Ok(value),
            _ => Err(format!("the {what} is an integer")),
        }
    }
}

/// How texts begin that stand for a value by the hex digits of its msgpack.
const WIRE: &[u8] = b"\0wire ";

/// The same with values for what stands for them.
fn unwired(value: Value) -> Result<Value, String> {
    Ok(match value {
        Value::GeoJson(text) => match text.strip_prefix(WIRE) {
            Some(hex) => Value::from_msgpack(&from_hex(hex)?).map_err(|error| error.to_string())?,
            None => Value::GeoJson(text),
        },
        Value::List { flags, items } => Value::List {
            flags,
            items: items.into_iter().map(unwired).collect::<Result<_, _>>()?,
        },
        Value::Map { flags, entries } => Value::Map {
            flags,
            entries: entries
                .into_iter()
                .map(|(key, value)| Ok((key, unwired(value)?)))
                .collect::<Result<_, String>>()?,
        },
        other => other,
    })
}

/// Bytes of hex digits.
pub(super) fn from_hex(hex: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = hex.chunks(2);
    pairs
        .map(|pair| match *pair {
            [high, low] => {
                let (high, low) = (digit(high), digit(low));
                let byte = high.zip(low).map(|(high, low)| high * 16 + low);
                byte.and_then(|byte| u8::try_from(byte).ok())
            }
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or_else(|| "these are no hex digits".to_owned())
}

/// Named values.
pub(super) struct Told(Vec<(Value, Value)>);

impl Told {
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let key = Value::String(name.into());
        let place = self.0.iter().position(|(own, _)| *own == key)?;
        Some(self.0.swap_remove(place).1)
    }

    pub(super) fn take_integer(&mut self, name: &str) -> Result<Option<i64>, String> {
        match self.take(name) {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::Integer(value)) => Ok(Some(value)),
            Some(_) => Err(format!("`{name}` is an integer")),
        }
    }

    pub(super) fn take_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None | Some(Value::Nil) => Ok(None),
            Some(Value::String(bytes)) => String::from_utf8(bytes)
                .map(Some)
                .map_err(|_| format!("`{name}` is no UTF-8")),
            Some(_) => Err(format!("`{name}` is a text")),
        }
    }

    pub(super) fn take_flag(&mut self, name: &str) -> Result<bool, String> {
        match self.take(name) {
            None | Some(Value::Nil) => Ok(false),
            Some(Value::Bool(value)) => Ok(value),
            Some(_) => Err(format!("`{name}` is true or false")),
        }
    }

    /// A name that nobody has taken.
    pub(super) fn rest(&self) -> Option<String> {
        self.0.first().map(|(name, _)| crate::show::value(name))
    }
}
