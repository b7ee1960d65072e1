//! Untrusted bytes: whole programs, the index of a shard, the copy loop.
//!
//! * What is written is read again, and then the stored bytes are damaged. Whatever the result, a read
//!   gives the elements that were stored, or others of the same number, or an error.

// A test that runs out of memory may end as it likes.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::sync::Arc;

use _native::fuzzing::{
    Block, ByteCodec, Chain, Chunk, Factor, Frame, Job, Out, Part, Plan, Program, ReadInto,
    Reading, Scratch, Shard, Shared, Source, Tasks, WriteFrom, Writing,
};

mod held;
use held::Held;
mod random;
use random::{byte_codecs, fuzz, typed_codecs, Random};

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
fn a_plan_of_no_parts_is_one_piece() {
    let plan = Plan::new(Vec::<Part>::new(), 0);
    assert_eq!(plan.size(), 1);
    assert!(plan.piece(0).chunk.is_empty());
}
