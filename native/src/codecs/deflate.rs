//! The `gzip` codec (RFC 1952) and numcodecs' `zlib` (RFC 1950).
//!
//! * gzip data is one or more members; a zlib stream stands alone. Anything else behind the end is an
//!   error, unless it is ignored as padding: if the user allows that, the data before it has the
//!   expected size, and it does not begin as a member does.
//! * libdeflate decodes a member at once into memory of fixed size. If the size is unknown, the
//!   memory is doubled and the member that did not fit is decoded again.
//! * A byte of DEFLATE decodes to at most 1032 bytes. That and the limit bound the memory that is
//!   allocated.
//! * Encoding is deterministic: the header carries no time.
//! * `libdeflate-sys` is called directly, because the safe wrapper does not return where a member
//!   ends.

use std::ffi::c_int;
use std::ptr::NonNull;

use libdeflate_sys as sys;

use crate::codecs::codec::{self, decode_apart, number, Codec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

/// The most bytes that one byte of DEFLATE can decode to: 258 from two bits.
const RATIO: usize = 1032;
/// The bytes that a gzip member begins with.
const MAGIC: [u8; 2] = [0x1F, 0x8B];
/// The most decoded bytes that are decoded without a look at whether to stop: 0.1 s.
const AT_ONCE: usize = 64 << 20;
/// About the bytes that the library's state takes.
const STATE: usize = 1 << 16;
/// The library's own default.
const DEFAULT_LEVEL: c_int = 6;

/// The container of the DEFLATE data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Members with a header and a CRC-32.
    Gzip,
    /// One stream with a header and an Adler-32.
    Zlib,
}

impl Format {
    fn stage(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Zlib => "zlib",
        }
    }
}

/// How to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The container.
    pub format: Format,
    /// From 0, which only stores, to 9; -1 is the default, and larger levels mean 9.
    pub level: i32,
    /// Whether padding is ignored if the decoded size is known.
    pub padded: bool,
}

impl Codec for Params {
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        let format = match name {
            "gzip" => Format::Gzip,
            "zlib" => Format::Zlib,
            _ => return None,
        };
        Some(Params {
            format,
            level: number(numbers, 0)?,
            padded: number::<u8>(numbers, 1)? != 0,
        })
    }

    fn name(&self) -> &'static str {
        self.format.stage()
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        let Some(stop) = stop.filter(|_| dst.len() > AT_ONCE) else {
            return decode(data, dst, self, contexts.of());
        };
        let params = *self;
        decode_apart(data, dst, self.name(), stop, move |data, dst| {
            decode(data, dst, &params, &mut Context::default())
        })
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()> {
        decode_to_vec(data, out, limit, self.format, contexts.of())
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        encode(data, out, self, contexts.of())
    }

    fn promptly(&self) -> usize {
        promptly(self.level)
    }
}

/// Return how many bytes are encoded within some 50 ms at least, at a level.
pub(super) fn promptly(level: i32) -> usize {
    match level {
        0 => 64 << 20,
        1..=3 => 4 << 20,
        -1 | 4..=6 => 2 << 20,
        _ => 1 << 20,
    }
}

/// The library's decoder, and its encoder for the last level, made when first used.
#[derive(Default)]
pub struct Context {
    decoder: Option<Decoder>,
    encoder: Option<Encoder>,
}

impl codec::Context for Context {}

/// Decode data that holds exactly `dst.len()` bytes.
pub fn decode(src: &[u8], dst: &mut [u8], params: &Params, ctx: &mut Context) -> Result<()> {
    let Params { format, padded, .. } = *params;
    let decoder = decoder(format, ctx)?;
    let expected = dst.len();
    let (mut at, mut filled) = (0, 0);
    loop {
        let rest = src.get(at..).unwrap_or_default();
        let room = dst.get_mut(filled..).unwrap_or_default();
        match decoder.member(format, rest, room.as_mut_ptr(), room.len()) {
            Outcome::Done { read, wrote } => {
                at += read;
                filled += wrote;
            }
            Outcome::Full => {
                let what = format!("the {} bytes of data hold more", src.len());
                return Err(wrong_size(format, expected, &what));
            }
            Outcome::Damaged => return Err(damaged(format, src, at)),
        }
        if padded && filled == expected && !begins(format, src, at) {
            break;
        }
        if !more(format, src, at)? {
            break;
        }
    }
    if filled == expected {
        return Ok(());
    }
    let what = format!("the data holds {filled}");
    Err(wrong_size(format, expected, &what))
}

/// Decode data of unknown size, of at most `limit` bytes, and append the result to `out`.
pub fn decode_to_vec(
    src: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    format: Format,
    ctx: &mut Context,
) -> Result<()> {
    let start = out.len();
    let result = collect(src, out, limit, format, ctx);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn collect(
    src: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
    format: Format,
    ctx: &mut Context,
) -> Result<()> {
    let decoder = decoder(format, ctx)?;
    let start = out.len();
    // The data cannot decode to more, so this is never too much memory.
    let most = src.len().saturating_mul(RATIO).min(limit);
    let mut wanted = first_guess(src, format).min(most);
    let mut at = 0;
    loop {
        let filled = out.len() - start;
        let missing = wanted.saturating_sub(filled);
        memory::reserve(out, missing, format.stage())?;
        let rest = src.get(at..).unwrap_or_default();
        let spare = out.spare_capacity_mut();
        let room = spare.len().min(most - filled);
        match decoder.member(format, rest, spare.as_mut_ptr().cast(), room) {
            Outcome::Done { read, wrote } => {
                at += read;
                // SAFETY: the library wrote this many bytes from the vector's end on, and no more
                // than the room it was given there.
                unsafe { out.set_len(out.len() + wrote) };
                if !more(format, src, at)? {
                    return Ok(());
                }
            }
            Outcome::Full if room + filled < most => {
                wanted = (room + filled).saturating_mul(2).clamp(1, most);
            }
            Outcome::Full if most == limit => {
                let message = format!(
                    "the limit is {limit} decoded bytes, but the {} bytes of data hold more",
                    src.len()
                );
                return Err(Error::codec(format.stage(), message));
            }
            Outcome::Full | Outcome::Damaged => return Err(damaged(format, src, at)),
        }
    }
}

/// Encode `src` and append the result to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params, ctx: &mut Context) -> Result<()> {
    let format = params.format;
    let level = if params.level < 0 {
        DEFAULT_LEVEL
    } else {
        params.level.min(9) as c_int
    };
    let encoder = match &mut ctx.encoder {
        Some(encoder) if encoder.level == level => encoder,
        other => other.insert(Encoder::new(level, format.stage())?),
    };
    let bound = encoder.bound(format, src.len());
    memory::reserve(out, bound, format.stage())?;
    let spare = out.spare_capacity_mut();
    let wrote = encoder.encode(format, src, spare.as_mut_ptr().cast(), spare.len());
    if wrote == 0 {
        let message = format!("{} bytes cannot be encoded", src.len());
        return Err(Error::codec(format.stage(), message));
    }
    // SAFETY: the library wrote this many bytes from the vector's end on, into its spare room.
    unsafe { out.set_len(out.len() + wrote) };
    Ok(())
}

/// Whether another member follows at `at`. Bytes that may not follow are an error.
fn more(format: Format, src: &[u8], at: usize) -> Result<bool> {
    let left = src.len().saturating_sub(at);
    if left == 0 || format == Format::Gzip {
        return Ok(left != 0);
    }
    let message = format!("{left} bytes follow the end of the data");
    Err(Error::codec(format.stage(), message))
}

/// Whether the bytes at `at` begin as another member does.
fn begins(format: Format, src: &[u8], at: usize) -> bool {
    format == Format::Gzip && src.get(at..).is_some_and(|rest| rest.starts_with(&MAGIC))
}

/// Return a guess of the decoded size: the size that the last member states, or four times the
/// data.
fn first_guess(src: &[u8], format: Format) -> usize {
    let four = src.len().saturating_mul(4).max(1 << 12);
    match (format, src.last_chunk::<4>()) {
        (Format::Gzip, Some(last)) => four.max(u32::from_le_bytes(*last) as usize),
        _ => four,
    }
}

fn wrong_size(format: Format, expected: usize, what: &str) -> Error {
    let message = format!("expected {expected} decoded bytes, but {what}");
    Error::codec(format.stage(), message)
}

fn damaged(format: Format, src: &[u8], at: usize) -> Error {
    let size = src.len();
    let message = if at >= size {
        format!("the data ends early: {size} bytes found")
    } else if at == 0 {
        format!("{size} bytes of data cannot be decoded: they are damaged or cut short")
    } else {
        format!("what follows at byte {at} of {size} is no member, damaged or cut short")
    };
    Error::codec(format.stage(), message)
}

fn decoder(format: Format, ctx: &mut Context) -> Result<&mut Decoder> {
    match &mut ctx.decoder {
        Some(decoder) => Ok(decoder),
        empty => Ok(empty.insert(Decoder::new(format.stage())?)),
    }
}

enum Outcome {
    Done { read: usize, wrote: usize },
    Full,
    Damaged,
}

/// The library's decoder.
pub(super) struct Decoder(NonNull<sys::libdeflate_decompressor>);

// SAFETY: a decompressor is plain memory that no thread-local state points to; `&mut` keeps a
// second thread from using it meanwhile.
unsafe impl Send for Decoder {}

impl Decoder {
    pub(super) fn new(stage: &'static str) -> Result<Decoder> {
        // SAFETY: the function has no precondition; it returns null without memory.
        NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() })
            .map(Decoder)
            .ok_or_else(|| Error::memory(stage, STATE))
    }

    /// Decode the zlib stream that `src` starts with into `dst`. Return the decoded size, or `None` if
    /// the data is damaged or does not fit.
    pub(super) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        match self.member(Format::Zlib, src, dst.as_mut_ptr(), dst.len()) {
            Outcome::Done { wrote, .. } => Some(wrote),
            Outcome::Full | Outcome::Damaged => None,
        }
    }

    /// Decode the member that `src` starts with into `room` bytes at `dst`, which must be writable.
    fn member(&mut self, format: Format, src: &[u8], dst: *mut u8, room: usize) -> Outcome {
        let (mut read, mut wrote) = (0, 0);
        let run = match format {
            Format::Gzip => sys::libdeflate_gzip_decompress_ex,
            Format::Zlib => sys::libdeflate_zlib_decompress_ex,
        };
        // SAFETY: the decompressor is alive until drop; `src` is readable for its length, and both
        // callers of this private function own `room` writable bytes at `dst`; the library reads of
        // them only what it has written, and stops where they end.
        let result = unsafe {
            run(
                self.0.as_ptr(),
                src.as_ptr().cast(),
                src.len(),
                dst.cast(),
                room,
                &mut read,
                &mut wrote,
            )
        };
        match result {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS if read <= src.len() && wrote <= room => {
                Outcome::Done { read, wrote }
            }
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Outcome::Full,
            _ => Outcome::Damaged,
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it was allocated by the library, is owned here, and not used again.
        unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

/// The library's encoder for one level.
pub(super) struct Encoder {
    object: NonNull<sys::libdeflate_compressor>,
    pub(super) level: c_int,
}

// SAFETY: as for the decoder.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Make an encoder for a level from 0 to 12.
    pub(super) fn new(level: c_int, stage: &'static str) -> Result<Encoder> {
        // SAFETY: the function returns null for an unknown level, or without memory.
        NonNull::new(unsafe { sys::libdeflate_alloc_compressor(level) })
            .map(|object| Encoder { object, level })
            .ok_or_else(|| Error::memory(stage, STATE))
    }

    fn bound(&mut self, format: Format, size: usize) -> usize {
        // SAFETY: the compressor is alive until drop; the functions only calculate.
        unsafe {
            match format {
                Format::Gzip => sys::libdeflate_gzip_compress_bound(self.object.as_ptr(), size),
                Format::Zlib => sys::libdeflate_zlib_compress_bound(self.object.as_ptr(), size),
            }
        }
    }

    /// Encode a zlib stream into `dst`. Return its size, or `None` if it does not fit.
    pub(super) fn zlib(&mut self, src: &[u8], dst: &mut [u8]) -> Option<usize> {
        let wrote = self.encode(Format::Zlib, src, dst.as_mut_ptr(), dst.len());
        (wrote > 0).then_some(wrote)
    }

    /// Encode into `room` bytes at `dst`, which must be writable, and return how many were written.
    fn encode(&mut self, format: Format, src: &[u8], dst: *mut u8, room: usize) -> usize {
        let run = match format {
            Format::Gzip => sys::libdeflate_gzip_compress,
            Format::Zlib => sys::libdeflate_zlib_compress,
        };
        // SAFETY: the compressor is alive until drop; `src` is readable for its length, and the
        // caller owns `room` writable bytes at `dst`, which the library does not go beyond.
        let wrote = unsafe {
            run(
                self.object.as_ptr(),
                src.as_ptr().cast(),
                src.len(),
                dst.cast(),
                room,
            )
        };
        wrote.min(room)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: it was allocated by the library, is owned here, and not used again.
        unsafe { sys::libdeflate_free_compressor(self.object.as_ptr()) }
    }
}

#[cfg(test)]
mod tests;
