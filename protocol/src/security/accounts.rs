//! Users and roles as the replies of `QUERY_USERS` and `QUERY_ROLES` tell them.

use std::fmt;

use super::{FieldId, SecurityError, Unit};
use crate::cursor::Cursor;

/// Names of privileges and their numbers.
pub const PRIVILEGES: &[(&str, u8)] = &[
    ("user-admin", 0),
    ("sys-admin", 1),
    ("data-admin", 2),
    ("udf-admin", 3),
    ("sindex-admin", 4),
    ("read", 10),
    ("read-write", 11),
    ("read-write-udf", 12),
    ("write", 13),
    ("truncate", 14),
    ("masking-admin", 15),
    ("read-masked", 16),
    ("write-masked", 17),
];

/// Privileges from this number on can be limited to a namespace and set.
pub const FIRST_DATA_PRIVILEGE: u8 = 10;

/// What a role may do, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Privilege {
    /// See [`PRIVILEGES`]; others are kept as they are.
    pub number: u8,
    /// Empty: in all of them.
    pub namespace: String,
    /// Empty: in all sets.
    pub set: String,
}

impl fmt::Display for Privilege {
    /// `read.test.users`, as tools write it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match PRIVILEGES.iter().find(|(_, known)| *known == self.number) {
            Some((name, _)) => out.write_str(name)?,
            None => write!(out, "privilege-{}", self.number)?,
        }
        for limit in [&self.namespace, &self.set] {
            if !limit.is_empty() {
                write!(out, ".{limit}")?;
            }
        }
        Ok(())
    }
}

/// What a user reads or writes, records a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The limit; 0 is none.
    pub quota: u32,
    /// Commands on single records.
    pub single: u32,
    /// Records of queries with a limit.
    pub limited: u32,
    /// Number of queries without one.
    pub limitless: u32,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// Names of its roles.
    pub roles: Vec<String>,
    /// What it reads; none where the server does not tell.
    pub read: Option<Rates>,
    /// What it writes.
    pub write: Option<Rates>,
    /// Open connections.
    pub connections: Option<u32>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name.
    pub name: String,
    /// What it allows.
    pub privileges: Vec<Privilege>,
    /// Addresses from which its users may connect; empty: from all.
    pub allowlist: Vec<String>,
    /// Records a second that a user of it may read.
    pub read_quota: Option<u32>,
    /// The same for writing.
    pub write_quota: Option<u32>,
}

impl User {
    /// The user that a unit tells.
    ///
    /// # Errors
    /// It names none, or a list or number in it is cut short.
    pub fn parse(unit: &Unit<'_>) -> Result<Self, SecurityError> {
        let bad = SecurityError::Account;
        Ok(Self {
            name: name(unit, FieldId::USER)?,
            roles: match unit.get(FieldId::ROLES) {
                Some(data) => names(data).ok_or(bad)?,
                None => Vec::new(),
            },
            read: told(unit, FieldId::READ_INFO, rates)?,
            write: told(unit, FieldId::WRITE_INFO, rates)?,
            connections: told(unit, FieldId::CONNECTIONS, number)?,
        })
    }
}

impl Role {
    /// The role that a unit tells.
    ///
    /// # Errors
    /// It names none, or a list or number in it is cut short.
    pub fn parse(unit: &Unit<'_>) -> Result<Self, SecurityError> {
        let allowlist = unit.get(FieldId::WHITELIST).unwrap_or_default();
        Ok(Self {
            name: name(unit, FieldId::ROLE)?,
            privileges: match unit.get(FieldId::PRIVILEGES) {
                Some(data) => privileges(data).ok_or(SecurityError::Account)?,
                None => Vec::new(),
            },
            allowlist: text(allowlist)
                .split(',')
                .filter(|address| !address.is_empty())
                .map(str::to_owned)
                .collect(),
            read_quota: told(unit, FieldId::READ_QUOTA, number)?,
            write_quota: told(unit, FieldId::WRITE_QUOTA, number)?,
        })
    }
}

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn name(unit: &Unit<'_>, id: FieldId) -> Result<String, SecurityError> {
    unit.get(id)
        .filter(|name| !name.is_empty())
        .map(text)
        .ok_or(SecurityError::Account)
}

/// A field that may be left out, and is read where it is there.
fn told<T>(
    unit: &Unit<'_>,
    id: FieldId,
    read: fn(&[u8]) -> Option<T>,
) -> Result<Option<T>, SecurityError> {
    let field = unit
        .get(id)
        .map(|data| read(data).ok_or(SecurityError::Account));
    field.transpose()
}

fn number(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_be_bytes)
}

/// A text with its length before it.
fn short(cursor: &mut Cursor<'_>) -> Option<String> {
    let size = cursor.u8()?;
    cursor.take(size.into()).map(text)
}

fn names(data: &[u8]) -> Option<Vec<String>> {
    let mut cursor = Cursor::new(data);
    let count = cursor.u8()?;
    (0..count).map(|_| short(&mut cursor)).collect()
}

fn privileges(data: &[u8]) -> Option<Vec<Privilege>> {
    let mut cursor = Cursor::new(data);
    let count = cursor.u8()?;
    let read = |_| {
        let number = cursor.u8()?;
        let limited = number >= FIRST_DATA_PRIVILEGE;
        let mut limit = || {
            if limited {
                short(&mut cursor)
            } else {
                Some(String::new())
            }
        };
        Some(Privilege {
            number,
            namespace: limit()?,
            set: limit()?,
        })
    };
    (0..count).map(read).collect()
}

/// As many numbers as the list says that it has, of at most four; those that it does not have are 0.
fn rates(data: &[u8]) -> Option<Rates> {
    let mut cursor = Cursor::new(data);
    let count = cursor.u8()?;
    let mut numbers = [0; 4];
    for place in numbers.iter_mut().take(count.into()) {
        *place = cursor.u32()?;
    }
    let [quota, single, limited, limitless] = numbers;
    Some(Rates {
        quota,
        single,
        limited,
        limitless,
    })
}
