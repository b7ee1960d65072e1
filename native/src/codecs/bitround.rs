//! `bitround`: numbers of which fewer bits are significant. Only encoding changes them.
//!
//! * Of a float, some bits of the mantissa are kept; ties are rounded to even. Infinities stay as they
//!   are, and so does every NaN, which could become another value otherwise.
//! * Of an integer, some bits from the highest that is set are kept. Signed ones are rounded like
//!   unsigned ones of the same bits, and nothing is rounded up beyond the largest.

use crate::codecs::codec::number;
use crate::codecs::typed::Typed;
use crate::error::{Error, Result};

const STAGE: &str = "bitround";

/// The bytes of a number, and which bits are kept.
#[derive(Debug)]
pub struct Params {
    unit: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The lowest bits that are cleared, and the bits of a mantissa.
    Float(u32, u32),
    /// The bits that are kept.
    Integer(u32),
}

impl Typed for Params {
    /// The numbers are the bytes of a number, the bits to keep, and the bits of a mantissa or 0 for
    /// integers.
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        let unit = number(numbers, 0)?;
        let (keep, mantissa): (u32, u32) = (number(numbers, 1)?, number(numbers, 2)?);
        let kind = match mantissa {
            0 => Kind::Integer(keep),
            _ => Kind::Float(mantissa.checked_sub(keep)?, mantissa),
        };
        let known = matches!(unit, 1 | 2 | 4 | 8) && (mantissa as usize) < 8 * unit;
        (name == STAGE && known).then_some(Params { unit, kind })
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn ratio(&self) -> Option<(usize, usize)> {
        Some((self.unit, self.unit))
    }

    fn only_encodes(&self) -> bool {
        true
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, _bytes: &mut [u8]) -> Result<()> {
        Ok(())
    }

    fn encode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        if !bytes.len().is_multiple_of(self.unit) {
            let message = format!("{} bytes are no whole numbers", bytes.len());
            return Err(Error::codec(STAGE, message));
        }
        match self.unit {
            1 => words_u8(bytes, self.kind),
            2 => words_u16(bytes, self.kind),
            4 => words_u32(bytes, self.kind),
            _ => words_u64(bytes, self.kind),
        }
        Ok(())
    }
}

macro_rules! words {
    ($name:ident, $word:ty) => {
        fn $name(bytes: &mut [u8], kind: Kind) {
            let (words, _) = bytes.as_chunks_mut::<{ size_of::<$word>() }>();
            match kind {
                Kind::Float(0, _) => {}
                Kind::Float(cleared, mantissa) => {
                    let most = <$word>::MAX >> 1;
                    let infinity = most >> mantissa << mantissa;
                    let half = (1 << (cleared - 1)) - 1;
                    for word in words {
                        let bits = <$word>::from_ne_bytes(*word);
                        let odd = bits >> cleared & 1;
                        let rounded = bits.wrapping_add(half + odd) >> cleared << cleared;
                        let is_nan = bits & most > infinity;
                        *word = if is_nan { bits } else { rounded }.to_ne_bytes();
                    }
                }
                Kind::Integer(keep) => {
                    for word in words {
                        let bits = <$word>::from_ne_bytes(*word);
                        let used = <$word>::BITS - bits.leading_zeros();
                        let Some(cleared) = used.checked_sub(keep).filter(|n| *n > 0) else {
                            continue;
                        };
                        let half = (1 << (cleared - 1)) - 1;
                        // No bits are kept of a word of which all are cleared.
                        let odd = bits.checked_shr(cleared).unwrap_or(0) & 1;
                        let mask = <$word>::MAX.checked_shl(cleared).unwrap_or(0);
                        *word = (bits.saturating_add(half + odd) & mask).to_ne_bytes();
                    }
                }
            }
        }
    };
}

words!(words_u8, u8);
words!(words_u16, u16);
words!(words_u32, u32);
words!(words_u64, u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(bytes: &[u8], numbers: &[i64]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let codec = Params::make(STAGE, numbers, "").unwrap();
        codec.encode_in_place(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn floats_keep_bits_of_the_mantissa() {
        for (given, wanted) in [
            (1.0f32, 1.0f32),
            (1.124, 1.0),
            (1.126, 1.25),
            (1.125, 1.0),
            (1.375, 1.5),
            (-1.9, -2.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            let found = rounded(&given.to_ne_bytes(), &[4, 2, 23]);
            assert_eq!(found, wanted.to_ne_bytes(), "{given}");
        }
        for bits in [0x7fff_ffffu32, 0xffff_ffff, 0x7f80_0001] {
            assert_eq!(
                rounded(&bits.to_ne_bytes(), &[4, 2, 23]),
                bits.to_ne_bytes()
            );
        }
        let same = 1.1f64.to_ne_bytes();
        assert_eq!(rounded(&same, &[8, 52, 52]), same);
    }

    #[test]
    fn integers_keep_bits_from_the_highest_one() {
        for (given, wanted) in [(0, 0), (1, 1), (7, 8), (5, 4), (6, 6), (255, 192), (97, 96)] {
            assert_eq!(rounded(&[given], &[1, 2, 0]), [wanted], "{given}");
        }
        assert!(Params::make(STAGE, &[4, 24, 23], "").is_none());
        assert!(Params::make(STAGE, &[3, 2, 0], "").is_none());
    }
}
