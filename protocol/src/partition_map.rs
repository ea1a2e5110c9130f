//! Which partitions a node has: the bitmap inside the value of the info command `replicas`.
//!
//! ```text
//! <ns>:<regime>,<n>,<map 1>,…,<map n>;<ns>:…       no ; at the end
//!
//! map = base64 of 512 bytes; partition p is bit 0x80 >> (p & 7) of byte p >> 3
//! ```

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::limits::PARTITIONS;

const BYTES: usize = PARTITIONS as usize / 8;

/// Characters of an encoded map.
pub const ENCODED_SIZE: usize = 684;

/// Why a map or the value around it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PartitionMapError {
    /// Not base64 of exactly 512 bytes.
    #[error("partition map is not base64 of {BYTES} bytes")]
    Map,
    /// A namespace's part that is not as in the module's drawing.
    #[error("replicas of a namespace are malformed: `{0}`")]
    Namespace(String),
}

/// A set of partitions.
#[derive(Clone, PartialEq, Eq)]
pub struct PartitionMap {
    bytes: [u8; BYTES],
}

impl PartitionMap {
    /// No partition.
    pub const EMPTY: Self = Self { bytes: [0; BYTES] };

    /// All partitions.
    pub const FULL: Self = Self {
        bytes: [0xff; BYTES],
    };

    /// Whether the partition is in the set; one that does not exist is not.
    pub fn has(&self, partition: u16) -> bool {
        self.bytes
            .get(usize::from(partition >> 3))
            .is_some_and(|byte| byte & (0x80 >> (partition & 7)) != 0)
    }

    /// Adds a partition; one that does not exist is not added.
    pub fn insert(&mut self, partition: u16) {
        if let Some(byte) = self.bytes.get_mut(usize::from(partition >> 3)) {
            *byte |= 0x80 >> (partition & 7);
        }
    }

    /// Takes a partition out.
    pub fn remove(&mut self, partition: u16) {
        if let Some(byte) = self.bytes.get_mut(usize::from(partition >> 3)) {
            *byte &= !(0x80 >> (partition & 7));
        }
    }

    /// Number of partitions in the set.
    pub fn len(&self) -> usize {
        self.bytes
            .iter()
            .map(|byte| byte.count_ones() as usize)
            .sum()
    }

    /// Whether the set has none.
    pub fn is_empty(&self) -> bool {
        self.bytes == [0; BYTES]
    }

    /// Base64 with padding, 684 characters.
    pub fn encode(&self) -> String {
        STANDARD.encode(self.bytes)
    }

    /// Reads what [`PartitionMap::encode`] writes.
    pub fn decode(text: &str) -> Result<Self, PartitionMapError> {
        if text.len() != ENCODED_SIZE {
            return Err(PartitionMapError::Map);
        }
        let bytes = STANDARD.decode(text).map_err(|_| PartitionMapError::Map)?;
        Ok(Self {
            bytes: bytes.try_into().map_err(|_| PartitionMapError::Map)?,
        })
    }
}

impl std::fmt::Debug for PartitionMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PartitionMap({} of {PARTITIONS})", self.len())
    }
}

impl FromIterator<u16> for PartitionMap {
    fn from_iter<I: IntoIterator<Item = u16>>(partitions: I) -> Self {
        let mut map = Self::EMPTY;
        partitions
            .into_iter()
            .for_each(|partition| map.insert(partition));
        map
    }
}

/// What a node says about the partitions of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceReplicas {
    /// The namespace.
    pub namespace: String,
    /// 0 unless the namespace is strongly consistent.
    pub regime: u32,
    /// The partitions of which the node is the first replica (the master), the second, and so on; 1 to 255 maps.
    pub maps: Vec<PartitionMap>,
}

/// Writes the value of `replicas`.
pub fn encode_replicas(namespaces: &[NamespaceReplicas]) -> String {
    let mut text = String::new();
    for (index, one) in namespaces.iter().enumerate() {
        let separator = if index == 0 { "" } else { ";" };
        // Writing into a `String` cannot fail.
        let _ = write!(
            text,
            "{separator}{}:{},{}",
            one.namespace,
            one.regime,
            one.maps.len()
        );
        for map in &one.maps {
            text.push(',');
            text.push_str(&map.encode());
        }
    }
    text
}

/// Reads the value of `replicas`.
pub fn decode_replicas(value: &str) -> Result<Vec<NamespaceReplicas>, PartitionMapError> {
    value
        .split(';')
        .filter(|part| !part.is_empty())
        .map(decode_namespace)
        .collect()
}

fn decode_namespace(part: &str) -> Result<NamespaceReplicas, PartitionMapError> {
    let malformed = || PartitionMapError::Namespace(part.chars().take(64).collect());
    let (namespace, rest) = part.split_once(':').ok_or_else(malformed)?;
    let mut parts = rest.split(',');
    let regime = parts
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or_else(malformed)?;
    let count: u8 = parts
        .next()
        .and_then(|number| number.parse().ok())
        .ok_or_else(malformed)?;
    let maps = parts
        .map(PartitionMap::decode)
        .collect::<Result<Vec<_>, _>>()?;
    if namespace.is_empty() || maps.is_empty() || maps.len() != usize::from(count) {
        return Err(malformed());
    }
    Ok(NamespaceReplicas {
        namespace: namespace.to_owned(),
        regime,
        maps,
    })
}
