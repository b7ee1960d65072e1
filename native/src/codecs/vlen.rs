//! The `vlen-utf8` and `vlen-bytes` codecs: elements of varying length.
//!
//! * The stored form is a count, then for each element in C order its length and its bytes; count
//!   and lengths are unsigned 32-bit little-endian numbers.
//! * The caller has checked the count against the chunk before allocating anything. Each length
//!   must fit into the rest of the data, and bytes behind the last element are an error.
//! * Elements are found one by one, without copies and allocations.

use crate::error::{Error, Result};
use crate::memory;

const WORD: usize = 4;

/// The type of the elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in UTF-8, which is checked.
    Text,
    /// Any bytes.
    Bytes,
}

impl Kind {
    fn stage(self) -> &'static str {
        match self {
            Kind::Text => "vlen-utf8",
            Kind::Bytes => "vlen-bytes",
        }
    }
}

/// An iterator over the `count` elements of a chunk, which ends with an error if bytes are left.
#[derive(Debug)]
pub struct Elements<'a> {
    src: &'a [u8],
    kind: Kind,
    count: usize,
    number: usize,
    at: usize,
}

impl<'a> Elements<'a> {
    /// Begin after the count.
    pub fn new(src: &'a [u8], count: usize, kind: Kind) -> Elements<'a> {
        Elements {
            src,
            kind,
            count,
            number: 0,
            at: WORD,
        }
    }

    fn fail(&self, message: String) -> Error {
        Error::codec(self.kind.stage(), message)
    }

    fn element(&mut self) -> Result<&'a [u8]> {
        let (number, count, end) = (self.number, self.count, self.src.len());
        let Some(length) = word(self.src, self.at) else {
            return Err(self.fail(format!(
                "the data ends early, after {number} of {count} elements: {end} bytes"
            )));
        };
        let start = self.at + WORD;
        if length > end - start {
            return Err(self.fail(format!(
                "element {number} of {count} states {length} bytes, but {} are left",
                end - start
            )));
        }
        let item = &self.src[start..start + length];
        if self.kind == Kind::Text && !is_utf8(item) {
            return Err(self.fail(format!("element {number} of {count} is not UTF-8")));
        }
        self.at = start + length;
        self.number += 1;
        Ok(item)
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.number < self.count {
            let found = self.element();
            if found.is_err() {
                self.number = usize::MAX;
            }
            return Some(found);
        }
        let (at, end) = (self.at, self.src.len());
        if self.number == usize::MAX || at == end {
            return None;
        }
        self.number = usize::MAX;
        Some(Err(self.fail(format!("expected {at} bytes, found {end}"))))
    }
}

/// The stored form of elements that are pushed one by one.
#[derive(Debug)]
pub struct Joined {
    out: Vec<u8>,
    kind: Kind,
    count: usize,
    number: usize,
}

impl Joined {
    /// Begin with the count.
    pub fn new(count: usize, kind: Kind) -> Result<Joined> {
        let mut joined = Joined {
            out: Vec::new(),
            kind,
            count,
            number: 0,
        };
        let Ok(stored) = u32::try_from(count) else {
            return Err(joined.fail(format!("{count} elements; at most {} fit", u32::MAX)));
        };
        joined.reserve(WORD.saturating_mul(count.saturating_add(1)))?;
        joined.out.extend_from_slice(&stored.to_le_bytes());
        Ok(joined)
    }

    fn fail(&self, message: String) -> Error {
        Error::codec(self.kind.stage(), message)
    }

    fn reserve(&mut self, size: usize) -> Result<()> {
        memory::reserve(&mut self.out, size, self.kind.stage())
    }

    /// Add an element.
    pub fn push(&mut self, item: &[u8]) -> Result<()> {
        let (number, count, size) = (self.number, self.count, item.len());
        let Ok(length) = u32::try_from(size) else {
            return Err(self.fail(format!(
                "element {number} of {count} has {size} bytes; at most {} fit",
                u32::MAX
            )));
        };
        if self.kind == Kind::Text && !is_utf8(item) {
            return Err(self.fail(format!("element {number} of {count} is not UTF-8")));
        }
        self.reserve(WORD + size)?;
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(item);
        self.number += 1;
        Ok(())
    }

    /// Return the stored form, once all elements were pushed.
    pub fn finish(self) -> Vec<u8> {
        debug_assert_eq!(self.number, self.count);
        self.out
    }
}

fn word(src: &[u8], at: usize) -> Option<usize> {
    let bytes = src.get(at..)?.first_chunk::<WORD>()?;
    Some(u32::from_le_bytes(*bytes) as usize)
}

/// Whether bytes are UTF-8. Most text is short and ASCII, which needs no decoder.
fn is_utf8(item: &[u8]) -> bool {
    item.is_ascii() || std::str::from_utf8(item).is_ok()
}

#[cfg(test)]
mod tests {
    use super::Kind::{Bytes, Text};
    use super::*;

    const ITEMS: [&str; 5] = ["foo", "", "bär", "\u{1F600}", "a\0b\0"];
    /// numcodecs' vlen-utf8 of them, and vlen-bytes of their UTF-8.
    const GOLDEN: &[u8] = &[
        0x05, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x66, 0x6f, 0x6f, 0x00, 0x00, 0x00, 0x00,
        0x04, 0x00, 0x00, 0x00, 0x62, 0xc3, 0xa4, 0x72, 0x04, 0x00, 0x00, 0x00, 0xf0, 0x9f, 0x98,
        0x80, 0x04, 0x00, 0x00, 0x00, 0x61, 0x00, 0x62, 0x00,
    ];

    fn split(src: &[u8], count: usize, kind: Kind) -> Result<Vec<&[u8]>> {
        let mut elements = Elements::new(src, count, kind);
        let found = elements.by_ref().collect();
        assert!(elements.next().is_none(), "nothing follows the end");
        found
    }

    fn joined(items: &[&[u8]], kind: Kind) -> Result<Vec<u8>> {
        let mut out = Joined::new(items.len(), kind)?;
        for item in items {
            out.push(item)?;
        }
        Ok(out.finish())
    }

    #[test]
    fn reads_and_writes_what_numcodecs_writes() {
        let items = ITEMS.map(str::as_bytes);
        for kind in [Text, Bytes] {
            assert_eq!(split(GOLDEN, 5, kind).unwrap(), items);
            assert_eq!(joined(&items, kind).unwrap(), GOLDEN);
        }
        assert_eq!(joined(&[], Text).unwrap(), [0; 4]);
        assert_eq!(split(&[0; 4], 0, Text).unwrap(), [b""; 0]);
    }

    #[test]
    fn refuses_what_is_cut_or_followed_by_anything() {
        for stop in 0..GOLDEN.len() {
            assert!(split(&GOLDEN[..stop], 5, Bytes).is_err());
        }
        assert!(split(&[GOLDEN, b"\0"].concat(), 5, Bytes).is_err());
        assert!(split(&[0; 5], 0, Bytes).is_err());
        assert!(split(&[], 0, Bytes).is_err());
    }

    #[test]
    fn believes_no_length() {
        for length in [1, 5, u32::MAX - 7, u32::MAX] {
            let data = [&1_u32.to_le_bytes()[..], &length.to_le_bytes()].concat();
            let message = split(&data, 1, Bytes).unwrap_err().message;
            let wanted = format!("element 0 of 1 states {length} bytes, but 0 are left");
            assert_eq!(message, wanted);
        }
        assert!(split(GOLDEN, usize::MAX - 1, Bytes).is_err());
        assert!(Joined::new(u32::MAX as usize + 1, Bytes).is_err());
    }

    #[test]
    fn flipped_bits_stay_inside_the_data() {
        for bit in 0..GOLDEN.len() * 8 {
            let mut flipped = GOLDEN.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(items) = split(&flipped, 5, Bytes) {
                let held: usize = items.iter().map(|item| WORD + item.len()).sum();
                assert_eq!(WORD + held, GOLDEN.len());
            }
            if let Ok(items) = split(&flipped, 5, Text) {
                assert!(items.iter().all(|item| std::str::from_utf8(item).is_ok()));
            }
        }
    }

    #[test]
    fn checks_text() {
        // A lone surrogate, an overlong form, a cut one, a byte that is never used.
        for item in [&b"\xED\xA0\x80"[..], b"\xC0\x80", b"\xE2\x82", b"ab\xFF"] {
            let data = joined(&[b"ok", item], Bytes).unwrap();
            assert!(split(&data, 2, Bytes).is_ok());
            let message = split(&data, 2, Text).unwrap_err().message;
            assert_eq!(message, "element 1 of 2 is not UTF-8");
            let message = joined(&[b"ok", item], Text).unwrap_err().message;
            assert_eq!(message, "element 1 of 2 is not UTF-8");
        }
    }
}
