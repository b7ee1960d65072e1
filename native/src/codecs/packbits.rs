//! `packbits`: some bits of each number, one behind the other.
//!
//! * The bits of `packbits` fill a byte from the lowest one on. Those of numcodecs' codec of that name,
//!   which packs truth values only, fill it from the highest one on.
//! * The unused bits of the last byte are zero. A byte before the others, or behind them, may tell how
//!   many there are; it is compared where the whole chunk is decoded.
//! * A number is what its bits are in memory. Bits that are not stored are decoded as zero, or as
//!   copies of the sign above the stored ones.

use std::ops::Range;

use crate::codecs::codec::number;
use crate::codecs::typed::{check_size, Typed};
use crate::error::{Error, Result};

const STAGE: &str = "packbits";

/// Which bits are packed, and how.
#[derive(Debug)]
pub struct Params {
    /// The bytes of a number.
    unit: usize,
    /// The lowest bit that is stored.
    first: u32,
    /// How many bits are stored of a number.
    bits: usize,
    /// The bits that are copies of the last stored one, if they are below this one.
    width: u32,
    padding: Padding,
    /// Whether the first number is in the highest bit of a byte.
    highest: bool,
}

/// Where the number of unused bits stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Padding {
    Nowhere,
    First,
    Last,
}

impl Typed for Params {
    /// The numbers are the bytes of a number, the first bit, how many bits, how many bits a number has
    /// if the last stored one is a sign, or 0, and whether truth values are packed from the highest bit
    /// on. The word is the encoding of the padding.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        let made = Params {
            unit: number(numbers, 0)?,
            first: number(numbers, 1)?,
            bits: number(numbers, 2)?,
            width: number(numbers, 3)?,
            highest: number::<u8>(numbers, 4)? != 0,
            padding: match word {
                "none" => Padding::Nowhere,
                "first_byte" => Padding::First,
                "last_byte" => Padding::Last,
                _ => return None,
            },
        };
        let last = made.bits.checked_add(made.first as usize)?;
        let most = last.max(made.width as usize);
        let known = matches!(made.unit, 1 | 2 | 4 | 8) && made.bits > 0 && most <= 8 * made.unit;
        (name == STAGE && known && !(made.highest && made.bits > 1)).then_some(made)
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn ratio(&self) -> Option<(usize, usize)> {
        None
    }

    fn encoded_size(&self, size: usize) -> Option<usize> {
        let bits = (size / self.unit).checked_mul(self.bits)?;
        Some(bits.div_ceil(8) + usize::from(self.padding != Padding::Nowhere))
    }

    fn source(&self, part: Range<usize>, size: usize) -> Option<Range<usize>> {
        if part == (0..size) {
            return Some(0..self.encoded_size(size)?);
        }
        let before = usize::from(self.padding == Padding::First);
        let start = part.start / self.unit * self.bits / 8;
        let end = (part.end / self.unit * self.bits).div_ceil(8);
        Some(before + start..before + end)
    }

    fn decode(&self, data: &[u8], size: usize, part: Range<usize>, dst: &mut [u8]) -> Result<()> {
        let expected = self.source(part.clone(), size).unwrap_or(0..0).len();
        check_size(STAGE, data.len(), expected)?;
        let whole = part == (0..size);
        let data = if whole {
            self.stripped(data, size)?
        } else {
            data
        };
        let skipped = part.start / self.unit * self.bits % 8;
        match (self.unit, self.bits, self.first, skipped) {
            (1, 1, 0, 0) if !self.signed() => self.decode_truths(data, dst),
            (1, 4, 0, 0) if !self.signed() || self.width == 8 => self.decode_halves(data, dst),
            (1, ..) => self.decode_words::<1>(data, skipped, dst),
            (2, ..) => self.decode_words::<2>(data, skipped, dst),
            (4, ..) => self.decode_words::<4>(data, skipped, dst),
            _ => self.decode_words::<8>(data, skipped, dst),
        }
        Ok(())
    }

    fn encode(&self, data: &[u8], dst: &mut [u8]) -> Result<()> {
        let expected = self.encoded_size(data.len()).unwrap_or(0);
        check_size(STAGE, dst.len(), expected)?;
        check_size(STAGE, data.len() % self.unit, 0)?;
        let unused = self.unused(data.len());
        let dst = match self.padding {
            Padding::Nowhere => dst,
            Padding::First => {
                dst[0] = unused;
                &mut dst[1..]
            }
            Padding::Last => {
                dst[expected - 1] = unused;
                &mut dst[..expected - 1]
            }
        };
        match (self.unit, self.bits) {
            (1, 1) => self.encode_truths(data, dst),
            (1, _) => self.encode_words::<1>(data, dst),
            (2, _) => self.encode_words::<2>(data, dst),
            (4, _) => self.encode_words::<4>(data, dst),
            _ => self.encode_words::<8>(data, dst),
        }
        Ok(())
    }
}

/// For each byte, its bits as truth values, the lowest first.
static TRUTHS: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[byte][bit] = (byte >> bit & 1) as u8;
            bit += 1;
        }
        byte += 1;
    }
    table
};

impl Params {
    /// Whether there are bits above the stored ones that are copies of the last.
    fn signed(&self) -> bool {
        self.width as usize > self.first as usize + self.bits
    }

    fn unused(&self, size: usize) -> u8 {
        let bits = size / self.unit * self.bits;
        (bits.next_multiple_of(8) - bits) as u8
    }

    /// Return the packed bits without the byte that tells how many are unused, which must be right.
    fn stripped<'a>(&self, data: &'a [u8], size: usize) -> Result<&'a [u8]> {
        let split = match self.padding {
            Padding::Nowhere => return Ok(data),
            Padding::First => data.split_first(),
            Padding::Last => data.split_last(),
        };
        let unused = self.unused(size);
        match split {
            Some((stated, rest)) if *stated == unused => Ok(rest),
            Some((stated, _)) => {
                let message = format!("expected {unused} bits of padding, but {stated} are stated");
                Err(Error::codec(STAGE, message))
            }
            None => check_size(STAGE, 0, 1).map(|()| data),
        }
    }

    fn decode_truths(&self, data: &[u8], dst: &mut [u8]) {
        let turned = |byte: u8| {
            if self.highest {
                byte.reverse_bits()
            } else {
                byte
            }
        };
        let (blocks, rest) = dst.as_chunks_mut::<8>();
        for (byte, block) in data.iter().zip(&mut *blocks) {
            *block = TRUTHS[usize::from(turned(*byte))];
        }
        if let Some(byte) = data.get(blocks.len()) {
            rest.copy_from_slice(&TRUTHS[usize::from(turned(*byte))][..rest.len()]);
        }
    }

    fn encode_truths(&self, data: &[u8], dst: &mut [u8]) {
        // The products gather the lowest bits of eight bytes in the highest byte.
        const GATHER: u64 = 0x0102_0408_1020_4080;
        let packed = |block: [u8; 8]| {
            let bits = u64::from_le_bytes(block) >> self.first & 0x0101_0101_0101_0101;
            let byte = (bits.wrapping_mul(GATHER) >> 56) as u8;
            if self.highest {
                byte.reverse_bits()
            } else {
                byte
            }
        };
        let (blocks, rest) = data.as_chunks::<8>();
        for (block, byte) in blocks.iter().zip(&mut *dst) {
            *byte = packed(*block);
        }
        if let Some(byte) = dst.get_mut(blocks.len()) {
            let mut block = [0; 8];
            block[..rest.len()].copy_from_slice(rest);
            *byte = packed(block);
        }
    }

    /// Decode numbers of four bits, two of each byte.
    fn decode_halves(&self, data: &[u8], dst: &mut [u8]) {
        let sign = if self.signed() { 8u8 } else { 0 };
        let extended = |half: u8| (half ^ sign).wrapping_sub(sign);
        let (pairs, rest) = dst.as_chunks_mut::<2>();
        for (byte, pair) in data.iter().zip(&mut *pairs) {
            *pair = [extended(byte & 15), extended(byte >> 4)];
        }
        if let (Some(byte), [last]) = (data.get(pairs.len()), rest) {
            *last = extended(byte & 15);
        }
    }

    /// Decode numbers of which the first begins behind some bits of the data.
    fn decode_words<const UNIT: usize>(&self, data: &[u8], skipped: usize, dst: &mut [u8]) {
        let (words, _) = dst.as_chunks_mut::<UNIT>();
        let (unused, above) = (64 - self.bits as u32, 64 - self.width.max(1));
        let mut place = skipped;
        for word in words {
            // At most 71 bits are needed.
            let start = place / 8;
            let bytes = match data.get(start..start + 16) {
                Some(bytes) => bytes,
                None => data.get(start..).unwrap_or_default(),
            };
            let mut found = [0; 16];
            found[..bytes.len()].copy_from_slice(bytes);
            let bits = (u128::from_le_bytes(found) >> (place % 8)) as u64;
            let number = if self.signed() {
                (((bits << unused) as i64 >> unused) as u64) << self.first << above >> above
            } else {
                bits << unused >> unused << self.first
            };
            *word = low_bytes(number);
            place += self.bits;
        }
    }

    fn encode_words<const UNIT: usize>(&self, data: &[u8], dst: &mut [u8]) {
        let (words, _) = data.as_chunks::<UNIT>();
        let unused = 64 - self.bits as u32;
        let (mut held, mut count) = (0u128, 0);
        let mut places = dst.iter_mut();
        for word in words {
            let bits = (value(word) >> self.first) << unused >> unused;
            held |= u128::from(bits) << count;
            count += self.bits;
            while count >= 8 {
                if let Some(place) = places.next() {
                    *place = held as u8;
                }
                held >>= 8;
                count -= 8;
            }
        }
        if let Some(place) = places.next() {
            *place = held as u8;
        }
    }
}

/// Return a number in memory's byte order from its lowest bytes.
fn low_bytes<const UNIT: usize>(number: u64) -> [u8; UNIT] {
    let mut word = [0; UNIT];
    if cfg!(target_endian = "big") {
        word.copy_from_slice(&number.to_be_bytes()[8 - UNIT..]);
    } else {
        word.copy_from_slice(&number.to_le_bytes()[..UNIT]);
    }
    word
}

fn value<const UNIT: usize>(word: &[u8; UNIT]) -> u64 {
    let mut all = [0; 8];
    if cfg!(target_endian = "big") {
        all[8 - UNIT..].copy_from_slice(word);
    } else {
        all[..UNIT].copy_from_slice(word);
    }
    u64::from_ne_bytes(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(data: &[u8], numbers: &[i64], word: &str) -> Vec<u8> {
        let codec = Params::make(STAGE, numbers, word).unwrap();
        let mut out = Vec::new();
        codec.encode_to_vec(data, &mut out).unwrap();
        let mut back = vec![9; data.len()];
        codec
            .decode(&out, data.len(), 0..data.len(), &mut back)
            .unwrap();
        if numbers[1] == 0 {
            assert_eq!(back, data);
        }
        out
    }

    #[test]
    fn truth_values_fill_bytes_from_either_end() {
        let truths = [1, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(packed(&truths, &[1, 0, 1, 0, 0], "first_byte"), [7, 1, 1]);
        assert_eq!(
            packed(&truths, &[1, 0, 1, 0, 1], "first_byte"),
            [7, 128, 128]
        );
        assert_eq!(packed(&truths, &[1, 0, 1, 0, 0], "last_byte"), [1, 1, 7]);
        assert_eq!(packed(&truths[..8], &[1, 0, 1, 0, 0], "none"), [1]);
    }

    #[test]
    fn signs_are_extended() {
        let numbers = [-1i8, -8, 7, 0, 3].map(|number| number as u8);
        let wanted = [0x8f, 0x07, 0x03];
        assert_eq!(packed(&numbers, &[1, 0, 4, 8, 0], "none"), wanted);
        let masked = numbers.map(|number| number & 0x0f);
        assert_eq!(packed(&masked, &[1, 0, 4, 4, 0], "none"), wanted);
        let small = packed(&[0x0f, 0x0c, 0x03], &[1, 0, 3, 4, 0], "none");
        assert_eq!(small, [0xe7, 0x00]);
        let words = [-2i16, 255, -256].map(i16::to_ne_bytes).concat();
        let wanted = [0xfe, 0xff, 0x01, 0x04];
        assert_eq!(packed(&words, &[2, 0, 9, 16, 0], "none"), wanted);
    }

    #[test]
    fn a_wrong_number_of_unused_bits_is_an_error() {
        let codec = Params::make(STAGE, &[1, 0, 1, 0, 0], "first_byte").unwrap();
        let error = codec.decode(&[6, 1, 1], 9, 0..9, &mut [0; 9]).unwrap_err();
        assert_eq!(
            error.message,
            "expected 7 bits of padding, but 6 are stated"
        );
        assert!(codec.decode(&[7, 1], 9, 0..9, &mut [0; 9]).is_err());
        for numbers in [
            &[1, 0, 9, 0, 0][..],
            &[3, 0, 1, 0, 0],
            &[1, 8, 1, 0, 0],
            &[1, 0, 2, 0, 1],
        ] {
            assert!(Params::make(STAGE, numbers, "none").is_none());
        }
    }
}
