//! Removing all records of a set or a namespace.

use bytes::BytesMut;
use protocol::info::InfoError;
use protocol::limits::{MAX_NAMESPACE_NAME, MAX_SET_NAME};
use protocol::result_code::ResultCode;

use super::Call;
use super::fields::text;
use crate::clock;
use crate::cluster::TruncateRequest;
use crate::record::TruncateError;
use crate::storage::answer::wait_on_this_thread;

const IN_FUTURE: &str = "would truncate in the future";

/// `truncate:namespace=NS;set=SET[;lut=NS]`
pub(super) fn truncate(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let namespace = namespace_name(call)?;
    let set = call.params.required_at_most("set", MAX_SET_NAME)?;
    run(call, namespace, Some(set), out)
}

/// `truncate-namespace:namespace=NS[;lut=NS]`
pub(super) fn truncate_namespace(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    let namespace = namespace_name(call)?;
    if call.params.get("set").is_some() {
        return Err(InfoError::parameter("unexpected set name"));
    }
    run(call, namespace, None, out)
}

/// `truncate-undo:namespace=NS;set=SET`: truncated records are gone, so there is nothing left to undo. Answered as by a
/// server that has nothing truncated.
pub(super) fn undo(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    namespace_name(call)?;
    call.params.required_at_most("set", MAX_SET_NAME)?;
    text(out, "ok");
    Ok(())
}

/// `truncate-namespace-undo:namespace=NS`
pub(super) fn undo_namespace(call: &Call<'_>, out: &mut BytesMut) -> Result<(), InfoError> {
    namespace_name(call)?;
    text(out, "ok");
    Ok(())
}

fn namespace_name<'a>(call: &Call<'a>) -> Result<&'a str, InfoError> {
    let refused = |text| Err(InfoError::new(ResultCode::NAMESPACE, text));
    match call.namespace_name() {
        None => refused("missing 'namespace'"),
        Some("") => refused("missing 'namespace' value"),
        Some(name) if name.len() > MAX_NAMESPACE_NAME => refused("'namespace' value too long"),
        Some(name) => Ok(name),
    }
}

fn run(
    call: &Call<'_>,
    namespace: &str,
    set: Option<&str>,
    out: &mut BytesMut,
) -> Result<(), InfoError> {
    let lut = match call.params.get("lut") {
        None => None,
        Some("") => return Err(InfoError::parameter("missing 'lut' value")),
        Some(lut) => Some(checked_lut(unsigned_long(lut))?),
    };
    let request = TruncateRequest {
        namespace: namespace.to_owned(),
        set: set.map(str::to_owned),
        lut,
    };
    // A namespace that is not on this node is no error: the command speaks for the whole cluster.
    if let Some(namespace) = call.node.namespace(namespace) {
        let truncated = wait_on_this_thread(request.apply(namespace));
        truncated.map_err(|error| match error {
            TruncateError::Future => InfoError::parameter(IN_FUTURE),
            TruncateError::Storage(error) => InfoError::new(error.result_code(), error.to_string()),
        })?;
    }
    if let Some(mesh) = &call.node.mesh {
        mesh.truncate(&request).map_err(|(node, reason)| {
            let text = format!("node {node} may have kept its records: {reason}");
            InfoError::new(ResultCode::TIMEOUT, text)
        })?;
    }
    text(out, "ok");
    Ok(())
}

/// Refuses a time, in nanoseconds since 1970, up to which nothing can have been written: up to the first millisecond of
/// 2010, and in the future.
fn checked_lut(lut: u64) -> Result<u64, InfoError> {
    let since_2010_ms = (lut / 1_000_000).saturating_sub(clock::EPOCH_UNIX_SECONDS * 1_000);
    match since_2010_ms {
        0 => Err(InfoError::parameter("would truncate to 0")),
        ms if ms > clock::epoch_ms() => Err(InfoError::parameter(IN_FUTURE)),
        _ => Ok(lut),
    }
}

/// A number as C reads it (`strtoul` with base 0): blanks, a sign, `0x` for sixteen and `0` for eight as base, digits. What
/// follows them is not looked at; without digits it is 0, a negative number wraps, one too large is the largest.
fn unsigned_long(text: &str) -> u64 {
    let blank = |c: char| c.is_ascii_whitespace() || c == '\u{b}';
    let text = text.trim_start_matches(blank);
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = text
        .strip_prefix("0x")
        .or_else(|| text.strip_prefix("0X"))
        .filter(|digits| digits.starts_with(|c: char| c.is_ascii_hexdigit()));
    let (base, digits) = match hexadecimal {
        Some(digits) => (16, digits),
        None if text.starts_with('0') => (8, text),
        None => (10, text),
    };
    let mut value = 0_u64;
    for digit in digits.chars().map_while(|c| c.to_digit(base)) {
        let next = value.checked_mul(base.into());
        match next.and_then(|next| next.checked_add(digit.into())) {
            Some(next) => value = next,
            None => return u64::MAX,
        }
    }
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_does() {
        for (text, value) in [
            ("", 0),
            ("abc", 0),
            ("5", 5),
            (" \t+5x", 5),
            ("-1", u64::MAX),
            ("-5", u64::MAX - 4),
            ("1e9", 1),
            ("1.5", 1),
            ("0x10", 16),
            ("0X1fg", 31),
            ("0x", 0),
            ("010", 8),
            ("09", 0),
            ("18446744073709551615", u64::MAX),
            ("18446744073709551616", u64::MAX),
            ("99999999999999999999999x", u64::MAX),
        ] {
            assert_eq!(unsigned_long(text), value, "{text:?}");
        }
    }

    #[test]
    fn times_at_the_edges_are_refused() {
        let refused = |lut| checked_lut(lut).map_err(|error| error.to_string()).is_err();
        let first = clock::EPOCH_UNIX_SECONDS * 1_000_000_000;
        for (lut, expected) in [
            (0, true),
            (first, true),
            (first + 999_999, true),
            (first + 1_000_000, false),
            (u64::MAX, true),
        ] {
            assert_eq!(refused(lut), expected, "{lut}");
        }
    }
}
