//! Reversing the bytes of numbers, for a `bytes` codec whose byte order is not the machine's.
//!
//! * The unit is the number, not the element: a complex number is two units, a text element of
//!   UTF-32 as many as it has characters. A unit of 0 or 1 bytes is left as it is.
//! * Units of 2, 4, 8 and 16 bytes go through a loop that the compiler vectorises.

use std::ops::Range;

use crate::codecs::codec::number;
use crate::codecs::typed::{check_size, Typed};
use crate::error::{Error, Result};

const STAGE: &str = "bytes";

/// The bytes that are reversed at once: a vector of the smallest common machine.
const BLOCK: usize = 16;

/// The bytes of a unit.
#[derive(Debug)]
pub struct Params(usize);

impl Typed for Params {
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        let unit = number(numbers, 0).filter(|unit| *unit > 0)?;
        (name == "swap").then_some(Params(unit))
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn ratio(&self) -> Option<(usize, usize)> {
        Some((self.0, self.0))
    }

    fn swaps(&self) -> Option<usize> {
        Some(self.0)
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        in_place(bytes, self.0)
    }

    fn encode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        in_place(bytes, self.0)
    }

    fn decode(&self, data: &[u8], _size: usize, _part: Range<usize>, dst: &mut [u8]) -> Result<()> {
        copy(data, dst, self.0)
    }

    fn encode(&self, data: &[u8], dst: &mut [u8]) -> Result<()> {
        copy(data, dst, self.0)
    }
}

/// Reverse the bytes of each unit in place. The data must be whole units.
pub fn in_place(data: &mut [u8], unit: usize) -> Result<()> {
    check(data.len(), unit)?;
    match unit {
        0 | 1 => {}
        2 => blocks::<2>(data),
        4 => blocks::<4>(data),
        8 => blocks::<8>(data),
        16 => blocks::<16>(data),
        _ => data.chunks_exact_mut(unit).for_each(<[u8]>::reverse),
    }
    Ok(())
}

/// Copy data to a place of the same size, and reverse the bytes of each unit on the way.
pub fn copy(src: &[u8], dst: &mut [u8], unit: usize) -> Result<()> {
    check(src.len(), unit)?;
    check_size(STAGE, src.len(), dst.len())?;
    match unit {
        0 | 1 => dst.copy_from_slice(src),
        2 => copied_blocks::<2>(src, dst),
        4 => copied_blocks::<4>(src, dst),
        8 => copied_blocks::<8>(src, dst),
        16 => copied_blocks::<16>(src, dst),
        _ => copied(src, dst, unit),
    }
    Ok(())
}

fn check(size: usize, unit: usize) -> Result<()> {
    if unit > 1 && !size.is_multiple_of(unit) {
        let message = format!("{size} bytes are no whole number of units of {unit}");
        return Err(Error::codec(STAGE, message));
    }
    Ok(())
}

fn blocks<const UNIT: usize>(data: &mut [u8]) {
    let (blocks, rest) = data.as_chunks_mut();
    for block in blocks {
        *block = turned::<UNIT>(block);
    }
    rest.chunks_exact_mut(UNIT).for_each(<[u8]>::reverse);
}

fn copied_blocks<const UNIT: usize>(src: &[u8], dst: &mut [u8]) {
    let (blocks, rest) = src.as_chunks();
    let (to_blocks, to_rest) = dst.as_chunks_mut();
    for (block, to) in blocks.iter().zip(to_blocks) {
        *to = turned::<UNIT>(block);
    }
    copied(rest, to_rest, UNIT);
}

fn copied(src: &[u8], dst: &mut [u8], unit: usize) {
    for (from, to) in src.chunks_exact(unit).zip(dst.chunks_exact_mut(unit)) {
        to.iter_mut()
            .zip(from.iter().rev())
            .for_each(|(to, from)| *to = *from);
    }
}

/// Reverse the units of a block, as pairs of bytes: within a pair, then the pairs of a unit.
///
/// Every x86-64 processor has vector instructions for both steps, and not every one has one for
/// whole numbers. Measured, this is 1.5 to 2 times as fast as `swap_bytes`.
#[inline(always)]
fn turned<const UNIT: usize>(block: &[u8; BLOCK]) -> [u8; BLOCK] {
    let pairs = block.as_chunks::<2>().0;
    let mut out = [0; BLOCK];
    for (i, to) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let pair = u16::from_ne_bytes(pairs[i ^ (UNIT / 2 - 1)]);
        *to = pair.rotate_left(8).to_ne_bytes();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(size: usize) -> Vec<u8> {
        (0..size).map(|i| (i * 7 + i / 256) as u8).collect()
    }

    #[test]
    fn reverses_each_unit() {
        for unit in [1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 1000] {
            for count in [0, 1, 2, 3, 15, 16, 17, 100, 1001] {
                for start in 0..3 {
                    let all = ramp(start + unit * count);
                    let src = &all[start..];
                    let wanted: Vec<u8> = src
                        .chunks(unit)
                        .flat_map(|number| number.iter().rev().copied())
                        .collect();
                    let mut copied = vec![0; src.len()];
                    copy(src, &mut copied, unit).unwrap();
                    assert_eq!(copied, wanted);
                    let mut inside = all.clone();
                    in_place(&mut inside[start..], unit).unwrap();
                    assert_eq!(&inside[start..], wanted);
                    assert_eq!(&inside[..start], &all[..start]);
                }
            }
        }
    }

    #[test]
    fn leaves_single_bytes() {
        for unit in [0, 1] {
            let (mut data, mut copied) = (ramp(9), vec![0; 9]);
            copy(&data, &mut copied, unit).unwrap();
            in_place(&mut data, unit).unwrap();
            assert_eq!((data, copied), (ramp(9), ramp(9)));
        }
    }

    #[test]
    fn refuses_parts_of_units_and_other_sizes() {
        for unit in [2, 3, 4, 8, 16] {
            assert!(in_place(&mut ramp(unit * 5 + 1), unit).is_err());
            assert!(copy(&ramp(unit + 1), &mut ramp(unit + 1), unit).is_err());
            assert!(copy(&ramp(unit), &mut ramp(unit * 2), unit).is_err());
            assert!(copy(&ramp(unit * 2), &mut ramp(unit), unit).is_err());
        }
        let message = in_place(&mut [0; 7], 4).unwrap_err().message;
        assert_eq!(message, "7 bytes are no whole number of units of 4");
    }
}
