//! One node as views see it.

/// One node of the cluster picture, reachable or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// `address:port`; the key of its answers.
    pub key: String,
    /// Display name: `fqdn:port`, or the key if there is no name.
    pub name: String,
    /// Node id; `000000000000000` for a node that was not reached.
    pub id: String,
    /// Server version, from `build`; empty for a node that was not reached.
    pub build: String,
    /// Other addresses (`address:port`) at which the node was reached.
    pub aliases: Vec<String>,
    /// False for a peer that is known but was not reached.
    pub alive: bool,
    /// The expected principal: marked `*`, green.
    pub principal: bool,
    /// The node that was reached first: marked `@`, bold cyan, unless it is the principal.
    pub this: bool,
}
