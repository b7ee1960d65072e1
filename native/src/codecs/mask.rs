//! Numbers of fewer than eight bits, one a byte: the upper bits of a stored byte are arbitrary, and in
//! memory they are zero, or copies of the sign.

use crate::codecs::codec::number;
use crate::codecs::typed::Typed;
use crate::error::Result;

/// The bits of a number.
#[derive(Debug)]
pub struct Params {
    /// The upper bits that are not significant.
    unused: u32,
    signed: bool,
}

impl Typed for Params {
    /// The numbers are the significant bits, and whether the uppermost of them is the sign.
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        let unused = 8u32.checked_sub(number(numbers, 0)?)?;
        (name == "mask" && unused < 8).then_some(Params {
            unused,
            signed: number::<u8>(numbers, 1)? != 0,
        })
    }

    fn name(&self) -> &'static str {
        "bytes"
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        let unused = self.unused;
        if self.signed {
            for byte in bytes {
                *byte = (((*byte << unused) as i8) >> unused) as u8;
            }
        } else {
            for byte in bytes {
                *byte = *byte << unused >> unused;
            }
        }
        Ok(())
    }

    fn encode_in_place(&self, _bytes: &mut [u8]) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bits_are_zero_or_the_sign() {
        for (bits, signed, wanted) in [
            (4, 0, [0x0f, 0x0f, 0x07, 0x08]),
            (4, 1, [0xff, 0xff, 0x07, 0xf8]),
            (2, 1, [0xff, 0xff, 0xff, 0x00]),
            (6, 0, [0x3f, 0x0f, 0x37, 0x08]),
        ] {
            let mut bytes = [0x7f, 0x0f, 0xb7, 0x08];
            if bits == 2 {
                bytes[2] = 0x03;
            }
            let codec = Params::make("mask", &[bits, signed], "").unwrap();
            codec.decode_in_place(&mut bytes).unwrap();
            assert_eq!(bytes, wanted, "{bits} {signed}");
        }
        for numbers in [&[0, 0][..], &[9, 0], &[4], &[]] {
            assert!(Params::make("mask", numbers, "").is_none());
        }
    }
}
