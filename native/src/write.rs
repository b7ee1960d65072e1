//! Write the chunks of a plan: each is gathered, encoded and stored.
//!
//! * No two pieces of a plan are the same object, so workers never wait for each other's.
//! * Of several chunks each is one worker's. One chunk, or the inner chunks of one shard, are split
//!   among the workers.
//! * Objects that must be synced before they take their places are staged: some are written, then
//!   all of these synced, then published. Their number and their bytes are bounded.
//! * Threads that wait for a store may be many, but only as many as there are processors encode at a
//!   time: more would take the processors' caches from each other. Those that do use the same few
//!   buffers and contexts, which are still in the caches.
//! * If descriptors or space run out, what is staged is published, which gives both back, and what
//!   has failed is done again, one object at a time.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::copy;
use crate::encode;
use crate::error::{Error, Kind, Result};
use crate::job::{guard, owned, shared, spread, Failure, Failures, Job, Kept, WriteFrom};
use crate::memory;
use crate::objects::{Objects, Pending, Stop, Value};
use crate::patch::{patch, Patched};
use crate::plan::{Piece, Plan};
use crate::pool::{self, Tasks};
use crate::program::{Block, Chunk, Program, Shard, MISSING};
use crate::scarce::{self, Share};

/// How many threads wait for the disk at a time, which takes no processor.
const SYNCS: usize = 8;
/// The most objects that are staged, and the bytes after which no more are.
const STAGED: usize = 128;
const STAGED_BYTES: usize = 256 << 20;
/// The bytes of chunks that more threads than there are processors may work on.
const WAITING_BYTES: usize = 64 << 20;
/// The most lanes of pieces: the folder of each stays open.
const LANES: usize = 4;
/// The most pieces that are shared out at a time.
const ROUND: usize = 1024;

const STAGE: &str = "encode";
/// How long a thread waits for its turn to encode before it asks whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// The number of a piece, and its object, which is not yet published.
type Waiting<'a> = (usize, Box<dyn Pending + 'a>);

/// The objects that are staged.
#[derive(Default)]
struct Stage<'a> {
    objects: Vec<Waiting<'a>>,
    bytes: usize,
    share: Option<Share>,
    /// The pieces that have failed for want of descriptors or space, and how.
    failed: Vec<(usize, Error)>,
}

impl Stage<'_> {
    /// Whether what is staged must be published before another piece is stored.
    fn full(&self) -> bool {
        let most = self.share.as_ref().map_or(STAGED, Share::count);
        !self.failed.is_empty() || self.objects.len() >= most || self.bytes >= STAGED_BYTES
    }
}

/// The threads of one call that encode.
struct Encoders {
    free: Mutex<Free>,
    freed: Condvar,
    /// The memory of values that are stored.
    values: Mutex<Vec<Vec<u8>>>,
    /// Whether threads encode in turn, so that they do not need buffers of their own.
    in_turn: bool,
}

/// How many more threads may begin, and what those before them have kept.
struct Free {
    threads: usize,
    kept: Vec<Kept>,
}

impl Encoders {
    /// Make those of a call on so many threads.
    fn new(threads: usize) -> Encoders {
        // The system is asked once, for that takes longer than to store a small chunk.
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        let most = *PROCESSORS.get_or_init(pool::processors);
        let in_turn = threads > most;
        let first = in_turn.then(|| pool::kept(std::mem::take));
        Encoders::of(most, in_turn, first)
    }

    /// Let so many encode at a time; the first of those in turn has the buffers of `first`.
    fn of(threads: usize, in_turn: bool, first: Option<Kept>) -> Encoders {
        let kept = first.into_iter().collect();
        Encoders {
            free: Mutex::new(Free { threads, kept }),
            values: Mutex::default(),
            freed: Condvar::new(),
            in_turn,
        }
    }

    /// Let the caller's thread keep the buffers of one that has encoded.
    fn end(self) {
        if let Some(last) = owned(self.free).kept.pop() {
            pool::kept(|kept| *kept = last);
        }
    }

    /// Use the memory of a value, which is stored, for another one. `own` is what the thread keeps.
    fn give(&self, value: Vec<u8>, own: &mut Kept) {
        if self.in_turn {
            guard(&self.values).push(value);
        } else {
            own.scratch.encoded = value;
        }
    }

    /// Wait until this thread may encode, which it may until the result is dropped. `own` is what
    /// the thread keeps.
    fn enter<'a>(&'a self, stop: Stop, own: &'a mut Kept) -> Result<Encoder<'a>> {
        loop {
            let mut free = guard(&self.free);
            if free.threads > 0 {
                free.threads -= 1;
                let mut lent = self.in_turn.then(|| free.kept.pop().unwrap_or_default());
                drop(free);
                if let Some(Kept { scratch, .. }) = &mut lent {
                    if scratch.encoded.capacity() == 0 {
                        scratch.encoded = guard(&self.values).pop().unwrap_or_default();
                    }
                    // The last value has taken the buffer with it, and that of this thread is back.
                    if scratch.decoded.capacity() == 0 {
                        std::mem::swap(&mut scratch.decoded, &mut own.scratch.decoded);
                    }
                }
                return Ok(Encoder {
                    all: self,
                    own,
                    lent,
                });
            }
            let waited = self.freed.wait_timeout(free, LOOK);
            let (free, late) = waited.unwrap_or_else(PoisonError::into_inner);
            drop(free);
            if late.timed_out() && stop() {
                return Err(Error::interrupted());
            }
        }
    }
}

/// One thread that encodes.
struct Encoder<'a> {
    all: &'a Encoders,
    own: &'a mut Kept,
    lent: Option<Kept>,
}

impl Encoder<'_> {
    /// Return the buffers and contexts to encode with.
    fn kept(&mut self) -> &mut Kept {
        self.lent.as_mut().unwrap_or(self.own)
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        let mut free = guard(&self.all.free);
        free.threads += 1;
        free.kept.extend(self.lent.take());
        drop(free);
        self.all.freed.notify_one();
    }
}

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
        let Run { plan, job, .. } = *self;
        let failures = Failures::default();
        // The first piece that no worker has taken.
        let next = AtomicUsize::new(0);
        let lanes = job.threads.clamp(1, LANES);
        let mut done = true;
        let encoders = Encoders::new(job.threads.min(plan.size()));
        while done && next.load(Ordering::Relaxed) < plan.size() {
            let stage = Mutex::new(Stage::default());
            let store = |_: usize, kept: &mut Kept| {
                if guard(&stage).full() {
                    return Ok(());
                }
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let number = lane(turn, plan.size(), lanes);
                match self.store_piece(number, kept, &stage, &encoders) {
                    Err(error) if scarce::ran_out(&error) => {
                        guard(&stage).failed.push((number, error));
                    }
                    Err(error) => return Err((plan.piece(number).chunk, error)),
                    Ok(()) => {}
                }
                Ok(())
            };
            done = if plan.size() == 1 {
                if let Err((chunk, error)) = pool::kept(|kept| store(0, kept)) {
                    failures.add(&chunk, error);
                }
                true
            } else {
                let left = plan.size() - next.load(Ordering::Relaxed);
                let (threads, _share) = self.threads();
                spread(left.min(ROUND), threads, &job, &failures, &store)
            };
            let mut stage = owned(stage);
            done = done && failures.is_empty() && self.publish(&mut stage, &failures);
            for (number, _) in stage.failed {
                done = done && self.store_alone(number, &failures);
            }
        }
        done = done && self.settle(&failures);
        encoders.end();
        pool::kept(Kept::trim);
        failures.first().map_or(Ok(done), Err)
    }

    /// Return the number of threads that work on pieces, and their share of descriptors. Those that
    /// read an object, change it and sync it wait most of the time, so there may be more of them.
    fn threads(&self) -> (usize, Option<Share>) {
        let (plan, block) = (self.plan, &self.program.chunk.block);
        let partial = |number| {
            let piece = plan.piece(number);
            let program = self.program.of(&piece);
            program.map_or(true, |program| !covers(&piece, &program.chunk.block))
        };
        let most = SYNCS.min(WAITING_BYTES / block.nbytes.max(1));
        let more = most > self.job.threads
            && self.objects.waits()
            && (partial(0) || partial(plan.size() - 1));
        let share = more.then(|| Share::take(most));
        let most = share.as_ref().map_or(1, Share::count);
        (self.job.threads.max(most), share)
    }

    /// Store a piece again that has failed for want of descriptors or space, while nothing is staged.
    fn store_alone(&self, number: usize, failures: &Failures) -> bool {
        let stored = scarce::again(self.job.poll, || {
            self.objects.release();
            let stage = Mutex::new(Stage::default());
            let found = Failures::default();
            let store = |_: usize, kept: &mut Kept| {
                self.store_piece(number, kept, &stage, &Encoders::new(1))
                    .map_err(|error| (Vec::new(), error))
            };
            let mut done = spread(1, 1, &self.job, &found, &store) && found.is_empty();
            let mut stage = owned(stage);
            done = done && self.publish(&mut stage, &found);
            let failed = stage.failed.pop().map(|(_, error)| error);
            match found.first().map(|failure| failure.error).or(failed) {
                Some(error) => Err(error),
                None if done => Ok(()),
                None => Err(Error::interrupted()),
            }
        });
        if let Err(error) = stored {
            failures.add(&self.plan.piece(number).chunk, error);
        }
        failures.is_empty()
    }

    /// Sync what is staged, all of it before the first is published: the disk handles many at a time.
    /// What cannot be synced for want of space is dropped, and its piece has failed.
    fn publish(&self, stage: &mut Stage, failures: &Failures) -> bool {
        let job = &self.job;
        let slots: Vec<Mutex<Option<Waiting>>> = std::mem::take(&mut stage.objects)
            .into_iter()
            .map(|object| Mutex::new(Some(object)))
            .collect();
        if slots.is_empty() {
            return true;
        }
        let failed = Mutex::new(std::mem::take(&mut stage.failed));
        let chunk = |number| self.plan.piece(number).chunk;
        let sync = |at: usize, _: &mut Kept| {
            let mut slot = guard(&slots[at]);
            let Some((number, object)) = &mut *slot else {
                return Ok(());
            };
            match object.sync() {
                Err(error) if scarce::ran_out(&error) => {
                    guard(&failed).push((*number, error));
                    *slot = None;
                }
                Err(error) => return Err((chunk(*number), error)),
                Ok(()) => {}
            }
            Ok(())
        };
        let publish = |at: usize, _: &mut Kept| {
            let mut slot = guard(&slots[at]);
            let Some((number, object)) = &mut *slot else {
                return Ok(());
            };
            match object.publish(job.poll) {
                // It stays for a second attempt.
                Err(error) if scarce::ran_out(&error) => return Ok(()),
                Err(error) => return Err((chunk(*number), error)),
                Ok(()) => {}
            }
            *slot = None;
            Ok(())
        };
        let mut done = spread(slots.len(), job.threads.max(SYNCS), job, failures, &sync)
            && failures.is_empty();
        stage.failed = owned(failed);
        // What is synced is closed.
        stage.share = None;
        done = done
            && spread(slots.len(), job.threads, job, failures, &publish)
            && failures.is_empty();
        for (number, mut object) in slots.into_iter().filter_map(owned) {
            if !done {
                break;
            }
            let published = scarce::again(job.poll, || {
                self.objects.release();
                object.publish(job.poll)
            });
            if let Err(error) = published {
                failures.add(&chunk(number), error);
                done = false;
            }
        }
        done
    }

    /// Take the last steps of the call. They wait for the disk together.
    fn settle(&self, failures: &Failures) -> bool {
        let steps = match self.objects.settle() {
            Ok(steps) => steps,
            Err(error) => {
                failures.add(&[], error);
                return false;
            }
        };
        let failed = Mutex::new(Vec::new());
        let take = |number: usize, _: &mut Kept| match steps[number]() {
            Err(error) if scarce::ran_out(&error) => {
                guard(&failed).push(number);
                Ok(())
            }
            taken => taken.map_err(|error| (Vec::new(), error)),
        };
        let done = spread(steps.len(), SYNCS, &self.job, failures, &take);
        for number in owned(failed) {
            if let Err(error) = scarce::again(self.job.poll, || steps[number]()) {
                failures.add(&[], error);
            }
        }
        done && failures.is_empty()
    }

    /// Encode and store what a piece changes of its object.
    fn store_piece(
        &self,
        number: usize,
        kept: &mut Kept,
        stage: &Mutex<Stage<'a>>,
        encoders: &Encoders,
    ) -> Result<()> {
        let piece = &self.plan.piece(number);
        let Run { objects, job, .. } = *self;
        let program = &self.program.of(piece)?;
        let threads = if self.plan.size() == 1 {
            job.threads
        } else {
            1
        };
        let run = self.on(threads);
        let _admitted = objects.admit(job.poll)?;
        if covers(piece, &program.chunk.block) {
            let mut encoder = encoders.enter(job.poll, kept)?;
            let encoded = run.write_chunk(program, None, piece, encoder.kept())?;
            // A chunk that is not compressed is the value itself.
            let is_value = encoder.kept().scratch.decoded.capacity() == 0;
            drop(encoder);
            let Some(mut value) = encoded else {
                return objects.remove(&piece.chunk, job.poll);
            };
            let size = value.size();
            let staged = objects.stage(&piece.chunk, &mut value, job.poll)?;
            let memory = value.memory().unwrap_or_default();
            if is_value {
                kept.scratch.decoded = memory;
            } else {
                encoders.give(memory, kept);
            }
            if let Some(object) = staged {
                let mut stage = guard(stage);
                if self.plan.size() > 1 {
                    stage.share.get_or_insert_with(|| Share::take(STAGED));
                }
                stage.objects.push((number, object));
                stage.bytes += size;
            }
            return Ok(());
        }
        // A thread that holds a lock must not wait for workers, which may be waiting for that very
        // lock: it works along.
        let mut run = run;
        run.job.tasks = Tasks::Brief;
        let most = match &program.shard {
            Some(_) => u64::MAX,
            None => program.chunk.most_stored(),
        };
        objects.update(&piece.chunk, most, job.poll, &mut |old| {
            let mut encoder = encoders.enter(job.poll, kept)?;
            let kept = encoder.kept();
            match run.write_chunk(program, old, piece, kept) {
                // All elements inside the array are replaced. Those outside are kept for a larger
                // shape that this handle may not know of, but are no reason to refuse the write.
                Err(error) if piece.whole && error.kind == Kind::Codec => {
                    run.write_chunk(program, None, piece, kept)
                }
                data => data,
            }
        })
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
        if let Some(data) = old.filter(|_| !covers(piece, block)) {
            chunk.stored_size(data.len() as u64)?;
        }
        let mut buffer = std::mem::take(&mut kept.scratch.decoded);
        if let Err(error) = memory::grown(&mut buffer, block.nbytes, STAGE) {
            kept.scratch.decoded = buffer;
            return Err(error);
        }
        if let Some(data) = old.filter(|_| !covers(piece, block)) {
            let bytes = &mut buffer[..block.nbytes];
            let done = match patch(chunk, data, piece, self.from, bytes, job, kept) {
                Ok(Patched::Not) => None,
                Ok(Patched::Empty) => Some(Ok(None)),
                Ok(Patched::Value(value)) => Some(Ok(Some(value))),
                Err(error) => Some(Err(error)),
            };
            if let Some(done) = done {
                kept.scratch.decoded = buffer;
                return done;
            }
        }
        let Kept {
            scratch, offsets, ..
        } = kept;
        let mut change = |bytes: &mut [u8]| {
            match old {
                _ if covers(piece, block) => {}
                Some(data) => {
                    chunk.decode(data, bytes, scratch, job.poll)?;
                }
                None => {
                    for item in bytes.chunks_exact_mut(chain.item) {
                        item.copy_from_slice(&chain.fill);
                    }
                }
            }
            encode::gather(chunk, piece, self.from, bytes, job, offsets)?;
            Ok(chain.sparse && !job.store_empty && copy::is_fill(bytes, &chain.fill))
        };
        let encoded = match change(&mut buffer[..block.nbytes]) {
            Err(error) => Err(error),
            Ok(true) => Ok(None),
            Ok(false) => encode::encode(chain, &mut buffer, block.nbytes, job, scratch)
                .map(|bytes| Some(bytes.into())),
        };
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
        let plan = Plan::make(&shard.turned(&piece.factors), &inside, &shard.inner_shape)?;
        let missing = (0..shard.count()).map(|_| None::<Cow<'o, [u8]>>);
        let mut pieces = memory::collected(missing, STAGE)?;
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
        let results = (0..plan.size()).map(|_| Mutex::new(None::<Encoded>));
        let results = memory::collected(results, STAGE)?;
        let one = |number: usize, kept: &mut Kept| -> Result<()> {
            let inner = plan.piece(number);
            let place = shard.number(&inner.chunk);
            let before = pieces[place].as_deref();
            let new = run
                .write_chunk(&shard.inner, before, &inner, kept)
                .map_err(|error| error.in_inner_chunk(&inner.chunk))?;
            *guard(&results[number]) = Some((place, new.map(Value::joined).transpose()?));
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

/// Return the number of the piece that has a turn. Turns alternate between lanes, which are ranges of
/// pieces, so that threads create files in different folders: a folder is locked for each.
fn lane(turn: usize, count: usize, lanes: usize) -> usize {
    let (each, more) = (count / lanes, count % lanes);
    let (lane, at) = if turn < lanes * each {
        (turn % lanes, turn / lanes)
    } else {
        (turn - lanes * each, each)
    };
    lane * each + lane.min(more) + at
}

/// Whether a piece leaves nothing of its chunk as it was, outside of the array included.
fn covers(piece: &Piece, block: &Block) -> bool {
    piece.whole && piece.extent() == block.shape
}

#[cfg(all(test, unix))]
mod tests;
