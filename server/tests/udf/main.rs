//! Registry and context pools by their public surface, over contexts that need no Lua.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod durability;
mod fake;
mod pool;
mod race;
mod registry;
