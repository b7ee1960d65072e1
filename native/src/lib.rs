//! The native core of fastzarr: fetch, decode and copy chunks into the caller's memory, and back.
//!
//! * Only `python.rs` and the files in `python/` know Python. Without the feature `python` the crate
//!   builds without it, which is how its own tests run.
//! * `read.rs` and `write.rs` run a plan (`plan.rs`); `job.rs` shares the chunks of a call out among the
//!   threads of `pool.rs`. `program/` decodes and encodes one chunk or shard, `encode.rs` splits a
//!   large chunk among threads, `apart.rs` runs what nothing can stop. Below are the copy loop, the codecs and the files of a local store.
//! * The files of a local store are for Unix systems. On others, `local.rs` and what it is made of are
//!   left out, `HAS_FILES` is false, and Python asks the store for bytes. `make platforms` looks.
//! * No two files use each other in a circle; a test in `tests/test_crate.py` looks.
//! * Everything is private. The feature `fuzzing` exports what the fuzz targets and the tests in
//!   `tests/` call.

#![deny(unsafe_op_in_unsafe_fn)]
// A test that runs out of memory may end as it likes.
#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_macros))]
// What only Python calls is seen by nobody without it; the build with the feature finds dead code.
// So does the build for systems on which the extension opens files.
#![cfg_attr(not(all(feature = "python", unix)), allow(dead_code, unused_imports))]

mod apart;
mod codecs;
mod coming;
#[cfg(unix)]
mod commit;
mod copy;
mod encode;
mod ending;
mod error;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod fork;
#[cfg(not(unix))]
mod fork {
    //! Nothing is inherited where there are no forks.

    /// Return the number that differs between a process and its forked children.
    pub fn generation() -> u32 {
        0
    }
}
mod job;
mod keys;
#[cfg(unix)]
mod local;
mod memory;
mod objects;
mod patch;
mod plan;
mod pool;
mod program;
mod read;
mod received;
#[cfg(unix)]
mod root;
mod scarce;
#[cfg(unix)]
mod span;
#[cfg(unix)]
mod sys;
#[cfg(unix)]
mod temporary;
mod write;

#[cfg(feature = "python")]
mod python;

/// What the fuzz targets call. No other program may rely on it.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use crate::codecs::vlen::{Elements, Joined, Kind};
    pub use crate::codecs::{ByteCodec, Contexts, TypedCodec};
    pub use crate::copy::{Shared, Source};
    pub use crate::error::{Error, Result};
    pub use crate::job::{Job, ReadInto, WriteFrom};
    pub use crate::memory::Reserve;
    pub use crate::objects::{Last, Make, Objects, Parts, Pending, Stop, Value};
    pub use crate::plan::{Factor, Out, Part, Plan};
    pub use crate::pool::Tasks;
    pub use crate::program::{Block, Chain, Chunk, Frame, Program, Scratch, Shard};
    pub use crate::read::Run as Reading;
    pub use crate::write::Run as Writing;
}
