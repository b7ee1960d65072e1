//! How the stored objects of one array are decoded and encoded, as compiled once for the array.
//!
//! A chunk has a chain of codecs; a shard has inner chunks, which may be shards again. So `chunk.rs`
//! and `shard.rs` name each other, the one circle of the crate.

mod chunk;
mod offsets;
mod shard;

pub use chunk::{grow, Peeled, Program, Scratch, SLAB};
pub use offsets::{Frame, Offsets};
pub use shard::{Entry, Shard, MISSING};
