//! Gather and encode one chunk, on several threads if it is large and no other chunk wants them.
//!
//! * The encoder works on a copy, even if the caller's bytes are contiguous and in order: another
//!   thread may write to them meanwhile, and not every compressor stays inside its memory when its
//!   input changes between counting and encoding (libdeflate does not).
//! * The bytes are the same on any number of threads.

use std::sync::Mutex;

use crate::codecs::{blosc, ByteCodec};
use crate::copy::{self, Target};
use crate::error::Result;
use crate::job::{guard, owned, shared, Job, Kept, WriteFrom};
use crate::memory;
use crate::plan::{Piece, Plan};
use crate::program::{Chain, Chunk, Offsets, Scratch};

const STAGE: &str = "encode";

/// Copy the elements of a piece into the decoded chunk, `bytes`.
pub fn gather(
    chunk: &Chunk,
    piece: &Piece,
    from: WriteFrom,
    bytes: &mut [u8],
    job: &Job,
    offsets: &mut Offsets,
) -> Result<()> {
    let block = &chunk.block;
    let share = job.threads > 1 && bytes.len() / 2 >= job.least;
    let Some(axis) = block.slab_axis().filter(|_| share) else {
        return copy_piece(chunk, piece, from, bytes, offsets);
    };
    let rows = block.slab_rows(axis, bytes.len(), job.threads, job.least, 1);
    let mut shape = block.shape.clone();
    shape[axis] = rows;
    let plan = Plan::make(&piece.factors, &block.shape, &shape)?;
    let slabs = bytes.chunks_mut(rows * block.strides[axis] as usize);
    let slabs = memory::collected(slabs.map(Mutex::new), STAGE)?;
    shared(plan.size(), job, &|number, kept| {
        let inner = plan.piece(number);
        let mut slab = guard(&slabs[inner.chunk[axis] as usize]);
        copy_piece(chunk, &inner, from, &mut slab, &mut kept.offsets)
    })
}

fn copy_piece(
    chunk: &Chunk,
    piece: &Piece,
    from: WriteFrom,
    bytes: &mut [u8],
    offsets: &mut Offsets,
) -> Result<()> {
    let factors: Vec<copy::Factor> = offsets
        .factors(&piece.factors, &chunk.block.strides, from.frame)?
        .into_iter()
        .map(copy::Factor::reversed)
        .collect();
    let mut target = Target::from(bytes);
    copy::copy(from.memory, &mut target, chunk.chain.item, &factors, None)
}

/// Encode a chunk, in memory's byte order and the stored order of axes. Its bytes are used up.
pub fn encode(
    chain: &Chain,
    bytes: &mut [u8],
    job: &Job,
    scratch: &mut Scratch,
) -> Result<Vec<u8>> {
    let Scratch {
        stages, contexts, ..
    } = scratch;
    let mut out = Vec::new();
    if let (Some(ByteCodec::Blosc(params)), true) = (chain.codecs.first(), job.threads > 1) {
        let layout = blosc::Layout::new(bytes.len(), params)?;
        if bytes.len() > layout.block_size() && bytes.len() / 2 >= job.least && !layout.stored() {
            chain.to_storage_order(bytes)?;
            let frame = encode_blocks(&layout, bytes, job)?;
            chain.encode_rest(&frame, &mut out, stages, contexts)?;
            return Ok(out);
        }
    }
    chain.encode(bytes, &mut out, stages, contexts)?;
    Ok(out)
}

fn encode_blocks(layout: &blosc::Layout, bytes: &[u8], job: &Job) -> Result<Vec<u8>> {
    let blocks = memory::collected(bytes.chunks(layout.block_size()), STAGE)?;
    let slots = blocks.iter().map(|_| Mutex::<Vec<u8>>::default());
    let slots = memory::collected(slots, STAGE)?;
    shared(blocks.len(), job, &|number, kept: &mut Kept| {
        let mut out = memory::with_room(blocks[number].len(), STAGE)?;
        // A block that does not fit leaves nothing. There are then too few, and the frame is stored.
        let contexts = &mut kept.scratch.contexts;
        layout.encode_block(blocks[number], &mut out, bytes.len(), &mut contexts.blosc)?;
        *guard(&slots[number]) = out;
        Ok(())
    })?;
    let encoded = slots.into_iter().map(owned);
    let encoded = memory::collected(encoded.filter(|block| !block.is_empty()), STAGE)?;
    let encoded = memory::collected(encoded.iter().map(Vec::as_slice), STAGE)?;
    let mut frame = Vec::new();
    layout.assemble(bytes, Some(&encoded), &mut frame)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Tasks;

    #[test]
    fn many_threads_encode_to_the_bytes_of_one() {
        let never = || false;
        let job = Job {
            missing: true,
            store_empty: false,
            threads: 3,
            least: 1,
            tasks: Tasks::Brief,
            poll: &never,
        };
        let mut state = 5u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(300_004)
        .collect();
        let smooth: Vec<u8> = (0..300_004u32).map(|i| (i / 900) as u8).collect();
        let mixed = [&smooth[..150_000], &noise[..150_004]].concat();
        let mut stored = 0;
        for cname in ["blosclz", "lz4", "zstd"] {
            for (numbers, swap) in [
                ([5, 0, 4, 1000], None),
                ([1, 1, 4, 0], Some(4)),
                ([5, 2, 20, 4096], None),
                ([0, 1, 4, 0], Some(2)),
            ] {
                for data in [&noise, &smooth, &mixed] {
                    let codecs = ByteCodec::make("blosc", &numbers, cname)
                        .into_iter()
                        .chain(ByteCodec::make("crc32c", &[], "end"))
                        .collect();
                    let chain = Chain {
                        item: 4,
                        fill: vec![0; 4],
                        sparse: true,
                        swap,
                        boolean: false,
                        codecs,
                    };
                    let by = |threads| {
                        let mut scratch = Scratch::default();
                        let job = Job { threads, ..job };
                        encode(&chain, &mut data.clone(), &job, &mut scratch).unwrap()
                    };
                    let one = by(1);
                    assert!(one == by(3), "{cname} {numbers:?}");
                    stored += usize::from(one.len() > data.len());
                }
            }
        }
        assert!(stored > 0);
    }
}
