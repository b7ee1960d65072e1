//! Encoding Blosc frames, a block at a time.
//!
//! * Blocks are cut as c-blosc 1.21 cuts them, so the ratios are about the same.
//! * A frame never takes more than sixteen bytes in addition to its content: a larger one is
//!   stored.

use super::frame::{
    can_split, fail, Compressor, Params, Shuffle, FLAG_BITSHUFFLE, FLAG_SHUFFLE, FLAG_STORED,
    FLAG_WHOLE, HEADER, MAX_BYTES, MIN_SPLIT, STAGE, VERSION,
};
use super::streams::{room_for, scratch, Context};
use crate::codecs::shuffle;
use crate::error::Result;
use crate::memory;

/// How a buffer is cut into blocks, and the blocks into streams; blocks can be encoded in any
/// order, by any thread, and are put together by [`Layout::assemble`].
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    params: Params,
    nbytes: usize,
    pub(super) typesize: usize,
    pub(super) blocksize: usize,
    pub(super) split: bool,
}

impl Layout {
    /// Choose the blocks for a buffer of `nbytes`.
    pub fn new(nbytes: usize, params: &Params) -> Result<Layout> {
        if nbytes > MAX_BYTES {
            return Err(fail(format!(
                "expected at most {MAX_BYTES} bytes, found {nbytes}"
            )));
        }
        let typesize = match params.typesize {
            1..=shuffle::MAX_TYPESIZE => params.typesize,
            _ => 1,
        };
        let blocksize = blocksize(nbytes, typesize, params);
        Ok(Layout {
            params: Params {
                level: params.level.min(9),
                ..*params
            },
            nbytes,
            typesize,
            blocksize,
            split: params.compressor != Compressor::Zstd && can_split(typesize, blocksize),
        })
    }

    /// Return the size of every block but the last.
    pub fn block_size(&self) -> usize {
        self.blocksize
    }

    /// Return how many bytes are encoded within some 50 ms at least.
    pub fn promptly(&self) -> usize {
        self.params.promptly()
    }

    /// Whether the buffer is not compressed, because it is too small or by its level.
    pub fn stored(&self) -> bool {
        self.params.level == 0 || self.nbytes < MIN_SPLIT
    }

    /// Encode one block and append it to `out`. Return false, with `out` unchanged, if that would
    /// take more than `room` bytes.
    pub fn encode_block(
        &self,
        src: &[u8],
        out: &mut Vec<u8>,
        room: usize,
        ctx: &mut Context,
    ) -> Result<bool> {
        let Context {
            block,
            piece,
            codecs,
        } = ctx;
        let count = if self.split && src.len() == self.blocksize {
            self.typesize
        } else {
            1
        };
        let size = src.len() / count;
        let mut stride = size;
        let filtered = match self.params.shuffle {
            Shuffle::Byte if self.typesize > 1 && count > 1 => {
                stride += shuffle::GAP;
                let to = scratch(block, count * stride)?;
                shuffle::shuffle_planes(self.typesize, src, to, stride);
                to
            }
            Shuffle::Byte if self.typesize > 1 => {
                let to = scratch(block, src.len())?;
                shuffle::shuffle(self.typesize, src, to);
                to
            }
            Shuffle::Bit => {
                let to = scratch(block, src.len())?;
                shuffle::bitshuffle(self.typesize, src, to);
                to
            }
            _ => src,
        };
        let begin = out.len();
        for stream in filtered.chunks_exact(stride) {
            let stream = &stream[..size];
            // A stream is stored encoded only if that is smaller: an equal size means raw.
            let buffer = scratch(piece, room_for(self.params.compressor, size))?;
            let encoded = match codecs.encode(&self.params, stream, buffer)? {
                Some(n) if n < size => &buffer[..n],
                _ => stream,
            };
            if out.len() - begin + 4 + encoded.len() > room {
                out.truncate(begin);
                return Ok(false);
            }
            memory::reserve(out, 4 + encoded.len(), STAGE)?;
            out.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
            out.extend_from_slice(encoded);
        }
        Ok(true)
    }

    /// Join blocks that several threads have encoded; without blocks, `src` is stored.
    pub fn assemble(&self, src: &[u8], blocks: Option<&[&[u8]]>, out: &mut Vec<u8>) -> Result<()> {
        let begin = self.begin(out)?;
        let count = self.nbytes.div_ceil(self.blocksize);
        let sum = |blocks: &[&[u8]]| blocks.iter().map(|block| block.len() + 4).sum::<usize>();
        match blocks {
            Some(blocks)
                if blocks.len() == count && !self.stored() && sum(blocks) <= self.nbytes =>
            {
                let mut at = HEADER + 4 * count;
                for block in blocks {
                    out.extend_from_slice(&(at as u32).to_le_bytes());
                    at += block.len();
                }
                for block in blocks {
                    out.extend_from_slice(block);
                }
                self.finish(out, begin, false);
            }
            _ => {
                out.extend_from_slice(src);
                self.finish(out, begin, true);
            }
        }
        Ok(())
    }

    /// Reserve memory for a frame, and skip its header.
    fn begin(&self, out: &mut Vec<u8>) -> Result<usize> {
        let begin = out.len();
        memory::reserve(out, HEADER + self.nbytes, STAGE)?;
        out.extend_from_slice(&[0; HEADER]);
        Ok(begin)
    }

    /// Write the header of the frame that begins at `begin` and ends where `out` does.
    fn finish(&self, out: &mut [u8], begin: usize, stored: bool) {
        let cbytes = out.len() - begin;
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let format = self.params.compressor.format();
        let flags = flag(self.params.shuffle == Shuffle::Byte, FLAG_SHUFFLE)
            | flag(self.params.shuffle == Shuffle::Bit, FLAG_BITSHUFFLE)
            | flag(stored, FLAG_STORED)
            | flag(!self.split, FLAG_WHOLE)
            | (format as u8) << 5;
        let header = &mut out[begin..begin + HEADER];
        header[..4].copy_from_slice(&[VERSION, 1, flags, self.typesize as u8]);
        header[4..8].copy_from_slice(&(self.nbytes as u32).to_le_bytes());
        header[8..12].copy_from_slice(&(self.blocksize as u32).to_le_bytes());
        header[12..].copy_from_slice(&(cbytes as u32).to_le_bytes());
    }
}

/// Return the block size that c-blosc 1.21 chooses.
pub(super) fn blocksize(nbytes: usize, typesize: usize, params: &Params) -> usize {
    if nbytes < typesize || nbytes == 0 {
        return 1;
    }
    // Compressors made for ratio get twice the size.
    let thorough = matches!(
        params.compressor,
        Compressor::Lz4hc | Compressor::Zlib | Compressor::Zstd
    );
    let mut size = nbytes;
    if params.blocksize > 0 {
        size = params.blocksize.clamp(MIN_SPLIT, MAX_BYTES / 3);
    } else if nbytes >= 32 * 1024 {
        let base: usize = if thorough { 64 * 1024 } else { 32 * 1024 };
        size = match params.level {
            0 => base / 4,
            1 => base / 2,
            2 => base,
            3 => base * 2,
            4 | 5 => base * 4,
            6..=8 => base * 8,
            _ if thorough => base * 16,
            _ => base * 8,
        };
    }
    if params.level > 0 && params.compressor != Compressor::Zstd && can_split(typesize, size) {
        size = (size.min(1 << 18) * typesize).clamp(1 << 16, 1 << 20);
    }
    size = size.min(nbytes);
    if size > typesize {
        size -= size % typesize;
    }
    size
}

/// Encode `src` as one frame and append it to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params, ctx: &mut Context) -> Result<()> {
    let layout = Layout::new(src.len(), params)?;
    if layout.stored() {
        return layout.assemble(src, None, out);
    }
    let begin = layout.begin(out)?;
    let count = src.len().div_ceil(layout.blocksize);
    // A frame never takes more than a stored one.
    let limit = HEADER + src.len();
    let mut used = HEADER + 4 * count;
    let mut fits = used < limit;
    if fits {
        memory::resize(out, begin + used, 0, STAGE)?;
        for (i, block) in src.chunks(layout.blocksize).enumerate() {
            fits = layout.encode_block(block, out, limit - used, ctx)?;
            if !fits {
                break;
            }
            let place = begin + HEADER + 4 * i;
            out[place..place + 4].copy_from_slice(&(used as u32).to_le_bytes());
            used = out.len() - begin;
        }
    }
    if fits {
        layout.finish(out, begin, false);
    } else {
        out.truncate(begin);
        layout.assemble(src, None, out)?;
    }
    Ok(())
}
