//! `scale_offset`: an offset is subtracted from each number, then it is multiplied by a scale.
//!
//! * Floats are calculated in their own type. A finite number may not become an infinity or a NaN.
//! * Integers are calculated exactly, and the result must fit their type. What is decoded must be a
//!   multiple of the scale.

use crate::codecs::numbers::{by_type, Kind, Number};
use crate::codecs::typed::Typed;
use crate::error::{Error, Result};

const STAGE: &str = "scale_offset";

/// How many numbers are calculated before one that does not fit is noticed.
const TOGETHER: usize = 256;

/// The type of the numbers, and the bits of the offset and of the scale: those of an `f64` for floats.
#[derive(Debug)]
pub struct Params {
    kind: Kind,
    offset: i64,
    scale: i64,
}

impl Typed for Params {
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        if name != STAGE {
            return None;
        }
        let [offset, scale] = *numbers else {
            return None;
        };
        let kind = Number::parse(word).filter(|number| !number.swapped)?.kind;
        let made = Params {
            kind,
            offset,
            scale,
        };
        (!by_type!(kind, T => T::is_zero(scale))).then_some(made)
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn ratio(&self) -> Option<(usize, usize)> {
        Some((self.kind.size(), self.kind.size()))
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        by_type!(self.kind, T => self.each::<T>(bytes, T::decoded, "decoded"))
    }

    fn encode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        by_type!(self.kind, T => self.each::<T>(bytes, T::encoded, "encoded"))
    }
}

impl Params {
    /// Replace each number, or fail if one has no result.
    fn each<T: Scaled>(
        &self,
        bytes: &mut [u8],
        result: impl Fn(T, T::Wide, T::Wide) -> (T, bool),
        what: &str,
    ) -> Result<()> {
        let (offset, scale) = (T::wide(self.offset), T::wide(self.scale));
        for words in T::words(bytes).chunks_mut(TOGETHER) {
            let Some(first) = words.first() else {
                continue;
            };
            let (mut results, mut all) = ([*first; TOGETHER], true);
            for (word, to) in words.iter().zip(&mut results) {
                let (number, fits) = result(T::load(*word), offset, scale);
                *to = number.store();
                all &= fits;
            }
            if !all {
                let mut numbers = words.iter().map(|word| T::load(*word));
                let wrong = numbers.find(|number| !result(*number, offset, scale).1);
                let wrong = wrong.map_or_else(String::new, |number| format!("{number:?} "));
                let message = format!(
                    "{wrong}cannot be {what} with offset {offset:?} and scale {scale:?}: the \
                     result is not a number of the data type"
                );
                return Err(Error::codec(STAGE, message));
            }
            words.copy_from_slice(&results[..words.len()]);
        }
        Ok(())
    }
}

/// A type of number that can be scaled.
trait Scaled: Copy + std::fmt::Debug {
    type Bytes: Copy;
    /// The type of offsets and scales.
    type Wide: Copy + std::fmt::Debug;
    fn words(bytes: &mut [u8]) -> &mut [Self::Bytes];
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self) -> Self::Bytes;
    fn wide(bits: i64) -> Self::Wide;
    fn is_zero(bits: i64) -> bool;
    /// Return the encoded number, and whether it is right.
    fn encoded(self, offset: Self::Wide, scale: Self::Wide) -> (Self, bool);
    /// Return the decoded number, and whether it is right.
    fn decoded(self, offset: Self::Wide, scale: Self::Wide) -> (Self, bool);
}

macro_rules! scaled {
    ($rust:ty, $wide:ty, $bits:ident => $from:expr, $number:ident, $offset:ident, $scale:ident => $encoded:expr, $decoded:expr) => {
        impl Scaled for $rust {
            type Bytes = [u8; size_of::<$rust>()];
            type Wide = $wide;
            fn words(bytes: &mut [u8]) -> &mut [Self::Bytes] {
                bytes.as_chunks_mut().0
            }
            fn load(bytes: Self::Bytes) -> Self {
                <$rust>::from_ne_bytes(bytes)
            }
            fn store(self) -> Self::Bytes {
                self.to_ne_bytes()
            }
            fn wide($bits: i64) -> $wide {
                $from
            }
            fn is_zero(bits: i64) -> bool {
                Self::wide(bits) == <$wide>::default()
            }
            fn encoded(self, $offset: $wide, $scale: $wide) -> (Self, bool) {
                let $number = self;
                $encoded
            }
            fn decoded(self, $offset: $wide, $scale: $wide) -> (Self, bool) {
                let $number = self;
                $decoded
            }
        }
    };
}

macro_rules! floats {
    ($($rust:ty),+) => {
        $(scaled!(
            $rust, $rust, bits => f64::from_bits(bits as u64) as $rust,
            number, offset, scale => {
                let result = (number - offset) * scale;
                (result, result.is_finite() | !number.is_finite())
            },
            {
                let result = number / scale + offset;
                (result, result.is_finite() | !number.is_finite())
            }
        );)+
    };
}

macro_rules! integers {
    ($wide:ty, $product:expr; $($rust:ident $from:ty),+) => {
        $(scaled!(
            $rust, $wide, bits => bits as $from as $wide,
            number, offset, scale => {
                let result: $wide = $product(number as $wide - offset, scale);
                (result as $rust, result as $rust as $wide == result)
            },
            {
                let number = number as $wide;
                let result = number / scale + offset;
                let exact = number % scale == 0;
                (result as $rust, exact & (result as $rust as $wide == result))
            }
        );)+
    };
}

floats!(f32, f64);
// The wide types hold every difference, and the first one every product.
integers!(i64, i64::wrapping_mul; i8 i64, u8 i64, i16 i64, u16 i64);
integers!(i128, i128::saturating_mul; i32 i64, u32 i64, i64 i64, u64 u64);

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(word: &str, offset: f64, scale: f64) -> Params {
        let bits = |number: f64| match word {
            "=f4" | "=f8" => number.to_bits() as i64,
            _ => number as i64,
        };
        Params::make(STAGE, &[bits(offset), bits(scale)], word).unwrap()
    }

    #[test]
    fn numbers_are_scaled_in_their_type() {
        let mut bytes = [5.5f32, 7.0].map(f32::to_ne_bytes).concat();
        codec("=f4", 5.0, 0.1).encode_in_place(&mut bytes).unwrap();
        let wanted = [0.5f32 * 0.1f32, 2.0 * 0.1f32];
        assert_eq!(bytes, wanted.map(f32::to_ne_bytes).concat());
        let mut bytes = [3u8, 4];
        codec("=u1", 3.0, 5.0).encode_in_place(&mut bytes).unwrap();
        assert_eq!(bytes, [0, 5]);
        codec("=u1", 3.0, 5.0).decode_in_place(&mut bytes).unwrap();
        assert_eq!(bytes, [3, 4]);
    }

    #[test]
    fn results_that_do_not_fit_are_errors() {
        for (offset, scale, number) in [(4.0, 1.0, 3u8), (0.0, 2.0, 200)] {
            assert!(codec("=u1", offset, scale)
                .encode_in_place(&mut [number])
                .is_err());
        }
        let error = codec("=u1", 0.0, 2.0)
            .decode_in_place(&mut [2, 3])
            .unwrap_err();
        assert!(
            error.message.starts_with("3 cannot be decoded"),
            "{}",
            error.message
        );
        let mut bytes = f32::MAX.to_ne_bytes();
        assert!(codec("=f4", 0.0, 2.0).encode_in_place(&mut bytes).is_err());
        for number in [f32::INFINITY, f32::NAN] {
            let mut bytes = number.to_ne_bytes();
            codec("=f4", 0.0, 2.0).encode_in_place(&mut bytes).unwrap();
            assert_eq!(bytes, number.to_ne_bytes());
        }
        let mut bytes = i64::MIN.to_ne_bytes();
        assert!(codec("=i8", 1.0, 1.0).encode_in_place(&mut bytes).is_err());
        assert!(Params::make(STAGE, &[0, 0], "=i4").is_none());
    }
}
