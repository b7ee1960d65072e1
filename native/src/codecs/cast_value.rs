//! `cast_value`: each number becomes one of another type, with the same value as far as that has it.
//!
//! * A list of numbers may be mapped to others first, whatever their values.
//! * A float becomes an integer by one of five modes of rounding. A float that becomes a smaller one,
//!   or an integer that becomes a float, is rounded to the nearest, ties to even: the other modes are
//!   not made here.
//! * A number out of range is an error, or becomes the nearest in range, or wraps around. A finite
//!   number out of a float's range is an error, or becomes an infinity. A NaN is no integer, and an
//!   infinity none either unless it becomes the nearest.

use std::ops::Range;

use crate::codecs::numbers::{by_type, Kind, Number};
use crate::codecs::typed::{check_size, Typed};
use crate::error::{Error, Result};
use crate::memory;

const STAGE: &str = "cast_value";

/// How many numbers are cast before one that does not fit is noticed.
const TOGETHER: usize = 256;

/// The types of a chunk, and how one becomes the other.
#[derive(Debug)]
pub struct Params {
    decoded: Kind,
    encoded: Kind,
    how: How,
    /// The numbers that become others when they are encoded, and when they are decoded: the bits of
    /// an `f64` for floats.
    to_encoded: Pairs,
    to_decoded: Pairs,
}

/// Numbers, and what they are mapped to.
type Pairs = Vec<(i64, i64)>;

#[derive(Debug, Clone, Copy)]
struct How {
    rounding: Rounding,
    beyond: Beyond,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rounding {
    NearestEven,
    TowardsZero,
    TowardsPositive,
    TowardsNegative,
    NearestAway,
}

/// What becomes of a number out of range.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Beyond {
    Error,
    Clamp,
    Wrap,
}

impl Typed for Params {
    /// The numbers are the count of numbers that are mapped when they are encoded, these and what they
    /// become, and the same for decoding. The word is both types, the rounding and what becomes of
    /// numbers out of range.
    fn make(name: &str, numbers: &[i64], word: &str) -> Option<Params> {
        let words = memory::collected(word.split(' '), STAGE).ok()?;
        let [decoded, encoded, rounding, beyond] = words[..] else {
            return None;
        };
        let kind = |word| Some(Number::parse(word).filter(|number| !number.swapped)?.kind);
        let (to_encoded, rest) = pairs(numbers)?;
        let (to_decoded, rest) = pairs(rest)?;
        let made = Params {
            decoded: kind(decoded)?,
            encoded: kind(encoded)?,
            how: How {
                rounding: match rounding {
                    "nearest-even" => Rounding::NearestEven,
                    "towards-zero" => Rounding::TowardsZero,
                    "towards-positive" => Rounding::TowardsPositive,
                    "towards-negative" => Rounding::TowardsNegative,
                    "nearest-away" => Rounding::NearestAway,
                    _ => return None,
                },
                beyond: match beyond {
                    "error" => Beyond::Error,
                    "clamp" => Beyond::Clamp,
                    "wrap" => Beyond::Wrap,
                    _ => return None,
                },
            },
            to_encoded,
            to_decoded,
        };
        (name == STAGE && rest.is_empty()).then_some(made)
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn ratio(&self) -> Option<(usize, usize)> {
        Some((self.decoded.size(), self.encoded.size()))
    }

    fn decode(&self, data: &[u8], _size: usize, _part: Range<usize>, dst: &mut [u8]) -> Result<()> {
        by_type!(self.encoded, F => by_type!(self.decoded, T => {
            cast::<F, T>(data, dst, self.how, &self.to_decoded)
        }))
    }

    fn encode(&self, data: &[u8], dst: &mut [u8]) -> Result<()> {
        by_type!(self.decoded, F => by_type!(self.encoded, T => {
            cast::<F, T>(data, dst, self.how, &self.to_encoded)
        }))
    }
}

/// Return a list of pairs, before which their count stands, and what follows.
fn pairs(numbers: &[i64]) -> Option<(Pairs, &[i64])> {
    let (count, rest) = numbers.split_first()?;
    let size = usize::try_from(*count).ok()?.checked_mul(2)?;
    let (listed, rest) = rest.split_at_checked(size)?;
    let listed = listed.as_chunks::<2>().0.iter();
    let listed = memory::collected(listed.map(|[from, to]| (*from, *to)), STAGE).ok()?;
    Some((listed, rest))
}

/// Cast each number, or fail if one does not fit.
fn cast<F: Cast<T>, T: Element>(
    src: &[u8],
    dst: &mut [u8],
    how: How,
    mapped: &[(i64, i64)],
) -> Result<()> {
    let (from, to) = (F::split(src), T::split_mut(dst));
    check_size(STAGE, from.len(), to.len())?;
    for (from, to) in from.chunks(TOGETHER).zip(to.chunks_mut(TOGETHER)) {
        let all = if mapped.is_empty() {
            // The mode is chosen outside of the loop.
            F::cast_all(from, to, how)
        } else {
            let one = |from: F| match found(from, mapped) {
                Some(to) => (to, true),
                None => from.cast(how),
            };
            each(from, to, one)
        };
        if !all {
            let mut numbers = from.iter().map(|bytes| F::load(*bytes));
            let wrong = numbers.find(|number| {
                found::<F, T>(*number, mapped).is_none() && !Cast::<T>::cast(*number, how).1
            });
            let wrong = wrong.map_or_else(String::new, |number| format!("{number:?} "));
            let (kind, bits) = T::NAME.split_at(1);
            let kind = match kind {
                "i" => "int",
                "u" => "uint",
                _ => "float",
            };
            let message = format!("{wrong}does not fit into {kind}{bits}");
            return Err(Error::codec(STAGE, message));
        }
    }
    Ok(())
}

/// Return what a number is mapped to.
fn found<F: Element, T: Element>(number: F, mapped: &[(i64, i64)]) -> Option<T> {
    let entry = mapped.iter().find(|(from, _)| F::of(*from).is(number));
    entry.map(|(_, to)| T::of(*to))
}

/// Cast each number. Return whether all fit.
#[inline(always)]
fn each<F: Element, T: Element>(
    from: &[F::Bytes],
    to: &mut [T::Bytes],
    one: impl Fn(F) -> (T, bool),
) -> bool {
    let mut all = true;
    for (from, to) in from.iter().zip(to) {
        let (number, fits) = one(F::load(*from));
        *to = number.store();
        all &= fits;
    }
    all
}

/// A type of number.
trait Element: Copy + std::fmt::Debug {
    const NAME: &'static str;
    type Bytes: Copy;
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    fn split_mut(bytes: &mut [u8]) -> &mut [Self::Bytes];
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self) -> Self::Bytes;
    /// Return the number of some bits, as Python describes it.
    fn of(bits: i64) -> Self;
    /// Whether both are the same number; a NaN is every NaN.
    fn is(self, other: Self) -> bool;
}

/// The cast to another type.
trait Cast<T: Element>: Element {
    /// Return the number that this one becomes, and whether there is one.
    fn cast(self, how: How) -> (T, bool);

    /// Cast each number. Return whether all fit.
    fn cast_all(from: &[Self::Bytes], to: &mut [T::Bytes], how: How) -> bool {
        each(from, to, |number: Self| number.cast(how))
    }
}

macro_rules! element {
    ($rust:ty, $bits:ident => $of:expr, $is:expr) => {
        impl Element for $rust {
            const NAME: &'static str = stringify!($rust);
            type Bytes = [u8; size_of::<$rust>()];
            fn split(bytes: &[u8]) -> &[Self::Bytes] {
                bytes.as_chunks().0
            }
            fn split_mut(bytes: &mut [u8]) -> &mut [Self::Bytes] {
                bytes.as_chunks_mut().0
            }
            fn load(bytes: Self::Bytes) -> Self {
                <$rust>::from_ne_bytes(bytes)
            }
            fn store(self) -> Self::Bytes {
                self.to_ne_bytes()
            }
            fn of($bits: i64) -> Self {
                $of
            }
            fn is(self, other: Self) -> bool {
                $is(self, other)
            }
        }
    };
}

macro_rules! integers {
    ($($rust:ident),+) => {
        $(
            element!($rust, bits => bits as $rust, |a, b| a == b);
            integers!(@ $rust => i8, i16, i32, i64, u8, u16, u32, u64);
            impl Cast<f32> for $rust {
                fn cast(self, _how: How) -> (f32, bool) {
                    (self as f32, true)
                }
            }
            impl Cast<f64> for $rust {
                fn cast(self, _how: How) -> (f64, bool) {
                    (self as f64, true)
                }
            }
        )+
    };
    (@ $rust:ident => $($other:ident),+) => {
        $(impl Cast<$other> for $rust {
            #[inline(always)]
            fn cast(self, how: How) -> ($other, bool) {
                let wrapped = self as $other;
                let fits = wrapped as $rust == self && (wrapped < 0 as $other) == (self < 0 as $rust);
                match how.beyond {
                    Beyond::Error => (wrapped, fits),
                    Beyond::Wrap => (wrapped, true),
                    Beyond::Clamp if fits => (wrapped, true),
                    Beyond::Clamp if self < 0 as $rust => ($other::MIN, true),
                    Beyond::Clamp => ($other::MAX, true),
                }
            }
            fn cast_all(from: &[Self::Bytes], to: &mut [<$other as Element>::Bytes], how: How) -> bool {
                let rounding = Rounding::NearestEven;
                macro_rules! by {
                    ($beyond:ident) => {{
                        let how = How { rounding, beyond: Beyond::$beyond };
                        each(from, to, |number: $rust| Cast::<$other>::cast(number, how))
                    }};
                }
                match how.beyond {
                    Beyond::Error => by!(Error),
                    Beyond::Clamp => by!(Clamp),
                    Beyond::Wrap => by!(Wrap),
                }
            }
        })+
    };
}

macro_rules! floats {
    ($($rust:ident $whole:expr),+) => {
        $(
            element!(
                $rust,
                bits => f64::from_bits(bits as u64) as $rust,
                |a: $rust, b: $rust| a == b || (a.is_nan() && b.is_nan())
            );
            impl Rounded for $rust {
                #[inline(always)]
                fn rounded(self, rounding: Rounding) -> Self {
                    // From this number on, all are whole. Not every machine has an instruction that
                    // rounds; an addition rounds to the nearest even.
                    const WHOLE: $rust = $whole;
                    let size = self.abs();
                    let near = size + WHOLE - WHOLE;
                    let near = if size < WHOLE { near } else { size };
                    let cut = if near > size { near - 1.0 } else { near };
                    let more = if near < size { near + 1.0 } else { near };
                    let up = self > 0.0;
                    let found = match rounding {
                        Rounding::NearestEven => near,
                        Rounding::TowardsZero => cut,
                        Rounding::TowardsPositive => if up { more } else { cut },
                        Rounding::TowardsNegative => if up { cut } else { more },
                        Rounding::NearestAway => if size - cut >= 0.5 { cut + 1.0 } else { cut },
                    };
                    found.copysign(self)
                }
            }
            floats!(@ $rust => i8, i16, i32, i64, u8, u16, u32, u64);
        )+
    };
    (@ $rust:ident => $($other:ident),+) => {
        $(impl Cast<$other> for $rust {
            #[inline(always)]
            fn cast(self, how: How) -> ($other, bool) {
                let whole = self.rounded(how.rounding);
                // The largest plus one is a power of two, or what the largest is rounded up to.
                let beyond = ($other::MAX / 2 + 1) as $rust * 2.0;
                let fits = (whole >= $other::MIN as $rust) & (whole < beyond);
                match how.beyond {
                    Beyond::Error => (whole as $other, fits),
                    // The conversion gives the nearest.
                    Beyond::Clamp => (whole as $other, !self.is_nan()),
                    Beyond::Wrap if fits => (whole as $other, true),
                    Beyond::Wrap => (wrapped(whole.into()) as $other, self.is_finite()),
                }
            }
            fn cast_all(from: &[Self::Bytes], to: &mut [<$other as Element>::Bytes], how: How) -> bool {
                macro_rules! by {
                    ($rounding:ident) => {{
                        let rounding = Rounding::$rounding;
                        if how.beyond == Beyond::Error {
                            let how = How { rounding, beyond: Beyond::Error };
                            each(from, to, |number: $rust| Cast::<$other>::cast(number, how))
                        } else {
                            let how = How { rounding, beyond: how.beyond };
                            each(from, to, |number: $rust| Cast::<$other>::cast(number, how))
                        }
                    }};
                }
                match how.rounding {
                    Rounding::NearestEven => by!(NearestEven),
                    Rounding::TowardsZero => by!(TowardsZero),
                    Rounding::TowardsPositive => by!(TowardsPositive),
                    Rounding::TowardsNegative => by!(TowardsNegative),
                    Rounding::NearestAway => by!(NearestAway),
                }
            }
        })+
    };
}

/// A number that is rounded to a whole one.
trait Rounded {
    fn rounded(self, rounding: Rounding) -> Self;
}

/// Return a whole number modulo 2^64.
fn wrapped(whole: f64) -> u64 {
    let rest = whole % 18_446_744_073_709_551_616.0;
    if rest < 0.0 {
        (-rest as u64).wrapping_neg()
    } else {
        rest as u64
    }
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);
floats!(f32 8_388_608.0, f64 4_503_599_627_370_496.0);

macro_rules! between_floats {
    ($($rust:ident => $other:ident),+) => {
        $(impl Cast<$other> for $rust {
            #[inline(always)]
            fn cast(self, how: How) -> ($other, bool) {
                let number = self as $other;
                let kept = !(number.is_infinite() & self.is_finite());
                (number, kept | (how.beyond == Beyond::Clamp))
            }
        })+
    };
}

between_floats!(f32 => f32, f32 => f64, f64 => f32, f64 => f64);

#[cfg(test)]
mod tests {
    use super::*;

    fn codec(word: &str) -> Params {
        Params::make(STAGE, &[0, 0], word).unwrap()
    }

    fn bytes(numbers: &[f64]) -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_ne_bytes())
            .collect()
    }

    fn to_i4(word: &str, numbers: &[f64]) -> Result<Vec<i32>> {
        let mut out = Vec::new();
        codec(&format!("=f8 =i4 {word}")).encode_to_vec(&bytes(numbers), &mut out)?;
        let (numbers, _) = out.as_chunks::<4>();
        Ok(numbers
            .iter()
            .map(|number| i32::from_ne_bytes(*number))
            .collect())
    }

    #[test]
    fn floats_are_rounded_in_five_modes() {
        let numbers = [
            0.5,
            1.5,
            2.5,
            -0.5,
            -1.5,
            -2.5,
            0.7,
            -0.7,
            3.0,
            0.499_999_999_999_999_94,
        ];
        for (rounding, wanted) in [
            ("nearest-even", [0, 2, 2, 0, -2, -2, 1, -1, 3, 0]),
            ("towards-zero", [0, 1, 2, 0, -1, -2, 0, 0, 3, 0]),
            ("towards-positive", [1, 2, 3, 0, -1, -2, 1, 0, 3, 1]),
            ("towards-negative", [0, 1, 2, -1, -2, -3, 0, -1, 3, 0]),
            ("nearest-away", [1, 2, 3, -1, -2, -3, 1, -1, 3, 0]),
        ] {
            assert_eq!(
                to_i4(&format!("{rounding} error"), &numbers).unwrap(),
                wanted,
                "{rounding}"
            );
        }
    }

    #[test]
    fn numbers_out_of_range_are_errors_or_clamped_or_wrapped() {
        let numbers = [2_147_483_648.0, -2_147_483_649.0, 1e300];
        for number in numbers.into_iter().chain([f64::NAN, f64::INFINITY]) {
            assert!(to_i4("nearest-even error", &[number]).is_err(), "{number}");
        }
        let clamped = to_i4("nearest-even clamp", &[1e300, f64::NEG_INFINITY]).unwrap();
        assert_eq!(clamped, [i32::MAX, i32::MIN]);
        let wrapped = to_i4("nearest-even wrap", &numbers).unwrap();
        assert_eq!(wrapped, [i32::MIN, i32::MAX, 0]);
        for beyond in ["clamp", "wrap"] {
            let word = format!("nearest-even {beyond}");
            assert!(to_i4(&word, &[f64::NAN]).is_err());
        }
        assert!(to_i4("nearest-even wrap", &[f64::INFINITY]).is_err());
        let mut out = [0; 1];
        let error = codec("=i4 =u1 nearest-even error").encode(&300i32.to_ne_bytes(), &mut out);
        assert_eq!(error.unwrap_err().message, "300 does not fit into uint8");
        codec("=i4 =u1 nearest-even clamp")
            .encode(&(-1i32).to_ne_bytes(), &mut out)
            .unwrap();
        assert_eq!(out, [0]);
    }

    #[test]
    fn mapped_numbers_are_not_cast() {
        let bits = |number: f64| number.to_bits() as i64;
        let numbers = [2, bits(f64::NAN), 0, bits(300.0), 255, 1, 0, bits(f64::NAN)];
        let codec = Params::make(STAGE, &numbers, "=f8 =u1 nearest-even error").unwrap();
        let (mut out, mut back) = ([0; 3], [0; 24]);
        codec
            .encode(&bytes(&[f64::NAN, 300.0, 7.0]), &mut out)
            .unwrap();
        assert_eq!(out, [0, 255, 7]);
        codec.decode(&out, 24, 0..24, &mut back).unwrap();
        assert!(f64::from_ne_bytes(*back.first_chunk().unwrap()).is_nan());
        assert_eq!(back[8..], bytes(&[255.0, 7.0]));
        assert!(Params::make(STAGE, &numbers[..7], "=f8 =u1 nearest-even error").is_none());
    }
}
