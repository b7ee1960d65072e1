//! A chain of codecs, compiled once for an array.
//!
//! * A transpose costs nothing: it decides the strides of the decoded chunk, and the copy follows
//!   them. The byte order is part of the copy, too.
//! * The size that a codec decodes to is known before the data is looked at, unless a codec of
//!   variable size stands before it.
//! * A chain has one stage so far: the codecs from bytes to bytes. What the serializer `bytes` does is
//!   `swap` and `boolean`. A serializer that packs elements, or a codec that needs their type and the
//!   chunk's shape, would be a stage before it.

use crate::codecs::{swap, ByteCodec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

/// The bytes that an encoded chunk may have in addition to twice its decoded size.
const SLACK: usize = 1 << 20;

/// The codecs of a chunk, and what they need to know of its elements.
pub struct Chain {
    /// The bytes of one element.
    pub item: usize,
    /// The element that missing chunks consist of.
    pub fill: Vec<u8>,
    /// Whether a chunk that holds only `fill` is not stored.
    pub sparse: bool,
    /// The bytes of the units whose order differs between storage and memory.
    pub swap: Option<usize>,
    /// Whether the elements are truth values: every byte but zero means true.
    pub boolean: bool,
    /// The codecs from bytes to bytes, in the order of encoding.
    pub codecs: Vec<ByteCodec>,
}

/// The bytes before the last step of decoding.
#[derive(Clone, Copy)]
pub enum Peeled<'a> {
    /// The decoded chunk.
    Raw(&'a [u8]),
    /// Bytes still to be decoded by the first codec of the chain.
    Coded(&'a ByteCodec, &'a [u8]),
}

impl Chain {
    /// Whether an encoded chunk is its elements as they are in memory.
    pub fn plain(&self) -> bool {
        self.codecs.is_empty() && self.swap.is_none() && !self.boolean
    }

    /// Whether each part of a chunk can be decoded by itself.
    pub fn in_parts(&self) -> bool {
        match self.codecs.split_first() {
            Some((first, others)) => {
                (first.in_parts() || first.strips()) && others.iter().all(ByteCodec::strips)
            }
            None => true,
        }
    }

    /// Undo all codecs but the first, of a chunk of `nbytes` decoded bytes. The stages are not used
    /// for a chunk that can be decoded in parts.
    pub fn peel<'a>(
        &'a self,
        data: &'a [u8],
        nbytes: usize,
        stages: &'a mut [Vec<u8>; 2],
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<Peeled<'a>> {
        let [left, right] = stages;
        let mut current = data;
        let mut free = [Some(left), Some(right)];
        let mut turn = 0;
        for (place, codec) in self.codecs.iter().enumerate().rev() {
            if let Some(stripped) = codec.strip(current)? {
                current = stripped;
            } else if place == 0 {
                return Ok(Peeled::Coded(codec, current));
            } else {
                let size = self.size_before(place, nbytes);
                let Some(buffer) = free.get_mut(turn).and_then(Option::take) else {
                    return Err(Error::codec(
                        codec.name(),
                        "more than three compressors in a chain are not supported",
                    ));
                };
                turn += 1;
                let most = self.most_encoded(nbytes);
                codec.decode_into(current, size, most, buffer, contexts, stop)?;
                current = buffer;
            }
        }
        Ok(Peeled::Raw(current))
    }

    /// Return the most bytes that a chunk is encoded to, at any place of the chain and by any writer.
    pub fn most_encoded(&self, nbytes: usize) -> usize {
        let mut size = nbytes;
        let mut most = nbytes;
        for codec in &self.codecs {
            size = codec.encoded_size(size).unwrap_or(size);
            most = most.max(size);
        }
        most.saturating_mul(2).saturating_add(SLACK)
    }

    /// Return the size of the input of codec `place`, if it is known.
    fn size_before(&self, place: usize, nbytes: usize) -> Option<usize> {
        self.codecs[..place]
            .iter()
            .try_fold(nbytes, |size, codec| codec.encoded_size(size))
    }

    /// Encode a chunk, in memory's byte order and the stored order of axes. Its bytes are used up.
    pub fn encode(
        &self,
        bytes: &mut [u8],
        out: &mut Vec<u8>,
        stages: &mut [Vec<u8>; 2],
        contexts: &mut Contexts,
    ) -> Result<()> {
        self.to_storage_order(bytes)?;
        encode_by(&self.codecs, bytes, out, stages, contexts)
    }

    /// Bring a chunk from memory's byte order to that of storage.
    pub fn to_storage_order(&self, bytes: &mut [u8]) -> Result<()> {
        match self.swap {
            Some(unit) => swap::in_place(bytes, unit),
            None => Ok(()),
        }
    }
}

/// Encode bytes by some codecs, and append the result to `out`.
pub fn encode_by(
    codecs: &[ByteCodec],
    data: &[u8],
    out: &mut Vec<u8>,
    stages: &mut [Vec<u8>; 2],
    contexts: &mut Contexts,
) -> Result<()> {
    let Some((last, others)) = codecs.split_last() else {
        return memory::append(out, data, "bytes");
    };
    // One codec's output is the next one's input, so two buffers take turns.
    let [left, right] = stages;
    let (mut given, mut taken) = (left, right);
    for (place, codec) in others.iter().enumerate() {
        taken.clear();
        let current: &[u8] = if place == 0 { data } else { given };
        codec.encode(current, taken, contexts)?;
        std::mem::swap(&mut given, &mut taken);
    }
    let current: &[u8] = if others.is_empty() { data } else { given };
    last.encode(current, out, contexts)
}
