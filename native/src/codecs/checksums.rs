//! The checksums: `crc32c`, and numcodecs' `crc32`, `adler32` and `fletcher32`.
//!
//! * Each is four bytes, little-endian, in front of the data or behind it.
//! * A checksum that differs is always an error.
//! * Stripping a checksum returns a part of the input; nothing is copied.
//! * The CRCs and Adler-32 come from libraries that use the processor's instructions; Fletcher's is
//!   written here, in a form that the compiler vectorises.

use std::ffi::c_void;

use libdeflate_sys as sys;

use crate::codecs::codec::{Codec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const SIZE: usize = 4;

/// Which checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CRC-32C (Castagnoli), as in RFC 3720.
    Crc32c,
    /// CRC-32, as in gzip.
    Crc32,
    /// Adler-32, as in zlib.
    Adler32,
    /// Fletcher's, as HDF5 computes it.
    Fletcher32,
}

/// Where the checksum stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In front of the data.
    Start,
    /// Behind the data.
    End,
}

impl Kind {
    /// Return the checksum of some bytes.
    fn sum(self, data: &[u8]) -> u32 {
        match self {
            Kind::Crc32c => crc32c(data),
            Kind::Crc32 => crc32(data),
            Kind::Adler32 => adler32(data),
            Kind::Fletcher32 => fletcher32(data),
        }
    }

    fn stage(self) -> &'static str {
        match self {
            Kind::Crc32c => "crc32c",
            Kind::Crc32 => "crc32",
            Kind::Adler32 => "adler32",
            Kind::Fletcher32 => "fletcher32",
        }
    }
}

/// A checksum and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Which checksum.
    pub kind: Kind,
    /// Where it stands.
    pub location: Location,
}

impl Codec for Params {
    fn make(name: &str, _numbers: &[i64], word: &str) -> Option<Params> {
        let kind = match name {
            "crc32c" => Kind::Crc32c,
            "crc32" => Kind::Crc32,
            "adler32" => Kind::Adler32,
            "fletcher32" => Kind::Fletcher32,
            _ => return None,
        };
        let location = match word {
            "start" => Location::Start,
            "end" => Location::End,
            _ => return None,
        };
        Some(Params { kind, location })
    }

    fn name(&self) -> &'static str {
        self.kind.stage()
    }

    fn encoded_size(&self, size: usize) -> Option<usize> {
        size.checked_add(SIZE)
    }

    fn strips(&self) -> bool {
        true
    }

    fn strip<'a>(&self, data: &'a [u8]) -> Result<Option<&'a [u8]>> {
        strip(data, self.kind, self.location).map(Some)
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        _contexts: &mut Contexts,
        _stop: Option<Stop>,
    ) -> Result<()> {
        decode(data, dst, self.kind, self.location)
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        _limit: usize,
        _contexts: &mut Contexts,
    ) -> Result<()> {
        let data = strip(data, self.kind, self.location)?;
        memory::append(out, data, self.kind.stage())
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, _contexts: &mut Contexts) -> Result<()> {
        encode(data, out, self.kind, self.location)
    }
}

/// Return the data without its checksum, which must be right.
pub fn strip(src: &[u8], kind: Kind, location: Location) -> Result<&[u8]> {
    let split = match location {
        Location::Start => src.split_first_chunk::<SIZE>(),
        Location::End => src
            .split_last_chunk::<SIZE>()
            .map(|(data, sum)| (sum, data)),
    };
    let Some((stored, data)) = split else {
        let found = src.len();
        let message = format!("expected at least {SIZE} bytes for the checksum, found {found}");
        return Err(Error::codec(kind.stage(), message));
    };
    let (stored, computed) = (u32::from_le_bytes(*stored), kind.sum(data));
    if stored != computed {
        let size = data.len();
        let message = format!(
            "the checksum of {size} bytes is {computed:#010x}, but {stored:#010x} is stored with \
             them: the data is damaged"
        );
        return Err(Error::codec(kind.stage(), message));
    }
    Ok(data)
}

/// Copy the data without its checksum, which must be right, to memory of exactly its size.
pub fn decode(src: &[u8], dst: &mut [u8], kind: Kind, location: Location) -> Result<()> {
    let data = strip(src, kind, location)?;
    if data.len() != dst.len() {
        let (expected, found) = (dst.len(), data.len());
        let message = format!("expected {expected} decoded bytes, but the data holds {found}");
        return Err(Error::codec(kind.stage(), message));
    }
    dst.copy_from_slice(data);
    Ok(())
}

/// Append `src` and its checksum to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, kind: Kind, location: Location) -> Result<()> {
    memory::reserve(out, src.len().saturating_add(SIZE), kind.stage())?;
    let sum = kind.sum(src).to_le_bytes();
    match location {
        Location::Start => out.extend(sum),
        Location::End => {}
    }
    out.extend_from_slice(src);
    if location == Location::End {
        out.extend(sum);
    }
    Ok(())
}

/// Return the CRC-32C of some bytes.
fn crc32c(data: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(data)
}

/// Return the CRC-32 of some bytes.
pub fn crc32(data: &[u8]) -> u32 {
    // SAFETY: the library reads the slice and nothing else.
    unsafe { sys::libdeflate_crc32(0, data.as_ptr().cast::<c_void>(), data.len()) }
}

/// Return the Adler-32 of some bytes.
fn adler32(data: &[u8]) -> u32 {
    // SAFETY: the library reads the slice and nothing else.
    unsafe { sys::libdeflate_adler32(1, data.as_ptr().cast::<c_void>(), data.len()) }
}

/// The words that are summed side by side, each in a lane of its own.
const LANES: usize = 16;
/// The rows of words after which the lanes are added up: 32-bit lanes hold at most 361 of them.
const ROWS: usize = 256;
const FULL: u64 = 65_535;

/// Return the Fletcher-32 of some bytes, as HDF5 does: of big-endian words, the last one padded.
///
/// The first sum is that of the words and the second that of the first sums so far, both modulo
/// 65535. HDF5 folds them, so that a sum of zero stays zero only if all words were zero, and is
/// 65535 otherwise. In rows of lanes, the second sum counts a word once for each row from its own
/// on, for each lane, less the lanes before it in its row.
fn fletcher32(data: &[u8]) -> u32 {
    let (mut first, mut second) = (0_u64, 0_u64);
    let (words, odd) = data.as_chunks::<2>();
    for block in words.chunks(LANES * ROWS) {
        let (mut sums, mut totals) = ([0_u32; LANES], [0_u32; LANES]);
        let (rows, rest) = block.as_chunks::<LANES>();
        for row in rows {
            for lane in 0..LANES {
                sums[lane] += u32::from(u16::from_be_bytes(row[lane]));
                totals[lane] += sums[lane];
            }
        }
        second += (rows.len() * LANES) as u64 * first;
        for lane in 0..LANES {
            second += LANES as u64 * u64::from(totals[lane]) - lane as u64 * u64::from(sums[lane]);
            first += u64::from(sums[lane]);
        }
        for &word in rest {
            first += u64::from(u16::from_be_bytes(word));
            second += first;
        }
        (first, second) = (folded(first), folded(second));
    }
    if let [last] = odd {
        first += u64::from(*last) << 8;
        second += first;
    }
    (folded(second) as u32) << 16 | folded(first) as u32
}

/// Reduce modulo 65535 to a value from 1 on, and zero to zero.
fn folded(sum: u64) -> u64 {
    match sum % FULL {
        0 if sum != 0 => FULL,
        rest => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codecs::noise::noise;

    const TEXT: &[u8] = b"fastzarr holds chunks of bytes";

    const KINDS: [Kind; 4] = [Kind::Crc32c, Kind::Crc32, Kind::Adler32, Kind::Fletcher32];

    fn by_bit(data: &[u8], polynomial: u32) -> u32 {
        let step = |sum: u32| sum >> 1 ^ if sum & 1 == 1 { polynomial } else { 0 };
        let byte = |sum: u32, &byte: &u8| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum));
        !data.iter().fold(!0, byte)
    }

    fn adler_naive(data: &[u8]) -> u32 {
        let (mut a, mut b) = (1, 0);
        for &byte in data {
            a = (a + u32::from(byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        b << 16 | a
    }

    /// Fold after each word, as HDF5 does after each 360.
    fn fletcher_naive(data: &[u8]) -> u32 {
        let fold = |sum: u32| (sum & 0xFFFF) + (sum >> 16);
        let (mut a, mut b) = (0, 0);
        for word in data.chunks(2) {
            let low = word.get(1).copied().unwrap_or(0);
            a = fold(fold(a + u32::from(u16::from_be_bytes([word[0], low]))));
            b = fold(fold(b + a));
        }
        b << 16 | a
    }

    #[test]
    fn gives_the_published_values() {
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(adler32(b"Wikipedia"), 0x11E6_0398);
        assert_eq!([crc32c(b""), crc32(b""), adler32(b"")], [0, 0, 1]);
    }

    #[test]
    fn gives_what_numcodecs_gives() {
        let ramp: Vec<u8> = (0..=255).cycle().take(1280).chain([7]).collect();
        for (data, sum) in [
            (&[0][..], 0),
            (b"a", 0x6100_6100),
            (b"ab", 0x6162_6162),
            (b"abc", 0x25C5_C462),
            (b"\xFF\xFF", 0xFFFF_FFFF),
            (b"\xFF\xFF\xFF", 0xFF00_FF00),
            (&[0; 5], 0),
            (&ramp, 0xB24A_C83E),
        ] {
            assert_eq!(fletcher32(data), sum);
        }
    }

    #[test]
    fn puts_the_sum_where_numcodecs_puts_it() {
        for (kind, sum) in KINDS.into_iter().zip([
            [0xA7, 0x8B, 0x75, 0x64],
            [0x60, 0x47, 0x47, 0x67],
            [0x90, 0x0B, 0x83, 0xB5],
            [0x06, 0x94, 0xBA, 0x56],
        ]) {
            for (location, wanted) in [
                (Location::Start, [&sum, TEXT].concat()),
                (Location::End, [TEXT, &sum].concat()),
            ] {
                let mut out = Vec::new();
                encode(TEXT, &mut out, kind, location).unwrap();
                assert_eq!(out, wanted, "{kind:?}");
            }
        }
    }

    #[test]
    fn agrees_with_naive_sums_at_every_size_and_alignment() {
        let data = noise(3000, 5);
        for size in (0..600).chain([1023, 1024, 1025, 2900]) {
            for start in [0, 1, 7, 16] {
                let part = &data[start..start + size];
                assert_eq!(crc32c(part), by_bit(part, 0x82F6_3B78));
                assert_eq!(crc32(part), by_bit(part, 0xEDB8_8320));
                assert_eq!(adler32(part), adler_naive(part));
                assert_eq!(fletcher32(part), fletcher_naive(part));
            }
        }
    }

    #[test]
    fn overflows_nowhere() {
        for size in [8191, 8192, 8193, 100_001] {
            for data in [vec![0xFF; size], vec![0; size], noise(size, 9)] {
                assert_eq!(fletcher32(&data), fletcher_naive(&data));
                assert_eq!(adler32(&data), adler_naive(&data));
                assert_eq!(crc32c(&data), by_bit(&data, 0x82F6_3B78));
            }
        }
    }

    #[test]
    fn goes_there_and_back_at_either_end() {
        for kind in KINDS {
            for location in [Location::Start, Location::End] {
                for size in [0, 1, 3, 4, 5, 1000] {
                    let data = noise(size, 3);
                    let mut out = b"before".to_vec();
                    encode(&data, &mut out, kind, location).unwrap();
                    assert_eq!(&out[..6], b"before");
                    assert_eq!(strip(&out[6..], kind, location).unwrap(), data);
                    let mut back = vec![0; size];
                    decode(&out[6..], &mut back, kind, location).unwrap();
                    assert_eq!(back, data);
                    assert!(decode(&out[6..], &mut vec![0; size + 1], kind, location).is_err());
                }
            }
        }
    }

    #[test]
    fn finds_every_flipped_bit_and_every_cut() {
        for kind in KINDS {
            for location in [Location::Start, Location::End] {
                let mut out = Vec::new();
                encode(TEXT, &mut out, kind, location).unwrap();
                for bit in 0..out.len() * 8 {
                    let mut flipped = out.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    assert!(strip(&flipped, kind, location).is_err());
                }
                for stop in 4..out.len() {
                    assert!(strip(&out[..stop], kind, location).is_err());
                }
                for stop in 0..4 {
                    let message = strip(&out[..stop], kind, location).unwrap_err().message;
                    let wanted =
                        format!("expected at least 4 bytes for the checksum, found {stop}");
                    assert_eq!(message, wanted);
                }
            }
        }
    }
}
