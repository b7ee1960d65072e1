//! How the stored objects of one array are decoded and encoded, compiled once for the array.
//!
//! A chunk is a chain of codecs and the block of memory it decodes to; of one chain there may be
//! blocks of several shapes. A program is a chunk, or a shard whose inner chunks have a program again.

mod block;
mod chain;
mod chunk;
mod offsets;
mod shard;

pub use self::block::{Block, SLAB};
pub use self::chain::{encode_by, Chain, Peeled};
pub use self::chunk::{Chunk, Part, Scratch};
pub use self::offsets::{Frame, Offsets};
pub use self::shard::{Entry, Fitted, Program, Shard, MISSING};
