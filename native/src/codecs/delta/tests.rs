use super::*;
use crate::codecs::noise::noise;
use crate::codecs::numbers::Kind;

const NAMES: [&str; 10] = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"];

fn params(dtype: &str, astype: &str) -> Params {
    Params {
        dtype: Number::parse(dtype).unwrap(),
        astype: Number::parse(astype).unwrap(),
    }
}

fn encoded(src: &[u8], dtype: &str, astype: &str) -> Result<Vec<u8>> {
    let mut out = b"before".to_vec();
    let result = params(dtype, astype).encode_to_vec(src, &mut out);
    assert_eq!(&out[..6], b"before");
    assert!(result.is_ok() || out.len() == 6);
    result.map(|()| out[6..].to_vec())
}

fn decoded(src: &[u8], dtype: &str, astype: &str) -> Vec<u8> {
    let params = params(dtype, astype);
    let mut out = vec![0xAA; src.len() / params.astype.size() * params.dtype.size()];
    decode(src, &mut out, &params, &mut Context::default()).unwrap();
    out
}

/// Write small numbers as little-endian numbers of a type.
fn numbers(values: &[u8], name: &str) -> Vec<u8> {
    let Params { dtype, .. } = params(&format!("<{name}"), "|u1");
    let native: Vec<u8> = values
        .iter()
        .flat_map(|&v| by_type!(dtype.kind, T => (v as T).to_le_bytes().to_vec()))
        .collect();
    native
}

fn crc(sum: u32, data: &[u8]) -> u32 {
    let step = |sum: u32| sum >> 1 ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 };
    let byte = |sum: u32, &byte: &u8| (0..8).fold(sum ^ u32::from(byte), |sum, _| step(sum));
    !data.iter().fold(!sum, byte)
}

#[test]
fn gives_what_numcodecs_gives() {
    let i4: Vec<u8> = [1, 300, -5, 40_000].map(i32::to_le_bytes).concat();
    assert_eq!(encoded(&i4, "<i4", "|i1").unwrap(), [1, 43, 207, 69]);
    let wrapped = [1, 44, -5, 64].map(i32::to_le_bytes).concat();
    assert_eq!(decoded(&[1, 43, 207, 69], "<i4", "|i1"), wrapped);
    let stored = [1.0, 299.0, -305.0, 40_005.0]
        .map(f32::to_le_bytes)
        .concat();
    assert_eq!(encoded(&i4, "<i4", "<f4").unwrap(), stored);
    assert_eq!(decoded(&stored, "<i4", "<f4"), i4);
    let f8 = [1.5, 2.9, -3.2].map(f64::to_le_bytes).concat();
    let cut = [1_i16, 1, -6].map(i16::to_le_bytes).concat();
    assert_eq!(encoded(&f8, "<f8", "<i2").unwrap(), cut);
    let whole = [1.0, 2.0, -4.0].map(f64::to_le_bytes).concat();
    assert_eq!(decoded(&cut, "<f8", "<i2"), whole);
    // Sums are kept in the wider type, and cut each time.
    let steps = [1.7_f32; 3].map(f32::to_le_bytes).concat();
    let sums = [1_i16, 3, 5].map(i16::to_le_bytes).concat();
    assert_eq!(decoded(&steps, "<i2", "<f4"), sums);
    let steps = [1 << 24, 1, 1, 1].map(i32::to_le_bytes).concat();
    let sums = [16_777_216_f32, 16_777_216.0, 16_777_218.0, 16_777_220.0];
    assert_eq!(
        decoded(&steps, "<f4", "<i4"),
        sums.map(f32::to_le_bytes).concat()
    );
    // Either byte order.
    let big = [300, -300, 70].map(i32::to_be_bytes).concat();
    assert_eq!(encoded(&big, ">i4", "<i2").unwrap(), b",\x01\xA8\xFDr\x01");
    assert_eq!(decoded(b",\x01\xA8\xFDr\x01", ">i4", "<i2"), big);
    let zero = (-0.0_f32).to_le_bytes();
    assert_eq!(decoded(&zero, "<f4", "<f4"), zero);
}

/// All hundred pairs at once: the CRC-32 of everything that numcodecs gives for them.
#[test]
fn agrees_with_numcodecs_on_all_pairs() {
    let values = [0, 1, 1, 5, 9, 30, 31, 77, 120, 127];
    let (mut encodings, mut decodings, mut wrapped) = (0, 0, 0);
    for dtype in NAMES {
        for astype in NAMES {
            let (d, a) = (&format!("<{dtype}"), &format!("<{astype}"));
            let stored = encoded(&numbers(&values, dtype), d, a).unwrap();
            encodings = crc(encodings, &stored);
            decodings = crc(decodings, &decoded(&stored, d, a));
            let sign = |name: &str| name.starts_with('u');
            let mixed = (dtype == "u8" || astype == "u8") && sign(dtype) != sign(astype);
            if !d.contains('f') && !a.contains('f') && !mixed {
                let stored = noise(64 * params(a, a).astype.size(), 5);
                wrapped = crc(wrapped, &decoded(&stored, d, a));
            }
        }
    }
    assert_eq!(
        (encodings, decodings, wrapped),
        (0x3393_DD8B, 0x4575_F26B, 0xDB7E_D214)
    );
}

#[test]
fn comes_back_also_where_differences_wrap() {
    for order in ['<', '>'] {
        for (dtype, astype) in [
            ("i1", "i1"),
            ("i1", "u1"),
            ("u2", "i2"),
            ("i4", "u4"),
            ("i4", "u8"),
            ("u8", "i8"),
            ("i8", "u8"),
        ] {
            let (d, a) = (format!("{order}{dtype}"), format!("<{astype}"));
            let data = noise(800, 3);
            let stored = encoded(&data, &d, &a).unwrap();
            assert_eq!(decoded(&stored, &d, &a), data, "{d} {a}");
        }
    }
}

#[test]
fn refuses_a_first_element_that_does_not_fit() {
    let fails = |src: &[u8], d: &str, a: &str| encoded(src, d, a).is_err();
    assert!(fails(&300_i32.to_le_bytes(), "<i4", "|i1"));
    assert!(fails(&300_i32.to_le_bytes(), "<i4", "|u1"));
    assert!(fails(&(-3_i64).to_le_bytes(), "<i8", "<u4"));
    for value in [
        f64::NAN,
        f64::INFINITY,
        1e300,
        2_147_483_648.0,
        -2_147_483_649.0,
    ] {
        assert!(fails(&value.to_le_bytes(), "<f8", "<i4"), "{value}");
    }
    for value in [2_147_483_647.9, -2_147_483_648.9, -0.9] {
        assert!(!fails(&f64::to_le_bytes(value), "<f8", "<i4"), "{value}");
    }
    assert!(fails(&(-1_f32).to_le_bytes(), "<f4", "<u8"));
    assert!(fails(
        &18_446_744_073_709_551_616_f32.to_le_bytes(),
        "<f4",
        "<u8"
    ));
    assert!(!fails(&255.9_f32.to_le_bytes(), "<f4", "|u1"));
    assert!(!fails(&1e300_f64.to_le_bytes(), "<f8", "<f4"));
}

#[test]
fn takes_nothing_and_no_other_size() {
    assert_eq!(encoded(b"", "<i4", "<i2").unwrap(), b"");
    assert_eq!(decoded(b"", "<i4", "<i2"), b"");
    assert!(encoded(&[0; 7], "<i4", "<i2").is_err());
    let mut ctx = Context::default();
    for (size, room) in [(3, 8), (5, 8), (4, 4), (4, 7), (4, 12), (0, 4)] {
        let mut out = vec![0; room];
        let result = decode(&vec![0; size], &mut out, &params("<i4", "<i2"), &mut ctx);
        assert!(result.is_err(), "{size} {room}");
    }
}

#[test]
fn decodes_any_bits() {
    for dtype in NAMES {
        for astype in NAMES {
            decoded(&noise(640, 11), &format!(">{dtype}"), &format!("<{astype}"));
            let _ = encoded(&noise(640, 11), &format!("<{dtype}"), &format!(">{astype}"));
        }
    }
}

#[test]
fn knows_the_names_of_numpy() {
    let native = Number {
        kind: Kind::I16,
        swapped: false,
    };
    assert_eq!(Number::parse("=i2"), Some(native));
    assert_ne!(Number::parse("<i2"), Number::parse(">i2"));
    assert_eq!(Number::parse(">u1"), Number::parse("|u1"));
    for other in [
        "", "<", "i4", "<c8", "<f2", "<i", "é", "<é", "<M8[s]", "|O", "<i16",
    ] {
        assert_eq!(Number::parse(other), None);
    }
}
