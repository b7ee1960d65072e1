//! The compressors inside Blosc's streams.
//!
//! * Every stream has a size that the caller knows; a stream of another size is an error.
//! * The state of a compressor is made when first used, and kept.
//! * LZ4 is the C library, called through `LZ4_decompress_safe`; zstd, libdeflate and Snappy come
//!   through crates that check lengths.

use super::frame::{fail, Compressor, Format, Params, STAGE};
use crate::codecs::{blosclz, codec, deflate, zstd};
use crate::error::{Error, Result};
use crate::memory;

/// What a thread keeps from call to call: scratch memory and the compressors' state.
#[derive(Default)]
pub struct Context {
    /// A block, filtered.
    pub(super) block: Vec<u8>,
    /// A compressed stream, or a decoded part that is larger than requested.
    pub(super) piece: Vec<u8>,
    pub(super) codecs: Codecs,
}

impl codec::Context for Context {
    fn footprint(&self) -> usize {
        let zstd = zstd::footprint(self.codecs.zstd_out.as_ref(), self.codecs.zstd_in.as_ref());
        self.block.capacity() + self.piece.capacity() + zstd
    }
}

/// Return `len` bytes of scratch, which are zeroed once and then left as they are.
pub(super) fn scratch(buffer: &mut Vec<u8>, len: usize) -> Result<&mut [u8]> {
    memory::grown(buffer, len, STAGE)
}

/// Return the memory that a compressor gets for its output. Snappy needs its worst case; the others
/// can give up.
pub(super) fn room_for(compressor: Compressor, size: usize) -> usize {
    match compressor {
        Compressor::Snappy => snap::raw::max_compress_len(size),
        _ => size,
    }
}

/// The state of the compressors, made when first used.
#[derive(Default)]
pub(super) struct Codecs {
    blosclz: blosclz::Table,
    lz4hc: Vec<u64>,
    snappy: Option<snap::raw::Encoder>,
    inflate: Option<deflate::Decoder>,
    deflate: Option<deflate::Encoder>,
    zstd_out: Option<zstd_safe::DCtx<'static>>,
    zstd_in: Option<zstd_safe::CCtx<'static>>,
}

extern "C" {
    // The `lz4-sys` crate compiles these, but does not declare them.
    fn LZ4_decompress_safe_partial(
        src: *const std::ffi::c_char,
        dst: *mut std::ffi::c_char,
        src_size: i32,
        target: i32,
        capacity: i32,
    ) -> i32;
    fn LZ4_compress_HC_extStateHC(
        state: *mut std::ffi::c_void,
        src: *const std::ffi::c_char,
        dst: *mut std::ffi::c_char,
        src_size: i32,
        capacity: i32,
        level: i32,
    ) -> i32;
    fn LZ4_sizeofStateHC() -> i32;
}

/// Return the size that zstd found, or `None` if it failed for any reason but a lack of memory.
fn fitted(found: zstd_safe::SafeResult, size: usize) -> Result<Option<usize>> {
    match found {
        Err(code) if zstd::starved(code) => Err(Error::memory(STAGE, size.max(zstd::CONTEXT))),
        found => Ok(found.ok()),
    }
}

/// Return a length as a C int. None here is too large; one that was would be refused as too short.
fn c_len(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(0)
}

impl Codecs {
    /// Decode at least the first `need` bytes of a stream that fills `dst` exactly.
    pub(super) fn decode(
        &mut self,
        format: Format,
        src: &[u8],
        dst: &mut [u8],
        need: usize,
    ) -> Result<()> {
        let (found, need) = match format {
            Format::BloscLz => (blosclz::decode(src, dst), dst.len()),
            Format::Lz4 => {
                let partial = need < dst.len();
                if partial {
                    // For a match of distance 0 at the end of a partial call, the library leaves
                    // memory as it was; elsewhere it writes zeros.
                    dst[..need].fill(0);
                }
                let (from, to) = (src.as_ptr().cast(), dst.as_mut_ptr().cast());
                let (from_len, to_len) = (c_len(src), c_len(dst));
                // SAFETY: the library reads `src` and writes `dst` inside the lengths given, which
                // are at most theirs, whatever the bytes are.
                let n = unsafe {
                    if partial {
                        let target = need.min(to_len as usize) as i32;
                        LZ4_decompress_safe_partial(from, to, from_len, target, to_len)
                    } else {
                        lz4_sys::LZ4_decompress_safe(from, to, from_len, to_len)
                    }
                };
                let n = usize::try_from(n).ok();
                if partial {
                    (n.map(|n| n.min(need)), need)
                } else {
                    (n, dst.len())
                }
            }
            Format::Snappy => {
                // The decoder checks that the stated size fits before it starts.
                let n = snap::raw::Decoder::new().decompress(src, dst);
                (n.ok(), dst.len())
            }
            Format::Zlib => {
                let inflate = match &mut self.inflate {
                    Some(inflate) => inflate,
                    slot => slot.insert(deflate::Decoder::new(STAGE)?),
                };
                (inflate.zlib(src, dst), dst.len())
            }
            Format::Zstd => {
                let context = match &mut self.zstd_out {
                    Some(context) => context,
                    slot => slot.insert(
                        zstd_safe::DCtx::try_create()
                            .ok_or_else(|| Error::memory(STAGE, zstd::CONTEXT))?,
                    ),
                };
                (fitted(context.decompress(dst, src), src.len())?, dst.len())
            }
        };
        match found {
            Some(n) if n == need => Ok(()),
            Some(n) => Err(fail(format!(
                "expected {need} decoded bytes in a {format:?} stream, found {n}"
            ))),
            None => Err(fail(format!(
                "a {format:?} stream of {} bytes does not decode to {}",
                src.len(),
                dst.len()
            ))),
        }
    }

    /// Encode a stream into `dst` and return its size, or `None` if it does not fit.
    pub(super) fn encode(
        &mut self,
        params: &Params,
        src: &[u8],
        dst: &mut [u8],
    ) -> Result<Option<usize>> {
        let level = params.level;
        Ok(match params.compressor {
            Compressor::BloscLz => blosclz::encode(src, dst, level, self.blosclz.ready()?),
            Compressor::Lz4 => {
                let acceleration = 10 - i32::from(level);
                // SAFETY: the library reads `src` and writes `dst` inside the lengths given.
                let n = unsafe {
                    lz4_sys::LZ4_compress_fast(
                        src.as_ptr().cast(),
                        dst.as_mut_ptr().cast(),
                        c_len(src),
                        c_len(dst),
                        acceleration,
                    )
                };
                usize::try_from(n).ok().filter(|n| *n > 0)
            }
            Compressor::Lz4hc => {
                // SAFETY: a constant of the library.
                let size = usize::try_from(unsafe { LZ4_sizeofStateHC() }).unwrap_or(0);
                let words = size.div_ceil(8);
                if self.lz4hc.len() < words {
                    memory::resize(&mut self.lz4hc, words, 0, STAGE)?;
                }
                // SAFETY: the state has the size asked for and the alignment of eight that it
                // needs; the library reads `src` and writes `dst` inside the lengths given.
                let n = unsafe {
                    LZ4_compress_HC_extStateHC(
                        self.lz4hc.as_mut_ptr().cast(),
                        src.as_ptr().cast(),
                        dst.as_mut_ptr().cast(),
                        c_len(src),
                        c_len(dst),
                        i32::from(level),
                    )
                };
                usize::try_from(n).ok().filter(|n| *n > 0)
            }
            Compressor::Snappy => {
                let snappy = self.snappy.get_or_insert_with(snap::raw::Encoder::new);
                snappy.compress(src, dst).ok()
            }
            Compressor::Zlib => {
                let level = i32::from(level);
                let deflate = match &mut self.deflate {
                    Some(deflate) if deflate.level == level => deflate,
                    slot => slot.insert(deflate::Encoder::new(level, STAGE)?),
                };
                deflate.zlib(src, dst)
            }
            Compressor::Zstd => {
                let context = match &mut self.zstd_in {
                    Some(context) => context,
                    slot => slot.insert(
                        zstd_safe::CCtx::try_create()
                            .ok_or_else(|| Error::memory(STAGE, zstd::CONTEXT))?,
                    ),
                };
                let level = params.zstd_level();
                fitted(context.compress(dst, src, level), src.len())?
            }
        })
    }
}
