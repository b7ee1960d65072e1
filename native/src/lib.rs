//! The native core of fastzarr: fetch, decode and copy chunks into the caller's memory.
//!
//! * `python.rs`, with the files in `python/`, alone knows Python. Without the feature `python` the crate builds without it, which
//!   is how its own tests run.
//! * A plan is run by `run.rs` and `read.rs`, which know chunks and shards; `chunk.rs` decodes and
//!   encodes one chunk, `encode.rs` on several threads; below are the copy loop, the codecs, files and
//!   the pool of threads.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod chunk;
pub mod codecs;
pub mod commit;
pub mod copy;
pub mod encode;
pub mod error;
pub mod files;
pub mod local;
pub mod objects;
pub mod plan;
pub mod pool;
pub mod read;
pub mod run;
pub mod shard;
pub mod temporary;

#[cfg(feature = "python")]
mod python;
