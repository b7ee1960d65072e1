//! Memory that runs out at every allocation in turn, in every chain of codecs.
//!
//! * The allocator of this program fails the n-th allocation, or all from the n-th on, for every n
//!   until a run needs no more. Small allocations then come from the reserve, as in the extension.
//! * A run that finds no memory is an error that says so. A chunk has its old value or its new one,
//!   and what is read without an error is right. An allocation that aborts ends this test.

// A test that runs out of memory may end as it likes.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;

use _native::fuzzing::{
    Block, ByteCodec, Chain, Chunk, Error, Factor, Frame, Job, Out, Plan, Program, ReadInto,
    Reading, Reserve, Result, Shard, Shared, Source, Tasks, TypedCodec, WriteFrom, Writing,
};

mod held;
use held::Held;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static FIRST: AtomicUsize = AtomicUsize::new(usize::MAX);
static ALL: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Whether the allocations of this thread never fail: those of the test itself.
    static CALM: Cell<bool> = const { Cell::new(false) };
}

struct Failing;

impl Failing {
    fn fails() -> bool {
        let first = FIRST.load(Ordering::Relaxed);
        if first == usize::MAX || CALM.with(Cell::get) {
            return false;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        number == first || number > first && ALL.load(Ordering::Relaxed)
    }
}

// SAFETY: memory is that of the system's allocator, or none.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Failing::fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Failing::fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(start, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Reserve<Failing> = Reserve(Failing);

/// Do something that is no part of the crate, and does not run out of memory.
fn calm<T>(f: impl FnOnce() -> T) -> T {
    let before = CALM.with(|calm| calm.replace(true));
    let result = f();
    CALM.with(|calm| calm.set(before));
    result
}

const ITEM: usize = 4;
/// The rows of a chunk and of the array, and the columns of both: a chunk of 80 KB, which no part of
/// the reserve has room for.
const ROWS: usize = 20;
const TOTAL: usize = 2 * ROWS;
const COLUMNS: usize = 1000;

fn block(rows: usize) -> Block {
    Block::new(vec![rows, COLUMNS], vec![0, 1], ITEM).unwrap()
}

fn chain(item: usize, codecs: Vec<ByteCodec>, typed: Vec<TypedCodec>) -> Chain {
    Chain::new(vec![0; item], true, typed, codecs)
}

fn plain(rows: usize, codecs: Vec<ByteCodec>, typed: Vec<TypedCodec>) -> Program {
    let chain = chain(ITEM, codecs, typed);
    Program {
        chunk: Chunk {
            chain: Arc::new(chain),
            block: block(rows),
        },
        shard: None,
    }
}

fn sharded(codecs: Vec<ByteCodec>, typed: Vec<TypedCodec>) -> Program {
    let outer = plain(ROWS, Vec::new(), Vec::new());
    let count = ROWS / 2;
    let index = Chunk {
        chain: Arc::new(chain(
            8,
            ByteCodec::make("crc32c", &[], "end").into_iter().collect(),
            Vec::new(),
        )),
        block: Block::new(vec![count, 1, 2], vec![0, 1, 2], 8).unwrap(),
    };
    Program {
        chunk: outer.chunk,
        shard: Some(Box::new(Shard {
            inner: Arc::new(plain(2, codecs, typed)),
            shape: vec![ROWS, COLUMNS],
            inner_shape: vec![2, COLUMNS],
            grid: vec![count, 1],
            axes: vec![0, 1],
            index_size: count * 16 + 4,
            index,
            at_start: false,
        })),
    }
}

fn codec(name: &str, numbers: &[i64], word: &str) -> ByteCodec {
    ByteCodec::make(name, numbers, word).expect("the codec is known")
}

fn delta(word: &str) -> TypedCodec {
    TypedCodec::make("delta", &[], word).expect("the codec is known")
}

fn programs() -> Vec<(String, Program)> {
    let mut all = Vec::new();
    for cname in ["blosclz", "lz4", "lz4hc", "snappy", "zlib", "zstd"] {
        for shuffle in [0, 1, 2] {
            let blosc = codec("blosc", &[5, shuffle, 4, 0, 1], cname);
            let name = format!("blosc {cname} {shuffle}");
            all.push((name, plain(ROWS, vec![blosc], Vec::new())));
        }
    }
    let chains: [(&str, Vec<TypedCodec>, Vec<ByteCodec>); 9] = [
        ("none", vec![], vec![]),
        ("zstd", vec![], vec![codec("zstd", &[1, 1], "")]),
        ("gzip", vec![], vec![codec("gzip", &[1, 1], "")]),
        ("zlib", vec![], vec![codec("zlib", &[1, 1], "")]),
        ("lz4", vec![], vec![codec("lz4", &[1], "")]),
        ("delta", vec![delta(">i4 <i8")], vec![]),
        ("crc32c", vec![], vec![codec("crc32c", &[], "end")]),
        (
            "delta zstd crc32",
            vec![delta("<i4 <i4")],
            vec![codec("zstd", &[1, 0], ""), codec("crc32", &[], "start")],
        ),
        (
            "lz4 blosc gzip",
            vec![],
            vec![
                codec("lz4", &[1], ""),
                codec("blosc", &[1, 1, 4, 0, 1], "lz4"),
                codec("gzip", &[1, 1], ""),
            ],
        ),
    ];
    for (name, typed, codecs) in chains {
        let swapped = TypedCodec::make("swap", &[4], "").into_iter();
        all.push((
            format!("{name}, swapped"),
            plain(ROWS, codecs.clone(), swapped.chain(typed.clone()).collect()),
        ));
        all.push((
            format!("{name}, sharded"),
            sharded(codecs.clone(), typed.clone()),
        ));
        all.push((name.into(), plain(ROWS, codecs, typed)));
    }
    // Their libraries allocate by themselves, so that one chain is enough.
    let slow = vec![
        codec("bz2", &[1, 1], ""),
        codec("lzma", &[1, 4, 0, 1 << 30, 0, 4], ""),
    ];
    all.push(("bz2 lzma".into(), plain(ROWS, slow, Vec::new())));
    all
}

fn span(axis: usize, start: usize, size: usize) -> Factor<'static> {
    Factor::Span {
        axis,
        start: start as i64,
        step: 1,
        size: size as i64,
        out: 0,
    }
}

/// Some rows in any order, as points.
fn points(rows: &[i64]) -> Factor<'static> {
    Factor::Points {
        axes: vec![0].into(),
        coords: vec![rows.to_vec().into()],
        out: Out::From(0),
    }
}

fn job(poll: &(dyn Fn() -> bool + Sync), threads: usize) -> Job<'_> {
    Job {
        missing: true,
        store_empty: false,
        threads,
        least: 1,
        tasks: Tasks::Brief,
        poll,
    }
}

/// Cut a selection and write it.
fn write(
    program: &Program,
    factors: &[Factor],
    held: &Held,
    value: &[u8],
    threads: usize,
) -> Result<()> {
    let plan = Plan::make(factors, &[TOTAL, COLUMNS], &[ROWS, COLUMNS])?;
    let strides = [(COLUMNS * ITEM) as isize, ITEM as isize];
    let poll = || false;
    let run = Writing {
        program,
        plan: &plan,
        objects: held,
        from: WriteFrom {
            // SAFETY: the memory lives until the run is over and nobody writes it.
            memory: unsafe { Source::new(value.as_ptr(), value.len()) },
            frame: Frame {
                offset: 0,
                strides: &strides,
            },
        },
        job: job(&poll, threads),
    };
    run.write().map(|_| ()).map_err(|failure| failure.error)
}

/// Cut a selection and read it.
fn read(
    program: &Program,
    factors: &[Factor],
    held: &Held,
    out: &mut [u8],
    threads: usize,
) -> Result<()> {
    let plan = Plan::make(factors, &[TOTAL, COLUMNS], &[ROWS, COLUMNS])?;
    let strides = [(COLUMNS * ITEM) as isize, ITEM as isize];
    let poll = || false;
    let run = Reading {
        program,
        plan: &plan,
        objects: held,
        into: ReadInto {
            // SAFETY: the memory lives until the run is over, and the pieces of a plan do not
            // overlap.
            memory: unsafe { Shared::new(out.as_mut_ptr(), out.len()) },
            frame: Frame {
                offset: 0,
                strides: &strides,
            },
        },
        job: job(&poll, threads),
    };
    run.read().map(|_| ()).map_err(|failure| failure.error)
}

/// Run a step with each allocation failing in turn, until one run has enough, and check after each.
fn starved(step: &mut dyn FnMut() -> Result<()>, check: &mut dyn FnMut(bool)) {
    for all in [false, true] {
        for first in 0.. {
            ALL.store(all, Ordering::Relaxed);
            COUNT.store(0, Ordering::Relaxed);
            FIRST.store(first, Ordering::Relaxed);
            let done: Result<()> = step();
            FIRST.store(usize::MAX, Ordering::Relaxed);
            match &done {
                Ok(()) => {}
                Err(Error { message, .. }) => {
                    assert!(message.contains("no memory"), "{message}");
                }
            }
            check(done.is_ok());
            if COUNT.load(Ordering::Relaxed) <= first {
                assert!(done.is_ok(), "there was memory enough");
                break;
            }
        }
    }
}

fn numbers(seed: u32) -> Vec<u8> {
    (0..(TOTAL * COLUMNS) as u32)
        .flat_map(|n| (1 + n / 7 + seed * (n % 13)).to_le_bytes())
        .collect()
}

#[test]
fn no_memory_is_an_error_wherever_it_is_missed() {
    let (old, new) = (numbers(1), numbers(2));
    let every = [span(0, 0, TOTAL), span(1, 0, COLUMNS)];
    let part = [span(0, 3, ROWS + 2), span(1, 0, COLUMNS)];
    let some = [points(&[30, 2, 39, 3, 2]), span(1, 0, COLUMNS)];
    let row = COLUMNS * ITEM;
    for threads in [1, 2] {
        for (name, program) in programs() {
            let held = Held::default();
            let whole = |held: &Held| {
                let mut out = vec![0; old.len()];
                read(&program, &every, held, &mut out, 1).unwrap();
                out
            };
            write(&program, &every, &held, &old, threads).unwrap();
            assert_eq!(whole(&held), old, "{name}");
            let before: HashMap<Vec<i64>, Vec<u8>> = held.0.lock().unwrap().clone();

            let mut out = vec![0; old.len()];
            starved(
                &mut || {
                    out.fill(0);
                    read(&program, &every, &held, &mut out, threads)?;
                    assert!(out == old, "{name}");
                    Ok(())
                },
                &mut |_| {},
            );
            starved(
                &mut || {
                    out.fill(0);
                    read(&program, &some, &held, &mut out, threads)?;
                    for (place, from) in [30, 2, 39, 3, 2].into_iter().enumerate() {
                        assert_eq!(
                            out[place * row..][..row],
                            old[from * row..][..row],
                            "{name}"
                        );
                    }
                    Ok(())
                },
                &mut |_| {},
            );
            for (factors, first, count) in [(&every, 0, TOTAL), (&part, 3, ROWS + 2)] {
                let mut wanted = old.clone();
                wanted[first * row..][..count * row].copy_from_slice(&new[..count * row]);
                starved(
                    &mut || {
                        calm(|| *held.0.lock().unwrap() = before.clone());
                        write(&program, factors, &held, &new, threads)
                    },
                    &mut |done| {
                        let found = whole(&held);
                        for rows in [0..ROWS * row, ROWS * row..TOTAL * row] {
                            let (found, wanted) = (&found[rows.clone()], &wanted[rows.clone()]);
                            assert!(found == wanted || !done && found == &old[rows], "{name}");
                        }
                    },
                );
            }
        }
    }
}
