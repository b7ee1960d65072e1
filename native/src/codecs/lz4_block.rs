//! The `lz4` of N5: the block stream of the Java library lz4-java.
//!
//! * Each block has a header: the magic number, the method and the largest size of a block in one byte,
//!   both sizes, and a checksum of the decoded bytes; all numbers are little-endian. A block without
//!   content ends the stream.
//! * Every field is checked before a block is decoded, and the checksum behind it.
//! * z5 stores a bare LZ4 block under the same name, which cannot begin with the magic number.
//! * The checksum is XXH32 with a seed of lz4-java's, of which it keeps 28 bits.

use crate::codecs::codec::{number, Codec, Contexts};
use crate::codecs::lz4::{compress, decode_into, PROMPTLY, RATIO};
use crate::error::{Error, Result};
use crate::memory;
use crate::objects::Stop;

const NAME: &str = "n5_lz4";
const STAGE: &str = "lz4";
const MAGIC: &[u8; 8] = b"LZ4Block";
const HEADER: usize = 21;
const RAW: u8 = 0x10;
const LZ4: u8 = 0x20;
/// The largest size of a block is 2 to the power of this plus the lower half of a header's byte.
const BASE: u32 = 10;
const SEED: u32 = 0x9747_B28C;
const KEPT: u32 = 0x0FFF_FFFF;
const PRIMES: [u32; 5] = [
    2_654_435_761,
    2_246_822_519,
    3_266_489_917,
    668_265_263,
    374_761_393,
];

/// How to encode, and what follows the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// The most decoded bytes of a block.
    size: usize,
    /// Whether bytes behind the end of a stream are ignored.
    padded: bool,
}

impl Codec for Params {
    /// The numbers are the most bytes of a block, and whether padding is ignored.
    fn make(name: &str, numbers: &[i64], _word: &str) -> Option<Params> {
        if name != NAME {
            return None;
        }
        let size: usize = number(numbers, 0)?;
        (64..=1 << 25).contains(&size).then_some(Params {
            size,
            padded: number::<i64>(numbers, 1)? != 0,
        })
    }

    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(
        &self,
        data: &[u8],
        dst: &mut [u8],
        _contexts: &mut Contexts,
        stop: Option<Stop>,
    ) -> Result<()> {
        if !data.starts_with(MAGIC) {
            if data.is_empty() && dst.is_empty() {
                return Ok(());
            }
            return decode_into(data, dst);
        }
        let (mut at, mut found) = (0, 0);
        while let Some(block) = Block::next(data, &mut at)? {
            if stop.is_some_and(|stop| stop()) {
                return Err(Error::interrupted());
            }
            let most = dst.len();
            let part = dst.get_mut(found..found + block.plain).ok_or_else(|| {
                let stated = found + block.plain;
                damaged(format!(
                    "expected at most {most} decoded bytes, but the headers state {stated}"
                ))
            })?;
            block.decode(part)?;
            found += block.plain;
        }
        if found != dst.len() {
            let expected = dst.len();
            return Err(damaged(format!(
                "expected {expected} decoded bytes, but the data holds {found}"
            )));
        }
        self.check_end(data, at)
    }

    fn decode_to_vec(
        &self,
        data: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
        _contexts: &mut Contexts,
    ) -> Result<()> {
        let start = out.len();
        let mut at = 0;
        let result = loop {
            match Block::next(data, &mut at) {
                Err(error) => break Err(error),
                Ok(None) => break self.check_end(data, at),
                Ok(Some(block)) => {
                    if let Err(error) = block.append(out, start + limit) {
                        break Err(error);
                    }
                }
            }
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn encode(&self, data: &[u8], out: &mut Vec<u8>, _contexts: &mut Contexts) -> Result<()> {
        let level = (self.size - 1)
            .ilog2()
            .saturating_add(1)
            .saturating_sub(BASE) as u8;
        for block in data.chunks(self.size) {
            memory::reserve(out, HEADER + block.len(), STAGE)?;
            let start = out.len();
            out.extend([0; HEADER]);
            compress(block, out, 1)?;
            let mut method = LZ4;
            if out.len() - start - HEADER >= block.len() {
                method = RAW;
                out.truncate(start + HEADER);
                memory::append(out, block, STAGE)?;
            }
            let packed = (out.len() - start - HEADER) as u32;
            let check = xxh32(block, SEED) & KEPT;
            let header = header(method | level, packed, block.len() as u32, check);
            out[start..start + HEADER].copy_from_slice(&header);
        }
        memory::append(out, &header(RAW | level, 0, 0, 0), STAGE)
    }

    fn promptly(&self) -> usize {
        PROMPTLY
    }
}

impl Params {
    fn check_end(&self, data: &[u8], at: usize) -> Result<()> {
        if at == data.len() || self.padded {
            return Ok(());
        }
        let more = data.len() - at;
        Err(damaged(format!("{more} bytes follow the end of the data")))
    }
}

/// A block with content.
struct Block<'a> {
    data: &'a [u8],
    raw: bool,
    plain: usize,
    check: u32,
}

impl<'a> Block<'a> {
    /// Read the block at `at`, and move that behind it; return `None` for the end of the stream.
    fn next(data: &'a [u8], at: &mut usize) -> Result<Option<Block<'a>>> {
        let start = *at;
        let Some((head, rest)) = data[start..].split_first_chunk::<HEADER>() else {
            return Err(damaged(format!("the data ends early, at byte {start}")));
        };
        let word = |place: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&head[place..place + 4]);
            u32::from_le_bytes(bytes)
        };
        let (packed, plain, check) = (word(9) as usize, word(13) as usize, word(17));
        let (method, largest) = (
            head[8] & 0xF0,
            1_usize << (BASE + u32::from(head[8] & 0x0F)),
        );
        let same = method == LZ4 || (method == RAW && packed == plain);
        if !head.starts_with(MAGIC) || !same || (packed == 0) != (plain == 0) || plain > largest {
            return Err(damaged(format!(
                "the header of the block at byte {start} is damaged: method {method:#x}, {packed} \
                 bytes for {plain} decoded bytes"
            )));
        }
        *at = start + HEADER;
        if plain == 0 {
            return Ok(None);
        }
        let found = rest.len();
        let content = rest.get(..packed).ok_or_else(|| {
            damaged(format!(
                "a block of {packed} bytes ends early, after {found}"
            ))
        })?;
        *at += packed;
        Ok(Some(Block {
            data: content,
            raw: method == RAW,
            plain,
            check,
        }))
    }

    /// Decode the block to all of `dst`, which has its size.
    fn decode(&self, dst: &mut [u8]) -> Result<()> {
        if self.raw {
            dst.copy_from_slice(self.data);
        } else {
            decode_into(self.data, dst)?;
        }
        if xxh32(dst, SEED) & KEPT != self.check {
            let (size, check) = (dst.len(), self.check);
            return Err(damaged(format!(
                "the checksum of {size} decoded bytes is not the stored {check:#010x}"
            )));
        }
        Ok(())
    }

    /// Decode the block behind the end of `out`, which becomes at most `most` bytes long.
    fn append(&self, out: &mut Vec<u8>, most: usize) -> Result<()> {
        let (start, size) = (out.len(), self.plain);
        if size > most - start || size > self.data.len().saturating_mul(RATIO) {
            return Err(damaged(format!(
                "{size} more decoded bytes are over the limit, or more than a block can hold"
            )));
        }
        memory::resize(out, start + size, 0, STAGE)?;
        self.decode(&mut out[start..])
    }
}

fn header(token: u8, packed: u32, plain: u32, check: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8] = token;
    for (place, word) in [(9, packed), (13, plain), (17, check)] {
        header[place..place + 4].copy_from_slice(&word.to_le_bytes());
    }
    header
}

fn damaged(message: String) -> Error {
    Error::codec(STAGE, message)
}

/// Return the checksum XXH32 of bytes.
fn xxh32(data: &[u8], seed: u32) -> u32 {
    let [one, two, three, four, five] = PRIMES;
    let (words, rest) = data.as_chunks::<4>();
    let words = words.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let mut total = seed.wrapping_add(five);
    let striped = data.len() / 16 * 4;
    if striped > 0 {
        let start = [one.wrapping_add(two), two, 0, 0_u32.wrapping_sub(one)];
        let mut lanes = start.map(|lane| seed.wrapping_add(lane));
        for (i, word) in words.clone().take(striped).enumerate() {
            let lane = lanes[i % 4].wrapping_add(word.wrapping_mul(two));
            lanes[i % 4] = lane.rotate_left(13).wrapping_mul(one);
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]);
        total = turned.fold(0, |sum, (lane, turn)| {
            sum.wrapping_add(lane.rotate_left(turn))
        });
    }
    total = total.wrapping_add(data.len() as u32);
    for word in words.skip(striped) {
        let sum = total.wrapping_add(word.wrapping_mul(three));
        total = sum.rotate_left(17).wrapping_mul(four);
    }
    for byte in rest {
        let sum = total.wrapping_add(u32::from(*byte).wrapping_mul(five));
        total = sum.rotate_left(11).wrapping_mul(one);
    }
    total = (total ^ total >> 15).wrapping_mul(two);
    total = (total ^ total >> 13).wrapping_mul(three);
    total ^ total >> 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codecs::noise::numbers;

    fn made(size: i64, padded: i64) -> Params {
        Params::make(NAME, &[size, padded], "").unwrap()
    }

    fn encoded(data: &[u8], size: i64) -> Vec<u8> {
        let mut out = Vec::new();
        made(size, 0)
            .encode(data, &mut out, &mut Contexts::default())
            .unwrap();
        out
    }

    fn decoded(data: &[u8], size: usize, padded: i64) -> Result<Vec<u8>> {
        let (codec, contexts) = (made(64, padded), &mut Contexts::default());
        let mut dst = vec![0xAA; size];
        let result = codec.decode(data, &mut dst, contexts, None).map(|()| dst);
        let mut out = b"before".to_vec();
        let unknown = codec.decode_to_vec(data, &mut out, size, contexts);
        if let (Ok(found), true) = (&result, data.starts_with(MAGIC)) {
            unknown.unwrap();
            assert_eq!(out[6..], found[..]);
        } else {
            assert!(unknown.is_err() || out.len() != 6 + size);
        }
        result
    }

    #[test]
    fn the_checksum_is_xxh32() {
        assert_eq!(xxh32(b"", 0), 0x02CC_5D05);
        assert_eq!(xxh32(b"a", 0), 0x550D_7456);
        assert_eq!(xxh32(b"abc", 0), 0x32D1_53FF);
        assert_eq!(
            xxh32(b"Nobody inspects the spammish repetition", 0),
            0xE229_3B2F
        );
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut next = numbers(7);
        for size in [0, 1, 63, 64, 65, 1000, 5000] {
            for noisy in [false, true] {
                let mut one = |i: usize| if noisy { next() as u8 } else { (i / 9) as u8 };
                let data: Vec<u8> = (0..size).map(&mut one).collect();
                for block in [64, 1000, 1 << 16] {
                    let stream = encoded(&data, block);
                    assert_eq!(decoded(&stream, size, 0).unwrap(), data);
                    let mut longer = stream.clone();
                    longer.push(0);
                    assert!(decoded(&longer, size, 0).is_err());
                    assert_eq!(decoded(&longer, size, 1).unwrap(), data);
                    assert!(decoded(&stream, size + 1, 0).is_err());
                }
            }
        }
    }

    #[test]
    fn a_bare_block_is_decoded_if_its_size_is_known() {
        let mut block = Vec::new();
        compress(&[7; 500], &mut block, 1).unwrap();
        assert_eq!(decoded(&block, 500, 0).unwrap(), [7; 500]);
        assert!(decoded(&block, 499, 0).is_err());
        assert_eq!(decoded(b"", 0, 0).unwrap(), b"");
    }

    #[test]
    fn damage_is_found() {
        let data: Vec<u8> = (0..300_u32).map(|i| (i * i / 7) as u8).collect();
        let stream = encoded(&data, 128);
        for at in 0..stream.len() {
            assert!(decoded(&stream[..at], 300, 1).is_err(), "{at}");
            for bit in 0..8 {
                let mut wrong = stream.clone();
                wrong[at] ^= 1 << bit;
                // The largest size of a block may be stated as a larger one; the last checksum is unused.
                if let Ok(found) = decoded(&wrong, 300, 0) {
                    assert_eq!(found, data);
                }
            }
        }
    }
}
