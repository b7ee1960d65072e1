//! Blosc 1: blocks, filtered and compressed, behind a header of sixteen bytes.
//!
//! ```text
//! version=2  versionlz  flags  typesize | nbytes u32 | blocksize u32 | cbytes u32
//! ```
//!
//! * Flags: 0x01 byte shuffle, 0x02 stored (nbytes raw bytes follow), 0x04 bit shuffle, 0x08 never
//!   set, 0x10 blocks are not split; the upper three bits name the compressor.
//! * If not stored, one u32 a block says where in the frame it begins. All integers are
//!   little-endian.
//! * A block is one stream, or as many as an element has bytes: if 0x10 is not set, elements have
//!   at most 16 bytes, there are at least 128 of them in a block, and it is not the shorter last.
//! * A stream is its size as an i32 and that many bytes; they are raw where the size equals that
//!   of the decoded stream.
//!
//! What the decoder believes: nothing. The caller says how large the result is; a header that
//! says otherwise, a frame longer or shorter than its header says, a block outside the frame and a
//! stream of another size are errors. Scratch memory is at most one block, and no block is larger
//! than the result. (Left alone, as c-blosc does: gaps between blocks, and bytes behind the end of
//! a zlib stream.)
//!
//! What makes it fast: scratch and contexts are kept in [`Context`]; a raw stream is filtered from
//! where it lies in the frame; a range decodes only its blocks, of a split block only what it needs.

mod encode;
mod streams;

pub use encode::{encode, Layout};

use self::streams::Codecs;
use super::shuffle::{self, Planes};
use crate::error::{Error, Result};

const STAGE: &str = "blosc";
const HEADER: usize = 16;
const VERSION: u8 = 2;
/// Elements larger than this are never split into streams.
const MAX_SPLIT: usize = 16;
/// Blocks of fewer elements are never split, and smaller frames are stored.
const MIN_SPLIT: usize = 128;
/// What the header's signed sizes can say.
const MAX_BYTES: usize = i32::MAX as usize - HEADER;

const FLAG_SHUFFLE: u8 = 0x01;
const FLAG_STORED: u8 = 0x02;
const FLAG_BITSHUFFLE: u8 = 0x04;
const FLAG_RESERVED: u8 = 0x08;
const FLAG_WHOLE: u8 = 0x10;

/// The compressor inside the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compressor {
    /// Blosc's own.
    BloscLz,
    /// LZ4, fast.
    Lz4,
    /// LZ4, thorough.
    Lz4hc,
    /// Snappy.
    Snappy,
    /// zlib.
    Zlib,
    /// Zstandard.
    Zstd,
}

impl Compressor {
    /// The compressor that metadata calls `cname`.
    pub fn from_name(cname: &str) -> Option<Compressor> {
        Some(match cname {
            "blosclz" => Compressor::BloscLz,
            "lz4" => Compressor::Lz4,
            "lz4hc" => Compressor::Lz4hc,
            "snappy" => Compressor::Snappy,
            "zlib" => Compressor::Zlib,
            "zstd" => Compressor::Zstd,
            _ => return None,
        })
    }

    fn format(self) -> Format {
        match self {
            Compressor::BloscLz => Format::BloscLz,
            Compressor::Lz4 | Compressor::Lz4hc => Format::Lz4,
            Compressor::Snappy => Format::Snappy,
            Compressor::Zlib => Format::Zlib,
            Compressor::Zstd => Format::Zstd,
        }
    }
}

/// What is done to the bytes of a block before they are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shuffle {
    /// Nothing.
    None,
    /// Bytes of equal significance are put together.
    Byte,
    /// Bits of equal significance are put together.
    Bit,
}

/// How to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The compressor.
    pub compressor: Compressor,
    /// From 0 (stored) to 9.
    pub level: u8,
    /// The filter.
    pub shuffle: Shuffle,
    /// The bytes of an element; 0, or more than 255, means 1.
    pub typesize: usize,
    /// The bytes of a block; 0 chooses as c-blosc 1.21 does.
    pub blocksize: usize,
}

/// The compressors as the header numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    BloscLz = 0,
    Lz4 = 1,
    Snappy = 2,
    Zlib = 3,
    Zstd = 4,
}

impl Format {
    fn parse(flags: u8) -> Result<Format> {
        Ok(match flags >> 5 {
            0 => Format::BloscLz,
            1 => Format::Lz4,
            2 => Format::Snappy,
            3 => Format::Zlib,
            4 => Format::Zstd,
            n => return Err(fail(format!("compressor {n} is unknown"))),
        })
    }
}

fn fail(message: impl Into<String>) -> Error {
    Error::codec(STAGE, message)
}

/// Four bytes at `at` as a number.
fn read_u32(src: &[u8], at: usize) -> Option<usize> {
    let bytes = src.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

/// What a thread keeps from call to call: scratch memory and the compressors' own state.
#[derive(Default)]
pub struct Context {
    /// A block, filtered.
    block: Vec<u8>,
    /// A compressed stream, or the part of a block that is larger than what was asked for.
    piece: Vec<u8>,
    codecs: Codecs,
}

/// At least `len` bytes of scratch; they are zeroed once and then left as they are.
fn scratch(buffer: &mut Vec<u8>, len: usize) -> &mut [u8] {
    if buffer.len() < len {
        buffer.resize(len, 0);
    }
    &mut buffer[..len]
}

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

/// Decode a frame that holds at most `limit` bytes, behind what `out` holds.
pub fn decode_to_vec(src: &[u8], out: &mut Vec<u8>, limit: usize, ctx: &mut Context) -> Result<()> {
    let nbytes = decoded_len(src)?;
    if nbytes > limit {
        return Err(fail(format!(
            "expected at most {limit} decoded bytes, but the frame states {nbytes}"
        )));
    }
    Header::parse(src, nbytes)?;
    let begin = out.len();
    out.resize(begin + nbytes, 0);
    let result = decode(src, &mut out[begin..], ctx);
    if result.is_err() {
        out.truncate(begin);
    }
    result
}

/// How many decoded bytes a frame states. Allocate nothing by this number alone.
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

/// A frame whose header holds together; blocks of it can be decoded in any order, by any thread.
#[derive(Debug, Clone, Copy)]
pub struct Header<'a> {
    src: &'a [u8],
    nbytes: usize,
    blocksize: usize,
    typesize: usize,
    shuffle: Shuffle,
    split: bool,
    stored: bool,
    format: Format,
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

    /// How many blocks there are.
    pub fn block_count(&self) -> usize {
        self.nbytes.div_ceil(self.blocksize)
    }

    /// The decoded bytes of every block but the last: cut the result with `chunks_mut` of it.
    pub fn block_size(&self) -> usize {
        self.blocksize
    }

    /// The decoded bytes of block `i`; 0 behind the last.
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

    /// Where the table of the blocks' places ends.
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
        let count = if self.split && len == self.blocksize {
            self.typesize
        } else {
            1
        };
        let mut streams = Streams {
            src: self.src,
            at: self.block_start(i)?,
            size: len / count,
            format: self.format,
        };
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
            for buffer in scratch(block, count * stride).chunks_exact_mut(stride) {
                let (buffer, _) = buffer.split_at_mut(streams.size);
                planes.push(streams.next(buffer, need, codecs)?);
            }
            tail = &[][..];
        } else {
            let bytes = streams.next(scratch(block, len), need, codecs)?;
            planes = Planes::contiguous(self.typesize, &bytes[..whole], elements);
            tail = &bytes[whole..];
        }
        let (dst, dst_tail) = dst.split_at_mut(high.min(whole).saturating_sub(low));
        if high > whole {
            dst_tail.copy_from_slice(&tail[low.max(whole) - whole..high - whole]);
        }
        if !dst.is_empty() {
            self.unfilter(planes, elements, low, dst, piece);
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
    ) {
        // Filters work on whole elements, or on eight of them.
        let unit = if self.shuffle == Shuffle::Bit { 8 } else { 1 };
        let first = low / self.typesize / unit * unit;
        let end = (low + dst.len()).div_ceil(self.typesize);
        let end = (end.div_ceil(unit) * unit).min(elements);
        let len = (end - first) * self.typesize;
        let skip = low - first * self.typesize;
        let fits = skip == 0 && len == dst.len();
        let to = if fits { &mut *dst } else { scratch(piece, len) };
        if self.shuffle == Shuffle::Bit {
            shuffle::bitunshuffle_planes(planes.get(), first, to);
        } else {
            planes.cut(first, end);
            shuffle::unshuffle_planes(planes.get(), to);
        }
        if !fits {
            dst.copy_from_slice(&piece[skip..skip + dst.len()]);
        }
    }

    /// Where block `i` begins in the frame.
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
    /// The decoded bytes of each.
    size: usize,
    format: Format,
}

impl<'a> Streams<'a> {
    /// The encoded bytes of the next stream.
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

    /// Decode at least the first `need` bytes of the next stream, into `buffer` if it is not raw.
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
                let buffer = scratch(piece, self.size);
                codecs.decode(self.format, bytes, buffer, to)?;
                part.copy_from_slice(&buffer[from..to]);
            }
        }
        Ok(())
    }
}

/// Whether blocks with such elements can be split into one stream a byte.
fn can_split(typesize: usize, blocksize: usize) -> bool {
    (1..=MAX_SPLIT).contains(&typesize) && blocksize / typesize >= MIN_SPLIT
}

#[cfg(test)]
mod tests;
