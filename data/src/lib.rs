//! Records and what is done to them, as pure functions over bytes: no clock (time is an argument), no lock, no I/O.
//!
//! | module | subject |
//! |---|---|
//! | [`bin`] | names of bins, and reading them by name |
//! | [`encoded`] | how values lie in stored bytes, and where the items of long ones are |
//! | [`metadata`] | what is known of a record besides its bins |
//! | [`operation`] | what requests do to bins |
//! | [`expression`] | questions about a record, in filters and operations |
//! | [`filter`] | whether a request is about a record at all |
//! | [`geo`] | GeoJSON, points in regions, cells of indexes |
//! | [`particle`] | the form in which a value is stored |
//! | [`record`] | records as they are stored, and the rules about their life |

pub mod bin;
pub mod encoded;
pub mod expression;
pub mod filter;
pub mod geo;
pub mod metadata;
pub mod operation;
pub mod particle;
pub mod record;
pub mod work;
