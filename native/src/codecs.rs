//! The codecs, one a file, and what they have in common.
//!
//! * `decode` fills its destination exactly or fails; the size comes from the array's metadata and
//!   never from the data.
//! * `encode` appends to its output.

pub mod blosc;
pub mod blosclz;
pub mod checksums;
pub mod deflate;
pub mod delta;
pub mod lz4;
pub mod shuffle;
pub mod swap;
pub mod vlen;
pub mod zstd;

use crate::error::Result;
use std::ops::Range;

/// The most bytes that a chunk of unknown size may decode to.
const LIMIT: usize = 2 << 30;

/// What the codecs of one thread keep from chunk to chunk.
#[derive(Default)]
pub struct Contexts {
    pub(crate) blosc: blosc::Context,
    deflate: deflate::Context,
    delta: delta::Context,
    lz4: lz4::Context,
    zstd: zstd::Context,
}

/// A codec from bytes to bytes, with its configuration.
#[derive(Debug, Clone)]
pub enum ByteCodec {
    Blosc(blosc::Params),
    Zstd(zstd::Params),
    Deflate(deflate::Params),
    Delta(delta::Params),
    Lz4(lz4::Params),
    Checksum(checksums::Kind, checksums::Location),
}

impl ByteCodec {
    /// Make a codec from its name, its numbers and a word, as Python describes it.
    pub fn make(name: &str, numbers: &[i64], word: &str) -> Option<ByteCodec> {
        let number = |place: usize| numbers.get(place).copied();
        let small = |place: usize| number(place).and_then(|n| i32::try_from(n).ok());
        let checksum = |kind| {
            let location = match word {
                "start" => checksums::Location::Start,
                "end" => checksums::Location::End,
                _ => return None,
            };
            Some(ByteCodec::Checksum(kind, location))
        };
        let deflate = |format| {
            Some(ByteCodec::Deflate(deflate::Params {
                format,
                level: small(0)?,
            }))
        };
        match name {
            "blosc" => Some(ByteCodec::Blosc(blosc::Params {
                compressor: blosc::Compressor::from_name(word)?,
                level: number(0).and_then(|n| u8::try_from(n).ok())?,
                shuffle: match number(1)? {
                    0 => blosc::Shuffle::None,
                    1 => blosc::Shuffle::Byte,
                    2 => blosc::Shuffle::Bit,
                    _ => return None,
                },
                typesize: number(2).and_then(|n| usize::try_from(n).ok())?,
                blocksize: number(3).and_then(|n| usize::try_from(n).ok())?,
            })),
            "zstd" => Some(ByteCodec::Zstd(zstd::Params {
                level: small(0)?,
                checksum: number(1)? != 0,
            })),
            "gzip" => deflate(deflate::Format::Gzip),
            "zlib" => deflate(deflate::Format::Zlib),
            "delta" => {
                let (dtype, astype) = word.split_once(' ')?;
                Some(ByteCodec::Delta(delta::Params {
                    dtype: delta::Number::parse(dtype)?,
                    astype: delta::Number::parse(astype)?,
                }))
            }
            "lz4" => Some(ByteCodec::Lz4(lz4::Params {
                acceleration: small(0)?,
            })),
            "crc32c" => checksum(checksums::Kind::Crc32c),
            "crc32" => checksum(checksums::Kind::Crc32),
            "adler32" => checksum(checksums::Kind::Adler32),
            "fletcher32" => checksum(checksums::Kind::Fletcher32),
            _ => None,
        }
    }

    /// Give the codec's name.
    pub fn name(&self) -> &'static str {
        match self {
            ByteCodec::Blosc(_) => "blosc",
            ByteCodec::Zstd(_) => "zstd",
            ByteCodec::Deflate(_) => "gzip",
            ByteCodec::Delta(_) => "delta",
            ByteCodec::Lz4(_) => "lz4",
            ByteCodec::Checksum(..) => "checksum",
        }
    }

    /// Verify and take off a checksum; `None` for every other codec.
    pub fn strip<'a>(&self, data: &'a [u8]) -> Result<Option<&'a [u8]>> {
        match self {
            ByteCodec::Checksum(kind, location) => {
                checksums::strip(data, kind, *location).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Give the encoded size of `size` bytes where it depends on nothing else.
    pub fn encoded_size(&self, size: usize) -> Option<usize> {
        match self {
            ByteCodec::Checksum(..) => size.checked_add(4),
            ByteCodec::Delta(params) => {
                (size / params.dtype.size()).checked_mul(params.astype.size())
            }
            _ => None,
        }
    }

    /// Decode to exactly the size of `dst`.
    pub fn decode(&self, data: &[u8], dst: &mut [u8], contexts: &mut Contexts) -> Result<()> {
        match self {
            ByteCodec::Blosc(_) => blosc::decode(data, dst, &mut contexts.blosc),
            ByteCodec::Zstd(_) => zstd::decode(data, dst, &mut contexts.zstd),
            ByteCodec::Deflate(params) => {
                deflate::decode(data, dst, params.format, &mut contexts.deflate)
            }
            ByteCodec::Delta(params) => delta::decode(data, dst, params, &mut contexts.delta),
            ByteCodec::Lz4(_) => lz4::decode(data, dst, &mut contexts.lz4),
            ByteCodec::Checksum(kind, location) => checksums::decode(data, dst, kind, *location),
        }
    }

    /// Tell whether a part of the data is decoded for less than all of it.
    pub fn in_parts(&self) -> bool {
        matches!(self, ByteCodec::Blosc(_))
    }

    /// Give the bytes that are decoded together, at most, of data that decodes to `size`.
    pub fn block_size(&self, data: &[u8], size: usize) -> Result<usize> {
        match self {
            ByteCodec::Blosc(_) => Ok(blosc::Header::parse(data, size)?.block_size()),
            _ => Ok(size.max(1)),
        }
    }

    /// Decode the bytes of `part`, of `size` in all, into `dst`, which has the size of the part.
    pub fn decode_part(
        &self,
        data: &[u8],
        size: usize,
        part: Range<usize>,
        dst: &mut [u8],
        contexts: &mut Contexts,
    ) -> Result<()> {
        match self {
            ByteCodec::Blosc(_) => {
                let (start, end) = (part.start, part.end);
                blosc::decode_range(data, size, start, end, dst, &mut contexts.blosc)
            }
            _ if part == (0..size) => self.decode(data, dst, contexts),
            _ => {
                let mut whole = vec![0; size];
                self.decode(data, &mut whole, contexts)?;
                dst.copy_from_slice(&whole[part]);
                Ok(())
            }
        }
    }

    /// Decode what may be of unknown size into a buffer, which holds it and nothing else then.
    pub fn decode_unknown(
        &self,
        data: &[u8],
        size: Option<usize>,
        out: &mut Vec<u8>,
        contexts: &mut Contexts,
    ) -> Result<()> {
        out.clear();
        if let Some(size) = size {
            out.resize(size, 0);
            return self.decode(data, out, contexts);
        }
        match self {
            ByteCodec::Blosc(_) => blosc::decode_to_vec(data, out, LIMIT, &mut contexts.blosc),
            ByteCodec::Zstd(_) => zstd::decode_to_vec(data, out, LIMIT, &mut contexts.zstd),
            ByteCodec::Deflate(params) => {
                deflate::decode_to_vec(data, out, LIMIT, params.format, &mut contexts.deflate)
            }
            ByteCodec::Delta(params) => {
                out.resize(data.len() / params.astype.size() * params.dtype.size(), 0);
                self.decode(data, out, contexts)
            }
            ByteCodec::Lz4(_) => lz4::decode_to_vec(data, out, LIMIT, &mut contexts.lz4),
            ByteCodec::Checksum(kind, location) => {
                out.extend_from_slice(checksums::strip(data, kind, *location)?);
                Ok(())
            }
        }
    }

    /// Encode behind what `out` holds.
    pub fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        match self {
            ByteCodec::Blosc(params) => blosc::encode(data, out, params, &mut contexts.blosc),
            ByteCodec::Zstd(params) => zstd::encode(data, out, params, &mut contexts.zstd),
            ByteCodec::Deflate(params) => deflate::encode(data, out, params, &mut contexts.deflate),
            ByteCodec::Delta(params) => delta::encode(data, out, params, &mut contexts.delta),
            ByteCodec::Lz4(params) => lz4::encode(data, out, params, &mut contexts.lz4),
            ByteCodec::Checksum(kind, location) => checksums::encode(data, out, kind, *location),
        }
    }
}
