//! Codecs of which each is applied to some chunks and not to others, as the `conditional` codec has
//! them.
//!
//! * A chunk begins with a mask, little-endian, of which each bit states whether a codec is applied.
//!   Bits of no codec must be zero.
//! * In encoding, a codec of no fixed encoded size is applied only if its output is smaller than its
//!   input.

use std::borrow::Cow;

use crate::codecs::codec::{number, Codec};
use crate::codecs::{ByteCodec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "conditional";
/// What data between two codecs may have more than twice the bytes of a chunk.
const SLACK: usize = 1 << 16;

/// The codecs, and the size of the mask.
#[derive(Debug, Clone)]
pub struct Params {
    /// The bytes of the mask.
    header: usize,
    /// The codecs, in the order of their bits.
    codecs: Vec<ByteCodec>,
}

impl Codec for Params {
    /// The numbers are the bytes of the mask, then for each codec how many numbers it has, and these.
    /// Each line of the word is the name of a codec, a space and its own word.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        if name != STAGE {
            return None;
        }
        let header = number(numbers, 0)?;
        let (mut rest, mut codecs) = (numbers.get(1..)?, Vec::new());
        for line in word.lines() {
            let (name, word) = line.split_once(' ')?;
            let count: usize = number(rest, 0)?;
            let (own, others) = rest.get(1..)?.split_at_checked(count)?;
            // Chains of such codecs could be of any depth.
            if name == STAGE {
                return None;
            }
            codecs.push(ByteCodec::make(name, own, word)?);
            rest = others;
        }
        let fits = rest.is_empty() && header >= codecs.len().div_ceil(8);
        fits.then_some(Params { header, codecs })
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        let stop = stop.unwrap_or(&|| false);
        let (applied, payload) = self.read_mask(data)?;
        let most = dst.len().saturating_mul(2).saturating_add(SLACK);
        let between = self.between(&applied, payload, Some(dst.len()), most, contexts, stop)?;
        if let Some(codec) = applied.first() {
            return codec.decode(&between, dst, contexts, stop);
        }
        let (expected, found) = (dst.len(), between.len());
        if expected != found {
            let message = format!("expected {expected} decoded bytes, but the data holds {found}");
            return Err(Error::codec(STAGE, message));
        }
        dst.copy_from_slice(&between);
        Ok(())
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()> {
        let (applied, payload) = self.read_mask(data)?;
        let between = self.between(&applied, payload, None, limit, contexts, &|| false)?;
        if let Some(codec) = applied.first() {
            return codec.decode_to_vec(&between, out, limit, contexts);
        }
        if between.len() > limit {
            let found = between.len();
            let message = format!("the limit is {limit} decoded bytes, but the data holds {found}");
            return Err(Error::codec(STAGE, message));
        }
        memory::append(out, &between, STAGE)
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        let mut mask = memory::zeroed(self.header, STAGE)?;
        let mut current = Cow::Borrowed(data);
        for (place, codec) in self.codecs.iter().enumerate() {
            let mut encoded = Vec::new();
            codec.encode(&current, &mut encoded, contexts)?;
            if codec.encoded_size(current.len()).is_some() || encoded.len() < current.len() {
                mask[place / 8] |= 1 << (place % 8);
                current = Cow::Owned(encoded);
            }
        }
        memory::append(out, &mask, STAGE)?;
        memory::append(out, &current, STAGE)
    }

    fn encoded_size(&self, size: usize) -> Option<usize> {
        let mut codecs = self.codecs.iter();
        codecs
            .try_fold(size, |size, codec| codec.encoded_size(size))?
            .checked_add(self.header)
    }

    fn promptly(&self) -> usize {
        let paces = self.codecs.iter().map(|codec| codec.promptly());
        paces.min().unwrap_or(usize::MAX)
    }
}

impl Params {
    /// Return the codecs that are applied to a chunk, and the data behind the mask.
    fn read_mask<'a>(&'a self, data: &'a [u8]) -> Result<(Vec<&'a ByteCodec>, &'a [u8])> {
        let Some((mask, payload)) = data.split_at_checked(self.header) else {
            let (size, found) = (self.header, data.len());
            let message = format!("expected a header of {size} bytes, found {found}");
            return Err(Error::codec(STAGE, message));
        };
        let is_set = |place: usize| mask[place / 8] >> (place % 8) & 1 == 1;
        let count = self.codecs.len();
        if (count..8 * self.header).any(is_set) {
            let digits: String = mask
                .iter()
                .rev()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let digits = digits.trim_start_matches('0');
            let message = format!("the mask 0x{digits} has a bit for none of {count} codecs");
            return Err(Error::codec(STAGE, message));
        }
        let set = self.codecs.iter().enumerate();
        let applied = set
            .filter(|(place, _)| is_set(*place))
            .map(|(_, codec)| codec);
        Ok((memory::collected(applied, STAGE)?, payload))
    }

    /// Return what all applied codecs but the first one decode to. `size` is that of the chunk, if it
    /// is known; data of unknown size has at most `most` bytes.
    fn between<'a>(
        &self,
        applied: &[&ByteCodec],
        payload: &'a [u8],
        size: Option<usize>,
        most: usize,
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<Cow<'a, [u8]>> {
        let mut sizes = memory::with_room(applied.len(), STAGE)?;
        let mut known = size;
        for codec in applied {
            sizes.push(known);
            known = known.and_then(|size| codec.encoded_size(size));
        }
        let mut current = Cow::Borrowed(payload);
        for (codec, size) in applied.iter().zip(sizes).skip(1).rev() {
            let mut decoded = Vec::new();
            codec.decode_into(&current, size, most, &mut decoded, contexts, stop)?;
            current = Cow::Owned(decoded);
        }
        Ok(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: [i64; 7] = [1, 2, 1, 0, 0, 2, 1];

    fn made() -> Params {
        Params::make(STAGE, &[1, 2, 1, 0, 0], "gzip \ncrc32c end").unwrap()
    }

    fn decoded(params: &Params, data: &[u8], size: usize) -> Result<Vec<u8>> {
        let mut contexts = Contexts::default();
        let mut out: Vec<u8> = std::iter::repeat_n(9, size).collect();
        params.decode(data, &mut out, &mut contexts, None)?;
        let mut other = Vec::new();
        params.decode_to_vec(data, &mut other, size, &mut contexts)?;
        assert_eq!(out, other);
        Ok(out)
    }

    fn encoded(params: &Params, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        params
            .encode(data, &mut out, &mut Contexts::default())
            .unwrap();
        out
    }

    #[test]
    fn applies_a_compressor_only_if_it_compresses() {
        let params = made();
        let (short, long) = (encoded(&params, b"abc"), encoded(&params, &[7; 1000]));
        assert_eq!((short[0], short.len()), (0b10, 1 + 3 + 4));
        assert_eq!(long[0], 0b11);
        assert!(long.len() < 100);
        assert_eq!(decoded(&params, &short, 3).unwrap(), b"abc");
        assert_eq!(decoded(&params, &long, 1000).unwrap(), [7; 1000]);
        assert_eq!(decoded(&params, b"\0abc", 3).unwrap(), b"abc");
        assert_eq!(params.encoded_size(10), None);
    }

    #[test]
    fn refuses_data_that_does_not_fit() {
        let params = made();
        for (data, says) in [
            (&b""[..], "a header of 1 bytes, found 0"),
            (b"\x04abc", "has a bit for none of 2 codecs"),
            (b"\0ab", "decoded bytes, but the data holds 2"),
            (b"\0abcd", "decoded bytes, but the data holds 4"),
            (b"\x02abcdefg", "checksum"),
        ] {
            let message = decoded(&params, data, 3).unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
        assert!(decoded(&params, &encoded(&params, &[7; 1000]), 999).is_err());
    }

    #[test]
    fn makes_none_of_other_descriptions() {
        for (numbers, word) in [
            (&NUMBERS[..0], ""),
            (&NUMBERS[..1], "gzip "),
            (&NUMBERS[..3], "gzip "),
            (&NUMBERS[..6], "gzip "),
            (&[0, 2, 1, 0], "gzip "),
            (&[1, 2, 1, 0], "gzip"),
            (&[1, -1], "gzip "),
            (&[1, 1, 1], "conditional "),
            (&[-1], ""),
        ] {
            assert!(Params::make(STAGE, numbers, word).is_none(), "{numbers:?}");
        }
        let none = Params::make(STAGE, &[0], "").unwrap();
        assert_eq!(none.encoded_size(5), Some(5));
        assert_eq!(decoded(&none, &encoded(&none, b"abc"), 3).unwrap(), b"abc");
    }
}
