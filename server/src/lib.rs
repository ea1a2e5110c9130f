//! The server behind `asd`.
