//! The codecs, one a file, and the one place that lists them.
//!
//! * A codec of bytes implements [`Codec`] and gets a name in the first list below. One of elements,
//!   which an array codec or a serializer stands for, implements [`Typed`] and gets a name in the
//!   second.
//! * `vlen` is called by Python itself, chunk by chunk, and is no part of a chain.

mod bitround;
mod blocks;
pub mod blosc;
mod blosclz;
mod bz2;
mod cast_value;
pub mod checksums;
mod codec;
mod conditional;
mod deflate;
mod delta;
mod lz4;
mod lz4_block;
mod lzma;
mod mask;
#[cfg(test)]
mod noise;
mod numbers;
mod packbits;
mod record;
mod scale_offset;
mod shuffle;
mod streams;
mod swap;
mod truth;
mod typed;
pub mod vlen;
mod zstd;

use std::any::Any;
use std::ops::{Deref, Range};
use std::sync::Arc;

pub use self::codec::{Codec, Contexts};
pub use self::typed::Typed;
use crate::apart;
use crate::error::Result;
use crate::memory;
use crate::objects::Stop;

/// The decoded bytes from which on decoding asks whether to stop.
const LARGE: usize = 8 << 20;

/// Define a function that makes any of some codecs.
macro_rules! makes {
    ($name:ident, $kind:ty, $($module:ident),* $(,)?) => {
        fn $name(name: &str, numbers: &[i64], word: &str) -> Option<Arc<$kind>> {
            $(if let Some(made) = $module::Params::make(name, numbers, word) {
                return Some(Arc::new(made));
            })*
            None
        }
    };
}

makes!(
    of_bytes,
    dyn Codec,
    blocks,
    blosc,
    bz2,
    checksums,
    conditional,
    deflate,
    lz4,
    lz4_block,
    lzma,
    zstd
);
makes!(
    of_elements,
    dyn Typed,
    bitround,
    cast_value,
    delta,
    mask,
    packbits,
    record,
    scale_offset,
    swap,
    truth
);

/// Any codec of elements.
#[derive(Debug, Clone)]
pub struct TypedCodec(Arc<dyn Typed>);

impl TypedCodec {
    /// Make a codec from its name, its numbers and a word, as Python describes it.
    pub fn make(name: &str, numbers: &[i64], word: &str) -> Option<TypedCodec> {
        of_elements(name, numbers, word).map(TypedCodec)
    }
}

impl Deref for TypedCodec {
    type Target = dyn Typed;

    fn deref(&self) -> &(dyn Typed + 'static) {
        &*self.0
    }
}

/// Any codec of bytes.
#[derive(Debug, Clone)]
pub struct ByteCodec(Arc<dyn Codec>);

impl Deref for ByteCodec {
    type Target = dyn Codec;

    fn deref(&self) -> &(dyn Codec + 'static) {
        &*self.0
    }
}

impl ByteCodec {
    /// Make a codec from its name, its numbers and a word, as Python describes it.
    pub fn make(name: &str, numbers: &[i64], word: &str) -> Option<ByteCodec> {
        of_bytes(name, numbers, word).map(ByteCodec)
    }

    /// Return the codec's configuration if it is of a type.
    pub fn of_type<T: Codec>(&self) -> Option<&T> {
        (&*self.0 as &dyn Any).downcast_ref()
    }

    /// Decode to exactly the size of `dst`. If it is large, ask whether to stop meanwhile.
    pub fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<()> {
        let stop = (dst.len() >= LARGE).then_some(stop);
        self.0.decode(data, dst, contexts, stop)
    }

    /// Decode at least the first `until` bytes into `dst`, which has the size of all.
    pub fn decode_start(
        &self,
        data: &[u8],
        dst: &mut [u8],
        until: usize,
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<()> {
        if until < dst.len() && self.0.decode_start(data, dst, until, contexts, stop)? {
            return Ok(());
        }
        self.decode(data, dst, contexts, stop)
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
        self.0.decode_part(data, size, part, dst, contexts)
    }

    /// Decode into a buffer, in place of its content. The size may be unknown; it is then at most
    /// `most`. If it may be large, the data is decoded apart (`apart.rs`), and both the buffer and the
    /// contexts are empty if the call is interrupted.
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
            ("bz2", &[1, 0], ""),
            ("gzip", &[1, 0], ""),
            ("lz4", &[1], ""),
            ("lzma", &[1, 4, 0, 1 << 30, 0], ""),
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
