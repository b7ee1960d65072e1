//! numcodecs' `delta`: the first element, then the difference of each element from the one before
//! it.
//!
//! * Differences are taken in `dtype`, the decoded type, and stored in `astype`. Conversions are
//!   those of C and NumPy: integers wrap, fractions are truncated.
//! * Decoding sums in the type that NumPy promotes both types to. Integers are summed modulo the
//!   width of `dtype`, which is equivalent, and exact where NumPy uses float64 (uint64 mixed with
//!   signed integers).
//! * Encoding fails if the first element does not fit `astype`, as assigning it does in NumPy. That
//!   the differences fit is up to the user who chose `astype`.
//! * The conversion of a float outside of an integer's range is unspecified.

use std::ops::Range;

use crate::codecs::numbers::{by_type, Number};
use crate::codecs::swap;
use crate::codecs::typed::{check_size, Typed};
use crate::error::{Error, Result};
use crate::memory;

const STAGE: &str = "delta";

/// The types of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The decoded type.
    pub dtype: Number,
    /// The stored type.
    pub astype: Number,
}

impl Typed for Params {
    fn make(name: &str, _numbers: &[i64], word: &str) -> Option<Params> {
        if name != STAGE {
            return None;
        }
        let (dtype, astype) = word.split_once(' ')?;
        Some(Params {
            dtype: Number::parse(dtype)?,
            astype: Number::parse(astype)?,
        })
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    /// Each element depends on those before it.
    fn ratio(&self) -> Option<(usize, usize)> {
        None
    }

    fn encoded_size(&self, size: usize) -> Option<usize> {
        (size / self.dtype.size()).checked_mul(self.astype.size())
    }

    fn decode(&self, data: &[u8], _size: usize, _part: Range<usize>, dst: &mut [u8]) -> Result<()> {
        decode(data, dst, self, &mut Context::default())
    }

    fn encode(&self, data: &[u8], dst: &mut [u8]) -> Result<()> {
        encode(data, dst, self, &mut Context::default())
    }
}

/// Room to swap bytes in.
#[derive(Debug, Default)]
struct Context {
    turned: Vec<u8>,
}

/// Sum the differences in `src`, of as many elements as `dst` has room for.
fn decode(src: &[u8], dst: &mut [u8], params: &Params, ctx: &mut Context) -> Result<()> {
    let (dtype, astype) = (params.dtype, params.astype);
    let count = count(dst.len(), dtype)?;
    check_size(STAGE, src.len(), count.saturating_mul(astype.size()))?;
    let src = native(src, astype, ctx)?;
    by_type!(dtype.kind, D => by_type!(astype.kind, A => added_up::<D, A>(src, dst)));
    if dtype.swapped {
        swap::in_place(dst, dtype.size())?;
    }
    Ok(())
}

/// Store the differences in `src`, as many elements as `dst` has room for.
fn encode(src: &[u8], dst: &mut [u8], params: &Params, ctx: &mut Context) -> Result<()> {
    let (dtype, astype) = (params.dtype, params.astype);
    let count = count(src.len(), dtype)?;
    check_size(STAGE, dst.len(), count.saturating_mul(astype.size()))?;
    let src = native(src, dtype, ctx)?;
    let fits = by_type!(dtype.kind, D => by_type!(astype.kind, A => differed::<D, A>(src, dst)));
    if !fits {
        let message = "the first element does not fit the stored data type";
        return Err(Error::codec(STAGE, message));
    }
    if astype.swapped {
        swap::in_place(dst, astype.size())?;
    }
    Ok(())
}

fn count(size: usize, number: Number) -> Result<usize> {
    let unit = number.size();
    if !size.is_multiple_of(unit) {
        let message = format!("{size} bytes are no whole number of elements of {unit}");
        return Err(Error::codec(STAGE, message));
    }
    Ok(size / unit)
}

/// Return numbers in the machine's byte order.
fn native<'a>(src: &'a [u8], number: Number, ctx: &'a mut Context) -> Result<&'a [u8]> {
    if !number.swapped {
        return Ok(src);
    }
    let turned = memory::grown(&mut ctx.turned, src.len(), STAGE)?;
    swap::copy(src, turned, number.size())?;
    Ok(turned)
}

fn added_up<D, A>(src: &[u8], dst: &mut [u8])
where
    D: Element + With<A>,
    A: Element + To<D::Wide>,
    D::Wide: To<D>,
{
    let mut sum = D::Wide::NOTHING;
    for (from, to) in A::split(src).iter().zip(D::split_mut(dst)) {
        sum = sum.plus(A::load(*from).to());
        *to = sum.to().store();
    }
}

/// Store the differences. Return whether the first element fits; the others are converted without a
/// check.
fn differed<D: Element + To<A>, A: Element>(src: &[u8], dst: &mut [u8]) -> bool {
    let src = D::split(src);
    let ([first, rest @ ..], [to_first, to_rest @ ..]) = (src, A::split_mut(dst)) else {
        return true;
    };
    let first = D::load(*first);
    *to_first = first.to().store();
    for ((before, from), to) in src.iter().zip(rest).zip(to_rest) {
        *to = D::load(*from).minus(D::load(*before)).to().store();
    }
    first.fits()
}

/// The operations that the loops need.
trait Element: Copy {
    type Bytes: Copy;
    /// The neutral element of addition: for floats a negative zero.
    const NOTHING: Self;
    fn split(bytes: &[u8]) -> &[Self::Bytes];
    fn split_mut(bytes: &mut [u8]) -> &mut [Self::Bytes];
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self) -> Self::Bytes;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
}

/// Convert as C does.
trait To<T> {
    fn to(self) -> T;
    /// Whether the conversion keeps the value, apart from its fraction.
    fn fits(self) -> bool;
}

/// The type of sums when differences of another type are added.
trait With<A> {
    type Wide: Element;
}

macro_rules! element {
    ($rust:ty, $nothing:expr, $plus:expr, $minus:expr) => {
        impl Element for $rust {
            type Bytes = [u8; size_of::<$rust>()];
            const NOTHING: Self = $nothing;
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
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
            fn minus(self, other: Self) -> Self {
                $minus(self, other)
            }
        }
    };
}

macro_rules! wide {
    ($wide:ty: $($rust:ty, $other:ty);+) => {
        $(impl With<$other> for $rust {
            type Wide = $wide;
        })+
    };
}

macro_rules! integers {
    ($($rust:ident),+) => {
        $(
            element!($rust, 0, <$rust>::wrapping_add, <$rust>::wrapping_sub);
            integers!(@ $rust => i8, i16, i32, i64, u8, u16, u32, u64);
            wide!($rust: $rust, i8; $rust, i16; $rust, i32; $rust, i64);
            wide!($rust: $rust, u8; $rust, u16; $rust, u32; $rust, u64);
            wide!(f64: $rust, f64; f64, $rust);
            floats!(@ $rust => f32, f64);
        )+
    };
    (@ $rust:ident => $($other:ident),+) => {
        $(impl To<$other> for $rust {
            fn to(self) -> $other {
                self as $other
            }
            fn fits(self) -> bool {
                self as $other as $rust == self
            }
        })+
    };
}

macro_rules! floats {
    ($($rust:ident),+) => {
        $(
            element!($rust, -0.0, std::ops::Add::add, std::ops::Sub::sub);
            floats!(@ $rust => f32, f64);
            floats!(@ $rust through i64 => i8, i16, i32, i64, u8, u16, u32);
            floats!(@ $rust through u64 => u64);
        )+
    };
    (@ $rust:ident => $($other:ident),+) => {
        $(impl To<$other> for $rust {
            fn to(self) -> $other {
                self as $other
            }
            fn fits(self) -> bool {
                true
            }
        })+
    };
    (@ $rust:ident through $middle:ident => $($other:ident),+) => {
        $(impl To<$other> for $rust {
            fn to(self) -> $other {
                // Negative numbers wrap even if the result is unsigned.
                if self < 0.0 {
                    self as i64 as $other
                } else {
                    self as $middle as $other
                }
            }
            fn fits(self) -> bool {
                // The largest plus one is exact, or is what the largest was rounded up to.
                let whole = self.trunc();
                whole >= $other::MIN as $rust && whole < $other::MAX as $rust + 1.0
            }
        })+
    };
}

integers!(i8, i16, i32, i64, u8, u16, u32, u64);
floats!(f32, f64);
wide!(f32: f32, f32; i8, f32; u8, f32; i16, f32; u16, f32);
wide!(f32: f32, i8; f32, u8; f32, i16; f32, u16);
wide!(f64: f32, i32; f32, u32; f32, i64; f32, u64; f32, f64);
wide!(f64: i32, f32; u32, f32; i64, f32; u64, f32; f64, f32; f64, f64);

#[cfg(test)]
mod tests;
