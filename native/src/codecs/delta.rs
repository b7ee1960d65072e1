//! numcodecs' `delta`: the first element, then what each differs by from the one before it.
//!
//! * `dtype` is what is decoded and differed in, `astype` what is stored. Conversions are C's, as
//!   NumPy makes them: integers wrap, and keep their low bits; fractions are cut off.
//! * Decoding adds up in the type that NumPy promotes both to. Integers are added modulo the width
//!   of `dtype`, which comes to the same, and stays exact where NumPy goes through float64 (uint64
//!   mixed with signed integers).
//! * Encoding fails where the first element does not fit `astype`, as assigning it does in NumPy.
//!   That differences fit is the choice of whoever named `astype`.
//! * A float that is out of an integer's range has no defined conversion; it gives some number.

use crate::codecs::swap;
use crate::error::{Error, Result};

const STAGE: &str = "delta";

/// A type of number, without its byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F32,
    F64,
}

/// A type of number in a byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its kind and size.
    pub kind: Kind,
    /// Whether its bytes are in the order that is not the machine's.
    pub swapped: bool,
}

impl Number {
    /// Give the type that NumPy writes like this (`<i4`, `|u1`), or None where it is another.
    pub fn parse(text: &str) -> Option<Number> {
        let native = if cfg!(target_endian = "big") {
            '>'
        } else {
            '<'
        };
        let order = text.chars().next()?;
        let kind = match text.get(1..)? {
            "i1" => Kind::I8,
            "i2" => Kind::I16,
            "i4" => Kind::I32,
            "i8" => Kind::I64,
            "u1" => Kind::U8,
            "u2" => Kind::U16,
            "u4" => Kind::U32,
            "u8" => Kind::U64,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => return None,
        };
        let swapped = match order {
            '|' | '=' => false,
            '<' | '>' => order != native && kind.size() > 1,
            _ => return None,
        };
        Some(Number { kind, swapped })
    }

    /// Give the bytes that one takes.
    pub fn size(self) -> usize {
        self.kind.size()
    }
}

impl Kind {
    fn size(self) -> usize {
        match self {
            Kind::I8 | Kind::U8 => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::I64 | Kind::U64 | Kind::F64 => 8,
        }
    }
}

/// The types of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// What is decoded.
    pub dtype: Number,
    /// What is stored.
    pub astype: Number,
}

/// Room to turn the byte order in.
#[derive(Debug, Default)]
pub struct Context {
    turned: Vec<u8>,
}

/// Evaluate an expression with the Rust type of a kind, under a name.
macro_rules! by_type {
    ($kind:expr, $name:ident => $body:expr) => {
        by_type!(@ $kind, $name, $body;
            I8 i8, I16 i16, I32 i32, I64 i64, U8 u8, U16 u16, U32 u32, U64 u64, F32 f32, F64 f64)
    };
    (@ $kind:expr, $name:ident, $body:expr; $($variant:ident $rust:ty),+) => {
        match $kind {
            $(Kind::$variant => {
                type $name = $rust;
                $body
            })+
        }
    };
}

/// Add up the differences in `src`, of as many elements as `dst` has room for.
pub fn decode(src: &[u8], dst: &mut [u8], params: &Params, ctx: &mut Context) -> Result<()> {
    let (dtype, astype) = (params.dtype, params.astype);
    let count = count(dst.len(), dtype)?;
    let expected = count.saturating_mul(astype.size());
    if src.len() != expected {
        let found = src.len();
        let message = format!("expected {expected} bytes of data, found {found}");
        return Err(Error::codec(STAGE, message));
    }
    let src = native(src, astype, ctx)?;
    by_type!(dtype.kind, D => by_type!(astype.kind, A => added_up::<D, A>(src, dst)));
    if dtype.swapped {
        swap::in_place(dst, dtype.size())?;
    }
    Ok(())
}

/// Append the differences between the elements of `src` to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params, ctx: &mut Context) -> Result<()> {
    let (dtype, astype) = (params.dtype, params.astype);
    let count = count(src.len(), dtype)?;
    let size = count.saturating_mul(astype.size());
    let start = out.len();
    out.try_reserve(size)
        .map_err(|_| Error::codec(STAGE, format!("there is no memory for {size} bytes")))?;
    out.resize(start + size, 0);
    let src = native(src, dtype, ctx)?;
    let dst = out.get_mut(start..).unwrap_or_default();
    let fits = by_type!(dtype.kind, D => by_type!(astype.kind, A => differed::<D, A>(src, dst)));
    if !fits {
        out.truncate(start);
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

/// Give numbers in the machine's byte order.
fn native<'a>(src: &'a [u8], number: Number, ctx: &'a mut Context) -> Result<&'a [u8]> {
    if !number.swapped {
        return Ok(src);
    }
    ctx.turned.resize(src.len(), 0);
    swap::copy(src, &mut ctx.turned, number.size())?;
    Ok(&ctx.turned)
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

/// Tell whether the first element fits; the rest is converted as it is.
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

/// What the loops need of a number.
trait Element: Copy {
    type Bytes: Copy;
    /// What changes nothing when it is added to: for floats a negative zero.
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
    /// Tell whether what it converts to still says what it was, fractions aside.
    fn fits(self) -> bool;
}

/// Name the type that sums are kept in when differences of another type are added.
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
                // Negative numbers wrap also where an unsigned one is wanted.
                if self < 0.0 {
                    self as i64 as $other
                } else {
                    self as $middle as $other
                }
            }
            fn fits(self) -> bool {
                // One more than the largest is exact, or what the largest was rounded up to.
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
mod tests {
    use super::*;

    const NAMES: [&str; 10] = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"];

    fn params(dtype: &str, astype: &str) -> Params {
        Params {
            dtype: Number::parse(dtype).unwrap(),
            astype: Number::parse(astype).unwrap(),
        }
    }

    fn encoded(src: &[u8], dtype: &str, astype: &str) -> Result<Vec<u8>> {
        let mut out = b"before".to_vec();
        let params = params(dtype, astype);
        let result = encode(src, &mut out, &params, &mut Context::default());
        assert_eq!(&out[..6], b"before");
        assert!(result.is_ok() || out.len() == 6);
        result.map(|()| out[6..].to_vec())
    }

    fn decoded(src: &[u8], dtype: &str, astype: &str) -> Vec<u8> {
        let params = params(dtype, astype);
        let mut out = vec![0xAA; src.len() / params.astype.size() * params.dtype.size()];
        decode(src, &mut out, &params, &mut Context::default()).unwrap();
        out
    }

    fn noise(size: usize, mut seed: u64) -> Vec<u8> {
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        (0..size).map(|_| (next() >> 40) as u8).collect()
    }

    /// Write small numbers as little-endian numbers of a type.
    fn numbers(values: &[u8], name: &str) -> Vec<u8> {
        let Params { dtype, .. } = params(&format!("<{name}"), "|u1");
        let native: Vec<u8> = values
            .iter()
            .flat_map(|&v| by_type!(dtype.kind, T => (v as T).to_le_bytes().to_vec()))
            .collect();
        native
    }

    fn crc(sum: u32, data: &[u8]) -> u32 {
        let step = |sum: u32| sum >> 1 ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
        let byte = |sum: u32, &byte: &u8| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum));
        !data.iter().fold(!sum, byte)
    }

    #[test]
    fn gives_what_numcodecs_gives() {
        let i4: Vec<u8> = [1, 300, -5, 40_000].map(i32::to_le_bytes).concat();
        assert_eq!(encoded(&i4, "<i4", "|i1").unwrap(), [1, 43, 207, 69]);
        let wrapped = [1, 44, -5, 64].map(i32::to_le_bytes).concat();
        assert_eq!(decoded(&[1, 43, 207, 69], "<i4", "|i1"), wrapped);
        let stored = [1.0, 299.0, -305.0, 40_005.0]
            .map(f32::to_le_bytes)
            .concat();
        assert_eq!(encoded(&i4, "<i4", "<f4").unwrap(), stored);
        assert_eq!(decoded(&stored, "<i4", "<f4"), i4);
        let f8 = [1.5, 2.9, -3.2].map(f64::to_le_bytes).concat();
        let cut = [1_i16, 1, -6].map(i16::to_le_bytes).concat();
        assert_eq!(encoded(&f8, "<f8", "<i2").unwrap(), cut);
        let whole = [1.0, 2.0, -4.0].map(f64::to_le_bytes).concat();
        assert_eq!(decoded(&cut, "<f8", "<i2"), whole);
        // Sums are kept in the wider type, and cut each time.
        let steps = [1.7_f32; 3].map(f32::to_le_bytes).concat();
        let sums = [1_i16, 3, 5].map(i16::to_le_bytes).concat();
        assert_eq!(decoded(&steps, "<i2", "<f4"), sums);
        let steps = [1 << 24, 1, 1, 1].map(i32::to_le_bytes).concat();
        let sums = [16_777_216_f32, 16_777_216.0, 16_777_218.0, 16_777_220.0];
        assert_eq!(
            decoded(&steps, "<f4", "<i4"),
            sums.map(f32::to_le_bytes).concat()
        );
        // Either byte order.
        let big = [300, -300, 70].map(i32::to_be_bytes).concat();
        assert_eq!(encoded(&big, ">i4", "<i2").unwrap(), b",\x01\xA8\xFDr\x01");
        assert_eq!(decoded(b",\x01\xA8\xFDr\x01", ">i4", "<i2"), big);
        let zero = (-0.0_f32).to_le_bytes();
        assert_eq!(decoded(&zero, "<f4", "<f4"), zero);
    }

    /// All hundred pairs at once: the CRC-32 of everything that numcodecs gives for them.
    #[test]
    fn agrees_with_numcodecs_on_all_pairs() {
        let values = [0, 1, 1, 5, 9, 30, 31, 77, 120, 127];
        let (mut encodings, mut decodings, mut wrapped) = (0, 0, 0);
        for dtype in NAMES {
            for astype in NAMES {
                let (d, a) = (&format!("<{dtype}"), &format!("<{astype}"));
                let stored = encoded(&numbers(&values, dtype), d, a).unwrap();
                encodings = crc(encodings, &stored);
                decodings = crc(decodings, &decoded(&stored, d, a));
                let sign = |name: &str| name.starts_with('u');
                let mixed = (dtype == "u8" || astype == "u8") && sign(dtype) != sign(astype);
                if !d.contains('f') && !a.contains('f') && !mixed {
                    let stored = noise(64 * params(a, a).astype.size(), 5);
                    wrapped = crc(wrapped, &decoded(&stored, d, a));
                }
            }
        }
        assert_eq!(
            (encodings, decodings, wrapped),
            (0x3393_DD8B, 0x4575_F26B, 0xDB7E_D214)
        );
    }

    #[test]
    fn comes_back_also_where_differences_wrap() {
        for order in ['<', '>'] {
            for (dtype, astype) in [
                ("i1", "i1"),
                ("i1", "u1"),
                ("u2", "i2"),
                ("i4", "u4"),
                ("i4", "u8"),
                ("u8", "i8"),
                ("i8", "u8"),
            ] {
                let (d, a) = (format!("{order}{dtype}"), format!("<{astype}"));
                let data = noise(800, 3);
                let stored = encoded(&data, &d, &a).unwrap();
                assert_eq!(decoded(&stored, &d, &a), data, "{d} {a}");
            }
        }
    }

    #[test]
    fn refuses_a_first_element_that_does_not_fit() {
        let fails = |src: &[u8], d: &str, a: &str| encoded(src, d, a).is_err();
        assert!(fails(&300_i32.to_le_bytes(), "<i4", "|i1"));
        assert!(fails(&300_i32.to_le_bytes(), "<i4", "|u1"));
        assert!(fails(&(-3_i64).to_le_bytes(), "<i8", "<u4"));
        for value in [
            f64::NAN,
            f64::INFINITY,
            1e300,
            2_147_483_648.0,
            -2_147_483_649.0,
        ] {
            assert!(fails(&value.to_le_bytes(), "<f8", "<i4"), "{value}");
        }
        for value in [2_147_483_647.9, -2_147_483_648.9, -0.9] {
            assert!(!fails(&f64::to_le_bytes(value), "<f8", "<i4"), "{value}");
        }
        assert!(fails(&(-1_f32).to_le_bytes(), "<f4", "<u8"));
        assert!(fails(
            &18_446_744_073_709_551_616_f32.to_le_bytes(),
            "<f4",
            "<u8"
        ));
        assert!(!fails(&255.9_f32.to_le_bytes(), "<f4", "|u1"));
        assert!(!fails(&1e300_f64.to_le_bytes(), "<f8", "<f4"));
    }

    #[test]
    fn takes_nothing_and_no_other_size() {
        assert_eq!(encoded(b"", "<i4", "<i2").unwrap(), b"");
        assert_eq!(decoded(b"", "<i4", "<i2"), b"");
        assert!(encoded(&[0; 7], "<i4", "<i2").is_err());
        let mut ctx = Context::default();
        for (size, room) in [(3, 8), (5, 8), (4, 4), (4, 7), (4, 12), (0, 4)] {
            let mut out = vec![0; room];
            let result = decode(&vec![0; size], &mut out, &params("<i4", "<i2"), &mut ctx);
            assert!(result.is_err(), "{size} {room}");
        }
    }

    #[test]
    fn decodes_any_bits() {
        for dtype in NAMES {
            for astype in NAMES {
                decoded(&noise(640, 11), &format!(">{dtype}"), &format!("<{astype}"));
                let _ = encoded(&noise(640, 11), &format!("<{dtype}"), &format!(">{astype}"));
            }
        }
    }

    #[test]
    fn knows_the_names_of_numpy() {
        let native = Number {
            kind: Kind::I16,
            swapped: false,
        };
        assert_eq!(Number::parse("=i2"), Some(native));
        assert_ne!(Number::parse("<i2"), Number::parse(">i2"));
        assert_eq!(Number::parse(">u1"), Number::parse("|u1"));
        for other in [
            "", "<", "i4", "<c8", "<f2", "<i", "é", "<é", "<M8[s]", "|O", "<i16",
        ] {
            assert_eq!(Number::parse(other), None);
        }
    }
}
