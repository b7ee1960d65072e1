//! The `zstd` codec, and numcodecs' of the same name (RFC 8878).
//!
//! * The destination bounds the library: it stops when that is full, whatever a frame states. So
//!   decoding needs no look at the headers; they are walked only to explain a failure.
//! * Several frames may follow one another, skippable ones between them; a frame may omit its
//!   content size, as streaming writers do. Anything else before, between or behind them is an
//!   error.
//! * If only the start of a chunk is wanted, the blocks behind it are not decoded, but all headers are
//!   walked. Frames with a checksum, or without a content size, are decoded as a whole.
//! * If the decoded size is unknown, the frames are walked before they are decoded: the size that
//!   their blocks can hold bounds the memory that is allocated.
//! * Encoding makes one frame, which states its content size.

use std::io::Cursor;

use zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective,
};

use crate::codecs::codec::{self, number, Codec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "zstd";
const MAGIC: u32 = 0xFD2F_B528;
/// The first of sixteen magic numbers of frames to skip.
const SKIPPABLE: u32 = 0x184D_2A50;
/// The most bytes that one block decodes to.
const BLOCK: u64 = 1 << 17;
/// The blocks that are decoded without a look at whether to stop: 8 MiB.
const AT_ONCE: usize = 64;
/// The encoded bytes of blocks that are decoded without a look at whether they are enough.
const STEP: usize = 1 << 12;
/// The largest window that the library can decode with, as a logarithm.
const WINDOW_LOG: u32 = if cfg!(target_pointer_width = "64") {
    31
} else {
    30
};
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

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        match stop {
            Some(stop) => decode_large(data, dst, contexts.of(), stop),
            None => decode(data, dst, contexts.of()),
        }
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()> {
        decode_to_vec(data, out, limit, contexts.of())
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        encode(data, out, self, contexts.of())
    }

    fn promptly(&self) -> usize {
        promptly(self.level)
    }

    fn decode_start(
        &self,
        data: &[u8],
        dst: &mut [u8],
        until: usize,
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<bool> {
        decode_start(data, dst, until, contexts.of(), stop)
    }
}

/// Return the bytes of the library's contexts.
pub(super) fn footprint(decoder: Option<&DCtx<'_>>, encoder: Option<&CCtx<'_>>) -> usize {
    decoder.map_or(0, DCtx::sizeof) + encoder.map_or(0, CCtx::sizeof)
}

/// Return how many bytes are encoded within some 50 ms at least, at a level.
pub(super) fn promptly(level: i32) -> usize {
    match level {
        ..=4 => 4 << 20,
        5..=9 => 1 << 20,
        10..=15 => 1 << 18,
        _ => 1 << 15,
    }
}

/// The library's contexts, made when first used.
#[derive(Default)]
pub struct Context {
    decoder: Option<DCtx<'static>>,
    encoder: Option<CCtx<'static>>,
}

impl codec::Context for Context {
    fn footprint(&self) -> usize {
        footprint(self.decoder.as_ref(), self.encoder.as_ref())
    }
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

/// Decode frames that hold exactly `dst.len()` bytes, some blocks at a time, and ask in between whether
/// to stop.
fn decode_large(src: &[u8], dst: &mut [u8], ctx: &mut Context, stop: Stop) -> Result<()> {
    let mut ends = Vec::new();
    let mut count = 0;
    walk_by(src, &mut |end| {
        count += 1;
        if count % AT_ONCE == 0 {
            memory::push(&mut ends, end, STAGE)?;
        }
        Ok(())
    })?;
    memory::push(&mut ends, src.len(), STAGE)?;
    let expected = dst.len();
    let found = stream(src, dst, usize::MAX, ends, ctx, stop)?;
    if found != expected {
        return Err(explain(src, expected, Ok(found)));
    }
    Ok(())
}

/// Decode the blocks that hold the first `until` bytes of frames of `dst.len()` bytes. Return `false`
/// if all of them must be decoded, or nearly all.
fn decode_start(
    src: &[u8],
    dst: &mut [u8],
    until: usize,
    ctx: &mut Context,
    stop: Stop,
) -> Result<bool> {
    if until + BLOCK as usize > dst.len() {
        return Ok(false);
    }
    let mut ends = Vec::new();
    let mut last = 0;
    let walk = walk_by(src, &mut |end| {
        // Blocks of fewer bytes are soon decoded.
        if end >= last + STEP {
            memory::push(&mut ends, end, STAGE)?;
            last = end;
        }
        Ok(())
    })?;
    if walk.checked || walk.open > 0 || walk.stated != dst.len() as u64 {
        return Ok(false);
    }
    memory::push(&mut ends, src.len(), STAGE)?;
    let expected = dst.len();
    let found = stream(src, dst, until, ends, ctx, stop)?;
    if found < until {
        return Err(explain(src, expected, Ok(found)));
    }
    Ok(true)
}

/// Decode data that is cut at the ends of some blocks, until there are `until` bytes, and ask
/// regularly whether to stop. Return how many bytes there are.
fn stream(
    src: &[u8],
    dst: &mut [u8],
    until: usize,
    ends: Vec<usize>,
    ctx: &mut Context,
    stop: Stop,
) -> Result<usize> {
    let decoder = decoder(ctx)?;
    let prepared = decoder
        .reset(ResetDirective::SessionAndParameters)
        // The destination is the window: whatever a frame states, no other is allocated.
        .and_then(|_| decoder.set_parameter(DParameter::StableOutBuffer(true)))
        .and_then(|_| decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)));
    prepared.map_err(|code| failed(src, code))?;
    let expected = dst.len();
    let mut out = OutBuffer::around(dst);
    let (mut start, mut asked) = (0, 0);
    for end in ends {
        if out.pos() >= until {
            break;
        }
        if out.pos() - asked >= AT_ONCE / 2 * BLOCK as usize {
            asked = out.pos();
            if stop() {
                return Err(Error::interrupted());
            }
        }
        let mut input = InBuffer::around(&src[start..end]);
        while input.pos() < end - start {
            let before = (input.pos(), out.pos());
            let done = decoder.decompress_stream(&mut out, &mut input);
            match done {
                Err(code) => return Err(explain(src, expected, Err(code))),
                Ok(_) if before == (input.pos(), out.pos()) => {
                    return Err(failed(src, ZSTD_ErrorCode::ZSTD_error_GENERIC as usize));
                }
                Ok(_) => {}
            }
        }
        start = end;
    }
    Ok(out.pos())
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
    /// Whether a frame ends with a checksum.
    checked: bool,
}

fn walk(src: &[u8]) -> Result<Walk> {
    walk_by(src, &mut |_| Ok(()))
}

/// Walk through all frames, and call a function with the end of each block.
fn walk_by(src: &[u8], each: &mut dyn FnMut(usize) -> Result<()>) -> Result<Walk> {
    if src.is_empty() {
        return Err(empty());
    }
    let mut walk = Walk {
        stated: 0,
        open: 0,
        most: 0,
        checked: false,
    };
    let mut at = 0;
    while at < src.len() {
        let magic = bits(src, at, 4)?;
        if magic == u64::from(MAGIC) {
            walk.checked |= bits(src, at + 4, 1)? & 4 != 0;
            let (stop, content, most) = frame(src, at, each)?;
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
fn frame(
    src: &[u8],
    start: usize,
    each: &mut dyn FnMut(usize) -> Result<()>,
) -> Result<(usize, Option<u64>, u64)> {
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
        each(at)?;
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
mod tests;
