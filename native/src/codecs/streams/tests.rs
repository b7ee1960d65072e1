//! Both codecs of streams: what is encoded, cut, followed by anything, and left.

use std::cell::Cell;

use crate::codecs::noise::{few_values, numbers};
use crate::codecs::{ByteCodec, Contexts};
use crate::error::{Error, Result};

use super::*;

const MEMORY: i64 = 1 << 30;

/// Each codec, without padding and with it. Those after the first three have no checksum, and the last
/// ones allow nothing behind them.
fn codecs() -> Vec<[ByteCodec; 2]> {
    let made = |name, numbers: &[i64], place: usize| {
        [0, 1].map(|padded| {
            let mut numbers = numbers.to_vec();
            numbers.insert(place, padded);
            ByteCodec::make(name, &numbers, "").unwrap()
        })
    };
    vec![
        made("bz2", &[1], 1),
        made("lzma", &[1, 4, 1, MEMORY], 4),
        made("lzma", &[1, 10, 0, MEMORY, 4], 4),
        made("lzma", &[2, 0, 0, MEMORY], 4),
        made("lzma", &[3, 0, 1, MEMORY], 4),
        made("lzma", &[3, 0, 0, MEMORY, 1, 2, 256], 4),
    ]
}

fn encoded(codec: &ByteCodec, data: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    codec
        .encode(data, &mut out, &mut Contexts::default())
        .unwrap();
    assert_eq!(&out[..6], b"before");
    out.split_off(6)
}

/// Decode to a known size and to an unknown one, which must agree if padding is not ignored.
fn decoded(codec: &ByteCodec, data: &[u8], size: usize) -> Result<Vec<u8>> {
    let (mut dst, mut out) = (vec![0xAA; size], b"before".to_vec());
    let contexts = &mut Contexts::default();
    let known = codec.decode(data, &mut dst, contexts, &|| false);
    let unknown = codec.decode_to_vec(data, &mut out, size, contexts);
    assert!(unknown.is_ok() || out == b"before");
    if known.is_ok() && unknown.is_ok() {
        assert_eq!(out[6..], dst);
    }
    known.map(|()| dst)
}

#[test]
fn what_is_encoded_is_decoded() {
    for [codec, _] in codecs() {
        for size in [0, 1, 1000, LEAST, 100_000, PIECE + 7] {
            let data = few_values(size, 3);
            let bytes = encoded(&codec, &data);
            assert!(decoded(&codec, &bytes, size).unwrap() == data);
            let mut out = Vec::new();
            let contexts = &mut Contexts::default();
            codec
                .decode_to_vec(&bytes, &mut out, size, contexts)
                .unwrap();
            assert!(out == data);
            for wrong in [size + 1, size.saturating_sub(1)] {
                assert_eq!(decoded(&codec, &bytes, wrong).is_ok(), wrong == size);
            }
        }
    }
}

#[test]
fn streams_may_follow_each_other_and_anything_else_is_padding_or_an_error() {
    let data = few_values(5000, 4);
    for (place, pair) in codecs().iter().enumerate() {
        let [strict, lenient] = pair;
        let (one, two) = (
            encoded(strict, &data[..2000]),
            encoded(strict, &data[2000..]),
        );
        let both = [&one[..], &two].concat();
        // Raw data has no beginning that tells it from padding.
        assert_eq!(decoded(strict, &both, 5000).is_ok(), place < 4, "{place}");
        for behind in [&b"\0"[..], b"\0\0\0\0\0\0\0\0", b"trailing"] {
            let padded = [&one[..], behind].concat();
            assert!(decoded(strict, &padded, 2000).is_err());
            assert_eq!(decoded(lenient, &padded, 2000).is_ok(), place < 3);
            assert!(decoded(lenient, &padded, 1999).is_err());
        }
        // What begins as a stream is none.
        for cut in [3, 6, two.len() - 1] {
            let more = [&one[..], &two[..cut.max(if place == 0 { 3 } else { 6 })]].concat();
            assert!(decoded(lenient, &more, 2000).is_err());
        }
    }
}

#[test]
fn data_that_is_cut_or_damaged_is_an_error() {
    let data: Vec<u8> = few_values(600, 5);
    for (place, [_, codec]) in codecs().iter().enumerate() {
        let bytes = encoded(codec, &data);
        for cut in 0..bytes.len() {
            // The .lzma format has an end that states nothing more.
            assert!(decoded(codec, &bytes[..cut], 600).is_err(), "{place} {cut}");
        }
        for bit in 0..8 * bytes.len() {
            let mut wrong = bytes.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let found = decoded(codec, &wrong, 600);
            assert!(place > 2 || found.is_err() || found == Ok(data.clone()));
        }
    }
}

#[test]
fn noise_is_an_error() {
    let mut next = numbers(9);
    for pair in codecs() {
        let start = encoded(&pair[0], &[]);
        for size in 0..300 {
            let mut data: Vec<u8> = (0..size).map(|_| next() as u8).collect();
            let kept = (next() as usize % 13).min(size).min(start.len());
            data[..kept].copy_from_slice(&start[..kept]);
            let _ = decoded(&pair[0], &data, 100);
        }
    }
}

#[test]
fn a_large_result_can_be_left_and_a_bomb_is_bounded() {
    let bomb = vec![0; 24 << 20];
    for pair in codecs() {
        let codec = &pair[0];
        let bytes = encoded(codec, &bomb);
        let (mut out, contexts) = (vec![1; bomb.len()], &mut Contexts::default());
        let looks = Cell::new(0);
        let stop = || {
            looks.set(looks.get() + 1);
            looks.get() > 5
        };
        let left = codec.decode(&bytes, &mut out, contexts, &stop);
        assert_eq!(left, Err(Error::interrupted()));
        assert!(out[6 * PIECE..].iter().all(|byte| *byte == 1));
        codec.decode(&bytes, &mut out, contexts, &|| false).unwrap();
        assert!(out == bomb);
        let mut grown = Vec::new();
        let error = codec.decode_to_vec(&bytes, &mut grown, 100_000, contexts);
        let message = error.unwrap_err().message;
        assert!(message.starts_with("the limit is 100000 decoded bytes, but"));
        assert!(grown.capacity() < 1 << 20);
    }
}

#[test]
fn a_dictionary_over_the_limit_is_refused() {
    let small = ByteCodec::make("lzma", &[1, 4, 9, 1 << 20, 0], "").unwrap();
    let bytes = encoded(&small, &[7; 100]);
    let message = decoded(&small, &bytes, 100).unwrap_err().message;
    assert!(
        message.contains("dictionary is over the limit"),
        "{message}"
    );
}

#[test]
fn makes_none_of_other_descriptions() {
    for numbers in [&[][..], &[0, 0], &[10, 0], &[1], &[1, -1]] {
        assert!(ByteCodec::make("bz2", numbers, "").is_none(), "{numbers:?}");
    }
    for numbers in [
        &[][..],
        &[0, 4, 6, MEMORY, 0],
        &[4, 4, 6, MEMORY, 0],
        &[1, 2, 6, MEMORY, 0],
        &[1, 4, 10, MEMORY, 0],
        &[1, 4, 6, -1, 0],
        &[1, 4, 6, MEMORY],
        &[1, 4, 6, MEMORY, 0, 0],
        &[1, 4, 6, MEMORY, 0, 257],
        &[1, 4, 6, MEMORY, 0, 1, 1, 1, 1],
        &[2, 0, 6, MEMORY, 0, 1],
    ] {
        assert!(
            ByteCodec::make("lzma", numbers, "").is_none(),
            "{numbers:?}"
        );
    }
}
