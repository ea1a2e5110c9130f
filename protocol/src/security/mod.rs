//! Login and administration of users and roles (type 2).
//!
//! ```text
//! body:   one unit, in lists several:  | 16 bytes header | n_fields fields |
//! header: | u8 scheme 0 | u8 result (requests 0) | u8 command (replies 0) | u8 n_fields | 12 bytes 0 |
//! field:  | u32 size = 1 + n | u8 id | n bytes |
//! ```
//!
//! A community server answers every request with [`ResultCode::SEC_NOT_SUPPORTED`], see [`write_reply`].

mod accounts;

pub use accounts::{FIRST_DATA_PRIVILEGE, PRIVILEGES, Privilege, Rates, Role, User};

use crate::bounds::{Fit as _, Within as _};
use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::codes::codes;
use crate::cursor::{Cursor, length};
use crate::header::{BodyTooLarge, MessageType, OpenFrame};
use crate::result_code::ResultCode;

/// Size of a unit's header, in bytes.
const UNIT_HEADER_SIZE: usize = 16;

codes! {
    /// What a request wants. Numbers without a name are kept as they are.
    Command: "security command", shown full;
    0 = AUTHENTICATE: "begin a further connection with a session token",
    1 = CREATE_USER: "create a user",
    2 = DROP_USER: "remove a user",
    3 = SET_PASSWORD: "set another user's password",
    4 = CHANGE_PASSWORD: "change one's own password",
    5 = GRANT_ROLES: "give a user roles",
    6 = REVOKE_ROLES: "take roles from a user",
    9 = QUERY_USERS: "list users, or one",
    10 = CREATE_ROLE: "create a role",
    11 = DROP_ROLE: "remove a role",
    12 = GRANT_PRIVILEGES: "give a role privileges",
    13 = REVOKE_PRIVILEGES: "take privileges from a role",
    14 = SET_WHITELIST: "set the addresses from which a role may connect",
    15 = SET_QUOTAS: "set the quotas of a role",
    16 = QUERY_ROLES: "list roles, or one",
    20 = LOGIN: "log in, for a session token",
}

codes! {
    /// What a field holds. Numbers without a name are kept as they are.
    FieldId: "security field", shown full;
    0 = USER: "name, at most 63 bytes",
    1 = PASSWORD: "bcrypt text of 60 characters",
    2 = OLD_PASSWORD: "bcrypt text",
    3 = CREDENTIAL: "bcrypt text",
    4 = CLEAR_PASSWORD: "plain text, for external authentication",
    5 = SESSION_TOKEN: "opaque bytes",
    6 = SESSION_TTL: "u32, seconds",
    10 = ROLES: "u8 count, then u8 length and name each",
    11 = ROLE: "name, at most 63 bytes",
    12 = PRIVILEGES: "u8 count, then the privileges",
    13 = WHITELIST: "addresses joined by commas",
    14 = READ_QUOTA: "u32",
    15 = WRITE_QUOTA: "u32",
    16 = READ_INFO: "u8 count, then u32 each",
    17 = WRITE_INFO: "u8 count, then u32 each",
    18 = CONNECTIONS: "u32",
}

/// Why a security message cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecurityError {
    /// Fewer bytes than a unit's header has.
    #[error("security message of {0} bytes is shorter than its header")]
    Header(usize),
    /// A field whose size is 0 or reaches beyond the message.
    #[error("field {0} of the security message is malformed")]
    Field(u8),
    /// A login that succeeded without a session token, or with a time to live of other than 4 bytes.
    #[error("login reply without a valid session")]
    Session,
    /// A user or role without a name, or with a list that is cut short.
    #[error("user or role that cannot be read")]
    Account,
}

/// One unit, a request or a reply, borrowed from the body of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'a> {
    /// How the request ended; 0 in requests.
    pub result: ResultCode,
    /// What the request wants; 0 in replies.
    pub command: Command,
    count: u8,
    fields: &'a [u8],
}

impl<'a> Unit<'a> {
    /// Reads the first unit of a body; gives the rest too.
    pub fn parse_first(body: &'a [u8]) -> Result<(Self, &'a [u8]), SecurityError> {
        let short = SecurityError::Header(body.len());
        let mut cursor = Cursor::new(body);
        let [_, result, command, count] = cursor.array().ok_or(short)?;
        cursor.take(UNIT_HEADER_SIZE - 4).ok_or(short)?;
        let all = cursor.rest();
        for index in 0..count {
            read_field(&mut cursor).ok_or(SecurityError::Field(index))?;
        }
        let fields = all.within(..all.len() - cursor.len());
        let unit = Self {
            result: ResultCode(result),
            command: Command(command),
            count,
            fields,
        };
        Ok((unit, cursor.rest()))
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All fields in the order of the unit.
    pub fn fields(&self) -> impl Iterator<Item = (FieldId, &'a [u8])> + use<'a> {
        let mut cursor = Cursor::new(self.fields);
        std::iter::from_fn(move || read_field(&mut cursor))
    }

    /// Data of the first field with this id.
    pub fn get(&self, id: FieldId) -> Option<&'a [u8]> {
        self.fields()
            .find(|(found, _)| *found == id)
            .map(|(_, data)| data)
    }

    /// The session of a login reply whose result is [`ResultCode::OK`].
    pub fn session(&self) -> Result<Session<'a>, SecurityError> {
        let token = self
            .get(FieldId::SESSION_TOKEN)
            .filter(|token| !token.is_empty())
            .ok_or(SecurityError::Session)?;
        let ttl_s = match self.get(FieldId::SESSION_TTL) {
            Some(data) => Some(
                data.try_into()
                    .map(u32::from_be_bytes)
                    .map_err(|_| SecurityError::Session)?,
            ),
            None => None,
        };
        Ok(Session { token, ttl_s })
    }
}

fn read_field<'a>(cursor: &mut Cursor<'a>) -> Option<(FieldId, &'a [u8])> {
    let size = length(cursor.u32()?);
    let (id, data) = cursor.take(size)?.split_first()?;
    Some((FieldId(*id), data))
}

/// What a login yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session<'a> {
    /// With this further connections authenticate.
    pub token: &'a [u8],
    /// Seconds that it is valid for; `None` is for ever.
    pub ttl_s: Option<u32>,
}

/// Writes a frame with one unit. More than 255 fields do not occur; those above are left out.
pub fn write_unit(
    out: &mut BytesMut,
    result: ResultCode,
    command: Command,
    fields: &[(FieldId, &[u8])],
) -> Result<(), BodyTooLarge> {
    let frame = OpenFrame::begin(out, MessageType::Security);
    let count = fields.len().fit::<u8>();
    out.put_slice(&[0, result.0, command.0, count]);
    out.put_bytes(0, UNIT_HEADER_SIZE - 4);
    for (id, data) in fields.iter().take(count.into()) {
        let Ok(size) = u32::try_from(data.len() + 1) else {
            frame.cancel(out);
            return Err(BodyTooLarge(data.len() as u64));
        };
        out.put_u32(size);
        out.put_u8(id.0);
        out.put_slice(data);
    }
    frame.finish(out)
}

/// Writes a reply without fields: 24 bytes. [`ResultCode::SEC_NOT_SUPPORTED`] is what a community server says to all.
pub fn write_reply(out: &mut BytesMut, result: ResultCode) {
    // A frame of 16 bytes is never too large.
    let _ = write_unit(out, result, Command(0), &[]);
}
