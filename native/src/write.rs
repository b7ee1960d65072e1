//! Write the chunks of a plan: each is gathered, encoded and stored.
//!
//! * No two pieces of a plan are the same object, so workers never wait for each other's.
//! * Of several chunks each is one worker's. One chunk, or the inner chunks of one shard, are split
//!   among the workers.

use std::borrow::Cow;
use std::sync::Mutex;

use crate::copy;
use crate::encode;
use crate::error::{Kind, Result};
use crate::job::{guard, owned, shared, spread, Failure, Failures, Job, Kept, WriteFrom};
use crate::objects::{Objects, Pending, Value};
use crate::plan::{Piece, Plan};
use crate::pool::{self, Tasks};
use crate::program::{grow, Block, Chunk, Program, Shard, MISSING};

/// How many threads wait for the disk at a time, which takes no processor.
const SYNCS: usize = 8;
/// The most objects that are written and not yet published.
const PENDING: usize = 128;

/// An object that is not yet published, and its chunk.
type Waiting<'a> = Option<(Vec<i64>, Box<dyn Pending + 'a>)>;

/// The number of an inner chunk in its shard, and its bytes unless it holds only the fill value.
type Encoded = (usize, Option<Vec<u8>>);

/// What is the same for all pieces of one call.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// How chunks are encoded.
    pub program: &'a Program,
    /// What is written.
    pub plan: &'a Plan,
    /// Where chunks are stored.
    pub objects: &'a dyn Objects,
    /// The memory that holds the elements.
    pub from: WriteFrom<'a>,
    /// What the chunks have in common.
    pub job: Job<'a>,
}

impl<'a> Run<'a> {
    /// Write all chunks of the plan. Return `Ok(false)` if `poll` ended the run.
    pub fn write(&self) -> std::result::Result<bool, Failure> {
        let Run {
            plan, objects, job, ..
        } = *self;
        let failures = Failures::default();
        let mut first = 0;
        let mut done = true;
        while done && first < plan.size() {
            let batch = (plan.size() - first).min(PENDING);
            let slots: Vec<Mutex<Waiting>> = (0..batch).map(|_| Mutex::new(None)).collect();
            let store = |number: usize, kept: &mut Kept| {
                let piece = plan.piece(first + number);
                let pending = self
                    .store_piece(&piece, kept)
                    .map_err(|error| (piece.chunk.clone(), error))?;
                *guard(&slots[number]) = pending.map(|pending| (piece.chunk, pending));
                Ok(())
            };
            done = if plan.size() == 1 {
                if let Err((chunk, error)) = pool::kept(|kept| store(0, kept)) {
                    failures.add(&chunk, error);
                }
                true
            } else {
                spread(batch, job.threads, &job, &failures, &store)
            };
            done = done && failures.is_empty();
            let pending: Vec<Mutex<Waiting>> = slots
                .into_iter()
                .filter(|slot| guard(slot).is_some())
                .collect();
            done = done && publish(&pending, &job, &failures);
            first += batch;
        }
        if done {
            if let Err(error) = objects.settle() {
                failures.add(&[], error);
            }
        }
        failures.first().map_or(Ok(done), Err)
    }

    /// Encode and store what a piece changes of its object.
    fn store_piece(&self, piece: &Piece, kept: &mut Kept) -> Result<Option<Box<dyn Pending + 'a>>> {
        let Run {
            program,
            objects,
            job,
            ..
        } = *self;
        let threads = if self.plan.size() == 1 {
            job.threads
        } else {
            1
        };
        let run = self.on(threads);
        if covers(piece, &program.chunk.block) {
            let data = run.write_chunk(program, None, piece, kept)?;
            return match data {
                Some(value) => objects.stage(&piece.chunk, value, job.poll),
                None => objects.remove(&piece.chunk, job.poll).map(|()| None),
            };
        }
        // A thread that holds a lock must not wait for workers, which may be waiting for that very
        // lock: it works along.
        let mut run = run;
        run.job.tasks = Tasks::Brief;
        objects.update(&piece.chunk, job.poll, &mut |old| {
            match run.write_chunk(program, old, piece, kept) {
                // All elements inside the array are replaced. Those outside are kept for a larger
                // shape that this handle may not know of, but are no reason to refuse the write.
                Err(error) if piece.whole && error.kind == Kind::Codec => {
                    run.write_chunk(program, None, piece, kept)
                }
                data => data,
            }
        })?;
        Ok(None)
    }

    /// Return the same run on another number of threads.
    fn on(&self, threads: usize) -> Self {
        Run {
            job: Job {
                threads,
                ..self.job
            },
            ..*self
        }
    }

    /// Return the encoded chunk with the piece's elements in it, or `None` if it holds only the fill
    /// value.
    fn write_chunk<'o>(
        &self,
        program: &Program,
        old: Option<&'o [u8]>,
        piece: &Piece,
        kept: &mut Kept,
    ) -> Result<Option<Value<'o>>> {
        if let Some(shard) = &program.shard {
            return self.write_shard(shard, old, piece, kept);
        }
        let (chunk, job) = (&program.chunk, &self.job);
        let Chunk { chain, block } = chunk;
        let Kept { scratch, offsets } = kept;
        let mut buffer = std::mem::take(&mut scratch.decoded);
        grow(&mut buffer, block.nbytes);
        let mut change = |bytes: &mut [u8]| {
            match old {
                _ if covers(piece, block) => {}
                Some(data) => {
                    chunk.decode(data, bytes, &mut scratch.stages, &mut scratch.contexts)?;
                }
                None => {
                    for item in bytes.chunks_exact_mut(chain.item) {
                        item.copy_from_slice(&chain.fill);
                    }
                }
            }
            encode::gather(chunk, piece, self.from, bytes, job, offsets)?;
            if chain.sparse && !job.store_empty && copy::is_fill(bytes, &chain.fill) {
                return Ok(None);
            }
            encode::encode(chain, bytes, job, scratch).map(|bytes| Some(bytes.into()))
        };
        let encoded = change(&mut buffer[..block.nbytes]);
        scratch.decoded = buffer;
        encoded
    }

    fn write_shard<'o>(
        &self,
        shard: &Shard,
        old: Option<&'o [u8]>,
        piece: &Piece,
        kept: &mut Kept,
    ) -> Result<Option<Value<'o>>> {
        let inside = shard.turned_extent(&piece.extent());
        let plan = Plan::make(&shard.turned(&piece.factors), &inside, &shard.inner_shape);
        let mut pieces: Vec<Option<Cow<'o, [u8]>>> = vec![None; shard.count()];
        if let Some(data) = old {
            let size = data.len() as u64;
            let start = shard.index_offset(size)? as usize;
            let index = shard.read_index(
                &data[start..start + shard.index_size],
                size,
                &mut kept.scratch,
            )?;
            for (slot, (offset, bytes)) in pieces.iter_mut().zip(index) {
                if (offset, bytes) != (MISSING, MISSING) {
                    // The index was checked against the size of the data.
                    *slot = Some(Cow::Borrowed(
                        &data[offset as usize..(offset + bytes) as usize],
                    ));
                }
            }
        }
        let run = self.on(1);
        let results: Vec<Mutex<Option<Encoded>>> =
            (0..plan.size()).map(|_| Mutex::new(None)).collect();
        let one = |number: usize, kept: &mut Kept| -> Result<()> {
            let inner = plan.piece(number);
            let place = shard.number(&inner.chunk);
            let before = pieces[place].as_deref();
            let new = run
                .write_chunk(&shard.inner, before, &inner, kept)
                .map_err(|error| error.in_inner_chunk(&inner.chunk))?;
            *guard(&results[number]) = Some((place, new.map(Value::joined)));
            Ok(())
        };
        if self.job.threads > 1 {
            shared(plan.size(), &self.job, &one)?;
        } else {
            for number in 0..plan.size() {
                one(number, kept)?;
            }
        }
        for (place, new) in results.into_iter().filter_map(owned) {
            pieces[place] = new.map(Cow::Owned);
        }
        if pieces.iter().all(Option::is_none) {
            return Ok(None);
        }
        shard.assemble(pieces, &mut kept.scratch).map(Some)
    }
}

/// Whether a piece leaves nothing of its chunk as it was, outside of the array included.
fn covers(piece: &Piece, block: &Block) -> bool {
    piece.whole && piece.extent() == block.shape
}

/// Sync objects, all of them before the first is published: the disk handles many at a time.
fn publish(pending: &[Mutex<Waiting>], job: &Job, failures: &Failures) -> bool {
    let sync = |number: usize, _: &mut Kept| match &mut *guard(&pending[number]) {
        Some((chunk, object)) => object.sync().map_err(|error| (chunk.clone(), error)),
        None => Ok(()),
    };
    let publish = |number: usize, _: &mut Kept| match guard(&pending[number]).take() {
        Some((chunk, object)) => object.publish(job.poll).map_err(|error| (chunk, error)),
        None => Ok(()),
    };
    pending.is_empty()
        || spread(pending.len(), job.threads.max(SYNCS), job, failures, &sync)
            && failures.is_empty()
            && spread(pending.len(), job.threads, job, failures, &publish)
}
