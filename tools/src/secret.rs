//! Passwords as they are given: themselves, `env:VARIABLE`, or `file:PATH`.

use std::path::PathBuf;

use thiserror::Error;

/// A password that is not where it was said to be.
#[derive(Debug, Error)]
pub enum SecretError {
    /// In the environment.
    #[error("no variable {0}")]
    NoVariable(String),
    /// In a file.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Where it is.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
}

/// What a person should know who types a password where everybody on the machine sees it.
pub const EXPOSED: &str = "a password on the command line can be read by others on this machine: leave it out to be asked, or give env:VARIABLE or file:PATH";

/// Whether the text is the password itself, and not where it is.
pub fn is_itself(given: &str) -> bool {
    !given.is_empty() && !given.starts_with("env:") && !given.starts_with("file:")
}

/// The password, of a file without the line ends behind it.
///
/// # Errors
/// The variable or the file is not there.
pub fn read(given: &str) -> Result<Vec<u8>, SecretError> {
    if let Some(name) = given.strip_prefix("env:") {
        return match std::env::var_os(name) {
            Some(value) => Ok(value.into_encoded_bytes()),
            None => Err(SecretError::NoVariable(name.to_owned())),
        };
    }
    let Some(path) = given.strip_prefix("file:") else {
        return Ok(given.as_bytes().to_vec());
    };
    let path = PathBuf::from(path);
    let mut text = std::fs::read(&path).map_err(|source| SecretError::Read { path, source })?;
    while text.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        text.pop();
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_itself_or_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "se cret\r\n").unwrap();
        assert_eq!(
            read(&format!("file:{}", path.display())).unwrap(),
            b"se cret"
        );
        assert_eq!(read("plain").unwrap(), b"plain");
        assert!(read("file:/no/such").is_err() && read("env:NO_SUCH_VARIABLE_1").is_err());
        assert!(is_itself("plain") && !is_itself("file:x") && !is_itself("env:x"));
    }
}
