//! Read the chunks of a plan, and of shards no more than is asked for.
//!
//! * A shard adds one round: its index is read, its inner chunks become pieces like any others, and
//!   the workers share them out evenly whatever shard they are of.
//! * Memory is bounded by what the workers hold: of a shard only its index and the inner chunks under
//!   way are in memory.

use crate::chunk::{Program, Scratch};
use crate::copy;
use crate::error::{Error, Kind, Result};
use crate::objects::{Objects, Parts};
use crate::plan::{Piece, Plan};
use crate::run::{inside, spread, Failure, Failures, Into, Job, Local};
use crate::shard::{Entry, Shard, MISSING};
use std::sync::Mutex;

/// At most this many shards are open at a time.
const OPEN: usize = 64;

/// Read all chunks of a plan. `Ok(false)` if the run was ended by `poll`.
pub fn read(
    program: &Program,
    plan: &Plan,
    objects: &dyn Objects,
    into: Into,
    job: &Job,
) -> std::result::Result<bool, Failure> {
    let failures = Failures::default();
    let done = match &program.shard {
        None => spread(
            plan.size(),
            job.threads,
            job,
            &failures,
            &|number, local| {
                let piece = plan.piece(number);
                read_piece(program, objects, &piece, into, job, local)
                    .map_err(|error| (piece.chunk.clone(), error))
            },
        ),
        Some(shard) => read_shards(program, shard, plan, objects, into, job, &failures),
    };
    failures.first().map_or(Ok(done), Err)
}

fn read_piece(
    program: &Program,
    objects: &dyn Objects,
    piece: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let Local { scratch, offsets } = local;
    let factors = offsets.factors(&piece.factors, &program.strides, into.frame);
    let mut target = into.memory.target();
    if program.plain() {
        let rows = copy::contiguous_rows(program.item, &factors, program.nbytes, into.len);
        if let Some(rows) = rows.filter(|rows| rows.count == 1) {
            let run = target.run(rows.offset(0), rows.run)?;
            return match objects.read_into(&piece.chunk, run)? {
                Some(size) if size == program.nbytes as u64 => Ok(()),
                Some(size) => Err(program.wrong_size(size as usize)),
                None => fill(program, &factors, into, job),
            };
        }
        let part = copy::source_extent(program.item, &factors, program.nbytes);
        if let Some(part) = part.filter(|part| 4 * part.len() < program.nbytes) {
            return match objects.open(&piece.chunk)? {
                Some(object) if object.size() == program.nbytes as u64 => {
                    let bytes = object.read(part.start as u64, part.len(), &mut scratch.file)?;
                    let moved = shifted(&factors, part.start);
                    copy::copy((&*bytes).into(), &mut target, program.item, &moved, None)
                }
                Some(object) => Err(program.wrong_size(object.size() as usize)),
                None => fill(program, &factors, into, job),
            };
        }
    }
    let mut buffer = std::mem::take(&mut scratch.file);
    let found = match objects.read(&piece.chunk, &mut buffer) {
        Ok(Some(bytes)) => program.place(&bytes, &factors, &mut target, into.len, scratch),
        Ok(None) => fill(program, &factors, into, job),
        Err(error) => Err(error),
    };
    scratch.file = buffer;
    found
}

/// Give factors whose source begins so many bytes later.
fn shifted<'a>(factors: &[copy::Factor<'a>], start: usize) -> Vec<copy::Factor<'a>> {
    let mut moved = factors.to_vec();
    let mut rest = start as isize;
    for factor in &mut moved {
        if let copy::Factor::Span { src_offset, .. } = factor {
            *src_offset -= std::mem::take(&mut rest);
        }
    }
    if rest != 0 {
        moved.push(copy::Factor::Span {
            src_offset: -rest,
            src_stride: 0,
            len: 1,
            dst_offset: 0,
            dst_stride: 0,
        });
    }
    moved
}

fn fill(program: &Program, factors: &[copy::Factor], into: Into, job: &Job) -> Result<()> {
    if !job.missing {
        return Err(Error {
            kind: Kind::Missing,
            stage: "fetch",
            message: String::new(),
        });
    }
    copy::fill(&mut into.memory.target(), factors, &program.fill)
}

/// A shard that is being read: what is asked of it, its bytes and its index.
struct Opened<'a> {
    piece: Piece<'a>,
    plan: Plan,
    stored: Option<(Box<dyn Parts + 'a>, Vec<Entry>)>,
}

fn read_shards(
    program: &Program,
    shard: &Shard,
    plan: &Plan,
    objects: &dyn Objects,
    into: Into,
    job: &Job,
    failures: &Failures,
) -> bool {
    let mut first = 0;
    while first < plan.size() {
        let batch = (plan.size() - first).min(OPEN);
        let slots: Vec<Mutex<Option<Opened>>> = (0..batch).map(|_| Mutex::new(None)).collect();
        let done = spread(batch, job.threads, job, failures, &|number, local| {
            let piece = plan.piece(first + number);
            let chunk = piece.chunk.clone();
            let opened = open_shard(program, shard, objects, piece, into, job, local)
                .map_err(|error| (chunk, error))?;
            *slots[number]
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = opened;
            Ok(())
        });
        if !done {
            return false;
        }
        let opened: Vec<Opened> = slots
            .into_iter()
            .filter_map(|slot| {
                slot.into_inner()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
            })
            .collect();
        let mut ends = Vec::with_capacity(opened.len());
        let mut total = 0;
        for shard in &opened {
            total += shard.plan.size();
            ends.push(total);
        }
        let done = spread(total, job.threads, job, failures, &|number, local| {
            let which = ends.partition_point(|end| *end <= number);
            let found = &opened[which];
            let before = if which == 0 { 0 } else { ends[which - 1] };
            let inner = found.plan.piece(number - before);
            let stored = found
                .stored
                .as_ref()
                .map(|(parts, index)| (parts.as_ref(), index.as_slice()));
            read_inner(shard, stored, &inner, into, job, local)
                .map_err(|error| (found.piece.chunk.clone(), error))
        });
        if !done {
            return false;
        }
        first += batch;
    }
    true
}

/// Read the index of a shard; `None` if the shard is not stored, and its place is filled then.
fn open_shard<'a>(
    program: &Program,
    shard: &Shard,
    objects: &'a dyn Objects,
    piece: Piece<'a>,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<Option<Opened<'a>>> {
    let Some(parts) = objects.open(&piece.chunk)? else {
        let factors = local
            .offsets
            .factors(&piece.factors, &program.strides, into.frame);
        fill(program, &factors, into, job)?;
        return Ok(None);
    };
    let index = load_index(shard, parts.as_ref(), &mut local.scratch)?;
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &shard.shape,
        &shard.inner_shape,
    );
    Ok(Some(Opened {
        piece,
        plan,
        stored: Some((parts, index)),
    }))
}

fn load_index(shard: &Shard, parts: &dyn Parts, scratch: &mut Scratch) -> Result<Vec<Entry>> {
    let offset = shard.index_offset(parts.size())?;
    let mut buffer = std::mem::take(&mut scratch.file);
    let index = parts
        .read(offset, shard.index_size, &mut buffer)
        .and_then(|bytes| shard.read_index(&bytes, parts.size(), scratch));
    scratch.file = buffer;
    index
}

/// Read what is asked of one inner chunk; a nested shard is read on the spot.
fn read_inner(
    shard: &Shard,
    stored: Option<(&dyn Parts, &[Entry])>,
    inner: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let entry = stored.and_then(|(parts, index)| {
        let (offset, size) = index[shard.number(&inner.chunk)];
        (offset != MISSING || size != MISSING).then_some((parts, offset, size as usize))
    });
    let program = &shard.inner;
    let found = match (entry, &program.shard) {
        (None, _) => {
            let factors = local
                .offsets
                .factors(&inner.factors, &program.strides, into.frame);
            return fill(program, &factors, into, job);
        }
        (Some((parts, offset, size)), Some(nested)) => {
            let window = Window {
                parts,
                offset,
                size: size as u64,
            };
            read_nested(nested, &window, inner, into, job, local)
        }
        (Some((parts, offset, size)), None) => {
            let Local { scratch, offsets } = local;
            let factors = offsets.factors(&inner.factors, &program.strides, into.frame);
            let mut buffer = std::mem::take(&mut scratch.file);
            let found = match parts.read(offset, size, &mut buffer) {
                Ok(bytes) => {
                    let mut target = into.memory.target();
                    program.place(&bytes, &factors, &mut target, into.len, scratch)
                }
                Err(error) => Err(error),
            };
            scratch.file = buffer;
            found
        }
    };
    found.map_err(|error| inside(error, &inner.chunk))
}

fn read_nested(
    shard: &Shard,
    parts: &dyn Parts,
    piece: &Piece,
    into: Into,
    job: &Job,
    local: &mut Local,
) -> Result<()> {
    let index = load_index(shard, parts, &mut local.scratch)?;
    let plan = Plan::make(
        &shard.turned(&piece.factors),
        &shard.shape,
        &shard.inner_shape,
    );
    for number in 0..plan.size() {
        let inner = plan.piece(number);
        read_inner(shard, Some((parts, &index)), &inner, into, job, local)?;
    }
    Ok(())
}

/// A part of an object, read in parts itself.
struct Window<'a> {
    parts: &'a dyn Parts,
    offset: u64,
    size: u64,
}

impl Parts for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'a>(
        &'a self,
        offset: u64,
        size: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<crate::objects::Bytes<'a>> {
        // Both were checked against this window's size, and it against the whole.
        self.parts.read(self.offset + offset, size, buffer)
    }
}
