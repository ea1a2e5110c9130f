//! Proofs by the public surface, one module a room of the crate.

#[cfg(feature = "client")]
#[cfg(test)]
mod client;
#[cfg(test)]
mod compress;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod hex;
#[cfg(test)]
mod info;
#[cfg(test)]
mod key;
#[cfg(test)]
mod message;
#[cfg(test)]
mod msgpack;
#[cfg(test)]
mod particle;
#[cfg(test)]
mod result_code;
#[cfg(test)]
mod security;
#[cfg(test)]
mod value;
