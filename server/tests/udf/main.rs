//! Registry and context pools by their public surface, over contexts that need no Lua.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod ask;
mod durability;
mod fake;
mod golden;
mod pool;
mod race;
mod registry;
mod replica;
