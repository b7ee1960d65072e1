//! Gather and encode one chunk, on several threads if it is large and no other chunk wants them.
//!
//! * The encoder works on a copy, even if the caller's bytes are contiguous and in order: another
//!   thread may write to them meanwhile, and not every compressor stays inside its memory when its
//!   input changes between counting and encoding (libdeflate does not).
//! * What may take longer than a user waits after Ctrl-C is encoded apart (`apart.rs`).
//! * The bytes are the same on any number of threads.

use std::sync::Mutex;

use crate::apart;
use crate::codecs::{blosc, ByteCodec};
use crate::copy::{self, Target};
use crate::error::Result;
use crate::job::{guard, owned, shared, Job, Kept, WriteFrom};
use crate::memory;
use crate::plan::{Piece, Plan};
use crate::program::{self, Chain, Chunk, Offsets, Scratch};

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

/// Encode a chunk, the first `size` bytes of a buffer, in memory's byte order and the stored order of
/// axes. Its bytes are used up.
pub fn encode(
    chain: &Chain,
    buffer: &mut Vec<u8>,
    size: usize,
    job: &Job,
    scratch: &mut Scratch,
) -> Result<Vec<u8>> {
    let size = chain.encode_elements(buffer, size, &mut scratch.between)?;
    let bytes = &buffer[..size];
    let first = chain.codecs.first();
    let blosc = first.and_then(|codec| codec.of_type::<blosc::Params>());
    if let (Some(params), true) = (blosc, job.threads > 1) {
        let layout = blosc::Layout::new(size, params)?;
        if size > layout.block_size() && size / 2 >= job.least && !layout.stored() {
            let mut frame = encode_blocks(&layout, bytes, job)?;
            let size = frame.len();
            return encode_by(&chain.codecs[1..], &mut frame, size, job, scratch);
        }
    }
    encode_by(&chain.codecs, buffer, size, job, scratch)
}

/// Encode the first `size` bytes of a buffer by some codecs: apart, if that may take long. The buffer
/// is empty afterwards if the call was interrupted, or if there are no codecs: it is the result then.
pub fn encode_by(
    codecs: &[ByteCodec],
    buffer: &mut Vec<u8>,
    size: usize,
    job: &Job,
    scratch: &mut Scratch,
) -> Result<Vec<u8>> {
    let Scratch {
        stages,
        contexts,
        encoded,
        ..
    } = scratch;
    if codecs.is_empty() && buffer.capacity() <= 2 * size {
        let mut out = std::mem::take(buffer);
        out.truncate(size);
        return Ok(out);
    }
    if codecs.iter().all(|codec| size <= codec.promptly()) {
        let mut out = emptied(encoded);
        program::encode_by(codecs, &buffer[..size], &mut out, stages, contexts)?;
        return Ok(out);
    }
    let owned = memory::collected(codecs.iter().cloned(), STAGE)?;
    let (given, mut out) = (std::mem::take(buffer), emptied(encoded));
    let (mut stages, mut contexts) = (std::mem::take(stages), std::mem::take(contexts));
    let work = move || {
        let bytes = &given[..size];
        let done = program::encode_by(&owned, bytes, &mut out, &mut stages, &mut contexts);
        (done.map(|()| out), given, stages, contexts)
    };
    let found = apart::run(work, job.poll)?;
    (*buffer, scratch.stages, scratch.contexts) = (found.1, found.2, found.3);
    found.0
}

/// Take a buffer, whose memory is used again.
fn emptied(buffer: &mut Vec<u8>) -> Vec<u8> {
    let mut taken = std::mem::take(buffer);
    taken.clear();
    taken
}

/// Encode a block of a Blosc frame, apart if that may take long. Return `None` if it takes more than a
/// stored frame.
pub fn encode_block(
    layout: &blosc::Layout,
    block: &[u8],
    room: usize,
    job: &Job,
    context: &mut blosc::Context,
) -> Result<Option<Vec<u8>>> {
    let layout = *layout;
    let encode = move |block: &[u8], context: &mut blosc::Context| {
        let mut out = memory::with_room(block.len(), STAGE)?;
        let fits = layout.encode_block(block, &mut out, room, context)?;
        Ok(fits.then_some(out))
    };
    if block.len() <= layout.promptly() {
        return encode(block, context);
    }
    let owned = memory::copied(block, STAGE)?;
    let mut taken = std::mem::take(context);
    let work = move || (encode(&owned, &mut taken), taken);
    let (found, kept) = apart::run(work, job.poll)?;
    *context = kept;
    found
}

fn encode_blocks(layout: &blosc::Layout, bytes: &[u8], job: &Job) -> Result<Vec<u8>> {
    let blocks = memory::collected(bytes.chunks(layout.block_size()), STAGE)?;
    let slots = blocks.iter().map(|_| Mutex::<Vec<u8>>::default());
    let slots = memory::collected(slots, STAGE)?;
    shared(blocks.len(), job, &|number, kept: &mut Kept| {
        let context = kept.scratch.contexts.of();
        let out = encode_block(layout, blocks[number], bytes.len(), job, context)?;
        // A block that does not fit leaves nothing. There are then too few, and the frame is stored.
        *guard(&slots[number]) = out.unwrap_or_default();
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
    use crate::codecs::{Contexts, TypedCodec};
    use crate::error::Error;
    use crate::pool::Tasks;

    #[test]
    fn what_is_encoded_apart_is_the_same_and_can_be_left() {
        let mut state = 1u32;
        let content: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 29) as u8
        })
        .take(6 << 20)
        .collect();
        for (name, numbers, word, size) in [
            ("gzip", &[9, 0][..], "", 6 << 20),
            ("zlib", &[-1, 0], "", 6 << 20),
            ("zstd", &[12, 0], "", 2 << 20),
            ("zstd", &[19, 1], "", 1 << 19),
            ("blosc", &[9, 0, 1, 0, 0], "zstd", 1 << 19),
            ("blosc", &[9, 1, 1, 4 << 20, 0], "lz4hc", 6 << 20),
        ] {
            let codec = ByteCodec::make(name, numbers, word).unwrap();
            assert!(codec.promptly() < size);
            let mut plain = Vec::new();
            let mut contexts = Contexts::default();
            codec
                .encode(&content[..size], &mut plain, &mut contexts)
                .unwrap();
            let chain = Chain::new(vec![0], true, Vec::new(), vec![codec]);
            for threads in [1, 3] {
                let by = |poll: &(dyn Fn() -> bool + Sync)| {
                    let job = Job {
                        missing: true,
                        store_empty: false,
                        threads,
                        least: 1,
                        tasks: Tasks::Brief,
                        poll,
                    };
                    let mut buffer = content.clone();
                    encode(&chain, &mut buffer, size, &job, &mut Scratch::default())
                };
                assert!(by(&|| false).unwrap() == plain, "{name} {numbers:?}");
                assert_eq!(
                    by(&|| true),
                    Err(Error::interrupted()),
                    "{name} {numbers:?}"
                );
            }
        }
    }

    #[test]
    fn a_chunk_without_codecs_is_not_copied_unless_it_would_keep_a_large_buffer() {
        let job = Job {
            missing: true,
            store_empty: false,
            threads: 1,
            least: 1,
            tasks: Tasks::Brief,
            poll: &|| false,
        };
        for (length, copied) in [(1000, false), (1500, false), (3000, true)] {
            let mut buffer = vec![7u8; length];
            let start = buffer.as_ptr();
            let out = encode_by(&[], &mut buffer, 1000, &job, &mut Scratch::default()).unwrap();
            assert_eq!(out, [7; 1000]);
            assert_eq!(out.as_ptr() != start, copied);
            assert_eq!(buffer.len(), if copied { length } else { 0 });
        }
    }

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
                ([5, 0, 4, 1000, 0], None),
                ([1, 1, 4, 0, 0], Some(4)),
                ([5, 2, 20, 4096, 0], None),
                ([0, 1, 4, 0, 0], Some(2)),
            ] {
                for data in [&noise, &smooth, &mixed] {
                    let codecs = ByteCodec::make("blosc", &numbers, cname)
                        .into_iter()
                        .chain(ByteCodec::make("crc32c", &[], "end"))
                        .collect();
                    let swap = swap.and_then(|unit| TypedCodec::make("swap", &[unit], ""));
                    let chain = Chain::new(vec![0; 4], true, swap.into_iter().collect(), codecs);
                    let by = |threads| {
                        let mut scratch = Scratch::default();
                        let job = Job { threads, ..job };
                        let mut buffer = data.clone();
                        let size = buffer.len();
                        encode(&chain, &mut buffer, size, &job, &mut scratch).unwrap()
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
