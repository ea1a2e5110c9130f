//! The content of a module as clients send it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

/// Source files are smaller than this, bytes; counted from the base64 length, padding included.
pub(crate) const MAX_SOURCE: usize = 1 << 20;

/// Left-over bits of the last character may have any value, as in the real server.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decodes the content of a `udf-put`; none when it is empty or no base64.
#[must_use]
pub(crate) fn decode_content(content64: &[u8]) -> Option<Vec<u8>> {
    if content64.is_empty() {
        return None;
    }
    BASE64.decode(content64).ok()
}
