//! Records of numbers that differ in size: each byte of an element has a place of its own in storage,
//! which is how the byte order of a record is changed, and bits of its own that are significant.

use crate::codecs::typed::Typed;
use crate::error::{Error, Result};

/// The most bytes of an element.
const LARGEST: usize = 1024;

/// What is done to one byte of an element in memory.
#[derive(Debug)]
struct Byte {
    /// Where it is in the stored element.
    source: usize,
    /// Its significant bits.
    mask: u8,
}

/// The bytes of an element.
#[derive(Debug)]
pub struct Params {
    bytes: Vec<Byte>,
}

impl Params {
    fn check(&self, size: usize) -> Result<()> {
        if size.is_multiple_of(self.bytes.len()) {
            return Ok(());
        }
        let item = self.bytes.len();
        let message = format!("{size} bytes are no whole number of elements of {item}");
        Err(Error::codec(self.name(), message))
    }
}

impl Typed for Params {
    /// The numbers are, for each byte of an element, its place in the stored element and its mask.
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        let (pairs, rest) = numbers.as_chunks::<2>();
        let size = pairs.len();
        if name != "record" || !rest.is_empty() || !(1..=LARGEST).contains(&size) {
            return None;
        }
        let mut taken = [false; LARGEST];
        let mut bytes = Vec::new();
        for [source, mask] in pairs {
            let source = usize::try_from(*source).ok().filter(|at| *at < size)?;
            if std::mem::replace(&mut taken[source], true) {
                return None;
            }
            let mask = u8::try_from(*mask).ok()?;
            bytes.push(Byte { source, mask });
        }
        Some(Params { bytes })
    }

    fn name(&self) -> &'static str {
        "bytes"
    }

    fn is_in_place(&self) -> bool {
        true
    }

    fn decode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        self.check(bytes.len())?;
        let mut stored = [0; LARGEST];
        for item in bytes.chunks_exact_mut(self.bytes.len()) {
            stored[..item.len()].copy_from_slice(item);
            for (to, byte) in item.iter_mut().zip(&self.bytes) {
                *to = stored[byte.source] & byte.mask;
            }
        }
        Ok(())
    }

    fn encode_in_place(&self, bytes: &mut [u8]) -> Result<()> {
        self.check(bytes.len())?;
        let mut memory = [0; LARGEST];
        for item in bytes.chunks_exact_mut(self.bytes.len()) {
            memory[..item.len()].copy_from_slice(item);
            for (from, byte) in memory.iter().zip(&self.bytes) {
                item[byte.source] = *from;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_its_place_and_its_bits() {
        // A byte, two swapped bytes, and a number of four bits.
        let numbers = [0, 0xff, 2, 0xff, 1, 0xff, 3, 0x0f];
        let codec = Params::make("record", &numbers, "").unwrap();
        let mut bytes = [7, 1, 2, 0xf3, 0, 3, 4, 0x05];
        codec.decode_in_place(&mut bytes).unwrap();
        assert_eq!(bytes, [7, 2, 1, 3, 0, 4, 3, 5]);
        codec.encode_in_place(&mut bytes).unwrap();
        assert_eq!(bytes, [7, 1, 2, 3, 0, 3, 4, 5]);
        for size in [1, 3, 5] {
            assert!(codec.decode_in_place(&mut bytes[..size]).is_err());
            assert!(codec.encode_in_place(&mut bytes[..size]).is_err());
        }
    }

    #[test]
    fn bytes_that_are_no_record_are_refused() {
        let long: Vec<i64> = (0..1025).flat_map(|at| [at, 255]).collect();
        for numbers in [
            &[][..],
            &[0],
            &[0, 255, 0, 255],
            &[1, 255],
            &[-1, 255],
            &[0, 256],
            &[0, -1],
            &long,
        ] {
            assert!(Params::make("record", numbers, "").is_none());
        }
        assert!(Params::make("record", &long[..2048], "").is_some());
        assert!(Params::make("swap", &[0, 255], "").is_none());
    }
}
