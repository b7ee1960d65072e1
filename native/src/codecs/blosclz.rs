//! The streams of BloscLZ, the compressor that Blosc brings along.
//!
//! A stream is a sequence of runs, each with a control byte:
//!
//! * below 32: a literal run; one byte more than the control byte says follows.
//! * from 32 on: a match. The upper three bits are its length minus 2; where they are all set, the
//!   length is 9 plus bytes up to and including the first that is not 255. The lower five bits and
//!   the byte behind the length are the distance minus 1. If these thirteen bits are all set, two
//!   more bytes (big-endian) add to it.
//! * The first run is always literal; the upper bits of its control byte are a mark.
//!
//! The decoder reads and writes checked slices only. The encoder never ends a stream with a match,
//! because the decoders of c-blosc 1.21 refuse one that does.

use crate::error::Result;
use crate::memory;

/// The distance (minus 1) that says "two more bytes follow", and what they are counted from.
const FAR: usize = 8191;
/// The longest literal run.
const MAX_RUN: usize = 32;
/// The shortest matches worth a run, near and far.
const MIN_NEAR: usize = 4;
const MIN_FAR: usize = 6;
/// The bytes at the end of a stream that are always literal, so that the search needs no bounds
/// checks.
const TAIL: usize = 12;

/// Decode `src` into `dst` and return the decoded size, or `None` if `src` is not a valid stream or
/// does not fit.
pub fn decode(src: &[u8], dst: &mut [u8]) -> Option<usize> {
    let mut control = usize::from(*src.first()? & 31);
    let mut at = 1;
    let mut out = 0;
    loop {
        if control < 32 {
            let run = control + 1;
            match (src.get(at..at + MAX_RUN), dst.get_mut(out..out + MAX_RUN)) {
                // A copy of fixed size is two instructions. Excess bytes are overwritten later, or
                // lie behind the end of the stream, which the caller refuses.
                (Some(from), Some(to)) => to.copy_from_slice(from),
                _ => {
                    let to = dst.get_mut(out..out + run)?;
                    to.copy_from_slice(src.get(at..at + run)?);
                }
            }
            at += run;
            out += run;
        } else {
            let mut length = (control >> 5) + 2;
            if length == 9 {
                loop {
                    let more = *src.get(at)?;
                    at += 1;
                    length += usize::from(more);
                    if more != 255 {
                        break;
                    }
                }
            }
            let mut distance = (control & 31) << 8 | usize::from(*src.get(at)?);
            at += 1;
            if distance == FAR {
                distance += usize::from(*src.get(at)?) << 8 | usize::from(*src.get(at + 1)?);
                at += 2;
            }
            let from = out.checked_sub(distance + 1)?;
            copy_match(dst, from, out, length)?;
            out += length;
        }
        match src.get(at) {
            None => return Some(out),
            Some(byte) => control = usize::from(*byte),
        }
        at += 1;
    }
}

/// Repeat `length` bytes from `from` at `out`, where `from` is below `out`.
#[inline]
fn copy_match(dst: &mut [u8], from: usize, out: usize, length: usize) -> Option<()> {
    let end = out.checked_add(length)?;
    if end > dst.len() {
        return None;
    }
    let distance = out - from;
    if distance == 1 {
        let byte = dst[from];
        dst[out..end].fill(byte);
    } else if distance >= 16 && length <= 32 && out + 32 <= dst.len() {
        let mut block = [0; 16];
        block.copy_from_slice(&dst[from..from + 16]);
        dst[out..out + 16].copy_from_slice(&block);
        if length > 16 {
            block.copy_from_slice(&dst[from + 16..from + 32]);
            dst[out + 16..out + 32].copy_from_slice(&block);
        }
    } else {
        // Each step doubles the part that can be repeated.
        let mut to = out;
        while to < end {
            let step = (to - from).min(end - to);
            dst.copy_within(from..from + step, to);
            to += step;
        }
    }
    Some(())
}

/// The encoder's hash table, kept from stream to stream.
#[derive(Default)]
pub struct Table {
    seen: Vec<u32>,
}

impl Table {
    /// Return the table with room for every level.
    pub fn ready(&mut self) -> Result<&mut Table> {
        memory::resize(&mut self.seen, 1 << 14, 0, "blosc")?;
        Ok(self)
    }
}

/// Encode `src` into `dst` and return the size, or `None` if it does not fit. `level` is 1 to 9, and
/// the table is ready.
pub fn encode(src: &[u8], dst: &mut [u8], level: u8, table: &mut Table) -> Option<usize> {
    if src.len() < TAIL + MIN_NEAR || u32::try_from(src.len()).is_err() {
        return None;
    }
    let bits: u32 = match level {
        0..=3 => 12,
        4..=6 => 13,
        _ => 14,
    };
    // How many misses make the search skip one byte more: the higher, the more thorough.
    let patience = match level {
        0..=3 => 5,
        4..=6 => 6,
        7..=8 => 7,
        _ => 10,
    };
    let seen = table.seen.get_mut(..1 << bits)?;
    seen.fill(0);
    let hash = |word: u32| (word.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize;
    let mut out = Output { dst, at: 0 };
    let last = src.len() - TAIL;
    let mut anchor = 0; // Everything below is written.
    let mut at = 1; // The first run is literal, so the first byte is.
    let mut misses = 0_usize;
    while at < last {
        let word = read_u32(src, at)?;
        let slot = seen.get_mut(hash(word))?;
        let candidate = *slot as usize;
        *slot = at as u32;
        let distance = at.wrapping_sub(candidate).wrapping_sub(1);
        if distance > FAR + 0xffff || read_u32(src, candidate)? != word {
            at += 1 + (misses >> patience);
            misses += 1;
            continue;
        }
        let (mut begin, mut from) = (at, candidate);
        while begin > anchor.max(1) && from > 0 && src[begin - 1] == src[from - 1] {
            begin -= 1;
            from -= 1;
        }
        let end = at + 4 + common(&src[candidate + 4..], &src[at + 4..last + 4]);
        let length = end - begin;
        if length < if distance < FAR { MIN_NEAR } else { MIN_FAR } {
            at += 1;
            continue;
        }
        misses = 0;
        out.literals(&src[anchor..begin])?;
        out.reference(distance, length)?;
        anchor = end;
        at = end;
        // The end of the match is entered too: the same bytes often follow it again.
        if at < last {
            let before = read_u32(src, at - 2)?;
            *seen.get_mut(hash(before))? = (at - 2) as u32;
        }
    }
    out.literals(&src[anchor..])?;
    *out.dst.first_mut()? |= 0x20;
    Some(out.at)
}

#[inline(always)]
fn read_u32(src: &[u8], at: usize) -> Option<u32> {
    let mut word = [0; 4];
    word.copy_from_slice(src.get(at..at + 4)?);
    Some(u32::from_le_bytes(word))
}

/// Return the length of the common prefix, at most that of the second slice.
#[inline]
fn common(a: &[u8], b: &[u8]) -> usize {
    let mut n = 0;
    for (x, y) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        let (mut p, mut q) = ([0; 8], [0; 8]);
        p.copy_from_slice(x);
        q.copy_from_slice(y);
        let differ = u64::from_le_bytes(p) ^ u64::from_le_bytes(q);
        if differ != 0 {
            return n + (differ.trailing_zeros() / 8) as usize;
        }
        n += 8;
    }
    let rest = a[n..].iter().zip(&b[n..]);
    n + rest.take_while(|(x, y)| x == y).count()
}

/// The output, and where the next run begins.
struct Output<'a> {
    dst: &'a mut [u8],
    at: usize,
}

impl Output<'_> {
    #[inline]
    fn byte(&mut self, byte: usize) -> Option<()> {
        *self.dst.get_mut(self.at)? = byte as u8;
        self.at += 1;
        Some(())
    }

    #[inline]
    fn literals(&mut self, src: &[u8]) -> Option<()> {
        for run in src.chunks(MAX_RUN) {
            self.byte(run.len() - 1)?;
            let to = self.dst.get_mut(self.at..self.at + run.len())?;
            to.copy_from_slice(run);
            self.at += run.len();
        }
        Some(())
    }

    /// Write a match; `distance` is one less than the real one.
    #[inline]
    fn reference(&mut self, distance: usize, length: usize) -> Option<()> {
        let near = distance.min(FAR);
        self.byte((length - 2).min(7) << 5 | near >> 8)?;
        if let Some(mut rest) = length.checked_sub(9) {
            while rest >= 255 {
                self.byte(255)?;
                rest -= 255;
            }
            self.byte(rest)?;
        }
        self.byte(near & 255)?;
        if near == FAR {
            self.byte((distance - FAR) >> 8)?;
            self.byte((distance - FAR) & 255)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Random(u64);

    impl Random {
        fn next(&mut self, below: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) as usize % below.max(1)
        }

        /// Bytes with runs, repeats near and far, and noise.
        fn bytes(&mut self, len: usize) -> Vec<u8> {
            let mut out: Vec<u8> = Vec::new();
            while out.len() < len {
                let count = 1 + self.next(300);
                match self.next(4) {
                    0 => out.extend(vec![self.next(256) as u8; count]),
                    1 => out.extend((0..count).map(|_| self.next(256) as u8).collect::<Vec<_>>()),
                    _ => {
                        let from = self.next(out.len());
                        for i in from..(from + count).min(out.len()) {
                            out.push(out[i]);
                        }
                    }
                }
            }
            out.truncate(len);
            out
        }
    }

    /// The format, read as plainly as it is written down.
    fn naive(src: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut input = src.iter().map(|byte| usize::from(*byte));
        let mut control = input.next()? & 31;
        loop {
            if control < 32 {
                for _ in 0..=control {
                    out.push(input.next()? as u8);
                }
            } else {
                let mut length = (control >> 5) + 2;
                while length >= 9 {
                    let more = input.next()?;
                    length += more;
                    if more != 255 {
                        break;
                    }
                }
                let mut distance = (control & 31) * 256 + input.next()?;
                if distance == 8191 {
                    distance += input.next()? * 256 + input.next()?;
                }
                for _ in 0..length {
                    out.push(*out.get(out.len().checked_sub(distance + 1)?)?);
                    if out.len() > limit {
                        return None;
                    }
                }
            }
            if out.len() > limit {
                return None;
            }
            match input.next() {
                None => return Some(out),
                Some(next) => control = next,
            }
        }
    }

    fn check(src: &[u8], room: usize) {
        let mut dst = vec![0; room];
        let got = decode(src, &mut dst).map(|n| dst[..n].to_vec());
        assert_eq!(got, naive(src, room), "{src:?}");
    }

    #[test]
    fn known_streams() {
        // "abc", then four bytes from three back, then "d".
        let stream = [0x22, b'a', b'b', b'c', 2 << 5, 2, 0, b'd'];
        let mut dst = [0; 8];
        assert_eq!(decode(&stream, &mut dst), Some(8));
        assert_eq!(&dst, b"abcabcad");
        // A long run: 9 + 255 + 1 times the byte before.
        let stream = [0x20, 7, 7 << 5, 255, 1, 0, 0, 9];
        let mut dst = [0; 267];
        assert_eq!(decode(&stream, &mut dst), Some(267));
        assert!(dst[..266].iter().all(|byte| *byte == 7) && dst[266] == 9);
        assert_eq!(decode(&[], &mut dst), None);
    }

    #[test]
    fn round_trips() {
        let mut random = Random(11);
        let mut table = Table::default();
        for i in 0..400 {
            let len = if i < 300 {
                random.next(3000)
            } else {
                random.next(300_000)
            };
            let src = random.bytes(len);
            for level in [1, 5, 9] {
                let mut packed = vec![0; src.len() + src.len() / 8 + 16];
                if let Some(n) = encode(&src, &mut packed, level, table.ready().unwrap()) {
                    let mut back = vec![0; src.len()];
                    assert_eq!(decode(&packed[..n], &mut back), Some(src.len()));
                    assert_eq!(back, src);
                    let mut small = vec![0; n - 1];
                    assert_eq!(
                        encode(&src, &mut small, level, table.ready().unwrap()),
                        None
                    );
                } else {
                    assert!(src.len() < 16);
                }
            }
        }
    }

    #[test]
    fn hostile_streams_agree_with_the_naive_decoder() {
        let mut random = Random(5);
        let mut table = Table::default();
        for _ in 0..60 {
            let len = 20 + random.next(400);
            let src = random.bytes(len);
            let mut packed = vec![0; src.len() * 2];
            let n = encode(&src, &mut packed, 5, table.ready().unwrap()).unwrap();
            packed.truncate(n);
            for cut in 0..n {
                check(&packed[..cut], src.len());
            }
            for bit in 0..n * 8 {
                packed[bit / 8] ^= 1 << (bit % 8);
                check(&packed, src.len());
                packed[bit / 8] ^= 1 << (bit % 8);
            }
            check(&packed, src.len() - 1);
            check(&packed, src.len() + 100);
        }
        for _ in 0..20_000 {
            let len = random.next(40);
            let noise: Vec<u8> = (0..len).map(|_| random.next(256) as u8).collect();
            check(&noise, random.next(2000));
        }
    }
}
