//! numcodecs' `lz4`: the decoded size as an unsigned 32-bit little-endian number, then an LZ4 block.
//!
//! * The size in front must be the expected one; the block must decode to it, and end where the
//!   data ends.
//! * A byte of a block decodes to at most 255 bytes. That and the limit bound the memory that is
//!   allocated.
//! * The library counts in C ints, so a chunk has at most about two gigabytes.

use std::ffi::c_int;

use lz4_sys as sys;

use crate::codecs::codec::{decode_apart, number, Codec, Contexts};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const STAGE: &str = "lz4";
/// The most bytes that one byte of a block can decode to.
pub(super) const RATIO: usize = 255;
/// How many bytes are encoded within some 50 ms at least.
pub(super) const PROMPTLY: usize = 16 << 20;
/// The most decoded bytes that are decoded without a look at whether to stop.
const AT_ONCE: usize = 256 << 20;
/// The most bytes that the library encodes.
const LARGEST: usize = 0x7E00_0000;

/// How to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// How much compression to trade for speed; 1 and less trade none.
    pub acceleration: i32,
}

/// The library keeps its state on the stack.
impl Codec for Params {
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        (name == STAGE).then_some(Params {
            acceleration: number(numbers, 0)?,
        })
    }

    fn name(&self) -> &'static str {
        STAGE
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        _contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        match stop {
            Some(stop) if dst.len() > AT_ONCE => decode_apart(data, dst, STAGE, stop, decode),
            _ => decode(data, dst),
        }
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        _contexts: &mut Contexts,
    ) -> Result<()> {
        decode_to_vec(data, out, limit)
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, _contexts: &mut Contexts) -> Result<()> {
        encode(data, out, self)
    }

    fn promptly(&self) -> usize {
        PROMPTLY
    }
}

/// Decode data that holds exactly `dst.len()` bytes.
pub fn decode(src: &[u8], dst: &mut [u8]) -> Result<()> {
    let (stated, block) = split(src)?;
    if stated != dst.len() {
        let expected = dst.len();
        let message = format!("expected {expected} decoded bytes, but the header states {stated}");
        return Err(Error::codec(STAGE, message));
    }
    decode_block(block, dst.as_mut_ptr(), stated)
}

/// Decode data of unknown size, of at most `limit` bytes, and append the result to `out`.
pub fn decode_to_vec(src: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<()> {
    let (stated, block) = split(src)?;
    let most = block.len().saturating_mul(RATIO);
    if stated > limit || stated > most {
        let (bound, what) = if stated > limit {
            (limit, "the limit is")
        } else {
            (most, "the block holds at most")
        };
        let message = format!("{what} {bound} decoded bytes, but the header states {stated}");
        return Err(Error::codec(STAGE, message));
    }
    memory::reserve(out, stated, STAGE)?;
    decode_block(block, out.spare_capacity_mut().as_mut_ptr().cast(), stated)?;
    // SAFETY: the block was decoded to exactly this many bytes of the reserved room.
    unsafe { out.set_len(out.len() + stated) };
    Ok(())
}

/// Encode `src` and append the result to `out`.
pub fn encode(src: &[u8], out: &mut Vec<u8>, params: &Params) -> Result<()> {
    let start = out.len();
    memory::append(out, &(src.len() as u32).to_le_bytes(), STAGE)?;
    let result = compress(src, out, params.acceleration);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Compress `src` to one block and append it to `out`.
pub(super) fn compress(src: &[u8], out: &mut Vec<u8>, acceleration: i32) -> Result<()> {
    let size = src.len();
    let refused = |why: &str| Error::codec(STAGE, format!("{size} bytes cannot be encoded: {why}"));
    if size > LARGEST {
        return Err(refused(&format!("at most {LARGEST} can be")));
    }
    // SAFETY: the function only calculates; the size fits, as checked above.
    let bound = unsafe { sys::LZ4_compressBound(size as c_int) };
    memory::reserve(out, bound as usize, STAGE)?;
    // SAFETY: `src` is readable for its length, and `bound` bytes behind the vector's end are
    // reserved; the library writes there and nowhere else.
    let wrote = unsafe {
        sys::LZ4_compress_fast(
            src.as_ptr().cast(),
            out.spare_capacity_mut().as_mut_ptr().cast(),
            size as c_int,
            bound,
            acceleration,
        )
    };
    if wrote <= 0 || wrote > bound {
        return Err(refused("the library gave up"));
    }
    // SAFETY: the library wrote this many bytes behind the vector's end.
    unsafe { out.set_len(out.len() + wrote as usize) };
    Ok(())
}

/// Decode a block to all of `dst`.
pub(super) fn decode_into(block: &[u8], dst: &mut [u8]) -> Result<()> {
    decode_block(block, dst.as_mut_ptr(), dst.len())
}

/// Return the stated size and the block, which has at least one byte.
fn split(src: &[u8]) -> Result<(usize, &[u8])> {
    match src.split_first_chunk::<4>() {
        Some((size, block)) if !block.is_empty() => Ok((u32::from_le_bytes(*size) as usize, block)),
        _ => {
            let message = format!("expected more than 4 bytes of data, found {}", src.len());
            Err(Error::codec(STAGE, message))
        }
    }
}

/// Decode a block to exactly `size` bytes at `dst`, which must be writable.
fn decode_block(block: &[u8], dst: *mut u8, size: usize) -> Result<()> {
    let length = block.len();
    let failed = |why: &str| {
        let message = format!("{length} bytes of data cannot be decoded to {size}: {why}");
        Error::codec(STAGE, message)
    };
    let (Ok(from), Ok(to)) = (c_int::try_from(length), c_int::try_from(size)) else {
        return Err(failed("they are too many"));
    };
    // SAFETY: `block` is readable for its length, and the callers of this private function own
    // `size` writable bytes at `dst`; this decoder of the library checks both ends.
    let found = unsafe { sys::LZ4_decompress_safe(block.as_ptr().cast(), dst.cast(), from, to) };
    match usize::try_from(found) {
        Ok(found) if found == size => Ok(()),
        Ok(found) => Err(failed(&format!("they hold {found}"))),
        Err(_) => Err(failed("they are damaged or cut short, or hold more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codecs::noise::numbers;

    const TEXT: &[u8] = b"fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr ";
    /// numcodecs.lz4 with acceleration 1.
    const GOLDEN: &[u8] = &[
        0x48, 0x00, 0x00, 0x00, 0x9f, 0x66, 0x61, 0x73, 0x74, 0x7a, 0x61, 0x72, 0x72, 0x20, 0x09,
        0x00, 0x27, 0x50, 0x7a, 0x61, 0x72, 0x72, 0x20,
    ];

    /// Decode over two backgrounds: what shines through was never written.
    fn decoded(src: &[u8], size: usize) -> Result<Vec<u8>> {
        let [one, two] = [0xAA, 0x55].map(|background| {
            let mut out = vec![background; size];
            decode(src, &mut out).map(|()| out)
        });
        assert_eq!(one, two);
        one
    }

    fn collected(src: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut out = b"before".to_vec();
        let result = decode_to_vec(src, &mut out, limit);
        assert_eq!(&out[..6], b"before");
        assert!(result.is_ok() || out.len() == 6);
        result.map(|()| out[6..].to_vec())
    }

    fn encoded(src: &[u8], acceleration: i32) -> Vec<u8> {
        let mut out = b"before".to_vec();
        let params = Params { acceleration };
        encode(src, &mut out, &params).unwrap();
        assert_eq!(&out[..6], b"before");
        out[6..].to_vec()
    }

    fn noise(size: usize, seed: u64) -> Vec<u8> {
        let mut next = numbers(seed);
        // Runs of one value, so that there is something to compress.
        let mut value = 0;
        let mut one = |i: usize| {
            let word = next();
            if i.is_multiple_of(8) || word.is_multiple_of(5) {
                value = (word >> 40) as u8;
            }
            value
        };
        (0..size).map(&mut one).collect()
    }

    /// Decode a block the way the format describes it, byte by byte.
    fn naive(block: &[u8]) -> Option<Vec<u8>> {
        let mut out: Vec<u8> = Vec::new();
        let mut bytes = block.iter().map(|&b| b as usize);
        let long = |bytes: &mut dyn Iterator<Item = usize>, mut size: usize| {
            while size >= 15 {
                let more = bytes.next()?;
                size += more;
                if more < 255 {
                    break;
                }
            }
            Some(size)
        };
        loop {
            let token = bytes.next()?;
            let literals = long(&mut bytes, token >> 4)?;
            for _ in 0..literals {
                out.push(bytes.next()? as u8);
            }
            let Some(low) = bytes.next() else {
                return Some(out);
            };
            let offset = low | bytes.next()? << 8;
            let size = 4 + long(&mut bytes, token & 15)?;
            for _ in 0..size {
                let from = out.len().checked_sub(offset)?;
                out.push(*out.get(from)?);
            }
        }
    }

    #[test]
    fn reads_and_writes_what_numcodecs_writes() {
        assert_eq!(decoded(GOLDEN, 72).unwrap(), TEXT);
        assert_eq!(collected(GOLDEN, 72).unwrap(), TEXT);
        assert!(collected(GOLDEN, 71).is_err());
        assert_eq!(encoded(TEXT, 1), GOLDEN);
        assert_eq!(naive(&GOLDEN[4..]).unwrap(), TEXT);
    }

    #[test]
    fn round_trips() {
        for size in [0, 1, 12, 13, 255, 300, 65_600, 300_000] {
            let data = noise(size, 7);
            for acceleration in [i32::MIN, -1, 0, 1, 10, i32::MAX] {
                let bytes = encoded(&data, acceleration);
                assert_eq!(decoded(&bytes, size).unwrap(), data);
                assert_eq!(collected(&bytes, size).unwrap(), data);
                assert_eq!(naive(&bytes[4..]).unwrap(), data);
            }
        }
    }

    #[test]
    fn takes_no_other_size() {
        for size in [0, 71, 73, 1 << 20] {
            let message = decoded(GOLDEN, size).unwrap_err().message;
            let wanted = format!("expected {size} decoded bytes, but the header states 72");
            assert_eq!(message, wanted);
        }
        for size in [0_usize, 71, 73, 500] {
            let mut lie = GOLDEN.to_vec();
            lie[..4].copy_from_slice(&(size as u32).to_le_bytes());
            assert!(decoded(&lie, size).is_err());
            assert!(collected(&lie, 1000).is_err());
        }
        assert!(decoded(&[0, 0, 0, 0, 0], 0).is_ok());
        assert!(decoded(&[0, 0, 0, 0, 0, 0], 0).is_err());
    }

    #[test]
    fn refuses_what_is_cut_or_followed_by_anything() {
        for (bytes, size) in [(GOLDEN, 72), (&encoded(&noise(3000, 3), 1), 3000)] {
            for stop in 0..bytes.len() {
                assert!(decoded(&bytes[..stop], size).is_err());
                assert!(collected(&bytes[..stop], size).is_err());
            }
            for tail in [&b"\0"[..], b"trailing"] {
                assert!(decoded(&[bytes, tail].concat(), size).is_err());
                assert!(collected(&[bytes, tail].concat(), size).is_err());
            }
        }
    }

    #[test]
    fn agrees_with_a_naive_decoder_on_flipped_bits() {
        let bytes = encoded(&noise(400, 11), 1);
        for bit in 32..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(found) = decoded(&flipped, 400) {
                // A match from before the start or at distance 0 is undefined, and an error in one.
                assert!(naive(&flipped[4..]).is_none_or(|wanted| wanted == found));
            }
            let _ = collected(&flipped, 1000);
        }
    }

    #[test]
    fn believes_no_size() {
        let mut out = Vec::new();
        let lie = [0xFF, 0xFF, 0xFF, 0xFF, 0];
        assert!(decoded(&lie, 16).is_err());
        assert!(decode_to_vec(&lie, &mut out, usize::MAX).is_err());
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn survives_noise() {
        for seed in 1..5000 {
            let mut data = noise(seed as usize % 97, seed);
            if let Some(size) = data.first_chunk_mut::<4>() {
                *size = 64_u32.to_le_bytes();
            }
            let _ = decoded(&data, 64);
            let _ = collected(&data, 64);
        }
    }
}
