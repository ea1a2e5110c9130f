//! The worked examples of the wire specification, as bytes.

/// Bytes of a hexadecimal text; white space is free.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert!(
        digits.len().is_multiple_of(2),
        "odd number of digits: {text}"
    );
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The digest of key "k1" in set "demo".
pub(crate) const DIGEST: &str = "b747f5854d0b33259928d0cfab7fad81d6abfbf6";

pub(crate) const INFO_REQUEST: &str = "02 01 00 00 00 00 00 06  62 75 69 6c 64 0a";
pub(crate) const INFO_REPLY: &str =
    "02 01 00 00 00 00 00 0e  62 75 69 6c 64 09 38 2e 31 2e 32 2e 30 0a";

pub(crate) const OK_REPLY: &str = "02 03 00 00 00 00 00 16
    16 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00";
pub(crate) const LAST_REPLY: &str = "02 03 00 00 00 00 00 16
    16 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

pub(crate) const GET: &str = "02 03 00 00 00 00 00 41  16 03 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 03 e8 00 03 00 00
    00 00 00 05 00 74 65 73 74
    00 00 00 05 01 64 65 6d 6f
    00 00 00 15 04 b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6";
pub(crate) const GET_REPLY: &str = "02 03 00 00 00 00 00 27
    16 00 00 00 00 00  00 00 00 01  00 00 00 00  00 00 00 00  00 00  00 01
    00 00 00 0d 01 01 00 01 61 00 00 00 00 00 00 00 07";

pub(crate) const PUT: &str = "02 03 00 00 00 00 00 52
    16 00 01 00 00 00  00 00 00 00  00 00 00 00  00 00 03 e8  00 03 00 01
    00 00 00 05 00 74 65 73 74  00 00 00 05 01 64 65 6d 6f
    00 00 00 15 04 b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6
    00 00 00 0d 02 01 00 01 61 00 00 00 00 00 00 00 07";

pub(crate) const UDF: &str = "02 03 00 00 00 00 00 58
    16 00 01 00 00 00  00 00 00 00  00 00 00 00  00 00 03 e8  00 06 00 00
    00 00 00 05 00 74 65 73 74  00 00 00 05 01 64 65 6d 6f
    00 00 00 15 04 b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6
    00 00 00 02 1e 75
    00 00 00 05 1f 65 63 68 6f
    00 00 00 04 20 92 01 05";
pub(crate) const UDF_SUCCESS: &str = "02 03 00 00 00 00 00 2d
    16 00 00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  00 00  00 01
    00 00 00 13 01 01 00 07 53 55 43 43 45 53 53 00 00 00 00 00 00 00 05";
pub(crate) const UDF_NIL: &str = "02 03 00 00 00 00 00 25
    16 00 00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  00 00  00 01
    00 00 00 0b 01 00 00 07 53 55 43 43 45 53 53";
pub(crate) const UDF_FAILURE: &str = "02 03 00 00 00 00 00 29
    16 00 00 00 00 64  00 00 00 00  00 00 00 00  00 00 00 00  00 00  00 01
    00 00 00 0f 01 03 00 07 46 41 49 4c 55 52 45 62 6f 6f 6d";

pub(crate) const BATCH: &str = "02 03 00 00 00 00 00 6e
    16 08 00 00 00 00  00 00 00 00  00 00 00 00  00 00 03 e8  00 01 00 00
    00 00 00 54 29  00 00 00 01  0d
    00 00 00 00  b7 47 f5 85 4d 0b 33 25 99 28 d0 cf ab 7f ad 81 d6 ab fb f6  0e
    00 01 00  00 00  00 00 00 00  00 05 00 00
    00 00 00 05 00 74 65 73 74  00 00 00 05 01 64 65 6d 6f
    00 00 00 02 1e 75  00 00 00 05 1f 65 63 68 6f  00 00 00 03 20 91 05";

pub(crate) const LOGIN_REPLY: &str = "02 02 00 00 00 00 00 22
    00 00 00 02 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 05 05 01 02 03 04  00 00 00 05 06 00 01 51 80";
pub(crate) const USER_BOB: &str = "02 02 00 00 00 00 00 23
    00 00 00 02 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 04 00 62 6f 62  00 00 00 07 0a 01 04 72 65 61 64";
pub(crate) const USERS_END: &str =
    "02 02 00 00 00 00 00 10  00 32 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
pub(crate) const NOT_SUPPORTED: &str =
    "02 02 00 00 00 00 00 10  00 33 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

/// Every whole frame above.
pub(crate) const FRAMES: [&str; 16] = [
    INFO_REQUEST,
    INFO_REPLY,
    OK_REPLY,
    LAST_REPLY,
    GET,
    GET_REPLY,
    PUT,
    UDF,
    UDF_SUCCESS,
    UDF_NIL,
    UDF_FAILURE,
    BATCH,
    LOGIN_REPLY,
    USER_BOB,
    USERS_END,
    NOT_SUPPORTED,
];

/// The body of a frame above.
pub(crate) fn body(frame: &str) -> Vec<u8> {
    bytes(frame).split_off(8)
}
