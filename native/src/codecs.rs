//! The codecs, one a file, and the one place that lists them.
//!
//! A codec from bytes to bytes implements [`Codec`] for its `Params`, keeps its state in a context of
//! its own, and gets a line in the list below. `swap` and `vlen` are no such codecs: they stand for
//! serializers, which know elements.

mod blocks;
pub mod blosc;
mod blosclz;
pub mod checksums;
mod codec;
mod deflate;
mod delta;
mod lz4;
#[cfg(test)]
mod noise;
mod shuffle;
pub mod swap;
pub mod vlen;
mod zstd;

use std::ops::Range;

use self::codec::Codec;
use crate::apart;
use crate::error::Result;
use crate::memory;
use crate::objects::Stop;

/// The decoded bytes from which on decoding asks whether to stop.
const LARGE: usize = 8 << 20;

macro_rules! codecs {
    ($($variant:ident: $module:ident,)*) => {
        /// What the codecs of one thread keep from chunk to chunk.
        #[derive(Default)]
        pub struct Contexts {
            $(pub $module: <$module::Params as Codec>::Context,)*
        }

        impl Contexts {
            /// Return about the bytes that are allocated.
            pub fn footprint(&self) -> usize {
                0 $(+ $module::Params::footprint(&self.$module))*
            }
        }

        /// Any codec from bytes to bytes, whose methods are those of [`Codec`].
        #[derive(Debug, Clone)]
        pub enum ByteCodec {
            $($variant($module::Params),)*
        }

        impl ByteCodec {
            /// Make a codec from its name, its numbers and a word, as Python describes it.
            pub fn make(name: &str, numbers: &[i64], word: &str) -> Option<ByteCodec> {
                $(if let Some(made) = $module::Params::make(name, numbers, word) {
                    return Some(ByteCodec::$variant(made));
                })*
                None
            }

            /// Return the name of the codec.
            pub fn name(&self) -> &'static str {
                match self {
                    $(ByteCodec::$variant(codec) => codec.name(),)*
                }
            }

            /// Return the encoded size of `size` bytes if it depends on nothing else.
            pub fn encoded_size(&self, size: usize) -> Option<usize> {
                match self {
                    $(ByteCodec::$variant(codec) => codec.encoded_size(size),)*
                }
            }

            /// Whether decoding verifies the data and takes bytes off its ends, and does nothing else.
            pub fn strips(&self) -> bool {
                match self {
                    $(ByteCodec::$variant(codec) => codec.strips(),)*
                }
            }

            /// Return the decoded data as a part of the encoded, for a codec that strips.
            pub fn strip<'a>(&self, data: &'a [u8]) -> Result<Option<&'a [u8]>> {
                match self {
                    $(ByteCodec::$variant(codec) => codec.strip(data),)*
                }
            }

            /// Whether decoding a part of the data costs less than decoding all of it.
            pub fn in_parts(&self) -> bool {
                match self {
                    $(ByteCodec::$variant(codec) => codec.in_parts(),)*
                }
            }

            /// Return the size of the largest block that can only be decoded as a whole.
            pub fn block_size(&self, data: &[u8], size: usize) -> Result<usize> {
                match self {
                    $(ByteCodec::$variant(codec) => codec.block_size(data, size),)*
                }
            }

            /// Return how many bytes are encoded within some 50 ms at least.
            pub fn promptly(&self) -> usize {
                match self {
                    $(ByteCodec::$variant(codec) => codec.promptly(),)*
                }
            }

            /// Decode to exactly the size of `dst`. If it is large, ask whether to stop meanwhile.
            pub fn decode(
                &self,
                data: &[u8],
                dst: &mut [u8],
                contexts: &mut Contexts,
                stop: Stop,
            ) -> Result<()> {
                let large = dst.len() >= LARGE;
                match self {
                    $(ByteCodec::$variant(codec) if large => {
                        codec.decode_large(data, dst, &mut contexts.$module, stop)
                    })*
                    $(ByteCodec::$variant(codec) => {
                        codec.decode(data, dst, &mut contexts.$module)
                    })*
                }
            }

            /// Decode the bytes of `part`, of `size` in all, into `dst`.
            pub fn decode_part(
                &self,
                data: &[u8],
                size: usize,
                part: Range<usize>,
                dst: &mut [u8],
                contexts: &mut Contexts,
                stop: Stop,
            ) -> Result<()> {
                if part == (0..size) {
                    return self.decode(data, dst, contexts, stop);
                }
                match self {
                    $(ByteCodec::$variant(codec) => {
                        codec.decode_part(data, size, part, dst, &mut contexts.$module)
                    })*
                }
            }

            /// Decode into a buffer, in place of its content. The size may be unknown; it is then
            /// at most `most`. If it may be large, the data is decoded apart (`apart.rs`), and both
            /// the buffer and the contexts are empty if the call is interrupted.
            pub fn decode_into(
                &self,
                data: &[u8],
                size: Option<usize>,
                most: usize,
                out: &mut Vec<u8>,
                contexts: &mut Contexts,
                stop: Stop,
            ) -> Result<()> {
                out.clear();
                if let Some(size) = size {
                    memory::resize(out, size, 0, self.name())?;
                    return self.decode(data, out, contexts, stop);
                }
                if most < LARGE {
                    return self.decode_to_vec(data, out, most, contexts);
                }
                let (codec, data) = (self.clone(), memory::copied(data, self.name())?);
                let (mut given, mut taken) = (std::mem::take(out), std::mem::take(contexts));
                let work = move || {
                    let done = codec.decode_to_vec(&data, &mut given, most, &mut taken);
                    (done, given, taken)
                };
                let found = apart::run(work, stop)?;
                (*out, *contexts) = (found.1, found.2);
                found.0
            }

            /// Decode data of unknown size, of at most `most` bytes, and append the result.
            fn decode_to_vec(
                &self,
                data: &[u8],
                out: &mut Vec<u8>,
                most: usize,
                contexts: &mut Contexts,
            ) -> Result<()> {
                match self {
                    $(ByteCodec::$variant(codec) => {
                        codec.decode_to_vec(data, out, most, &mut contexts.$module)
                    })*
                }
            }

            /// Encode and append the result to `out`.
            pub fn encode(
                &self,
                data: &[u8],
                out: &mut Vec<u8>,
                contexts: &mut Contexts,
            ) -> Result<()> {
                match self {
                    $(ByteCodec::$variant(codec) => {
                        codec.encode(data, out, &mut contexts.$module)
                    })*
                }
            }
        }
    };
}

codecs! {
    Blocks: blocks,
    Blosc: blosc,
    Checksum: checksums,
    Deflate: deflate,
    Delta: delta,
    Lz4: lz4,
    Zstd: zstd,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn data_of_unknown_size_is_decoded_apart() {
        let content: Vec<u8> = (0..LARGE as u32).map(|i| (i >> 7) as u8).collect();
        for (name, numbers, word) in [
            ("blosc", &[1, 1, 1, 0, 0][..], "lz4"),
            ("gzip", &[1, 0], ""),
            ("lz4", &[1], ""),
            ("zlib", &[1, 0], ""),
            ("zstd", &[1, 0], ""),
        ] {
            let codec = ByteCodec::make(name, numbers, word).unwrap();
            let (mut contexts, mut data) = (Contexts::default(), Vec::new());
            codec.encode(&content, &mut data, &mut contexts).unwrap();
            let mut out = vec![7];
            for most in [LARGE - 1, LARGE, 2 * LARGE] {
                let done = codec.decode_into(&data, None, most, &mut out, &mut contexts, &|| false);
                assert_eq!(done.is_ok(), most >= LARGE, "{name} {most}");
                assert!(done.is_err() || out == content, "{name} {most}");
            }
        }
    }

    #[test]
    fn the_decoding_of_data_of_unknown_size_can_be_left() {
        // No machine decodes so much before the first question.
        let mut noise = 1u32;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 29) as u8
        })
        .take(12 * LARGE)
        .collect();
        let codec = ByteCodec::make("zlib", &[1, 0], "").unwrap();
        let (mut contexts, mut data, mut out) = Default::default();
        codec.encode(&content, &mut data, &mut contexts).unwrap();
        let mut decode =
            |stop: Stop| codec.decode_into(&data, None, 1 << 30, &mut out, &mut contexts, stop);
        assert_eq!(decode(&|| true), Err(Error::interrupted()));
        assert_eq!(decode(&|| false), Ok(()));
        assert!(out == content);
    }
}
