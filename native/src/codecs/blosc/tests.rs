//! Golden frames of c-blosc, round trips, ranges, and frames that lie.

use super::encode::blocksize;
use super::frame::{
    read_u32, Compressor, Shuffle, FLAG_STORED, FLAG_WHOLE, HEADER, MAX_SPLIT, MIN_SPLIT,
};
use super::*;
use crate::error::Result;

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % below.max(1)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.next(from.len())]
    }
}

const COMPRESSORS: [Compressor; 6] = [
    Compressor::BloscLz,
    Compressor::Lz4,
    Compressor::Lz4hc,
    Compressor::Snappy,
    Compressor::Zlib,
    Compressor::Zstd,
];
const SHUFFLES: [Shuffle; 3] = [Shuffle::None, Shuffle::Byte, Shuffle::Bit];

fn noise(n: usize) -> Vec<u8> {
    let mut x = 2_463_534_242_u32;
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            (x >> 24) as u8
        })
        .collect()
}

/// What `tests/golden-blosc/make.py` encoded.
fn content(kind: usize, typesize: usize, n: usize) -> Vec<u8> {
    let random = noise(n);
    (0..n)
        .map(|i| match kind {
            0 => 0,
            1 => {
                let shift = 8 * (i % typesize);
                let value = i / typesize * 3;
                if shift < 64 {
                    (value >> shift) as u8
                } else {
                    0
                }
            }
            2 => random[i],
            3 if i % typesize == 0 => random[i],
            3 => (i / 64) as u8,
            _ => ((i / typesize) >> 9) as u8,
        })
        .collect()
}

fn params(compressor: Compressor, level: u8, shuffle: Shuffle, typesize: usize) -> Params {
    Params {
        compressor,
        level,
        shuffle,
        typesize,
        blocksize: 0,
        padded: false,
    }
}

fn encoded(src: &[u8], params: &Params) -> Vec<u8> {
    let mut out = Vec::new();
    encode(src, &mut out, params, &mut Context::default()).unwrap();
    out
}

fn decoded(src: &[u8], n: usize) -> Result<Vec<u8>> {
    let mut dst = vec![0xa5; n];
    decode(src, &mut dst, &mut Context::default()).map(|()| dst)
}

/// Every record of a golden file: what it holds, the element size, and the frame.
fn records(file: &[u8]) -> Vec<(Vec<u8>, usize, Vec<u8>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < file.len() {
        let field = |i: usize| read_u32(file, at + 4 * i).unwrap();
        let (kind, typesize, n, stored, len) = (field(0), field(1), field(2), field(3), field(4));
        let frame = file[at + 20..at + 20 + len].to_vec();
        assert_eq!(usize::from(frame[2] & FLAG_STORED), stored);
        out.push((content(kind, typesize, n), typesize, frame));
        at += 20 + len;
    }
    out
}

fn golden() -> Vec<(Vec<u8>, usize, Vec<u8>)> {
    let files: [&[u8]; 5] = [
        include_bytes!("../../../tests/golden-blosc/blosclz.bin"),
        include_bytes!("../../../tests/golden-blosc/lz4.bin"),
        include_bytes!("../../../tests/golden-blosc/lz4hc.bin"),
        include_bytes!("../../../tests/golden-blosc/zlib.bin"),
        include_bytes!("../../../tests/golden-blosc/zstd.bin"),
    ];
    files.into_iter().flat_map(records).collect()
}

#[test]
fn frames_of_c_blosc_decode() {
    let mut random = Random(1);
    let mut ctx = Context::default();
    for (expected, typesize, frame) in golden() {
        let n = expected.len();
        assert_eq!(decoded(&frame, n).unwrap(), expected, "{typesize} {n}");
        for _ in 0..5 {
            let start = random.next(n + 1);
            let end = (start + random.next(n + 1 - start)).min(n);
            let mut dst = vec![0xa5; end - start];
            decode_range(&frame, n, start, end, &mut dst, &mut ctx).unwrap();
            assert_eq!(dst, &expected[start..end], "{typesize} {n} {start}..{end}");
        }
        // c-blosc before 1.9 left the flag for blocks that are not split unset where it is implied.
        if typesize > MAX_SPLIT || n < MIN_SPLIT * typesize {
            let mut old = frame.clone();
            old[2] &= !FLAG_WHOLE;
            assert_eq!(decoded(&old, n).unwrap(), expected);
        }
    }
}

#[test]
fn blocks_are_cut_as_c_blosc_cuts_them() {
    for (expected, _, frame) in golden() {
        // The golden frames of no given block size say what theirs was chosen to be.
        let n = expected.len();
        if !(128..100_000).contains(&n) || n == 1603 || n == 70_000 {
            continue;
        }
        let compressor = match frame[2] >> 5 {
            0 => Compressor::BloscLz,
            1 => Compressor::Lz4,
            3 => Compressor::Zlib,
            _ => Compressor::Zstd,
        };
        let shuffle = match frame[2] & 5 {
            1 => Shuffle::Byte,
            4 => Shuffle::Bit,
            _ => Shuffle::None,
        };
        let level = if frame[2] & FLAG_STORED == 0 { 5 } else { 0 };
        let ours = encoded(
            &expected,
            &params(compressor, level, shuffle, usize::from(frame[3])),
        );
        assert_eq!(ours[..12], frame[..12]);
    }
    let size = |n, typesize, compressor, level| {
        blocksize(
            n,
            typesize,
            &params(compressor, level, Shuffle::Byte, typesize),
        )
    };
    assert_eq!(size(1 << 20, 4, Compressor::Lz4, 5), 1 << 19);
    assert_eq!(size(1 << 20, 4, Compressor::Zstd, 5), 1 << 18);
    assert_eq!(size(1 << 23, 8, Compressor::Zlib, 9), 1 << 20);
    assert_eq!(size(1 << 23, 3, Compressor::Lz4hc, 1), 98_304 / 3 * 3);
    assert_eq!(size(3, 4, Compressor::Lz4, 5), 1);
    assert_eq!(size(0, 4, Compressor::Lz4, 5), 1);
}

#[test]
fn round_trips() {
    let mut random = Random(77);
    let mut ctx = Context::default();
    for round in 0..1500 {
        let compressor = random.pick(&COMPRESSORS);
        let mut how = params(
            compressor,
            random.pick(&[0, 1, 3, 5]),
            random.pick(&SHUFFLES),
            random.pick(&[0, 1, 2, 3, 4, 5, 8, 12, 16, 17, 31, 255, 256, 5000]),
        );
        how.blocksize = random.pick(&[0, 0, 1, 128, 1000, 5000]);
        let limit = if round % 50 == 0 { 300_000 } else { 9000 };
        let n = random.next(limit);
        let src = content(random.next(5), how.typesize.max(1), n);
        let mut out = b"prefix".to_vec();
        encode(&src, &mut out, &how, &mut ctx).unwrap();
        assert_eq!(&out[..6], b"prefix");
        let frame = &out[6..];
        assert!(frame.len() <= HEADER + n);
        assert_eq!(decoded(frame, n).unwrap(), src, "{how:?} {n}");

        let start = random.next(n + 1);
        let end = start + random.next(n + 1 - start);
        let mut dst = vec![0xa5; end - start];
        decode_range(frame, n, start, end, &mut dst, &mut ctx).unwrap();
        assert_eq!(dst, &src[start..end], "{how:?} {n} {start}..{end}");

        let mut appended = b"before".to_vec();
        decode_to_vec(frame, &mut appended, n, &mut ctx).unwrap();
        assert_eq!(&appended[6..], src);
        if n > 0 {
            assert!(decode_to_vec(frame, &mut appended, n - 1, &mut ctx).is_err());
            assert_eq!(appended.len(), 6 + n);
        }
    }
}

#[test]
fn blocks_can_be_worked_on_apart() {
    let mut ctx = Context::default();
    for shuffle in SHUFFLES {
        for (kind, stored) in [(4, false), (2, true)] {
            let src = content(kind, 4, 300_001);
            let how = params(Compressor::Lz4, 1, shuffle, 4);
            let layout = Layout::new(src.len(), &how).unwrap();
            let blocks: Vec<Vec<u8>> = src
                .chunks(layout.block_size())
                .map(|block| {
                    let mut out = Vec::new();
                    assert!(layout
                        .encode_block(block, &mut out, usize::MAX, &mut ctx)
                        .unwrap());
                    out
                })
                .collect();
            let slices: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
            let mut frame = Vec::new();
            layout.assemble(&src, Some(&slices), &mut frame).unwrap();
            assert_eq!(frame, encoded(&src, &how));

            let header = Header::parse(&frame, src.len()).unwrap();
            assert_eq!(header.stored, stored);
            assert_eq!(header.block_count(), 300_001_usize.div_ceil(1 << 16));
            let mut dst = vec![0; src.len()];
            let parts: Vec<_> = dst.chunks_mut(header.block_size()).enumerate().collect();
            for (i, part) in parts.into_iter().rev() {
                header.decode_block(i, part, &mut ctx).unwrap();
            }
            assert_eq!(dst, src);
            let count = header.block_count();
            assert_eq!(header.block_len(count), 0);
            assert!(header.decode_block(count, &mut [], &mut ctx).is_err());
            assert!(header.decode_block(0, &mut dst[1..], &mut ctx).is_err());
        }
    }
}

#[test]
fn lying_headers_are_errors() {
    let src = content(1, 4, 5000);
    let frame = encoded(&src, &params(Compressor::Lz4, 5, Shuffle::Byte, 4));
    let message = |frame: &[u8], n| decoded(frame, n).unwrap_err().message;
    assert_eq!(
        message(&frame, 4999),
        "expected 4999 decoded bytes, but the frame states 5000"
    );
    assert_eq!(
        message(&frame[..7], 5000),
        "expected at least 16 bytes, found 7"
    );
    let mut long = frame.clone();
    long.push(0);
    assert!(message(&long, 5000).contains("encoded bytes, found"));
    let with = |at: usize, bytes: &[u8]| {
        let mut frame = frame.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        decoded(&frame, 5000)
    };
    assert!(with(0, &[1]).is_err() && with(0, &[3]).is_err());
    assert!(with(2, &[0x21 | 8]).is_err() && with(2, &[0x25]).is_err());
    assert!(with(2, &[5 << 5]).is_err() && with(2, &[7 << 5]).is_err());
    assert!(with(3, &[0]).is_err());
    for blocksize in [0, 1, 5001, 4999, u32::MAX, 1 << 31] {
        assert!(with(8, &blocksize.to_le_bytes()).is_err());
    }
    for start in [0, 15, 19, frame.len() as u32, u32::MAX, 1 << 31] {
        assert!(with(16, &start.to_le_bytes()).is_err());
    }
    for size in [0, 1249, 5000, u32::MAX, 1 << 31] {
        assert!(with(20, &size.to_le_bytes()).is_err(), "{size}");
    }
    let mut huge = frame.clone();
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut out = Vec::new();
    let ctx = &mut Context::default();
    assert!(decode_to_vec(&huge, &mut out, usize::MAX, ctx).is_err());
    assert_eq!(out.capacity(), 0);
    assert!(decode_range(&frame, 5000, 10, 5001, &mut [0; 4991], ctx).is_err());
    assert!(decode_range(&frame, 5000, 10, 9, &mut [], ctx).is_err());
    assert!(decode_range(&frame, 5000, 0, 9, &mut [0; 8], ctx).is_err());
}

#[test]
fn damaged_frames_never_panic() {
    let mut random = Random(13);
    let mut ctx = Context::default();
    for compressor in COMPRESSORS {
        for shuffle in SHUFFLES {
            let src = content(3, 2, 300);
            let mut frame = encoded(&src, &params(compressor, 5, shuffle, 2));
            for cut in 0..frame.len() {
                assert!(decoded(&frame[..cut], src.len()).is_err());
                // A header that agrees with the cut, so that the streams end early instead.
                let mut short = frame[..cut].to_vec();
                if let Some(field) = short.get_mut(12..16) {
                    field.copy_from_slice(&(cut as u32).to_le_bytes());
                }
                assert!(decoded(&short, src.len()).is_err());
            }
            for bit in 0..frame.len() * 8 {
                frame[bit / 8] ^= 1 << (bit % 8);
                let _ = decoded(&frame, src.len());
                let mut part = [0; 100];
                let _ = decode_range(&frame, src.len(), 100, 200, &mut part, &mut ctx);
                frame[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
    // Several bytes at once, behind a header that holds.
    for (expected, _, frame) in golden().iter().filter(|(_, _, frame)| frame.len() < 1500) {
        let mut dst = expected.clone();
        for _ in 0..20 {
            let mut bad = frame.clone();
            for _ in 0..=random.next(4) {
                let at = random.next(bad.len());
                bad[at] = random.pick(&[0, 1, 0x7f, 0x80, 0xff, random.0 as u8]);
            }
            let _ = decode(&bad, &mut dst, &mut ctx);
        }
    }
}

#[test]
fn ignores_bytes_behind_a_frame_if_allowed() {
    let (src, mut ctx) = (content(3, 2, 3000), Contexts::default());
    let strict = params(Compressor::Lz4, 5, Shuffle::Byte, 2);
    let lenient = Params {
        padded: true,
        ..strict
    };
    let frame = encoded(&src, &strict);
    for padding in [&[0; 16][..], b"\xFF", &frame] {
        let data = [&frame[..], padding].concat();
        for (params, fits) in [(strict, false), (lenient, true)] {
            let (mut all, mut large, mut part) = ([0; 3000], [0; 3000], [0; 10]);
            let results = [
                params.decode(&data, &mut all, &mut ctx, None),
                params.decode(&data, &mut large, &mut ctx, Some(&|| false)),
                params.decode_part(&data, 3000, 5..15, &mut part, &mut ctx),
                params.block_size(&data, 3000).map(|_| ()),
            ];
            assert!(results.iter().all(|result| result.is_ok() == fits));
            if fits {
                assert!(src[..] == all && src[..] == large && src[5..15] == part);
            }
            assert!(params.decode(&data, &mut all[1..], &mut ctx, None).is_err());
        }
    }
    for cut in 0..frame.len() {
        let result = lenient.decode(&frame[..cut], &mut [0; 3000], &mut ctx, None);
        assert!(result.is_err());
    }
}
