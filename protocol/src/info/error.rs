use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::info::Params;
use crate::result_code::ResultCode;

/// An error value that a server writes: `ERROR:<code>:<text>`, the number left empty for code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoError {
    /// The code.
    pub code: ResultCode,
    /// What is wrong, lower case.
    pub text: Cow<'static, str>,
}

impl InfoError {
    /// An error of this code.
    pub fn new(code: ResultCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// Code 4.
    pub fn parameter(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ResultCode::PARAMETER, text)
    }

    /// The answer to a command that does not exist.
    pub fn unrecognized_command() -> Self {
        Self::parameter("unrecognized command")
    }

    /// The answer to a command of another edition.
    pub fn enterprise_only() -> Self {
        Self::new(ResultCode::ENTERPRISE_ONLY, "enterprise only")
    }

    /// The answer to a namespace that does not exist.
    pub fn namespace_not_found() -> Self {
        Self::new(ResultCode::NAMESPACE, "namespace not found on node")
    }
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            ResultCode::UNKNOWN => write!(f, "ERROR::{}", self.text),
            ResultCode(code) => write!(f, "ERROR:{code}:{}", self.text),
        }
    }
}

impl std::error::Error for InfoError {}

/// An error value that a client has read, of any server version.
///
/// | form | where |
/// |------|-------|
/// | `ERROR:<code>:<text>`, also with `=`, without code or text | servers since 7 |
/// | `FAIL:<code>:<text>`, likewise | older servers |
/// | `error=<word>;file=<f>;line=<n>;message=<base64>` | UDF commands |
/// | the first two with `;file=…;line=…;message=…` behind the text | UDF commands of some versions |
///
/// Upper and lower case are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code; [`ResultCode::UNKNOWN`] when the server gave none.
    pub code: ResultCode,
    /// The server's text or word, possibly empty.
    pub text: String,
    /// The source file that a UDF command complains about.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// What is wrong there, decoded; as received when it is no base64.
    pub message: Option<String>,
}

impl Failure {
    /// The error that a value is, or `None` when it is none.
    pub fn of(value: &str) -> Option<Self> {
        let word = ["ERROR", "FAIL"].into_iter().find(|word| {
            value
                .get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        })?;
        let rest = value.get(word.len()..)?;
        let Some(rest) = rest.strip_prefix([':', '=']) else {
            return rest.is_empty().then(|| Self::parse(""));
        };
        Some(Self::parse(rest))
    }

    /// `rest` is what stands behind `ERROR:`.
    fn parse(rest: &str) -> Self {
        let (code, text) = match rest.split_once([':', '=']) {
            Some(("", text)) => (ResultCode::UNKNOWN, text),
            Some((number, text)) => match number.parse() {
                Ok(code) => (ResultCode(code), text),
                Err(_) => (ResultCode::UNKNOWN, rest),
            },
            None => match rest.parse() {
                Ok(code) => (ResultCode(code), ""),
                Err(_) => (ResultCode::UNKNOWN, rest),
            },
        };
        let (text, details) = text.split_once(';').unwrap_or((text, ""));
        let details = Params {
            text: details.as_bytes(),
        };
        Self {
            code,
            text: text.to_owned(),
            file: details.get("file").map(str::to_owned),
            line: details.get("line").and_then(|line| line.parse().ok()),
            message: details.bytes("message").map(|encoded| {
                let decoded = STANDARD
                    .decode(encoded)
                    .unwrap_or_else(|_| encoded.to_vec());
                String::from_utf8_lossy(&decoded).into_owned()
            }),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.text.as_str(), self.code) {
            ("", code) => write!(f, "{code}")?,
            (text, ResultCode::UNKNOWN) => f.write_str(text)?,
            (text, ResultCode(code)) => write!(f, "{text} ({code})")?,
        }
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " at {file}:{line}")?,
            (Some(file), None) => write!(f, " in {file}")?,
            (None, Some(line)) => write!(f, " at line {line}")?,
            (None, None) => {}
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
