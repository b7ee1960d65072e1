//! Random numbers, bytes and damage, the codecs that lose nothing, and the clock of the fuzz targets.
//!
//! * Each target runs for `FUZZ_SECONDS` (a second and a half unless set), from a seed that it
//!   prints and that `FUZZ_SEED` sets, so that a failure can be run again.

use std::time::{Duration, Instant};

use _native::fuzzing::{ByteCodec, TypedCodec};

pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let kinds = 1 + self.below(255) as u64;
        (0..count).map(|_| (self.next() % kinds) as u8).collect()
    }

    /// Damage data as failing storage or an attacker would.
    pub fn damage(&mut self, data: &[u8]) -> Vec<u8> {
        let mut bad = data.to_vec();
        for _ in 0..=self.below(3) {
            let place = self.below(bad.len());
            match self.below(7) {
                0 => bad.truncate(place),
                1 => bad.extend(self.bytes(1 + place % 40)),
                2 if !bad.is_empty() => bad[place] ^= 1 << self.below(8),
                3 if !bad.is_empty() => bad[place] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                4 if bad.len() >= place + 4 => {
                    let number = (self.next() as u32) >> self.below(32);
                    bad[place..place + 4].copy_from_slice(&number.to_le_bytes());
                }
                5 => {
                    let tail = bad.split_off(place);
                    bad.extend_from_slice(&tail[self.below(tail.len())..]);
                }
                _ => {
                    let part = bad[place..].to_vec();
                    bad.extend(part);
                }
            }
        }
        bad
    }
}

/// Run a target until its time is over.
pub fn fuzz(name: &str, mut target: impl FnMut(&mut Random)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds: f64 = number("FUZZ_SECONDS").unwrap_or(1.5);
    let seed = number("FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15_u64 as f64) as u64 | 1;
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut random = Random(seed);
    let mut rounds = 0u64;
    while Instant::now() < end {
        target(&mut random);
        rounds += 1;
    }
    println!("{name}: {rounds} rounds from seed {seed}");
    assert!(rounds > 0);
}

pub fn byte_codecs() -> Vec<ByteCodec> {
    let mut codecs = Vec::new();
    for cname in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"] {
        for shuffle in 0..3 {
            codecs.extend(ByteCodec::make("blosc", &[5, shuffle, 4, 0, 1], cname));
        }
    }
    codecs.extend(ByteCodec::make("zstd", &[1, 1], ""));
    codecs.extend(ByteCodec::make("gzip", &[1, 1], ""));
    codecs.extend(ByteCodec::make("zlib", &[1, 1], ""));
    codecs.extend(ByteCodec::make("lz4", &[1], ""));
    codecs.extend(ByteCodec::make("bz2", &[1, 1], ""));
    codecs.extend(ByteCodec::make("lzma", &[1, 4, 0, 1 << 24, 1], ""));
    codecs.extend(ByteCodec::make("lzma", &[1, 0, 0, 1 << 24, 0, 4], ""));
    codecs.extend(ByteCodec::make("lzma", &[2, 0, 0, 1 << 24, 0], ""));
    codecs.extend(ByteCodec::make("lzma", &[3, 0, 0, 1 << 24, 0, 1], ""));
    codecs.extend(ByteCodec::make("n5_lz4", &[100, 1], ""));
    codecs.extend(ByteCodec::make("crc32c", &[], "end"));
    codecs.extend(ByteCodec::make("adler32", &[], "start"));
    codecs.extend(ByteCodec::make("fletcher32", &[], "end"));
    assert_eq!(codecs.len(), 31);
    codecs
}

/// Codecs of elements that lose nothing, for elements of four bytes; each list is a chain.
pub fn typed_codecs() -> Vec<Vec<TypedCodec>> {
    let make = |name, numbers: &[i64], word| TypedCodec::make(name, numbers, word).expect("known");
    vec![
        vec![],
        vec![make("swap", &[4], "")],
        vec![make("swap", &[2], "")],
        vec![make("delta", &[], "<u4 <u4")],
        vec![make("delta", &[], "<i4 <i8"), make("swap", &[8], "")],
        vec![
            make("swap", &[4], ""),
            make("delta", &[], "|u1 <u2"),
            make("delta", &[], "<u2 <u4"),
        ],
        vec![make("packbits", &[4, 0, 32, 0, 0], "first_byte")],
        vec![
            make("cast_value", &[0, 0], "=i4 =i8 nearest-even error"),
            make("swap", &[8], ""),
        ],
        vec![
            make("cast_value", &[0, 0], "=i4 =f8 nearest-even error"),
            make("cast_value", &[0, 0], "=f8 =i8 towards-zero clamp"),
            make("packbits", &[8, 0, 32, 64, 0], "last_byte"),
        ],
    ]
}
