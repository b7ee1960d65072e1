//! The `zstd` codec, and numcodecs' of the same name (RFC 8878).
//!
//! * The destination bounds the library: it stops when that is full, whatever a frame states. So
//!   decoding needs no look at the headers; they are walked only to explain a failure.
//! * Several frames may follow one another, skippable ones between them; a frame may omit its
//!   content size, as streaming writers do. Anything else before, between or behind them is an
//!   error.
//! * If the decoded size is unknown, the frames are walked before they are decoded: the size that
//!   their blocks can hold bounds the memory that is allocated.
//! * Encoding makes one frame, which states its content size.

use std::io::Cursor;

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{CCtx, CParameter, DCtx, ErrorCode};

use crate::codecs::codec::{number, Codec};
use crate::error::{Error, Result};
use crate::memory;

const STAGE: &str = "zstd";
const MAGIC: u32 = 0xFD2F_B528;
/// The first of sixteen magic numbers of frames to skip.
const SKIPPABLE: u32 = 0x184D_2A50;
/// The most bytes that one block decodes to.
const BLOCK: u64 = 1 << 17;
/// About the bytes of a context.
pub(super) const CONTEXT: usize = 1 << 17;

/// How to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Params {
    /// The level. 0 means the library's default; a level out of range means the nearest.
    pub level: i32,
    /// Whether the frame ends with a checksum of its content.
    pub checksum: bool,
}

impl Codec for Params {
    type Context = Context;

    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        if name != STAGE {
            return None;
        }
        Some(Params {
            level: number(numbers, 0)?,
            checksum: number::<i64>(numbers, 1)? != 0,
        })
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn decode(&self, data: &[u8], dst: &mut [u8], context: &mut Context) -> Result<()> {
        decode(data, dst, context)
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        context: &mut Context,
    ) -> Result<()> {
        decode_to_vec(data, out, limit, context)
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, context: &mut Context) -> Result<()> {
        encode(data, out, self, context)
    }
}

/// The library's contexts, made when first used.
#[derive(Default)]
pub struct Context {
    decoder: Option<DCtx<'static>>,
    encoder: Option<CCtx<'static>>,
}

/// Decode frames that hold exactly `dst.len()` bytes.
pub fn decode(src: &[u8], dst: &mut [u8], ctx: &mut Context) -> Result<()> {
    if src.is_empty() {
        return Err(empty());
    }
    match decoder(ctx)?.decompress(dst, src) {
        Ok(found) if found == dst.len() => Ok(()),
        outcome => Err(explain(src, dst.len(), outcome)),
    }
}

/// Decode frames of unknown size, of at most `limit` bytes, and append the result to `out`.
pub fn decode_to_vec(src: &[u8], out: &mut Vec<u8>, limit: usize, ctx: &mut Context) -> Result<()> {
    let walk = walk(src)?;
    if walk.stated > limit as u64 {
        return Err(over(limit, &format!("the frames state {}", walk.stated)));
    }
    let start = out.len();
    let bound = usize::try_from(walk.most).unwrap_or(limit).min(limit);
    memory::reserve(out, bound, STAGE)?;
    let mut tail = Cursor::new(&mut *out);
    tail.set_position(start as u64);
    let outcome = decoder(ctx)?.decompress(&mut tail, src);
    let error = match outcome {
        // The vector may have more capacity than was reserved.
        Ok(found) if found <= limit => return Ok(()),
        Ok(found) => over(limit, &format!("the frames hold {found}")),
        Err(code) if too_small(code) => over(limit, "the frames hold more"),
        Err(code) => failed(src, code),
    };
    out.truncate(start);
    Err(error)
}

/// Encode `src` as one frame and append it to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params, ctx: &mut Context) -> Result<()> {
    let encoder = match &mut ctx.encoder {
        Some(encoder) => encoder,
        empty => empty.insert(CCtx::try_create().ok_or_else(|| Error::memory(STAGE, CONTEXT))?),
    };
    let refused = |code| {
        if starved(code) {
            return Error::memory(STAGE, src.len().max(CONTEXT));
        }
        let reason = zstd_safe::get_error_name(code);
        Error::codec(
            STAGE,
            format!("{} bytes cannot be encoded: {reason}", src.len()),
        )
    };
    for parameter in [
        CParameter::CompressionLevel(params.level),
        CParameter::ChecksumFlag(params.checksum),
        CParameter::ContentSizeFlag(true),
    ] {
        encoder.set_parameter(parameter).map_err(refused)?;
    }
    let start = out.len();
    memory::reserve(out, zstd_safe::compress_bound(src.len()), STAGE)?;
    let mut tail = Cursor::new(&mut *out);
    tail.set_position(start as u64);
    encoder.compress2(&mut tail, src).map_err(refused)?;
    Ok(())
}

fn decoder(ctx: &mut Context) -> Result<&mut DCtx<'static>> {
    match &mut ctx.decoder {
        Some(decoder) => Ok(decoder),
        empty => Ok(empty.insert(DCtx::try_create().ok_or_else(|| Error::memory(STAGE, CONTEXT))?)),
    }
}

/// Whether the library had no memory for its own state.
pub(super) fn starved(code: ErrorCode) -> bool {
    zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation)
}

fn empty() -> Error {
    Error::codec(STAGE, "found 0 bytes of data, which is no frame")
}

fn over(limit: usize, what: &str) -> Error {
    Error::codec(
        STAGE,
        format!("the limit is {limit} decoded bytes, but {what}"),
    )
}

fn failed(src: &[u8], code: ErrorCode) -> Error {
    if starved(code) {
        return Error::memory(STAGE, CONTEXT);
    }
    let reason = zstd_safe::get_error_name(code);
    let size = src.len();
    Error::codec(
        STAGE,
        format!("{size} bytes of data cannot be decoded: {reason}"),
    )
}

fn too_small(code: ErrorCode) -> bool {
    zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall)
}

/// Return why data did not decode to `expected` bytes, found by walking its frames.
fn explain(src: &[u8], expected: usize, outcome: std::result::Result<usize, ErrorCode>) -> Error {
    if let Err(code) = outcome {
        if starved(code) {
            return failed(src, code);
        }
    }
    let walk = match walk(src) {
        Ok(walk) => walk,
        Err(error) => return error,
    };
    let what = match outcome {
        Ok(found) => format!("the data holds {found}"),
        Err(_) if walk.open == 0 && walk.stated != expected as u64 => {
            format!("the frames state {}", walk.stated)
        }
        Err(code) if too_small(code) => "the data holds more".to_string(),
        Err(code) => return failed(src, code),
    };
    Error::codec(
        STAGE,
        format!("expected {expected} decoded bytes, but {what}"),
    )
}

/// What the headers of frames and blocks state.
#[derive(Debug, PartialEq, Eq)]
struct Walk {
    /// The sum of the content sizes that frames state.
    stated: u64,
    /// How many frames state none.
    open: usize,
    /// The most bytes that all frames can decode to.
    most: u64,
}

fn walk(src: &[u8]) -> Result<Walk> {
    if src.is_empty() {
        return Err(empty());
    }
    let mut walk = Walk {
        stated: 0,
        open: 0,
        most: 0,
    };
    let mut at = 0;
    while at < src.len() {
        let magic = bits(src, at, 4)?;
        if magic == u64::from(MAGIC) {
            let (stop, content, most) = frame(src, at)?;
            at = stop;
            walk.stated = walk.stated.saturating_add(content.unwrap_or(0));
            walk.open += usize::from(content.is_none());
            walk.most = walk.most.saturating_add(content.unwrap_or(most));
        } else if magic & !15 == u64::from(SKIPPABLE) {
            let size = bits(src, at + 4, 4)?;
            at = reach(src, at + 8, size)?;
        } else {
            let end = src.len();
            let message = format!("no frame begins at byte {at} of {end}, found {magic:#010x}");
            return Err(Error::codec(STAGE, message));
        }
    }
    Ok(walk)
}

/// Return where a frame ends, the content size it states, and the most that its blocks can hold.
fn frame(src: &[u8], start: usize) -> Result<(usize, Option<u64>, u64)> {
    let header = bits(src, start + 4, 1)?;
    let single = header >> 5 & 1;
    let dictionary = [0, 1, 2, 4][(header & 3) as usize];
    let mut at = reach(src, start + 5, 1 - single + dictionary)?;
    let width = [single, 2, 4, 8][(header >> 6 & 3) as usize];
    let content = match width {
        0 => None,
        // Two bytes count from 256 on; smaller sizes have one byte.
        2 => Some(bits(src, at, 2)? + 256),
        _ => Some(bits(src, at, width)?),
    };
    at = reach(src, at, width)?;
    let mut most = 0;
    loop {
        let block = bits(src, at, 3)?;
        let (last, kind, size) = (block & 1, block >> 1 & 3, block >> 3);
        if kind == 3 || size > BLOCK {
            let end = src.len();
            let message = format!("the block at byte {at} of {end} is damaged");
            return Err(Error::codec(STAGE, message));
        }
        most += if kind == 2 { BLOCK } else { size };
        at = reach(src, at + 3, if kind == 1 { 1 } else { size })?;
        if last == 1 {
            break;
        }
    }
    if header & 4 != 0 {
        at = reach(src, at, 4)?;
    }
    match content {
        Some(content) if content > most => Err(Error::codec(
            STAGE,
            format!("the frame states {content} bytes, but its blocks hold at most {most}"),
        )),
        _ => Ok((at, content, most)),
    }
}

/// Return `width` bytes, at most eight, as a number.
fn bits(src: &[u8], at: usize, width: u64) -> Result<u64> {
    let stop = reach(src, at, width)?;
    let bytes = src.get(at..stop).unwrap_or_default();
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |sum, &b| sum << 8 | u64::from(b)))
}

/// Return where `size` bytes from `at` on end, if the data has them.
fn reach(src: &[u8], at: usize, size: u64) -> Result<usize> {
    let stop = (at as u64).saturating_add(size);
    if stop > src.len() as u64 {
        let end = src.len();
        let message = format!("the data ends early: {end} bytes found, {stop} expected");
        return Err(Error::codec(STAGE, message));
    }
    Ok(stop as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// numcodecs.zstd: level 1 of "fastzarr " eight times; the frame states 72 bytes.
    const GOLDEN: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x48, 0x7d, 0x00, 0x00, 0x48, 0x66, 0x61, 0x73, 0x74, 0x7a,
        0x61, 0x72, 0x72, 0x20, 0x01, 0x00, 0xa4, 0x54, 0x8e,
    ];
    const TEXT: &[u8] = b"fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr ";
    /// The same with the content size left out of the header, as a streaming writer does.
    const STREAMED: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x7d, 0x00, 0x00, 0x48, 0x66, 0x61, 0x73, 0x74, 0x7a,
        0x61, 0x72, 0x72, 0x20, 0x01, 0x00, 0xa4, 0x54, 0x8e,
    ];

    /// Decode over two backgrounds: what shines through was never written.
    fn decoded(src: &[u8], size: usize) -> Result<Vec<u8>> {
        let [one, two] = [0xAA, 0x55].map(|background| {
            let mut out = vec![background; size];
            decode(src, &mut out, &mut Context::default()).map(|()| out)
        });
        assert_eq!(one, two);
        one
    }

    fn collected(src: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = decode_to_vec(src, &mut out, limit, &mut Context::default());
        assert_eq!(&out[..6], b"before");
        assert!(result.is_ok() || out.len() == 6);
        result.map(|()| out[6..].to_vec())
    }

    fn encoded(src: &[u8], level: i32, checksum: bool) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let params = Params { level, checksum };
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
        // Few values, so that there is something to compress.
        (0..size).map(|_| (next() >> 60) as u8).collect()
    }

    #[test]
    fn reads_what_numcodecs_wrote() {
        assert_eq!(decoded(GOLDEN, 72).unwrap(), TEXT);
        assert_eq!(decoded(STREAMED, 72).unwrap(), TEXT);
        assert_eq!(collected(GOLDEN, 72).unwrap(), TEXT);
        assert_eq!(collected(STREAMED, 1000).unwrap(), TEXT);
        assert!(collected(STREAMED, 71).is_err());
        assert!(collected(GOLDEN, 71).is_err());
    }

    #[test]
    fn round_trips_at_every_kind_of_level() {
        for size in [0, 1, 255, 256, 300, 65_792, 300_000] {
            let data = noise(size, 7);
            for level in [-131_072, -5, 0, 1, 3, 9, 22, 99] {
                for checksum in [false, true] {
                    let frame = encoded(&data, level, checksum);
                    assert_eq!(decoded(&frame, size).unwrap(), data);
                    assert_eq!(collected(&frame, size).unwrap(), data);
                    let found = walk(&frame).unwrap();
                    assert_eq!((found.stated, found.open), (size as u64, 0));
                    assert_eq!(frame[4] & 4 != 0, checksum);
                }
            }
        }
    }

    #[test]
    fn takes_several_frames_and_skips_the_skippable() {
        let skippable = [0x5F, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9];
        let all = [&skippable, GOLDEN, &skippable, STREAMED, &skippable].concat();
        assert_eq!(decoded(&all, 144).unwrap(), [TEXT, TEXT].concat());
        assert_eq!(collected(&all, 144).unwrap(), [TEXT, TEXT].concat());
        assert_eq!(decoded(&skippable, 0).unwrap(), b"");
        assert!(decoded(&skippable, 1).is_err());
        assert!(decoded(&skippable[..10], 0).is_err());
    }

    #[test]
    fn takes_no_other_size() {
        for size in [0, 71, 73, 1 << 20] {
            for frame in [GOLDEN, STREAMED] {
                let error = decoded(frame, size).unwrap_err();
                let wanted = format!("expected {size} decoded bytes");
                assert!(error.message.starts_with(&wanted), "{error}");
            }
        }
        let message = decoded(GOLDEN, 71).unwrap_err().message;
        assert_eq!(
            message,
            "expected 71 decoded bytes, but the frames state 72"
        );
    }

    #[test]
    fn refuses_what_is_cut_or_followed_by_anything() {
        let mut ctx = Context::default();
        for frame in [GOLDEN, STREAMED, &encoded(&noise(1000, 3), 3, true)] {
            let size = if frame.len() < 100 { 72 } else { 1000 };
            for stop in 0..frame.len() {
                let mut out = vec![0; size];
                assert!(decode(&frame[..stop], &mut out, &mut ctx).is_err());
                assert!(collected(&frame[..stop], size).is_err());
            }
            for tail in [&b"\0"[..], b"trailing", &frame[..5]] {
                assert!(decoded(&[frame, tail].concat(), size).is_err());
                assert!(collected(&[frame, tail].concat(), size).is_err());
            }
            // The context is as good as new after all these failures.
            let mut out = vec![0; size];
            decode(frame, &mut out, &mut ctx).unwrap();
        }
    }

    #[test]
    fn finds_every_flipped_bit_by_the_checksum() {
        let data = noise(500, 11);
        let frame = encoded(&data, 3, true);
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A bit that the format leaves unused may flip, and the data is the same.
            assert!(decoded(&flipped, 500).is_err() || decoded(&flipped, 500).unwrap() == data);
            let _ = collected(&flipped, 1000);
        }
    }

    #[test]
    fn believes_no_size() {
        // A header that claims 2^62 bytes, and one last empty block.
        let claim = [
            0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0,
        ];
        assert!(decoded(&claim, 16).is_err());
        assert!(collected(&claim, usize::MAX).is_err());
        // Blocks of 128 KiB of one byte: bounded by the destination and the limit.
        let mut bomb = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0x70];
        for _ in 0..1000 {
            bomb.extend([0x02, 0x00, 0x10, 0x55]);
        }
        bomb.extend([1, 0, 0]);
        assert_eq!(walk(&bomb).unwrap().most, 1000 << 17);
        assert!(decoded(&bomb, 4096).is_err());
        assert!(collected(&bomb, 4096).is_err());
        assert_eq!(collected(&bomb, 1000 << 17).unwrap().len(), 1000 << 17);
    }

    #[test]
    fn survives_noise() {
        let mut ctx = Context::default();
        for seed in 1..2000 {
            let mut data = noise(seed as usize % 97, seed);
            for (at, byte) in [0x28, 0xB5, 0x2F, 0xFD].into_iter().enumerate() {
                if let Some(slot) = data.get_mut(at) {
                    *slot = byte;
                }
            }
            let mut out = [0; 64];
            let _ = decode(&data, &mut out, &mut ctx);
            let _ = collected(&data, 64);
        }
    }
}
