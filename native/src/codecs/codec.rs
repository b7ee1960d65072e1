//! The contract of a codec from bytes to bytes.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;

use crate::apart;
use crate::error::Result;
use crate::memory;
use crate::objects::Stop;

/// A codec from bytes to bytes, with its configuration.
///
/// * Decoding fills its destination exactly or fails. The size comes from the array's metadata and
///   never from the data.
/// * Encoding appends to its output.
pub trait Codec: Any + Debug + Send + Sync {
    /// Make the codec from its name, its numbers and a word, as Python describes it. Return `None` for
    /// any other.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Self>
    where
        Self: Sized;

    /// Return the name of the codec.
    fn name(&self) -> &'static str;

    /// Decode to exactly the size of `dst`. If there is a `stop`, it is large: ask regularly.
    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()>;

    /// Decode data of unknown size, of at most `limit` bytes, and append the result to `out`.
    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()>;

    /// Encode and append the result to `out`.
    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()>;

    /// Return how many bytes are encoded within some 50 ms at least. More are encoded apart.
    fn promptly(&self) -> usize {
        usize::MAX
    }

    /// Return the encoded size of `size` bytes if it depends on nothing else.
    fn encoded_size(&self, _size: usize) -> Option<usize> {
        None
    }

    /// Whether decoding verifies the data and takes bytes off its ends, and does nothing else.
    fn strips(&self) -> bool {
        false
    }

    /// Return the decoded data as a part of the encoded, for a codec that strips.
    fn strip<'a>(&self, _data: &'a [u8]) -> Result<Option<&'a [u8]>> {
        Ok(None)
    }

    /// Whether decoding a part of the data costs less than decoding all of it.
    fn in_parts(&self) -> bool {
        false
    }

    /// Return the size of the largest block that can only be decoded as a whole, of data that decodes
    /// to `size` bytes.
    fn block_size(&self, _data: &[u8], size: usize) -> Result<usize> {
        Ok(size.max(1))
    }

    /// Decode at least the first `until` bytes into `dst`, which has the size of all, and is not used
    /// behind them. Return `false` if the data must be decoded as a whole.
    ///
    /// What is not decoded may be damaged, but the data has an end where it states it, and no
    /// checksum that is left out.
    fn decode_start(
        &self,
        _data: &[u8],
        _dst: &mut [u8],
        _until: usize,
        _contexts: &mut Contexts,
        _stop: Stop,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Decode the bytes of `part`, of `size` in all, into `dst`, which has the size of the part.
    fn decode_part(
        &self,
        data: &[u8],
        size: usize,
        part: Range<usize>,
        dst: &mut [u8],
        contexts: &mut Contexts,
    ) -> Result<()> {
        if part == (0..size) {
            return self.decode(data, dst, contexts, None);
        }
        let mut whole = memory::zeroed(size, self.name())?;
        self.decode(data, &mut whole, contexts, None)?;
        dst.copy_from_slice(&whole[part]);
        Ok(())
    }
}

/// What a codec keeps in a thread from chunk to chunk.
pub trait Context: Any + Send {
    /// Return about the bytes that are allocated, if they may be many.
    fn footprint(&self) -> usize {
        0
    }
}

/// The contexts of one thread, made when they are first used.
#[derive(Default)]
pub struct Contexts(Vec<Box<dyn Context>>);

impl Contexts {
    /// Return the context of a type.
    pub fn of<T: Context + Default>(&mut self) -> &mut T {
        let is = |kept: &dyn Context| (kept as &dyn Any).is::<T>();
        let place = self
            .0
            .iter()
            .position(|kept| is(&**kept))
            .unwrap_or_else(|| {
                self.0.push(Box::<T>::default());
                self.0.len() - 1
            });
        let kept: &mut dyn Any = &mut *self.0[place];
        kept.downcast_mut().expect("it is of this type")
    }

    /// Return about the bytes that are allocated.
    pub fn footprint(&self) -> usize {
        self.0.iter().map(|kept| kept.footprint()).sum()
    }
}

/// Decode in memory of its own, so that a caller who stops can leave it, and copy the result.
pub fn decode_apart(
    data: &[u8],
    dst: &mut [u8],
    stage: &'static str,
    stop: Stop,
    decode: impl FnOnce(&[u8], &mut [u8]) -> Result<()> + Send + 'static,
) -> Result<()> {
    let (data, size) = (memory::copied(data, stage)?, dst.len());
    let work = move || {
        let mut bytes = memory::zeroed(size, stage)?;
        decode(&data, &mut bytes)?;
        Ok(bytes)
    };
    dst.copy_from_slice(&apart::run(work, stop)??);
    Ok(())
}

/// Return number `place` of a codec's description if it is there and fits.
pub fn number<T: TryFrom<i64>>(numbers: &[i64], place: usize) -> Option<T> {
    T::try_from(*numbers.get(place)?).ok()
}
