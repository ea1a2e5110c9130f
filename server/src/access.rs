//! Who asks, and whether they may: the one place where a command or message is allowed or not.
//!
//! Both dispatches, of info commands and of messages, ask [`authorize`] before anything is done. There are no users yet,
//! as in the community edition without security, so the answer is always yes.

use protocol::result_code::ResultCode;

/// What a user must be allowed to do, by Aerospike's names. Without security everyone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Nothing.
    None,
    /// `read`: records are read.
    Read,
    /// `write`: records are written or deleted.
    Write,
    /// `read-write`: both.
    ReadWrite,
    /// `read-write-udf`: a UDF is called, which may do both.
    ReadWriteUdf,
    /// `udf-admin`
    UdfAdmin,
    /// `sindex-admin`
    SindexAdmin,
    /// `truncate`
    Truncate,
    /// `sys-admin`
    SysAdmin,
}

/// Where a session comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Origin {
    #[default]
    Clients,
    Admin,
    Node,
}

/// The identity of who asks: one for each connection.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    origin: Origin,
    may: fn(Permission) -> bool,
}

impl Session {
    fn of(origin: Origin) -> Self {
        Self {
            origin,
            may: |_| true,
        }
    }

    /// Who came in on the clients' port.
    #[must_use]
    pub fn client() -> Self {
        Self::of(Origin::Clients)
    }

    /// Who came in on the admin port.
    #[must_use]
    pub fn admin() -> Self {
        Self::of(Origin::Admin)
    }

    /// Another node, which passes on what it has allowed itself.
    #[must_use]
    pub fn node() -> Self {
        Self::of(Origin::Node)
    }

    /// Whether it came in on the admin port.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.origin == Origin::Admin
    }

    /// Whether it is another node.
    #[must_use]
    pub fn is_node(&self) -> bool {
        self.origin == Origin::Node
    }

    /// A client that may do what the rule says.
    #[cfg(test)]
    pub(crate) fn with_rule(may: fn(Permission) -> bool) -> Self {
        Self {
            may,
            ..Self::client()
        }
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::client()
    }
}

/// Whether who asks may do it.
///
/// # Errors
/// [`ResultCode::SEC_ROLE_VIOLATION`]: nothing may be done.
pub fn authorize(session: &Session, permission: Permission) -> Result<(), ResultCode> {
    match (session.may)(permission) {
        true => Ok(()),
        false => Err(ResultCode::SEC_ROLE_VIOLATION),
    }
}
