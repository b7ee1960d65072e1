//! Decoding Blosc frames, whole or a range.
//!
//! The decoder trusts nothing. The caller says how large the result is; a header that states another
//! size, a frame longer or shorter than its header states, a block outside the frame and a stream of
//! another size are errors. Scratch memory is at most one block, and no block is larger than the
//! result. (Ignored, as c-blosc does: gaps between blocks, and bytes behind the end of a zlib stream.)

use std::ops::Range;

use super::frame::{
    can_split, fail, read_u32, Format, Shuffle, FLAG_BITSHUFFLE, FLAG_RESERVED, FLAG_SHUFFLE,
    FLAG_STORED, FLAG_WHOLE, HEADER, MAX_BYTES, STAGE, VERSION,
};
use super::streams::{scratch, Codecs, Context};
use crate::codecs::shuffle::{self, Planes};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

/// About the bytes that are decoded without a look at whether to stop.
const AT_ONCE: usize = 16 << 20;

/// Decode a frame into all of `dst`.
pub fn decode(src: &[u8], dst: &mut [u8], ctx: &mut Context) -> Result<()> {
    let header = Header::parse(src, dst.len())?;
    if header.stored {
        return header.read_stored(0, dst);
    }
    for (i, block) in dst.chunks_mut(header.blocksize).enumerate() {
        header.decode_block(i, block, ctx)?;
    }
    Ok(())
}

/// Decode a frame into all of `dst`, and ask between blocks whether to stop.
pub fn decode_large(src: &[u8], dst: &mut [u8], ctx: &mut Context, stop: Stop) -> Result<()> {
    let total = dst.len();
    let block = Header::parse(src, total)?.block_size();
    let step = AT_ONCE.next_multiple_of(block);
    for (i, part) in dst.chunks_mut(step).enumerate() {
        if i > 0 && stop() {
            return Err(Error::interrupted());
        }
        decode_range(src, total, i * step, i * step + part.len(), part, ctx)?;
    }
    Ok(())
}

/// Decode a frame of at most `limit` bytes, and append the result to `out`.
pub fn decode_to_vec(src: &[u8], out: &mut Vec<u8>, limit: usize, ctx: &mut Context) -> Result<()> {
    let nbytes = decoded_len(src)?;
    if nbytes > limit {
        return Err(fail(format!(
            "expected at most {limit} decoded bytes, but the frame states {nbytes}"
        )));
    }
    let most = Header::parse(src, nbytes)?.most();
    if nbytes > most {
        return Err(fail(format!(
            "the frame states {nbytes} decoded bytes, but its {} bytes hold at most {most}",
            src.len()
        )));
    }
    let begin = out.len();
    memory::resize(out, begin + nbytes, 0, STAGE)?;
    let result = decode(src, &mut out[begin..], ctx);
    if result.is_err() {
        out.truncate(begin);
    }
    result
}

/// Return how many decoded bytes a frame states. Nothing may be allocated by this number alone.
pub fn decoded_len(src: &[u8]) -> Result<usize> {
    read_u32(src, 4).ok_or_else(|| short(src))
}

/// Decode the bytes from `start` to `end` of a frame of `expected` decoded bytes, and only the
/// blocks that hold them; `dst` has `end - start` bytes.
pub fn decode_range(
    src: &[u8],
    expected: usize,
    start: usize,
    end: usize,
    dst: &mut [u8],
    ctx: &mut Context,
) -> Result<()> {
    let header = Header::parse(src, expected)?;
    if start > end || end > expected || end - start != dst.len() {
        return Err(fail(format!(
            "bytes {start} to {end} of {expected} do not fit a result of {}",
            dst.len()
        )));
    }
    if header.stored {
        return header.read_stored(start, dst);
    }
    let mut at = start;
    let mut rest = dst;
    while at < end {
        let i = at / header.blocksize;
        let begin = i * header.blocksize;
        let stop = end.min(begin + header.block_len(i));
        let (part, after) = rest.split_at_mut(stop - at);
        header.decode_part(i, at - begin, stop - begin, part, ctx)?;
        rest = after;
        at = stop;
    }
    Ok(())
}

fn short(src: &[u8]) -> Error {
    fail(format!(
        "expected at least {HEADER} bytes, found {}",
        src.len()
    ))
}

/// A frame with a consistent header. Its blocks can be decoded in any order, by any thread.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    src: &'a [u8],
    pub(super) nbytes: usize,
    pub(super) blocksize: usize,
    pub(super) typesize: usize,
    pub(super) shuffle: Shuffle,
    pub(super) split: bool,
    pub(super) stored: bool,
    pub(super) format: Format,
}

impl<'a> Header<'a> {
    /// Read and check the header of a frame of `expected` decoded bytes.
    pub fn parse(src: &'a [u8], expected: usize) -> Result<Header<'a>> {
        let head = src.get(..HEADER).ok_or_else(|| short(src))?;
        let (version, flags, typesize) = (head[0], head[2], usize::from(head[3]));
        let size = |at| read_u32(head, at).ok_or_else(|| short(src));
        let (nbytes, blocksize, cbytes) = (size(4)?, size(8)?, size(12)?);
        if version != VERSION {
            return Err(fail(format!("expected version {VERSION}, found {version}")));
        }
        if nbytes != expected || nbytes > MAX_BYTES {
            return Err(fail(format!(
                "expected {expected} decoded bytes, but the frame states {nbytes}"
            )));
        }
        if cbytes != src.len() {
            return Err(fail(format!(
                "the frame states {cbytes} encoded bytes, found {}",
                src.len()
            )));
        }
        if flags & FLAG_RESERVED != 0 || flags & 5 == FLAG_SHUFFLE | FLAG_BITSHUFFLE {
            return Err(fail(format!("flags {flags:#04x} are unknown")));
        }
        let stored = flags & FLAG_STORED != 0 || nbytes == 0;
        if nbytes > 0 && (blocksize == 0 || blocksize > nbytes || typesize == 0) {
            return Err(fail(format!(
                "blocks of {blocksize} bytes with elements of {typesize} in {nbytes} bytes"
            )));
        }
        if stored && cbytes != HEADER + nbytes {
            return Err(fail(format!(
                "expected {} encoded bytes of a stored frame, found {cbytes}",
                HEADER + nbytes
            )));
        }
        let header = Header {
            src,
            nbytes,
            blocksize: blocksize.max(1),
            typesize,
            shuffle: match flags & 5 {
                FLAG_SHUFFLE if typesize > 1 => Shuffle::Byte,
                FLAG_BITSHUFFLE => Shuffle::Bit,
                _ => Shuffle::None,
            },
            split: flags & FLAG_WHOLE == 0 && can_split(typesize, blocksize),
            stored,
            format: if stored {
                Format::Lz4
            } else {
                Format::parse(flags)?
            },
        };
        if !stored && header.starts_end() > cbytes {
            return Err(fail(format!(
                "{} blocks do not fit a frame of {cbytes} bytes",
                header.block_count()
            )));
        }
        if header.split && !blocksize.is_multiple_of(typesize) {
            return Err(fail(format!(
                "split blocks of {blocksize} bytes are no multiple of elements of {typesize}"
            )));
        }
        Ok(header)
    }

    /// Return the most bytes that the frame can decode to, whatever its header states.
    fn most(&self) -> usize {
        if self.stored {
            return self.src.len();
        }
        let ratio = match self.format {
            Format::Lz4 => 255,
            Format::Zlib => 1032,
            // A match of three or four bytes, or a byte more for each 255.
            Format::BloscLz => 255,
            Format::Snappy => 64,
            // A block of 128 KiB in four bytes.
            Format::Zstd => 1 << 15,
        };
        // The table of blocks is part of the frame: a bound that is too high harms nobody.
        self.src.len().saturating_mul(ratio)
    }

    /// Return the number of blocks.
    pub fn block_count(&self) -> usize {
        self.nbytes.div_ceil(self.blocksize)
    }

    /// Return the decoded size of every block but the last.
    pub fn block_size(&self) -> usize {
        self.blocksize
    }

    /// Return the decoded size of block `i`; 0 behind the last.
    pub fn block_len(&self, i: usize) -> usize {
        let begin = i.saturating_mul(self.blocksize);
        self.nbytes.saturating_sub(begin).min(self.blocksize)
    }

    /// Decode block `i` into all of `dst`, which has [`Header::block_len`] bytes.
    pub fn decode_block(&self, i: usize, dst: &mut [u8], ctx: &mut Context) -> Result<()> {
        let len = self.block_len(i);
        if dst.len() != len || len == 0 {
            return Err(fail(format!(
                "block {i} of {} has {len} bytes, not {}",
                self.block_count(),
                dst.len()
            )));
        }
        if self.stored {
            return self.read_stored(i * self.blocksize, dst);
        }
        self.decode_part(i, 0, len, dst, ctx)
    }

    /// Return where the table of the blocks' offsets ends.
    fn starts_end(&self) -> usize {
        HEADER + 4 * self.block_count()
    }

    fn read_stored(&self, start: usize, dst: &mut [u8]) -> Result<()> {
        let from = HEADER + start;
        let bytes = self.src.get(from..from + dst.len());
        dst.copy_from_slice(bytes.ok_or_else(|| short(self.src))?);
        Ok(())
    }

    /// Decode the bytes from `low` to `high` of block `i`.
    fn decode_part(
        &self,
        i: usize,
        low: usize,
        high: usize,
        dst: &mut [u8],
        ctx: &mut Context,
    ) -> Result<()> {
        let len = self.block_len(i);
        let (count, mut streams) = self.streams(i)?;
        let Context {
            block,
            piece,
            codecs,
        } = ctx;
        let elements = len / self.typesize;
        let as_is = match self.shuffle {
            Shuffle::None => true,
            Shuffle::Byte => elements == 0,
            Shuffle::Bit => elements == 0 || !elements.is_multiple_of(8),
        };
        if as_is {
            return streams.read_plain(count, low, high, dst, piece, codecs);
        }
        // Of a split block with byte shuffle, every stream is needed only up to the last element.
        let whole = elements * self.typesize;
        let need = match self.shuffle {
            Shuffle::Byte if count > 1 => high.div_ceil(self.typesize).min(elements),
            _ => streams.size,
        };
        let mut planes = Planes::new();
        let tail;
        if count > 1 {
            let stride = streams.size + shuffle::GAP;
            for buffer in scratch(block, count * stride)?.chunks_exact_mut(stride) {
                let (buffer, _) = buffer.split_at_mut(streams.size);
                planes.push(streams.next(buffer, need, codecs)?);
            }
            tail = &[][..];
        } else {
            let bytes = streams.next(scratch(block, len)?, need, codecs)?;
            planes = Planes::contiguous(self.typesize, &bytes[..whole], elements);
            tail = &bytes[whole..];
        }
        let (dst, dst_tail) = dst.split_at_mut(high.min(whole).saturating_sub(low));
        if high > whole {
            dst_tail.copy_from_slice(&tail[low.max(whole) - whole..high - whole]);
        }
        if !dst.is_empty() {
            self.unfilter(planes, elements, low, dst, piece)?;
        }
        Ok(())
    }

    /// Undo the filter for the bytes from `low` on that `dst` has room for.
    fn unfilter(
        &self,
        mut planes: Planes,
        elements: usize,
        low: usize,
        dst: &mut [u8],
        piece: &mut Vec<u8>,
    ) -> Result<()> {
        // Filters work on whole elements, or on eight of them.
        let unit = if self.shuffle == Shuffle::Bit { 8 } else { 1 };
        let first = low / self.typesize / unit * unit;
        let end = (low + dst.len()).div_ceil(self.typesize);
        let end = (end.div_ceil(unit) * unit).min(elements);
        let len = (end - first) * self.typesize;
        let skip = low - first * self.typesize;
        let fits = skip == 0 && len == dst.len();
        let to = if fits {
            &mut *dst
        } else {
            scratch(piece, len)?
        };
        if self.shuffle == Shuffle::Bit {
            shuffle::bitunshuffle_planes(planes.get(), first, to);
        } else {
            planes.cut(first, end);
            shuffle::unshuffle_planes(planes.get(), to);
        }
        if !fits {
            dst.copy_from_slice(&piece[skip..skip + dst.len()]);
        }
        Ok(())
    }

    /// Return the place of block `i` in the frame.
    pub(super) fn block_span(&self, i: usize) -> Result<Range<usize>> {
        let (count, mut streams) = self.streams(i)?;
        let start = streams.at;
        for _ in 0..count {
            streams.encoded()?;
        }
        Ok(start..streams.at)
    }

    /// Return the streams of block `i`, and their number.
    fn streams(&self, i: usize) -> Result<(usize, Streams<'a>)> {
        let len = self.block_len(i);
        let count = if self.split && len == self.blocksize {
            self.typesize
        } else {
            1
        };
        let streams = Streams {
            src: self.src,
            at: self.block_start(i)?,
            size: len / count,
            format: self.format,
        };
        Ok((count, streams))
    }

    /// Return the offset of block `i` in the frame.
    fn block_start(&self, i: usize) -> Result<usize> {
        let start = read_u32(self.src, HEADER + 4 * i);
        match start {
            Some(start) if start >= self.starts_end() && start < self.src.len() => Ok(start),
            _ => Err(fail(format!(
                "block {i} begins outside the frame of {} bytes",
                self.src.len()
            ))),
        }
    }
}

/// The streams of one block, read one after the other.
struct Streams<'a> {
    src: &'a [u8],
    at: usize,
    /// The decoded size of each.
    size: usize,
    format: Format,
}

impl<'a> Streams<'a> {
    /// Return the encoded bytes of the next stream.
    fn encoded(&mut self) -> Result<&'a [u8]> {
        let begin = self.at + 4;
        let size = read_u32(self.src, self.at).unwrap_or(usize::MAX);
        let end = begin.saturating_add(size);
        let bytes = self.src.get(begin..end).ok_or_else(|| {
            fail(format!(
                "a stream ends outside the frame of {} bytes",
                self.src.len()
            ))
        })?;
        self.at = end;
        Ok(bytes)
    }

    /// Return the next stream, of which at least the first `need` bytes are decoded, into `buffer`
    /// if it is not raw.
    fn next<'b>(
        &mut self,
        buffer: &'b mut [u8],
        need: usize,
        codecs: &mut Codecs,
    ) -> Result<&'b [u8]>
    where
        'a: 'b,
    {
        let bytes = self.encoded()?;
        if bytes.len() == self.size {
            return Ok(bytes);
        }
        codecs.decode(self.format, bytes, buffer, need)?;
        Ok(buffer)
    }

    /// Read the bytes from `low` to `high` of a block without a filter.
    fn read_plain(
        &mut self,
        count: usize,
        low: usize,
        high: usize,
        dst: &mut [u8],
        piece: &mut Vec<u8>,
        codecs: &mut Codecs,
    ) -> Result<()> {
        let mut rest = dst;
        for j in 0..count {
            let (begin, end) = (j * self.size, (j + 1) * self.size);
            let bytes = self.encoded()?;
            let (from, to) = (low.max(begin), high.min(end));
            if from >= to {
                continue;
            }
            let (part, after) = rest.split_at_mut(to - from);
            rest = after;
            let (from, to) = (from - begin, to - begin);
            if bytes.len() == self.size {
                part.copy_from_slice(&bytes[from..to]);
            } else if part.len() == self.size {
                codecs.decode(self.format, bytes, part, to)?;
            } else {
                let buffer = scratch(piece, self.size)?;
                codecs.decode(self.format, bytes, buffer, to)?;
                part.copy_from_slice(&buffer[from..to]);
            }
        }
        Ok(())
    }
}
