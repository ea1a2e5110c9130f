//! The identity of a node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Identity of a node: 64 bits, printed as upper-case hex without leading zeros. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(u64);

impl NodeId {
    /// An identity from its number; `None` for 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number != 0).then_some(Self(number))
    }

    /// An identity from its text, 1 to 16 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .and_then(Self::new)
    }

    /// The identity that begins with a port and ends in zeros. Port 0 counts as 1.
    #[must_use]
    pub const fn from_port(port: u16) -> Self {
        let port = if port == 0 { 1 } else { port };
        Self((port as u64) << 48)
    }

    /// The identity with these 48 bits at its end, for example of a hardware address.
    #[must_use]
    pub const fn with_low_bits(self, bits: u64) -> Self {
        Self(self.0 | (bits & ((1 << 48) - 1)))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a node id is 1 to 16 hex digits, not all zero")
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::NodeId;

    #[test]
    fn node_ids_are_upper_case_hex() {
        let cases = [
            ("bb9000000000777", Some("BB9000000000777")),
            ("0A1", Some("A1")),
            ("FFFFFFFFFFFFFFFF", Some("FFFFFFFFFFFFFFFF")),
            ("10000000000000000", None),
            ("0", None),
            ("", None),
            ("+1", None),
            ("xyz", None),
        ];
        for (text, expected) in cases {
            let found = NodeId::parse(text).map(|id| id.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
