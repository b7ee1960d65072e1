//! Change some blocks of an encoded chunk, and keep the bytes of the others.
//!
//! * Only blocks that hold a selected element are decoded and encoded, as only such inner chunks of a
//!   shard are. It is done where that is at most half of them, and where the old frame is one that the
//!   same settings would make; elsewhere the chunk is decoded and encoded as a whole.
//! * What a checksum behind the blocks covers is verified before any of it is kept.
//! * A chunk that holds nothing but the fill value is still found: the other blocks are decoded for as
//!   long as all of them do.

use std::sync::Mutex;

use crate::codecs::blosc;
use crate::copy::{self, Places};
use crate::encode::{encode_block, encode_by, gather};
use crate::error::Result;
use crate::job::{guard, owned, shared, Job, Kept, WriteFrom};
use crate::memory;
use crate::objects::Value;
use crate::plan::Piece;
use crate::program::Chunk;

const STAGE: &str = "encode";

/// What became of a chunk.
pub enum Patched<'o> {
    /// Nothing was done: the whole chunk must be decoded.
    Not,
    /// It holds only the fill value.
    Empty,
    /// It is encoded anew.
    Value(Value<'o>),
}

/// Put the elements of a piece into the encoded chunk `old`, block by block. `bytes` is memory for the
/// decoded chunk, whose content is not used.
pub fn patch<'o>(
    chunk: &Chunk,
    old: &'o [u8],
    piece: &Piece,
    from: WriteFrom,
    bytes: &mut [u8],
    job: &Job,
    kept: &mut Kept,
) -> Result<Patched<'o>> {
    let Chunk { chain, block } = chunk;
    let Some((first, rest)) = chain.codecs.split_first() else {
        return Ok(Patched::Not);
    };
    let Some(params) = first.of_type().filter(|_| chain.in_place()) else {
        return Ok(Patched::Not);
    };
    let mut frame = old;
    for codec in rest.iter().rev() {
        match codec.strip(frame)? {
            Some(inner) => frame = inner,
            None => return Ok(Patched::Not),
        }
    }
    let Some(blocks) = blosc::Blocks::of(frame, block.nbytes, params) else {
        return Ok(Patched::Not);
    };
    let size = blocks.block_size();
    let mut touched = Vec::new();
    memory::resize(&mut touched, bytes.len().div_ceil(size), false, STAGE)?;
    let factors = kept
        .offsets
        .factors(&piece.factors, &block.strides, from.frame)?;
    mark(&factors, chain.item, size, &mut touched);
    let chosen = (0..touched.len()).filter(|i| touched[*i]);
    let chosen: Vec<usize> = memory::collected(chosen, STAGE)?;
    if chosen.len() * 2 > touched.len() || !size.is_multiple_of(chain.item) {
        return Ok(Patched::Not);
    }
    let part = |i: usize| i * size..((i + 1) * size).min(block.nbytes);
    for i in &chosen {
        let part = &mut bytes[part(*i)];
        blocks.decode(*i, part, kept.scratch.contexts.of())?;
        chain.decode_in_place(part)?;
    }
    gather(chunk, piece, from, bytes, job, &mut kept.offsets)?;
    if chain.sparse && !job.store_empty {
        let mut empty = chosen
            .iter()
            .all(|i| copy::is_fill(&bytes[part(*i)], &chain.fill));
        for i in (0..touched.len()).filter(|i| !touched[*i]) {
            if !empty {
                break;
            }
            let part = &mut bytes[part(i)];
            blocks.decode(i, part, kept.scratch.contexts.of())?;
            chain.decode_in_place(part)?;
            empty = copy::is_fill(part, &chain.fill);
        }
        if empty {
            return Ok(Patched::Empty);
        }
    }
    let slots = memory::collected(bytes.chunks_mut(size).map(Mutex::new), STAGE)?;
    let encoded = touched.iter().map(|_| Mutex::new(None::<Vec<u8>>));
    let encoded = memory::collected(encoded, STAGE)?;
    let encode = |number: usize, kept: &mut Kept| -> Result<()> {
        let i = chosen[number];
        let mut part = guard(&slots[i]);
        chain.encode_in_place(&mut part)?;
        let context = kept.scratch.contexts.of();
        *guard(&encoded[i]) = encode_block(blocks.layout(), &part, block.nbytes, job, context)?;
        Ok(())
    };
    if job.threads > 1 && chosen.len() > 1 && chosen.len() * size / 2 >= job.least {
        shared(chosen.len(), job, &encode)?;
    } else {
        for number in 0..chosen.len() {
            encode(number, kept)?;
        }
    }
    let new = memory::collected(encoded.into_iter().map(owned), STAGE)?;
    if chosen.iter().any(|i| new[*i].is_none()) {
        return Ok(Patched::Not);
    }
    let Some(parts) = blocks.assemble(new)? else {
        return Ok(Patched::Not);
    };
    if rest.is_empty() {
        return Ok(Patched::Value(Value::of(parts)?));
    }
    let mut frame = Value::of(parts)?.joined()?;
    let size = frame.len();
    let out = encode_by(rest, &mut frame, size, job, &mut kept.scratch)?;
    Ok(Patched::Value(out.into()))
}

/// Mark the blocks of `size` bytes in which factors reach an element of their source, and maybe some
/// between them.
fn mark(factors: &[copy::Factor], item: usize, size: usize, touched: &mut [bool]) {
    #[allow(clippy::disallowed_methods)] // One item for each axis.
    let mut reaches: Vec<(&copy::Factor, isize, isize)> = Vec::with_capacity(factors.len());
    for factor in factors {
        let Some((low, high)) = reach(factor) else {
            return;
        };
        reaches.push((factor, low, high));
    }
    reaches.sort_by_key(|(_, low, high)| low - high);
    mark_from(&reaches, 0, item, size, touched);
}

fn mark_from(
    reaches: &[(&copy::Factor, isize, isize)],
    base: isize,
    item: usize,
    size: usize,
    touched: &mut [bool],
) {
    let low: isize = base + reaches.iter().map(|(_, low, _)| low).sum::<isize>();
    let high: isize = base + reaches.iter().map(|(_, _, high)| high).sum::<isize>();
    let first = low.max(0) as usize / size;
    let last = (high.max(0) as usize + item - 1) / size;
    let dense = match reaches.first() {
        Some((copy::Factor::Span { src_stride, .. }, ..)) => src_stride.unsigned_abs() <= size,
        Some(_) => false,
        None => true,
    };
    if dense || first == last {
        // A copy that reaches outside is refused when it is made.
        let end = touched.len().min(last + 1);
        touched[first.min(end)..end].fill(true);
        return;
    }
    if let Some(((factor, ..), rest)) = reaches.split_first() {
        for offset in offsets(factor) {
            mark_from(rest, base + offset, item, size, touched);
        }
    }
}

/// Return the least and the largest offset of a factor in its source.
fn reach(factor: &copy::Factor) -> Option<(isize, isize)> {
    match *factor {
        copy::Factor::Span { len: 0, .. } => None,
        copy::Factor::Span {
            src_offset,
            src_stride,
            len,
            ..
        } => {
            let end = src_offset + (len as isize - 1) * src_stride;
            Some((src_offset.min(end), src_offset.max(end)))
        }
        copy::Factor::Points { .. } => Some((offsets(factor).min()?, offsets(factor).max()?)),
    }
}

/// Return the offsets of a factor in its source.
fn offsets<'a>(factor: &'a copy::Factor) -> impl Iterator<Item = isize> + 'a {
    let (start, stride, listed, len) = match *factor {
        copy::Factor::Span {
            src_offset,
            src_stride,
            len,
            ..
        } => (src_offset, src_stride, None, len),
        copy::Factor::Points { src, len, .. } => match src {
            Places::Listed(places) => (0, 0, Some(places), len),
            Places::Even { start, stride } => (start, stride, None, len),
        },
    };
    (0..len).map(move |n| match listed {
        Some(places) => places[n],
        None => start + n as isize * stride,
    })
}
