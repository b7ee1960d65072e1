//! The `gzip` codec (RFC 1952) and numcodecs' `zlib` (RFC 1950).
//!
//! * gzip data is one or more members; a zlib stream stands alone. Anything behind is an error.
//! * libdeflate decodes a member in one go, into memory that is there: where the size is not known,
//!   the room is doubled and the member that did not fit is decoded again.
//! * A byte of DEFLATE gives at most 1032 bytes, which bounds what is allocated, along with the limit.
//! * Encoding the same bytes gives the same result: the header carries no time.
//! * `libdeflate-sys` is called itself, since the safe wrapper does not tell where a member ends.

use std::ffi::c_int;
use std::ptr::NonNull;

use libdeflate_sys as sys;

use crate::error::{Error, Result};

/// The most bytes that one byte of DEFLATE can decode to: 258 from two bits.
const RATIO: usize = 1032;
/// What the library takes as its own default.
const DEFAULT_LEVEL: c_int = 6;

/// What is around the DEFLATE data.
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
    /// What to put around the data.
    pub format: Format,
    /// From 0, which only stores, to 9; -1 is the default, and what is beyond 9 is taken as 9.
    pub level: i32,
}

/// The library's objects, made when first used: a decoder, and the encoder of the last level.
#[derive(Default)]
pub struct Context {
    decoder: Option<Decoder>,
    encoder: Option<Encoder>,
}

/// Decode data that holds exactly `dst.len()` bytes.
pub fn decode(src: &[u8], dst: &mut [u8], format: Format, ctx: &mut Context) -> Result<()> {
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

/// Decode data of unknown size, of at most `limit` bytes, behind what `out` holds.
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
    // The bytes of a chunk cannot decode to more, so that asking for it is never asking too much.
    let most = src.len().saturating_mul(RATIO).min(limit);
    let mut wanted = first_guess(src, format).min(most);
    let mut at = 0;
    loop {
        let filled = out.len() - start;
        let missing = wanted.saturating_sub(filled);
        out.try_reserve(missing)
            .map_err(|_| no_memory(format, wanted))?;
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

/// Append the encoded `src` to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params, ctx: &mut Context) -> Result<()> {
    let format = params.format;
    let level = if params.level < 0 {
        DEFAULT_LEVEL
    } else {
        params.level.min(9) as c_int
    };
    let encoder = match &mut ctx.encoder {
        Some(encoder) if encoder.level == level => encoder,
        other => other.insert(Encoder::new(level).ok_or_else(|| no_memory(format, src.len()))?),
    };
    let bound = encoder.bound(format, src.len());
    out.try_reserve(bound)
        .map_err(|_| no_memory(format, bound))?;
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

/// Tell whether another member follows at `at`; an error where something follows that may not.
fn more(format: Format, src: &[u8], at: usize) -> Result<bool> {
    let left = src.len().saturating_sub(at);
    if left == 0 || format == Format::Gzip {
        return Ok(left != 0);
    }
    let message = format!("{left} bytes follow the end of the data");
    Err(Error::codec(format.stage(), message))
}

/// Guess the decoded size: what the last member states, if that is all of it, or four times.
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

fn no_memory(format: Format, size: usize) -> Error {
    Error::codec(
        format.stage(),
        format!("there is no memory to code {size} bytes"),
    )
}

fn decoder(format: Format, ctx: &mut Context) -> Result<&mut Decoder> {
    match &mut ctx.decoder {
        Some(decoder) => Ok(decoder),
        empty => Ok(empty.insert(Decoder::new().ok_or_else(|| no_memory(format, 0))?)),
    }
}

enum Outcome {
    Done { read: usize, wrote: usize },
    Full,
    Damaged,
}

struct Decoder(NonNull<sys::libdeflate_decompressor>);

// SAFETY: a decompressor is plain memory that no thread-local state points to; `&mut` keeps a
// second thread from using it meanwhile.
unsafe impl Send for Decoder {}

impl Decoder {
    fn new() -> Option<Decoder> {
        // SAFETY: the function has no precondition; it gives null where there is no memory.
        NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() }).map(Decoder)
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

struct Encoder {
    object: NonNull<sys::libdeflate_compressor>,
    level: c_int,
}

// SAFETY: as for the decoder.
unsafe impl Send for Encoder {}

impl Encoder {
    fn new(level: c_int) -> Option<Encoder> {
        // SAFETY: the function gives null for a level it does not know and where memory is short.
        let object = NonNull::new(unsafe { sys::libdeflate_alloc_compressor(level) })?;
        Some(Encoder { object, level })
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

    /// Encode into `room` bytes at `dst`, which must be writable, and give how many were written.
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
mod tests {
    use super::Format::{Gzip, Zlib};
    use super::*;

    const TEXT: &[u8] = b"fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr ";
    /// numcodecs.gzip at level 1.
    const GZIP: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0xff, 0x4b, 0x4b, 0x2c, 0x2e, 0xa9,
        0x4a, 0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01, 0x00, 0x22, 0xa0, 0xf7, 0xdb, 0x48, 0x00,
        0x00, 0x00,
    ];
    /// A member with every optional field in its header.
    const NAMED: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x1f, 0x39, 0x30, 0x00, 0x00, 0x00, 0x03, 0x03, 0x00, 0x61, 0x62, 0x63,
        0x6e, 0x61, 0x6d, 0x65, 0x00, 0x63, 0x6f, 0x6d, 0x6d, 0x65, 0x6e, 0x74, 0x00, 0x7d, 0xb3,
        0x4b, 0x4b, 0x2c, 0x2e, 0xa9, 0x4a, 0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01, 0x00, 0x22,
        0xa0, 0xf7, 0xdb, 0x48, 0x00, 0x00, 0x00,
    ];
    /// numcodecs.zlib at level 1.
    const ZLIB: &[u8] = &[
        0x78, 0x01, 0x4b, 0x4b, 0x2c, 0x2e, 0xa9, 0x4a, 0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01,
        0x00, 0x15, 0x28, 0x1c, 0x69,
    ];

    /// Decode over two backgrounds: what shines through was never written.
    fn decoded(src: &[u8], size: usize, format: Format) -> Result<Vec<u8>> {
        let [one, two] = [0xAA, 0x55].map(|background| {
            let mut out = vec![background; size];
            decode(src, &mut out, format, &mut Context::default()).map(|()| out)
        });
        assert_eq!(one, two);
        one
    }

    fn collected(src: &[u8], limit: usize, format: Format) -> Result<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = decode_to_vec(src, &mut out, limit, format, &mut Context::default());
        assert_eq!(&out[..6], b"before");
        assert!(result.is_ok() || out.len() == 6);
        result.map(|()| out[6..].to_vec())
    }

    fn encoded(src: &[u8], level: i32, format: Format) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let params = Params { format, level };
        encode(src, &mut out, &params, &mut Context::default()).unwrap();
        assert_eq!(&out[..6], b"before");
        out[6..].to_vec()
    }

    fn noise(size: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        (0..size).map(|_| (next() >> 60) as u8).collect()
    }

    #[test]
    fn reads_what_numcodecs_wrote() {
        for (golden, format) in [(GZIP, Gzip), (NAMED, Gzip), (ZLIB, Zlib)] {
            assert_eq!(decoded(golden, 72, format).unwrap(), TEXT);
            assert_eq!(collected(golden, 72, format).unwrap(), TEXT);
            assert!(collected(golden, 71, format).is_err());
            assert!(collected(golden, 0, format).is_err());
        }
        assert!(decoded(ZLIB, 72, Gzip).is_err());
        assert!(decoded(GZIP, 72, Zlib).is_err());
    }

    #[test]
    fn round_trips_at_every_level() {
        for size in [0, 1, 54, 55, 300, 70_000] {
            let data = noise(size, 7);
            for level in -1..=10 {
                for format in [Gzip, Zlib] {
                    let bytes = encoded(&data, level, format);
                    assert_eq!(decoded(&bytes, size, format).unwrap(), data);
                    assert_eq!(collected(&bytes, size, format).unwrap(), data);
                    assert_eq!(collected(&bytes, usize::MAX, format).unwrap(), data);
                }
            }
        }
        assert!(encoded(&noise(70_000, 7), 0, Gzip).len() > 70_000);
    }

    #[test]
    fn keeps_one_encoder_for_a_level() {
        let (mut ctx, data) = (Context::default(), noise(5000, 9));
        for level in [1, 1, 9, 0, 1] {
            let mut out = Vec::new();
            let params = Params {
                format: Gzip,
                level,
            };
            encode(&data, &mut out, &params, &mut ctx).unwrap();
            assert_eq!(out, encoded(&data, level, Gzip));
        }
    }

    #[test]
    fn writes_no_time() {
        assert_eq!(&encoded(TEXT, 6, Gzip)[..8], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn takes_several_members_but_one_stream() {
        let empty = encoded(b"", 1, Gzip);
        let all = [GZIP, &empty, NAMED, &empty].concat();
        assert_eq!(decoded(&all, 144, Gzip).unwrap(), [TEXT, TEXT].concat());
        for limit in [144, 145, 1 << 30] {
            assert_eq!(collected(&all, limit, Gzip).unwrap(), [TEXT, TEXT].concat());
        }
        assert!(collected(&all, 143, Gzip).is_err());
        assert_eq!(decoded(&empty.repeat(3), 0, Gzip).unwrap(), b"");
        let message = decoded(&[ZLIB, ZLIB].concat(), 144, Zlib)
            .unwrap_err()
            .message;
        assert_eq!(
            message,
            format!("{} bytes follow the end of the data", ZLIB.len())
        );
    }

    #[test]
    fn takes_no_other_size() {
        for (golden, format) in [(GZIP, Gzip), (ZLIB, Zlib)] {
            for size in [0, 71, 73, 1 << 20] {
                let error = decoded(golden, size, format).unwrap_err();
                let wanted = format!("expected {size} decoded bytes, but the ");
                assert!(error.message.starts_with(&wanted), "{error}");
            }
        }
        let all = [GZIP, GZIP].concat();
        assert!(decoded(&all, 72, Gzip).is_err());
        assert!(decoded(&all, 143, Gzip).is_err());
        assert!(decoded(&all, 145, Gzip).is_err());
    }

    #[test]
    fn refuses_what_is_cut_or_followed_by_anything() {
        let long = encoded(&noise(3000, 3), 5, Gzip);
        let mut ctx = Context::default();
        for (bytes, size, format) in [
            (GZIP, 72, Gzip),
            (NAMED, 72, Gzip),
            (ZLIB, 72, Zlib),
            (&long, 3000, Gzip),
        ] {
            for stop in 0..bytes.len() {
                let mut out = vec![0; size];
                assert!(decode(&bytes[..stop], &mut out, format, &mut ctx).is_err());
                assert!(collected(&bytes[..stop], size, format).is_err());
                let cut_second = [bytes, &bytes[..stop]].concat();
                if stop > 0 {
                    assert!(decoded(&cut_second, 2 * size, format).is_err());
                }
            }
            for tail in [&b"\0"[..], b"trailing bytes of some length"] {
                assert!(decoded(&[bytes, tail].concat(), size, format).is_err());
                assert!(collected(&[bytes, tail].concat(), size, format).is_err());
            }
            decode(bytes, &mut vec![0; size], format, &mut ctx).unwrap();
        }
    }

    #[test]
    fn finds_every_flipped_bit_of_the_data() {
        let data = noise(500, 11);
        for format in [Gzip, Zlib] {
            let bytes = encoded(&data, 5, format);
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                // The time and such in a header may differ; then the data is the same.
                let found = decoded(&flipped, 500, format);
                assert!(found.is_err() || found.unwrap() == data, "bit {bit}");
                let _ = collected(&flipped, 1000, format);
            }
        }
    }

    #[test]
    fn bounds_a_bomb() {
        let zeros = vec![0; 20 << 20];
        for format in [Gzip, Zlib] {
            let bomb = encoded(&zeros, 9, format);
            assert!(bomb.len() < 40_000);
            assert!(decoded(&bomb, 4096, format).is_err());
            let mut out = Vec::new();
            let mut ctx = Context::default();
            assert!(decode_to_vec(&bomb, &mut out, 4096, format, &mut ctx).is_err());
            assert!(out.capacity() < 1 << 16);
            assert_eq!(collected(&bomb, 20 << 20, format).unwrap(), zeros);
            assert_eq!(collected(&bomb, usize::MAX, format).unwrap(), zeros);
        }
        // A size of 4 GiB stated by a few bytes is not believed.
        let mut lie = encoded(b"abc", 1, Gzip);
        let end = lie.len();
        lie[end - 4..].fill(0xFF);
        let mut out = Vec::new();
        assert!(decode_to_vec(&lie, &mut out, 1 << 30, Gzip, &mut Context::default()).is_err());
        assert!(out.capacity() < 1 << 16);
    }

    #[test]
    fn survives_noise() {
        let mut ctx = Context::default();
        for seed in 1..2000 {
            let mut data = noise(seed as usize % 97, seed);
            for (at, byte) in [0x1F, 0x8B, 8].into_iter().enumerate() {
                if let Some(slot) = data.get_mut(at) {
                    *slot = byte;
                }
            }
            let mut out = [0; 64];
            let _ = decode(&data, &mut out, Gzip, &mut ctx);
            let _ = collected(&data, 64, Gzip);
            if data.len() > 1 {
                data[..2].copy_from_slice(&[0x78, 0x9C]);
            }
            let _ = decode(&data, &mut out, Zlib, &mut ctx);
            let _ = collected(&data, 64, Zlib);
        }
    }
}
