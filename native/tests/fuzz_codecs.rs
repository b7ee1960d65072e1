//! Untrusted bytes: every decoder.
//!
//! * Valid data is encoded, then bits are flipped and parts are cut, repeated, overwritten.
//!   Whatever the result, a decoder returns exactly the bytes requested or an error: no panic, no
//!   byte outside its destination, no allocation beyond what the array's metadata allows.
//! * Undamaged data decodes to what was encoded.

// A test that runs out of memory may end as it likes.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use _native::fuzzing::{ByteCodec, Contexts, Elements, Joined, Kind, Result, TypedCodec};

mod random;
use random::{byte_codecs, fuzz, typed_codecs};

#[test]
fn every_decoder_of_elements_gives_what_was_asked_or_an_error() {
    let mut codecs: Vec<TypedCodec> = typed_codecs().into_iter().flatten().collect();
    let make = |name, numbers: &[i64]| TypedCodec::make(name, numbers, "").expect("known");
    codecs.extend([make("truth", &[]), make("mask", &[4, 1])]);
    codecs.extend([make("mask", &[6, 0]), make("bitround", &[4, 3, 23])]);
    for (name, numbers, word) in [
        ("bitround", &[2, 1, 0][..], ""),
        ("packbits", &[1, 0, 1, 0, 1], "first_byte"),
        ("record", &[1, 15, 0, 255], ""),
        ("packbits", &[1, 1, 3, 6, 0], "none"),
        ("packbits", &[2, 0, 11, 0, 0], "last_byte"),
        ("packbits", &[8, 3, 59, 64, 0], "none"),
        ("scale_offset", &[3, 5], "=i2"),
        ("scale_offset", &[1, 0x3ff0_0000_0000_0000], "=f4"),
        ("cast_value", &[0, 0], "=f4 =i2 nearest-away clamp"),
        ("cast_value", &[1, 5, 7, 0], "=u1 =f4 nearest-even wrap"),
    ] {
        codecs.extend(TypedCodec::make(name, numbers, word));
    }
    assert_eq!(codecs.len(), 28);
    fuzz("elements", |random| {
        let codec = &codecs[random.below(codecs.len())];
        let size = [0, 8, 64, 1000][random.below(4)] + 8 * random.below(9);
        let data = random.bytes(size);
        let mut encoded = Vec::new();
        if codec.encode_to_vec(&data, &mut encoded).is_err() {
            return;
        }
        assert_eq!(codec.encoded_size(size), Some(encoded.len()));
        let guard = 32;
        let mut out = vec![0xa5; size + 2 * guard];
        let whole = guard..guard + size;
        if codec
            .decode(&encoded, size, 0..size, &mut out[whole.clone()])
            .is_err()
        {
            // What was rounded may be out of range then.
            assert_eq!(codec.name(), "scale_offset");
            return;
        }
        let decoded = out[whole.clone()].to_vec();
        if size > 0 {
            let start = random.below(size / 8) * 8;
            let part = start..start + 8 * (1 + random.below((size - start) / 8));
            if let Some(source) = codec.source(part.clone(), size) {
                let mut dst = vec![0; part.len()];
                codec
                    .decode(&encoded[source], size, part.clone(), &mut dst)
                    .expect("a part decodes");
                assert_eq!(dst, decoded[part]);
            }
        }
        let bad = random.damage(&encoded);
        let _ = codec.decode(&bad, size, 0..size, &mut out[whole.clone()]);
        assert!(out[..guard].iter().all(|byte| *byte == 0xa5));
        assert!(out[whole.end..].iter().all(|byte| *byte == 0xa5));
    });
}

#[test]
fn every_decoder_gives_what_was_asked_or_an_error() {
    let codecs = byte_codecs();
    let mut contexts = Contexts::default();
    fuzz("decoders", |random| {
        let codec = &codecs[random.below(codecs.len())];
        let size = [0, 1, 7, 64, 1000, 70_000][random.below(6)] + random.below(9);
        let data = random.bytes(size);
        let mut encoded = Vec::new();
        codec
            .encode(&data, &mut encoded, &mut contexts)
            .expect("valid data is encoded");
        let mut decoded = vec![0xa5; size];
        codec
            .decode(&encoded, &mut decoded, &mut contexts, &|| false)
            .expect("what was encoded decodes");
        assert_eq!(decoded, data, "{}", codec.name());
        let bad = random.damage(&encoded);
        let guard = 32;
        let mut out = vec![0xa5; size + 2 * guard];
        let _ = codec.decode(&bad, &mut out[guard..guard + size], &mut contexts, &|| {
            false
        });
        assert!(out[..guard].iter().all(|byte| *byte == 0xa5));
        assert!(out[guard + size..].iter().all(|byte| *byte == 0xa5));
        if size > 0 {
            let start = random.below(size);
            let end = start + random.below(size - start + 1);
            let mut part = vec![0; end - start];
            if codec
                .decode_part(&bad, size, start..end, &mut part, &mut contexts, &|| false)
                .is_ok()
                && bad == encoded
            {
                assert_eq!(part, data[start..end]);
            }
        }
    });
}

#[test]
fn blocks_of_n5_give_a_chunk_or_an_error() {
    let numbers = [2, 3, 4, 5, 3, 5, 1, 2, 0, 1];
    let words = ["", "gzip ", "zlib ", "zstd ", "lz4 ", "bz2 ", "blosc lz4"];
    let codecs = words.map(|word| ByteCodec::make("n5_default", &numbers, word).expect("known"));
    let mut contexts = Contexts::default();
    fuzz("blocks", |random| {
        let codec = &codecs[random.below(codecs.len())];
        let (size, guard) = (120, 32);
        let data = random.bytes(size);
        let mut encoded = Vec::new();
        codec
            .encode(&data, &mut encoded, &mut contexts)
            .expect("valid data is encoded");
        let mut bad = random.damage(&encoded);
        if random.below(2) == 0 && bad.len() >= 16 {
            // The lengths of a smaller or larger block.
            let place = 7 + 4 * random.below(3);
            bad[place] = random.below(7) as u8;
        }
        let mut out = vec![0xa5; size + 2 * guard];
        let place = guard..guard + size;
        let done = codec.decode(&bad, &mut out[place.clone()], &mut contexts, &|| false);
        assert!(out[..guard].iter().all(|byte| *byte == 0xa5));
        assert!(out[guard + size..].iter().all(|byte| *byte == 0xa5));
        if bad == encoded {
            done.expect("what was encoded decodes");
            assert_eq!(out[place], data);
        }
    });
}

#[test]
fn elements_of_any_length_come_back_or_the_damage_is_found() {
    fuzz("elements", |random| {
        let kind = [Kind::Text, Kind::Bytes][random.below(2)];
        let count = random.below(40);
        let mut joined = Joined::new(count, kind).expect("the count fits");
        let mut items = Vec::new();
        for _ in 0..count {
            let size = random.below(30);
            let mut item = random.bytes(size);
            if kind == Kind::Text {
                item = String::from_utf8_lossy(&item).into_owned().into_bytes();
            }
            joined.push(&item).expect("it fits");
            items.push(item);
        }
        let stored = joined.finish();
        let found: Result<Vec<&[u8]>> = Elements::new(&stored, count, kind).collect();
        assert_eq!(found.expect("it is whole"), items);
        let bad = random.damage(&stored);
        let wanted = [count, random.below(60)][random.below(2)];
        let mut room = bad.len();
        let mut right = 0;
        for found in Elements::new(&bad, wanted, kind) {
            match found {
                Ok(item) => {
                    assert!(kind == Kind::Bytes || std::str::from_utf8(item).is_ok());
                    room = room
                        .checked_sub(item.len())
                        .expect("no byte is given twice");
                    right += 1;
                }
                Err(error) => assert!(!error.message.is_empty()),
            }
        }
        assert!(right <= wanted);
    });
}
