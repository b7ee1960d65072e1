//! The contract of a codec of elements, which an array codec or a serializer stands for.

use std::fmt::Debug;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::memory;

/// A codec of elements, with what it needs to know of them and of the chunk.
///
/// * It encodes the elements of a chunk in one order, that of storage, and in memory's byte order. The
///   codec `swap` is the byte order of storage.
/// * Most codecs encode each element by itself, and have a [`ratio`](Typed::ratio). If the encoded
///   elements also have the same size, the codec implements the methods `in_place`, and gets the
///   others from them.
/// * All sizes come from the array's metadata. Data of another size is an error.
pub trait Typed: Debug + Send + Sync {
    /// Make the codec from its name, its numbers and a word, as Python describes it. Return `None` for
    /// any other.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Self>
    where
        Self: Sized;

    /// Return the name of the codec.
    fn name(&self) -> &'static str;

    /// Return the bytes of some elements and of what they are encoded to, if they are encoded by
    /// themselves.
    fn ratio(&self) -> Option<(usize, usize)> {
        Some((1, 1))
    }

    /// Return the encoded size of `size` bytes if it depends on nothing else.
    fn encoded_size(&self, size: usize) -> Option<usize> {
        let (decoded, encoded) = self.ratio()?;
        (size / decoded).checked_mul(encoded)
    }

    /// Return the encoded bytes from which a part of the elements can be decoded, or `None` if that
    /// takes all of them. The part is not empty and consists of whole elements; there are `size` bytes
    /// of elements in all.
    fn source(&self, part: Range<usize>, _size: usize) -> Option<Range<usize>> {
        let (decoded, encoded) = self.ratio()?;
        Some(part.start / decoded * encoded..part.end.div_ceil(decoded) * encoded)
    }

    /// Whether decoding leaves every byte as it is.
    fn only_encodes(&self) -> bool {
        false
    }

    /// Return the size of units if the codec reverses the bytes of each, and does nothing else.
    fn swaps(&self) -> Option<usize> {
        None
    }

    /// Whether the methods `in_place` may be called.
    fn is_in_place(&self) -> bool {
        false
    }

    /// Decode elements in place.
    fn decode_in_place(&self, _bytes: &mut [u8]) -> Result<()> {
        Err(Error::codec(self.name(), "nothing is decoded in place"))
    }

    /// Encode elements in place.
    fn encode_in_place(&self, _bytes: &mut [u8]) -> Result<()> {
        Err(Error::codec(self.name(), "nothing is encoded in place"))
    }

    /// Decode a part of the elements into `dst`, which has its size. The data is that of
    /// [`source`](Typed::source), or all of it; there are `size` bytes of elements in all.
    fn decode(&self, data: &[u8], _size: usize, _part: Range<usize>, dst: &mut [u8]) -> Result<()> {
        check_size(self.name(), data.len(), dst.len())?;
        dst.copy_from_slice(data);
        self.decode_in_place(dst)
    }

    /// Encode all elements into `dst`, which has their encoded size.
    fn encode(&self, data: &[u8], dst: &mut [u8]) -> Result<()> {
        check_size(self.name(), data.len(), dst.len())?;
        dst.copy_from_slice(data);
        self.encode_in_place(dst)
    }

    /// Encode all elements, and append the result to `out`. A codec whose encoded size depends on the
    /// values implements this instead of `encode`.
    fn encode_to_vec(&self, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let size = self.encoded_size(data.len()).unwrap_or(data.len());
        memory::resize(out, start.saturating_add(size), 0, self.name())?;
        let done = self.encode(data, &mut out[start..]);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }
}

/// Check the size of data.
pub fn check_size(stage: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    let message = format!("expected {expected} bytes of data, found {found}");
    Err(Error::codec(stage, message))
}
