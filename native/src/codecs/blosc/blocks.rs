//! The blocks of a frame that can be replaced one by one.

use std::borrow::Cow;
use std::ops::Range;

use super::decode::Header;
use super::encode::Layout;
use super::frame::{Params, Shuffle, HEADER, STAGE};
use super::streams::Context;
use crate::error::Result;
use crate::memory;

/// A frame whose blocks are cut and filtered as a new frame's would be.
pub struct Blocks<'a> {
    frame: &'a [u8],
    header: Header<'a>,
    layout: Layout,
    spans: Vec<Range<usize>>,
}

impl<'a> Blocks<'a> {
    /// Look at a frame of `nbytes` decoded bytes. Return `None` for one that is stored, that was made
    /// with other settings, that is not sound, or of which there is no memory for a list of the blocks.
    pub fn of(frame: &'a [u8], nbytes: usize, params: &Params) -> Option<Blocks<'a>> {
        let header = Header::parse(frame, nbytes).ok()?;
        let layout = Layout::new(nbytes, params).ok()?;
        let shuffle = match params.shuffle {
            Shuffle::Byte if layout.typesize == 1 => Shuffle::None,
            shuffle => shuffle,
        };
        let same = header.typesize == layout.typesize
            && header.blocksize == layout.blocksize
            && header.split == layout.split
            && header.shuffle == shuffle
            && header.format == params.compressor.format();
        if !same || header.stored || layout.stored() {
            return None;
        }
        let mut spans = memory::with_room(header.block_count(), STAGE).ok()?;
        for i in 0..header.block_count() {
            memory::push(&mut spans, header.block_span(i).ok()?, STAGE).ok()?;
        }
        Some(Blocks {
            frame,
            header,
            layout,
            spans,
        })
    }

    /// Return the decoded size of every block but the last.
    pub fn block_size(&self) -> usize {
        self.layout.blocksize
    }

    /// Decode block `i` into all of `dst`, which has its size.
    pub fn decode(&self, i: usize, dst: &mut [u8], context: &mut Context) -> Result<()> {
        self.header.decode_block(i, dst, context)
    }

    /// Return how blocks are encoded.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Return the parts of the frame with new blocks in the places of some. Return `None` if a stored
    /// frame takes less.
    pub fn assemble(&self, new: Vec<Option<Vec<u8>>>) -> Result<Option<Vec<Cow<'a, [u8]>>>> {
        let mut head = memory::with_room(HEADER + 4 * new.len(), STAGE)?;
        head.extend_from_slice(&self.frame[..HEADER]);
        // The head, and before, between and behind the new blocks what stays.
        let changed = new.iter().filter(|block| block.is_some()).count();
        let mut parts = memory::with_room(2 * changed + 2, STAGE)?;
        parts.push(Cow::Borrowed(&[][..]));
        let mut at = HEADER + 4 * new.len();
        // The old blocks since the last new one, which follow each other in the frame.
        let mut run: Range<usize> = 0..0;
        for (span, block) in self.spans.iter().zip(new) {
            let Ok(start) = u32::try_from(at) else {
                return Ok(None);
            };
            head.extend_from_slice(&start.to_le_bytes());
            at += block.as_ref().map_or(span.len(), Vec::len);
            if block.is_none() && run.end == span.start {
                run.end = span.end;
                continue;
            }
            let kept = Cow::Borrowed(&self.frame[std::mem::take(&mut run)]);
            memory::push(&mut parts, kept, STAGE)?;
            match block {
                Some(block) => memory::push(&mut parts, Cow::Owned(block), STAGE)?,
                None => run = span.clone(),
            }
        }
        memory::push(&mut parts, Cow::Borrowed(&self.frame[run]), STAGE)?;
        let size = u32::try_from(at).ok();
        let Some(size) = size.filter(|_| at <= self.header.nbytes + HEADER) else {
            return Ok(None);
        };
        head[12..HEADER].copy_from_slice(&size.to_le_bytes());
        parts[0] = Cow::Owned(head);
        Ok(Some(parts))
    }
}
