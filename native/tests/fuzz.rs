//! Untrusted bytes: every decoder, the index of a shard, the copy loop.
//!
//! * Valid data is encoded, then bits are flipped and parts are cut, repeated, overwritten.
//!   Whatever the result, a decoder returns exactly the bytes requested or an error: no panic, no
//!   byte outside its destination, no allocation beyond what the array's metadata allows.
//! * Undamaged data decodes to what was encoded.
//! * Each target runs for `FUZZ_SECONDS` (a second and a half unless set), from a seed that it
//!   prints and that `FUZZ_SEED` sets, so that a failure can be run again.

// A test that runs out of memory may end as it likes.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use _native::fuzzing::{
    Block, ByteCodec, Chain, Chunk, Contexts, Elements, Factor, Frame, Job, Joined, Kind, Out,
    Part, Plan, Program, ReadInto, Reading, Result, Scratch, Shard, Shared, Source, Tasks,
    TypedCodec, WriteFrom, Writing,
};

mod held;
use held::Held;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let kinds = 1 + self.below(255) as u64;
        (0..count).map(|_| (self.next() % kinds) as u8).collect()
    }

    /// Damage data as failing storage or an attacker would.
    fn damage(&mut self, data: &[u8]) -> Vec<u8> {
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
fn fuzz(name: &str, mut target: impl FnMut(&mut Random)) {
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

fn byte_codecs() -> Vec<ByteCodec> {
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
    codecs.extend(ByteCodec::make("n5_lz4", &[100, 1], ""));
    codecs.extend(ByteCodec::make("crc32c", &[], "end"));
    codecs.extend(ByteCodec::make("adler32", &[], "start"));
    codecs.extend(ByteCodec::make("fletcher32", &[], "end"));
    assert_eq!(codecs.len(), 26);
    codecs
}

/// Codecs of elements that lose nothing, for elements of four bytes; each list is a chain.
fn typed_codecs() -> Vec<Vec<TypedCodec>> {
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
    let words = ["", "gzip ", "zlib ", "zstd ", "lz4 ", "blosc lz4"];
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

/// Do what the objects do themselves; here nothing else fails either.
fn calm<T>(f: impl FnOnce() -> T) -> T {
    f()
}

const ITEM: usize = 4;

fn strides(shape: &[usize], order: &[usize], item: usize) -> Vec<isize> {
    let mut strides = vec![0; shape.len()];
    let mut step = item as isize;
    for axis in order.iter().rev() {
        strides[*axis] = step;
        step *= shape[*axis] as isize;
    }
    strides
}

fn plain(shape: &[usize], item: usize, codecs: Vec<ByteCodec>, fill: &[u8]) -> Program {
    let order: Vec<usize> = (0..shape.len()).collect();
    assert_eq!(fill.len(), item);
    let chain = Arc::new(Chain::new(fill.to_vec(), true, Vec::new(), codecs));
    let block = Block::new(shape.to_vec(), order, item).unwrap();
    Program {
        chunk: Chunk { chain, block },
        shard: None,
    }
}

fn program(random: &mut Random, shape: &[usize]) -> Program {
    let mut codecs = Vec::new();
    let every = byte_codecs();
    for _ in 0..random.below(3) {
        codecs.push(every[random.below(every.len())].clone());
    }
    if random.below(3) == 0 {
        // Many blocks in a small chunk, which workers then share.
        let (word, element) = [("zstd", 4), ("lz4", 20)][random.below(2)];
        let shuffle = random.below(3) as i64;
        codecs = ByteCodec::make("blosc", &[1, shuffle, element, 128, 1], word)
            .into_iter()
            .chain(ByteCodec::make("crc32c", &[], "end"))
            .take(1 + random.below(2))
            .collect();
    }
    let mut made = plain(shape, ITEM, Vec::new(), &[0; ITEM]);
    let mut order: Vec<usize> = (0..shape.len()).collect();
    if random.below(2) == 0 {
        order.reverse();
    }
    made.chunk.block = Block::new(shape.to_vec(), order, ITEM).unwrap();
    let typed = typed_codecs();
    let typed = typed[random.below(typed.len())].clone();
    made.chunk.chain = Arc::new(Chain::new(vec![0; ITEM], true, typed, codecs));
    made
}

fn sharded(random: &mut Random, inner: &[usize], grid: &[usize]) -> Program {
    let shape: Vec<usize> = inner.iter().zip(grid).map(|(a, b)| a * b).collect();
    let mut index_shape = grid.to_vec();
    index_shape.push(2);
    let checksum = random.below(2) == 0;
    let codecs = if checksum {
        ByteCodec::make("crc32c", &[], "end").into_iter().collect()
    } else {
        Vec::new()
    };
    let index = plain(&index_shape, 8, codecs, &[0xff; 8]).chunk;
    let mut made = plain(&shape, ITEM, Vec::new(), &[0; ITEM]);
    made.shard = Some(Box::new(Shard {
        inner: Arc::new(program(random, inner)),
        inner_shape: inner.to_vec(),
        grid: grid.to_vec(),
        axes: (0..shape.len()).collect(),
        index_size: index.block.nbytes + if checksum { 4 } else { 0 },
        index,
        at_start: random.below(2) == 0,
        shape,
    }));
    made
}

/// A plan over an array, of random steps along each axis; the selection's shape with it.
fn plan(
    random: &mut Random,
    shape: &[usize],
    chunks: &[usize],
) -> (Plan, Vec<usize>, Vec<Vec<i64>>) {
    let mut places: Vec<Vec<i64>> = Vec::new();
    let factors: Vec<Factor> = shape
        .iter()
        .enumerate()
        .map(|(axis, size)| {
            let step = [1, 1, 2, 3][random.below(4)];
            let start = random.below(*size);
            let count = 1 + random.below((size - start).div_ceil(step));
            let (first, step) = if random.below(3) == 0 {
                ((start + (count - 1) * step) as i64, -(step as i64))
            } else {
                (start as i64, step as i64)
            };
            places.push((0..count as i64).map(|n| first + n * step).collect());
            if random.below(3) == 0 {
                let coords = places[axis].clone();
                return Factor::Points {
                    axes: vec![axis].into(),
                    coords: vec![coords.into()],
                    out: Out::From(0),
                };
            }
            Factor::Span {
                axis,
                start: first,
                step,
                size: count as i64,
                out: 0,
            }
        })
        .collect();
    let work = places.iter().map(Vec::len).collect();
    (Plan::make(&factors, shape, chunks).unwrap(), work, places)
}

fn job(poll: &(dyn Fn() -> bool + Sync)) -> Job<'_> {
    Job {
        missing: true,
        store_empty: false,
        threads: 3,
        // So that the smallest chunks are shared.
        least: 1,
        tasks: Tasks::Brief,
        poll,
    }
}

fn read(program: &Program, plan: &Plan, held: &Held, work: &[usize]) -> Option<Vec<u8>> {
    let order: Vec<usize> = (0..work.len()).collect();
    let steps = strides(work, &order, ITEM);
    let guard = 64;
    let size = work.iter().product::<usize>() * ITEM;
    let mut out = vec![0xa5u8; size + 2 * guard];
    let poll = || false;
    let into = ReadInto {
        // SAFETY: the memory lives until the run is over, and the pieces of a plan do not overlap.
        memory: unsafe { Shared::new(out.as_mut_ptr(), out.len()) },
        frame: Frame {
            offset: guard as isize,
            strides: &steps,
        },
    };
    let run = Reading {
        program,
        plan,
        objects: held,
        into,
        job: job(&poll),
    };
    let done = run.read().is_ok();
    assert!(out[..guard].iter().all(|byte| *byte == 0xa5));
    assert!(out[guard + size..].iter().all(|byte| *byte == 0xa5));
    done.then(|| out[guard..guard + size].to_vec())
}

fn write(program: &Program, plan: &Plan, held: &Held, work: &[usize], value: &[u8]) {
    let order: Vec<usize> = (0..work.len()).collect();
    let steps = strides(work, &order, ITEM);
    let poll = || false;
    let from = WriteFrom {
        // SAFETY: the memory lives until the run is over and nobody writes it.
        memory: unsafe { Source::new(value.as_ptr(), value.len()) },
        frame: Frame {
            offset: 0,
            strides: &steps,
        },
    };
    let run = Writing {
        program,
        plan,
        objects: held,
        from,
        job: job(&poll),
    };
    if let Err(failure) = run.write() {
        panic!("a write of valid data failed: {}", failure.error);
    }
}

/// What `places` select of an array, element by element.
fn chosen(places: &[Vec<i64>], shape: &[usize], mut each: impl FnMut(usize, usize)) {
    let count: usize = places.iter().map(Vec::len).product();
    for number in 0..count {
        let (mut rest, mut offset, mut step) = (number, 0, 1);
        for axis in (0..shape.len()).rev() {
            offset += places[axis][rest % places[axis].len()] as usize * step;
            rest /= places[axis].len();
            step *= shape[axis];
        }
        each(number, offset);
    }
}

#[test]
fn what_is_written_is_read_and_damage_is_an_error_or_harmless() {
    fuzz("runs", |random| {
        let ndim = 1 + random.below(3);
        let most = [5, 5, 12][random.below(3)];
        let inner: Vec<usize> = (0..ndim).map(|_| 1 + random.below(most)).collect();
        let grid: Vec<usize> = (0..ndim).map(|_| 1 + random.below(3)).collect();
        let program = if random.below(2) == 0 {
            program(random, &inner)
        } else {
            sharded(random, &inner, &grid)
        };
        let shape: Vec<usize> = program
            .chunk
            .block
            .shape
            .iter()
            .map(|c| 1 + random.below(2 * c + 2))
            .collect();
        let held = Held::default();
        let mut model = vec![0u8; shape.iter().product::<usize>() * ITEM];
        for _ in 0..3 {
            let (plan, work, places) = plan(random, &shape, &program.chunk.block.shape);
            let value = random.bytes(work.iter().product::<usize>() * ITEM);
            write(&program, &plan, &held, &work, &value);
            chosen(&places, &shape, |from, to| {
                model[to * ITEM..][..ITEM].copy_from_slice(&value[from * ITEM..][..ITEM]);
            });
        }
        let (plan, work, places) = plan(random, &shape, &program.chunk.block.shape);
        let found = read(&program, &plan, &held, &work).expect("what was written is read");
        chosen(&places, &shape, |number, offset| {
            assert_eq!(
                found[number * ITEM..][..ITEM],
                model[offset * ITEM..][..ITEM]
            );
        });
        let keys: Vec<Vec<i64>> = held.0.lock().expect("no panic").keys().cloned().collect();
        for key in keys {
            let bad = random.damage(&held.0.lock().expect("no panic")[&key].clone());
            held.0.lock().expect("no panic").insert(key, bad);
        }
        let _ = read(&program, &plan, &held, &work);
    });
}

#[test]
fn an_index_of_a_shard_is_believed_only_where_it_holds() {
    fuzz("indexes", |random| {
        let made = sharded(random, &[2], &[4]);
        let shard = made.shard.as_ref().expect("it is sharded");
        let mut bytes = Vec::new();
        for _ in 0..8 {
            let number = match random.below(4) {
                0 => u64::MAX,
                1 => random.next(),
                _ => random.below(100) as u64,
            };
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        let mut encoded = Vec::new();
        let mut scratch = Scratch::default();
        shard
            .index
            .chain
            .encode(
                &mut bytes,
                &mut encoded,
                &mut scratch.stages,
                &mut scratch.between,
                &mut scratch.contexts,
            )
            .expect("an index is encoded");
        let size = random.below(300) as u64;
        if let Ok(entries) = shard.read_index(&encoded, size, &mut scratch) {
            let mut used: Vec<(u64, u64)> = entries
                .into_iter()
                .filter(|entry| *entry != (u64::MAX, u64::MAX))
                .collect();
            // Several inner chunks may have one range.
            used.sort_unstable();
            used.dedup();
            for (offset, length) in &used {
                assert!(offset.checked_add(*length).is_some_and(|end| end <= size));
            }
            for pair in used.windows(2) {
                assert!(pair[0].0 + pair[0].1 <= pair[1].0);
            }
        }
    });
}

/// The parts of a plan are public so that Python can hand them over.
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

#[test]
fn a_plan_of_no_parts_is_one_piece() {
    let plan = Plan::new(Vec::<Part>::new(), 0);
    assert_eq!(plan.size(), 1);
    assert!(plan.piece(0).chunk.is_empty());
}
