//! The numbers of a frame's header, and what a user may choose.

use crate::codecs::codec::number;
use crate::codecs::{deflate, lz4, zstd};
use crate::error::{Error, Result};

pub(super) const STAGE: &str = "blosc";
pub(super) const HEADER: usize = 16;
pub(super) const VERSION: u8 = 2;
/// Elements larger than this are never split into streams.
pub(super) const MAX_SPLIT: usize = 16;
/// Blocks of fewer elements are never split, and smaller frames are stored.
pub(super) const MIN_SPLIT: usize = 128;
/// The largest size that the header's signed numbers can state.
pub(super) const MAX_BYTES: usize = i32::MAX as usize - HEADER;

pub(super) const FLAG_SHUFFLE: u8 = 0x01;
pub(super) const FLAG_STORED: u8 = 0x02;
pub(super) const FLAG_BITSHUFFLE: u8 = 0x04;
pub(super) const FLAG_RESERVED: u8 = 0x08;
pub(super) const FLAG_WHOLE: u8 = 0x10;

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
    /// Return the compressor that metadata calls `cname`.
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

    pub(super) fn format(self) -> Format {
        match self {
            Compressor::BloscLz => Format::BloscLz,
            Compressor::Lz4 | Compressor::Lz4hc => Format::Lz4,
            Compressor::Snappy => Format::Snappy,
            Compressor::Zlib => Format::Zlib,
            Compressor::Zstd => Format::Zstd,
        }
    }
}

/// The filter of a block, which is applied before it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shuffle {
    /// Nothing.
    None,
    /// Bytes of equal significance become contiguous.
    Byte,
    /// Bits of equal significance become contiguous.
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
    /// Whether bytes behind a frame are ignored if its decoded size is known.
    pub padded: bool,
}

impl Params {
    /// Return how many bytes are encoded within some 50 ms at least.
    pub fn promptly(&self) -> usize {
        match self.compressor {
            _ if self.level == 0 => usize::MAX,
            Compressor::BloscLz | Compressor::Lz4 | Compressor::Snappy => lz4::PROMPTLY,
            Compressor::Lz4hc => 1 << 20,
            Compressor::Zlib => deflate::promptly(i32::from(self.level)),
            Compressor::Zstd => zstd::promptly(self.zstd_level()),
        }
    }

    /// Return the level of zstd: Blosc's nine are spread over those of zstd.
    pub(super) fn zstd_level(&self) -> i32 {
        match self.level {
            9.. => zstd_safe::max_c_level(),
            level => i32::from(level) * 2 - 1,
        }
    }

    /// Make the parameters as Python describes them.
    pub fn parse(numbers: &[i64], word: &str) -> Option<Params> {
        Some(Params {
            compressor: Compressor::from_name(word)?,
            level: number(numbers, 0)?,
            shuffle: match number::<u8>(numbers, 1)? {
                0 => Shuffle::None,
                1 => Shuffle::Byte,
                2 => Shuffle::Bit,
                _ => return None,
            },
            typesize: number(numbers, 2)?,
            blocksize: number(numbers, 3)?,
            padded: number::<u8>(numbers, 4)? != 0,
        })
    }

    /// Return the frame that the data begins with, without the padding that may follow it.
    pub fn frame<'a>(&self, data: &'a [u8]) -> &'a [u8] {
        match read_u32(data, 12) {
            Some(end) if self.padded && end >= HEADER => data.get(..end).unwrap_or(data),
            _ => data,
        }
    }
}

/// The compressors as the header numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    BloscLz = 0,
    Lz4 = 1,
    Snappy = 2,
    Zlib = 3,
    Zstd = 4,
}

impl Format {
    pub(super) fn parse(flags: u8) -> Result<Format> {
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

pub(super) fn fail(message: impl Into<String>) -> Error {
    Error::codec(STAGE, message)
}

/// Return the four bytes at `at` as a number.
pub(super) fn read_u32(src: &[u8], at: usize) -> Option<usize> {
    let bytes = src.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}

/// Whether blocks with such elements can be split into one stream a byte.
pub(super) fn can_split(typesize: usize, blocksize: usize) -> bool {
    (1..=MAX_SPLIT).contains(&typesize) && blocksize / typesize >= MIN_SPLIT
}
