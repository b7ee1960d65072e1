//! Frames as others write them, damaged ones, and the looks at whether to stop.

use super::*;
use crate::codecs::noise::few_values as noise;
use std::cell::Cell;

/// numcodecs.zstd: level 1 of "fastzarr " eight times; the frame states 72 bytes.
const GOLDEN: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x48, 0x7d, 0x00, 0x00, 0x48, 0x66, 0x61, 0x73, 0x74, 0x7a, 0x61,
    0x72, 0x72, 0x20, 0x01, 0x00, 0xa4, 0x54, 0x8e,
];
const TEXT: &[u8] = b"fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr ";
/// The same with the content size left out of the header, as a streaming writer does.
const STREAMED: &[u8] = &[
    0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x00, 0x7d, 0x00, 0x00, 0x48, 0x66, 0x61, 0x73, 0x74, 0x7a, 0x61,
    0x72, 0x72, 0x20, 0x01, 0x00, 0xa4, 0x54, 0x8e,
];

/// Decode over two backgrounds: what shines through was never written.
fn decoded(src: &[u8], size: usize) -> Result<Vec<u8>> {
    let [one, two] = [0xAA, 0x55].map(|background| {
        let mut out = vec![background; size];
        decode(src, &mut out, &mut Context::default()).map(|()| out)
    });
    assert_eq!(one, two);
    let mut out = vec![0xAA; size];
    let large = decode_large(src, &mut out, &mut Context::default(), &|| false);
    assert_eq!(large.map(|()| out), one);
    one
}

#[test]
fn decoding_asks_after_some_blocks_whether_to_stop() {
    let mut content: Vec<u8> = (0..40_000_000u32).map(|i| (i / 1000) as u8).collect();
    content[7_000_000..30_000_000].fill(0);
    let src = [
        &encoded(&content[..35_000_000], 1, true),
        &encoded(&content[35_000_000..], 3, false)[..],
    ]
    .concat();
    let context = &mut Context::default();
    let mut out = vec![0; content.len()];
    let looks = Cell::new(0);
    let mut by = |most: usize, out: &mut [u8]| {
        looks.set(0);
        let stop = || {
            looks.set(looks.get() + 1);
            looks.get() > most
        };
        decode_large(&src, out, context, &stop)
    };
    assert_eq!(by(2, &mut out), Err(Error::interrupted()));
    assert_eq!(by(usize::MAX, &mut out), Ok(()));
    assert!(out == content);
    let largest = AT_ONCE * BLOCK as usize;
    assert!(looks.get() >= content.len() / largest, "{}", looks.get());
}

/// Decode the start over a background, and return what was written; `None` if all must be decoded.
fn started(src: &[u8], size: usize, until: usize) -> Result<Option<Vec<u8>>> {
    let mut out = vec![0xAA; size];
    let done = decode_start(src, &mut out, until, &mut Context::default(), &|| false)?;
    Ok(done.then_some(out))
}

/// Content of which each block takes about half of its bytes.
fn content(size: usize) -> Vec<u8> {
    noise(size, 5).iter().map(|byte| byte & 15).collect()
}

#[test]
fn only_the_blocks_of_the_start_are_decoded() {
    let block = BLOCK as usize;
    let data = content(6 * block + 1000);
    let size = data.len();
    let one = encoded(&data, 3, false);
    let two = [
        &encoded(&data[..3 * block], 3, false),
        &encoded(&data[3 * block..], 3, false)[..],
    ]
    .concat();
    for src in [&one, &two] {
        for until in [1, 100, block - 1, block, block + 1, 3 * block, 5 * block] {
            let found = started(src, size, until).unwrap().unwrap();
            let written = until.div_ceil(block) * block;
            assert_eq!(found[..written], data[..written]);
            // The library may have looked at one block more.
            let behind = found.get(written + block..).unwrap_or_default();
            assert!(behind.iter().all(|byte| *byte == 0xAA), "{until}");
        }
        // The end is not worth it.
        assert_eq!(started(src, size, size - 1), Ok(None));
    }
    // Bytes that compress to nearly none are decoded together.
    let flat = encoded(&vec![7; size], 3, false);
    let found = started(&flat, size, 1).unwrap().unwrap();
    assert_eq!(found[0], 7);
}

#[test]
fn the_start_is_not_decoded_alone_if_more_is_to_be_checked() {
    let data = content(6 << 17);
    let size = data.len();
    assert_eq!(started(&encoded(&data, 3, true), size, 1), Ok(None));
    let frame = encoded(&data, 3, false);
    assert_eq!(started(&frame, size + 1, 1), Ok(None));
    assert_eq!(started(&frame, size - 1, 1), Ok(None));
    let twice = [&frame[..], &encoded(&data, 3, true)].concat();
    assert_eq!(started(&twice, 2 * size, 1), Ok(None));
    // Bytes are missing at the end, or too many.
    for cut in [1, 4, 1000, frame.len() / 2] {
        assert!(started(&frame[..frame.len() - cut], size, 1).is_err());
    }
    assert!(started(&[&frame[..], b"trailing"].concat(), size, 1).is_err());
}

#[test]
fn damage_of_the_start_is_an_error_or_other_bytes_of_the_same_number() {
    let data = content(3 << 17);
    let frame = encoded(&data, 3, false);
    for seed in 0..2000 {
        let mut flipped = frame.clone();
        let at = (noise(8, seed + 1)[3] as usize * 251 + seed as usize * 97) % (frame.len() / 3);
        flipped[at] ^= 1 << (seed % 8);
        if let Ok(Some(found)) = started(&flipped, data.len(), 1000) {
            assert_eq!(found.len(), data.len());
        }
    }
    // The context is as good as new after a start.
    let (mut ctx, mut out) = (Context::default(), vec![0; data.len()]);
    assert_eq!(
        decode_start(&frame, &mut out, 9, &mut ctx, &|| false),
        Ok(true)
    );
    decode(&frame, &mut out, &mut ctx).unwrap();
    assert!(out == data);
}

fn collected(src: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = b"before".to_vec();
    let result = decode_to_vec(src, &mut out, limit, &mut Context::default());
    assert_eq!(&out[..6], b"before");
    assert!(result.is_ok() || out.len() == 6);
    result.map(|()| out[6..].to_vec())
}

fn encoded(src: &[u8], level: i32, checksum: bool) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let params = Params { level, checksum };
    encode(src, &mut out, &params, &mut Context::default()).unwrap();
    assert_eq!(&out[..6], b"before");
    out[6..].to_vec()
}

#[test]
fn reads_what_numcodecs_wrote() {
    assert_eq!(decoded(GOLDEN, 72).unwrap(), TEXT);
    assert_eq!(decoded(STREAMED, 72).unwrap(), TEXT);
    assert_eq!(collected(GOLDEN, 72).unwrap(), TEXT);
    assert_eq!(collected(STREAMED, 1000).unwrap(), TEXT);
    assert!(collected(STREAMED, 71).is_err());
    assert!(collected(GOLDEN, 71).is_err());
}

#[test]
fn round_trips_at_every_kind_of_level() {
    for size in [0, 1, 255, 256, 300, 65_792, 300_000] {
        let data = noise(size, 7);
        for level in [-131_072, -5, 0, 1, 3, 9, 22, 99] {
            for checksum in [false, true] {
                let frame = encoded(&data, level, checksum);
                assert_eq!(decoded(&frame, size).unwrap(), data);
                assert_eq!(collected(&frame, size).unwrap(), data);
                let found = walk(&frame).unwrap();
                assert_eq!((found.stated, found.open), (size as u64, 0));
                assert_eq!(frame[4] & 4 != 0, checksum);
            }
        }
    }
}

#[test]
fn takes_several_frames_and_skips_the_skippable() {
    let skippable = [0x5F, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9];
    let all = [&skippable, GOLDEN, &skippable, STREAMED, &skippable].concat();
    assert_eq!(decoded(&all, 144).unwrap(), [TEXT, TEXT].concat());
    assert_eq!(collected(&all, 144).unwrap(), [TEXT, TEXT].concat());
    assert_eq!(decoded(&skippable, 0).unwrap(), b"");
    assert!(decoded(&skippable, 1).is_err());
    assert!(decoded(&skippable[..10], 0).is_err());
}

#[test]
fn takes_no_other_size() {
    for size in [0, 71, 73, 1 << 20] {
        for frame in [GOLDEN, STREAMED] {
            let error = decoded(frame, size).unwrap_err();
            let wanted = format!("expected {size} decoded bytes");
            assert!(error.message.starts_with(&wanted), "{error}");
        }
    }
    let message = decoded(GOLDEN, 71).unwrap_err().message;
    assert_eq!(
        message,
        "expected 71 decoded bytes, but the frames state 72"
    );
}

#[test]
fn refuses_what_is_cut_or_followed_by_anything() {
    let mut ctx = Context::default();
    for frame in [GOLDEN, STREAMED, &encoded(&noise(1000, 3), 3, true)] {
        let size = if frame.len() < 100 { 72 } else { 1000 };
        for stop in 0..frame.len() {
            let mut out = vec![0; size];
            assert!(decode(&frame[..stop], &mut out, &mut ctx).is_err());
            assert!(collected(&frame[..stop], size).is_err());
        }
        for tail in [&b"\0"[..], b"trailing", &frame[..5]] {
            assert!(decoded(&[frame, tail].concat(), size).is_err());
            assert!(collected(&[frame, tail].concat(), size).is_err());
        }
        // The context is as good as new after all these failures.
        let mut out = vec![0; size];
        decode(frame, &mut out, &mut ctx).unwrap();
    }
}

#[test]
fn finds_every_flipped_bit_by_the_checksum() {
    let data = noise(500, 11);
    let frame = encoded(&data, 3, true);
    for bit in 0..frame.len() * 8 {
        let mut flipped = frame.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // A bit that the format leaves unused may flip, and the data is the same.
        assert!(decoded(&flipped, 500).is_err() || decoded(&flipped, 500).unwrap() == data);
        let _ = collected(&flipped, 1000);
    }
}

#[test]
fn believes_no_size() {
    // A header that claims 2^62 bytes, and one last empty block.
    let claim = [
        0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 1, 0, 0,
    ];
    assert!(decoded(&claim, 16).is_err());
    assert!(collected(&claim, usize::MAX).is_err());
    // Blocks of 128 KiB of one byte: bounded by the destination and the limit.
    let mut bomb = vec![0x28, 0xB5, 0x2F, 0xFD, 0, 0x70];
    for _ in 0..1000 {
        bomb.extend([0x02, 0x00, 0x10, 0x55]);
    }
    bomb.extend([1, 0, 0]);
    assert_eq!(walk(&bomb).unwrap().most, 1000 << 17);
    assert!(decoded(&bomb, 4096).is_err());
    assert!(collected(&bomb, 4096).is_err());
    assert_eq!(collected(&bomb, 1000 << 17).unwrap().len(), 1000 << 17);
}

#[test]
fn survives_noise() {
    let mut ctx = Context::default();
    for seed in 1..2000 {
        let mut data = noise(seed as usize % 97, seed);
        for (at, byte) in [0x28, 0xB5, 0x2F, 0xFD].into_iter().enumerate() {
            if let Some(slot) = data.get_mut(at) {
                *slot = byte;
            }
        }
        let mut out = [0; 64];
        let _ = decode(&data, &mut out, &mut ctx);
        let _ = collected(&data, 64);
    }
}
