//! The `bz2` of numcodecs, which is the `bzip2` of N5: one or more streams of bzip2.
//!
//! * The library is a port of bzip2 to Rust, which is called by its C interface, because the safe
//!   wrapper ends the process if there is no memory for its state.

use std::ffi::{c_int, c_uint};

use libbz2_rs_sys as sys;

use crate::codecs::codec::number;
use crate::codecs::streams::{damaged, Kind, Step, Stream, Streamed};
use crate::error::{Error, Result};

const STAGE: &str = "bz2";
/// What a stream begins with.
const MAGIC: &[u8] = b"BZh";
/// About the bytes that the library's state takes for a block of 100,000 bytes.
const STATE: usize = 800_000;

/// How to encode, and what follows the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The size of a block, in units of 100,000 bytes: from 1 to 9.
    level: c_int,
    /// Whether padding is ignored if the decoded size is known.
    padded: bool,
}

impl Streamed for Params {
    const STAGE: &'static str = STAGE;
    // Of data whose bytes nearly all repeat each other.
    const PROMPTLY: usize = 1 << 17;

    /// The numbers are the level, and whether padding is ignored.
    fn from_numbers(numbers: &[i64]) -> Option<Params> {
        let level = number(numbers, 0)?;
        (1..=9).contains(&level).then_some(Params {
            level,
            padded: number::<u8>(numbers, 1)? != 0,
        })
    }

    fn kind(&self) -> Kind {
        Kind {
            stage: STAGE,
            magic: Some(MAGIC),
            padded: self.padded,
        }
    }

    fn decoder(&self) -> Result<impl Stream> {
        Decoder::new()
    }

    fn encoder(&self) -> Result<impl Stream> {
        Encoder::new(self.level)
    }
}

/// The library's state. It is checked to stay where it was made.
type State = Box<sys::bz_stream>;

/// Return a state that is not begun. The library allocates by `malloc`.
fn state() -> State {
    Box::new(sys::bz_stream {
        next_in: std::ptr::null(),
        avail_in: 0,
        total_in_lo32: 0,
        total_in_hi32: 0,
        next_out: std::ptr::null_mut(),
        avail_out: 0,
        total_out_lo32: 0,
        total_out_hi32: 0,
        state: std::ptr::null_mut(),
        bzalloc: None,
        bzfree: None,
        opaque: std::ptr::null_mut(),
    })
}

/// Return how many bytes `run` has read and written, and what it has returned.
fn step(
    state: &mut State,
    src: &[u8],
    dst: &mut [u8],
    run: impl FnOnce(*mut sys::bz_stream) -> c_int,
) -> (Step, c_int) {
    state.next_in = src.as_ptr().cast();
    state.avail_in = src.len() as c_uint;
    state.next_out = dst.as_mut_ptr().cast();
    state.avail_out = dst.len() as c_uint;
    let code = run(&mut **state);
    let step = Step {
        read: src.len() - state.avail_in as usize,
        wrote: dst.len() - state.avail_out as usize,
        ended: code == sys::BZ_STREAM_END,
    };
    state.next_in = std::ptr::null();
    state.next_out = std::ptr::null_mut();
    (step, code)
}

struct Decoder(State);

impl Decoder {
    fn new() -> Result<Decoder> {
        let mut state = state();
        // SAFETY: the state is writable, and has no allocator of its own.
        match unsafe { sys::BZ2_bzDecompressInit(&mut *state, 0, 0) } {
            sys::BZ_OK => Ok(Decoder(state)),
            _ => Err(Error::memory(STAGE, STATE)),
        }
    }
}

impl Stream for Decoder {
    fn step(&mut self, src: &[u8], dst: &mut [u8], _last: bool) -> Result<Step> {
        let (step, code) = step(&mut self.0, src, dst, |state| {
            // SAFETY: the state was begun for decoding and has not moved; it has the memory of `src`
            // and `dst`, whose sizes fit its fields.
            unsafe { sys::BZ2_bzDecompress(state) }
        });
        match code {
            sys::BZ_OK | sys::BZ_STREAM_END => Ok(step),
            sys::BZ_MEM_ERROR => Err(Error::memory(STAGE, 9 * STATE)),
            sys::BZ_DATA_ERROR_MAGIC => Err(damaged(STAGE, "it does not begin as bzip2")),
            _ => Err(damaged(STAGE, "it is damaged")),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state was begun for decoding, and is not used again.
        unsafe { sys::BZ2_bzDecompressEnd(&mut *self.0) };
    }
}

struct Encoder(State);

impl Encoder {
    fn new(level: c_int) -> Result<Encoder> {
        let mut state = state();
        // SAFETY: the state is writable, and has no allocator of its own.
        match unsafe { sys::BZ2_bzCompressInit(&mut *state, level, 0, 0) } {
            sys::BZ_OK => Ok(Encoder(state)),
            _ => Err(Error::memory(STAGE, level as usize * STATE)),
        }
    }
}

impl Stream for Encoder {
    fn step(&mut self, src: &[u8], dst: &mut [u8], last: bool) -> Result<Step> {
        let action = if last { sys::BZ_FINISH } else { sys::BZ_RUN };
        let (step, code) = step(&mut self.0, src, dst, |state| {
            // SAFETY: as for the decoder; this state was begun for encoding.
            unsafe { sys::BZ2_bzCompress(state, action) }
        });
        match code {
            sys::BZ_RUN_OK | sys::BZ_FINISH_OK | sys::BZ_STREAM_END => Ok(step),
            _ => Err(Error::codec(STAGE, format!("the library returns {code}"))),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state was begun for encoding, and is not used again.
        unsafe { sys::BZ2_bzCompressEnd(&mut *self.0) };
    }
}
