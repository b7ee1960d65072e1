//! A chain of codecs, compiled once for an array.
//!
//! * It has two stages. The first are codecs of elements: array codecs, and what the serializer does
//!   with each element. The second are codecs from bytes to bytes.
//! * A transpose costs nothing: it decides the strides of the decoded chunk, and the copy follows
//!   them. So does a byte order, if reading does nothing else with elements: it is part of the copy.
//! * A part of the elements is decoded from a part of the encoded ones, if each codec of elements and
//!   the first codec of bytes allow it.
//! * The size that a codec decodes to is known before the data is looked at, unless a codec of
//!   variable size stands before it.

use std::ops::Range;

use crate::codecs::{ByteCodec, Contexts, TypedCodec};
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
    /// The bytes of the units whose order differs between storage and memory, if that is all that
    /// reading does with elements.
    pub swap: Option<usize>,
    /// The codecs from bytes to bytes, in the order of encoding.
    pub codecs: Vec<ByteCodec>,
    /// The codecs of elements, in the order of encoding.
    typed: Vec<TypedCodec>,
    /// Those of them that reading takes, without a swap in the copy.
    undone: Vec<TypedCodec>,
    /// Whether elements are encoded and decoded in place.
    in_place: bool,
    /// Whether a part of the elements can be decoded by itself.
    in_parts: bool,
}

/// The bytes before the codecs of elements, or before the last step of decoding bytes.
#[derive(Clone, Copy)]
pub enum Peeled<'a> {
    /// The encoded elements.
    Raw(&'a [u8]),
    /// Bytes still to be decoded by the first codec of bytes.
    Coded(&'a ByteCodec, &'a [u8]),
}

/// Memory for elements between two codecs.
#[derive(Default)]
pub struct Between {
    /// What the codecs of bytes give or take.
    pub encoded: Vec<u8>,
    /// What two codecs of elements hand on to each other.
    pub stages: [Vec<u8>; 2],
}

impl Between {
    /// Return about the bytes that are allocated.
    pub fn footprint(&self) -> usize {
        let [left, right] = &self.stages;
        self.encoded.capacity() + left.capacity() + right.capacity()
    }
}

impl Chain {
    /// Make a chain for elements like `fill`.
    pub fn new(
        fill: Vec<u8>,
        sparse: bool,
        typed: Vec<TypedCodec>,
        codecs: Vec<ByteCodec>,
    ) -> Chain {
        let mut undone: Vec<TypedCodec> = typed
            .iter()
            .filter(|codec| !codec.only_encodes())
            .cloned()
            .collect();
        let swap = match &undone[..] {
            [only] => only.swaps().filter(|unit| matches!(unit, 2 | 4 | 8 | 16)),
            _ => None,
        };
        if swap.is_some() {
            undone.clear();
        }
        Chain {
            item: fill.len(),
            fill,
            sparse,
            swap,
            codecs,
            in_place: typed.iter().all(|codec| codec.is_in_place()),
            in_parts: undone.iter().all(|codec| codec.source(0..1, 1).is_some()),
            typed,
            undone,
        }
    }

    /// Whether an encoded chunk is its elements as they are in memory.
    pub fn plain(&self) -> bool {
        self.codecs.is_empty() && self.swap.is_none() && self.undone.is_empty()
    }

    /// Whether the codecs of bytes give the elements as they are in memory, but for their byte order.
    pub fn untyped(&self) -> bool {
        self.undone.is_empty()
    }

    /// Whether elements are encoded and decoded in place.
    pub fn in_place(&self) -> bool {
        self.in_place
    }

    /// Whether a part of the elements can be decoded from a part of the encoded ones.
    pub fn elements_in_parts(&self) -> bool {
        self.in_parts
    }

    /// Whether each part of a chunk can be decoded by itself.
    pub fn in_parts(&self) -> bool {
        self.in_parts
            && match self.codecs.split_first() {
                Some((first, others)) => {
                    (first.in_parts() || first.strips())
                        && others.iter().all(|codec| codec.strips())
                }
                None => true,
            }
    }

    /// Return the size of `nbytes` of elements when they are encoded, if it is known.
    pub fn encoded_elements(&self, nbytes: usize) -> Option<usize> {
        self.typed
            .iter()
            .try_fold(nbytes, |size, codec| codec.encoded_size(size))
    }

    /// Return the encoded bytes from which a part of the elements, `nbytes` in all, is decoded, if
    /// elements can be decoded in parts.
    pub fn source(&self, part: Range<usize>, nbytes: usize) -> Option<Range<usize>> {
        if part.is_empty() {
            return Some(0..0);
        }
        let mut size = nbytes;
        self.undone.iter().try_fold(part, |part, codec| {
            let source = codec.source(part, size);
            size = codec.encoded_size(size)?;
            source
        })
    }

    /// Undo all codecs of bytes but the first, of a chunk of `nbytes` decoded bytes. The stages are not
    /// used for a chunk that can be decoded in parts.
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

    /// Decode a part of the elements into `out`. The data is what `source` returns, or all of it.
    pub fn decode_elements(
        &self,
        data: &[u8],
        nbytes: usize,
        part: Range<usize>,
        out: &mut [u8],
        stages: &mut [Vec<u8>; 2],
    ) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        undo(&self.undone, data, nbytes, part, out, stages)
    }

    /// Return the most bytes that a chunk is encoded to, at any place of the chain and by any writer.
    pub fn most_encoded(&self, nbytes: usize) -> usize {
        let (mut size, mut most) = (nbytes, nbytes);
        for codec in &self.typed {
            size = codec.encoded_size(size).unwrap_or(size);
            most = most.max(size);
        }
        for codec in &self.codecs {
            size = codec.encoded_size(size).unwrap_or(size);
            most = most.max(size);
        }
        most.saturating_mul(2).saturating_add(SLACK)
    }

    /// Return the size of an encoded chunk, if it is known.
    pub fn encoded_size(&self, nbytes: usize) -> Option<usize> {
        self.size_before(self.codecs.len(), nbytes)
    }

    /// Return the size of the input of codec `place`, if it is known.
    fn size_before(&self, place: usize, nbytes: usize) -> Option<usize> {
        self.codecs[..place]
            .iter()
            .try_fold(self.encoded_elements(nbytes)?, |size, codec| {
                codec.encoded_size(size)
            })
    }

    /// Encode a chunk, in memory's byte order and the stored order of axes. Its bytes are used up.
    pub fn encode(
        &self,
        bytes: &mut Vec<u8>,
        out: &mut Vec<u8>,
        stages: &mut [Vec<u8>; 2],
        between: &mut Between,
        contexts: &mut Contexts,
    ) -> Result<()> {
        let size = self.encode_elements(bytes, bytes.len(), between)?;
        encode_by(&self.codecs, &bytes[..size], out, stages, contexts)
    }

    /// Encode the elements in the first `size` bytes of a buffer. Return the size of what is then at its
    /// beginning.
    pub fn encode_elements(
        &self,
        buffer: &mut Vec<u8>,
        mut size: usize,
        between: &mut Between,
    ) -> Result<usize> {
        for codec in &self.typed {
            if codec.is_in_place() {
                codec.encode_in_place(&mut buffer[..size])?;
                continue;
            }
            let encoded = &mut between.encoded;
            match codec.encoded_size(size) {
                Some(next) => {
                    let room = memory::grown(encoded, next, codec.name())?;
                    codec.encode(&buffer[..size], room)?;
                    size = next;
                }
                None => {
                    encoded.clear();
                    codec.encode_to_vec(&buffer[..size], encoded)?;
                    size = encoded.len();
                }
            }
            std::mem::swap(buffer, encoded);
        }
        Ok(size)
    }

    /// Bring elements to the form that they have in memory, if that is done in place.
    pub fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        for codec in self
            .typed
            .iter()
            .rev()
            .filter(|codec| !codec.only_encodes())
        {
            codec.decode_in_place(bytes)?;
        }
        Ok(())
    }

    /// Bring elements to the form that they have in storage, if that is done in place.
    pub fn encode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        for codec in &self.typed {
            codec.encode_in_place(bytes)?;
        }
        Ok(())
    }
}

/// Decode a part of the elements by some codecs, the last one first.
fn undo(
    codecs: &[TypedCodec],
    data: &[u8],
    size: usize,
    part: Range<usize>,
    out: &mut [u8],
    stages: &mut [Vec<u8>],
) -> Result<()> {
    let Some((first, others)) = codecs.split_first() else {
        let message = format!("expected {} bytes of data, found {}", out.len(), data.len());
        if data.len() != out.len() {
            return Err(Error::codec("bytes", message));
        }
        out.copy_from_slice(data);
        return Ok(());
    };
    if others.is_empty() {
        return first.decode(data, size, part, out);
    }
    let inner = first.encoded_size(size);
    let unknown = || {
        Error::codec(
            first.name(),
            "the size of the encoded elements is not known",
        )
    };
    let inner = inner.ok_or_else(unknown)?;
    let source = first.source(part.clone(), size).unwrap_or(0..inner);
    if first.is_in_place() {
        undo(others, data, inner, source, out, stages)?;
        return first.decode_in_place(out);
    }
    // Few chains have so many codecs that the buffers do not suffice.
    let (mut more, mut none) = (Vec::new(), Vec::new());
    let (buffer, rest) = stages
        .split_first_mut()
        .unwrap_or((&mut more, &mut none[..]));
    let room = memory::grown(buffer, source.len(), first.name())?;
    undo(others, data, inner, source, room, rest)?;
    first.decode(room, size, part, out)
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
