//! Logging in to a node: with a user's password, or as whoever a certificate is for.

use std::time::Duration;

use protocol::client::{Client, ClientError};
use protocol::result_code::ResultCode;
use protocol::security::{Command, FieldId};
use thiserror::Error;

/// Who logs in, and how.
#[derive(Clone)]
pub enum Credential {
    /// A user of the cluster's own, with the password in the form in which it is sent.
    Internal {
        /// The user.
        user: String,
        /// The hash of the password.
        hash: String,
    },
    /// A user whom the node asks another server about, which needs the password itself.
    External {
        /// The user.
        user: String,
        /// The hash of the password.
        hash: String,
        /// The password.
        password: String,
    },
    /// Whoever the certificate of the connection is for.
    Certificate,
}

/// Salt that servers expect, the 16 bytes that `$2a$10$7EqJtq98hPqEX7fNZaFWoO` writes out in bcrypt's base64.
const SALT: [u8; 16] = [
    0xf4, 0x6b, 0x0b, 0xbe, 0xcf, 0xfe, 0x8d, 0x1b, 0x06, 0x67, 0xd8, 0x4f, 0x6d, 0xc1, 0xd8, 0xa9,
];
/// Rounds that servers expect, as a power of two.
const COST: u32 = 10;

/// Why there is no login.
#[derive(Debug, Error)]
pub enum LoginError {
    /// The password cannot be hashed.
    #[error("the password cannot be used: {0}")]
    Password(#[from] bcrypt::BcryptError),
    /// The node refused.
    #[error("Login failed : {0}.")]
    Refused(String),
    /// The node did not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Credential {
    /// A user with a password, whose hash takes some ten milliseconds.
    ///
    /// # Errors
    /// The password cannot be hashed.
    pub fn internal(user: &str, password: &str) -> Result<Self, LoginError> {
        Ok(Self::Internal {
            user: user.to_owned(),
            hash: hash(password)?,
        })
    }

    /// The same for a user whom another server knows.
    ///
    /// # Errors
    /// The password cannot be hashed.
    pub fn external(user: &str, password: &str) -> Result<Self, LoginError> {
        Ok(Self::External {
            user: user.to_owned(),
            hash: hash(password)?,
            password: password.to_owned(),
        })
    }

    /// The user, where one is named.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Internal { user, .. } | Self::External { user, .. } => Some(user),
            Self::Certificate => None,
        }
    }

    fn fields(&self) -> Vec<(FieldId, &[u8])> {
        match self {
            Self::Internal { user, hash } => vec![
                (FieldId::USER, user.as_bytes()),
                (FieldId::CREDENTIAL, hash.as_bytes()),
            ],
            Self::External {
                user,
                hash,
                password,
            } => vec![
                (FieldId::USER, user.as_bytes()),
                (FieldId::CREDENTIAL, hash.as_bytes()),
                (FieldId::CLEAR_PASSWORD, password.as_bytes()),
            ],
            Self::Certificate => Vec::new(),
        }
    }

    /// Logs a connection in, within the limit. A node on which security is switched off lets everybody in.
    ///
    /// # Errors
    /// The node refused, or did not answer.
    pub async fn log_in(&self, client: &mut Client, limit: Duration) -> Result<(), LoginError> {
        let result = client
            .security(Command::LOGIN, &self.fields(), limit, |unit| unit.result)
            .await?;
        match result {
            ResultCode::OK | ResultCode(52) => Ok(()),
            code => Err(LoginError::Refused(reason(code))),
        }
    }
}

/// A password in the form in which it is sent. As all of this hash it tells no more than the first 72 bytes apart.
///
/// # Errors
/// It cannot be hashed.
pub fn hash(password: &str) -> Result<String, LoginError> {
    let hash = bcrypt::hash_with_salt(password, COST, SALT)?;
    Ok(hash.format_for_version(bcrypt::Version::TwoA))
}

/// What a security result means, in the words of the tools.
pub fn reason(code: ResultCode) -> String {
    let name = match code.0 {
        1 => "Unknown server error",
        51 => "Security not supported",
        52 => "Security not enabled",
        54 => "Invalid command",
        55 => "Unrecognized field id",
        56 => "Valid but unexpected commands",
        60 => "No user or unrecognized user",
        61 => "User already exists",
        62 => "No password or bad password",
        63 => "Expired password",
        64 => "Forbidden password",
        65 => "No credential or bad credential",
        66 => "Expired session",
        70 => "No role or invalid role",
        71 => "Role already exists",
        72 => "No privileges or unrecognized privileges",
        73 => "Bad whitelist",
        74 => "Quotas not enabled",
        75 => "Bad rate quota",
        80 => "Not authenticated",
        81 => "Role or privilege violation",
        82 => "Not whitelisted",
        83 => "Rate quota exceeded",
        91 => "Error in ldap setup",
        92 => "Error in ldap tls setup",
        93 => "Unable to authenticate ldap user",
        94 => "Error querying ldap server",
        other => return format!("Error response code ({other})"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_with_the_salt_that_servers_expect() {
        let hash = hash("admin").unwrap();
        assert!(hash.starts_with("$2a$10$7EqJtq98hPqEX7fNZaFWoO"));
        assert_eq!(hash.len(), 60);
        assert!(bcrypt::verify("admin", &hash).unwrap());
    }
}
