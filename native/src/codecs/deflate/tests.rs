use super::Format::{Gzip, Zlib};
use super::*;
use crate::codecs::noise::few_values as noise;

const TEXT: &[u8] = b"fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr fastzarr ";
/// numcodecs.gzip at level 1.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0xff, 0x4b, 0x4b, 0x2c, 0x2e, 0xa9, 0x4a,
    0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01, 0x00, 0x22, 0xa0, 0xf7, 0xdb, 0x48, 0x00, 0x00, 0x00,
];
/// A member with every optional field in its header.
const NAMED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x1f, 0x39, 0x30, 0x00, 0x00, 0x00, 0x03, 0x03, 0x00, 0x61, 0x62, 0x63, 0x6e,
    0x61, 0x6d, 0x65, 0x00, 0x63, 0x6f, 0x6d, 0x6d, 0x65, 0x6e, 0x74, 0x00, 0x7d, 0xb3, 0x4b, 0x4b,
    0x2c, 0x2e, 0xa9, 0x4a, 0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01, 0x00, 0x22, 0xa0, 0xf7, 0xdb,
    0x48, 0x00, 0x00, 0x00,
];
/// numcodecs.zlib at level 1.
const ZLIB: &[u8] = &[
    0x78, 0x01, 0x4b, 0x4b, 0x2c, 0x2e, 0xa9, 0x4a, 0x2c, 0x2a, 0x52, 0x48, 0xa3, 0x8c, 0x01, 0x00,
    0x15, 0x28, 0x1c, 0x69,
];

/// Decode over two backgrounds: what shines through was never written.
fn strict(format: Format) -> Params {
    Params {
        format,
        level: 1,
        padded: false,
    }
}

fn lenient(format: Format) -> Params {
    Params {
        padded: true,
        ..strict(format)
    }
}

fn decoded(src: &[u8], size: usize, format: Format) -> Result<Vec<u8>> {
    let [one, two] = [0xAA, 0x55].map(|background| {
        let mut out = vec![background; size];
        decode(src, &mut out, &strict(format), &mut Context::default()).map(|()| out)
    });
    assert_eq!(one, two);
    one
}

fn collected(src: &[u8], limit: usize, format: Format) -> Result<Vec<u8>> {
    let mut out = b"before".to_vec();
    let result = decode_to_vec(src, &mut out, limit, format, &mut Context::default());
    assert_eq!(&out[..6], b"before");
    assert!(result.is_ok() || out.len() == 6);
    result.map(|()| out[6..].to_vec())
}

fn encoded(src: &[u8], level: i32, format: Format) -> Vec<u8> {
    let mut out = b"before".to_vec();
    let params = Params {
        level,
        ..strict(format)
    };
    encode(src, &mut out, &params, &mut Context::default()).unwrap();
    assert_eq!(&out[..6], b"before");
    out[6..].to_vec()
}

#[test]
fn reads_what_numcodecs_wrote() {
    for (golden, format) in [(GZIP, Gzip), (NAMED, Gzip), (ZLIB, Zlib)] {
        assert_eq!(decoded(golden, 72, format).unwrap(), TEXT);
        assert_eq!(collected(golden, 72, format).unwrap(), TEXT);
        assert!(collected(golden, 71, format).is_err());
        assert!(collected(golden, 0, format).is_err());
    }
    assert!(decoded(ZLIB, 72, Gzip).is_err());
    assert!(decoded(GZIP, 72, Zlib).is_err());
}

#[test]
fn round_trips_at_every_level() {
    for size in [0, 1, 54, 55, 300, 70_000] {
        let data = noise(size, 7);
        for level in -1..=10 {
            for format in [Gzip, Zlib] {
                let bytes = encoded(&data, level, format);
                assert_eq!(decoded(&bytes, size, format).unwrap(), data);
                assert_eq!(collected(&bytes, size, format).unwrap(), data);
                assert_eq!(collected(&bytes, usize::MAX, format).unwrap(), data);
            }
        }
    }
    assert!(encoded(&noise(70_000, 7), 0, Gzip).len() > 70_000);
}

#[test]
fn keeps_one_encoder_for_a_level() {
    let (mut ctx, data) = (Context::default(), noise(5000, 9));
    for level in [1, 1, 9, 0, 1] {
        let mut out = Vec::new();
        let params = Params {
            level,
            ..strict(Gzip)
        };
        encode(&data, &mut out, &params, &mut ctx).unwrap();
        assert_eq!(out, encoded(&data, level, Gzip));
    }
}

#[test]
fn writes_no_time() {
    assert_eq!(&encoded(TEXT, 6, Gzip)[..8], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0]);
}

#[test]
fn takes_several_members_but_one_stream() {
    let empty = encoded(b"", 1, Gzip);
    let all = [GZIP, &empty, NAMED, &empty].concat();
    assert_eq!(decoded(&all, 144, Gzip).unwrap(), [TEXT, TEXT].concat());
    for limit in [144, 145, 1 << 30] {
        assert_eq!(collected(&all, limit, Gzip).unwrap(), [TEXT, TEXT].concat());
    }
    assert!(collected(&all, 143, Gzip).is_err());
    assert_eq!(decoded(&empty.repeat(3), 0, Gzip).unwrap(), b"");
    let message = decoded(&[ZLIB, ZLIB].concat(), 144, Zlib)
        .unwrap_err()
        .message;
    assert_eq!(
        message,
        format!("{} bytes follow the end of the data", ZLIB.len())
    );
}

#[test]
fn takes_no_other_size() {
    for (golden, format) in [(GZIP, Gzip), (ZLIB, Zlib)] {
        for size in [0, 71, 73, 1 << 20] {
            let error = decoded(golden, size, format).unwrap_err();
            let wanted = format!("expected {size} decoded bytes, but the ");
            assert!(error.message.starts_with(&wanted), "{error}");
        }
    }
    let all = [GZIP, GZIP].concat();
    assert!(decoded(&all, 72, Gzip).is_err());
    assert!(decoded(&all, 143, Gzip).is_err());
    assert!(decoded(&all, 145, Gzip).is_err());
}

#[test]
fn refuses_what_is_cut_or_followed_by_anything() {
    let long = encoded(&noise(3000, 3), 5, Gzip);
    let mut ctx = Context::default();
    for (bytes, size, format) in [
        (GZIP, 72, Gzip),
        (NAMED, 72, Gzip),
        (ZLIB, 72, Zlib),
        (&long, 3000, Gzip),
    ] {
        for stop in 0..bytes.len() {
            let mut out = vec![0; size];
            assert!(decode(&bytes[..stop], &mut out, &strict(format), &mut ctx).is_err());
            assert!(collected(&bytes[..stop], size, format).is_err());
            let cut_second = [bytes, &bytes[..stop]].concat();
            if stop > 0 {
                assert!(decoded(&cut_second, 2 * size, format).is_err());
            }
        }
        for tail in [&b"\0"[..], b"trailing bytes of some length"] {
            assert!(decoded(&[bytes, tail].concat(), size, format).is_err());
            assert!(collected(&[bytes, tail].concat(), size, format).is_err());
        }
        decode(bytes, &mut vec![0; size], &strict(format), &mut ctx).unwrap();
    }
}

#[test]
fn finds_every_flipped_bit_of_the_data() {
    let data = noise(500, 11);
    for format in [Gzip, Zlib] {
        let bytes = encoded(&data, 5, format);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The time and such in a header may differ; then the data is the same.
            let found = decoded(&flipped, 500, format);
            assert!(found.is_err() || found.unwrap() == data, "bit {bit}");
            let _ = collected(&flipped, 1000, format);
        }
    }
}

#[test]
fn bounds_a_bomb() {
    let zeros = vec![0; 20 << 20];
    for format in [Gzip, Zlib] {
        let bomb = encoded(&zeros, 9, format);
        assert!(bomb.len() < 40_000);
        assert!(decoded(&bomb, 4096, format).is_err());
        let mut out = Vec::new();
        let mut ctx = Context::default();
        assert!(decode_to_vec(&bomb, &mut out, 4096, format, &mut ctx).is_err());
        assert!(out.capacity() < 1 << 16);
        assert_eq!(collected(&bomb, 20 << 20, format).unwrap(), zeros);
        assert_eq!(collected(&bomb, usize::MAX, format).unwrap(), zeros);
    }
    // A size of 4 GiB stated by a few bytes is not believed.
    let mut lie = encoded(b"abc", 1, Gzip);
    let end = lie.len();
    lie[end - 4..].fill(0xFF);
    let mut out = Vec::new();
    assert!(decode_to_vec(&lie, &mut out, 1 << 30, Gzip, &mut Context::default()).is_err());
    assert!(out.capacity() < 1 << 16);
}

#[test]
fn survives_noise() {
    let mut ctx = Context::default();
    for seed in 1..2000 {
        let mut data = noise(seed as usize % 97, seed);
        for (at, byte) in [0x1F, 0x8B, 8].into_iter().enumerate() {
            if let Some(slot) = data.get_mut(at) {
                *slot = byte;
            }
        }
        let mut out = [0; 64];
        let _ = decode(&data, &mut out, &strict(Gzip), &mut ctx);
        let _ = collected(&data, 64, Gzip);
        if data.len() > 1 {
            data[..2].copy_from_slice(&[0x78, 0x9C]);
        }
        let _ = decode(&data, &mut out, &strict(Zlib), &mut ctx);
        let _ = collected(&data, 64, Zlib);
    }
}

#[test]
fn ignores_padding_of_any_size_if_allowed() {
    let mut ctx = Context::default();
    for (bytes, format) in [(GZIP, Gzip), (NAMED, Gzip), (ZLIB, Zlib)] {
        for padding in [&[0; 8][..], b"garbage", b"\x1F", &[0; 5000]] {
            let data = [bytes, padding].concat();
            let mut decode = |size: usize, params: &Params| {
                let mut out = vec![0; size];
                decode(&data, &mut out, params, &mut ctx).map(|()| out)
            };
            assert_eq!(decode(72, &lenient(format)).unwrap(), TEXT);
            assert!(decode(72, &strict(format)).is_err());
            assert!(decode(71, &lenient(format)).is_err());
            assert!(decode(73, &lenient(format)).is_err());
        }
        for stop in 0..bytes.len() {
            assert!(decode(&bytes[..stop], &mut [0; 72], &lenient(format), &mut ctx).is_err());
        }
    }
}

#[test]
fn a_member_is_no_padding() {
    let mut ctx = Context::default();
    let (empty, lenient) = (encoded(b"", 1, Gzip), lenient(Gzip));
    for (members, size, fits) in [
        ([GZIP, GZIP, b"\0"], 72, false),
        ([GZIP, GZIP, b"\0"], 144, true),
        ([GZIP, &GZIP[..30], b""], 72, false),
        ([GZIP, &GZIP[..2], b""], 72, false),
        ([GZIP, &empty, b"\0"], 72, true),
        ([&empty, GZIP, b"\0"], 72, true),
        ([&empty, b"\0", GZIP], 72, false),
    ] {
        let result = decode(&members.concat(), &mut vec![0; size], &lenient, &mut ctx);
        assert_eq!(result.is_ok(), fits, "{size}");
    }
}
