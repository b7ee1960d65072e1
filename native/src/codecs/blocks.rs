//! Blocks of N5: a header with the shape of the block, then the elements, compressed by one codec.
//!
//! * The header is big-endian: the mode, the number of axes, and the length along each, of which the
//!   first is contiguous. Only mode 0 is supported.
//! * A block may be smaller than the chunk. Its elements are the first along each axis, and the others
//!   are zero. What is encoded is always of full size.
//! * No field is trusted: a block has the axes of the chunk and is not larger, so that nothing larger
//!   than the chunk is allocated.

use crate::codecs::codec::{number, Codec};
use crate::codecs::{ByteCodec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "n5_default";
/// The bytes of a header before the lengths.
const START: usize = 4;

/// The shape of a whole block, and its compressor.
#[derive(Debug, Clone)]
pub struct Params {
    /// The bytes of one element.
    item: usize,
    /// The length along each axis; the first axis is contiguous.
    shape: Vec<u32>,
    /// The compressor of the elements.
    compressor: Option<ByteCodec>,
}

impl Codec for Params {
    /// The numbers are the bytes of an element, the number of axes, the lengths, and those of the
    /// compressor. The word is the compressor's name, a space and its own word, or empty.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        if name != STAGE {
            return None;
        }
        let axes: u16 = number(numbers, 1)?;
        let (lengths, others) = numbers.get(2..)?.split_at_checked(axes.into())?;
        let lengths = lengths.iter().map(|length| u32::try_from(*length).ok());
        let shape = lengths.collect::<Option<Vec<u32>>>()?;
        let compressor = match word.split_once(' ') {
            Some((name, _)) if name == STAGE => return None,
            Some((name, word)) => Some(ByteCodec::make(name, others, word)?),
            None => None,
        };
        let made = Params {
            item: number(numbers, 0)?,
            shape,
            compressor,
        };
        made.size_of(&made.shape).map(|_| made)
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
        if self.size_of(&self.shape) != Some(dst.len()) {
            let (found, expected) = (dst.len(), &self.shape);
            let message = format!("{found} bytes are not those of a chunk of shape {expected:?}");
            return Err(Error::codec(STAGE, message));
        }
        let shape = self.read_header(data)?;
        let payload = &data[self.header_size()..];
        if shape == self.shape {
            return self.decode_payload(payload, dst, contexts, stop);
        }
        // It is not larger than the chunk along any axis.
        let size = self.size_of(&shape).unwrap_or(0);
        let mut block = memory::zeroed(size, STAGE)?;
        self.decode_payload(payload, &mut block, contexts, stop)?;
        dst.fill(0);
        self.scatter(&block, &shape, dst);
        Ok(())
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        contexts: &mut Contexts,
    ) -> Result<()> {
        let size = self.size_of(&self.shape).unwrap_or(usize::MAX);
        if size > limit {
            let message = format!("the limit is {limit} decoded bytes, but a block has {size}");
            return Err(Error::codec(STAGE, message));
        }
        let start = out.len();
        memory::resize(out, start + size, 0, STAGE)?;
        self.decode(data, &mut out[start..], contexts, None)
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, contexts: &mut Contexts) -> Result<()> {
        memory::reserve(out, self.header_size(), STAGE)?;
        out.extend(0u16.to_be_bytes());
        out.extend((self.shape.len() as u16).to_be_bytes());
        out.extend(self.shape.iter().flat_map(|length| length.to_be_bytes()));
        match &self.compressor {
            Some(codec) => codec.encode(data, out, contexts),
            None => memory::append(out, data, STAGE),
        }
    }

    fn promptly(&self) -> usize {
        let codec = self.compressor.as_ref();
        codec.map_or(usize::MAX, |codec| codec.promptly())
    }
}

impl Params {
    fn header_size(&self) -> usize {
        START + 4 * self.shape.len()
    }

    /// Return the bytes of the elements of a block, or `None` if they cannot be counted.
    fn size_of(&self, shape: &[u32]) -> Option<usize> {
        // A length of zero makes the others harmless.
        if shape.contains(&0) {
            return Some(0);
        }
        let mut lengths = shape.iter().map(|length| *length as usize);
        lengths.try_fold(self.item, usize::checked_mul)
    }

    /// Return the shape of a block, which is not larger than the chunk.
    fn read_header(&self, data: &[u8]) -> Result<Vec<u32>> {
        let size = self.header_size();
        let short = || {
            let found = data.len();
            let message = format!("expected a header of {size} bytes, found {found}");
            Error::codec(STAGE, message)
        };
        let (start, rest) = data.split_first_chunk::<START>().ok_or_else(short)?;
        let [mode, axes] = [[start[0], start[1]], [start[2], start[3]]].map(u16::from_be_bytes);
        if mode != 0 {
            let named = match mode {
                1 => " (varlength)",
                2 => " (object)",
                _ => "",
            };
            let message = format!("the block has mode {mode}{named}, and only mode 0 is supported");
            return Err(Error::codec(STAGE, message));
        }
        let expected = self.shape.len();
        if usize::from(axes) != expected {
            let message = format!("the block has {axes} axes, but the chunk has {expected}");
            return Err(Error::codec(STAGE, message));
        }
        let lengths = rest.get(..4 * expected).ok_or_else(short)?;
        let (lengths, _) = lengths.as_chunks::<4>();
        let lengths = lengths.iter().map(|bytes| u32::from_be_bytes(*bytes));
        let shape = memory::collected(lengths, STAGE)?;
        if shape
            .iter()
            .zip(&self.shape)
            .any(|(found, most)| found > most)
        {
            let whole = &self.shape;
            let message =
                format!("the block has shape {shape:?}, larger than a chunk of shape {whole:?}");
            return Err(Error::codec(STAGE, message));
        }
        Ok(shape)
    }

    fn decode_payload(
        &self,
        payload: &[u8],
        dst: &mut [u8],
        contexts: &mut Contexts,
        stop: Stop,
    ) -> Result<()> {
        if let Some(codec) = &self.compressor {
            return codec.decode(payload, dst, contexts, stop);
        }
        let (expected, found) = (dst.len(), payload.len());
        if expected != found {
            let message = format!("expected {expected} bytes of elements, found {found}");
            return Err(Error::codec(STAGE, message));
        }
        dst.copy_from_slice(payload);
        Ok(())
    }

    /// Copy the elements of a smaller block to their places in the chunk.
    fn scatter(&self, block: &[u8], shape: &[u32], dst: &mut [u8]) {
        let Some((first, others)) = shape.split_first() else {
            return;
        };
        let row = *first as usize * self.item;
        if row == 0 {
            return;
        }
        for (place, run) in block.chunks_exact(row).enumerate() {
            let (mut rest, mut at) = (place, 0);
            let mut step = self.shape[0] as usize;
            for (length, whole) in others.iter().zip(&self.shape[1..]) {
                let length = *length as usize;
                at += rest % length * step;
                rest /= length;
                step *= *whole as usize;
            }
            let start = at * self.item;
            dst[start..start + row].copy_from_slice(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(numbers: &[i64], word: &str) -> Params {
        Params::make(STAGE, numbers, word).unwrap()
    }

    fn block(mode: u16, shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut out: Vec<u8> = mode.to_be_bytes().into();
        out.extend((shape.len() as u16).to_be_bytes());
        out.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
        out.extend(elements);
        out
    }

    fn decoded(params: &Params, data: &[u8]) -> Result<Vec<u8>> {
        let mut out: Vec<u8> = std::iter::repeat_n(9, 12).collect();
        params.decode(data, &mut out, &mut Contexts::default(), None)?;
        Ok(out)
    }

    #[test]
    fn encodes_a_block_of_full_size() {
        let elements: Vec<u8> = (1..13).collect();
        for word in ["", "bz2 ", "gzip ", "zstd ", "blosc lz4"] {
            let params = made(&[2, 2, 2, 3, 1, 1, 1, 0, 0], word);
            let (mut out, mut context) = (Vec::new(), Contexts::default());
            params.encode(&elements, &mut out, &mut context).unwrap();
            assert_eq!(out[..12], block(0, &[2, 3], &[]));
            assert_eq!(decoded(&params, &out).unwrap(), elements);
        }
    }

    #[test]
    fn elements_that_a_smaller_block_lacks_are_zero() {
        let params = made(&[2, 2, 2, 3], "");
        let found = decoded(&params, &block(0, &[1, 2], &[1, 2, 3, 4])).unwrap();
        assert_eq!(found, [1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0, 0]);
        let params = made(&[1, 3, 2, 3, 2], "");
        let found = decoded(&params, &block(0, &[1, 2, 2], &[1, 2, 3, 4])).unwrap();
        assert_eq!(found, [1, 0, 2, 0, 0, 0, 3, 0, 4, 0, 0, 0]);
        let found = decoded(&params, &block(0, &[0, 2, 2], &[])).unwrap();
        assert_eq!(found, [0; 12]);
    }

    #[test]
    fn refuses_what_does_not_fit_the_chunk() {
        let params = made(&[2, 2, 2, 3], "");
        for (data, says) in [
            (vec_of(3), "header of 12 bytes, found 3"),
            (vec_of(4), "0 axes, but the chunk has 2"),
            (block(1, &[2, 3], &[]), "varlength"),
            (block(2, &[2, 3], &[]), "object"),
            (block(7, &[2, 3], &[]), "mode 7"),
            (block(0, &[2, 3, 1], &[]), "3 axes"),
            (block(0, &[3, 3], &[]), "larger than a chunk"),
            (block(0, &[2, u32::MAX], &[]), "larger than a chunk"),
            (
                block(0, &[2, 3], &[0; 11]),
                "12 bytes of elements, found 11",
            ),
            (block(0, &[2, 2], &[0; 12]), "8 bytes of elements, found 12"),
        ] {
            let message = decoded(&params, &data).unwrap_err().message;
            assert!(message.contains(says), "{message}");
        }
        let mut small = [0; 4];
        let data = block(0, &[2, 3], &[0; 12]);
        assert!(params
            .decode(&data, &mut small, &mut Contexts::default(), None)
            .is_err());
    }

    fn vec_of(size: usize) -> Vec<u8> {
        std::iter::repeat_n(0, size).collect()
    }

    #[test]
    fn refuses_descriptions_that_are_none_of_a_block() {
        for (numbers, word) in [
            (&[][..], ""),
            (&[2, 3, 1, 1], ""),
            (&[2, 1, -1], ""),
            (&[2, 1, 1 << 32], ""),
            (&[2, 4, 1 << 31, 1 << 31, 1 << 31, 1], ""),
            (&[2, 1, 1], "unknown "),
            (&[2, 1, 1, 2, 1, 1], "n5_default "),
        ] {
            assert!(Params::make(STAGE, numbers, word).is_none(), "{numbers:?}");
        }
    }
}
