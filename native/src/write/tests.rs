//! Writes go on while there is room for one object at a time, and fail cleanly if there is none.

use super::*;
use crate::copy::Source;
use crate::objects::{Last, Make, Parts, Stop};
use crate::plan::Factor;
use crate::program::{Chain, Frame};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Objects of which only so many can be staged at a time.
struct Tight {
    room: usize,
    used: Mutex<(usize, usize)>,
    values: Mutex<BTreeMap<i64, Vec<u8>>>,
    when_synced: bool,
}

struct Held<'a> {
    objects: &'a Tight,
    value: Option<(i64, Vec<u8>)>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        guard(&self.objects.used).0 -= 1;
    }
}

fn full() -> Error {
    crate::sys::failed("store", Errno::NOSPC)
}

impl Pending for Held<'_> {
    fn sync(&mut self) -> Result<()> {
        let used = guard(&self.objects.used).0;
        if self.objects.when_synced && used > self.objects.room {
            return Err(full());
        }
        Ok(())
    }

    fn publish(&mut self, _: Stop) -> Result<()> {
        guard(&self.objects.values).extend(self.value.take());
        Ok(())
    }
}

impl Objects for Tight {
    fn open<'a>(&'a self, _: &[i64]) -> Result<Option<Box<dyn Parts + 'a>>> {
        unreachable!()
    }

    fn read_into(&self, _: &[i64], _: &mut [u8]) -> Result<Option<u64>> {
        unreachable!()
    }

    fn stage<'a>(
        &'a self,
        chunk: &[i64],
        value: &mut Value,
        _: Stop,
    ) -> Result<Option<Box<dyn Pending + 'a>>> {
        let mut used = guard(&self.used);
        if !self.when_synced && used.0 >= self.room {
            return Err(full());
        }
        used.0 += 1;
        used.1 = used.1.max(used.0);
        Ok(Some(Box::new(Held {
            objects: self,
            value: Some((chunk[0], std::mem::take(value).joined()?)),
        })))
    }

    fn update(&self, _: &[i64], _: u64, _: Stop, _: Make) -> Result<()> {
        unreachable!()
    }

    fn remove(&self, _: &[i64], _: Stop) -> Result<()> {
        unreachable!()
    }

    fn settle(&self) -> Result<Vec<Last<'_>>> {
        Ok(Vec::new())
    }
}

/// Write chunks of one byte. Return the error, the chunks stored, and the most that were staged.
fn write(room: usize, count: usize, when_synced: bool) -> (Option<Error>, usize, usize) {
    let objects = Tight {
        room,
        used: Mutex::default(),
        values: Mutex::default(),
        when_synced,
    };
    let program = Program {
        chunk: Chunk {
            chain: Arc::new(Chain::new(vec![0], false, Vec::new(), Vec::new())),
            block: Block::new(vec![1], vec![0], 1).unwrap(),
        },
        shard: None,
    };
    let data: Vec<u8> = (0..count).map(|at| at as u8).collect();
    let span = Factor::Span {
        axis: 0,
        start: 0,
        step: 1,
        size: count as i64,
        out: 0,
    };
    let plan = Plan::make(&[span], &[count], &[1]).unwrap();
    let never = || false;
    let run = Run {
        program: &program,
        plan: &plan,
        objects: &objects,
        from: WriteFrom {
            // SAFETY: the data outlives the call and is not changed.
            memory: unsafe { Source::new(data.as_ptr(), data.len()) },
            frame: Frame {
                offset: 0,
                strides: &[1],
            },
        },
        job: Job {
            missing: true,
            store_empty: true,
            threads: 3,
            least: 1,
            tasks: Tasks::Brief,
            poll: &never,
        },
    };
    let error = run.write().err().map(|failure| failure.error);
    let values = owned(objects.values);
    assert!(values.iter().all(|(chunk, value)| value == &[*chunk as u8]));
    let (used, most) = owned(objects.used);
    assert_eq!(used, 0, "something is left");
    (error, values.len(), most)
}

#[test]
fn a_write_goes_on_with_room_for_one_object() {
    for when_synced in [false, true] {
        for room in [1, 2, 7] {
            let (error, stored, most) = write(room, 200, when_synced);
            assert_eq!((error, stored), (None, 200), "{room}");
            assert!(when_synced || most <= room);
        }
        let (error, stored, _) = write(0, 200, when_synced);
        assert_eq!((error, stored), (Some(full()), 0));
    }
}

#[test]
fn staged_objects_are_bounded() {
    let (error, stored, most) = write(1000, 1000, false);
    assert_eq!((error, stored), (None, 1000));
    assert!(most <= STAGED + 3, "{most}");
}

#[test]
fn turns_alternate_between_lanes_and_reach_each_piece_once() {
    for lanes in 1..=LANES {
        for count in 0..40 {
            let numbers = (0..count).map(|turn| lane(turn, count, lanes));
            let mut numbers: Vec<usize> = numbers.collect();
            if count >= 2 * lanes && lanes > 1 {
                assert!(numbers[0].abs_diff(numbers[1]) >= count / lanes);
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_thread_encodes_when_another_has_ended_or_leaves_if_it_is_stopped() {
    let encoders = Encoders::of(2, true, None);
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let mut kept = Kept::default();
                    let _encoder = encoders.enter(&|| false, &mut kept).unwrap();
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    std::thread::yield_now();
                    now.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert!(most.into_inner() <= 2);
    let mut kept: [Kept; 4] = Default::default();
    let [first, second, third, fourth] = &mut kept;
    let both = [
        encoders.enter(&|| true, first),
        encoders.enter(&|| true, second),
    ];
    assert!(both.iter().all(Result::is_ok));
    let refused = encoders.enter(&|| true, third);
    assert!(matches!(refused, Err(error) if error == Error::interrupted()));
    drop(both);
    assert!(encoders.enter(&|| true, fourth).is_ok());
}

#[test]
fn threads_that_encode_in_turn_use_the_buffers_of_those_before_them() {
    let [mut first, mut second, mut third] = <[Kept; 3]>::default();
    let encoders = Encoders::of(2, true, None);
    let never = || false;
    let mut encoder = encoders.enter(&never, &mut first).unwrap();
    encoder.kept().scratch.decoded = vec![7; 100];
    drop(encoder);
    let mut encoder = encoders.enter(&never, &mut second).unwrap();
    assert_eq!(encoder.kept().scratch.decoded, [7; 100]);
    // A chunk that is not compressed takes its buffer along, which the thread gets back later.
    let taken = std::mem::take(&mut encoder.kept().scratch.decoded);
    drop(encoder);
    second.scratch.decoded = taken;
    let mut encoder = encoders.enter(&never, &mut second).unwrap();
    assert_eq!(encoder.kept().scratch.decoded, [7; 100]);
    drop(encoder);
    assert_eq!(second.scratch.footprint(), 0);

    let apart = Encoders::of(2, false, None);
    let mut encoder = apart.enter(&never, &mut third).unwrap();
    encoder.kept().scratch.decoded = vec![7; 100];
    drop(encoder);
    assert_eq!(third.scratch.decoded, [7; 100]);
}
